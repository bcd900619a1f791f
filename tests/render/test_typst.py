"""PDF: what each version of a paper holds, and that Typst sets it."""

from __future__ import annotations

import builtins
import importlib.util
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import backproof as bp
from backproof.cli import main
from backproof.render.typst import compile_pdf, document
from backproof.working.report import Report, work_file

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
needs_typst = pytest.mark.skipif(
    importlib.util.find_spec("typst") is None, reason="typst is not installed (extra pdf)"
)


@pytest.fixture(scope="module")
def exam() -> Report:
    return work_file(EXAMPLES / "exam.md")


@pytest.fixture
def blanked(tmp_path: Path) -> Report:
    path = tmp_path / "paper.md"
    path.write_text(
        "# A paper\n\n## 1. First\n\nFind it.\n\n```sheet one\ngiven x in R[3]\nlearn w in R[3]\n"
        "z = w.T @ x\nL = z**2\nask gradient L wrt w blank grad(L, z)\nclaim grad(L, z) == 2*z\n"
        "```\n\nIt is 2 z.\n\n## 2. Second\n\nGo on.\n",
        encoding="utf-8",
    )
    return work_file(path)


def test_the_questions_tell_no_answer(blanked: Report) -> None:
    text = document(blanked, "questions")
    assert "Find it." in text
    assert "Go on." in text
    assert "It is 2 z." not in text
    assert "Claims" not in text
    assert "To work out" in text


def test_blanks_come_without_their_key(blanked: Report) -> None:
    blanks, solved = document(blanked, "blanks"), document(blanked, "solutions")
    assert "#blank[$1$]" in blanks
    assert "L = z**2" not in blanks
    assert "learn w in R[3]" in blanks
    assert "Answer key" not in blanks
    assert "Answer key" in solved
    assert "It is 2 z." in solved


def test_all_questions_are_there(exam: Report) -> None:
    text = document(exam)
    for number in range(1, 11):
        assert f'#"{number}. ' in text
    assert text.count("image(bytes(") >= 4
    assert "is defined twice" in text


@needs_typst
def test_the_exam_is_set_in_time(exam: Report) -> None:
    assert compile_pdf(document(exam)).startswith(b"%PDF")
    started = time.perf_counter()
    made = compile_pdf(document(exam))
    assert time.perf_counter() - started < 3.0 * 2  # twice the bound, for slow machines
    assert made.startswith(b"%PDF")
    for version in ("questions", "blanks"):
        assert compile_pdf(document(exam, version)).startswith(b"%PDF")  # type: ignore[arg-type]


@needs_typst
def test_work_writes_a_pdf(tmp_path: Path) -> None:
    out = tmp_path / "out.pdf"
    args = ["work", str(EXAMPLES / "siamese.sheet"), "--pdf", str(out), "--version", "questions"]
    assert CliRunner().invoke(main, args).exit_code == 0
    assert out.read_bytes().startswith(b"%PDF")


@needs_typst
def test_answers_as_pdf() -> None:
    siamese = bp.read(EXAMPLES / "siamese.sheet")
    for answer in (siamese.batch("m"), siamese.slow("W1"), siamese.check("L == y"), siamese.work()):
        assert answer.pdf().startswith(b"%PDF")


@needs_typst
def test_hostile_text_stays_text() -> None:
    sheet = bp.Sheet('# #panic("x") $ ] \\ " *\ngiven x in R  # "] #panic()\nL = x**2\nask shapes')
    assert sheet.work().pdf().startswith(b"%PDF")


def test_without_typst_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def none(name: str, *rest: object, **more: object) -> object:
        if name == "typst":
            raise ImportError(name)
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", none)
    with pytest.raises(bp.MissingExtra, match="typst is not installed") as caught:
        compile_pdf("x")
    assert "backproof[pdf]" in caught.value.hint
