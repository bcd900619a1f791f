r"""A formula as a small tree, read from the LaTeX that our own notation writes.

MathML, Typst, one-line drawings and spoken text are writers over this tree. The reader is strict:
a command outside the subset is an error, so that nothing is ever shown half-translated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

AtomKind = Literal[
    "name", "upright", "bold", "number", "text", "sign", "function", "big", "double", "bracket"
]


@dataclass(frozen=True, slots=True)
class Atom:
    """One sign or word: `name` an italic letter, `function` an upright word before its argument,
    `sign` an operator or relation, `big` a sum with limits, `double` a double-struck sign,
    `bracket` one of a pair between which lines may be broken."""

    kind: AtomKind
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """Parts beside each other."""

    items: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Space:
    """A gap, in ems."""

    width: float


@dataclass(frozen=True, slots=True)
class Fraction:
    above: Formula
    below: Formula


@dataclass(frozen=True, slots=True)
class Root:
    inside: Formula


@dataclass(frozen=True, slots=True)
class Script:
    """A base with a superscript, a subscript, or both."""

    base: Formula
    above: Formula | None
    below: Formula | None


@dataclass(frozen=True, slots=True)
class Fence:
    """Brackets that grow with what they hold; "" for a side without one."""

    left: str
    inside: Formula
    right: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells: a matrix in square brackets, or cases behind a brace."""

    kind: Literal["matrix", "cases"]
    rows: tuple[tuple[Formula, ...], ...]


@dataclass(frozen=True, slots=True)
class Accent:
    """A sign over a base: ^ ¯ ~ ˙."""

    sign: str
    base: Formula


@dataclass(frozen=True, slots=True)
class Boxed:
    """What was left blank."""

    inside: Formula


@dataclass(frozen=True, slots=True)
class Phantom:
    """Takes its place and is not seen, so that what follows stands below its like."""

    inside: Formula


Formula = (
    Atom | Row | Space | Fraction | Root | Script | Fence | Table | Accent | Boxed | Phantom
)  # fmt: skip


class FormulaError(ValueError):
    """LaTeX outside the subset that our notation writes: a fault of ours."""


GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "varepsilon": "ε", "epsilon": "ε",
    "zeta": "ζ", "eta": "η", "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ",
    "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "varsigma": "ς", "tau": "τ",
    "upsilon": "υ", "varphi": "φ", "phi": "ϕ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ",
    "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
SIGNS = {
    "cdot": "·", "times": "×", "odot": "⊙", "otimes": "⊗", "leq": "≤", "geq": "≥", "neq": "≠",
    "leftarrow": "←", "rightarrow": "→", "to": "→", "pm": "±", "in": "∈", "approx": "≈",
    "Rightarrow": "⇒", "mapsto": "↦",
}  # fmt: skip
PLAIN = {
    "partial": "∂", "nabla": "∇", "top": "⊤", "infty": "∞", "cdots": "⋯", "ldots": "…",
    "dots": "…", "vdots": "⋮", "prime": "′", "ell": "ℓ",
}  # fmt: skip
BIG = {"sum": "∑", "prod": "∏"}
LIMITS = {"max", "min"}
FUNCTIONS = {"log", "exp", "sin", "cos", "tanh", "det", "ln", "max", "min"}
ACCENTS = {"hat": "^", "bar": "¯", "tilde": "~", "dot": "˙"}
SPACES = {",": 0.17, ";": 0.28, ":": 0.22, " ": 0.25, "!": 0.0, "quad": 1.0}
DOUBLE = {"R": "ℝ", "1": "𝟙", "E": "𝔼"}
FENCES = {
    "lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "lfloor": "⌊", "rfloor": "⌋",
    "lceil": "⌈", "rceil": "⌉", "{": "{", "}": "}", "|": "‖", "langle": "⟨", "rangle": "⟩",
}  # fmt: skip
OPENED = {("bracket", "("), ("bracket", "[")}
RELATIONS = frozenset("=≠≤≥<>←→≈∈⇒↦")
BINARY = frozenset("+-·×⊙⊗±−")
_DIRECT = frozenset("+-=<>*/!,;:()[]|·×⊙⊗≤≥≠←→±−∈≈…⋯%")
_TOKEN = re.compile(r"\\(?:[A-Za-z]+\*?|.)|\s+|\d+(?:\.\d+)?|.", re.DOTALL)


