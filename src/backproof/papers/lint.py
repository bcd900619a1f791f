"""Looks a paper over before students do: what is wrong in it, what gives answers away.

error     a sheet that cannot be read, a false claim in a sheet or in the prose, marks that do
          not add up
warning   an answer that is printed elsewhere, an undecided claim, an ask without marks, a name
          used in a line above its definition
note      a convention whose other reading changes an answer
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from backproof.errors import BackproofError
from backproof.papers.marking import Scheme, SheetMarker
from backproof.papers.paper import BLANK, EQUATION, Paper, PaperSheet
from backproof.papers.stated import stale_numbers
from backproof.working.answer import judge
from backproof.working.claims import REFUTED, check_claims
from backproof.working.conventions import NATURAL, readings
from backproof.working.report import statements_of

ERROR, WARNING, NOTE = "error", "warning", "note"
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.*?)$", re.MULTILINE)
_MARKS = re.compile(r"\b(\d+(?:\.\d+)?)\s+marks?\b")
_CODE = re.compile(r"`([^`\n]+)`")
_NUMBER = re.compile(r"(?<![\w.])[-−]?\d+\.\d{2,}(?!\w|\.\d)")
_EQUALITY = re.compile(r"(?<![=!<>])=(?!=)")


@dataclass(frozen=True)
class Finding:
    """What is to be looked at: how bad, where (a line of the file), and what."""

    severity: str
    line: int
    message: str


def lint(paper: Paper) -> list[Finding]:
    """Everything found, in the order of the file."""
    found = [*_failures(paper), *_marks(paper)]
    for number, sheet in enumerate(paper.sheets):
        found += [*_order(sheet), *_claims(sheet), *_conventions(sheet), *_no_marks(paper, sheet)]
        found += _given_away(paper, sheet)
        found += _stale(paper, sheet)
        found += _prose(paper, sheet, _prose_after(paper, number))
    return sorted(set(found), key=lambda f: (f.line, f.severity, f.message))


def _line(paper: Paper, offset: int) -> int:
    return paper.text.count("\n", 0, offset) + 1


def _failures(paper: Paper) -> Iterator[Finding]:
    for error in paper.failures:
        yield Finding(ERROR, error.place.line if error.place else 1, error.message)


def _order(sheet: PaperSheet) -> Iterator[Finding]:
    """Names that stand in a line above the one that defines them."""
    equations = sheet.sheet.equations
    source = sheet.sheet.source
    for name, equation in equations.items():
        here = source.position(equation.span.start)[0]
        for used in sheet.sheet.uses.get(name, ()):
            if used in equations and equations[used].span.start > equation.span.start:
                there = source.position(equations[used].span.start)[0]
                yield Finding(
                    WARNING,
                    here,
                    f"{name} uses {used}, which is defined below it, in line {there}.",
                )


def _claims(sheet: PaperSheet) -> Iterator[Finding]:
    if not sheet.sheet.claims:
        return
    try:
        verdicts = check_claims(sheet.model)
    except BackproofError as error:
        yield Finding(ERROR, error.place.line if error.place else 1, error.message)
        return
    for verdict in verdicts:
        if verdict.holds:
            continue
        instead = f" Instead: {verdict.suggestion}" if verdict.suggestion else ""
        if verdict.verdict == REFUTED:
            message = f"the claim '{verdict.text}' is false: {verdict.why}{instead}"
            yield Finding(ERROR, verdict.line, message)
        else:
            message = f"the claim '{verdict.text}' could not be decided: {verdict.why}"
            yield Finding(WARNING, verdict.line, message)


def _prose_after(paper: Paper, number: int) -> tuple[int, str]:
    """(where it starts, the prose right behind a sheet, up to the next one)."""
    start = paper.sheets[number].sheet.region.end
    after = paper.sheets[number + 1 :]
    return start, paper.text[start : after[0].sheet.region.start if after else len(paper.text)]


def _prose(paper: Paper, sheet: PaperSheet, prose: tuple[int, str]) -> Iterator[Finding]:
    """What the prose behind a sheet says in `code` about it, judged like a claim."""
    start, text = prose
    heading = _HEADING.search(text)
    for match in _CODE.finditer(text[: heading.start()] if heading else text):
        said = match[1].strip()
        if "==" not in said:
            if len(_EQUALITY.findall(said)) != 1:
                continue
            said = _EQUALITY.sub("==", said)
        names = {n for n in re.findall(r"[^\W\d]\w*", said)} & set(sheet.model.leaves)
        if not names:
            continue
        try:
            verdict = judge(sheet.model, said)
        except BackproofError:
            continue
        if verdict.verdict == REFUTED:
            line = _line(paper, start + match.start())
            yield Finding(ERROR, line, f"the text says '{match[1]}', which is false: {verdict.why}")


def _stale(paper: Paper, sheet: PaperSheet) -> Iterator[Finding]:
    for offset, number, name in stale_numbers(paper, sheet) if sheet.sheet.varies else ():
        yield Finding(
            WARNING, _line(paper, offset),
            f"the text says {number}, and 'vary' changes {name}; write `{name} = …` in code, and "
            "every variant says its own.",
        )  # fmt: skip


def _conventions(sheet: PaperSheet) -> Iterator[Finding]:
    if not sheet.items:
        return
    try:
        found = [r for r in readings(sheet.model) if r.taken != NATURAL]
    except BackproofError:
        return
    line = sheet.sheet.source.position(sheet.sheet.region.start)[0]
    for reading in found:
        name, (ours, theirs) = next(iter(reading.changed.items()))
        yield Finding(
            NOTE, line,
            f"the question must say which reading is meant: {reading.taken}, or {reading.other}; "
            f"{name} is {ours} or {theirs}.",
        )  # fmt: skip


# --- marks ---------------------------------------------------------------------------------------


def _has_marks(paper: Paper) -> bool:
    return any(q.ask.marks is not None for s in paper.sheets for q in s.questions)


def _no_marks(paper: Paper, sheet: PaperSheet) -> Iterator[Finding]:
    if not _has_marks(paper):
        return
    for question in sheet.questions:
        if question.ask.marks is None:
            line = sheet.sheet.source.position(question.ask.span.start)[0]
            count = len(question.items)
            told = "one" if count == 1 else f"{count}, one for each line"
            yield Finding(
                WARNING, line, f"'ask {question.ask.text}' has no marks; it is given {told}."
            )


def _marks(paper: Paper) -> Iterator[Finding]:
    """What the headings and the first lines say about marks, against the asks."""
    if not _has_marks(paper):
        return
    text = _without_fences(paper.text)
    headings = list(_HEADING.finditer(text))
    for k, heading in enumerate(headings):
        stated = _MARKS.search(heading[2])
        if stated is None:
            continue
        level = len(heading[1])
        end = next((h.start() for h in headings[k + 1 :] if len(h[1]) <= level), len(paper.text))
        have = sum(
            (i.marks for s in paper.sheets for i in s.items
             if heading.start() <= s.sheet.region.start < end), Fraction(0),
        )  # fmt: skip
        if have != Fraction(stated[1]):
            yield Finding(
                ERROR, _line(paper, heading.start()),
                f"the heading says {stated[1]} marks, and its asks are worth {float(have):g}.",
            )  # fmt: skip
    first = next((h.start() for h in headings if len(h[1]) > 1), len(text))
    total = _MARKS.search(text[:first])
    if total is not None and Fraction(total[1]) != paper.marks:
        yield Finding(
            ERROR, _line(paper, total.start()),
            f"the paper says {total[1]} marks, and its asks are worth {float(paper.marks):g}.",
        )  # fmt: skip


def _without_fences(text: str) -> str:
    """The text with what stands in fences blanked, every offset kept."""
    return re.sub(
        r"^(`{3,}|~{3,}).*?^\1[ \t]*$",
        lambda m: re.sub(r"[^\n]", " ", m[0]),
        text,
        flags=re.MULTILINE | re.DOTALL,
    )


# --- answers given away --------------------------------------------------------------------------


def _given_away(paper: Paper, sheet: PaperSheet) -> Iterator[Finding]:
    own = {_plain(line) for line in statements_of(sheet.sheet).splitlines()}
    others: dict[str, str] = {}
    for other in paper.sheets:
        for row in statements_of(other.sheet).splitlines() if other is not sheet else ():
            others.setdefault(_plain(row), other.name)
    source = sheet.sheet.source
    for question in sheet.questions:
        line = source.position(question.ask.span.start)[0]
        printed = [
            i.key for i in question.items
            if i.kind == EQUATION and _plain(f"{i.key} = {i.answer}") in own
        ]  # fmt: skip
        if printed:
            yield Finding(
                WARNING, line,
                f"the sheet itself prints what is asked: {', '.join(printed)}. Leave pieces out "
                "with 'blank', or give names without equations.",
            )  # fmt: skip
        told: dict[str, list[str]] = {}
        for item in question.items:
            where = others.get(_plain(item.prompt))
            if item.kind == BLANK and item.prompt and where is not None:
                told.setdefault(where, []).append(item.key)
        for where, keys in told.items():
            yield Finding(
                WARNING, line, f"the answers {', '.join(keys)} stand in the sheet '{where}'."
            )
    yield from _values_given_away(paper, sheet)


def _givens(sheet: PaperSheet) -> dict[str, np.ndarray]:
    """The values that a sheet gives."""
    names = [n for n in sheet.model.declared if sheet.model.has_value(n)]
    return {n: np.asarray(sheet.values.named(n), dtype=np.float64) for n in names}


def _plain(line: str) -> str:
    return re.sub(r"\s+", "", line.partition("#")[0])


def _values_given_away(paper: Paper, sheet: PaperSheet) -> Iterator[Finding]:
    """Asked numbers that stand in the prose before the sheet, or as given values elsewhere."""
    if not sheet.items:
        return
    marker = SheetMarker(sheet, Scheme())
    stated = {float(n.replace("−", "-")) for n in _NUMBER.findall(sheet.intro)}
    given = {float(x) for a in marker.givens.values() for x in a.flat}
    line = sheet.sheet.source.position(sheet.sheet.region.start)[0]
    places = marker.rounding.decimals
    for key, truth in marker.truths.items():
        shown = {round(float(x), places) for x in truth.centre.flat} - given
        if truth.centre.size == 1 and shown & stated:
            yield Finding(WARNING, line, f"the text before the sheet says the answer to {key}.")
        for other in paper.sheets:
            if other is sheet:
                continue
            for name, array in _givens(other).items():
                telling = truth.centre.size > 1 or not float(truth.centre.item()).is_integer()
                if (
                    array.shape == truth.centre.shape
                    and telling
                    and np.abs(array - truth.centre).max() <= 0.5 * 10.0**-places
                    and not any(np.array_equal(array, g) for g in marker.givens.values())
                    and not all(float(x).is_integer() for x in array.flat)
                ):
                    yield Finding(
                        WARNING,
                        line,
                        f"the sheet '{other.name}' gives the answer to {key}: {name}.",
                    )
