"""A real browser on a real server, and what helps to read workflows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A ComfyUI with nothing but this pack: its address and its base folder."""
    import browser

    if browser.not_here():
        pytest.skip(browser.not_here())
    base = tmp_path_factory.mktemp("comfyui")
    with browser.comfyui(base) as address:
        yield address, base


@pytest.fixture(scope="module")
def page(server: tuple[str, Path]) -> Iterator[Any]:
    """The graph editor; what it prints as errors of ours is in ``page.errors``."""
    import browser

    with browser.open_page(server[0], 1700, 1250) as page:
        page.errors = []  # of one test, see below
        page.on("console", lambda said: _is_ours(said, server[0]) and page.errors.append(said.text))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        yield page


def _is_ours(said: Any, address: str) -> bool:
    """An error about this pack; newer front ends also ask the registry's server about its nodes."""
    place = said.location.get("url", "").lower()
    elsewhere = place.startswith("http") and not place.startswith(address)
    return said.type == "error" and not elsewhere and "ilvr" in f"{said.text} {place}".lower()


@pytest.fixture(autouse=True)
def _own_errors(request: pytest.FixtureRequest) -> None:
    """A front end has errors of its own where it starts anew or looks for translated help."""
    if "page" in request.fixturenames:
        request.getfixturevalue("page").errors.clear()