@lru_cache(maxsize=8192)
def parse(latex: str) -> Formula:
    """The tree of a formula; FormulaError for what is not in the subset."""
    reader = _Reader(latex)
    found = reader.row(frozenset())
    if reader.at < len(reader.tokens):
        raise FormulaError(f"{reader.tokens[reader.at]!r} closes nothing in {latex!r}")
    return found


class _Reader:
    def __init__(self, latex: str) -> None:
        self.latex = latex
        self.tokens = _TOKEN.findall(latex)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        token = self.peek()
        if not token:
            raise FormulaError(f"{self.latex!r} ends too early")
        self.at += 1
        return token

    def skip(self) -> None:
        while self.peek().isspace():
            self.at += 1

    def row(self, until: frozenset[str]) -> Formula:
        """Parts up to one of the tokens, which is not read."""
        items: list[Formula] = []
        while True:
            self.skip()
            token = self.peek()
            if not token or token in until or token in ("}", r"\right", "&", r"\\", r"\end"):
                break
            items.append(self.scripted())
        return items[0] if len(items) == 1 else Row(tuple(items))

    def scripted(self) -> Formula:
        base: Formula = Row(()) if self.peek() in "^_" else self.part()
        above: Formula | None = None
        below: Formula | None = None
        while True:
            self.skip()
            token = self.peek()
            if token == "^" and above is None:
                self.next()
                above = self.argument()
            elif token == "_" and below is None:
                self.next()
                below = self.argument()
            elif token == "'" and above is None:
                self.next()
                above = Atom("sign", "′")
            else:
                break
        return base if above is None and below is None else Script(base, above, below)

    def argument(self) -> Formula:
        self.skip()
        if self.peek() != "{":
            return self.part()
        self.next()
        inner = self.row(frozenset("}"))
        self.expect("}")
        return inner

    def expect(self, token: str) -> None:
        found = self.next()
        if found != token:
            raise FormulaError(f"{token!r} was expected, not {found!r}, in {self.latex!r}")

    def part(self) -> Formula:
        token = self.peek()
        if token == "{":
            return self.argument()
        self.next()
        if token.startswith("\\"):
            return self.command(token[1:])
        if token[0].isdigit():
            return Atom("number", token)
        if token in _DIRECT:
            return Atom("sign", "−" if token == "-" else token)
        if token.isalpha():
            return Atom("name", token)
        if not token.isascii() and token.isprintable():
            return Atom("text", token)
        if token == "'":
            return Atom("sign", "′")
        raise FormulaError(f"{token!r} is not known in {self.latex!r}")

    def command(self, word: str) -> Formula:
        if word in GREEK:
            return Atom("name", GREEK[word])
        if word in SIGNS:
            return Atom("sign", SIGNS[word])
        if word in PLAIN:
            return Atom("upright", PLAIN[word])
        if word in BIG:
            return Atom("big", BIG[word])
        if word in FUNCTIONS:
            return Atom("big" if word in LIMITS and self.peek() == "_" else "function", word)
        if word in SPACES:
            return Space(SPACES[word])
        if word in ACCENTS:
            return Accent(ACCENTS[word], self.argument())
        if word in ("%", "#", "&", "_", "$"):
            return Atom("text", word)
        if word in ("lVert", "rVert", "lvert", "rvert"):
            return Atom("sign", FENCES[word])
        return self.structure(word)

    def structure(self, word: str) -> Formula:
        if word == "frac":
            return Fraction(self.argument(), self.argument())
        if word == "sqrt":
            return Root(self.argument())
        if word == "boxed":
            return Boxed(self.argument())
        if word == "phantom":
            return Phantom(self.argument())
        if word in ("mathrm", "text", "operatorname", "operatorname*", "mathbf", "mathbb"):
            return self.word(word)
        if word == "left":
            left = self.fence()
            inside = self.row(frozenset())
            self.expect(r"\right")
            return Fence(left, inside, self.fence())
        if word == "begin":
            return self.table()
        raise FormulaError(f"\\{word} is not known in {self.latex!r}")

    def word(self, command: str) -> Formula:
        text = self.raw()
        if command == "mathbb":
            if text not in DOUBLE:
                raise FormulaError(f"\\mathbb{{{text}}} is not known")
            return Atom("double", DOUBLE[text])
        if command == "mathbf":
            return Atom("bold", text)
        if command == "text":
            return Atom("text", text)
        if command == "operatorname*":
            return Atom("big", text)
        return Atom("function" if command == "operatorname" else "upright", text)

    def raw(self) -> str:
        """The words of an argument, with Greek letters and escaped signs in them."""
        self.skip()
        self.expect("{")
        out: list[str] = []
        depth = 0
        while True:
            token = self.next()
            if token == "}" and not depth:
                return "".join(out)
            depth += (token == "{") - (token == "}")
            if token in ("{", "}"):
                continue
            if token.startswith("\\"):
                word = token[1:]
                known = GREEK.get(word) or PLAIN.get(word) or SIGNS.get(word)
                if known is None and len(word) > 1:
                    raise FormulaError(f"\\{word} is not known in {self.latex!r}")
                out.append(known or ("" if word in ",;!" else word))
                if known:
                    self.skip()
            else:
                out.append(token)

    def fence(self) -> str:
        self.skip()
        token = self.next()
        if token == ".":
            return ""
        if token in "()[]|":
            return token
        if token.startswith("\\") and token[1:] in FENCES:
            return FENCES[token[1:]]
        raise FormulaError(f"{token!r} is no bracket in {self.latex!r}")

    def table(self) -> Formula:
        kind = self.raw()
        if kind not in ("bmatrix", "cases"):
            raise FormulaError(f"\\begin{{{kind}}} is not known")
        rows: list[tuple[Formula, ...]] = []
        cells: list[Formula] = []
        while True:
            cells.append(self.row(frozenset()))
            token = self.next()
            if token == "&":
                continue
            rows.append(tuple(cells))
            cells = []
            if token == r"\\":
                continue
            if token == r"\end":
                self.raw()
                return Table("matrix" if kind == "bmatrix" else "cases", tuple(rows))
            raise FormulaError(f"{token!r} stands in a table of {self.latex!r}")


