"""The live page in a real browser: what is typed, seen, heard and pressed."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect

from .browser import STILL, Seen, axe, faults, saved, write

# A browser on a busy machine may miss a key or a frame; a fault of ours fails every time.
pytestmark = pytest.mark.flaky(reruns=2)

LOGISTIC = """given x in R[3]
given y in {0, 1}
learn w in R[3], b in R
z = w.T @ x + b
a = sigmoid(z)
L = -(y*log(a) + (1 - y)*log(1 - a))
"""
HEAVY = """given x in R[900]
learn W in R[900, 900]
z = W @ x
L = sumsq(tanh(W @ tanh(W @ z)))
claim inv(W) @ W @ W @ W == W @ W @ W @ inv(W)
"""


def test_a_typed_sheet_shows_its_gradient(page: Page) -> None:
    write(page, "")
    page.keyboard.type("given x in R[3]\nlearn w in R[3]\nz = w.T @ x\nL = z**2\n", delay=4)
    page.keyboard.type("ask gradient L wrt w", delay=4)
    expect(page.locator("#parts")).to_contain_text("ask gradient L wrt w")
    formulas = page.locator('#parts math[aria-label*="derivative of L with respect to w"]')
    expect(formulas.first).to_be_visible()
    page.locator("#tab-gradient").click()
    expect(page.locator("#parts .step.result").last).to_be_visible()
    page.locator("#tab-batch").click()
    expect(page.locator("#parts svg").first).to_be_visible()


def test_a_keystroke_is_answered_within_300_ms(page: Page) -> None:
    """From the keystroke to the whole answer on the page, the pause after it included."""
    write(page, LOGISTIC + "ask gradient L wrt w\nclaim grad(L, z) == a - y\n")
    expect(page.locator("#parts")).to_contain_text("ask gradient L wrt w")
    expect(page.locator("#state")).to_have_text("claims: 1 proved")
    for number in range(12):
        page.keyboard.insert_text(f"ask value {number} + {number}\n")
        expect(page.locator("#parts")).to_contain_text(f"ask value {number} + {number}")
    taken = page.evaluate(
        "performance.getEntriesByName('answered').slice(-12).map(e => e.duration)"
    )
    # The goal is 300 ms, which the benchmark measures; here other tests run beside this one.
    assert len(taken) == 12 and sorted(taken)[6] < 3000, taken


def test_an_error_is_underlined_at_its_place(page: Page) -> None:
    write(page, "given x in R[3]\nlearn w in R[3]\nz = w @ x\n")
    wave = page.locator(".cm-lintRange-error")
    expect(wave).to_have_text("@")
    expect(page.locator("#fault")).to_contain_text("@ cannot combine shapes 3 × 1 and 3 × 1")
    expect(page.locator("#said")).to_contain_text("Error in line 3")
    page.get_by_role("button", name="Go to line 3").click()
    page.keyboard.insert_text(".T @")  # over the sign, which is selected
    expect(wave).to_have_count(0)
    expect(page.locator("#fault")).to_be_hidden()


def test_a_refuted_claim_shows_its_repair(page: Page) -> None:
    write(page, LOGISTIC + "claim grad(L, w) == (y - a)*x\n")
    claim = page.locator("#claims .claim.refuted")
    expect(claim).to_contain_text("instead:")
    expect(page.locator(".cm-verdict")).to_have_text("refuted")
    claim.get_by_role("button", name="Put this repair into the sheet").click()
    expect(page.locator("#claims .claim.proved")).to_be_visible()
    expect(page.locator(".cm-content")).to_contain_text("claim grad(L, w) == (a - y)*x")


def test_a_claim_can_be_typed_beside_the_sheet(page: Page) -> None:
    page.locator("#tab-claims").click()
    page.get_by_label("Claim", exact=True).fill("grad(L, z2) == y - a2")
    typed = page.locator("#claim-verdict")
    expect(typed.locator(".claim.refuted")).to_contain_text("left − right")
    typed.get_by_role("button", name="Take this repair").click()
    expect(typed.locator(".claim.proved")).to_be_visible()
    typed.get_by_role("button", name="Add to the sheet").click()
    expect(page.locator("#claims .claim.proved")).to_have_count(2)


def test_a_name_says_its_shape_and_value(page: Page) -> None:
    write(page, "given x = [1, 2]\nlearn w in R[2]\nw = [3, 4]\nL = w.T @ x\n")
    expect(page.locator("#state")).to_have_text("worked")
    page.locator(".cm-line").last.click()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    expect(page.locator("#here")).to_have_text("L a number, 11")
    page.locator(".cm-line").nth(3).hover(position={"x": 12, "y": 10})
    expect(page.locator(".cm-name")).to_contain_text("a number")


def test_names_and_functions_are_completed(page: Page) -> None:
    write(page, LOGISTIC)
    expect(page.locator("#state")).to_have_text("worked")
    page.keyboard.type("g = sigm")
    option = page.locator(".cm-tooltip-autocomplete li[aria-selected]")
    expect(option).to_contain_text("sigmoid")
    page.wait_for_timeout(400)  # a completion that has only just come up is not taken by Enter
    page.keyboard.press("Enter")
    expect(page.locator(".cm-content")).to_contain_text("g = sigmoid()")


def test_everything_is_done_by_keyboard(page: Page) -> None:
    page.locator(".cm-content").focus()
    page.keyboard.press("Tab")  # leaves the editor
    expect(page.locator("#tab-working")).to_be_focused()
    for expected in ("shapes", "values", "tree"):
        page.keyboard.press("ArrowRight")
        expect(page.locator(f"#tab-{expected}")).to_be_focused()
    expect(page.locator("g.node").first).to_be_visible()
    expect(page.locator("#state")).to_have_text("worked")
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.locator("g.node:focus").count():
            break
    expect(page.locator("g.node:focus")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".about h3")).to_contain_text("L")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator(".about .step").first).to_be_visible()
    page.locator("#examples-open").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#examples")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".cm-content")).to_contain_text("sigmoid")
    # The editor takes the focus a moment after the sheet is in it. (What Playwright waits for by a
    # function is evaluated in the page, which its policy forbids; an expected locator is not.)
    expect(page.locator("#editor:focus-within")).to_have_count(1)


def test_long_work_shows_progress_and_is_stopped(page: Page) -> None:
    write(page, HEAVY)
    expect(page.locator("#stop")).to_be_visible()
    expect(page.locator("#progress")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#state")).to_have_text("stopped")
    expect(page.locator("#stop")).to_be_hidden()
    write(page, LOGISTIC + "claim grad(L, z) == a - y\n")
    expect(page.locator("#state")).to_have_text("claims: 1 proved")


def test_a_link_and_a_file_hold_the_sheet(page: Page, browser: Browser, address: str) -> None:
    text = LOGISTIC + "# σ, 😀\nclaim grad(L, z) == a - y\nclaim grad(L, w) == (a - y)*x\n"
    write(page, text)
    expect(page.locator("#state")).to_have_text("claims: 2 proved")
    page.get_by_role("button", name="Share").click()
    expect(page.locator("#state")).to_contain_text("link")
    link = page.url
    assert link.startswith(f"{address}/#s=") and len(link) < 400
    other = browser.new_page()
    other.goto(link)
    expect(other.locator(".cm-content")).to_contain_text("# σ, 😀")
    other.close()
    assert saved(page, "Sheet").decode() == text


@pytest.mark.parametrize(
    ("form", "begins", "ending"),
    [
        ("Page (HTML)", b"<!DOCTYPE html>", ".html"), ("LaTeX", b"\\documentclass", ".tex"),
        ("Data (JSON)", b"{", ".json"), ("PDF", b"%PDF-", ".pdf"),
    ],
)  # fmt: skip
def test_a_working_is_downloaded(page: Page, form: str, begins: bytes, ending: str) -> None:
    if form == "PDF":
        pytest.importorskip("typst", reason="the extra `pdf` is not installed")
    write(page, "# A small sum\n" + LOGISTIC + "claim grad(L, z) == a - y\n")
    expect(page.locator("#title")).to_have_text("A small sum")
    content = saved(page, form, f"a-small-sum{ending}")
    assert content.startswith(begins) and len(content) > 500
    if form == "PDF":
        assert content.rstrip().endswith(b"%%EOF")
    else:
        assert b"A small sum" in content


def test_what_cannot_be_downloaded_says_why(page: Page, seen: Seen) -> None:
    write(page, "given x in R[3]\ny = 2*q\n")
    expect(page.locator("#fault")).to_be_visible()
    page.locator("#download summary").click()
    page.get_by_role("button", name="LaTeX", exact=True).click()
    expect(page.locator("#state.fails")).to_contain_text("Unknown name 'q'")
    seen.refused(1)


@pytest.mark.parametrize("link", ["#s=AAAA", "#s=", "#nothing", "#s=" + "q" * 4000])
def test_a_link_that_holds_no_sheet_opens_an_example(page: Page, address: str, link: str) -> None:
    other = page.context.new_page()
    other.goto(address + "/" + link)
    expect(other.locator("#parts .ask").first).to_be_visible()
    other.close()


def test_a_link_in_an_open_page_replaces_the_sheet(page: Page, address: str) -> None:
    write(page, "given x in R\ny = 2*x\n")
    expect(page.locator("#state")).to_have_text("worked")
    page.get_by_role("button", name="Share").click()
    expect(page.locator("#state")).to_contain_text("link")
    link = page.url
    write(page, LOGISTIC)
    expect(page.locator(".cm-content")).to_contain_text("sigmoid")
    page.evaluate("location.hash = ''")
    page.evaluate("link => { location.href = link }", link)
    expect(page.locator(".cm-content")).not_to_contain_text("sigmoid")
    expect(page.locator(".cm-content")).to_contain_text("y = 2*x")


def test_a_data_file_is_given_to_the_page(page: Page) -> None:
    page.locator("#files summary").click()
    chosen = page.locator("#file")
    chosen.set_input_files({"name": "n.csv", "mimeType": "text/csv", "buffer": b"1,2\n3,4\n"})
    expect(page.locator("#file-list li")).to_contain_text("n.csv n 2 × 2")
    write(page, 'given X = file("n.csv")\ns = sum(X)\nclaim s == 10\nclaim 2*s == 20\n')
    expect(page.locator("#state")).to_have_text("claims: 2 proved")
    page.reload()  # the page is the same one, so that its files are there still
    expect(page.locator("#state")).to_have_text("claims: 2 proved")
    page.locator("#files summary").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#file-list li")).to_have_count(0)
    expect(page.locator("#fault")).to_contain_text("There is no file 'n.csv'")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npy", b"\x93NUMPY broken", "cannot be read"),
        ("a.exe", b"MZ", "is not the name of a data file"),
        ("a.csv", b"a,b\nc,d\n", "a.csv"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    page: Page, seen: Seen, name: str, content: bytes, said: str
) -> None:
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    page.locator("#file").set_input_files(file)  # type: ignore[arg-type]
    expect(page.locator("#state.fails")).to_contain_text(said)
    expect(page.locator("#file-list li")).to_have_count(0)
    seen.refused(1)


@pytest.mark.parametrize(
    "blank",
    [
        {"color_scheme": "light", "viewport": {"width": 1200, "height": 800}, **STILL},
        {"color_scheme": "dark", "viewport": {"width": 380, "height": 800}, **STILL},
    ],
    indirect=True,
    ids=["light", "dark-narrow"],
)
def test_it_is_accessible_and_fits(page: Page) -> None:
    dark = page.viewport_size is not None and page.viewport_size["width"] == 380
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(n) for n in paper[4:-1].split(",")) < 150) is dark
    source = axe()
    write(page, LOGISTIC + "ask tree L\nclaim grad(L, w) == (y - a)*x\n")
    expect(page.locator("#claims .claim.refuted")).to_contain_text("instead:")
    for view in ("working", "tree", "gradient", "claims"):
        page.locator(f"#tab-{view}").click()
        expect(page.locator("#parts .ask, #claims .claim").first).to_be_visible()
        expect(page.locator("#panel .stale")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
        assert faults(page, source) == []
    page.locator("#examples-open").click()
    assert faults(page, source) == []
