"""Workings, verdicts and reports as lines of a terminal."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest

from backproof.language.files import read_sheets
from backproof.render.document import prose, report_lines
from backproof.render.drawings.labels import shape_said
from backproof.render.lines import cells, plain
from backproof.render.table import check_lines
from backproof.render.terminal import shape_text, show, summary, working_lines
from backproof.render.verdicts import claims_lines, counts, value_text, verdict_lines
from backproof.working.checking import FileVerdicts
from backproof.working.claims import Counterexample, Verdict
from backproof.working.report import statements_of, work_file
from backproof.working.steps import Step, Verified, Working

EXAM = Path(__file__).resolve().parents[2] / "examples" / "exam.md"
HOW = Verified("numeric differentiation", 3)
WORKING = Working(
    "gradient L wrt W1",
    (
        Step("paths", "Two paths lead from L to W1:", kind="heading"),
        Step("W1", "L → a2 → W1", kind="path", depth=1),
        Step("∂L/∂W1", "∂L/∂W1 = (a2 - y)*x.T", shape=(3, 4), because="chain rule", verified=HOW),
        Step(
            "W1",
            "W1 = [[1, 2], [3, 4]]",
            shape=(2, 2),
            value=[[Decimal(1), Decimal(2)], [Decimal(3), Decimal(4)]],
            kind="result",
            verified=HOW,
        ),
        Step("n", "Not defined where z is 0.", kind="warning"),
    ),
)


def test_a_working() -> None:
    assert (
        plain(working_lines(WORKING))
        == """\
ask gradient L wrt W1
─────────────────────
  Two paths lead from L to W1:
    L → a2 → W1

  ∂L/∂W1 = (a2 - y)*x.T  (chain rule)                                      3 × 4
  W1 = ⎡ 1  2 ⎤                                                            2 × 2
       ⎣ 3  4 ⎦

  Not defined where z is 0.

  verified: numeric differentiation, 2 lines at 3 points each, 0 failed
