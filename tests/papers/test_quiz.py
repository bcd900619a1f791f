"""Quizzes: what is exported comes back, and pays right answers only."""

from __future__ import annotations

import io
import os
import re
import zipfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from backproof.cli import main
from backproof.errors import InternalContradiction, Source
from backproof.language.markdown import parse_markdown
from backproof.papers.canvas import one_interaction
from backproof.papers.choices import choice_of, match_of, refuted
from backproof.papers.export import export
from backproof.papers.moodle import cloze_escaped, gap, moodle_xml, scale_of, weights_of
from backproof.papers.paper import Paper, paper_of, read_paper
from backproof.papers.qti import NAMESPACES, qti_package
from backproof.papers.quiz import Cell, Entry, Quiz, quiz_of
from backproof.papers.reimport import check_export, moodle_questions, qti_questions

ROOT = Path(__file__).resolve().parent.parent.parent
PAPER = ROOT / "examples" / "paper.md"
CELL = Cell("", "1.0", "0.1")


@pytest.fixture(scope="module")
def paper() -> Paper:
    return read_paper(PAPER)


@pytest.mark.parametrize(
    ("to", "version", "questions"),
    [("moodle", "", 34), ("qti", "2.1", 34), ("qti", "3.0", 34), ("canvas", "", 87)],
)
def test_exports_are_read_back_and_scored(
    paper: Paper, to: str, version: str, questions: int
) -> None:
    made = export(paper, to, version)
    assert made.questions == questions and made.tried > 5 * 34
    assert export(paper, to, version).content == made.content


def test_the_exam_is_exported_too() -> None:
    exam = read_paper(ROOT / "examples" / "exam.md")
    assert export(exam, "moodle").questions > 90


@pytest.mark.parametrize(
    ("old", "new"),
    [("<tolerance>0.0", "<tolerance>9.0"), ('fraction="100"', 'fraction="50"'),
     ("{8:NUMERICAL:=-", "{8:NUMERICAL:="), ('fraction="0"', 'fraction="42"')],
)  # fmt: skip
def test_a_spoilt_moodle_file_is_noticed(paper: Paper, old: str, new: str) -> None:
    quiz = quiz_of(paper)
    text = moodle_xml(quiz)
    assert old in text
    with pytest.raises(InternalContradiction):
        check_export(quiz.entries, moodle_questions(text.replace(old, new)), scale_of(quiz))


def test_a_spoilt_package_is_noticed(paper: Paper) -> None:
    quiz = quiz_of(paper)
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(qti_package(quiz, "2.1"))) as old,
        zipfile.ZipFile(out, "w") as new,
    ):
        for name in old.namelist():
            spoilt = old.read(name).replace(b'tolerance="0.', b'tolerance="5.')
            new.writestr(name, spoilt)
    with pytest.raises(InternalContradiction):
        check_export(quiz.entries, qti_questions(out.getvalue()))


def test_minus_signs_are_ascii_and_gaps_escaped(paper: Paper) -> None:
    text = moodle_xml(quiz_of(paper))
    answers = [a.findtext("text", "") for a in ET.fromstring(text).iter("answer")]
    numbers = [a for a in answers if a[:1] in "-−0123456789" and "." in a]
    assert numbers and all(a.isascii() for a in numbers)
    assert gap("-0.5", "0.01") == "{1:NUMERICAL:=-0.5:0.01}"
    assert cloze_escaped('a}b~c#d/e"f\\') == 'a\\}b\\~c\\#d\\/e\\"f\\\\'


@pytest.mark.parametrize("version", ["2.1", "3.0"])
def test_items_have_formulas_as_mathml_and_names_of_their_version(
    paper: Paper, version: str
) -> None:
    with zipfile.ZipFile(io.BytesIO(qti_package(quiz_of(paper), version))) as package:
        names = [n for n in package.namelist() if n.startswith("items/")]
        root = ET.fromstring(package.read(next(n for n in names if "network-a2" in n)))
    space = NAMESPACES[version]
    prefix = "qti-" if version == "3.0" else ""
    wanted = {"2.1": "itemBody", "3.0": "item-body"}[version]
    assert root.find(f"{{{space}}}{prefix}{wanted}") is not None
    assert any(e.tag == "{http://www.w3.org/1998/Math/MathML}math" for e in root.iter())


def test_canvas_has_one_interaction_an_item(paper: Paper) -> None:
    entries = quiz_of(paper).entries
    array = next(e for e in entries if len(e.cells) == 6)
    single = list(one_interaction(array))
    assert len(single) == 6 and sum(e.marks for e in single) == array.marks


