r"""LaTeX for lines that carry none: a line in the sheet's spelling, read again as a formula.

`= 0.3*(0.1**2 + (-0.4)**2)` becomes = 0.3 (0.1^{2} + (-0.4)^{2}). A line that is not all formula
keeps its text. Knows no working by name.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from backproof.calculus.latex import Latex, latex_name, partial
from backproof.errors import BackproofError, Source
from backproof.language import syntax as ast
from backproof.language.statements import parse_expression
from backproof.working.steps import Working
from backproof.working.writing import _Numbers

if TYPE_CHECKING:
    from backproof.calculus.model import Model

LONGEST = 600  # characters of a line that is read again
_KINDS = ("equation", "numbers", "result", "local", "chain")
_RELATIONS = {
    "=": "=", ":=": r"\leftarrow", "==": "=", "!=": r"\neq", "≠": r"\neq", "<=": r"\leq",
    "≤": r"\leq", ">=": r"\geq", "≥": r"\geq", "<": "<", ">": ">", "→": r"\rightarrow",
    "±": r"\pm",
}  # fmt: skip
_SPECIAL = re.compile(
    r"(?P<norm>‖(?P<inside>[^‖]+)‖(?P<two>₂)?)"
    r"|max \|(?P<slope>\w+)'\((?P<at>[^|]+)\)\|"
    r"|(?P<most>max )?\|(?P<size>[^|]+)\|"
    r"|√(?P<root>\w+|\((?P<under>[^()]+)\))"
    r"|(?P<bare>\b[A-Za-z]\w*)'\((?P<bare_at>\w+)\)"
    r"|∂(?P<of>\w+|⟦\d+⟧)/∂(?P<by>\w+|⟦\d+⟧)(?![\w\[])"
    r"|⟦(?P<hole>\d+)⟧"
    r"|(?P<dash>–)"
)
# sign, LaTeX, what must stand in the text for its sides to be read one by one
_READ_APART = (
    (" of at most ", r"\; \text{of at most}\; ", " of at most "),
    (" + ", " + ", " · "),
    (" · ", r" \cdot ", " · "),
)
_TOLD = re.compile(r"([^,;]*)([,;]) ((?:[^,;]|(?<=\d),(?=\d{3}))*\b[a-z]{2,} [a-z]{2,}.*)")
_FORS = re.compile(r" for (\w+) in ([^\s]+?)\.\.([^\s]+)")


def with_latex(model: Model, working: Working) -> Working:
    """The working, every line that is a formula with its LaTeX."""
    numbers = _Scalars(model)
    steps = tuple(
        replace(step, latex=line_latex(step.text, numbers, step.label))
        if not step.latex and step.kind in _KINDS
        else step
        for step in working.steps
    )
    return replace(working, steps=steps)


def formulas(model: Model, texts: Iterable[str | None]) -> dict[str, str]:
    """Text -> LaTeX, for the texts that are formulas."""
    numbers = _Numbers(model)
    shown = {text: line_latex(text, numbers) for text in texts if text}
    return {text: latex for text, latex in shown.items() if latex}


def line_latex(text: str, numbers: Container[str], label: str = "") -> str:
    """A line as LaTeX; "" where it is not all formula. `⟦3⟧` is a piece that was left blank."""
    if len(text) > LONGEST or "\n" in text:
        return ""
    lead = ""
    if label and text.startswith(f"{label}: "):
        lead = rf"\text{{{_escaped(label)}:}}\; "
        text = text[len(label) + 2 :]
    text, tail = _fors(text)
    told = _TOLD.fullmatch(text)
    if told:
        text, tail = told[1], rf"{told[2]}\; \text{{{_escaped(told[3])}}}"
    out: list[str] = []
    for part in _split(text):
        if part in _RELATIONS:
            out.append(_RELATIONS[part])
        elif part:
            shown = _expression(part, numbers)
            if not shown:
                return ""
            out.append(shown)
    return lead + " ".join(out) + tail if out else ""


def _escaped(text: str) -> str:
    return re.sub(r"([_%&#$])", r"\\\1", text)


def _fors(text: str) -> tuple[str, str]:
    """(what stands before `for i in 1..n …` at the end of a claim, that as LaTeX)."""
    at = text.find(" for ")
    head, rest = text[:at], text[at:]
    if at < 0 or _depth(head) or _FORS.sub("", rest):
        return text, ""
    ranges = [
        rf"{latex_name(i)} = {low}, \dots, {latex_name(high) if high.isidentifier() else high}"
        for i, low, high in _FORS.findall(rest)
    ]
    return head, r" \quad \text{for } " + r",\; ".join(ranges)


def _depth(text: str) -> int:
    return sum(map(text.count, "([{")) - sum(map(text.count, ")]}"))


def _split(text: str) -> list[str]:
    """The line cut at its outer relations, which are parts of their own."""
    parts: list[str] = []
    words: list[str] = []
    depth = 0
    for word in text.split(" "):
        if depth == 0 and word in _RELATIONS:
            parts += [" ".join(words), word]
            words = []
            continue
        depth += _depth(word)
        words.append(word)
    return [part.strip() for part in (*parts, " ".join(words))]


def _expression(text: str, numbers: Container[str]) -> str:
    """One side as LaTeX; "" where it cannot be read. Factors between ` · ` are read one by one."""
    for sign, shown, where in _READ_APART:
        if where in text and sign in text:
            sides = [_expression(side, numbers) for side in text.split(sign)]
            if all(sides):
                return shown.join(sides)
    special: dict[str, str] = {}

    def held(match: re.Match[str]) -> str:
        name = f"held{len(special)}q"
        special[name] = _special(match, numbers)
        return name

    plain = _SPECIAL.sub(held, text)
    if not all(special.values()):
        return ""
    try:
        expr = parse_expression(Source("line", plain))
    except (BackproofError, RecursionError):
        return ""
    return _Holding(numbers, special)(expr)


def _special(match: re.Match[str], numbers: Container[str]) -> str:
    if match["norm"]:
        inner = _expression(match["inside"], numbers)
        two = "_{2}" if match["two"] else ""
        return inner and rf"\left\lVert {inner}\right\rVert{two}"
    if match["slope"]:
        inner = _expression(match["at"], numbers)
        return inner and rf"\max\left|{_prime(match['slope'])}\left({inner}\right)\right|"
    if match["size"]:
        inner = _expression(match["size"], numbers)
        most = r"\max" if match["most"] else ""
        return inner and rf"{most}\left|{inner}\right|"
    if match["root"]:
        inner = _expression(match["under"] or match["root"], numbers)
        return inner and rf"\sqrt{{{inner}}}"
    if match["bare"]:
        return rf"{_prime(match['bare'])}\left({latex_name(match['bare_at'])}\right)"
    if match["of"]:
        return partial(match["of"], match["by"], _name)
    if match["hole"]:
        return _name(match[0])
    return r"\text{–}"


def _name(name: str) -> str:
    return rf"\boxed{{{name}}}" if name.startswith("⟦") else latex_name(name)


def _prime(function: str) -> str:
    if function == "sigmoid":
        return r"\sigma'"
    word = {"relu": "ReLU"}.get(function, function.replace("_", r"\_"))
    return rf"\operatorname{{{word}}}'"


class _Holding(Latex):
    """Writes expressions in which some names stand for what is already LaTeX."""

    def __init__(self, numbers: Container[str], special: dict[str, str]) -> None:
        plain = {n: s for n, s in special.items() if not s.startswith(r"\boxed")}
        super().__init__(_Either(numbers, plain))
        self.special = special

    def __call__(self, expr: ast.Expr | None) -> str:
        if isinstance(expr, ast.Name) and expr.id in self.special:
            return self.special[expr.id]
        return super().__call__(expr)


class _Scalars(_Numbers):
    """The names that are numbers; names that only a working uses are numbers too."""

    def __contains__(self, name: object) -> bool:
        return name not in self.model.leaves or super().__contains__(name)


class _Either(Container[str]):
    def __init__(self, one: Container[str], other: Container[str]) -> None:
        self.one, self.other = one, other

    def __contains__(self, name: object) -> bool:
        return name in self.one or name in self.other
