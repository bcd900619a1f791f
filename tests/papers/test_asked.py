"""Trees, batches, slow learning and weights of a loss: marked by themselves, errors carried on."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest

from backproof.errors import Source
from backproof.language.markdown import parse_markdown
from backproof.papers.form import form_text
from backproof.papers.key import key_text
from backproof.papers.marking import Line, Marker
from backproof.papers.paper import Paper, paper_of, read_paper
from backproof.papers.scripts import Reader

ROOT = Path(__file__).resolve().parent.parent.parent
EXAM = read_paper(ROOT / "examples" / "exam.md")


def small(sheet: str) -> Paper:
    return paper_of(parse_markdown(Source("p.md", f"```sheet a\n{sheet}\n```\n")))


def marked(paper: Paper, text: str) -> dict[str, Line]:
    lines = Marker(paper).mark(Reader(paper).read(text, "x"))
    return {line.item.partition(".")[2]: line for line in lines if line.answer}


# What stands right below each quantity of the Siamese network, read off its equations by hand.
TREE = """[q07-tree]
below(L) = y, a2
below(a2) = z2
below(z2) = W2, a1, b2
below(a1) = aA1, aB1
below(aA1) = zA1
below(aB1) = zB1
below(zA1) = W1, xA, b1
below(zB1) = b1, W1
paths(W1) = 2
paths(b1) = 2
"""


def test_a_tree_is_marked_by_what_stands_below_each_quantity() -> None:
    lines = marked(EXAM, TREE)
    assert {line.verdict for line in lines.values()} == {"right"} and len(lines) == 10
    assert sum(i.marks for i in EXAM.items if i.id.startswith("q07-tree")) == 10


def test_a_tree_that_is_wrong_earns_its_part_and_is_carried_on() -> None:
    text = TREE.replace("below(zA1) = W1, xA, b1", "below(zA1) = xA, b1")
    text = text.replace("below(a2) = z2", "below(a2) = L").replace("paths(W1) = 2", "paths(W1) = 1")
    lines = marked(EXAM, text)
    assert lines["below(zA1)"].share == Fraction(1, 2)
    assert lines["below(zA1)"].mistake == "a name missing"
    assert (lines["below(a2)"].share, lines["below(a2)"].mistake) == (0, "the tree turned round")
    assert lines["paths(W1)"].share == 0  # below a2 nothing leads to W1 any more
    lines = marked(EXAM, text.replace("below(a2) = L", "below(a2) = z2"))
    assert (lines["paths(W1)"].verdict, lines["paths(W1)"].carried) == ("follows", ("below(zA1)",))
    assert lines["paths(b1)"].verdict == "right"


def test_everything_everywhere_earns_nothing_in_a_tree() -> None:
    names = "L, y, a2, z2, W2, a1, b2, aA1, aB1, zA1, zB1, W1, xA, xB, b1"
    text = "\n".join(f"{row.partition('=')[0]}= {names}" for row in TREE.splitlines()[1:9])
    lines = marked(EXAM, f"[q07-tree]\n{text}\npaths(W1) = see above\n")
    assert all(not line.share for line in lines.values())
    level = marked(EXAM, "[q07-tree]\nbelow(a1) = zA1, zB1\n")["below(a1)"]
    assert (level.share, level.mistake) == (0, "a level left out")


def test_a_batch_is_judged_in_its_own_sheet() -> None:
    lines = marked(EXAM, """[q09-schematic]
