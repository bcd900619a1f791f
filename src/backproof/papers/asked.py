"""What a tree, a batch, slow learning and weights of a loss are asked for, line by line.

A tree: what stands right below each quantity, and how many paths lead to a parameter. A batch:
its equations and shapes, in a sheet of their own, and the arithmetic of an epoch. Slow learning:
the norms of the factors, their bound, and the factor that lets least through. Weights: what each
label weighs, and what follows from that. How these lines are judged is in `lines` and `sets`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from backproof.calculus.factors import Product, factor_gradient
from backproof.calculus.model import Model
from backproof.calculus.ways import Factor
from backproof.errors import BackproofError, Source
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.language.statements import parse_expression
from backproof.operators.dims import paper_shape
from backproof.operators.node import Node, quantities

if TYPE_CHECKING:
    from backproof.papers.paper import Item, PaperSheet

VALUE, SHAPE, EQUATION = "value", "shape", "equation"
SET, COUNT, BOUND = "set", "count", "bound"
MOST_BELOW = 30  # quantities of a tree that is asked for line by line
MOST_FACTORS = 8


class Draft(NamedTuple):
    """An item before it has marks; `part` names the sheet that it is about, where not its own."""

    key: str
    kind: str
    expr: ast.Expr | None
    answer: str
    prompt: str
    part: str = ""


def drafts(sheet: PaperSheet, ask: ast.Ask) -> list[Draft]:
    """The lines of an ask; [] where only a person can mark it."""
    made = {"tree": _tree, "batch": _batch, "slow": _slow, "weights": _weights}.get(ask.what)
    if made is None:
        return []
    try:
        return list(made(sheet, ask))
    except BackproofError:
        return []  # its working says what is wrong; nothing can be marked by itself


def in_words(item: Item) -> str:
    """What a line asks for, where its key does not say it; "" where it does."""
    if item.kind == SET and item.key.startswith("below("):
        return f"what stands right below {item.prompt} in the tree, with commas between"
    if item.kind == SET and item.key.startswith("factors("):
        return (
            f"the factors that the gradient by {item.prompt} is a product of, with commas between"
        )
    if item.kind == SET:
        return f"the factor that lets least of the gradient by {item.prompt} through"
    if item.kind == COUNT and item.key.startswith("paths("):
        return f"how many paths of the tree lead to {item.prompt}"
    if item.kind == BOUND:
        return f"what norm({item.prompt}) never passes, as a product of norms and a number"
    told = "".join(item.prompt.split())
    if item.kind in (VALUE, EQUATION, COUNT) and told and told not in "".join(item.key.split()):
        return item.prompt
    return ""


# --- a tree --------------------------------------------------------------------------------------


def _tree(sheet: PaperSheet, ask: ast.Ask) -> Iterator[Draft]:
    from backproof.working.tree import count_paths

    net = net_of(sheet, ask)
    inner = [name for name in net.order if net.children.get(name)]
    if len(inner) > MOST_BELOW:
        return
    for name in inner:
        answer = ", ".join(net.children[name])
        yield Draft(f"below({name})", SET, ast.Name(name), answer, name)
    counts = count_paths(net)
    wanted = [e.id for e in ask.wrt if isinstance(e, ast.Name)]
    for name in wanted or [n for n in sheet.model.learned if counts.get(n, 0) > 1]:
        if counts.get(name, 0):
            yield Draft(f"paths({name})", COUNT, ast.Name(name), str(counts[name]), name)


def net_of(sheet: PaperSheet, ask: ast.Ask) -> Any:
    """The names below what an ask for a tree is about."""
    from backproof.working.answer import require_loss
    from backproof.working.tree import net_below

    return net_below(sheet.model, ask.targets[0] if ask.targets else
                     ast.Name(require_loss(sheet.model)))  # fmt: skip


# --- a batch -------------------------------------------------------------------------------------


def _batch(sheet: PaperSheet, ask: ast.Ask) -> Iterator[Draft]:
    from backproof.calculus.batch import batch_sheet
    from backproof.working.batch import epoch_data

    options = dict(ask.options)
    shared = [unparse(v) for k, v in ask.options if k == "shared" and v is not None]
    size = unparse(ask.targets[0])
    batch = batch_sheet(sheet.model, size, "rows" in options, shared)
    part = sheet.add_part(f"batch {size}{' rows' if batch.rows else ''}", batch.model.sheet)
    model = batch.model
    names = [name for name in model.sheet.order if model.sheet.kind_of(name) != "given"]
    taken = set(sheet.model.leaves)
    keys = {name: f"batch({name})" if name in taken else name for name in names}
    if ask.blanks:
        yield from _batch_blanks(sheet, ask, part)
        return
    for name in names:
        yield Draft(keys[name], EQUATION, ast.Name(name),
                    unparse(model.sheet.equations[name].expr), name, part)  # fmt: skip
    for name in names:
        answer = shape_text(model, model.leaves[name])
        yield Draft(f"shape({keys[name]})", SHAPE, ast.Name(name), answer, name, part)
    samples = options.get("samples")
    if isinstance(samples, ast.Number):
        for row in epoch_data(batch, int(samples.value))["sizes"]:
            told = f"{samples.value} samples in batches of {row['size']}"
            yield Draft(f"updates({row['size']})", COUNT, None, str(row["updates"]),
                        f"updates of an epoch: {told}")  # fmt: skip
            if row["last"]:
                yield Draft(f"last({row['size']})", COUNT, None, str(row["last"]),
                            f"samples in the last batch: {told}")  # fmt: skip


def _batch_blanks(sheet: PaperSheet, ask: ast.Ask, part: str) -> Iterator[Draft]:
    """Boxes of the schematic: an equation each, told by the edges that lead there."""
    from backproof.working.answer import answer

    data = answer(sheet.model, ask).data
    plan = data.get("schematic") or {"edges": [], "boxes": []}
    for found in data.get("answers", ()):
        box, text = f"[{found['number']}]", str(found["answer"])
        name, sign, right = text.partition(" = ")
        sources = [e["label"] for e in plan["edges"]
                   if e["to"] == box and e["direction"] == "forward"]  # fmt: skip
        prompt = str(found["line"]) or f"{box}, made of {' and '.join(sources) or 'the inputs'}"
        if sign and name in sheet.parts[part].model.definitions:
            yield Draft(box, EQUATION, ast.Name(name), right, prompt, part)
        else:
            yield Draft(box, "blank", None, text, prompt, part)


def shape_text(model: Model, node: Node) -> str:
    """A shape as a sheet writes it: `(3, m)`, `(3,)`, `()`."""
    shape = paper_shape(model.graph.resolve_shape(node.shape))
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


# --- slow learning -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SlowFactor:
    """A factor of a gradient: how a script names its norm, and the names that stand for it.

    key     `slope(z1)`, `norm(W2)`
    told    what it is, in words
    expr    its norm in the sheet's language
    names   the quantities that it is made of
    sup     what its norm never passes, or None
    kind    loss | slope | weights | input | scale | constant | jacobian
    """

    key: str
    told: str
    expr: ast.Expr
    names: frozenset[str]
    sup: float | None
    kind: str


def slow_product(model: Model, name: str) -> Product:
    """The gradient of the loss by a parameter, as factors."""
    from backproof.working.step import loss_of

    return factor_gradient(model, loss_of(model, (name,))[0], name)


def slow_factors(model: Model, product: Product) -> list[SlowFactor]:
    """The factors along the paths, each once; those that the language has no words for left out."""
    from backproof.calculus.notation import syntax
    from backproof.calculus.simplify import Simplifier

    short = Simplifier(model)
    found: dict[str, SlowFactor] = {}
    for path in product.paths:
        for factor in path.factors:
            made = _slow_factor(factor, syntax(short(factor.of)), syntax)
            if made is not None:
                found.setdefault(made.key, made)
    return list(found.values())[:MOST_FACTORS]


def _slow_factor(factor: Factor, inner: ast.Expr | None, syntax: Any) -> SlowFactor | None:
    from backproof.calculus.notation import text

    if inner is None or "?" in text(inner) or factor.kind in ("constant", "jacobian"):
        return None
    names = frozenset(quantities([factor.of]))
    if factor.kind == "slope":
        at = syntax(factor.at) if factor.at is not None else None
        if at is None:
            return None
        names |= quantities([factor.at]) if factor.at is not None else set()
        expr = _read(f"max(abs({unparse(inner)}))")
        told = f"the largest entry of {factor.shown}, in size"
        return SlowFactor(f"slope({text(at)})", told, expr, names, factor.sup, factor.kind)
    if factor.how not in ("spectral", "frobenius"):
        return None
    if isinstance(inner, ast.Apply) and inner.op == "transpose":
        inner = inner.args[0]  # the norm is the same
    expr = _read(f"norm({unparse(inner)})")
    key = f"norm({text(inner)})"
    return SlowFactor(key, key, expr, names, factor.sup, factor.kind)


def _read(text: str) -> ast.Expr:
    """An expression that was put together from parts of the sheet."""
    return parse_expression(Source("asked", text))


def slow_bound(model: Model, name: str) -> str | None:
    """The bound on a gradient, in the sheet's language; None where it has none."""
    from backproof.working.slow import Words

    words = Words(model, slow_product(model, name))
    words.product()
    words.bound()
    claim = words.data.get("claim")
    return None if claim is None else str(claim).partition(" <= ")[2]