def test_wrong_choices_are_real_mistakes_and_refuted(paper: Paper) -> None:
    sheet = next(s for s in paper.sheets if s.name == "symbols")
    item = next(i for i in sheet.items if i.kind == "choice")
    assert item.expr is not None
    choice = choice_of(sheet, item.expr)
    assert len(choice.options) == 4 and sum(o.right for o in choice.options) == 1
    assert len({o.text for o in choice.options}) == 4
    for option in choice.options:
        assert refuted(sheet, f"{item.prompt} == {option.text}") != option.right
        assert option.right or option.mistake
    assert choice.options["ABCD".index(item.answer)].right


def test_a_choice_of_numbers() -> None:
    text = (
        "```sheet a\ngiven x = [1, 2]\nlearn w = [0.3, -0.2]\nz = w.T @ x + 0.5\n"
        "L = z**2\nask value L as choice marks 2\n```\n"
    )
    made = paper_of(parse_markdown(Source("a.md", text)))
    sheet = made.sheets[0]
    (item,) = sheet.items
    assert item.expr is not None
    options = choice_of(sheet, item.expr).options
    assert [o.text for o in options if o.right] == ["0.1600"]
    assert len({o.text for o in options}) == len(options) >= 3


def test_a_matching_pairs_factors_with_their_derivatives(paper: Paper) -> None:
    sheet = next(s for s in paper.sheets if s.name == "symbols")
    item = next(i for i in sheet.items if i.kind == "match")
    assert item.expr is not None
    match = match_of(sheet, item.expr)
    assert ("∂a2/∂z2", "a2*(1 - a2)") in match.pairs
    assert sorted(match.letters) == list("ABCDE"[: len(match.pairs)])


EXAM = (ROOT / "examples" / "exam.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "wrt", "factors"),
    [
        ("q01-gradient", "W", {"∂L/∂P", "∂L/∂S", "∂L/∂W"}),
        ("q05-weighted-logistic", "w", {"∂z/∂w", "∂a/∂z", "∂L/∂a"}),
        ("q08-gradient", "W1", {"∂zA1/∂W1 · v", "∂zB1/∂W1 · v", "∂aB1/∂zB1", "∂a1/∂aB1"}),
        ("q09-batch", "W1", {"∂L/∂A2", "∂L/∂Z2", "∂L/∂ZA1", "∂L/∂ZB1"}),
        ("q10b-update", "W1", {"∂z1/∂W1 · v", "∂a1/∂z1", "∂z2/∂a1", "∂a2/∂z2", "∂L/∂a2"}),
    ],
)
def test_the_exams_gradients_as_choice_and_match(name: str, wrt: str, factors: set[str]) -> None:
    start = EXAM.index(f"```sheet {name}\n")
    sheet = EXAM[start : EXAM.index("```\n", start + 5)]
    made = f"{sheet}ask gradient L wrt {wrt} as choice\nask gradient L wrt {wrt} as match\n```\n"
    paper = paper_of(parse_markdown(Source("p.md", made)))
    (sheet_,) = paper.sheets
    target = next(i.expr for i in sheet_.items if i.kind == "choice")
    assert target is not None and paper.failures == ()
    options = choice_of(sheet_, target).options
    assert [o.right for o in options].count(True) == 1 and len(options) >= 3
    for option in options:
        assert refuted(sheet_, f"grad(L, {wrt}) == {option.text}") != option.right
    match = match_of(sheet_, target)
    assert factors <= {left for left, _ in match.pairs}
    assert len({right for _, right in match.pairs}) == len(match.pairs)
    check = quiz_of(paper)
    assert check_export(check.entries, moodle_questions(moodle_xml(check)), scale_of(check)) >= 6


def test_a_wrong_choice_is_named_after_the_mistake_not_its_mending() -> None:
    start = EXAM.index("```sheet q10b-update\n")
    sheet = EXAM[start : EXAM.index("```\n", start + 5)] + "ask gradient L wrt W1 as choice\n```\n"
    (made,) = paper_of(parse_markdown(Source("p.md", sheet))).sheets
    target = next(i.expr for i in made.items if i.kind == "choice")
    assert target is not None
    named = {o.text.replace(" ", ""): o.mistake for o in choice_of(made, target).options}
    assert named["D1@W2.T@D2@(a2-x)@x.T"] == "a factor missing"  # the 2 has gone


