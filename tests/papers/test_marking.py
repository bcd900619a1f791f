"""One script on a paper: what is right, what follows, what earns nothing, and why."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from tests.papers.classroom import faults, students

from backproof.errors import Source
from backproof.language.markdown import parse_markdown
from backproof.papers.marking import Line, Marker, Scheme
from backproof.papers.paper import Paper, paper_of, read_paper
from backproof.papers.scripts import Reader

ROOT = Path(__file__).resolve().parent.parent.parent

PAPER = """# Small

```sheet a
given x = [1, 2]
given y = 1
learn W = [[0.3, -0.1], [0.2, 0.4]]
learn v = [0.5, -0.4]
{rounding}
z = W @ x
h = tanh(z)
s = v.T @ h
p = sigmoid(s)
L = -log(p)
ask forward marks 5
ask gradient L wrt s, v marks 2
ask shapes z, W marks 2
```

```sheet b
given x in R[n]
given y in R
learn w in R[n]
s = w.T @ x
L = (s - y)**2
ask forward marks 2
ask gradient L wrt w marks 2
ask shapes grad(L, w) marks 1
ask tree L as essay marks 3
```
"""


def paper(rounding: str = "round 3 each") -> Paper:
    return paper_of(parse_markdown(Source("small.md", PAPER.replace("{rounding}", rounding))))


def marked(text: str, rounding: str = "round 3 each", **scheme: Fraction) -> dict[str, Line]:
    made = paper(rounding)
    script = Reader(made).read(text, "Ada")
    return {line.item: line for line in Marker(made, Scheme(**scheme)).mark(script)}


RIGHT = """[a]
z = [0.1, 1.0]
h = [0.100, 0.762]
s = -0.255
p = 0.437
L = 0.828
grad(L, s) = -0.563
grad(L, v) = [-0.056, -0.429]
shape(z) = (2,)
shape(W) = 2 × 2
"""


def test_a_right_script_gets_every_mark_and_says_what_is_accepted() -> None:
    lines = marked(RIGHT)
    assert {v.verdict for k, v in lines.items() if k.startswith("a.")} == {"right"}
    assert "Accepted" in lines["a.p"].reason


def test_one_slip_costs_once() -> None:
    text = RIGHT.replace("[0.100, 0.762]", "[0.100, 0.962]").replace("-0.255", "-0.335")
    text = text.replace("0.437", "0.417").replace("0.828", "0.875").replace("-0.563", "-0.583")
    text = text.replace("[-0.056, -0.429]", "[-0.058, -0.561]")
    lines = marked(text)
    assert lines["a.h"].verdict == "wrong"
    for name in ("s", "p", "L", "grad(L, s)", "grad(L, v)"):
        assert lines[f"a.{name}"].verdict == "follows", lines[f"a.{name}"]
    assert lines["a.s"].carried == ("h",)


def test_two_slips_are_told_apart() -> None:
    text = RIGHT.replace("[0.100, 0.762]", "[0.100, 0.962]").replace("-0.255", "-0.335")
    lines = marked(text.replace("0.437", "0.917").replace("0.828", "0.087"))
    assert [lines[f"a.{n}"].verdict for n in "zhspL"] == [
        "right", "wrong", "follows", "wrong", "follows",
    ]  # fmt: skip


def test_the_true_path_is_right_below_a_wrong_line() -> None:
    lines = marked(RIGHT.replace("[0.100, 0.762]", "[0.4, 0.962]"))
    assert lines["a.h"].verdict == "wrong"
    assert lines["a.s"].verdict == lines["a.L"].verdict == "right"


@pytest.mark.parametrize("h", ["[0, 0]", "[5000, 5000]", "[1.0, -1.0]"])
def test_what_makes_the_rest_trivial_earns_no_follow_through(h: str) -> None:
    values = {"[0, 0]": ("0", "0.5", "0.693"), "[5000, 5000]": ("500", "1", "0"),
              "[1.0, -1.0]": ("0.9", "0.711", "0.341")}[h]  # fmt: skip
    text = f"[a]\nz = [0.1, 1.0]\nh = {h}\ns = {values[0]}\np = {values[1]}\nL = {values[2]}\n"
    lines = marked(text)
    assert lines["a.z"].verdict == "right"
    for name in "spL":
        assert lines[f"a.{name}"].share == 0, lines[f"a.{name}"]
    assert lines["a.s"].verdict == "no follow-through"
    assert "h" in lines["a.s"].reason


def test_blank_and_unreadable_lines_block_nothing() -> None:
    text = "[a]\nz = [0.1, 1.0]\nh = ??\ns =\np = 0.437\nL = 0.828\n"
    lines = marked(text)
    assert lines["a.h"].verdict == "unreadable"
    assert lines["a.s"].verdict == "blank"
    assert lines["a.p"].verdict == lines["a.L"].verdict == "right"


def test_full_precision_is_inside_and_a_mistake_is_outside() -> None:
    lines = marked("[a]\nL = 0.8272\np = 0.4372\n")
    assert lines["a.L"].verdict == lines["a.p"].verdict == "right"
    assert marked("[a]\nL = 0.84\n")["a.L"].verdict == "wrong"


def test_too_few_digits_are_a_smaller_matter() -> None:
    lines = marked("[a]\nL = 0.8\np = 0.44\n", digits=Fraction(1, 10))
    assert lines["a.L"].verdict == "digits" and lines["a.L"].share == Fraction(9, 10)
    assert marked("[a]\nL = 0.9\n")["a.L"].verdict == "wrong"


def test_rounding_early_against_the_policy_is_named() -> None:
    early = marked("[a]\nL = 0.83\n", "round 2 end")["a.L"]
    assert early.verdict == "right"
    found = marked("[a]\nL = 0.82\n", "round 2 end")["a.L"]
    assert (found.verdict, found.mistake) == ("rounded early", "rounded early")


def test_shapes_are_marked_apart_from_values() -> None:
    lines = marked("[a]\nshape(z) = (1, 2)\nz = [[0.1, 1.0]]\nshape(W) = (2, 2, 2)")
    assert lines["a.shape(z)"].verdict == "wrong"
    assert "turned round" in lines["a.z"].reason and lines["a.z"].share == 1
    assert lines["a.shape(W)"].verdict == "wrong"
    wrong = marked("[a]\nz = [[0.1, 1.0], [1, 2]]")["a.z"]
    assert (wrong.verdict, wrong.mistake) == ("shape", "the shape")


def test_symbols_are_judged_and_their_mistakes_named() -> None:
    text = "[b]\ns = x.T @ w\nL = (s - y)*(s - y)\ngrad(L, w) = 2*(s - y)*x\n"
    text += "shape(grad(L, w)) = n\n"
    lines = marked(text)
    assert {lines[f"b.{k}"].verdict for k in ("s", "L", "grad(L, w)", "shape(grad(L, w))")} == {
        "right"
    }
    wrong = marked(text.replace("2*(s - y)*x", "(s - y)*x"))["b.grad(L, w)"]
    assert wrong.verdict == "wrong" and wrong.mistake
    assert "2 * (s - y) * x" in wrong.reason


def test_an_equation_that_is_wrong_is_carried_forward() -> None:
    lines = marked("[b]\ns = 2*w.T @ x\nL = (s - y)**2\ngrad(L, w) = 4*(s - y)*x\n")
    assert [lines[f"b.{k}"].verdict for k in ("s", "L", "grad(L, w)")] == [
        "wrong", "right", "follows",
    ]  # fmt: skip
    trivial = marked("[b]\ns = 0\nL = y**2\ngrad(L, w) = 0*x\n")
    assert trivial["b.grad(L, w)"].share == 0


def test_what_cannot_be_decided_waits_for_a_person() -> None:
    lines = marked("[b]\ngrad(L, w) = 2*(s - y)*q\ntext(4) = L at the top, w and x below\n")
    assert lines["b.grad(L, w)"].verdict == "undecided"
    assert lines["b.grad(L, w)"].share is None
    assert lines["b.text(4)"].share is None


@pytest.mark.parametrize(
    "answer",
    ["grad(L, w)", "9**9**9**9*x", "ones(99999, 99999) @ x", "1e9999999*x", "(" * 4000, "x" * 3999,
     "kron(kron(kron(kron(x, x), x), x), x)", "sum(x[i] for i in 1..999999999)", "\0\0", "L = L"],
)  # fmt: skip
def test_hostile_answers_earn_nothing_and_cost_little(answer: str) -> None:
    line = marked(f"[b]\ngrad(L, w) = {answer}\n")["b.grad(L, w)"]
    assert not line.share


def test_an_answer_that_would_fill_the_memory_is_not_evaluated() -> None:
    exam = read_paper(ROOT / "examples" / "exam.md")
    text = "[q01-gradient]\ngrad(L, W) = Xb.T @ (P - Y)/N + 2*lambda*W\n"
    sheet = "given X in R[3000, 2000]\nlearn w in R[2000]\nL = sumsq(X @ w)\nask gradient L wrt w"
    large = paper_of(parse_markdown(Source("l.md", f"```sheet a\n{sheet}\n```\n")))
    huge = "grad(L, w) = sum(outer(vec(X), vec(X)))*w"
    for made, script, verdict in ((exam, text, "right"), (large, huge, "undecided")):
        lines = Marker(made).mark(Reader(made).read(script, "x"))
        assert [n.verdict for n in lines if n.answer] == [verdict]


def test_numeric_mistakes_are_named_by_the_repair_search() -> None:
    lines = marked("[a]\nz = [0.7, 0.7]\nL = -0.828\n")
    assert lines["a.z"].mistake.startswith("a transpose")
    assert lines["a.L"].mistake == "a sign"


def test_a_mistake_is_not_explained_by_what_is_worked_out_later() -> None:
    """-0.211 is s times L, which is built on s; p and L cannot have been used for it."""
    mistake = marked("[a]\nz = [0.1, 1]\nh = [0.100, 0.762]\ns = -0.211\n")["a.s"].mistake
    assert not re.search(r"\b[Lp]\b", mistake)


def test_a_script_may_be_read_in_many_ways() -> None:
    made = paper()
    script = Reader(made).read(
        "student: Ada\n## b ##\n∂L/∂w = 2*(s - y)*x\n[a]\nh = [[0.1],\n [0.762]]\nh2 = 3\n", "x"
    )
    assert script.student == "Ada"
    assert script.answers == {"b.grad(L, w)": "2*(s - y)*x", "a.h": "[[0.1], [0.762]]"}
    assert script.unread == ("h2 = 3",)


def test_a_made_up_class_is_marked_without_a_fault() -> None:
    made = read_paper(ROOT / "examples" / "paper.md")
    marker, reader = Marker(made), Reader(made)
    wrong: list[str] = []
    for student in students(60, seed=3):
        lines = marker.mark(reader.read(student.text, student.name))
        found = {n.item: (n.verdict, None if n.share is None else float(n.share)) for n in lines}
        wrong += [f"{student.name}: {fault}" for fault in faults(student.truth, found)]
    assert wrong == []


def test_a_made_up_class_of_the_exam_is_marked_without_a_fault() -> None:
    from tests.papers.examination import EXAM

    made = read_paper(ROOT / "examples" / "exam.md")
    marker, reader = Marker(made), Reader(made)
    wrong: list[str] = []
    for student in students(60, seed=5, works=EXAM):
        lines = marker.mark(reader.read(student.text, student.name))
        found = {n.item: (n.verdict, None if n.share is None else float(n.share)) for n in lines}
        wrong += [f"{student.name}: {fault}" for fault in faults(student.truth, found)]
    assert wrong == []