"""
    )


@pytest.mark.parametrize(
    ("verified", "words"),
    [
        ([], ""),
        ([Verified("by shapes", 1)], "by shapes, 1 point, 0 failed"),
        ([Verified("d", 3)], "d, 3 points, 0 failed"),
        ([Verified("d", 3), Verified("d", 2, 1)], "d, 2 lines at 2 to 3 points each, 1 failed"),
        ([Verified("a", 1), Verified("b", 2)], "a, 1 point, 0 failed; b, 2 points, 0 failed"),
    ],
)
def test_summary(verified: list[Verified], words: str) -> None:
    assert summary(Step("", "", verified=v) for v in verified) == words


def test_a_long_reason_stands_below() -> None:
    step = Step("z", "z = W @ x", shape=(3,), because="a very long reason, " * 5)
    rows = plain(working_lines(Working("forward", (step,)))).splitlines()[2:]
    assert rows[0].endswith("3 × 1")
    assert rows[1].startswith("      (a very long reason")
    assert all(len(row) <= 80 for row in rows)


def test_the_shape_is_said_once() -> None:
    steps = (
        Step("z", "z = W @ x", shape=(2,)),
        Step("z", "z = 5", shape=(2,), kind="result", depth=1),
        Step("a", "a: a column of 2 (2 × 1)", shape=(2,)),
    )
    assert plain(working_lines(Working("forward", steps))).count("2 × 1") == 2


# --- verdicts ------------------------------------------------------------------------------------


def shown(verdict: Verdict, width: int = 80) -> list[str]:
    return plain(verdict_lines(verdict, width)).splitlines()


def test_what_holds_is_short() -> None:
    assert shown(Verdict("z == 2", 3, "proved", "the value is 2.")) == ["  proved     z == 2"]
    assert shown(Verdict("z == W @ x", 3, "agrees", "equal at 7 points.")) == [
        "  agrees     z == W @ x  (equal at 7 points)"
    ]


def test_what_is_refuted_is_shown() -> None:
    counter = Counterexample(
        {"x": [1.0, 2.0], "W": [[1.0, 2.0], [3.0, 4.0]]}, [0.5, 1.5], [0.5, -1.5], (2,), 1.5, -1.5
    )
    verdict = Verdict(
        "grad(L, x) == W @ (a - y)",
        9,
        "refuted",
        "the sides differ at entry [2]: 1.5 on the left, -1.5 on the right.",
        difference="W.T @ (a - y) - W @ (a - y)",
        suggestion="grad(L, x) == W.T @ (a - y)",
        counterexample=counter,
    )
    assert shown(verdict) == [
        "  refuted    grad(L, x) == W @ (a - y)",
        "                             ^",
        "             The sides differ at entry [2]: 1.5 on the left, -1.5 on the right.",
        "             instead: grad(L, x) == W.T @ (a - y)",
        "             left − right: W.T @ (a - y) - W @ (a - y)",
        "             at x = [1, 2]",
        "                W = ⎡ 1  2 ⎤",
        "                    ⎣ 3  4 ⎦",
        "             left  = ⎡ 0.500 ⎤",
        "                     ⎣ 1.500 ⎦",
        "             right = ⎡  0.500 ⎤",
        "                     ⎣ -1.500 ⎦",
    ]


def test_a_point_is_not_shown_twice() -> None:
    def refuted(point: dict[str, object]) -> Verdict:
        return Verdict("a == b", 1, "refuted", "they differ.", counterexample=Counterexample(
            point, 1.0, 2.0, None, 1.0, 2.0
        ))  # fmt: skip

    first, same, part, other = (
        refuted(p)
        for p in ({"x": [1.0, 2.0], "c": 3.0}, {"x": [1.0, 2.0], "c": 3.0}, {"c": 3.0}, {"c": 4.0})
    )
    held = Verdict("z == 2", 3, "proved", "the value is 2.")
    rows = plain(claims_lines([first, same, held, part, other, part])).splitlines()
    told = [row.strip() for row in rows if " at " in row or "c =" in row]
    again = "at the same point as above"
    assert told == ["at x = [1, 2]", "c = 3", again, again, "at c = 4", "at c = 3"]
    lines = plain(check_lines([FileVerdicts("a.sheet", (first, same))])).splitlines()
    assert sum(again in row for row in lines) == 1
    lines = plain(check_lines([FileVerdicts(f, (first,)) for f in "ab"])).splitlines()
    assert not any(again in row for row in lines)


def test_carets_follow_a_claim_over_lines() -> None:
    text = "grad(L, W1) == diag(step(zA1)) @ W2.T @ (a2 - y) @ xA.T - D @ W2.T @ (a2 - y) @ xA.T"
    mended = text[:-4] + "xB.T"
    rows = shown(Verdict(text, 1, "refuted", "", suggestion=mended))
    last = max(n for n, row in enumerate(rows[:4]) if "^" in row)
    at = rows[last].index("^")
    assert rows[last - 1][at : at + 2] == "xA"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        ([1.0, -2.0], "[1, -2]"),
        (0.123456, "0.1235"),
        ([[0.5, 12.25]], "[[0.50, 12.25]]"),
        (1.5e9, "1.5e+09"),
        (float("inf"), "inf"),
        # An entry that is not zero never reads as zero, and has no idle sign.
        ([[0.5, -0.00004]], "[[0.500000, -0.000040]]"),
        ([[0.5, -4.2e-12], [0.0, -0.0]], "[[0.500000, -4.2e-12], [0, 0]]"),
        ([[123.5, -0.001]], "[[123.500, -0.001]]"),
        ([1.5, 0.0], "[1.500, 0]"),
        ([0.25] * 7, "[0.2500, 0.2500, 0.2500, 0.2500, 0.2500, 0.2500, …]"),
    ],
)
def test_value_text(value: object, text: str) -> None:
    assert value_text(value) == text


def test_counts() -> None:
    verdicts = [Verdict("", 1, word, "") for word in ("proved", "refuted", "proved")]
    assert counts(verdicts) == "3 claims: 2 proved, 1 refuted"
    assert counts([]) == "0 claims"


# --- documents -----------------------------------------------------------------------------------


def test_prose_is_kept() -> None:
    text = (
        "# Title\n\nA line\nthat goes on.\n\n* one\n  more\n* two\n\n"
        "```py\nx  =  1\n```\n\n| a | b |\n"
    )
    assert plain(prose(text, 80)).rstrip("\n") == (
        "# Title\n\nA line that goes on.\n\n* one more\n* two\n\n```py\nx  =  1\n```\n\n| a | b |"
    )


def test_statements_are_what_is_not_answered(tmp_path: Path) -> None:
    path = tmp_path / "a.sheet"
    path.write_text(
        "# Title\n# text\n\ngiven x in R\n\n# squared\nz = x**2\nask forward\n\n"
        "# about z\nclaim z == (\n  x*x)\n\nw = z\n"
    )
    sheet = read_sheets(path).sheets[0].sheet
    assert sheet is not None
    assert statements_of(sheet) == "given x in R\n\n# squared\nz = x**2\n\nw = z"


def test_a_long_comment_goes_on_as_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    words = " ".join(["word"] * 30)
    path.write_text(f"# Paper\n\n```sheet\n# Title\n\n# {words}\ngiven x in R\nask shapes\n```\n")
    rows = plain(report_lines(work_file(path), 60)).splitlines()
    said = [row for row in rows if row.startswith("  # ")]
    assert " ".join(row.removeprefix("  # ") for row in said) == words
    assert all(len(row) <= 60 for row in said) and len(said) > 2


def test_the_exam_is_tidy_at_80_columns() -> None:
    report = work_file(EXAM)
    assert report.exit_code == 1
    lines = report_lines(report)
    too_wide = [one.text for one in lines if cells(one.text) > 80]
    assert too_wide == []
    text = plain(lines)
    assert "\n\n\n" not in text
    assert "internal" not in text.lower()
    for narrow in (60, 100):
        assert plain(report_lines(report, narrow))


# --- streams -------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    lines = working_lines(WORKING)
    terminal, pipe = Terminal(), io.StringIO()
    show(lines, terminal)
    show(lines, pipe)
    assert "\x1b[" in terminal.getvalue()
    assert pipe.getvalue() == plain(lines)
    monkeypatch.setenv("NO_COLOR", "1")
    bare = Terminal()
    show(lines, bare)
    assert bare.getvalue() == plain(lines)


def test_a_sum_in_a_shape_is_bracketed() -> None:
    assert shape_text(("D + 1", "K")) == shape_said(("D + 1", "K")) == "(D + 1) × K"
    assert shape_text((3,)) == "3 × 1" and shape_text(()) == "number"
