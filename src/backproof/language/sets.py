"""Reads the set after `in`: `R[m, n]`, `(0, 1)[n]`, `{0, 1}`, `onehot[N, K]`, `1..K`.

It must not know what a set promises, nor which dimensions exist.
"""

from __future__ import annotations

from backproof.language.expressions import PRODUCTS_IN_SETS, ExpressionReader
from backproof.language.functions import name_hint
from backproof.language.syntax import Apply, Expr, Name, Number, SetExpr, walk

# name -> (kind, least and most dimensions); None: any number
NAMED_SETS: dict[str, tuple[str, int, int | None]] = {
    "R": ("real", 0, None),
    "Rpos": ("pos", 0, None),
    "onehot": ("onehot", 1, 2),
    "prob": ("prob", 1, 2),
    "sym": ("sym", 1, 1),
    "posdef": ("posdef", 1, 1),
    "diagonal": ("diagonal", 1, 1),
    "orthogonal": ("orthogonal", 1, 1),
}
_DIMENSION_OPS = frozenset(("add", "sub", "mul", "div", "pow", "neg"))
_EXAMPLES = "a set, such as R[3, 4], (0, 1), {0, 1}[N], onehot[N, K] or 1..K"


class SetReader(ExpressionReader):
    """Reads sets from where the cursor stands."""

    def set_expr(self) -> SetExpr:
        """The set that stands here."""
        start = self.starts[self.at]
        kind = self.kinds[self.at]
        if kind == "name" and self.texts[self.at] in NAMED_SETS:
            return self._named(start)
        if kind == "(":
            return self._interval(start)
        if kind == "{":
            return self._labels(start)
        if kind == "name" and self.kinds[self.at + 1] not in ("..", "+", "-", "*"):
            name = self.texts[self.at]
            hint = name_hint(name, NAMED_SETS)
            self.fail(f"'{name}' is not a set; expected {_EXAMPLES}.", hint=hint)
        if kind not in ("name", "number", "-"):
            hint = "an open interval is written (0, 1), a list of labels {0, 1}"
            self.unexpected(_EXAMPLES, hint if kind == "[" else "")
        lower, upper = self.range_ends()
        self._check_dimension(lower)
        self._check_dimension(upper)
        return SetExpr("range", (), (lower, upper), self.since(start))

    def _named(self, start: int) -> SetExpr:
        name = self.texts[self.at]
        kind, least, most = NAMED_SETS[name]
        self.at += 1
        if self.kinds[self.at] == "**" or self.kinds[self.at] == "super":
            self.unexpected("the dimensions in brackets", f"write {name}[n] or {name}[m, n]")
        dims = self._dimensions()
        if most == 1 and len(dims) == 2 and dims[0] == dims[1]:
            dims = dims[:1]  # sym[n, n] says no more than sym[n]
        if len(dims) < least:
            self.unexpected(f"the dimensions of '{name}' in brackets", f"write {name}[n]")
        if most is not None and len(dims) > most:
            few = "one dimension" if most == 1 else f"at most {most} dimensions"
            self.fail(f"'{name}' has {few}; found {len(dims)}.", self.since(start))
        return SetExpr(kind, dims, (), self.since(start))

    def _interval(self, start: int) -> SetExpr:
        self.at += 1
        lower = self.arithmetic()
        self.expect(",", "',' and the upper end of the interval", "an interval is written (0, 1)")
        upper = self.arithmetic()
        self.expect(")", "')' after the two ends of the interval")
        dims = self._dimensions()
        return SetExpr("interval", dims, (lower, upper), self.since(start))

    def _labels(self, start: int) -> SetExpr:
        self.at += 1
        labels: list[Expr] = []
        while self.kinds[self.at] != "}":
            at = self.at
            label = self.signed_power()
            if not _is_integer(label):
                self.at = at
                self.unexpected("a whole number as a label", "labels are written {0, 1} or {-1, 1}")
            if label in labels:
                self.fail("This label is written twice.", label.span, hint="keep one of the two")
            labels.append(label)
            if not self.accept(","):
                break
        if self.kinds[self.at] == "..":
            self.unexpected(
                "',' or '}'", "a range of whole numbers is written 1..K, without braces"
            )
        self.expect("}", "a label, ',' or '}'")
        if not labels:
            self.fail("A set of labels has at least one label.", self.since(start))
        dims = self._dimensions()
        return SetExpr("labels", dims, tuple(labels), self.since(start))

    def _dimensions(self) -> tuple[Expr, ...]:
        """`[m, n]` or `[m × n]`; () where no bracket stands."""
        if not self.accept("["):
            return ()
        if self.kinds[self.at] == "]":
            self.fail("A dimension is missing between '[' and ']'.", hint="write R for a number")
        dims: list[Expr] = []
        while True:
            dimension = self.arithmetic(PRODUCTS_IN_SETS)
            self._check_dimension(dimension)
            dims.append(dimension)
            if not self.accept(",") and not self.accept("×"):
                break
        if self.kinds[self.at] != "]":
            hint = ""
            if self.kinds[self.at] in ("name", "number"):
                hint = "dimensions are written [m, n] or [m × n]"
            self.unexpected("',' or ']' after a dimension", hint)
        self.at += 1
        return tuple(dims)

    def _check_dimension(self, expr: Expr, example: str = "R[N, 3*28*28 + 1]") -> None:
        for node in walk(expr):
            if isinstance(node, Name):
                continue
            if isinstance(node, Number) and node.value.denominator == 1:
                continue
            if isinstance(node, Apply) and node.op in _DIMENSION_OPS:
                continue
            self.fail(
                "A dimension is a whole number, a name, or arithmetic on these; "
                "found something else.",
                node.span,
                hint=f"write {example}",
            )


def _is_integer(expr: Expr) -> bool:
    if isinstance(expr, Apply) and expr.op == "neg":
        expr = expr.args[0]
    return isinstance(expr, Number) and expr.value.denominator == 1