def test_the_command_writes_what_it_has_checked(tmp_path: Path) -> None:
    out = tmp_path / "paper.xml"
    result = CliRunner().invoke(main, ["quiz", str(PAPER), "--to", "moodle", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "34 questions" in result.output
    assert out.read_text(encoding="utf-8").startswith("<?xml")


def test_moodle_marks_are_the_papers_times_one_number(paper: Paper) -> None:
    quiz = quiz_of(paper)
    scale = scale_of(quiz)
    root = ET.fromstring(moodle_xml(quiz))
    worth = []
    for question in root.findall("question"):
        if question.get("type") == "cloze":
            weights = re.findall(r"\{(\d+):NUMERICAL", question.findtext("questiontext/text", ""))
            assert all(int(w) >= 1 for w in weights)
            worth.append(sum(map(int, weights)))
        elif question.get("type") != "category":
            worth.append(float(question.findtext("defaultgrade", "")))
    assert worth == pytest.approx([float(scale * e.marks) for e in quiz.entries])
    assert sum(worth) == pytest.approx(scale * 40)


def test_weights_of_gaps_are_whole_and_as_equal_as_can_be() -> None:
    entry = Entry("a.S", "S", "numbers", "", "", "", Fraction(7, 6), cells=(CELL,) * 4)
    assert scale_of(Quiz("q", (entry,))) == 6
    assert weights_of(entry, 6) == [1, 2, 2, 2] and sum(weights_of(entry, 6)) == 7
    small = replace(entry, marks=Fraction(1, 3))  # one a gap at least
    assert scale_of(Quiz("q", (small,))) == 12 and weights_of(small, 12) == [1, 1, 1, 1]


def test_a_file_with_other_marks_is_noticed(paper: Paper) -> None:
    quiz = quiz_of(paper)
    text = moodle_xml(quiz)
    for spoilt in (text.replace("{8:NUMERICAL", "{9:NUMERICAL"), text.replace(
        "<defaultgrade>48.0", "<defaultgrade>47.0")):  # fmt: skip
        assert spoilt != text
        with pytest.raises(InternalContradiction):
            check_export(quiz.entries, moodle_questions(spoilt), scale_of(quiz))


def test_items_of_3_0_are_those_of_2_1_in_other_names(paper: Paper) -> None:
    """Only names, and what wraps the notes for whoever scores, differ between the versions."""

    def plain(element: ET.Element) -> tuple[object, ...]:
        name = element.tag.rpartition("}")[2].removeprefix("qti-").replace("-", "").lower()
        own = {
            k.replace("-", "").lower(): v for k, v in element.attrib.items()
            if not k.startswith("{") and k != "use"
        }  # fmt: skip
        inside = [plain(e) for e in element]
        if name == "rubricblock" and inside and inside[0][0] == "contentbody":
            inside = list(inside[0][3])  # type: ignore[call-overload]
        return name, tuple(sorted(own.items())), (element.text or "").strip(), tuple(inside)

    quiz = quiz_of(paper)
    packages = []
    for version in ("2.1", "3.0"):
        with zipfile.ZipFile(io.BytesIO(qti_package(quiz, version))) as package:
            names = sorted(n for n in package.namelist() if n != "imsmanifest.xml")
            packages.append({n: plain(ET.fromstring(package.read(n))) for n in names})
    assert packages[0] == packages[1]


XSDS = os.environ.get("BACKPROOF_QTI_XSD", "")


@pytest.mark.skipif(not XSDS, reason="BACKPROOF_QTI_XSD names no folder of the published schemas")
def test_packages_of_2_1_are_valid_by_the_published_schemas(paper: Paper) -> None:
    """The folder holds imsqti_v2p1.xsd, imscp_v1p1.xsd and whatever these import."""
    etree = pytest.importorskip("lxml.etree")
    folder = Path(XSDS)

    class Nearby(etree.Resolver):  # type: ignore[misc, name-defined]
        def resolve(self, url: str, name: str, context: object) -> object:
            found = sorted(folder.rglob(url.rsplit("/", 1)[-1])) if url.startswith("http") else []
            return self.resolve_filename(str(found[0]), context) if found else None

    def schema(name: str) -> Any:
        parser = etree.XMLParser()
        parser.resolvers.add(Nearby())
        return etree.XMLSchema(etree.parse(str(next(folder.rglob(name))), parser))

    items, manifest = schema("imsqti_v2p1.xsd"), schema("imscp_v1p1.xsd")
    with zipfile.ZipFile(io.BytesIO(qti_package(quiz_of(paper), "2.1"))) as package:
        for name in package.namelist():
            (manifest if name == "imsmanifest.xml" else items).assertValid(
                etree.fromstring(package.read(name))
            )


def test_what_is_left_out_of_a_paper_is_told() -> None:
    result = CliRunner().invoke(main, ["form", str(ROOT / "examples" / "exam.md")])
    assert result.exit_code == 0
    assert "this sheet is left out: 'z2' is defined twice." in result.stderr
