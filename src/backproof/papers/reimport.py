"""Reads an exported quiz back and scores it: every question with right and with wrong answers.

Written from the formats' own rules, without the writers: what comes out of an export is checked
before it is handed over. A question that does not give full marks to a right answer, or anything
to a wrong one, is a fault of ours and raises.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from xml.etree import ElementTree as ET

from backproof.errors import InternalContradiction
from backproof.papers.moodle import FRACTIONS, MOST_SCALE
from backproof.papers.quiz import CHOOSE, NUMBERS, PAIRS, TEXT, WORD, Entry

# A response: the numbers of the cells, the text chosen or written, or the right side of each pair.
Response = Sequence[str]


@dataclass(frozen=True)
class Question:
    """A question as read back: its title and what share of its marks a response earns.

    marks   what it is worth in the file; None where the file does not say
    """

    title: str
    kind: str
    score: Callable[[Response], float]
    marks: float | None = None


def check_export(entries: Sequence[Entry], questions: Sequence[Question], scale: int = 1) -> int:
    """How many responses were scored; raises where one was scored wrongly.

    scale   what the paper's marks were multiplied with
    """
    if len(entries) != len(questions):
        raise _fault(f"{len(questions)} questions came back of {len(entries)}")
    tried = 0
    for entry, question in zip(entries, questions, strict=True):
        if question.marks is not None:
            slack = 0.5 if question.kind == "cloze" and scale >= MOST_SCALE else 1e-3
            if abs(question.marks - float(scale * entry.marks)) > slack:
                raise _fault(f"'{entry.title}' is worth {question.marks:g}")
        if entry.kind == TEXT:
            continue
        for response, right in responses(entry):
            share = question.score(response)
            if right != (abs(share - 1) < 1e-4) or (not right and share > 0.999):
                raise _fault(f"'{entry.title}' gives {share:.3f} for {list(response)}")
            if not right and entry.kind in (CHOOSE, WORD) and share:
                raise _fault(f"'{entry.title}' pays {share:.3f} for {list(response)}")
            tried += 1
    return tried


def _fault(what: str) -> InternalContradiction:
    return InternalContradiction(f"an exported quiz is not what was exported: {what}.")


def responses(entry: Entry) -> Iterator[tuple[Response, bool]]:
    """Responses to an entry, and whether they are right."""
    if entry.kind == NUMBERS:
        values = [c.value for c in entry.cells]
        yield values, True
        for sign in (1, -1):
            inside = [Decimal(c.value) + sign * Decimal(c.tolerance) * Decimal("0.98")
                      for c in entry.cells]  # fmt: skip
            yield [f"{v:f}" for v in inside], True
        for k, cell in enumerate(entry.cells):
            reach = Decimal(cell.tolerance) * Decimal("1.5") + Decimal("0.001")
            for off in (Decimal(cell.value) + reach, Decimal(cell.value) - reach):
                yield [*values[:k], f"{off:f}", *values[k + 1 :]], False
        yield ["x"] * len(values), False
    elif entry.kind == CHOOSE:
        yield from (([o.text], o.right) for o in entry.options)
    elif entry.kind == PAIRS:
        rights = [right for _, right in entry.pairs]
        yield rights, True
        yield [*rights[1:], rights[0]], False
        yield [rights[1], rights[0], *rights[2:]], False
    elif entry.kind == WORD:
        yield from (([word], True) for word in entry.words)
        yield ["(17, 19, 23)"], False
        yield [""], False


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        return None


def _within(text: str, value: str, tolerance: str) -> bool:
    number = _number(text)
    return number is not None and abs(number - Decimal(value)) <= Decimal(tolerance)


# --- Moodle --------------------------------------------------------------------------------------

_GAP = re.compile(r"\{(\d+):NUMERICAL:((?:\\.|[^}\\])*)\}")


def moodle_questions(text: str) -> list[Question]:
    """The questions of a Moodle XML file."""
    found = []
    for question in ET.fromstring(text).findall("question"):
        kind = question.get("type", "")
        if kind != "category":
            title = question.findtext("name/text", "")
            marks = float(question.findtext("defaultgrade", "0"))
            if kind == "cloze":  # Moodle adds up the gaps, and heeds nothing else
                marks = sum(w for w, *_ in _gaps(question))
            found.append(Question(title, kind, _MOODLE[kind](question), marks))
    return found


def _fractions(question: ET.Element) -> list[tuple[float, str, ET.Element]]:
    found = []
    for answer in question.findall("answer"):
        fraction = float(answer.get("fraction", "0"))
        if fraction not in FRACTIONS:
            raise _fault(f"Moodle knows no fraction {fraction}")
        found.append((fraction / 100, answer.findtext("text", ""), answer))
    return found


def _moodle_numerical(question: ET.Element) -> Callable[[Response], float]:
    answers = _fractions(question)

    def score(response: Response) -> float:
        return max(
            (
                f
                for f, text, a in answers
                if _within(response[0], text, a.findtext("tolerance", "0"))
            ),
            default=0.0,
        )

    return score


def _gaps(question: ET.Element) -> list[tuple[int, str, str]]:
    """(weight, value, tolerance) of every gap."""
    gaps = []
    for weight, inside in _GAP.findall(question.findtext("questiontext/text", "")):
        plain = re.sub(r"\\(.)", r"\1", inside)
        value, _, tolerance = plain.removeprefix("=").partition(":")
        if int(weight) < 1:
            raise _fault(f"a gap weighs {weight}")
        gaps.append((int(weight), value, tolerance))
    return gaps


def _moodle_cloze(question: ET.Element) -> Callable[[Response], float]:
    gaps = _gaps(question)
    total = sum(w for w, *_ in gaps)

    def score(response: Response) -> float:
        if len(response) != len(gaps):
            return 0.0
        pairs = zip(response, gaps, strict=True)
        return sum(w for text, (w, v, t) in pairs if _within(text, v, t)) / total

    return score


def _moodle_choice(question: ET.Element) -> Callable[[Response], float]:
    answers = _fractions(question)
    return lambda response: max((f for f, text, _ in answers if text == response[0]), default=0.0)


def _moodle_word(question: ET.Element) -> Callable[[Response], float]:
    answers = _fractions(question)

    def pattern(text: str) -> str:
        """Moodle's wildcard is a star, and `\\*` a star as such."""
        plain = re.sub(r"([\[\]?])", r"[\1]", text)
        return plain.replace("\\*", "[*]")

    return lambda response: max(
        (f for f, text, _ in answers if fnmatchcase(response[0], pattern(text))), default=0.0
    )


