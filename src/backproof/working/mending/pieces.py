"""What a sheet offers for mending its claims: names, sizes, and pieces of what it says elsewhere.

Everything is offered with a cost, cheapest first. Shapes are looked up once; a piece whose shape
cannot fit is not offered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import cached_property, lru_cache

from backproof.calculus.model import Model
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.language.sheet import Sheet
from backproof.operators.dims import ONE, SCALAR, Shape
from backproof.working.mending.chains import apply, number, size_of
from backproof.working.mending.edits import EXPRESSION, HINTS, WRAPS, Edit

LARGEST_PIECE = 14  # nodes of a piece of another line
MOST_PIECES = 60
OTHER_SHAPE = 0.3  # what a name of another shape costs more


class Pieces:
    """The pieces of one sheet."""

    def __init__(self, model: Model, claims: Sequence[ast.Claim]) -> None:
        self.model = model
        self.claims = claims
        self.text = model.sheet.source.slice(model.sheet.region)
        self._shapes: dict[int, Shape | None] = {}

    @cached_property
    def writes_half(self) -> bool:
        """Whether the sheet writes 0.5 rather than a division by 2."""
        return "0.5" in self.text

    def is_column(self, expr: ast.Expr) -> bool:
        """Whether an expression is a column or a number, so that an axis makes no difference."""
        shape = self.shape_of(expr)
        return shape is not None and len(shape) == 2 and shape[1] == ONE

    def is_number(self, expr: ast.Expr) -> bool:
        """Whether an expression is a number."""
        return self.shape_of(expr) == SCALAR

    @property
    def derivatives(self) -> list[ast.Expr]:
        """The derivatives of the activations that define names, in their own terms."""
        return [body for bodies in self._derivatives.values() for body in bodies]

    # --- names -------------------------------------------------------------------------------

    def is_quantity(self, name: str) -> bool:
        return name in self.model.leaves

    def is_dimension(self, expr: ast.Expr) -> bool:
        """Whether an expression is a size: a dimension's name or a product of them."""
        match expr:
            case ast.Name(id=name):
                return name in self._dimensions
            case ast.Apply(op="mul" | "add" | "sub", args=(a, b)):
                return self.is_dimension(a) and (self.is_dimension(b) or isinstance(b, ast.Number))
            case _:
                return False

    @cached_property
    def _dimensions(self) -> frozenset[str]:
        return frozenset(self.model.sheet.dimensions)

    near: frozenset[ast.Expr] = frozenset()  # parts of the other side of the claim at hand
    any_shape = False  # whether names of another shape are offered too

    def names_like(self, name: str) -> list[tuple[float, str]]:
        """Other names of the same shape (or its transpose), the likeliest first."""
        found = self._names_like.get(name)
        if found is None:
            found = self._names_like[name] = self._find_names(name)
        return [(cost, n) for cost, n, fits in found if fits or self.any_shape]

    @cached_property
    def _names_like(self) -> dict[str, list[tuple[float, str, bool]]]:
        return {}

    def _find_names(self, name: str) -> list[tuple[float, str, bool]]:
        model = self.model
        if name in self._dimensions:
            return [(1.25, n, True) for n in model.sheet.dimensions if n != name]
        if name not in model.leaves:
            return []
        shape = model.shape(name)
        turned = tuple(reversed(shape))
        near = self._related.get(name, frozenset())
        found = []
        for other in model.leaves:
            if other == name:
                continue
            there = model.shape(other)
            cost = 1.1 + 0.3 * (1 - _alike(name, other)) - (0.08 if other in near else 0.0)
            if there != shape:
                cost += OTHER_SHAPE
            found.append((cost, other, there in (shape, turned)))
        return sorted(found, key=lambda f: f[0])

    @cached_property
    def _related(self) -> dict[str, frozenset[str]]:
        """Names that stand in one equation with a name, or are defined by it."""
        related: dict[str, set[str]] = {}
        for name, uses in self.model.sheet.uses.items():
            for other in uses:
                related.setdefault(name, set()).add(other)
                related.setdefault(other, set()).add(name)
        return {n: frozenset(r) for n, r in related.items()}

    def loops_like(self, name: str) -> Iterator[tuple[float, str]]:
        """Other index names."""
        for claim in self.model.sheet.claims:
            for loop in claim.loops:
                if loop.name != name:
                    yield 1.2, loop.name

    # --- sizes -------------------------------------------------------------------------------

    def sizes(self) -> list[tuple[float, ast.Expr]]:
        """Sizes to divide or multiply by: dimension names, numbers, and products of two."""
        return self._sizes

    @cached_property
    def _sizes(self) -> list[tuple[float, ast.Expr]]:
        found: list[tuple[float, ast.Expr]] = []
        names = [ast.Name(n) for n in self.model.sheet.dimensions]
        found += [(1.12, n) for n in names]
        numbers: set[int] = set()
        for leaf in self.model.leaves.values():
            sizes = [n for d in leaf.shape if (n := d.as_int()) is not None and n > 1]
            numbers.update(sizes)
            if len(sizes) == 2 and sizes[0] * sizes[1] < 10_000:
                numbers.add(sizes[0] * sizes[1])
        found += [(1.25, number(n)) for n in sorted(numbers)[:8] if n != 2]
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                found.append((1.45, apply("mul", a, b)))
                found.append((1.46, apply("mul", b, a)))
        return found

    @cached_property
    def wraps(self) -> list[tuple[str, float]]:
        """Functions that may be missing; likelier where the sheet is about them."""
        near = {f for f, words in HINTS.items() if any(w in self.text for w in words)}
        return [(f, 1.45 if f in near else cost) for f, cost in WRAPS.items()]

    @cached_property
    def exponents(self) -> list[tuple[float, ast.Expr]]:
        """Exponents that something may lack: those of the sheet, sizes, and a few numbers."""
        found: dict[ast.Expr, float] = {}
        for root in self._roots:
            for node in ast.walk(root):
                if isinstance(node, ast.Apply) and node.op == "pow":
                    exponent = node.args[1]
                    if not isinstance(exponent, ast.Number) and size_of(exponent) <= 3:
                        found.setdefault(exponent, 1.2)
                    if isinstance(exponent, ast.Name):
                        found.setdefault(apply("sub", exponent, number(1)), 1.25)
        for dimension in self.model.sheet.dimensions:
            found.setdefault(ast.Name(dimension), 1.5)
        found.setdefault(number(3), 1.3)
        if "**-" in self.text:
            for n in (1, 2):
                found.setdefault(apply("neg", number(n)), 1.3 + 0.05 * n)
        return sorted(((cost, e) for e, cost in found.items()), key=lambda f: f[0])

    # --- derivatives of activations ------------------------------------------------------------

    def derivative_of_name(self, name: str) -> Iterator[tuple[float, ast.Expr]]:
        """The derivative of the activation that defines a name, in its own terms."""
        for body in self._derivatives.get(name, ()):
            yield 1.25, body

    def is_sigmoid(self, name: str) -> bool:
        """Whether a name is defined as the sigmoid of something."""
        equation = self.model.sheet.equations.get(name)
        return isinstance(getattr(equation, "expr", None), ast.Apply) and (
            equation.expr.op == "sigmoid"  # type: ignore[union-attr]
        )

    @cached_property
    def _derivatives(self) -> dict[str, list[ast.Expr]]:
        found: dict[str, list[ast.Expr]] = {}
        for name, equation in self.model.sheet.equations.items():
            expr = equation.expr
            if not isinstance(expr, ast.Apply) or len(expr.args) != 1:
                continue
            me, arg = ast.Name(name), expr.args[0]
            if expr.op == "sigmoid":
                found[name] = [apply("mul", me, apply("sub", number(1), me))]
            elif expr.op == "tanh":
                found[name] = [apply("sub", number(1), apply("pow", me, number(2)))]
            elif expr.op == "relu":
                found[name] = [apply("step", arg)]
            elif expr.op == "exp":
                found[name] = [me]
            elif expr.op == "softplus":
                found[name] = [apply("sigmoid", arg)]
        return found

    # --- factors and terms ---------------------------------------------------------------------

    def factors(self, depth: int) -> list[tuple[float, ast.Expr, Shape | None]]:
        """Factors that a product may lack, with their shapes."""
        return self._factors if depth < 2 else self._likely

    @cached_property
    def _likely(self) -> list[tuple[float, ast.Expr, Shape | None]]:
        return [f for f in self._factors if f[0] < 1.6]

    @cached_property
    def _factors(self) -> list[tuple[float, ast.Expr, Shape | None]]:
        found: list[tuple[float, ast.Expr]] = []
        for bodies in self._derivatives.values():
            for body in bodies:
                found.append((1.3, body))
                if isinstance(body, ast.Apply) and body.op == "mul":
                    found.append((1.36, body.args[1]))
        found += [(1.38, body) for body in self._inner_derivatives]
        found += [(1.45, ast.Name(name)) for name in self.model.leaves]
        found += [(1.6, apply("step", ast.Name(name))) for name in self._rectified]
        for dimension in self.model.sheet.dimensions:
            me = ast.Name(dimension)
            found += [(1.45, apply("eye", me)), (1.6, apply("ones", me))]
        found += [(1.6 + cost, body) for cost, body in self.others]
        return [(cost, body, self.shape_of(body)) for cost, body in found]

    @cached_property
    def _rectified(self) -> list[str]:
        """Names that go through a relu somewhere."""
        found = []
        for equation in self.model.sheet.equations.values():
            for node in ast.walk(equation.expr):
                if isinstance(node, ast.Apply) and node.op in ("relu", "max"):
                    found += [a.id for a in node.args if isinstance(a, ast.Name)]
        return list(dict.fromkeys(found))

    @cached_property
    def _inner_derivatives(self) -> list[ast.Expr]:
        """Derivatives of the elementary functions that the sheet uses."""
        found: dict[ast.Expr, None] = {}
        for root in self._roots:
            for node in ast.walk(root):
                if not isinstance(node, ast.Apply) or len(node.args) != 1:
                    continue
                arg = node.args[0]
                if node.op == "sin":
                    found[apply("cos", arg)] = None
                elif node.op == "cos":
                    found[apply("sin", arg)] = None
                elif node.op in ("exp", "inv"):
                    found[node] = None
                elif node.op == "abs":
                    found[apply("sign", arg)] = None
                elif node.op == "relu":
                    found[apply("step", arg)] = None
                elif node.op == "tanh":
                    square = apply("pow", node, number(2))
                    found[apply("sub", number(1), square)] = None
        return [f for f in found if self.shape_of(f) is not None][:12]

    def matrix_factors(self, depth: int) -> list[tuple[float, ast.Expr]]:
        """Factors that a matrix product may lack."""
        return self._matrices if depth < 2 else []

    @cached_property
    def _matrices(self) -> list[tuple[float, ast.Expr]]:
        found: list[tuple[float, ast.Expr]] = []
        for bodies in self._derivatives.values():
            found += [(1.34, apply("diag", b)) for b in bodies]
        if "jac(" in self.text:
            for name, uses in self.model.sheet.uses.items():
                found += [(1.28, apply("jac", ast.Name(name), ast.Name(u))) for u in uses]
        for name, leaf in self.model.leaves.items():
            if not leaf.is_number:
                me = ast.Name(name)
                found += [(1.45, me), (1.5, apply("transpose", me))]
        for cost, body in self.others:
            if isinstance(body, ast.Apply) and body.op in ("diag", "inv", "transpose", "jac"):
                found.append((1.65 + cost, body))
        return found

    def terms(self, depth: int) -> list[tuple[float, bool, ast.Expr]]:
        """Terms that a sum may lack: (cost, with a minus, the term); their shapes may differ."""
        return self._terms if depth < 1 else self._few_terms

    @cached_property
    def _few_terms(self) -> list[tuple[float, bool, ast.Expr]]:
        return [t for t in self._terms if t[0] < 1.62]

    @cached_property
    def _terms(self) -> list[tuple[float, bool, ast.Expr]]:
        found: list[tuple[float, bool, ast.Expr]] = []
        one = number(1)
        found += [(1.4, True, one), (1.45, False, one)]
        for name in self.model.leaves:
            found += [(1.5, False, ast.Name(name)), (1.52, True, ast.Name(name))]
        for cost, body in self.others:
            found += [(1.6 + cost, False, body), (1.62 + cost, True, body)]
        return sorted(found, key=lambda f: f[0])

    def names_beside(self, name: str) -> list[tuple[float, str]]:
        """Names that could stand in a sum with a name."""
        model = self.model
        if name not in model.leaves:
            return []
        shape = model.shape(name)
        return [
            (1.55, n)
            for n in model.leaves
            if n != name and (model.shape(n) == shape or model.leaves[n].is_number)
        ]

    def singles(self) -> list[ast.Expr]:
        """Names and small pieces that may be factors of a term left out."""
        names: list[ast.Expr] = [ast.Name(n) for n in self.model.leaves]
        return names + [body for _, body in self.others if not _is_product(body)]

    def replacements(self, expr: ast.Expr) -> Iterator[tuple[float, ast.Expr]]:
        """Pieces of the same shape to stand in an expression's place."""
        if isinstance(expr, ast.Number):
            return
        wanted = self.shape_of(expr)
        if not isinstance(expr, ast.Name):
            for name in self.model.leaves:
                if wanted is None or self.model.shape(name) == wanted:
                    yield 1.6, ast.Name(name)
        for cost, body in self.others:
            if wanted is None or self.shape_of(body) == wanted:
                yield (1.4 if body in self.near else 1.75) + cost, body

    def of_shape(self, wanted: Shape) -> Iterator[Edit]:
        """Pieces of the sheet that have a shape, in place of a whole side that has another."""
        for name in self.model.leaves:
            if self.model.shape(name) == wanted:
                yield Edit(1.6, _same, ast.Name(name), EXPRESSION)
        for cost, body in self.others:
            if self.shape_of(body) == wanted:
                yield Edit(1.62 + cost, _same, body, EXPRESSION)

    @cached_property
    def _roots(self) -> list[ast.Expr]:
        """The sides of all claims and equations."""
        roots = [side for c in self.claims if not c.loops for side in c.sides]
        return roots + [e.expr for e in self.model.sheet.equations.values()]

    @cached_property
    def others(self) -> list[tuple[float, ast.Expr]]:
        """Compound expressions that occur in the sheet: (extra cost by size, expression)."""
        seen: dict[ast.Expr, float] = {}
        for root in self._roots:
            for node in ast.walk(root):
                if isinstance(node, ast.Apply | ast.Subscript) and node not in seen:
                    size = size_of(node)
                    if size <= LARGEST_PIECE and self.shape_of(node) is not None:
                        seen[node] = 0.02 * size
        found = sorted(((cost, node) for node, cost in seen.items()), key=lambda f: f[0])
        return found[:MOST_PIECES]

    def shape_of(self, expr: ast.Expr) -> Shape | None:
        """The shape of an expression of the sheet, or None where it does not fit together."""
        known = self._shapes.get(id(expr), False)
        if known is not False:
            return known  # type: ignore[return-value]
        shape: Shape | None
        try:
            shape = self.model.graph.resolve_shape(self.model.node(expr).shape)
        except (BackproofError, RecursionError):
            shape = None
        if expr.span.end:
            self._shapes[id(expr)] = shape
        return shape


