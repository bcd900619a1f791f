"""Pages: well formed, self-contained, with words for every formula and drawing, dark and print."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

import backproof as bp
from backproof.cli import main
from backproof.render.drawings.canvas import DARK, LIGHT
from backproof.render.html import page, style
from backproof.render.prose import prose
from backproof.render.typst import document
from backproof.working.report import Report, work_file

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
VOID = {"meta", "br", "wbr", "hr", "img", "input", "link"}
SPACES = ("http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML")


class Checker(HTMLParser):
    """Sees that elements are closed in order, ids are unique and links lead somewhere."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.named: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if "id" in given:
            self.ids.append(given["id"] or "")
        if tag == "a":
            self.links.append(given.get("href") or "")
        for name in (given.get("aria-labelledby") or "").split():
            self.named.append(name)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"


def checked(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))
    assert set(checker.named) <= set(checker.ids)
    for link in checker.links:
        assert not link.startswith("#") or link[1:] in checker.ids, link
    return checker


@pytest.fixture(scope="module")
def exam() -> Report:
    return work_file(EXAMPLES / "exam.md")


@pytest.fixture(scope="module")
def shown(exam: Report) -> str:
    return page(exam)


def test_the_page_is_well_formed(shown: str) -> None:
    assert shown.startswith('<!DOCTYPE html>\n<html lang="en">')
    checked(shown)


def test_nothing_is_loaded_from_elsewhere(shown: str) -> None:
    bare = shown
    for space in SPACES:
        bare = bare.replace(space, "")
    assert "http" not in bare
    assert "@import" not in bare
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", bare)
    for tag, attrs in checked(shown).tags:
        assert "src" not in attrs
        assert tag not in ("link", "iframe", "object", "embed", "img")


def test_every_formula_has_words_and_latex(shown: str) -> None:
    tags = checked(shown).tags
    formulas = [attrs for tag, attrs in tags if tag == "math"]
    assert len(formulas) > 500
    assert all(attrs.get("alttext") for attrs in formulas)
    spans = [attrs for tag, attrs in tags if tag == "span" and attrs.get("class") == "f"]
    long = [attrs for tag, attrs in tags if attrs.get("class") == "f long"]
    assert all(attrs.get("aria-label") and attrs.get("role") == "math" for attrs in long)
    assert shown.count('encoding="application/x-tex"') == len(spans) + len(long)


def test_every_drawing_has_a_title(shown: str) -> None:
    drawn = re.findall(r"<svg [^>]*>(.{20})", shown)
    assert len(drawn) >= 5
    assert all(start.startswith("<title id=") for start in drawn)


def test_verdicts_are_words_with_a_sign(shown: str) -> None:
    assert '<span class="icon" aria-hidden="true">✗</span> refuted' in shown
    assert '<span class="icon" aria-hidden="true">✓</span> proved' in shown
    assert shown.count('class="claim refuted"') == 2
    assert '<pre class="diff"' in shown  # the repair with its carets


def test_the_broken_sheet_is_told_in_its_place(shown: str) -> None:
    at = shown.index('id="sheet-q06-as-printed"')
    assert shown.index("This sheet cannot be worked") > at
    assert "is defined twice" in shown[at : shown.index("7. Its tree</h2>")]
    heading = shown[shown.index('id="sheet-q06-as-printed-title"') :].partition("</h3>")[0]
    assert "Question 6 as the paper prints it" in heading