# --- what all writers ask ------------------------------------------------------------------------


def items_of(formula: Formula) -> tuple[Formula, ...]:
    """The parts beside each other."""
    return formula.items if isinstance(formula, Row) else (formula,)


def is_sign(formula: Formula, signs: frozenset[str] | str = RELATIONS | BINARY) -> bool:
    """Whether a part is one of the operators."""
    return isinstance(formula, Atom) and formula.kind == "sign" and formula.text in signs


def is_prefix(items: Sequence[Formula], at: int) -> bool:
    """Whether the sign at a place stands before its operand only, as in −x or (−x)."""
    if not is_sign(items[at], "+−-±"):
        return False
    before = next((i for i in reversed(items[:at]) if not isinstance(i, Space)), None)
    opened = isinstance(before, Atom) and (before.kind, before.text) in OPENED
    return before is None or opened or (isinstance(before, Atom) and before.kind == "sign")


def pieces(formula: Formula, most: float) -> list[Row]:
    """The formula in pieces that a line may be broken between, each before an operator.

    Broken at relations and sums; a piece wider than *most* ems also at products.
    """
    found: list[list[Formula]] = [[]]
    items = items_of(loosened(formula, most))
    for k, item in enumerate(items):
        begun = any(not isinstance(i, Phantom) for i in found[-1])
        if begun and is_sign(item, RELATIONS | frozenset("+−-±")) and not is_prefix(items, k):
            found.append([])
        found[-1].append(item)
    out: list[Row] = []
    for piece in found:
        if width(Row(tuple(piece))) <= most:
            out.append(Row(tuple(piece)))
        else:
            out += _at_products(piece, most)
    return out