ZA1 = W1 @ XA + b1
AA1 = relu(ZA1)
ZB1 = W1 @ XB
AB1 = relu(W1 @ XB)
A1 = AA1 - AB1
batch(L) = sum(l)/m
shape(ZA1) = 3 × m
shape(A2) = (m, 1)
updates(16) = 63
last(16) = 8
updates(64) = 15
""")  # fmt: skip
    wrong = {key for key, line in lines.items() if line.verdict != "right"}
    assert wrong == {"ZB1", "AB1", "shape(A2)", "updates(64)"}
    assert lines["AB1"].verdict == "follows" and lines["ZB1"].share == 0
    assert lines["updates(64)"].mistake == "the last, smaller batch left out"  # 1000 = 15·64 + 40


def test_boxes_of_a_schematic_are_judged_as_equations() -> None:
    text = "[q09-fill-in]\n[1] = ZA1 = W1 @ XA + b1\n[2] = max(0, ZB1)\n[3] = W2.T @ A1\n"
    lines = marked(EXAM, text + "[4] = sum(l)/m\n")
    assert [lines[f"[{k}]"].verdict for k in (1, 2, 3, 4)] == ["right", "right", "wrong", "right"]


X, W2 = (0.9, 0.1, 0.8, 0.2), ((-7, 1, 2), (3, -2, 1), (8, 1, -1), (-2, 6, 1))


def saturated() -> dict[str, float]:
    """Question 10(b) in numbers, worked out by hand in plain floats."""
    rows = ((6, -4, 5, -3, 1), (-5, 2, -6, 1, -1), (1, 1, -1, 0.5, 0))
    z1 = [sum(w * x for w, x in zip(row, (*X, 1), strict=True)) for row in rows]
    a1 = [1 / (1 + math.exp(-z)) for z in z1]
    z2 = [sum(w * a for w, a in zip(row, a1, strict=True)) + b
          for row, b in zip(W2, (1, 0, -1, 2), strict=True)]  # fmt: skip
    a2 = [1 / (1 + math.exp(-z)) for z in z2]
    error = [2 * (a - x) for a, x in zip(a2, X, strict=True)]
    back = [e * a * (1 - a) for e, a in zip(error, a2, strict=True)]
    d1 = [sum(W2[k][i] * back[k] for k in range(4)) * a1[i] * (1 - a1[i]) for i in range(3)]
    size = math.sqrt(sum(x * x for x in X))
    found = {
        "norm(2*(a2 - x))": math.sqrt(sum(e * e for e in error)),
        "slope(z2)": max(a * (1 - a) for a in a2),
        "norm(W2)": math.sqrt(sum(w * w for row in W2 for w in row)),
        "slope(z1)": max(a * (1 - a) for a in a1),
        "norm(x)": size,
        "norm(grad(L, W1))": size * math.sqrt(sum(d * d for d in d1)),
    }
    found["bound(W1)"] = (
        found["norm(2*(a2 - x))"] * found["norm(W2)"] * found["norm(x)"] / 16
    )  # fmt: skip
    return found


def test_slow_learning_in_numbers_with_errors_carried_on() -> None:
    right = saturated()
    text = "[q10b-saturated]\n" + "".join(f"{k} = {v:.4f}\n" for k, v in right.items())
    lines = marked(EXAM, text + "weakest(W1) = sigmoid'(z1)\n")
    assert {line.verdict for line in lines.values()} == {"right"} and len(lines) == 8
    own = right | {"norm(W2)": 2 * right["norm(W2)"]}
    own["bound(W1)"] *= 2
    text = "[q10b-saturated]\n" + "".join(f"{k} = {v:.4f}\n" for k, v in own.items())
    lines = marked(EXAM, text + "weakest(W1) = W2\n")
    assert lines["norm(W2)"].verdict == lines["weakest(W1)"].verdict == "wrong"
    assert (lines["bound(W1)"].verdict, lines["bound(W1)"].carried) == ("follows", ("norm(W2)",))
    text = text.replace(f"{own['norm(W2)']:.4f}", "0.1323")  # a slip that makes it the smallest
    assert marked(EXAM, text + "weakest(W1) = W2\n")["weakest(W1)"].verdict == "follows"


@pytest.mark.parametrize("value", ["0", "1e9"])
def test_norms_that_are_made_up_earn_nothing(value: str) -> None:
    text = "[q10b-saturated]\n" + "".join(f"{key} = {value}\n" for key in saturated())
    lines = marked(EXAM, text + "weakest(W1) = W2\n")
    assert all(not line.share for line in lines.values()), lines


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        ("1/16*norm(W2)*norm(2*(a2 - x))*norm(x)", "right"),
        ("norm(grad(L, W1)) <= norm(W2)*norm(a2 - x)*norm(x)/8", "right"),
        ("1/4*norm(W2)*norm(2*(a2 - x))*norm(x)", "undecided"),  # true, and looser
        ("1/500*norm(W2)*norm(2*(a2 - x))*norm(x)", "wrong"),
        ("1/16*norm(W2)*norm(x)*q", "undecided"),
        ("10**12", "undecided"),
        ("small", "undecided"),
        ("??", "unreadable"),
    ],
)
def test_a_bound_is_right_where_it_holds_and_is_as_tight(bound: str, verdict: str) -> None:
    line = marked(EXAM, f"[q10b-update]\nbound(W1) = {bound}\n")["bound(W1)"]
    assert line.verdict == verdict
    assert (line.share is None) == (verdict == "undecided")


def test_slow_learning_in_symbols() -> None:
    text = "[q10b-update]\nfactors(W1) = D1, W2, D2, a2 - x, x and the rate\nslopes(W1) = 1/16\n"
    lines = marked(EXAM, text.replace(" and the rate", ", alpha"))
    assert {line.verdict for line in lines.values()} == {"right"}
    lines = marked(EXAM, "[q10b-update]\nfactors(W1) = z1, W2, b1\nslopes(W1) = 1/4\n")
    assert lines["factors(W1)"].share == Fraction(1, 5)  # two are right, one does not belong
    assert lines["slopes(W1)"].share == 0


def test_weights_of_a_loss_in_symbols_and_in_numbers() -> None:
    text = "[q05-weighted-logistic]\nweight(1) = {a}\nweight(0) = {b}\n"
    text += "threshold(L) = {b}/({a} + {b})\nratio(L) = {a}/{b}\n"
    lines = marked(EXAM, text.format(a="alpha", b="beta"))
    assert {line.verdict for line in lines.values()} == {"right"}
    lines = marked(EXAM, text.format(a="beta", b="alpha"))
    assert [line.verdict for line in lines.values()] == ["wrong", "wrong", "follows", "follows"]
    lines = marked(EXAM, text.format(a="beta", b="beta"))  # one half, whatever was asked
    assert [bool(line.share) for line in lines.values()] == [False, True, False, False]
    text = text.replace("weighted-logistic", "missed-patient")
    lines = marked(EXAM, text.format(a="1", b="9"))
    assert [line.verdict for line in lines.values()] == ["wrong", "wrong", "follows", "follows"]


def test_balanced_weights_where_the_labels_are_given() -> None:
    paper = small(
        "given y = [1, 0, 0, 0]\ngiven a = [0.5, 0.2, 0.1, 0.4]\ngiven alpha = 2\ngiven beta = 1\n"
        "L = weighted_bce(a, y, alpha, beta)\nask weights L"
    )
    lines = marked(paper, "[a]\nbalanced(1) = 2\nbalanced(0) = 0.6667\nthreshold(L) = 1/3\n")
    assert {line.verdict for line in lines.values()} == {"right"} and len(lines) == 3


def test_what_only_a_person_can_mark_still_waits_for_one() -> None:
    paper = small(
        "given x in R[2]\nlearn W in R[2, 2]\nz = W @ x\nL = sumsq(z)\nask slow W as essay"
    )
    line = marked(paper, "[a]\ntext(1) = when x is small\n")["text(1)"]
    assert line.verdict == "undecided" and line.share is None


def test_too_few_digits_of_what_follows_are_a_smaller_matter_too() -> None:
    paper = small("given x = 3\nlearn w = 0.4\nround 3 each\nz = w*x\nL = exp(-z)\nask forward")
    lines = marked(paper, "[a]\nz = 1.4\nL = 0.25\n")  # exp(-1.4) is 0.2466
    assert lines["z"].verdict == "wrong"
    assert (lines["L"].verdict, lines["L"].share) == ("follows", Fraction(3, 4))


def test_the_form_and_the_key_say_what_is_asked_and_give_nothing_away() -> None:
    form, key = form_text(EXAM), key_text(EXAM)
    assert "# what stands right below z2 in the tree" in form
    assert "sigmoid'(z1)" in form and "a1*(1" not in form.replace(" ", "")
    assert "`below(a1)` (1): `aA1, aB1`" in key and "`threshold(L)`" in key
    assert "text(" not in form
