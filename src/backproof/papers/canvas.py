"""A quiz for Canvas: QTI 1.2, one interaction an item, numeric ranges.

Canvas reads numbers by a range (`vargte`, `varlte`) and one question an item, so an array becomes
one item for every entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from html import escape
from xml.etree import ElementTree as ET

from backproof.papers.qti import packed
from backproof.papers.quiz import CHOOSE, NUMBERS, PAIRS, WORD, Entry, Quiz

NAMESPACE = "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"
_CONTENT = "http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
KINDS = {
    NUMBERS: "numerical_question", CHOOSE: "multiple_choice_question",
    PAIRS: "matching_question", WORD: "short_answer_question",
}  # fmt: skip


def canvas_package(quiz: Quiz) -> bytes:
    """The quiz as a zip file that Canvas imports."""
    entries = [one for entry in quiz.entries for one in one_interaction(entry)]
    return packed(
        {
            "imsmanifest.xml": _manifest(quiz),
            "paper/paper.xml": _assessment(quiz, entries),
        }
    )


def one_interaction(entry: Entry) -> Iterator[Entry]:
    """The entry, an array entry by entry."""
    if entry.kind != NUMBERS or len(entry.cells) == 1:
        yield entry
        return
    share = Fraction(entry.marks) / len(entry.cells)
    for number, cell in enumerate(entry.cells, 1):
        yield replace(
            entry, id=f"{entry.id}.{number}", title=f"{entry.title}{cell.label}",
            prompt=f"{entry.prompt} Give the entry {cell.label}.", cells=(cell,), rows=1,
            columns=1, marks=share,
        )  # fmt: skip


def _make(parent: ET.Element | None, name: str, text: str = "", **attributes: str) -> ET.Element:
    element = ET.Element(f"{{{NAMESPACE}}}{name}", attributes)
    if text:
        element.text = _CONTROL.sub(" ", text)
    if parent is not None:
        parent.append(element)
    return element


def _assessment(quiz: Quiz, entries: list[Entry]) -> bytes:
    root = _make(None, "questestinterop")
    assessment = _make(root, "assessment", ident="paper", title=quiz.title)
    section = _make(assessment, "section", ident="root_section")
    for number, entry in enumerate(entries, 1):
        section.append(_item(entry, f"i{number:03d}"))
    ET.register_namespace("", NAMESPACE)
    made: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return made


def _item(entry: Entry, ident: str) -> ET.Element:
    item = _make(None, "item", ident=ident, title=entry.title)
    fields = _make(_make(item, "itemmetadata"), "qtimetadata")
    for label, value in (
        ("question_type", KINDS.get(entry.kind, "essay_question")),
        ("points_possible", f"{float(entry.marks):.6g}"),
    ):
        one = _make(fields, "qtimetadatafield")
        _make(one, "fieldlabel", label)
        _make(one, "fieldentry", value)
    presentation = _make(item, "presentation")
    parts = [f"<p>{escape(entry.intro)}</p>"] if entry.intro else []
    parts += [f"<pre>{escape(entry.context)}</pre>"] if entry.context else []
    parts.append(f"<p>{escape(entry.prompt)}</p>")
    material = _make(presentation, "material")
    _make(material, "mattext", "".join(parts), texttype="text/html")
    processing = _make(item, "resprocessing")
    outcomes = _make(processing, "outcomes")
    _make(outcomes, "decvar", maxvalue="100", minvalue="0", varname="SCORE", vartype="Decimal")
    if entry.kind == NUMBERS:
        _numerical(presentation, processing, entry)
    elif entry.kind == CHOOSE:
        _choice(presentation, processing, entry)
    elif entry.kind == PAIRS:
        _matching(presentation, processing, entry)
    elif entry.kind == WORD:
        _words(presentation, processing, entry)
    else:
        _entry_box(presentation)
        feedback = _make(item, "itemfeedback", ident="general_fb")
        inside = _make(_make(feedback, "flow_mat"), "material")
        _make(inside, "mattext", escape(entry.notes), texttype="text/html")
    return item


def _entry_box(presentation: ET.Element, **attributes: str) -> None:
    box = _make(presentation, "response_str", ident="response1", rcardinality="Single")
    fib = _make(box, "render_fib", **attributes)
    _make(fib, "response_label", ident="answer1")


def _right(processing: ET.Element, score: str = "100", *, add: bool = False) -> ET.Element:
    """A condition that scores; the variable tests go inside what is given back."""
    condition = _make(processing, "respcondition", **({} if add else {"continue": "No"}))
    test = _make(condition, "conditionvar")
    _make(condition, "setvar", score, action="Add" if add else "Set", varname="SCORE")
    return test


def _numerical(presentation: ET.Element, processing: ET.Element, entry: Entry) -> None:
    (cell,) = entry.cells
    _entry_box(presentation, fibtype="Decimal")
    either = _make(_right(processing), "or")
    _make(either, "varequal", cell.value, respident="response1")
    low = Decimal(cell.value) - Decimal(cell.tolerance)
    high = Decimal(cell.value) + Decimal(cell.tolerance)
    both = _make(either, "and")
    _make(both, "vargte", f"{low:f}", respident="response1")
    _make(both, "varlte", f"{high:f}", respident="response1")


def _choice(presentation: ET.Element, processing: ET.Element, entry: Entry) -> None:
    box = _make(presentation, "response_lid", ident="response1", rcardinality="Single")
    render = _make(box, "render_choice")
    for k, option in enumerate(entry.options, 1):
        label = _make(render, "response_label", ident=f"c{k}")
        _make(_make(label, "material"), "mattext", option.text, texttype="text/plain")
        if option.right:
            _make(_right(processing), "varequal", f"c{k}", respident="response1")


def _matching(presentation: ET.Element, processing: ET.Element, entry: Entry) -> None:
    each = f"{100 / len(entry.pairs):.2f}"
    for k, (left, _) in enumerate(entry.pairs, 1):
        box = _make(presentation, "response_lid", ident=f"response_{k}")
        _make(_make(box, "material"), "mattext", left, texttype="text/plain")
        render = _make(box, "render_choice")
        for j, (_, right) in enumerate(entry.pairs, 1):
            label = _make(render, "response_label", ident=f"m{j}")
            _make(_make(label, "material"), "mattext", right, texttype="text/plain")
        _make(_right(processing, each, add=True), "varequal", f"m{k}", respident=f"response_{k}")


def _words(presentation: ET.Element, processing: ET.Element, entry: Entry) -> None:
    _entry_box(presentation)
    test = _right(processing)
    for word in entry.words:
        _make(test, "varequal", word, respident="response1")


def _manifest(quiz: Quiz) -> bytes:
    def make(parent: ET.Element | None, name: str, **attributes: str) -> ET.Element:
        element = ET.Element(f"{{{_CONTENT}}}{name}", attributes)
        if parent is not None:
            parent.append(element)
        return element

    root = make(None, "manifest", identifier="backproof-paper")
    metadata = make(root, "metadata")
    make(metadata, "schema").text = "IMS Content"
    make(metadata, "schemaversion").text = "1.1.3"
    make(root, "organizations")
    resources = make(root, "resources")
    resource = make(resources, "resource", identifier="paper", type="imsqti_xmlv1p2")
    make(resource, "file", href="paper/paper.xml")
    ET.register_namespace("", _CONTENT)
    made: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return made
