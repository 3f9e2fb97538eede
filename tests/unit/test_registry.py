"""What the registry of ComfyUI is told agrees with the repository."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from PIL import Image

import ilvr_latent

ROOT = Path(__file__).parent.parent.parent
FACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMFY, URLS = FACTS["tool"]["comfy"], FACTS["project"]["urls"]
REPOSITORY = URLS["Repository"]


def file_of(url: str) -> Path:
    """Where a file that is named by its address on the main branch lies here."""
    raw = REPOSITORY.replace("https://github.com/", "https://raw.githubusercontent.com/")
    for start in (f"{raw}/main/", f"{REPOSITORY}/blob/main/"):
        if url.startswith(start):
            return ROOT / url.removeprefix(start)
    raise AssertionError(f"{url} is not in {REPOSITORY}")


def test_one_repository_is_named_everywhere() -> None:
    assert f"git clone --depth 1 {REPOSITORY} " in README
    assert URLS["Bug Tracker"] == f"{REPOSITORY}/issues"
    assert file_of(URLS["Documentation"]).is_file()
    assert f"https://github.com/{COMFY['PublisherId']}/{FACTS['project']['name']}" == REPOSITORY


def test_the_icon_and_the_banner_have_the_sizes_that_the_registry_wants() -> None:
    with Image.open(file_of(COMFY["Icon"])) as icon, Image.open(file_of(COMFY["Banner"])) as banner:
        assert icon.width == icon.height <= 400
        assert banner.width * 9 == banner.height * 21


def test_the_version_is_the_packages() -> None:
    text = (ROOT / COMFY["version"]["path"]).read_text(encoding="utf-8")
    assert re.findall(r'^__version__ = "(\d+\.\d+\.\d+)"$', text, re.M) == [ilvr_latent.__version__]


def test_the_readme_names_the_same_lowest_comfyui() -> None:
    assert f"ComfyUI {COMFY['requires-comfyui'].removeprefix('>=')} and newer" in README
