"""Cuts the text of a sheet into tokens that remember where they stood.

Paper spellings (`∈ ᵀ ⊙ · ≤ −`) become the plain ones here, so that the parser knows one spelling
of each. It must not know what any token means, or in which order tokens may follow each other.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from backproof.errors import LimitExceeded, Place, SheetSyntaxError, Source, Span

LONGEST_TEXT = 1_000_000
LONGEST_LINE = 20_000

STATEMENT_WORDS = frozenset(("given", "learn", "let", "assume", "ask", "claim", "round", "layout"))
KEYWORDS = STATEMENT_WORDS | {"for", "in", "if"}


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a region as four parallel lists, the last token being of kind `end`.

    kinds   "name", "number", "string", "super" (a superscript), "newline" or "end"; for signs and
            keywords the plain spelling itself ("**", ".T", "in")
    texts   as written in the source
    """

    kinds: list[str]
    texts: list[str]
    starts: list[int]
    ends: list[int]


def tokenize(source: Source, start: int = 0, end: int | None = None) -> Tokens:
    """The tokens of source.text[start:end], without comments and without newlines in brackets."""
    end = len(source.text) if end is None else end
    check_size(source, start, end)
    kinds: list[str] = []
    texts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    brackets: list[int] = []  # the indices of the tokens that are still open
    fresh_line = True
    for match in _TOKEN.finditer(source.text, start, end):
        group = match.lastgroup
        if group == "newline":
            fresh_line = True
            if brackets or not kinds or kinds[-1] == "newline":
                continue
            kind = "newline"
        elif group == "comment":
            continue
        elif group == "end":
            break
        else:
            text = match[group or 0]
            kind = group or ""
            if group == "name":
                if text in KEYWORDS:
                    kind = text
                    if fresh_line and brackets and text in STATEMENT_WORDS:
                        break  # the statement before this one left a bracket open
            elif group == "sign":
                kind = _PLAIN.get(text, text)
                if kind in _CLOSES:
                    brackets.append(len(kinds))
                elif kind in _OPENS:
                    _close(source, kind, match.span("sign"), brackets, kinds, starts)
            elif group == "real":
                kind, text = "name", text.replace("ℝ", "R")
            elif group == "bad":
                raise _bad_character(source, match.start("bad"))
            fresh_line = False
        kinds.append(kind)
        texts.append(text if kind != "newline" else "\n")
        starts.append(match.start(group or 0))
        ends.append(match.end())
    if brackets:
        opened = brackets[-1]
        raise SheetSyntaxError(
            f"The bracket '{texts[opened]}' is never closed; expected '{_CLOSES[kinds[opened]]}'.",
            place=Place(source, Span(starts[opened], ends[opened])),
            hint=f"add '{_CLOSES[kinds[opened]]}' where the bracket ends",
        )
    if kinds and kinds[-1] != "newline":
        _append_mark(kinds, texts, starts, ends, "newline", ends[-1])
    _append_mark(kinds, texts, starts, ends, "end", ends[-1] if ends else start)
    return Tokens(kinds, texts, starts, ends)


def check_size(source: Source, start: int, end: int) -> None:
    """Refuse a text or a line that no one wrote by hand, before any time is spent on it."""
    if end - start > LONGEST_LINE:
        long_line = _LONG_LINE.search(source.text, start, end)
        if long_line is not None:
            line = source.position(long_line.start())[0]
            raise LimitExceeded(
                f"Line {line} is longer than {LONGEST_LINE:,} characters.",
                place=Place(source, Span(long_line.start(), long_line.start() + 1)),
                hint='break the line inside brackets, or read the values with file("…")',
            )
    if end - start > LONGEST_TEXT:
        raise LimitExceeded(
            f"The sheet has {end - start:,} characters; at most {LONGEST_TEXT:,} are read.",
            place=Place(source, Span(start, start + 1)),
            hint='keep large values in a file beside the sheet: given X = file("points.csv")',
        )


