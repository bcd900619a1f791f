"""Papers in a real browser: a student takes one, its author looks it over."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Locator, Page, expect

from backproof.papers.paper import read_paper
from backproof.papers.scripts import read_scripts

from .browser import PATIENCE, STILL, Seen, axe, faults, write
from .test_papers import NEURON

# A browser on a busy machine may miss a key or a frame; a fault of ours fails every time.
pytestmark = pytest.mark.flaky(reruns=2)

NARROW = {"color_scheme": "dark", "viewport": {"width": 380, "height": 800}, **STILL}
WIDE = {"color_scheme": "light", "viewport": {"width": 1200, "height": 800}, **STILL}
# z with the wrong sign of b; what follows from −0.6 is σ(−0.6) = 0.354 and −log 0.354 = 1.038.
SLIP = {"neuron.z": "-0.6", "neuron.a": "0.354", "neuron.L": "1.038"}


def link(address: str, text: str = NEURON) -> str:
    """The address under which a paper is taken."""
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packing.compress(text.encode()) + packing.flush()
    return f"{address}/take#s={base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def item(page: Page, name: str) -> Locator:
    return page.locator(f'[data-item="{name}"]')


def fill(page: Page, answers: dict[str, str]) -> None:
    for name, answer in answers.items():
        item(page, name).locator("textarea").fill(answer)


@pytest.fixture
def paper(blank: Page, address: str) -> Page:
    """A paper that is open to be taken."""
    blank.goto(link(address))
    expect(blank.locator("body[data-ready]")).to_have_count(1)
    return blank


# --- the student ---------------------------------------------------------------------------------


def test_a_slip_is_paid_for_once_and_told_apart(paper: Page) -> None:
    expect(paper.get_by_role("heading", name="A small paper")).to_be_visible()
    fill(paper, SLIP)
    expect(paper.locator("#progress-said")).to_have_text(
        "3 of 5 lines written, kept in this browser"
    )
    paper.get_by_role("button", name="Submit").click()
    expect(paper.locator("#marks-title")).to_have_text("2 of 8 marks")
    expect(paper.locator("#marks-title")).to_be_focused()
    expect(paper.locator("#marks-said")).to_contain_text("2 lines count because they follow")
    expect(paper.locator("#marks-said")).to_contain_text("2 of 5 lines are empty")
    expect(item(paper, "neuron.z").locator(".verdict")).to_contain_text("wrong")
    for name in ("neuron.a", "neuron.L"):
        expect(item(paper, name).locator(".verdict")).to_contain_text("carried on")
        expect(item(paper, name).locator(".earned")).to_have_text("1 of 1")
    expect(item(paper, "neuron.a").locator(".why")).to_contain_text("from your own z")
    expect(item(paper, "neuron.z").locator("textarea")).not_to_be_editable()
    expect(paper.locator(".solution")).to_be_hidden()
    paper.get_by_role("button", name="Show the solutions").click()
    expect(paper.locator(".solution")).to_contain_text("The secret of it")
    paper.get_by_role("button", name="Change my answers").click()
    expect(paper.locator(".marked")).to_have_count(0)
    expect(paper.locator(".solution")).to_be_hidden()
    fill(paper, {"neuron.z": "-0.400", "neuron.a": "0.401", "neuron.L": "0.914"})
    paper.get_by_role("button", name="Submit").click()
    expect(paper.locator("#marks-title")).to_have_text("3 of 8 marks")


def test_an_answer_is_shown_as_it_is_read(paper: Page) -> None:
    echo = item(paper, "neuron.z").locator(".echo")
    fill(paper, {"neuron.z": "[[1, 2],\n[3, 4]]"})
    expect(echo.locator("mtable.matrix")).to_be_visible()
    expect(echo).to_contain_text("2 × 2")
    fill(paper, {"neuron.z": "w + q"})
    expect(echo).to_contain_text("The sheet has no q")
    fill(paper, {"neuron.z": "??", "neuron.a": "<b>no</b>"})  # both, though typed at once
    expect(echo).to_have_text("This cannot be read.")
    expect(item(paper, "neuron.a").locator(".echo")).to_have_text("This cannot be read.")
    fill(paper, {"neuron.z": "", "neuron.a": "w"})
    expect(echo).to_be_hidden()


def test_hostile_answers_are_text(paper: Page) -> None:
    bad = "<img src=x onerror=alert(1)>"
    fill(paper, {"neuron.z": bad, "neuron.a": "9" * 5000, "neuron.L": "0.914"})
    paper.get_by_role("button", name="Submit").click()
    expect(paper.locator("#marks-title")).to_have_text("1 of 8 marks")
    expect(item(paper, "neuron.z").locator(".verdict")).to_contain_text("unreadable")
    expect(paper.locator("img")).to_have_count(0)


def test_answers_are_there_again_after_a_reload(paper: Page) -> None:
    fill(paper, SLIP)
    item(paper, "neuron.choice(grad(L, z))").locator("input").nth(1).check()
    item(paper, "neuron.match(grad(L, w))").locator("select").nth(2).select_option("B")
    expect(paper.locator("#progress-said")).to_contain_text("5 of 5")
    paper.reload()
    expect(paper.locator("#progress-said")).to_contain_text("5 of 5")
    expect(item(paper, "neuron.a").locator("textarea")).to_have_value("0.354")
    choice = item(paper, "neuron.choice(grad(L, z))").locator("input")
    expect(choice.nth(1)).to_be_checked()
    match = item(paper, "neuron.match(grad(L, w))").locator("select")
    expect(match.nth(2)).to_have_value("B")
    expect(match.nth(0)).to_have_value("")
    paper.get_by_role("button", name="Submit").click()
    expect(paper.locator("body.submitted")).to_have_count(1)
    paper.reload()  # what was handed in is marked again
    expect(item(paper, "neuron.a").locator(".verdict")).to_contain_text("carried on")
    paper.on("dialog", lambda dialog: dialog.accept())
    paper.get_by_role("button", name="Clear all answers").click()
    expect(paper.locator("#progress-said")).to_contain_text("0 of 5")
    paper.reload()
    expect(paper.locator("#progress-said")).to_contain_text("0 of 5")


def test_everything_is_done_by_keyboard(paper: Page) -> None:
    paper.keyboard.press("Tab")
    expect(paper.locator(".jump")).to_be_focused()
    paper.keyboard.press("Enter")
    expect(paper.locator("#questions")).to_be_focused()
    item(paper, "neuron.z").locator("textarea").focus()
    for answer in ("-0.6", "0.354", "1.038"):
        paper.keyboard.type(answer)
        paper.keyboard.press("Enter")  # on to the next line
    choice = item(paper, "neuron.choice(grad(L, z))").locator("input")
    expect(choice.first).to_be_focused()
    paper.keyboard.press("Space")
    expect(choice.first).to_be_checked()
    paper.keyboard.press("ArrowDown")
    expect(choice.nth(1)).to_be_checked()
    paper.keyboard.press("Tab")
    match = item(paper, "neuron.match(grad(L, w))").locator("select")
    expect(match.first).to_be_focused()
    paper.keyboard.press("c")
    expect(match.first).to_have_value("C")
    for _ in range(12):
        paper.keyboard.press("Tab")
        if paper.locator("#submit:focus").count():
            break
    expect(paper.locator("#submit")).to_be_focused()
    paper.keyboard.press("Enter")
    expect(paper.locator("#marks-title")).to_be_focused()
    expect(paper.locator("#said")).to_contain_text("Marked: ")
    paper.keyboard.press("Tab")
    expect(paper.locator("#marks-by a").first).to_be_focused()
    address = paper.url
    paper.keyboard.press("Enter")
    expect(paper.locator("#q-neuron")).to_be_focused()
    expect(paper.locator("#q-neuron h3")).to_be_in_viewport()
    assert paper.url == address  # it holds the paper
    expect(paper.locator("body.submitted")).to_have_count(1)
    paper.get_by_role("button", name="How to write answers").focus()
    paper.keyboard.press("Enter")
    expect(paper.locator("#how")).to_be_visible()


def test_the_script_is_one_that_mark_reads(paper: Page, tmp_path: Path) -> None:
    fill(paper, {**SLIP, "neuron.a": "0.3\n54"})
    item(paper, "neuron.match(grad(L, w))").locator("select").nth(1).select_option("A")
    paper.get_by_label("Your name").fill("Ada Lovelace")
    with paper.expect_download(timeout=PATIENCE) as download:
        paper.get_by_role("button", name="Save as a file").click()
    assert download.value.suggested_filename == "ada-lovelace.txt"
    script = tmp_path / "ada.txt"
    script.write_bytes(download.value.path().read_bytes())
    (tmp_path / "p.md").write_text(NEURON, encoding="utf-8")
    (read,) = read_scripts([script], read_paper(tmp_path / "p.md"))
    assert read.student == "Ada Lovelace" and read.unread == ()
    wanted = {**SLIP, "neuron.a": "0.3 54", "neuron.match(grad(L, w))": "-A-"}
    assert read.answers == wanted


@pytest.mark.parametrize("blank", [WIDE, NARROW], indirect=True, ids=["light", "dark-narrow"])
def test_it_is_accessible_and_fits(paper: Page) -> None:
    source = axe()
    wide = paper.viewport_size["width"]  # type: ignore[index]
    background = paper.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(n) for n in background[4:-1].split(",")) < 150) is (wide == 380)
    paper.get_by_role("button", name="How to write answers").click()
    fill(paper, {**SLIP, "neuron.z": "[[1, 2], [3, 4]]", "neuron.L": "??"})
    expect(item(paper, "neuron.L").locator(".echo")).to_be_visible()
    item(paper, "neuron.choice(grad(L, z))").locator("input").first.check()
    assert faults(paper, source) == []
    paper.get_by_role("button", name="Submit").click()
    expect(paper.locator("body.submitted")).to_have_count(1)
    paper.get_by_role("button", name="Show the solutions").click()
    expect(paper.locator(".solution")).to_contain_text("The secret of it")
    expect(paper.locator("#said")).to_contain_text("The solutions stand")
    assert faults(paper, source) == []
    assert paper.evaluate("document.documentElement.scrollWidth") <= wide


def test_a_link_without_a_paper_offers_some(blank: Page, address: str) -> None:
    blank.goto(f"{address}/take#s=AAAA")
    expect(blank.locator("h1")).to_have_text("The link holds no paper that can be read")
    blank.get_by_role("button", name="A paper on shapes").click()
    expect(blank.locator("body[data-ready]")).to_have_count(1)
    expect(blank.locator("#progress-said")).to_contain_text("0 of 34")
    blank.goto(link(address, "# No paper\n\n```sheet\nx = \n```\n"))
    expect(blank.locator("#fault")).to_be_visible()
    expect(blank.locator("h1")).to_have_text("A paper that cannot be read")
    expect(blank.locator("#bar")).to_be_hidden()


# --- the author ----------------------------------------------------------------------------------


@pytest.fixture
def author(page: Page) -> Page:
    """The editor with a paper in it."""
    write(page, NEURON)
    expect(page.locator("#state")).to_have_text("paper: 1 note")
    return page


def test_a_paper_in_the_editor_is_looked_over(author: Page) -> None:
    expect(author.locator("#tab-paper")).to_have_attribute("aria-selected", "true")
    expect(author.locator("#paper-sum")).to_have_text("One question, 5 lines to answer, 8 marks.")
    expect(author.locator("#paper-key li")).to_have_count(5)
    expect(author.locator("#paper-marks tfoot")).to_contain_text("8")
    write(author, NEURON.replace("claim z == -0.4", "claim z == 0.4"))
    expect(author.locator("#state")).to_have_text("paper: 1 error, 1 note")
    wrong = author.locator("#paper-findings .is-error")
    expect(wrong).to_contain_text("The claim 'z == 0.4' is false")
    wrong.get_by_role("button").click()
    author.keyboard.insert_text("claim z == -0.4")  # over the line, which is selected
    expect(author.locator("#state")).to_have_text("paper: 1 note")
    write(author, NEURON.replace("z = w.T @ x + b", "z = w @ x + b"))
    expect(author.locator("#fault")).to_contain_text("@ cannot combine shapes 2 × 1 and 2 × 1")
    expect(author.locator(".cm-lintRange-error")).to_have_text("@")
    write(author, "given x in R\ny = 2*x\n")
    expect(author.locator("#tab-paper")).to_be_hidden()
    expect(author.locator("#state")).to_have_text("worked")


def test_the_sheet_at_the_cursor_is_worked(author: Page) -> None:
    second = "\n## 2. More\n\n```sheet more\ngiven u in R[3]\nq = sumsq(u)\nclaim q == 1\n```\n"
    write(author, NEURON + second)
    author.locator("#tab-shapes").click()
    shapes = author.locator("#parts")
    expect(shapes.locator('math[aria-label^="q"]').first).to_be_visible()
    author.locator(".cm-content").focus()
    author.keyboard.press("Control+Home")
    expect(shapes.locator('math[aria-label^="z"]').first).to_be_visible()
    author.keyboard.press("Control+End")
    author.locator("#tab-claims").click()
    expect(author.locator("#claims .claim.refuted")).to_have_count(1)
    author.get_by_label("Claim", exact=True).fill("grad(q, u) == 2*u")
    typed = author.locator("#claim-verdict")
    expect(typed.locator(".claim.proved")).to_be_visible()
    typed.get_by_role("button", name="Add to the sheet").click()
    expect(author.locator("#claims .claim.proved")).to_have_count(1)


def test_the_author_takes_the_paper_and_comes_back(author: Page, address: str) -> None:
    author.get_by_role("button", name="Take this paper").click()
    expect(author.locator("body[data-ready]")).to_have_count(1)
    assert author.url.startswith(f"{address}/take#s=")
    expect(author.locator("#progress-said")).to_contain_text("0 of 5")
    author.get_by_role("link", name="Back to the editor").click()
    expect(author.locator("#state")).to_have_text("paper: 1 note")


@pytest.mark.parametrize(
    "blank", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True
)
def test_a_link_for_students_opens_the_paper(author: Page) -> None:
    author.get_by_role("button", name="Copy a link for students").click()
    expect(author.locator("#state")).to_have_text("link copied")
    copied = author.evaluate("navigator.clipboard.readText()")
    student = author.context.new_page()
    student.goto(copied)
    expect(student.locator("body[data-ready]")).to_have_count(1)
    expect(student.locator("#back")).to_be_hidden()
    expect(student.locator("h1")).to_have_text("A small paper")
    student.close()


def test_a_variant_is_drawn_by_its_seed(author: Page, seen: Seen) -> None:
    seed = author.get_by_label("Seed")
    seed.fill("7")
    seed.press("Enter")
    shown = author.locator("#paper-variant")
    expect(shown.locator(".key li")).to_have_count(5)
    first = shown.inner_text()
    seed.fill("8")
    seed.press("Enter")
    expect(shown).not_to_have_text(first)
    expect(shown.locator(".key li")).to_have_count(5)
    seed.fill("x")
    seed.press("Enter")
    expect(shown).to_contain_text("'x' is no seed")
    seed.fill("7")
    seed.press("Enter")
    expect(shown.locator(".key li")).to_have_count(5)
    assert shown.inner_text() == first
    shown.get_by_role("button", name="Take this variant").click()
    expect(author.locator("body[data-ready]")).to_have_count(1)


@pytest.mark.parametrize(
    ("label", "name", "begins"),
    [
        ("Questions (PDF)", "a-small-paper-questions.pdf", b"%PDF-"),
        ("Key", "a-small-paper-key.md", b"# Key"), ("Form", "a-small-paper-form.txt", b"# A small"),
        ("Moodle", "a-small-paper-moodle.xml", b"<?xml"),
        ("QTI 3.0", "a-small-paper-qti-3.0.zip", b"PK"),
        ("Canvas", "a-small-paper-canvas.zip", b"PK"),
    ],
)  # fmt: skip
def test_a_file_of_a_paper_is_saved(author: Page, label: str, name: str, begins: bytes) -> None:
    if "PDF" in label:
        pytest.importorskip("typst", reason="the extra `pdf` is not installed")
    with author.expect_download(timeout=PATIENCE) as download:
        author.locator("#paper-files").get_by_role("button", name=label, exact=True).click()
    assert download.value.suggested_filename == name
    assert download.value.path().read_bytes().startswith(begins)


@pytest.mark.parametrize("blank", [WIDE, NARROW], indirect=True, ids=["light", "dark-narrow"])
def test_the_authors_view_is_accessible_and_fits(author: Page) -> None:
    source = axe()
    seed = author.get_by_label("Seed")
    seed.press("Enter")
    expect(author.locator("#paper-variant .key li")).to_have_count(5)
    assert faults(author, source) == []
    width = author.viewport_size["width"]  # type: ignore[index]
    assert author.evaluate("document.documentElement.scrollWidth") <= width