def _moodle_matching(question: ET.Element) -> Callable[[Response], float]:
    rights = [s.findtext("answer/text", "") for s in question.findall("subquestion")]
    return lambda response: sum(a == b for a, b in zip(rights, response, strict=True)) / len(rights)


_MOODLE: dict[str, Callable[[ET.Element], Callable[[Response], float]]] = {
    "numerical": _moodle_numerical, "cloze": _moodle_cloze, "multichoice": _moodle_choice,
    "shortanswer": _moodle_word, "matching": _moodle_matching,
    "essay": lambda question: lambda response: 0.0,
}  # fmt: skip


# --- QTI 2.1 and 3.0 -----------------------------------------------------------------------------


def qti_questions(data: bytes) -> list[Question]:
    """The questions of a QTI package, in the order of its test."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        manifest = ET.fromstring(package.read("imsmanifest.xml"))
        listed = {f.get("href", "") for f in manifest.iter() if _local(f) == "file"}
        if listed != set(package.namelist()) - {"imsmanifest.xml"}:
            raise _fault("the manifest does not list the files of the package")
        known = {r.get("identifier") for r in manifest.iter() if _local(r) == "resource"}
        wanted = {d.get("identifierref") for d in manifest.iter() if _local(d) == "dependency"}
        if not wanted <= known:
            raise _fault("the manifest depends on something that it does not list")
        test = ET.fromstring(package.read("test.xml"))
        refs = [r.get("href", "") for r in test.iter() if _local(r) == "assessmentitemref"]
        return [_qti_question(ET.fromstring(package.read(href))) for href in refs]


def _local(element: ET.Element) -> str:
    """The name of an element without its namespace, as both versions have it."""
    return element.tag.rpartition("}")[2].removeprefix("qti-").replace("-", "").lower()


def _named(element: ET.Element, name: str) -> str:
    """An attribute, in either version's spelling."""
    for key, value in element.attrib.items():
        if key.replace("-", "").lower() == name:
            return value
    return ""


def _all(element: ET.Element, name: str) -> list[ET.Element]:
    return [e for e in element.iter() if _local(e) == name]


def _qti_question(item: ET.Element) -> Question:
    declared = {_named(d, "identifier"): d for d in _all(item, "responsedeclaration")}
    used = [
        _named(e, "responseidentifier") for e in item.iter() if _local(e).endswith("interaction")
    ]
    if sorted(used) != sorted(declared):
        raise _fault(f"'{_named(item, 'title')}' declares other responses than it asks for")
    kinds = [_local(e) for e in item.iter() if _local(e).endswith("interaction")]
    choices = {
        _named(e, "identifier"): "".join(e.itertext())
        for name in ("simplechoice", "simpleassociablechoice")
        for e in _all(item, name)
    }

    def given(response: Response) -> dict[str, list[str]]:
        if kinds[0] == "choiceinteraction":
            return {used[0]: [i for i, text in choices.items() if text == response[0]]}
        if kinds[0] == "matchinteraction":
            lefts = [i for i in choices if i.startswith("L")]
            by_text = {text: i for i, text in choices.items() if i.startswith("M")}
            pairs = [f"{a} {by_text[b]}" for a, b in zip(lefts, response, strict=True)]
            return {used[0]: pairs}
        return {name: [text] for name, text in zip(used, response, strict=True)}

    run = _Processing(item, declared)
    best = run.best()
    told = float(_named(_all(item, "outcomedeclaration")[0], "normalmaximum"))
    if best and abs(best - told) > 1e-3:
        raise _fault(f"'{_named(item, 'title')}' pays {best:g} and says {told:g}")
    return Question(
        _named(item, "title"), kinds[0],
        lambda response: run.score(given(response)) / best if best else 0.0, told,
    )  # fmt: skip


