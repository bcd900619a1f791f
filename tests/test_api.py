"""The Python interface: names, answers, and how they show themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import backproof as bp

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SIAMESE = EXAMPLES / "siamese.sheet"

# What the package promises; a name that goes is a breaking change.
PUBLIC = {
    "Answer",
    "BackproofError",
    "FileProblem",
    "InternalContradiction",
    "LimitExceeded",
    "MissingExtra",
    "NameProblem",
    "NotAvailable",
    "ShapeProblem",
    "Sheet",
    "SheetError",
    "SheetSyntaxError",
    "Step",
    "TrainingStopped",
    "ValueProblem",
    "Verdict",
    "Verified",
    "Worked",
    "Working",
    "__version__",
    "read",
}
METHODS = {
    "ask",
    "batch",
    "check",
    "check_all",
    "compile",
    "fit",
    "forward",
    "given",
    "gradient",
    "learned",
    "loss",
    "shape",
    "shapes",
    "slow",
    "step",
    "text",
    "title",
    "tree",
    "value",
    "weights",
    "work",
    "compile_hessian",
    "compile_hvp",
    "compile_jacobian",
    "export",
}


@pytest.fixture(scope="module")
def siamese() -> bp.Sheet:
    return bp.read(SIAMESE)


def test_public_names_are_complete() -> None:
    assert set(bp.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(bp, name) is not None
    assert set(dir(bp)) >= PUBLIC
    public = {name for name in dir(bp.Sheet) if not name.startswith("_")}
    assert public == METHODS


def test_public_things_are_documented() -> None:
    for name in PUBLIC:
        thing = getattr(bp, name)
        if isinstance(thing, type):
            assert thing.__doc__, name
    for name in METHODS:
        assert getattr(bp.Sheet, name).__doc__, name


def test_unknown_names_are_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bp.nothing


def test_importing_is_cheap() -> None:
    code = (
        "import sys, backproof; print([m for m in ('numpy', 'rich', 'click') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n"


# --- sheets --------------------------------------------------------------------------------------


def test_a_sheet_says_what_it_is(siamese: bp.Sheet) -> None:
    assert siamese.title.startswith("A Siamese network")
    assert siamese.given == ("xA", "xB", "y")
    assert siamese.learned == ("W1", "b1", "W2", "b2")
    assert siamese.loss == "L"
    assert siamese.shape("W1") == (3, 4)
    assert siamese.shape("zA1") == (3,)
    assert siamese.shape("L") == ()
    assert "Siamese" in repr(siamese)
    assert "given xA" in siamese._repr_html_()
    with pytest.raises(bp.BackproofError, match="has no 'Q'"):
        siamese.shape("Q")


def test_symbolic_shapes() -> None:
    sheet = bp.Sheet("given X in R[N, d]\nlearn w in R[d]\nz = X @ w\n")
    assert sheet.shape("z") == ("N",)


def test_a_broken_sheet_raises_with_its_place() -> None:
    with pytest.raises(bp.NameProblem, match=r"sheet:2:5: Unknown name 'y'"):
        bp.Sheet("given x in R\nz = y\n")
    with pytest.raises(bp.ShapeProblem):
        bp.Sheet("given x in R[3]\nlearn W in R[2, 4]\nz = W @ x\n")
    with pytest.raises(bp.FileProblem, match="There is no file"):
        bp.read("nothing.sheet")


def test_a_sheet_of_a_paper() -> None:
    sheet = bp.read(EXAMPLES / "exam.md", "q07-tree")
    assert sheet.title.startswith("Question 7")
    with pytest.raises(bp.FileProblem, match="q07-tree"):
        bp.read(EXAMPLES / "exam.md")
    with pytest.raises(bp.FileProblem, match="no one sheet 'q99'"):
        bp.read(EXAMPLES / "exam.md", "q99")
    with pytest.raises(bp.NameProblem, match="defined twice"):
        bp.read(EXAMPLES / "exam.md", "q06-as-printed")


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        (lambda s: s.shapes(), "shapes"),
        (lambda s: s.shapes("zA1", "W1 @ xA"), "shapes zA1, W1 @ xA"),
        (lambda s: s.forward(), "forward"),
        (lambda s: s.tree(), "tree L"),
        (lambda s: s.tree("a1"), "tree a1"),
        (lambda s: s.gradient("L", "W1"), "gradient L wrt W1"),
        (lambda s: s.gradient("L", ["b1", "b2"]), "gradient L wrt b1, b2"),
        (lambda s: s.gradient(), "gradient L wrt W1, b1, W2, b2"),
        (lambda s: s.step("W1", rate=0.01), "step W1 rate 0.01"),
        (lambda s: s.step(rate=0.01), "step W1, b1, W2, b2 rate 0.01"),
        (lambda s: s.batch("b"), "batch b"),
        (lambda s: s.batch("b", rows=True), "batch b rows"),
        (lambda s: s.slow("W1"), "slow W1"),
        (lambda s: s.ask("gradient L wrt zA1"), "gradient L wrt zA1"),
    ],
)
def test_answers(question, asked: str, siamese: bp.Sheet) -> None:  # type: ignore[no-untyped-def]
    answer = question(siamese)
    assert isinstance(answer, bp.Answer)
    assert answer.asked == asked
    assert len(answer) == len(answer.steps) > 0
    assert all(isinstance(step, bp.Step) for step in answer)
    assert f"ask {asked}".split()[1] in repr(answer)
    assert max(map(len, repr(answer).splitlines())) <= 80
    assert answer._repr_html_().startswith("<div")
    assert json.loads(answer.json())["ask"] == asked
    assert answer.tex().strip()
    assert answer.tex(standalone=True).startswith(r"\documentclass")


def test_values() -> None:
    sheet = bp.Sheet("given x = [1, 2]\nlearn w = [3, 4]\nz = w.T @ x\n")
    assert "z = 11" in repr(sheet.forward())
    assert "12" in repr(sheet.value("z + 1"))


def test_questions_do_not_change_the_sheet(siamese: bp.Sheet) -> None:
    before = siamese.text
    siamese.gradient("L", "W1")
    siamese.check("L >= 0")
    assert siamese.text == before
    assert len(siamese.check_all()) == 1


def test_errors_point_into_the_question(siamese: bp.Sheet) -> None:
    with pytest.raises(bp.NameProblem) as caught:
        siamese.value("z2 + Q")
    assert str(caught.value).startswith("(asked):1:16: Unknown name 'Q'")
    with pytest.raises(bp.ShapeProblem) as wrong:
        siamese.shapes("W1 @ y @ xA.T @ W1")
    assert str(wrong.value).startswith("(asked):1:")
    with pytest.raises(bp.SheetSyntaxError) as broken:
        siamese.check("L ==")
    assert "claim L ==" in str(broken.value)


def test_no_data_are_told(siamese: bp.Sheet) -> None:
    with pytest.raises(bp.ValueProblem, match="There is no data for XA, XB, Y"):
        siamese.fit()


# --- verdicts ------------------------------------------------------------------------------------


def test_a_claim_that_holds(siamese: bp.Sheet) -> None:
    verdict = siamese.check("grad(L, z2) == a2 - y")
    assert isinstance(verdict, bp.Verdict)
    assert verdict
    assert verdict.verdict in ("proved", "agrees")
    assert repr(verdict).startswith(verdict.verdict)
    assert verdict.line == 1


def test_a_claim_that_does_not(siamese: bp.Sheet) -> None:
    verdict = siamese.check("grad(L, z2) == y - a2")
    assert not verdict
    assert verdict.verdict == "refuted"
    assert verdict.counterexample is not None
    assert "refuted" in repr(verdict)
    assert "at xA" in repr(verdict)
    assert json.loads(verdict.json())["verdict"] == "refuted"
    assert "refuted" in verdict._repr_html_()
    assert "refuted" in verdict.tex()


def test_a_claim_that_does_not_fit(siamese: bp.Sheet) -> None:
    assert siamese.check("W1 @ xB == xA").verdict == "refuted"


def test_a_whole_sheet(siamese: bp.Sheet) -> None:
    worked = siamese.work()
    assert isinstance(worked, bp.Worked)
    assert [answer.asked for answer in worked.answers] == ["tree L", "gradient L wrt W1"]
    assert all(worked.verdicts)
    assert "ask tree L" in repr(worked)
    assert json.loads(worked.json()).keys() == {"name", "title", "asks", "claims", "error"}
    assert worked.tex(standalone=True).rstrip().endswith(r"\end{document}")


def test_without_asks_everything_is_answered() -> None:
    sheet = bp.Sheet("given x in R[3]\nlearn w in R[3], b in R\nz = w.T @ x + b\nL = z**2\n")
    asked = [answer.asked for answer in sheet.work().answers]
    assert asked == ["shapes", "forward", "tree L", "gradient L wrt w", "gradient L wrt b"]
