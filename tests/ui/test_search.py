"""What the front end finds by a word."""

from __future__ import annotations

import contextlib
from typing import Any

import browser
import pytest

sync_api = pytest.importorskip("playwright.sync_api")

FOCUSED = "document.activeElement?.tagName === 'INPUT'"
FOUND = '.p-autocomplete-option, [data-testid="result-item"]'


def test_ilvr_gives_ilvr_apply_first(page: Any) -> None:
    browser.load(page, browser.WORKFLOWS[0])
    for _ in range(20):  # older front ends take no click while they lay out the workflow
        page.mouse.dblclick(140, 1150)  # where nothing is
        with contextlib.suppress(sync_api.TimeoutError):
            page.wait_for_function(FOCUSED, timeout=3000)
            break
    page.keyboard.type("ilvr", delay=50)
    first = page.locator(FOUND).filter(has_text="ILVR").first
    assert "ILVR Apply" in first.inner_text(timeout=60_000)
