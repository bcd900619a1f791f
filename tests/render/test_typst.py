"""PDF: what each version of a paper holds, and that Typst sets it."""

from __future__ import annotations

import builtins
import importlib.util
import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import backproof as bp
from backproof.cli import main
from backproof.render.posed import Part, Posed
from backproof.render.typst import compile_pdf, document, whole
from backproof.render.typst_math import string
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


def test_no_heading_stands_over_nothing(exam: Report) -> None:
    for version in ("blanks", "solutions"):
        text = document(exam, version)
        assert not re.findall(r"#part\([^\n]*\)\n#(?:part|small|heading)\(", text)
    assert '#part("The batch as a sheet")\n#source(' in document(exam, "solutions")


def test_blanks_say_nothing_of_how_answers_were_checked(exam: Report) -> None:
    assert "Verified:" not in document(exam, "blanks")
    assert "Verified:" in document(exam, "solutions")


def test_a_box_is_named_once(exam: Report) -> None:
    posed = {(k, 0): Posed(parts=(Part(("", "[1]"), words="[1], made of XA"),))
             for k, one in enumerate(exam.sheets) if one.name == "q09-fill-in"}  # fmt: skip
    assert '#note(1)[#raw("[1]"): #"made of XA"]' in document(exam, "questions", posed)


def test_lines_in_words_are_set_as_words(exam: Report) -> None:
    text = document(exam, "solutions")
    (line,) = re.findall(r"\[(#[^\[]*slopes on the way 1/4 · 1/4 = 1/16.*?)\]\n", text)[:1]
    assert line.startswith('#"')


@needs_typst
def test_a_source_is_not_torn_by_a_page_if_it_fits_on_one() -> None:
    import typst

    rows = string("\n".join(f"x{k} = {k}" for k in range(36)))
    body = "".join(f"#source({rows})\n" for _ in range(6))
    pages = typst.compile(whole("Six", body).encode(), format="svg")
    assert len(pages) == 6  # each is more than half a page
    torn = whole("Six", body).replace(".len() > 40", ".len() > 4")
    assert len(typst.compile(torn.encode(), format="svg")) < 6
