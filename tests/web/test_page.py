"""The live page in a real browser: what is typed, seen, heard and pressed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect, sync_playwright

from .browser import FLAGS, axe, chromium, served

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


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Seen:
    """What a page asked for and complained about."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.faults: list[str] = []


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture(params=[{}])
def page(request: Any, browser: Browser, address: str, seen: Seen) -> Iterator[Page]:
    """The page as it opens, with an example in it; afterwards nothing may have gone wrong in it."""
    context = browser.new_context(**request.param)
    page = context.new_page()
    page.set_default_timeout(10_000)
    context.on("request", lambda r: seen.requests.append(r.url))
    page.on("pageerror", lambda e: seen.faults.append(str(e)))
    page.on("console", lambda m: seen.faults.append(m.text) if m.type == "error" else None)
    page.goto(address)
    expect(page.locator("#state")).to_contain_text("1 proved", timeout=15_000)
    yield page
    context.close()
    assert seen.faults == []
    outside = [url for url in seen.requests if not url.startswith((address, "data:", "blob:"))]
    assert outside == [] and seen.requests


def write(page: Page, text: str) -> None:
    """Puts a text in place of the whole sheet, as pasting does."""
    page.locator(".cm-content").focus()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(text)


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
    expect(page.locator("#state")).to_have_text("claims: 1 proved")
    for number in range(12):
        page.keyboard.insert_text(f"ask value {number} + {number}\n")
        expect(page.locator("#parts")).to_contain_text(f"ask value {number} + {number}")
    taken = page.evaluate(
        "performance.getEntriesByName('answered').slice(-12).map(e => e.duration)"
    )
    # The goal is 300 ms; a machine that runs other tests beside this one is allowed more.
    assert sorted(taken)[len(taken) // 2] < 600, taken


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
    page.wait_for_timeout(100)  # a completion that has only just come up is not taken by Enter
    page.keyboard.press("Enter")
    expect(page.locator(".cm-content")).to_contain_text("g = sigmoid()")


def test_everything_is_done_by_keyboard(page: Page) -> None:
    page.locator(".cm-content").focus()
    page.keyboard.press("Tab")  # leaves the editor
    focused = "document.activeElement.id"
    assert page.evaluate(focused) == "tab-working"
    for expected in ("tab-shapes", "tab-values", "tab-tree"):
        page.keyboard.press("ArrowRight")
        assert page.evaluate(focused) == expected
    node = page.locator("g.node").first
    expect(node).to_be_visible()
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('node')"):
            break
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
    # the editor takes the focus a moment after the sheet is in it
    page.wait_for_function("document.activeElement.closest('#editor') !== null")


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
    text = LOGISTIC + "# σ, 😀\nclaim grad(L, z) == a - y\n"
    write(page, text)
    expect(page.locator("#state")).to_have_text("claims: 1 proved")
    page.get_by_role("button", name="Share").click()
    expect(page.locator("#state")).to_contain_text("link")
    link = page.url
    assert link.startswith(f"{address}/#s=") and len(link) < 400
    other = browser.new_page()
    other.goto(link)
    expect(other.locator(".cm-content")).to_contain_text("# σ, 😀")
    other.close()
    page.locator("#download summary").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Sheet", exact=True).click()
    assert download.value.path().read_text(encoding="utf-8") == text
    page.locator("#download summary").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="LaTeX", exact=True).click()
    assert download.value.path().read_text(encoding="utf-8").startswith("\\documentclass")


def test_a_data_file_is_given_to_the_page(page: Page) -> None:
    page.locator("#files summary").click()
    file = {"name": "n.csv", "mimeType": "text/csv", "buffer": b"1,2\n3,4\n"}
    page.locator("#file").set_input_files([file])  # type: ignore[list-item]
    expect(page.locator("#file-list")).to_contain_text("n.csv")
    write(page, 'given X = file("n.csv")\ns = sum(X)\nclaim s == 10\n')
    expect(page.locator("#state")).to_have_text("claims: 1 proved")


@pytest.mark.parametrize(
    "page",
    [
        {"color_scheme": "light", "viewport": {"width": 1200, "height": 800}},
        {"color_scheme": "dark", "viewport": {"width": 380, "height": 800}},
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
        expect(page.locator("#panel .stale")).to_have_count(0)
        page.wait_for_timeout(350)  # until faded in: contrast is judged as it is then
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
        assert faults(page, source) == []
    page.locator("#examples-open").click()
    assert faults(page, source) == []


def faults(page: Page, source: str) -> list[str]:
    """What axe-core finds serious or critical."""
    page.evaluate(f"() => {{ if (!window.axe) {{ {source} }} }}")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{v['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for v in found
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"][:3]
    ]
