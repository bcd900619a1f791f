"""The values of a sheet's names under its rounding policy, and how numbers are written.

`round N each` rounds the result of every equation, and every line of a loss that is written out,
half away from zero and carries the rounded number on; otherwise everything is carried at full
precision and only shown rounded. Values are decimals of fifty digits, so that 0.125 is a tie.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator
from backproof.calculus.expand import Expansion, elaborate_with, expand, line_nodes
from backproof.calculus.model import Model
from backproof.language import syntax as ast
from backproof.operators.arithmetic import decimal_context
from backproof.operators.node import Node, quantities

Array = Any
SHOWN = 4  # decimals that are shown where the sheet does not say


@dataclass(frozen=True, slots=True)
class Rounding:
    """decimals shown; whether every result is rounded and carried on; whether the sheet says so."""

    decimals: int
    each: bool
    stated: bool


def sheet_values(model: Model, *, each: bool | None = None) -> SheetValues:
    """The values of all names under the sheet's rounding policy.

    each   overrides whether every result is rounded (to see what the other policy would give)
    """
    stated = model.sheet.round
    policy = Rounding(
        stated.decimals if stated else SHOWN,
        each if each is not None else bool(stated and stated.each),
        stated is not None,
    )
    return SheetValues(model, policy)


class SheetValues:
    """The values of a sheet.

    rounding     the policy
    expansions   name of an equation -> its losses written out (also in `evaluator`'s definitions)
    evaluator    evaluates any node at these values; use it inside `decimal_context()`
    raw          name -> the value before it was rounded, of everything computed so far
    """

    def __init__(self, model: Model, rounding: Rounding) -> None:
        self.model = model
        self.rounding = rounding
        self.expansions: dict[str, Expansion] = {}
        self.raw: dict[str, Array] = {}
        self.leaves: dict[str, Node] = dict(model.leaves)
        self._definitions = dict(model.definitions)
        for name, equation in model.sheet.equations.items():
            self._expand(name, equation.expr)
        self._literal = {n for n, node in model.definitions.items() if node.is_literal}
        self._decimals: dict[
            int, tuple[Array, int]
        ] = {}  # with the array, so that the id stays its
        self._missing: dict[str, frozenset[str]] = {}
        with decimal_context(), np.errstate(all="ignore"):
            values = model.written_values(exact=True)
            values.update(model.decimals)
            self.evaluator = Evaluator(
                model.number_sizes(),
                values,
                self._definitions,
                exact=True,
                after=self._after,
                most=BY_HAND,
            )

    # --- values ------------------------------------------------------------------------------

    def named(self, name: str) -> Array:
        """The value of a name, an array of two axes or more; KeyError names one without a value."""
        with decimal_context(), np.errstate(all="ignore"):
            return self.evaluator.named(name)

    def value(self, node: Node) -> Array:
        """The value of a node at these values; nothing in the node itself is rounded."""
        with decimal_context(), np.errstate(all="ignore"):
            return self.evaluator.value(node)

    def expression(self, expr: ast.Expr) -> Array:
        """The value of an expression; losses in it are worked out line by line, as in equations.

        The expression's own result is rounded only when it is shown.
        """
        return self.value(self.node(expr))

    def node(self, expr: ast.Expr, owner: str | None = None) -> Node:
        """The node of an expression, over the lines of its losses where it has any."""
        if isinstance(expr, ast.Name) and expr.id in self.leaves:
            return self.leaves[expr.id]
        owner = owner or f"expression {len(self.expansions) + 1}"
        if self._expand(owner, expr):
            return self._definitions[owner]
        return elaborate_with(self.model, self.leaves, expr)

    def missing(self, node: Node) -> set[str]:
        """The declared names that a node needs and that have no value."""
        found: set[str] = set()
        for name in quantities([node]):
            found |= self._missing_below(name)
        return found

    def computable(self, node: Node) -> bool:
        """Whether a node has a value: nothing it needs is missing, every size is a number."""
        if self.missing(node):
            return False
        pending, seen = [node], set[str]()
        while pending:
            current = pending.pop()
            if self.model.open_dimensions(current):
                return False
            for name in quantities([current]) - seen:
                seen.add(name)
                if name in self._definitions:
                    pending.append(self._definitions[name])
        return True

    def definition(self, name: str) -> Node | None:
        """The right-hand side of an equation or of a line, as it is evaluated here."""
        return self._definitions.get(name)

    # --- showing -----------------------------------------------------------------------------

    def rounded(self, array: Array) -> Array:
        """A value as it is shown: rounded half away from zero."""
        with decimal_context():
            return round_half_away(array, self.rounding.decimals)

    def decimals_of(self, array: Array) -> int:
        """How many decimals a result is shown with: N, or fewer where it has no more of them."""
        if self.rounding.each:
            return self.rounding.decimals
        found = self._decimals.get(id(array))
        if found is None:
            found = array, decimals_needed(array, self.rounding.decimals)
            self._decimals[id(array)] = found
        return min(self.rounding.decimals, found[1])

    def show(self, array: Array) -> str:
        """A result as text."""
        return show_array(array, self.decimals_of(array))

    def show_named(self, name: str) -> str:
        """The value of a name as text; what the sheet gives is shown as it was given."""
        array = self.named(name)
        if name in self.model.declared or name in self._literal:
            return show_array(array, self.as_given)
        return self.show(array)

    def as_given(self, x: Any) -> str:
        """A number that the sheet gives, with as many decimals as it has (within reason)."""
        most = max(6, self.rounding.decimals)
        return show_number(x, decimals_needed(np.array([x], dtype=object), most))

    # --- inside ------------------------------------------------------------------------------

    def _expand(self, owner: str, expr: ast.Expr) -> bool:
        found = expand(self.model, owner, expr)
        if found is None:
            return False
        nodes, rest = line_nodes(self.model, found.lines, found.rest)
        for line, node in zip(found.lines, nodes, strict=True):
            self._definitions[line.name] = node
            shape = self.model.graph.resolve_shape(node.shape)
            self.leaves[line.name] = self.model.graph.quantity(line.name, shape)
        self._definitions[owner] = rest
        self.expansions[owner] = found
        return True

    def _after(self, name: str, array: Array) -> Array:
        self.raw[name] = array
        if not self.rounding.each or name in self._literal:
            return array
        return round_half_away(array, self.rounding.decimals)

    def _missing_below(self, name: str) -> frozenset[str]:
        stack = [name]
        while stack:
            current = stack[-1]
            if current in self._missing:
                stack.pop()
            elif current not in self._definitions:
                lacks = current in self.model.declared and not self.model.has_value(current)
                self._missing[current] = frozenset((current,) if lacks else ())
            else:
                below = quantities([self._definitions[current]])
                todo = [n for n in below if n not in self._missing]
                if todo:
                    stack.extend(todo)
                    continue
                self._missing[current] = frozenset().union(*(self._missing[n] for n in below))
        return self._missing[name]


# --- rounding and writing numbers ------------------------------------------------------------


BY_HAND = 5_000_000  # multiplications in decimals for one node: about a second
LONGEST = 24  # digits before the point; more than anyone reads


def round_half_away(array: Array, decimals: int) -> Array:
    """Every entry rounded half away from zero; what is not finite stays."""
    unit = Decimal(1).scaleb(-decimals)
    out = np.empty(np.shape(array), dtype=object)
    for index, x in np.ndenumerate(np.asarray(array, dtype=object)):
        out[index] = round_number(x, unit)
    return out


def round_number(x: Any, unit: Decimal) -> Decimal:
    """A number rounded half away from zero to a multiple of *unit* (a power of ten)."""
    value = _decimal(x)
    if not value.is_finite():
        return value
    with decimal.localcontext() as wide:
        wide.prec = max(60, value.adjusted() - unit.adjusted() + 10)
        result = value.quantize(unit, rounding=ROUND_HALF_UP)
    return abs(result) if result == 0 else result


def _decimal(x: Any) -> Decimal:
    if isinstance(x, Decimal):
        return x
    if isinstance(x, Fraction):
        with decimal_context():
            return Decimal(x.numerator) / Decimal(x.denominator)
    return Decimal(x) if isinstance(x, int) else Decimal(repr(float(x)))


def decimals_needed(array: Array, most: int) -> int:
    """How many decimals show every entry exactly; *most* where more would be needed."""
    needed = 0
    with decimal_context():
        for x in np.asarray(array, dtype=object).flat:
            value = _decimal(x)
            if not value.is_finite():
                continue
            exact = value.normalize().as_tuple().exponent
            needed = max(needed, -exact if isinstance(exact, int) else 0)
            if needed >= most:
                return most
    return needed


def show_number(x: Any, decimals: int) -> str:
    """A number with a fixed number of decimals; zero has no sign.

    What has more than `LONGEST` digits before the point is written with twelve digits and a power.
    """
    value = round_number(x, Decimal(1).scaleb(-decimals))
    if value.is_nan():
        return "undefined"
    if value.is_infinite():
        return "-∞" if value < 0 else "∞"
    if value.adjusted() >= LONGEST:
        with decimal.localcontext(decimal.Context(12, Emax=decimal.MAX_EMAX)):
            return f"{value.normalize():e}".replace("+", "")
    return f"{value:f}"


Writer = Callable[[Any], str]


def writer(decimals: int | Writer) -> Writer:
    """What writes one number: with so many decimals, or in a way of its own."""
    return decimals if callable(decimals) else lambda x: show_number(x, decimals)


def show_array(array: Array, decimals: int | Writer) -> str:
    """A value as a sheet would write it: a number, `[1, 2]` a column, `[[1, 2], [3, 4]]` rows."""
    write = writer(decimals)
    a = np.asarray(array, dtype=object)
    if a.size == 1 and a.ndim <= 2:
        return write(a.reshape(-1)[0])
    if a.ndim == 2 and a.shape[1] == 1:
        return _bracketed(a[:, 0], write)
    return _bracketed(a, write)


def _bracketed(a: Array, write: Writer) -> str:
    if a.ndim == 0:
        return write(a[()])
    return f"[{', '.join(_bracketed(np.asarray(x, dtype=object), write) for x in a)}]"


def nested(array: Array, decimals: int) -> Any:
    """A value for a Step: decimals rounded as shown, nested the way `show_array` writes them."""
    a = round_half_away(array, decimals)
    if a.size == 1 and a.ndim <= 2:
        return a.reshape(-1)[0]
    if a.ndim == 2 and a.shape[1] == 1:
        return list(a[:, 0])
    return a.tolist()
