"""What the front end finds by a word."""

from __future__ import annotations

from typing import Any

import browser

FOUND = '.p-autocomplete-option, [data-testid="result-item"]'


def test_ilvr_gives_ilvr_apply_first(page: Any) -> None:
    browser.load(page, browser.WORKFLOWS[0])
    page.mouse.dblclick(140, 1150)  # where nothing is
    page.wait_for_function("document.activeElement?.tagName === 'INPUT'")
    page.keyboard.type("ilvr", delay=50)
    first = page.locator(FOUND).filter(has_text="ILVR").first
    assert "ILVR Apply" in first.inner_text(timeout=60_000)