def built_on(sheet: Sheet, name: str) -> frozenset[str]:
    """The names whose equations depend on a name."""
    found = {name}
    for other in sheet.order:
        if found & set(sheet.uses[other]):
            found.add(other)
    return frozenset(found - {name})


def names_in(expr: ast.Expr) -> frozenset[str]:
    """The names that stand in an expression."""
    return frozenset(n.id for n in ast.walk(expr) if isinstance(n, ast.Name))


def _is_product(expr: ast.Expr) -> bool:
    return isinstance(expr, ast.Apply) and expr.op in ("mul", "matmul", "transpose", "neg")


def _same(expr: ast.Expr) -> ast.Expr:
    return expr


@lru_cache(maxsize=4096)
def _alike(a: str, b: str) -> float:
    """How easily one name is written for another, from 0 to 1."""
    if a.rstrip("0123456789") == b.rstrip("0123456789") or a.casefold() == b.casefold():
        return 0.95
    if a[:1] == b[:1] and len(a) > 1 and len(b) > 1:
        return 0.6 + 0.3 * SequenceMatcher(None, a, b).ratio()
    if len(a) == len(b) == 1:
        return max(0.0, 0.6 - 0.03 * abs(ord(a) - ord(b)))
    return 0.5 * SequenceMatcher(None, a, b).ratio()