def test_contents_lead_to_every_question(shown: str) -> None:
    contents = shown[shown.index("<nav") : shown.index("</nav>")]
    assert contents.count('class="l2"') == 10
    assert 'href="#10-an-autoencoder"' in contents


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("table", [LIGHT, DARK], ids=["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(table: dict[str, str]) -> None:
    """At least 4.5 to 1, as WCAG asks of text; 3 to 1 of the lines of drawings."""
    behind = {
        "ink": ("paper", "fill", "learned-fill", "given-fill", "red-fill"),
        "soft": ("paper", "fill", "learned-fill", "given-fill"), "value": ("paper",),
        "learned": ("paper", "fill", "learned-fill"), "back": ("paper", "fill"),
        "red": ("paper", "red-fill"), "green": ("paper",),
    }  # fmt: skip
    for colour, grounds in behind.items():
        for ground in grounds:
            assert contrast(table[colour], table[ground]) >= 4.5, (colour, ground)
    assert contrast(table["line"], table["paper"]) >= 3
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_what_is_left_blank_is_counted_above_and_kept_for_the_key(shown: str) -> None:
    at = shown.index('id="sheet-q06-fill-in"')
    part = shown[at : shown.index('id="sheet-q06-as-printed"')]
    assert "ask forward, 7 blanks" in part
    question, key = part.split("Answer key")
    assert "sigmoid" not in question and "zA1 = W1" not in question
    assert '<details class="part"><summary>' in question[-40:]  # folded
    assert "zA1" in key or "<var>z</var>" in key


def test_drawn_lines_stand_once(shown: str) -> None:
    """The text of a schematic folds under its heading; the sheet of the batch is no drawing."""
    at = shown.index('id="sheet-q09-schematic"')
    part = shown[at : shown.index('id="sheet-q09-fill-in"')]
    heading = part.index("The schematic, forward")
    assert part.index("The same as text") > heading
    assert part.count("The same as text") == 1
    assert "█" not in shown and "Each block more" not in shown


def test_the_style_knows_dark_and_print() -> None:
    css = style(page=True)
    assert "@media(prefers-color-scheme:dark)" in css
    assert "@media print" in css
    assert "details-content" in css  # folded parts are printed
    assert css.count("{") == css.count("}")
    assert "main.backproof" not in style()


def test_a_page_is_quick(exam: Report) -> None:
    page(exam)
    started = time.process_time()  # of this process alone, whatever else the machine does
    page(exam)
    assert time.process_time() - started < 1.0


def test_long_entries_are_folded(shown: str) -> None:
    from backproof.working.steps import Step, Working

    steps = tuple(Step(f"∂L/∂W[1, {k}]", f"x = {k}", "x", (), None, "", None, "local", 1)
                  for k in range(9))  # fmt: skip
    from backproof.render.html import Page

    html = Page().working(Working("gradient", steps))
    assert '<details class="entries"><summary>9 lines, entry by entry' in html


def test_prose_is_safe_and_set() -> None:
    html, headings = prose(
        "## A <b>title</b>\n\nW_1ᵀ x and `a_b` <script>alert(1)</script> ![](http://x.y/z.png)\n"
    )
    assert "<script" not in html
    assert "<img" not in html
    assert "<var>W</var><sub>1</sub><sup>T</sup> x" in html
    assert "<code>a_b</code>" in html
    assert headings == [(2, "a-b-title-b", "A <b>title</b>")]
    assert "javascript" not in prose("[x](javascript:alert(1))")[0].replace("](javascript", "")


def test_hostile_sheets_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "p.md"
    path.write_text(
        "# <script>x</script>\n\n```sheet <b>\n# <img src=x onerror=y>\n"
        "given x in R  # </code><script>\nL = x**2\nclaim L == x**3\n```\n",
        encoding="utf-8",
    )
    html = page(work_file(path))
    checker = checked(html)
    assert [tag for tag, _ in checker.tags].count("script") == 1
    assert "img" not in [tag for tag, _ in checker.tags]


def test_work_writes_a_page(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    sheet = EXAMPLES / "siamese.sheet"
    result = CliRunner().invoke(main, ["work", str(sheet), "--html", str(out)])
    assert result.exit_code == 0
    html = out.read_text(encoding="utf-8")
    checked(html)
    assert "<h1>A Siamese network" in html


def test_answers_show_themselves_in_a_notebook() -> None:
    siamese = bp.read(EXAMPLES / "siamese.sheet")
    verdict = siamese.check("grad(L, z2) == y - a2")
    for thing in (siamese, siamese.tree(), siamese.gradient("L", "W1"), verdict, siamese.work()):
        html = thing._repr_html_()
        assert html.startswith('<div class="backproof cell"><style>')
        assert "<script" not in html
        checked(html)
    assert "<math" in verdict._repr_html_()
    checked(siamese.forward().html())
    checked(verdict.html())
    checked(siamese.work().html())


def test_a_sheet_alone_has_one_title() -> None:
    text = page(work_file(EXAMPLES / "mlp.sheet"))
    assert text.count("A network with two hidden layers, one sample as a column</h") == 1
    assert 'aria-labelledby="sheet' not in text


def test_names_are_set_in_captions_and_changes() -> None:
    shown = bp.read(EXAMPLES / "q10b-saturated.sheet").slow("W1")._repr_html_()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", shown)
    assert captions == [
        "How the gradient of <var>L</var> with respect to <var>W</var><sup>[1]</sup> "
        "shrinks on its way"
    ]
    assert "sigmoid → relu in <var>a</var><sup>[1]</sup></div>" in shown


def test_a_heading_is_printed_whole() -> None:
    printed = style(page=True).partition("@media print{\n")[2]
    (rule,) = re.findall(r"\.backproof h2,[^{}]*\{([^}]*)\}", printed)
    assert {"break-after:avoid", "break-inside:avoid"} <= set(rule.split(";"))


def test_a_claim_about_values_has_no_point_to_show(tmp_path: Path) -> None:
    path = tmp_path / "one.sheet"
    path.write_text("given x = 2\nL = x**2\nclaim L == 5\n", encoding="utf-8")
    report = work_file(path)
    shown = page(report)
    assert "refuted" in shown and "not 5" in shown
    assert 'class="counter"' not in shown
    assert "_at_" not in document(report)
