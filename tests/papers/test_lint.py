"""The linter finds what is wrong in a paper, and leaves a good one alone."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from backproof.cli import main
from backproof.errors import Source
from backproof.language.markdown import parse_markdown
from backproof.papers.lint import ERROR, NOTE, WARNING, lint
from backproof.papers.paper import paper_of

ROOT = Path(__file__).resolve().parent.parent.parent
GOOD = """# Paper

One question, 3 marks.

## 1. A line (3 marks)

```sheet a
given x = [1, 2]
learn w = [0.3, -0.2]
z = w.T @ x
p = sigmoid(z)
ask value p marks 3
```

So `p == 0.475`.
"""


def found(text: str) -> list[tuple[str, int, str]]:
    made = lint(paper_of(parse_markdown(Source("paper.md", text))))
    return [(f.severity, f.line, f.message) for f in made]


def severities(text: str) -> list[str]:
    return [severity for severity, *_ in found(text)]


def test_a_good_paper_is_left_alone() -> None:
    assert found(GOOD) == []


def test_marks_that_do_not_add_up() -> None:
    assert severities(GOOD.replace("(3 marks)", "(4 marks)")) == [ERROR]
    assert severities(GOOD.replace("One question, 3", "One question, 5")) == [ERROR]
    more = GOOD.replace("ask value p marks 3", "ask value p marks 3\nask value z")
    assert WARNING in severities(more)


def test_a_false_claim_in_the_sheet_and_in_the_text() -> None:
    ((severity, line, message),) = found(GOOD.replace("ask value", "claim z == 0.1\nask value"))
    assert (severity, line) == (ERROR, 12) and "false" in message
    ((severity, line, message),) = found(GOOD.replace("0.475", "0.575"))
    assert (severity, line) == (ERROR, 15) and "0.575" in message


def test_a_name_used_above_its_definition() -> None:
    text = GOOD.replace("z = w.T @ x\np = sigmoid(z)", "p = sigmoid(z)\nz = w.T @ x")
    ((severity, _, message),) = found(text)
    assert severity == WARNING and "below" in message


def test_an_answer_that_is_given_away() -> None:
    early = GOOD.replace("```sheet a", "The output is 0.4750.\n\n```sheet a")
    assert [s for s in severities(early)] == [WARNING]
    other = GOOD.replace(
        "## 1.", "```sheet b\ngiven q = [0.3, 0.4]\ns = sum(q)\nask value s marks 1\n```\n\n## 1."
    ).replace("3 marks.", "4 marks.")
    assert severities(other) == []
    again = other.replace("ask value p marks 3", "h = 2*w\nask value p, h marks 3")
    assert severities(again.replace("[0.3, 0.4]", "[0.6, -0.4]")) == [WARNING]


def test_two_readings_of_a_convention() -> None:
    text = GOOD.replace("p = sigmoid(z)", "p = 0.1*sumsq(w)").replace("So `p == 0.475`.", "")
    assert NOTE in severities(text)


def test_a_sheet_that_cannot_be_read() -> None:
    text = GOOD + "\n```sheet b\ny = q + 1\n```\n"
    assert (ERROR, 18) in [(s, n) for s, n, _ in found(text)]


def test_the_exam_has_the_misprints_that_it_says() -> None:
    result = CliRunner().invoke(main, ["lint", str(ROOT / "examples" / "exam.md"), "--json"])
    assert result.exit_code == 1
    errors = [f["message"] for f in json.loads(result.output) if f["severity"] == "error"]
    assert len(errors) == 3
    assert any("z2" in e and "twice" in e for e in errors)