def _slow(sheet: PaperSheet, ask: ast.Ask) -> Iterator[Draft]:
    model, values = sheet.model, sheet.values
    for target in ask.targets:
        name = unparse(target)
        product = slow_product(model, name)
        factors = slow_factors(model, product)
        gradient = ast.Apply("grad", (ast.Name(product.loss), ast.Name(name)))
        told = slow_bound(model, name)
        bound = _read(told) if told is not None else None
        if values.computable(model.node(gradient)):
            for factor in factors:
                yield Draft(factor.key, VALUE, factor.expr, "", factor.told)
            norm = _read(f"norm({unparse(gradient)})")
            yield Draft(unparse(norm), VALUE, norm, "", unparse(norm))
            if bound is not None:
                yield Draft(
                    f"bound({name})", VALUE, bound, told or "", f"the bound on {unparse(norm)}"
                )
            if len(factors) > 1:
                yield Draft(f"weakest({name})", SET, target, "", name)
            continue
        if len(factors) > 1:
            yield Draft(f"factors({name})", SET, target, "", name)
        slopes = [f.sup for f in factors if f.kind == "slope" and f.sup is not None]
        if slopes and len(product.paths) == 1 and not product.more:
            most = Fraction(1)
            for sup in slopes:
                most *= Fraction(sup).limit_denominator(1000)
            yield Draft(f"slopes({name})", VALUE, _read(str(most)), "",
                        f"what all slopes on the way to {name} let through at most")  # fmt: skip
        if bound is not None:
            yield Draft(
                f"bound({name})", BOUND, target, told or "", f"grad({product.loss}, {name})"
            )


