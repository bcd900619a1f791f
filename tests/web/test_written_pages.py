"""The pages that `--html` writes, in a browser: nothing runs over, nothing is fetched.

A picture of each example, light, dark and as printed, is left in `build/screenshots`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from backproof.render.html import page as written
from backproof.working.report import work_file

from .browser import ROOT, STILL, axe, faults

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.flaky(reruns=2)  # as for every test in a browser

SHOTS = ROOT / "build" / "screenshots"
BROKEN = "q06-as-printed"  # a misprint of the exam that no sheet can hold
SHEETS = [p for p in (ROOT / "examples").glob("*.sheet") if p.stem != BROKEN]
EXAMPLES = sorted([*SHEETS, ROOT / "examples" / "paper.md"])
TALLEST = 12_000  # pixels of a picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the written pages are."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    return tmp_path_factory.mktemp("pages")


@pytest.fixture
def opened(browser: Browser) -> Iterator[Page]:
    """A page from which nothing is fetched."""
    context = browser.new_context(offline=True, **STILL)
    page = context.new_page()
    asked: list[str] = []
    context.on("request", lambda r: asked.append(r.url))
    yield page
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def show(page: Page, path: Path, folder: Path) -> None:
    """Opens the page of an example."""
    file = folder / f"{path.stem}.html"
    if not file.exists():
        file.write_text(written(work_file(path)), encoding="utf-8")
    page.goto(file.as_uri())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_example_is_pictured_and_fits(path: Path, folder: Path, opened: Page) -> None:
    show(opened, path, folder)
    papers = []
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for width in (380, 1000):
            opened.set_viewport_size({"width": width, "height": 900})
            assert opened.evaluate("document.documentElement.scrollWidth") <= width
        height = min(TALLEST, opened.evaluate("document.documentElement.scrollHeight"))
        opened.set_viewport_size({"width": 1000, "height": height})
        opened.screenshot(path=SHOTS / f"{path.stem}-{scheme}.png")
        papers.append(brightness(opened))
    light, dark = papers
    assert light > 230 and dark < 60


def brightness(page: Page) -> float:
    """The mean of the three colours of the page's ground, 0 to 255."""
    return _mean(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


def _mean(colour: str) -> float:
    return sum(float(n) for n in colour[colour.index("(") + 1 : -1].split(",")[:3]) / 3


def test_what_is_printed_is_dark_on_white(folder: Path, opened: Page) -> None:
    show(opened, ROOT / "examples" / "q08-gradient.sheet", folder)
    opened.emulate_media(color_scheme="dark", media="print")
    assert brightness(opened) > 250
    inks = opened.evaluate(
        "[...document.querySelectorAll('p, math, h1, h2, h3, svg text')].map(e => "
        "getComputedStyle(e)[e.tagName === 'text' ? 'fill' : 'color'])"
    )
    assert inks and [ink for ink in set(inks) if _mean(ink) > 160] == []
    opened.pdf(path=SHOTS / "q08-gradient-printed.pdf")
    assert (SHOTS / "q08-gradient-printed.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_written_page_is_accessible(scheme: str, folder: Path, opened: Page) -> None:
    show(opened, ROOT / "examples" / "q08-gradient.sheet", folder)
    opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    assert faults(opened, axe()) == []