class _Processing:
    """Interprets the response processing of one item."""

    def __init__(self, item: ET.Element, declared: dict[str, ET.Element]) -> None:
        self.declared = declared
        found = _all(item, "responseprocessing")
        self.rules = list(found[0]) if found else []

    def correct(self, name: str) -> list[str]:
        declared = _all(self.declared[name], "correctresponse")
        return [v.text or "" for d in declared for v in d]

    def best(self) -> float:
        """What the correct responses earn."""
        return self.score({name: self.correct(name) for name in self.declared})

    def score(self, response: dict[str, list[str]]) -> float:
        total = 0.0
        for rule in self.rules:
            if _local(rule) == "setoutcomevalue":
                total = self._value(rule[0], response, total)
            else:
                test, *actions = next(iter(rule))
                if self._holds(test, response):
                    for action in actions:
                        total = self._value(action[0], response, total)
        return total

    def _holds(self, test: ET.Element, response: dict[str, list[str]]) -> bool:
        name = _named(test[0], "identifier")
        have, want = response.get(name, []), self.correct(name)
        if _local(test) == "match":
            return sorted(have) == sorted(want)
        assert _local(test) == "equal" and _named(test, "tolerancemode") == "absolute"
        low, high = _named(test, "tolerance").split()
        number = _number(have[0]) if have else None
        if number is None:
            return False
        value = Decimal(want[0])
        return value - Decimal(low) <= number <= value + Decimal(high)

    def _value(self, element: ET.Element, response: dict[str, list[str]], total: float) -> float:
        name = _local(element)
        if name == "sum":
            return sum(self._value(part, response, total) for part in element)
        if name == "variable":
            return total
        if name == "basevalue":
            return float(element.text or 0)
        assert name == "mapresponse"
        identifier = _named(element, "identifier")
        mapping = _all(self.declared[identifier], "mapping")[0]
        worth = {_named(e, "mapkey"): float(_named(e, "mappedvalue")) for e in mapping}
        default = float(_named(mapping, "defaultvalue"))
        return sum(worth.get(v, default) for v in set(response.get(identifier, [])))


# --- Canvas --------------------------------------------------------------------------------------


def canvas_questions(data: bytes) -> list[Question]:
    """The questions of a Canvas package (QTI 1.2)."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        manifest = ET.fromstring(package.read("imsmanifest.xml"))
        (href,) = [f.get("href", "") for f in manifest.iter() if _local(f) == "file"]
        root = ET.fromstring(package.read(href))
    return [_canvas_question(item) for item in _all(root, "item")]


def _canvas_question(item: ET.Element) -> Question:
    fields = {
        (f[0].text or ""): (f[1].text or "") for f in _all(item, "qtimetadatafield")
    }  # fmt: skip
    boxes = [e for e in item.iter() if _local(e).startswith("response_l") and "ident" in e.attrib
             and _local(e) == "response_lid"]  # fmt: skip
    labels = {
        box.get("ident", ""): {
            "".join(label.itertext()).strip(): label.get("ident", "")
            for label in _all(box, "response_label")
        }
        for box in boxes
    }
    conditions = _all(item, "respcondition")

    def score(response: Response) -> float:
        if labels:
            given = {
                name: texts.get(text, "")
                for (name, texts), text in zip(labels.items(), response, strict=True)
            }
        else:
            given = {"response1": response[0]}
        total = 0.0
        for condition in conditions:
            test, action = _all(condition, "conditionvar")[0], _all(condition, "setvar")[0]
            if any(_canvas_holds(part, given) for part in test):
                points = float(action.text or 0)
                total = total + points if action.get("action") == "Add" else points
                if condition.get("continue") == "No":
                    break
        return min(1.0, round(total / 100, 3))

    marks = float(fields.get("points_possible", "0"))
    return Question(item.get("title", ""), fields.get("question_type", ""), score, marks)


def _canvas_holds(test: ET.Element, given: dict[str, str]) -> bool:
    name = _local(test)
    if name == "or":
        return any(_canvas_holds(part, given) for part in test)
    if name == "and":
        return all(_canvas_holds(part, given) for part in test)
    answer, wanted = given.get(test.get("respident", ""), ""), test.text or ""
    if name == "varequal":
        return answer == wanted
    number = _number(answer)
    if number is None:
        return False
    return number >= Decimal(wanted) if name == "vargte" else number <= Decimal(wanted)
