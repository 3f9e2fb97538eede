"""What the pages name is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    page
    for pattern in (
        "*.md",
        "docs/*.md",
        "training/*.md",
        "ilvr_latent/assets/*.md",
        "web/docs/**/*.md",
    )
    for page in ROOT.glob(pattern)
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    # ComfyUI serves the pages of the nodes from a folder with their pictures.
    base = ROOT / "web" / "docs" if "web" in page.parts else page.parent
    assert [link for link in links if not (base / link).exists()] == []


def test_the_picture_that_opens_as_a_workflow_holds_one() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (name,) = re.findall(r"graph is in it: \[[^]]+\]\(([^)]+)\)", readme)
    with Image.open(ROOT / name) as picture:
        nodes = json.loads(picture.info["workflow"])["nodes"]
    assert "ILVRApply" in {node["type"] for node in nodes}
