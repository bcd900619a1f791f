"""A printed paper has its choices and its pairs; only the solutions have answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from backproof.cli import main
from backproof.papers.paper import read_paper
from backproof.papers.posed import posed_of
from backproof.render.typst import document
from backproof.working.report import work_file

ROOT = Path(__file__).resolve().parent.parent.parent
PAPER = ROOT / "examples" / "paper.md"


@pytest.fixture(scope="module")
def versions() -> dict[str, str]:
    posed, report = posed_of(read_paper(PAPER)), work_file(PAPER)
    return {v: document(report, v, posed) for v in ("questions", "blanks", "solutions")}  # type: ignore[arg-type]


def test_the_questions_have_choices_and_pairs_and_no_answer(versions: dict[str, str]) -> None:
    for version in ("questions", "blanks"):
        text = versions[version]
        assert "*To choose:*" in text and "*To match:*" in text and "(2 marks)" in text
        assert text.count("[A], [") == 2  # one choice, one matching
        assert "wrong: " not in text and '"right"' not in text
    assert "(14 marks)" in versions["questions"]


def test_the_solutions_say_which_is_right_and_why_the_others_are_wrong(
    versions: dict[str, str],
) -> None:
    text = versions["solutions"]
    choice = next(i for i in read_paper(PAPER).items if i.kind == "choice")
    assert f"[*{choice.answer}*], [" in text and text.count("wrong: ") == 3
    match = next(i for i in read_paper(PAPER).items if i.kind == "match")
    letters = [text.index(f"], [{letter}]") for letter in match.answer]
    assert len(letters) == len(match.answer)


def test_the_command_prints_a_paper_with_its_choices(tmp_path: Path) -> None:
    pytest.importorskip("typst")
    out = tmp_path / "paper.pdf"
    args = ["work", str(PAPER), "--pdf", str(out), "--version", "questions"]
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    assert out.read_bytes().startswith(b"%PDF")
