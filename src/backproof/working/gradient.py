"""`ask gradient L wrt W1`: paths, the chain, every local derivative, and the readable result.

First the paths of the tree that matter; then, for one sample, the chain as a product of named
local derivatives with their shapes, each worked out on its own line; then what every equation
passes on, line by line; the sum over the paths; the matrix form; entries and values. Every line
is checked against numeric differentiation before it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from backproof.calculus.backward import Backward, Line
from backproof.calculus.latex import Latex, indexed, latex_name
from backproof.calculus.local import is_line
from backproof.calculus.model import Model
from backproof.calculus.notation import syntax
from backproof.calculus.products import Products
from backproof.calculus.simplify import Simplifier
from backproof.calculus.values import sheet_values
from backproof.calculus.witness import contradiction, verify_gradient
from backproof.errors import BackproofError, NameProblem, ShapeProblem
from backproof.language import syntax as ast
from backproof.language.functions import CONSTANTS
from backproof.language.names import free_names
from backproof.operators.dims import show_shape
from backproof.operators.node import Node
from backproof.working.chain_rule import chain_steps
from backproof.working.gradient_entries import entry_steps, value_steps
from backproof.working.kinks import kink_steps
from backproof.working.steps import Step, Verified, Working
from backproof.working.tree import count_text, graph_data, path_text
from backproof.working.writing import latex_of, step_shape, written

MOST_PATHS = 6
MOST_LINES = 30  # lines of the backward sweep that are shown before the middle is left out
POINTS = 3
ABBREVIATIONS = ("M", "Q", "R", "U", "H", "E")
LONG_PART = 22  # characters of a repeated part that gets a name
HOW = "numeric differentiation in decimals of 50 digits"


def gradient_working(model: Model, target: ast.Expr | str, wrt: ast.Expr | str) -> Working:
    """The gradient of a number with respect to a name (or to an entry or range of one), worked."""
    expr = ast.Name(target) if isinstance(target, str) else target
    name, part = _variable(model, wrt)
    root = model.node(expr)
    if not root.is_number:
        raise ShapeProblem(
            f"a gradient needs a number to differentiate, and {written(expr)} is "
            f"{show_shape(root.shape)}.",
            hint="jac gives the derivatives of something that is not a number",
            place=model.sheet.place(expr.span) if expr.span.end else None,
        )
    asked = f"gradient {written(expr)} wrt {written(part)}"
    page = Page(model, expr, root, name)
    if not model.deriver.connected(root, name):
        return Working(asked, tuple(page.unconnected()), {"connected": False})
    back = Backward(model, root, expr, name)
    steps = list(page.steps(back))
    if isinstance(part, ast.Subscript):
        steps.append(page.part(part))
    zero = name not in back.lines or back.value.fill == 0
    data = {"connected": True, "zero": zero, "graph": graph_data(model, expr, name)}
    return Working(asked, tuple(steps), data)


def _variable(model: Model, wrt: ast.Expr | str) -> tuple[str, ast.Expr]:
    part = ast.Name(wrt) if isinstance(wrt, str) else wrt
    base = part.base if isinstance(part, ast.Subscript) else part
    place = model.sheet.place(part.span) if part.span.end else None
    if not isinstance(base, ast.Name):
        raise ShapeProblem(
            "a gradient is taken with respect to a name, or to an entry or range of one.",
            place=place,
        )
    if base.id not in model.leaves:
        raise NameProblem(model.absent(base.id), place=place)
    return base.id, part


class Page:
    """Writes the lines of one gradient.

    target  the number as written, and its node
    name    what it is differentiated by
    """

    def __init__(self, model: Model, target: ast.Expr, root: Node, name: str) -> None:
        self.model = model
        self.target = target
        self.root = root
        self.name = name
        self.of = written(target)
        self.of_latex = latex_of(model, target)
        self.values = sheet_values(model)
        self.taken = {*model.leaves, *model.sheet.dimensions}
        self.simplify: Simplifier | None = None
        self._short: dict[ast.Expr, str] = {}
        self._seen: dict[str, Verified | None] = {}

    # --- naming ------------------------------------------------------------------------------

    def label(self, name: str) -> str:
        """∂L/∂W1."""
        of = self.of if isinstance(self.target, ast.Name) else f"({self.of})"
        return f"∂{of}/∂{name}"

    def latex_label(self, name: str) -> str:
        if not isinstance(self.target, ast.Name):
            return rf"\nabla_{{{latex_name(name)}}} \left({self.of_latex}\right)"
        return rf"\frac{{\partial {self.of_latex}}}{{\partial {latex_name(name)}}}"

    def latex_entry(self, name: str, at: str) -> str:
        """An entry of the gradient, the index at the name that it is taken by."""
        if not isinstance(self.target, ast.Name):
            return rf"\left({self.latex_label(name)}\right)_{{{at}}}"
        by = indexed(ast.Name(name), at, Latex())
        return rf"\frac{{\partial {self.of_latex}}}{{\partial {by}}}"

    def verified(self, name: str, points: int = 2) -> Verified | None:
        """How the gradient at a name was checked against numeric differentiation."""
        if name not in self._seen:
            node = self.model.deriver.gradient(self.root, name)
            seen = verify_gradient(self.model, self.root, name, node, points)
            if seen.failed:
                raise contradiction(f"the gradient of {self.of} with respect to {name}")
            self._seen[name] = Verified(HOW, seen.points, 0) if seen.points else None
        return self._seen[name]

    def readable(self, expr: ast.Expr | None, node: Node) -> ast.Expr | None:
        """The expression if it can be read back, and is then the node; else None."""
        if expr is None or self._spelled(expr):
            return expr
        try:
            again = self.model.node(expr)
        except BackproofError:
            return None
        if self.simplify is not None:
            self.simplify.check(node, again)
        return expr

    def line(self, name: str, expr: ast.Expr | None, node: Node, **more: object) -> Step:
        """`∂L/∂z2 = …`, with its shape and how it was checked."""
        expr = self.readable(expr, node)
        label = self.label(name)
        if expr is None:  # never wrongly: the gradient as such, which is checked all the same
            expr = ast.Apply("grad", (self.target, ast.Name(name)))
            more = {**more, "because": "no matrix form in the sheet language; it is checked and "
                    "has its values"}  # fmt: skip
        text = f"{label} = {written(expr)}"
        latex = f"{self.latex_label(name)} = {latex_of(self.model, expr)}"
        shape = step_shape(self.model.shape(name))
        fields = {"verified": self.verified(name), "kind": "local", **more}
        return Step(label, text, latex, shape, **fields)  # type: ignore[arg-type]

    def short(self, name: str, expr: ast.Expr | None, node: Node, **more: object) -> Iterator[Step]:
        """The line, with a long part that it repeats named first: `M = (1 - Y)*step(…)`."""
        expr = self.readable(expr, node)
        while expr is not None:
            part = self._repeated(expr)
            if part is None:
                break
            if part not in self._short:
                letter = next(c for c in ABBREVIATIONS if c not in self.taken)
                self.taken.add(letter)
                self._short[part] = letter
                meaning = self.model.node(part) if not self._spelled(part) else None
                yield Step(
                    letter, f"{letter} = {written(part)}",
                    f"{latex_name(letter)} = {latex_of(self.model, part)}",
                    step_shape(meaning.shape) if meaning is not None else None,
                    because="named here, as it is used more than once", depth=1,
                )  # fmt: skip
            expr = _put(expr, part, ast.Name(self._short[part]))
        yield self.line(name, expr, node, **more)

    def _repeated(self, expr: ast.Expr) -> ast.Expr | None:
        """The longest part that is long and stands there twice, or that has a short name."""
        counts: dict[ast.Expr, int] = {}
        for e in ast.walk(expr):
            if isinstance(e, ast.Apply) and self._closed(e):
                counts[e] = counts.get(e, 0) + 1
        known = [e for e in counts if e in self._short]
        free = any(c not in self.taken for c in ABBREVIATIONS)
        twice = [e for e, n in counts.items() if n > 1 and free and len(written(e)) >= LONG_PART]
        return max([*known, *twice], key=lambda e: len(written(e)), default=None)

    def _closed(self, expr: ast.Expr) -> bool:
        """Whether the expression stands for itself: no index of a sum around it occurs in it."""
        return all(n.id in self.taken or n.id in CONSTANTS for n in free_names(expr))

    def _spelled(self, expr: ast.Expr) -> bool:
        names = {e.id for e in ast.walk(expr) if isinstance(e, ast.Name)}
        return bool(names & set(self._short.values()))

    # --- the parts of the page ---------------------------------------------------------------

    def unconnected(self) -> Iterator[Step]:
        text = f"{self.of} is not connected to {self.name}: no path of the tree leads there."
        yield Step(self.label(self.name), text, kind="note")

    def steps(self, back: Backward) -> Iterator[Step]:
        """All lines, in reading order."""
        self.simplify = back.simplify
        self.verified(self.name, POINTS)
        yield from self.paths(back)
        if self.name not in back.lines:
            yield from self.stopped(back)
            return
        products = Products(set(self.model.definitions), back.spellings())
        single = all(is_line(self.model.shape(n)) for n in back.lines if n != self.name)
        if single and len(back.lines) > (1 if back.start is None else 2):
            yield from chain_steps(self, back, products)
        yield from self.backward(back, products, single)
        yield from self.result(back, products, single)
        yield from kink_steps(self.model, back)
        yield from self.facts(back)
        yield from entry_steps(self, back, products)
        yield from value_steps(self)

    def paths(self, back: Backward) -> Iterator[Step]:
        count = back.count_paths()
        words = "1 path leads" if count == 1 else f"{count_text(count)} paths lead"
        yield Step(
            self.label(self.name),
            f"{words} from {self.of} to {self.name}"
            + (":" if count == 1 else "; the gradient is the sum over all of them:"),
            kind="heading",
        )
        for path in back.paths(MOST_PATHS):
            names = path if back.start else [self.of, *path]
            yield Step(self.name, path_text(names), kind="path", depth=1)
        if count > MOST_PATHS:
            left = count_text(count - MOST_PATHS)
            yield Step(self.name, f"… and {left} more.", kind="note", depth=1)

    def stopped(self, back: Backward) -> Iterator[Step]:
        yield Step(
            self.label(self.name),
            f"Every path from {self.of} to {self.name} goes through something that derivatives "
            "hold fixed or that is constant step by step.",
            kind="note",
        )
        node = self.model.deriver.gradient(self.root, self.name)
        because = "zero: connected, but no gradient is passed on"
        yield self.line(self.name, syntax(node), node, kind="result", because=because)

    def backward(self, back: Backward, products: Products, single: bool) -> Iterator[Step]:
        """What every equation passes on, from the number down to the name."""
        lines = [line for n, line in back.lines.items() if n not in (back.start, self.name)]
        if not lines:
            return
        kept = {line.name for line in back.kept()}
        if single and not kept and len(lines) <= MOST_LINES:
            return  # the chain has said it all
        yield Step(self.label(self.name), "Backwards, one line for every equation:", kind="heading")
        shown = lines
        if len(lines) > MOST_LINES:
            shown = [*lines[:8], *lines[-6:]]
        for k, line in enumerate(shown):
            if len(shown) < len(lines) and k == 8:
                text = f"… {len(lines) - len(shown)} lines in the same way …"
                yield Step(self.label(self.name), text, kind="note", depth=1)
            yield from self.one_line(back, line, products)

    def one_line(self, back: Backward, line: Line, products: Products) -> Iterator[Step]:
        """The gradient at one name, in terms of those right above it."""
        merged = [s for s in line.shares if s.merged]
        if merged and len(line.shares) == 1:
            yield from self.unsimplified(back, line, products)
            if products(back.before(line.shares[0])) == products(line.line):
                return  # nothing cancelled
        expr = products(line.line)
        because = "simplified" if merged else self.because(line)
        yield from self.short(line.name, expr, line.line, because=because, depth=1)

    def unsimplified(self, back: Backward, line: Line, products: Products) -> Iterator[Step]:
        """The product before anything cancels: `((1 - y)/(1 - a) - y/a)*a*(1 - a)`."""
        share = line.shares[0]
        node = back.before(share)
        yield self.line(
            line.name, products(node), share.raw,
            because=f"∂{share.of}/∂{line.name} and {self.label(share.of)} put together", depth=1,
        )  # fmt: skip

    def because(self, line: Line) -> str:
        of = list(dict.fromkeys(s.of or self.of for s in line.shares))
        return f"from {', '.join(of)}"

    def result(self, back: Backward, products: Products, single: bool) -> Iterator[Step]:
        """The sum over the paths, and the readable matrix form."""
        line = back.lines[self.name]
        value = line.line if back.kept() else line.value
        if line.line is not value and len(line.shares) > 1:
            for share in reversed(line.shares) if single else ():
                if share.of and share.of != back.start:
                    above = back.lines[share.of]
                    yield from self.short(above.name, products(above.value), above.value,
                                          because="along this path", depth=1)  # fmt: skip
            yield from self.short(
                self.name, products(line.line), line.line, because="the sum over the paths",
            )  # fmt: skip
        zero = " (zero, though connected)" if value.fill == 0 else ""
        yield from self.short(
            self.name, products(value), value, kind="result",
            because=f"the matrix form, in the shape of {self.name}{zero}",
        )  # fmt: skip

    def facts(self, back: Backward) -> Iterator[Step]:
        for note in back.simplify.notes:
            yield Step("facts", f"Used: {note}.", kind="note")
        fact = self.model.declared.get(self.name)
        if fact is not None and fact.kind in ("sym", "posdef", "diagonal"):
            yield Step(
                "facts", f"The entries of {self.name} ({fact.kind}) are treated as free.",
                kind="note",
            )  # fmt: skip

    def part(self, part: ast.Subscript) -> Step:
        """The entry or range that was asked for."""
        whole = ast.Apply("grad", (self.target, part.base))
        expr = ast.Subscript(whole, part.items)
        node = self.model.node(expr)
        label = self.label(written(part))
        return Step(
            label, f"{label} = {written(expr)}", latex_of(self.model, expr),
            step_shape(node.shape), because="that part of the gradient", kind="result",
            verified=self.verified(self.name),
        )  # fmt: skip


def _put(expr: ast.Expr, old: ast.Expr, new: ast.Expr) -> ast.Expr:
    """The expression with a part replaced wherever it stands."""
    if expr == old:
        return new
    match expr:
        case ast.Apply(args=args):
            return replace(expr, args=tuple(_put(a, old, new) for a in args))
        case ast.Subscript(base=base):
            return replace(expr, base=_put(base, old, new))
        case ast.Comprehension(body=body):
            return replace(expr, body=_put(body, old, new))
        case _:
            return expr