# What looks like a letter to `\w`, but is a sign of its own on paper.
_NOT_IN_NAMES = "ᵀℝ⁰¹²³⁴⁵⁶⁷⁸⁹¼½¾"
_NAME = rf"[^\W\d{_NOT_IN_NAMES}₀-₉](?:[^\W{_NOT_IN_NAMES}]|[\u0300-\u036f])*"
_TOKEN = re.compile(
    rf"""[^\S\n]*(?:
      (?P<name>{_NAME})
    | (?P<number>(?:[0-9]+(?:\.(?![.T])[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<newline>\n)
    | (?P<sign>\*\*|==|!=|<=|>=|\.\.|\.T(?!\w)|[-+*/@=<>()\[\]{{}},:±×⊙∘·⋅−≤≥≠∈ᵀ⊤])
    | (?P<comment>\#[^\n]*)
    | (?P<real>ℝ(?:pos(?!\w))?)
    | (?P<super>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)
    | (?P<string>"[^"\n]*"|'[^'\n]*')
    | (?P<end>\Z)
    | (?P<bad>.)
    )""",
    re.VERBOSE,
)
_LONG_LINE = re.compile(rf"[^\n]{{{LONGEST_LINE + 1}}}")
_PLAIN = {
    "⊙": "*", "∘": "*", "·": "*", "⋅": "*", "−": "-", "≤": "<=", "≥": ">=", "≠": "!=",
    "∈": "in", "ᵀ": ".T", "⊤": ".T",
}  # fmt: skip
_CLOSES = {"(": ")", "[": "]", "{": "}"}
_OPENS = {")": "(", "]": "[", "}": "{"}
_HINTS = {
    "^": "a power is written with **",
    ";": "write one statement a line",
    ".": "a transpose is written .T, a range 1..N, the name of a file in quotes",
    "…": "a range is written with two dots, as in 1..N",
    "'": "a transpose is written .T",
    '"': "a quoted text ends on the line on which it began",
    "√": "a root is written sqrt(…)",
    "∑": "a sum with an index is written Σ(i=1..N) y[i], or sum(y[i] for i in 1..N)",
    "∏": "a product with an index is written Π(i=1..N) y[i], or prod(y[i] for i in 1..N)",
    "|": "an absolute value is written abs(…), a norm norm(…)",
    "‖": "a norm is written norm(…), its square sumsq(…)",
    "∥": "a norm is written norm(…), its square sumsq(…)",
    "\\": "a statement goes on over lines inside brackets",
}


def _append_mark(
    kinds: list[str], texts: list[str], starts: list[int], ends: list[int], kind: str, at: int
) -> None:
    kinds.append(kind)
    texts.append("")
    starts.append(at)
    ends.append(at)


def _close(
    source: Source,
    kind: str,
    span: tuple[int, int],
    brackets: list[int],
    kinds: list[str],
    starts: list[int],
) -> None:
    place = Place(source, Span(*span))
    if not brackets:
        raise SheetSyntaxError(
            f"The bracket '{kind}' closes nothing; no '{_OPENS[kind]}' is open here.",
            place=place,
            hint=f"remove it, or add the '{_OPENS[kind]}' that it closes",
        )
    opened = brackets.pop()
    if kinds[opened] != _OPENS[kind]:
        wanted = _CLOSES[kinds[opened]]
        raise SheetSyntaxError(
            f"Found '{kind}' where '{wanted}' was expected.",
            place=place,
            also=(
                f"'{kinds[opened]}' was opened here",
                Place(source, Span(starts[opened], starts[opened] + 1)),
            ),
            hint=f"write '{wanted}'",
        )


def _bad_character(source: Source, at: int) -> SheetSyntaxError:
    character = source.text[at]
    shown = f"'{character}'"
    if not character.isprintable():
        shown = unicodedata.name(character, "an unprintable character")
    if ord(character) > 126:
        shown += f" (U+{ord(character):04X})"
    quoted = character in "'\""
    message = (
        "A quoted text is not closed on its line."
        if quoted
        else f"The character {shown} has no meaning in a sheet."
    )
    return SheetSyntaxError(
        message,
        place=Place(source, Span(at, at + 1)),
        hint=_HINTS.get(character, "remove it, or write it in a comment after #"),
    )