def loosened(formula: Formula, most: float) -> Row:
    """The formula with what is wider than *most* ems taken apart, so that lines can be broken in
    it: of a fraction with a sum above, one over its denominator times the sum in brackets."""
    out: list[Formula] = []
    for item in items_of(formula):
        if width(item) <= most:
            out.append(item)
        elif isinstance(item, Fraction) and _is_sum(item.above):
            head = Fraction(Atom("number", "1"), item.below)
            inside = loosened(item.above, most).items
            out += [head, Space(0.17), Atom("bracket", "("), *inside, Atom("bracket", ")")]
        elif isinstance(item, Fraction) and width(item.below) <= most / 2:
            count, *rest = items_of(item.above)
            if not (isinstance(count, Atom) and count.kind == "number"):
                count, rest = Atom("number", "1"), [count, *rest]
            rest = rest[1:] if rest and isinstance(rest[0], Space) else rest
            head = Fraction(count, item.below)
            out += [head, Space(0.17), *loosened(Row(tuple(rest)), most).items]
        elif isinstance(item, Fence) and item.left in "([" and item.right in ")]":
            inside = loosened(item.inside, most).items
            out += [Atom("bracket", item.left), *inside, Atom("bracket", item.right)]
        elif isinstance(item, Script) and isinstance(item.base, Fence):
            *inner, end = loosened(item.base, most).items  # what is raised goes to the bracket
            out += [*inner, replace(item, base=end)]
        else:
            out.append(item)
    return Row(tuple(out))


def _is_sum(formula: Formula) -> bool:
    items = items_of(formula)
    return any(is_sign(i, "+−") and not is_prefix(items, k) for k, i in enumerate(items))


def _at_products(items: Sequence[Formula], most: float) -> list[Row]:
    found: list[list[Formula]] = [[]]
    used = 0.0
    for item in items:
        wide = width(item)
        free = isinstance(item, Space) or is_sign(item, "⊙·×⊗")
        if free and found[-1] and used > most / 3:
            found.append([] if isinstance(item, Space) else [item])
            used = 0.0
            continue
        found[-1].append(item)
        used += wide
    return [Row(tuple(p)) for p in found if p]


def width(formula: Formula) -> float:
    """About how wide a formula is, in ems."""
    match formula:
        case Atom(kind="sign", text=text):
            return 1.2 if text in RELATIONS | BINARY else 0.4
        case Atom(text=text):
            return 0.5 * len(text) + 0.1
        case Row(items=items):
            return sum(map(width, items))
        case Space(width=wide):
            return wide
        case Fraction(above=above, below=below):
            return max(width(above), width(below)) + 0.3
        case Root(inside=inside):
            return width(inside) + 0.8
        case Script(base=base, above=above, below=below):
            scripts = max(width(s) if s is not None else 0.0 for s in (above, below))
            limits = isinstance(base, Atom) and base.kind == "big"
            return max(width(base), 0.7 * scripts) if limits else width(base) + 0.7 * scripts
        case Fence(inside=inside):
            return width(inside) + 0.8
        case Table(rows=rows):
            columns = [0.0] * max(map(len, rows))
            for row in rows:
                for k, cell in enumerate(row):
                    columns[k] = max(columns[k], width(cell))
            return sum(columns) + 0.8 * len(columns) + 0.6
        case Accent(base=base) | Phantom(inside=base):
            return width(base)
        case Boxed(inside=inside):
            return width(inside) + 1.0


# --- columns of numbers ---------------------------------------------------------------------------

Digits = tuple[bool, int, int]  # whether there is a sign, digits before and behind the point


def digits(cell: Formula) -> Digits | None:
    """The size of a number in decimals; None for anything else."""
    items = items_of(cell)
    signed = bool(items) and is_sign(items[0], "−-")
    rest = items[1:] if signed else items
    if len(rest) != 1 or not isinstance(rest[0], Atom) or rest[0].kind != "number":
        return None
    whole, _, part = rest[0].text.partition(".")
    return signed, len(whole), len(part)


def columns_of_numbers(tree: Table) -> dict[int, Digits]:
    """Column -> the size that holds all of its numbers, where these are of different sizes."""
    found: dict[int, Digits] = {}
    for k in range(max(map(len, tree.rows))):
        sizes = [s for row in tree.rows if k < len(row) and (s := digits(row[k])) is not None]
        if len(set(sizes)) > 1:
            signs, wholes, parts = zip(*sizes, strict=True)
            found[k] = (any(signs), max(wholes), max(parts))
    return found
