"""What a refuted claim has too much or too little: left minus right in symbols, where it is short.

Both sides are multiplied out into sums of products of names, equal products cancel, and what is
left is written in the reader's own names. The result is compared with the two sides at random
points before it is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import reduce

from backproof.calculus.compare import Sides, compare
from backproof.calculus.model import Model
from backproof.calculus.notation import syntax, text
from backproof.calculus.simplify import Simplifier
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.operators.dims import ONE, SCALAR
from backproof.operators.node import Node

LONGEST = 110  # characters; a longer difference helps nobody
SHORT = 40  # good enough to look no further
SHORTER = 0.85  # of the length, where a later form is taken for its being shorter
MOST_TERMS = 40
Term = tuple[Fraction, tuple[Node, ...], tuple[Node, ...]]  # number, numbers, chain of matrices


class _TooWide(Exception):
    """Multiplying out would give more terms than anyone would read."""


def difference(
    model: Model, left: Node, right: Node, simplifier: Simplifier | None = None
) -> str | None:
    """left - right in the sheet language, or None where it is long or cannot be written."""
    if left.loops or right.loops or left.shape != right.shape:
        return None
    best: str | None = None
    for expr in _candidates(model, left, right, simplifier or Simplifier(model)):
        shown = text(expr)
        if (
            len(shown) > LONGEST
            or "?" in shown
            or (best is not None and len(shown) > SHORTER * len(best))
        ):
            continue
        if _same(model, left - right, expr):
            best = shown
            if len(best) <= SHORT:
                break
    return best


def _candidates(
    model: Model, left: Node, right: Node, simplifier: Simplifier
) -> Iterator[ast.Expr]:
    try:
        gap = simplifier.plain(left) - simplifier.plain(right)
        yield from _both(_Expander(model, simplifier, True).collected(gap))
        yield from _both(syntax(simplifier.plain(gap)))
        yield from _both(_Expander(model, simplifier, False).collected(gap))
    except (BackproofError, _TooWide, KeyError, RecursionError):
        return


def _both(expr: ast.Expr | None) -> Iterator[ast.Expr]:
    """An expression without the brackets that a run of matrix products can do without; as it is."""
    if expr is not None:
        yield from dict.fromkeys((_run_on(expr), expr))


def _run_on(expr: ast.Expr) -> ast.Expr:
    """`A @ B @ C` for `A @ (B @ C)`, everywhere inside."""
    if not isinstance(expr, ast.Apply):
        return expr
    args = tuple(_run_on(a) for a in expr.args)
    if expr.op != "matmul":
        return replace(expr, args=args)
    left, right = args
    spine = []
    while isinstance(right, ast.Apply) and right.op == "matmul":
        spine.append(right.args[1])
        right = right.args[0]
    return reduce(lambda a, b: ast.Apply("matmul", (a, b)), [left, right, *reversed(spine)])


def _same(model: Model, gap: Node, expr: ast.Expr) -> bool:
    try:
        node = model.node(expr)
    except BackproofError:  # a number between matrices cannot be moved out of its brackets
        return False
    if gap.shape != node.shape:
        return False
    found = compare(model, Sides(gap, node), float_points=1, exact_points=1)
    return found.counter is None and found.points > 0


class _Expander:
    """Multiplies nodes out into sums of products; a diagonal matrix times a column is their
    entrywise product while terms are compared, and a named one is itself again when shown.

    whole   numbers that are sums, such as a2 - y, stay whole
    """

    def __init__(self, model: Model, simplifier: Simplifier, whole: bool) -> None:
        self.simplifier = simplifier
        self.whole = whole
        self.diagonal: dict[int, Node] = {}
        self.named: dict[int, Node] = {}
        for name, definition in model.definitions.items():
            if definition.diagonal is not None:
                column = simplifier.plain(definition.diagonal)
                self.diagonal[model.leaves[name].id] = column
                self.named[column.id] = model.leaves[name]

    def collected(self, gap: Node) -> ast.Expr | None:
        """The terms of *gap*, equal ones added up and written out."""
        total: dict[tuple[tuple[int, ...], tuple[int, ...]], Term] = {}
        for number, scalars, chain in self.terms(gap):
            key = (tuple(s.id for s in scalars), tuple(m.id for m in chain))
            before = total.get(key)
            total[key] = (number + (before[0] if before else 0), scalars, chain)
        left = sorted((t for t in total.values() if t[0]), key=lambda t: t[0] < 0)
        if not left:
            return None
        result: ast.Expr | None = None
        for number, scalars, chain in left:
            term = self._written(abs(number), scalars, chain)
            if term is None:
                return None
            if result is None:
                result = ast.Apply("neg", (term,)) if number < 0 else term
            else:
                result = ast.Apply("sub" if number < 0 else "add", (result, term))
        return result

    def _written(
        self, number: Fraction, scalars: tuple[Node, ...], chain: tuple[Node, ...]
    ) -> ast.Expr | None:
        matrices = [m for part in chain for m in self._refolded(part)]
        above: list[Node] = []
        below: list[Node] = []
        for scalar in scalars:
            under = _inverted(scalar)
            if under is None:
                above.append(scalar)
                continue
            factor, rest = _numbered(under)
            number /= factor
            below += rest
        if below and number.denominator > 1:
            below.insert(0, self.simplifier.graph.number(number.denominator))
            number = Fraction(number.numerator)
        top = self._above(number, above, matrices)
        under_line = _product("mul", _powers(below))
        if top is None or (below and under_line is None):
            return None
        return top if under_line is None else ast.Apply("div", (top, under_line))

    def _above(
        self, number: Fraction, scalars: list[Node], matrices: list[Node]
    ) -> ast.Expr | None:
        """What stands above the line: the number, the numbers with names, the matrices.

        One number with a name stands where the product has become a column, as one writes it by
        hand: W.T @ (a - y) @ x.T; where it never does, in front, as more numbers do.
        """
        at = next((k for k, m in enumerate(matrices) if k and m.shape[0] == ONE), len(matrices))
        if len(scalars) > 1:
            at = len(matrices)
        front = [] if at < len(matrices) else _powers(scalars)
        parts = [syntax(m) for m in matrices]
        if at < len(matrices):
            parts[at:at] = _powers(scalars)
        if any(e is None for e in (*front, *parts)):
            return None
        if number != 1 or not (front or parts):
            place = front if front or not parts else parts
            factor = syntax(self.simplifier.graph.number(number))
            place[:1] = [_product("mul", [factor, *place[:1]])]
        return _product("mul", [*front, _product("matmul", parts)])

    def _refolded(self, part: Node) -> list[Node]:
        if part.op.powers == (1, 1):
            for a, b in (part.args, part.args[::-1]):
                if a.id in self.named:
                    return [self.named[a.id], b]
        return [part]

    def terms(self, node: Node) -> list[Term]:
        """The terms of a node: sums taken apart, products multiplied out over sums."""
        found = list(self._apart(node))
        if len(found) > MOST_TERMS:
            raise _TooWide
        return found

    def _apart(self, node: Node) -> Iterator[Term]:
        if node.terms:
            yield from self._sum(node)
        elif node.op.powers == (1, 1):
            yield from self._times(node)
        elif node.op.powers == (1, -1):
            yield from self._over(node)
        elif node.matrices:
            yield from self._product(node)
        elif node.transposed is not None:
            yield from self._turned(node.transposed)
        elif node.fill is not None and node.shape == SCALAR:
            yield node.fill, (), ()
        else:
            yield _single(node)

    def _sum(self, node: Node) -> Iterator[Term]:
        if any(a.shape != node.shape for a in node.args):
            yield _single(node)
            return
        for part, sign in node.terms:
            yield from _scaled(self.terms(part), Fraction(sign))

    def _product(self, node: Node) -> Iterator[Term]:
        left, right = (self._factor(a) for a in node.args)
        if len(left) * len(right) > MOST_TERMS:
            raise _TooWide
        for a, s, m in left:
            for b, t, n in right:
                yield a * b, _sorted(s + t), self._joined(m, n)

    def _factor(self, node: Node) -> list[Term]:
        if self.whole and node.shape == SCALAR and len(node.terms) > 1:
            return [_single(node)]
        return self.terms(node)

    def _joined(self, left: tuple[Node, ...], right: tuple[Node, ...]) -> tuple[Node, ...]:
        if not left or not right:
            return left + right
        last, first = left[-1], right[0]
        column = self.diagonal.get(last.id)
        if column is None:
            column = last.diagonal
        if column is None or first.shape != column.shape:
            return left + right
        return (*left[:-1], self.simplifier.plain(column * first), *right[1:])

    def _times(self, node: Node) -> Iterator[Term]:
        a, b = node.args
        if a.shape == SCALAR or b.shape == SCALAR:
            yield from self._product(node)
            return
        if a.shape != b.shape:
            yield _single(node)
            return
        for p, s, m in self.terms(a):
            for q, t, n in self.terms(b):
                if not m or not n:
                    yield _single(node)
                    return
                one, other = (reduce(lambda x, y: x @ y, chain) for chain in (m, n))
                yield p * q, _sorted(s + t), (self.simplifier.plain(one * other),)

    def _over(self, node: Node) -> Iterator[Term]:
        a, b = node.args
        if b.shape != SCALAR:
            yield _single(node)
        elif b.fill:
            yield from _scaled(self.terms(a), 1 / b.fill)
        else:
            for number, scalars, chain in self.terms(a):
                yield number, _sorted((*scalars, 1 / b)), chain

    def _turned(self, node: Node) -> Iterator[Term]:
        for number, scalars, chain in self.terms(node):
            yield number, scalars, tuple(m.T for m in reversed(chain))


def _product(sign: str, parts: Sequence[ast.Expr | None]) -> ast.Expr | None:
    """The product of what is there, from the left; None of nothing."""
    known = [p for p in parts if p is not None]
    return reduce(lambda a, b: ast.Apply(sign, (a, b)), known) if known else None


def _inverted(node: Node) -> Node | None:
    """b of 1/b."""
    if node.op.powers == (1, -1) and node.args[0].fill == 1:
        return node.args[1]
    return None


def _numbered(node: Node) -> tuple[Fraction, list[Node]]:
    """A number as (a plain number, what it is multiplied with)."""
    if node.fill:
        return node.fill, []
    if node.op.powers == (1, 1):
        (a, one), (b, other) = map(_numbered, node.args)
        return a * b, one + other
    return Fraction(1), [node]


def _powers(nodes: Sequence[Node]) -> list[ast.Expr | None]:
    """Numbers as expressions, equal ones as a power."""
    found: list[ast.Expr | None] = []
    for node, times in Counter(nodes).items():
        expr = syntax(node)
        power = ast.Number(Fraction(times), str(times))
        found.append(ast.Apply("pow", (expr, power)) if expr and times > 1 else expr)
    return found


def _single(node: Node) -> Term:
    return (Fraction(1), (node,), ()) if node.shape == SCALAR else (Fraction(1), (), (node,))


def _scaled(terms: list[Term], by: Fraction) -> Iterator[Term]:
    for number, scalars, chain in terms:
        yield number * by, scalars, chain


def _sorted(scalars: tuple[Node, ...]) -> tuple[Node, ...]:
    return tuple(sorted(scalars, key=lambda n: n.id))
