r"""Expressions of the sheet language as LaTeX, in the reader's own names made pretty.

`zA1` becomes z^{[1]}_{A}: the digits at the end are the layer, a capital behind a letter a
subscript, and so is a usual word such as `data` or `new`. The tables below say how the language's
functions look; a function that is not in them is written upright with its arguments in brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from functools import lru_cache

from backproof.language import syntax as ast
from backproof.language.format import unparse

_COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _POSTFIX = range(6)

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu",
    "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "varphi",
    "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta",
    "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
_WORDS = {word.removeprefix("var") for word in _GREEK.values()} - {"iota", "upsilon"}
_ACCENTS = {"hat": "hat", "bar": "bar", "tilde": "tilde", "dot": "dot", "mean": "bar"}
_NAME = re.compile(r"([^\W\d_]+?)([A-Z]*)(\d*)")
# one letter and what is a subscript to it: `XA`, `Wb`, `Whh`, `Ldata`, `wnew`
_MARKED = re.compile(r"([A-Z])([A-Z]|[a-z]|[b-df-hj-np-tv-z]{2})(\d*)")
_SHORT = re.compile(r"\w|\d+|[b-df-hj-np-tv-z]{2}")  # indices, in italics
_TAGS = frozenset({
    "data", "reg", "new", "old", "train", "test", "val", "out", "hat", "total", "pred", "true",
    "prev", "next", "max", "min", "bar", "tilde", "in", "dec", "enc", "rec", "aux", "avg",
})  # fmt: skip
_TAGGED = re.compile(rf"([A-Za-z])({'|'.join(sorted(_TAGS))})(\d*)")
_WORDLIKE = frozenset({"CE", "KL", "JS", "ID", "LR", "MI", "xi", "Xi", "Pi", "Mu", "Nu", "pin",
                       "bin", "min", "fin", "win", "kin", "sin", "tin"})  # fmt: skip

# {0}, {1} the arguments; {0!} an argument in brackets where it needs them
_FUNCTIONS: dict[str, str] = {
    "sigmoid": r"\sigma\left({0}\right)",
    "relu": r"\operatorname{{ReLU}}\left({0}\right)",
    "step": r"\mathbb{{1}}\left[{0} > 0\right]",
    "sqrt": r"\sqrt{{{0}}}",
    "abs": r"\left|{0}\right|",
    "norm": r"\left\lVert {0}\right\rVert",
    "sumsq": r"\left\lVert {0}\right\rVert^{{2}}",
    "square": r"\left({0}\right)^{{2}}",
    "floor": r"\left\lfloor {0}\right\rfloor",
    "ceil": r"\left\lceil {0}\right\rceil",
    "trace": r"\operatorname{{tr}}\left({0}\right)",
    "inv": r"\left({0}\right)^{{-1}}",
    "outer": r"\left({0}\right)\left({1}\right)^{{\top}}",
    "kron": r"{0} \otimes {1}",
    "log2": r"\log_{{2}}\left({0}\right)",
    "log10": r"\log_{{10}}\left({0}\right)",
    "logdet": r"\log\left|\det\left({0}\right)\right|",
    "eye": r"I",
    "ones": r"\mathbf{{1}}",
    "zeros": r"\mathbf{{0}}",
    "hess": r"\nabla^{{2}}_{{{1}}} {0}",
    "jac": r"\frac{{\partial {0}}}{{\partial {1}}}",
    "grad": r"\nabla_{{{1}}} {0}",
    "sse": r"\left\lVert {0} - {1}\right\rVert^{{2}}",
    "where": r"\begin{{cases}} {1} & \text{{if }} {0} \\ {2} & \text{{else}} \end{{cases}}",
}
# whose arguments are terms or factors, and bracketed where they would fall apart
_TIGHT = {"grad": (_PRODUCT, _PRODUCT), "hess": (_PRODUCT, _PRODUCT), "kron": (_PRODUCT, _PRODUCT),
          "sse": (_SUM, _PRODUCT)}  # fmt: skip
# sums along one axis, as products with ones
_AXIS_SUMS = {"0": r"\mathbf{{1}}^{{\top}} {0}", "1": r"{0}\,\mathbf{{1}}"}
_BUILT_IN = {"log", "exp", "sin", "cos", "tanh", "det", "max", "min"}
_BIG = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min"}
_RELATIONS = {"eq": "=", "ne": r"\neq", "le": r"\leq", "ge": r"\geq", "lt": "<", "gt": ">"}
_LEVELS = dict.fromkeys(_RELATIONS, _COMPARISON) | {
    "add": _SUM, "sub": _SUM, "mul": _PRODUCT, "matmul": _PRODUCT, "div": _POSTFIX,
    "neg": _SIGN, "pow": _POWER, "transpose": _POWER, "inv": _POWER, "grad": _PRODUCT,
    "hess": _PRODUCT, "kron": _PRODUCT,
}  # fmt: skip


@lru_cache(maxsize=4096)
def latex_name(name: str) -> str:
    """A name as one writes it: layer as superscript, capitals or `_…` as subscript, Greek."""
    stem, *marks = name.split("_")
    split = _TAGGED.fullmatch(stem) or _MARKED.fullmatch(stem)
    if split and stem.rstrip("0123456789") not in _WORDLIKE | _WORDS:
        letter, tag, digits = split.groups()
        stem, marks = letter + digits, [tag, *marks]
    accents = [_ACCENTS[m] for m in marks if m in _ACCENTS]
    subs = [m for m in marks if m and m not in _ACCENTS]
    found = _NAME.fullmatch(stem)
    sup = ""
    if found and stem not in _WORDS:
        letters, capitals, sup = found.groups()
        if letters in _WORDS or not capitals or (len(letters) == 1 and letters.islower()):
            stem = letters
            if capitals:
                subs.insert(0, capitals)
        else:
            stem = letters + capitals
    shown = _stem(stem) if stem else ""
    for accent in accents:
        shown = f"\\{accent}{{{shown}}}"
    if sup:
        shown += f"^{{[{sup}]}}"
    if subs:
        inner = ",".join(s if _SHORT.fullmatch(s) else _stem(s) for s in subs)
        shown += f"_{{{inner}}}"
    return shown


def _stem(stem: str) -> str:
    if stem in _GREEK:
        return f"\\{_GREEK[stem]}"
    if stem in _WORDS:
        return f"\\{'varepsilon' if stem == 'epsilon' else stem}"
    letters = "".join(f"\\{_GREEK[c]} " if c in _GREEK else c for c in stem)
    return letters if len(stem) == 1 else rf"\mathrm{{{letters}}}"


def number_like(expr: ast.Expr, numbers: Container[str]) -> bool:
    """Whether an expression is a number, given which names are (`*` is then not written ⊙)."""
    match expr:
        case ast.Number():
            return True
        case ast.Name(id=name):
            return name in numbers
        case ast.Subscript(base=base, items=items):
            if any(isinstance(i, ast.Slice) for i in items):
                return False
            vector = isinstance(base, ast.Apply) and base.op == "grad"
            return len(items) == 2 or not vector
        case ast.Comprehension(body=body):
            return number_like(body, numbers)
        case ast.Apply(op=op, args=args, options=options):
            if op in ("sum", "mean", "norm", "sumsq", "trace", "det", "logdet", "max", "min") and (
                len(args) == 1
            ):
                return not options
            if op in ("cross_entropy", "bce", "mse", "sse", "hinge", "dot", "size"):
                return True
            if op == "grad":
                return number_like(args[1], numbers)
            if op in ("eye", "ones", "zeros", "diag", "concat", "stack", "jac", "hess", "einsum"):
                return False
            return all(number_like(a, numbers) for a in args)
        case _:
            return False


class Latex:
    """Writes expressions as LaTeX.

    numbers   the names that are numbers
    """

    def __init__(self, numbers: Container[str] = ()) -> None:
        self.numbers = numbers

    def __call__(self, expr: ast.Expr | None) -> str:
        match expr:
            case None:
                return ""
            case ast.Number(text=text):
                return _number(text)
            case ast.Name(id=name):
                return latex_name(name)
            case ast.Apply():
                return self._apply(expr)
            case ast.Subscript():
                return self._subscript(expr)
            case ast.Array(items=items):
                return self._array(items)
            case ast.TupleExpr(items=items):
                return rf"\left({', '.join(map(self, items))}\right)"
            case ast.Comprehension():
                return self._sum(expr)
            case _:
                return rf"\text{{{unparse(expr)}}}"

    def _apply(self, expr: ast.Apply) -> str:
        op, args = expr.op, expr.args
        if op in ("add", "sub"):
            sign = "+" if op == "add" else "-"
            return f"{self._in(_SUM, args[0])} {sign} {self._unsigned(args[1])}"
        if op in ("mul", "matmul"):
            return self._product(op, args)
        if op == "div":
            above = self(args[0])
            sign = "-" if above.startswith("-") and not _is_sum(args[0]) else ""
            return rf"{sign}\frac{{{above.removeprefix(sign)}}}{{{self(args[1])}}}"
        if op == "neg":
            return f"-{self._unsigned(args[0])}"
        if op == "transpose" and isinstance(args[0], ast.Name):
            shown = latex_name(args[0].id)  # a layer's mark and the transpose are one superscript
            if (at := shown.find("]}")) >= 0:
                return rf"{shown[: at + 1]}\top{shown[at + 1 :]}"
            return rf"{shown}^{{\top}}"
        if op in ("pow", "transpose"):
            exponent = r"\top" if op == "transpose" else self(args[1])
            return f"{self._base(args[0], op)}^{{{exponent}}}"
        if op in _RELATIONS:
            return f"{self._in(_SUM, args[0])} {_RELATIONS[op]} {self._in(_SUM, args[1])}"
        return self._function(expr)

    def _function(self, expr: ast.Apply) -> str:
        op, args = expr.op, expr.args
        axis = next((unparse(v) for k, v in expr.options if k == "axis"), None)
        if op == "sum" and axis in _AXIS_SUMS:
            factor = self._factor(args[0])
            factor = self._bracketed(factor) if factor.startswith("-") else factor
            return _AXIS_SUMS[axis].format(factor)
        if _is_fraction(expr):
            return rf"\frac{{\partial {self(args[0])}}}{{\partial {self(args[1])}}}"
        if op == "inv":
            return f"{self._base(args[0], op)}^{{-1}}"
        template = _FUNCTIONS.get(op)
        if template is not None and args:
            levels = _TIGHT.get(op)
            if levels is None:
                return template.format(*map(self, args))
            return template.format(*(self._in(n, a) for n, a in zip(levels, args, strict=False)))
        shown = ", ".join(map(self, args))
        word = op.replace("_", r"\_")
        head = f"\\{op}" if op in _BUILT_IN else rf"\operatorname{{{word}}}"
        if axis is not None:
            head += rf"_{{\text{{axis {axis}}}}}"
        return rf"{head}\left({shown}\right)"

    def _product(self, op: str, args: Sequence[ast.Expr]) -> str:
        a, b = args
        plain = op == "matmul" or number_like(a, self.numbers) or number_like(b, self.numbers)
        if not plain:
            left, right = (
                self._bracketed(self(e)) if _is(e, "matmul") or _is_ones_sum(e)
                else self._in(_PRODUCT, e)
                for e in args
            )  # fmt: skip
            right = self._bracketed(right) if right.startswith("-") else right
            return rf"{left} \odot {right}"
        left, right = self._factor(a), self._factor(b, _SIGN)
        right = self._bracketed(right) if right.startswith("-") else right
        if isinstance(b, ast.Number) or (
            isinstance(a, ast.Number) and isinstance(b, ast.Apply) and right[:1].isdigit()
        ):
            return rf"{left} \cdot {right}"
        return rf"{left}\, {right}"

    def _factor(self, expr: ast.Expr, level: int = _PRODUCT) -> str:
        """A factor of a matrix product: an elementwise product is kept together."""
        if _is(expr, "mul") and not any(number_like(a, self.numbers) for a in _args(expr)):
            return self._bracketed(self(expr))
        return self._in(level, expr)

    def _unsigned(self, expr: ast.Expr) -> str:
        """What stands behind a plus or a minus."""
        shown = self._in(_PRODUCT, expr)
        return self._bracketed(shown) if shown.startswith("-") else shown

    @staticmethod
    def _bracketed(shown: str) -> str:
        return rf"\left({shown}\right)"

    def _base(self, expr: ast.Expr, op: str) -> str:
        """What stands under a superscript: names with one of their own are kept together."""
        shown = self(expr)
        if isinstance(expr, ast.Name):
            return shown if "^" not in shown else self._bracketed(shown)
        if isinstance(expr, ast.Number | ast.Array) or _is_closed(expr):
            return shown
        return rf"\left({shown}\right)"

    def _in(self, level: int, expr: ast.Expr) -> str:
        own = _LEVELS.get(expr.op, _POSTFIX) if isinstance(expr, ast.Apply) else _POSTFIX
        if _is_fraction(expr):
            own = _POSTFIX
        if isinstance(expr, ast.Comprehension) and level > _SUM:
            own = _SUM
        shown = self(expr)
        return rf"\left({shown}\right)" if own < level else shown

    def _subscript(self, expr: ast.Subscript) -> str:
        items = []
        for item in expr.items:
            if isinstance(item, ast.Slice):
                low = self(item.lower) if item.lower is not None else ""
                high = self(item.upper) if item.upper is not None else ""
                items.append(f"{low}:{high}")
            else:
                items.append(self(item))
        return indexed(expr.base, ",".join(items), self)

    def _array(self, items: Sequence[ast.Expr]) -> str:
        rows = [
            " & ".join(map(self, r.items)) if isinstance(r, ast.Array) else self(r) for r in items
        ]
        return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"

    def _sum(self, expr: ast.Comprehension) -> str:
        heads = []
        for k, loop in enumerate(expr.loops):
            below = f"{latex_name(loop.name)}={self(loop.lower)}"
            if k == len(expr.loops) - 1:
                below += "".join(rf",\; {self(c)}" for c in expr.conditions)
            big = _BIG.get(expr.kind, rf"\operatorname*{{{expr.kind}}}")
            heads.append(f"{big}_{{{below}}}^{{{self(loop.upper)}}}" if expr.kind in ("sum", "prod")
                         else rf"{big}_{{{below} \ldots {self(loop.upper)}}}")  # fmt: skip
        return f"{' '.join(heads)} {self._in(_PRODUCT, expr.body)}"


def indexed(base: ast.Expr, items: str, shown: Callable[[ast.Expr], str]) -> str:
    """An entry: the index joins a name's own subscript, and that of a gradient stands at its name.

    shown   how an expression is written
    """
    if isinstance(base, ast.Name):
        name = shown(base)
        return f"{name[:-1]},{items}}}" if "_" in name else f"{name}_{{{items}}}"
    if _is(base, "grad") and all(isinstance(a, ast.Name) for a in _args(base)):
        of, by = _args(base)
        return rf"\frac{{\partial {shown(of)}}}{{\partial {indexed(by, items, shown)}}}"
    return rf"\left({shown(base)}\right)_{{{items}}}"


def _is_fraction(expr: ast.Expr) -> bool:
    """A gradient of a name by a name or an entry: ∂L/∂W, as in the lines of a chain."""
    if not _is(expr, "grad"):
        return False
    of, by = _args(expr)
    by = by.base if isinstance(by, ast.Subscript) else by
    return isinstance(of, ast.Name) and isinstance(by, ast.Name)


def _is_ones_sum(expr: ast.Expr) -> bool:
    """A sum along one axis, which is written as a product with ones."""
    return _is(expr, "sum") and isinstance(expr, ast.Apply) and bool(expr.options)


def _is_sum(expr: ast.Expr) -> bool:
    return _is(expr, "add") or _is(expr, "sub")


_OPEN = frozenset({"log2", "log10", "kron", "outer", "inv", "sse", "sumsq", "square", "logdet",
                   "where", "jac", "hess", "grad", "einsum"})  # fmt: skip


def _is_closed(expr: ast.Expr) -> bool:
    """Whether a function call ends in its own bracket, so that a superscript may follow."""
    if not isinstance(expr, ast.Apply) or expr.op in _LEVELS or expr.op in _OPEN:
        return False
    return expr.op not in _BUILT_IN and not (expr.options and expr.op == "sum")


def _is(expr: ast.Expr, op: str) -> bool:
    return isinstance(expr, ast.Apply) and expr.op == op


def _args(expr: ast.Expr) -> Sequence[ast.Expr]:
    return expr.args if isinstance(expr, ast.Apply) else ()


def _number(text: str) -> str:
    mantissa, _, exponent = text.lower().partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def partial(of: str, by: str, shown: Callable[[str], str] = latex_name) -> str:
    """∂of/∂by; *shown* says how a name is written."""
    return rf"\frac{{\partial {shown(of)}}}{{\partial {shown(by)}}}"
