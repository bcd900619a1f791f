"""A quiz as Moodle XML: numerical, cloze for arrays, choice, matching, short answer, essay.

Moodle reads this format line by line of its own rules: ASCII minus signs, fractions from a fixed
list, `{1:NUMERICAL:=1.5:0.01}` for a gap with `}`, `~`, `#`, `/`, `"` and `\\` escaped. A question
with gaps is worth the sum of their weights, which are whole numbers: so all marks are the paper's,
times one number (`scale_of`), and the quiz's maximum grade brings them back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from html import escape
from xml.etree import ElementTree as ET

from backproof.papers.quiz import CHOOSE, NUMBERS, PAIRS, WORD, Entry, Quiz

# What Moodle accepts as a fraction of a grade, in percent.
FRACTIONS = (
    0, 5, 10, 11.11111, 12.5, 14.28571, 16.66667, 20, 25, 30, 33.33333, 40, 50, 60, 66.66667, 70,
    75, 80, 83.33333, 90, 100,
)  # fmt: skip
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


MOST_SCALE = 1000  # beyond this, the marks of gaps are rounded


def scale_of(quiz: Quiz) -> int:
    """What the paper's marks are multiplied with, so that those of gaps are whole numbers."""
    gaps = [e for e in quiz.entries if e.kind == NUMBERS and len(e.cells) > 1]
    scale = math.lcm(1, *(Fraction(e.marks).denominator for e in gaps))
    while any(scale * e.marks < len(e.cells) for e in gaps if e.marks) and scale < MOST_SCALE:
        scale *= 2
    return min(scale, MOST_SCALE)


def weights_of(entry: Entry, scale: int) -> list[int]:
    """A whole number for every gap, one at least, as equal as their sum allows."""
    count = len(entry.cells)
    total = max(count, round(scale * entry.marks))
    return [total * (k + 1) // count - total * k // count for k in range(count)]


def moodle_xml(quiz: Quiz) -> str:
    """The quiz as one XML file, its questions in a category of the paper's name."""
    scale = scale_of(quiz)
    root = ET.Element("quiz")
    category = ET.SubElement(root, "question", type="category")
    name = quiz.title.replace("/", "//")
    _text(ET.SubElement(category, "category"), f"$course$/top/{name}")
    for entry in quiz.entries:
        root.append(_question(entry, scale))
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _text(parent: ET.Element, text: str) -> None:
    ET.SubElement(parent, "text").text = _CONTROL.sub(" ", text)


def _question(entry: Entry, scale: int) -> ET.Element:
    kind = {CHOOSE: "multichoice", PAIRS: "matching", WORD: "shortanswer"}.get(entry.kind, "essay")
    if entry.kind == NUMBERS:
        kind = "numerical" if len(entry.cells) == 1 else "cloze"
    question = ET.Element("question", type=kind)
    _text(ET.SubElement(question, "name"), entry.title)
    body = _body(entry)
    if kind == "cloze":
        body += _cloze(entry, weights_of(entry, scale))
    _text(ET.SubElement(question, "questiontext", format="html"), body)
    _text(ET.SubElement(question, "generalfeedback", format="html"), escape(entry.notes))
    if kind != "cloze":
        ET.SubElement(question, "defaultgrade").text = f"{float(scale * entry.marks):.7f}"
    ET.SubElement(question, "penalty").text = "0.3333333"
    ET.SubElement(question, "hidden").text = "0"
    ET.SubElement(question, "idnumber").text = entry.id[:100]
    _ANSWERS[kind](question, entry)
    return question


def _body(entry: Entry) -> str:
    """The prose, the sheet and the question as HTML; formulas for Moodle's MathJax filter."""
    parts = [f"<p>{escape(entry.intro)}</p>"] if entry.intro else []
    if entry.context:
        parts.append(f"<pre>{escape(entry.context)}</pre>")
    formula = f" \\({escape(entry.latex)}\\)" if entry.latex else ""
    parts.append(f"<p>{escape(entry.prompt)}{formula}</p>")
    return "".join(parts)


def _cloze(entry: Entry, weights: Sequence[int]) -> str:
    """A table of gaps, one for every entry of the array."""
    rows = []
    gaps = [gap(c.value, c.tolerance, w) for c, w in zip(entry.cells, weights, strict=True)]
    for r in range(entry.rows):
        row = gaps[r * entry.columns : (r + 1) * entry.columns]
        rows.append(f"<tr>{''.join(f'<td>{one}</td>' for one in row)}</tr>")
    return f"<table>{''.join(rows)}</table>"


def gap(value: str, tolerance: str, weight: int = 1) -> str:
    """A numerical gap of a cloze question."""
    return f"{{{weight}:NUMERICAL:=" + cloze_escaped(f"{value}:{tolerance}") + "}"


def cloze_escaped(text: str) -> str:
    """What means something inside a gap, escaped; the colon before a tolerance stays."""
    return re.sub(r"([}~#/\"\\])", r"\\\1", text)


def _answer(question: ET.Element, fraction: float, text: str, feedback: str = "") -> ET.Element:
    assert fraction in FRACTIONS
    answer = ET.SubElement(question, "answer", fraction=f"{fraction:g}", format="plain_text")
    _text(answer, text)
    _text(ET.SubElement(answer, "feedback", format="html"), escape(feedback))
    return answer


def _numerical(question: ET.Element, entry: Entry) -> None:
    (cell,) = entry.cells
    answer = _answer(question, 100, cell.value)
    ET.SubElement(answer, "tolerance").text = cell.tolerance
    ET.SubElement(question, "unitgradingtype").text = "0"
    ET.SubElement(question, "unitpenalty").text = "0.1000000"
    ET.SubElement(question, "showunits").text = "3"


def _multichoice(question: ET.Element, entry: Entry) -> None:
    ET.SubElement(question, "single").text = "true"
    ET.SubElement(question, "shuffleanswers").text = "true"
    ET.SubElement(question, "answernumbering").text = "ABCD"
    for option in entry.options:
        why = "" if option.right else f"Here {option.mistake} is wrong."
        _answer(question, 100 if option.right else 0, option.text, why)


def _matching(question: ET.Element, entry: Entry) -> None:
    ET.SubElement(question, "shuffleanswers").text = "true"
    for left, right in entry.pairs:
        sub = ET.SubElement(question, "subquestion", format="html")
        _text(sub, f"<p>{escape(left)}</p>")
        _text(ET.SubElement(sub, "answer"), right)


def _shortanswer(question: ET.Element, entry: Entry) -> None:
    ET.SubElement(question, "usecase").text = "1"
    for word in entry.words:
        _answer(question, 100, word.replace("*", "\\*"))  # a star alone is a wildcard


def _essay(question: ET.Element, entry: Entry) -> None:
    _answer(question, 0, "")
    for name, value in (
        ("responseformat", "editor"), ("responserequired", "1"), ("responsefieldlines", "10"),
        ("attachments", "0"), ("attachmentsrequired", "0"),
    ):  # fmt: skip
        ET.SubElement(question, name).text = value
    info = ET.SubElement(question, "graderinfo", format="html")
    _text(info, f"<p>{escape(entry.notes)}</p>")


def _nothing(question: ET.Element, entry: Entry) -> None:
    """A cloze question has its answers in its text."""


_ANSWERS = {
    "numerical": _numerical, "multichoice": _multichoice, "matching": _matching,
    "shortanswer": _shortanswer, "essay": _essay, "cloze": _nothing,
}  # fmt: skip
