"""A quiz as a QTI package, 2.1 or 3.0: one item a file, a test, and the manifest that lists them.

Numbers are text entries with the tolerance in the response processing, shapes and blanks text
entries with their spellings in a mapping, and the rest is choice, match and extended text.
Formulas are MathML. The two versions differ in their names only: `assessmentItem` became
`qti-assessment-item`, `baseType` became `base-type`.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from backproof.papers.quiz import CHOOSE, NUMBERS, PAIRS, WORD, Entry, Quiz
from backproof.render.formula import FormulaError
from backproof.render.mathml import mathml

NAMESPACES = {
    "2.1": "http://www.imsglobal.org/xsd/imsqti_v2p1",
    "3.0": "http://www.imsglobal.org/xsd/imsqtiasi_v3p0",
}
_SCHEMAS = {
    "2.1": "http://www.imsglobal.org/xsd/qti/qtiv2p1/imsqti_v2p1p2.xsd",
    "3.0": "https://purl.imsglobal.org/spec/qti/v3p0/schema/xsd/imsqti_asiv3p0_v1p0.xsd",
}
_CONTENT = {"2.1": "http://www.imsglobal.org/xsd/imscp_v1p1",
            "3.0": "http://www.imsglobal.org/xsd/qti/qtiv3p0/imscp_v1p1"}  # fmt: skip
_ITEM_TYPE = {"2.1": "imsqti_item_xmlv2p1", "3.0": "imsqti_item_xmlv3p0"}
_TEST_TYPE = {"2.1": "imsqti_test_xmlv2p1", "3.0": "imsqti_test_xmlv3p0"}
_MATHML = "http://www.w3.org/1998/Math/MathML"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_HTML = frozenset(("p", "pre", "div", "span", "table", "tbody", "tr", "td"))
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_DATE = (2000, 1, 1, 0, 0, 0)  # of every file: the same quiz gives the same bytes


class Writer:
    """Writes elements in the names of one version of QTI."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.space = NAMESPACES[version]

    def make(self, name: str, attributes: Mapping[str, str] | None = None) -> ET.Element:
        """An element, named as this version names it."""
        new = self.version == "3.0"
        tag = f"qti-{kebab(name)}" if new and name not in _HTML else name
        given = {kebab(k) if new else k: v for k, v in (attributes or {}).items()}
        return ET.Element(f"{{{self.space}}}{tag}", given)

    def add(
        self, parent: ET.Element, name: str, text: str = "",
        attributes: Mapping[str, str] | None = None,
    ) -> ET.Element:  # fmt: skip
        """An element put into another."""
        element = self.make(name, attributes)
        if text:
            element.text = _CONTROL.sub(" ", text)
        parent.append(element)
        return element