# --- weights of a loss ---------------------------------------------------------------------------


def _weights(sheet: PaperSheet, ask: ast.Ask) -> Iterator[Draft]:
    from backproof.working.weighted import find_weighted

    model = sheet.model
    targets = [unparse(t) for t in ask.targets] or list(model.sheet.order)
    found = [w for loss in targets for w in find_weighted(model, loss)]
    if len(found) != 1 or found[0].kind != "bce" or len(found[0].weights) != 2:
        return  # class weights are told in words
    (w,) = found
    alpha, beta = (unparse(weight) for weight in w.weights)
    lines = [
        ("weight(1)", alpha, "what a sample with label 1 weighs"),
        ("weight(0)", beta, "what a sample with label 0 weighs"),
        (f"threshold({w.loss})", f"({beta})/(({alpha}) + ({beta}))",
         "the probability of label 1 above which the output is above 1/2"),
        (f"ratio({w.loss})", f"({alpha})/({beta})",
         "how many false alarms a missed label 1 counts as"),
    ]  # fmt: skip
    labels = w.labels_expr
    if labels is not None and sheet.values.computable(model.node(labels)):
        size, ones = f"size({w.labels})", f"sum({w.labels})"
        if sheet.values.value(model.node(labels)).size > 1:
            lines += [
                ("balanced(1)", f"{size}/(2*{ones})", "the balanced weight of label 1"),
                ("balanced(0)", f"{size}/(2*({size} - {ones}))", "the balanced weight of label 0"),
            ]
    for key, text, prompt in lines:
        expr = _read(text)
        kind = VALUE if sheet.values.computable(model.node(expr)) else EQUATION
        yield Draft(key, kind, expr, unparse(expr) if kind == EQUATION else "", prompt)