def kebab(name: str) -> str:
    """`baseType` as `base-type`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def qti_package(quiz: Quiz, version: str) -> bytes:
    """The quiz as a zip file with its manifest."""
    writer = Writer(version)
    files: dict[str, bytes] = {}
    for number, entry in enumerate(quiz.entries, 1):
        files[f"items/{identifier(entry, number)}.xml"] = _bytes(assessment_item(
            writer, entry, number), writer)  # fmt: skip
    files["test.xml"] = _bytes(_test(writer, quiz), writer)
    files["imsmanifest.xml"] = _manifest(quiz, version)
    return packed(files)


def packed(files: Mapping[str, bytes]) -> bytes:
    """A zip file whose bytes depend on its content only."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name in sorted(files, key=lambda n: (n != "imsmanifest.xml", n)):
            info = zipfile.ZipInfo(name, _DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(info, files[name])
    return out.getvalue()


def identifier(entry: Entry, number: int) -> str:
    """An XML name for an entry."""
    return f"i{number:03d}-{re.sub(r'[^A-Za-z0-9_-]+', '-', entry.id).strip('-')[:60]}"


def _bytes(root: ET.Element, writer: Writer) -> bytes:
    ET.register_namespace("", writer.space)
    ET.register_namespace("m", _MATHML)
    ET.register_namespace("xsi", _XSI)
    made: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return made


# --- items ---------------------------------------------------------------------------------------


def assessment_item(writer: Writer, entry: Entry, number: int) -> ET.Element:
    """One entry as an assessment item."""
    item = writer.make(
        "assessmentItem",
        {
            "identifier": identifier(entry, number), "title": entry.title,
            "adaptive": "false", "timeDependent": "false",
        },
    )  # fmt: skip
    item.set(f"{{{_XSI}}}schemaLocation", f"{writer.space} {_SCHEMAS[writer.version]}")
    responses = _declared(writer, item, entry)
    score = writer.add(
        item, "outcomeDeclaration",
        attributes={
            "identifier": "SCORE", "cardinality": "single", "baseType": "float",
            "normalMaximum": f"{float(entry.marks):.6g}",
        },
    )  # fmt: skip
    default = writer.add(score, "defaultValue")
    writer.add(default, "value", "0")
    body = writer.add(item, "itemBody")
    _stem(writer, body, entry)
    _interaction(writer, body, entry)
    if entry.notes and not responses:
        use = {"use": "scoring"} if writer.version == "3.0" else {}
        rubric = writer.add(body, "rubricBlock", attributes={"view": "scorer", **use})
        inside = rubric if writer.version == "2.1" else writer.add(rubric, "contentBody")
        writer.add(inside, "p", entry.notes)
    if responses:
        _processing(writer, item, entry)
    return item


def _declared(writer: Writer, item: ET.Element, entry: Entry) -> list[str]:
    """The response declarations; their identifiers."""
    if entry.kind == NUMBERS:
        names = [f"R{k}" for k in range(1, len(entry.cells) + 1)]
        for name, cell in zip(names, entry.cells, strict=True):
            _response(writer, item, name, "single", "float", [cell.value])
        return names
    if entry.kind == CHOOSE:
        right = [f"C{k}" for k, o in enumerate(entry.options, 1) if o.right]
        _response(writer, item, "R1", "single", "identifier", right)
        return ["R1"]
    if entry.kind == PAIRS:
        pairs = [f"L{k} M{k}" for k in range(1, len(entry.pairs) + 1)]
        declared = _response(writer, item, "R1", "multiple", "directedPair", pairs)
        _mapping(writer, declared, {p: float(entry.marks) / len(pairs) for p in pairs})
        return ["R1"]
    if entry.kind == WORD:
        declared = _response(writer, item, "R1", "single", "string", list(entry.words[:1]))
        _mapping(writer, declared, {w: float(entry.marks) for w in entry.words})
        return ["R1"]
    _response(writer, item, "R1", "single", "string", [])
    return []


def _response(
    writer: Writer, item: ET.Element, name: str, cardinality: str, base: str, values: list[str]
) -> ET.Element:
    declared = writer.add(
        item, "responseDeclaration",
        attributes={"identifier": name, "cardinality": cardinality, "baseType": base},
    )  # fmt: skip
    if values:
        correct = writer.add(declared, "correctResponse")
        for value in values:
            writer.add(correct, "value", value)
    return declared


def _mapping(writer: Writer, declared: ET.Element, values: Mapping[str, float]) -> None:
    mapping = writer.add(declared, "mapping", attributes={"defaultValue": "0"})
    for key, value in values.items():
        writer.add(mapping, "mapEntry", attributes={"mapKey": key, "mappedValue": f"{value:.6g}"})


def _stem(writer: Writer, body: ET.Element, entry: Entry) -> None:
    if entry.intro:
        writer.add(body, "p", entry.intro)
    if entry.context:
        writer.add(body, "pre", entry.context)
    prompt = writer.add(body, "p", entry.prompt)
    formula = math_of(entry.latex)
    if formula is not None:
        prompt.text = f"{prompt.text} "
        prompt.append(formula)


def math_of(latex: str) -> ET.Element | None:
    """The formula as a MathML element, without HTML around it; None where it has none."""
    if not latex:
        return None
    try:
        span = ET.fromstring(mathml(latex).replace("<wbr>", ""))
    except (FormulaError, ET.ParseError):
        return None
    found = span.find(f"{{{_MATHML}}}math")
    if found is None or len(span) != 1:
        return None
    for element in found.iter():
        for key in ("aria-label", "aria-hidden", "class"):
            element.attrib.pop(key, None)
    found.attrib.pop("displaystyle", None)
    return found


def _interaction(writer: Writer, body: ET.Element, entry: Entry) -> None:
    if entry.kind == NUMBERS:
        _gaps(writer, body, entry)
    elif entry.kind == CHOOSE:
        made = writer.add(
            body, "choiceInteraction",
            attributes={"responseIdentifier": "R1", "shuffle": "true", "maxChoices": "1"},
        )  # fmt: skip
        for k, option in enumerate(entry.options, 1):
            writer.add(made, "simpleChoice", option.text, {"identifier": f"C{k}"})
    elif entry.kind == PAIRS:
        count = str(len(entry.pairs))
        made = writer.add(
            body, "matchInteraction",
            attributes={"responseIdentifier": "R1", "shuffle": "true", "maxAssociations": count},
        )  # fmt: skip
        for letter, side in (("L", 0), ("M", 1)):
            group = writer.add(made, "simpleMatchSet")
            for k, pair in enumerate(entry.pairs, 1):
                writer.add(
                    group, "simpleAssociableChoice", pair[side],
                    {"identifier": f"{letter}{k}", "matchMax": "1"},
                )  # fmt: skip
    elif entry.kind == WORD:
        line = writer.add(body, "p")
        writer.add(line, "textEntryInteraction",
                   attributes={"responseIdentifier": "R1", "expectedLength": "20"})  # fmt: skip
    else:
        writer.add(body, "extendedTextInteraction",
                   attributes={"responseIdentifier": "R1", "expectedLines": "8"})  # fmt: skip


def _gaps(writer: Writer, body: ET.Element, entry: Entry) -> None:
    table = writer.add(writer.add(body, "table"), "tbody")
    for r in range(entry.rows):
        row = writer.add(table, "tr")
        for c in range(entry.columns):
            cell = writer.add(row, "td")
            number = r * entry.columns + c + 1
            writer.add(
                cell, "textEntryInteraction",
                attributes={"responseIdentifier": f"R{number}", "expectedLength": "8"},
            )  # fmt: skip


def _processing(writer: Writer, item: ET.Element, entry: Entry) -> None:
    rules = writer.add(item, "responseProcessing")
    if entry.kind in (PAIRS, WORD):
        value = writer.add(rules, "setOutcomeValue", attributes={"identifier": "SCORE"})
        writer.add(value, "mapResponse", attributes={"identifier": "R1"})
        return
    if entry.kind == CHOOSE:
        _scored(writer, rules, f"{float(entry.marks):.6g}", None)
        return
    each = float(entry.marks) / len(entry.cells)
    for k, cell in enumerate(entry.cells, 1):
        _scored(writer, rules, f"{each:.6g}", (f"R{k}", cell.tolerance))


def _scored(writer: Writer, rules: ET.Element, marks: str, number: tuple[str, str] | None) -> None:
    """Adds marks to the score where a response is right: exactly, or within a tolerance."""
    name = number[0] if number else "R1"
    branch = writer.add(writer.add(rules, "responseCondition"), "responseIf")
    if number:
        tolerance = f"{number[1]} {number[1]}"
        test = writer.add(
            branch, "equal", attributes={"toleranceMode": "absolute", "tolerance": tolerance}
        )
    else:
        test = writer.add(branch, "match")
    writer.add(test, "variable", attributes={"identifier": name})
    writer.add(test, "correct", attributes={"identifier": name})
    value = writer.add(branch, "setOutcomeValue", attributes={"identifier": "SCORE"})
    total = writer.add(value, "sum")
    writer.add(total, "variable", attributes={"identifier": "SCORE"})
    writer.add(total, "baseValue", marks, {"baseType": "float"})


# --- the test and the manifest -------------------------------------------------------------------


def _test(writer: Writer, quiz: Quiz) -> ET.Element:
    test = writer.make("assessmentTest", {"identifier": "paper", "title": quiz.title})
    part = writer.add(
        test, "testPart",
        attributes={
            "identifier": "part", "navigationMode": "nonlinear", "submissionMode": "simultaneous",
        },
    )  # fmt: skip
    section = writer.add(
        part, "assessmentSection",
        attributes={"identifier": "questions", "title": quiz.title, "visible": "true"},
    )  # fmt: skip
    for number, entry in enumerate(quiz.entries, 1):
        name = identifier(entry, number)
        writer.add(section, "assessmentItemRef",
                   attributes={"identifier": name, "href": f"items/{name}.xml"})  # fmt: skip
    return test


def _manifest(quiz: Quiz, version: str) -> bytes:
    space = _CONTENT[version]

    def make(parent: ET.Element | None, name: str, **attributes: str) -> ET.Element:
        element = ET.Element(f"{{{space}}}{name}", attributes)
        if parent is not None:
            parent.append(element)
        return element

    root = make(None, "manifest", identifier="backproof-paper")
    metadata = make(root, "metadata")
    make(metadata, "schema").text = "QTIv2.1 Package" if version == "2.1" else "QTI Package"
    make(metadata, "schemaversion").text = "1.0.0" if version == "2.1" else "3.0.0"
    make(root, "organizations")
    resources = make(root, "resources")
    names = [identifier(e, k) for k, e in enumerate(quiz.entries, 1)]
    test = make(resources, "resource", identifier="test", type=_TEST_TYPE[version], href="test.xml")
    make(test, "file", href="test.xml")
    for name in names:
        make(test, "dependency", identifierref=name)
    for name in names:
        href = f"items/{name}.xml"
        resource = make(resources, "resource", identifier=name, type=_ITEM_TYPE[version], href=href)
        make(resource, "file", href=href)
    ET.register_namespace("", space)
    made: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return made
