"""What would help a parameter that learns slowly, shown: the sheet with one change, derived anew.

Every remedy is a real sheet, made by editing the syntax tree. Its gradient stands beside the old
one, and the norms of the factors of both are measured at the same point. Nothing is recited that
was not worked out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backproof.calculus.compare import to_lists
from backproof.calculus.evaluate import Evaluator
from backproof.calculus.factors import Product, factor_gradient, measure, norm_of
from backproof.calculus.model import Model
from backproof.calculus.points import draw_points
from backproof.calculus.ways import Factor
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.language.statements import parse_expression
from backproof.working.slow import Words, heading, judged, note, witnessed
from backproof.working.slow_numbers import given_run, n
from backproof.working.steps import Step, Verified
from backproof.working.variants import edited, variant

if TYPE_CHECKING:
    from collections.abc import Callable

_SWAPS = {"sigmoid": ("relu", "tanh"), "tanh": ("relu",), "relu": ("leaky_relu",)}
_POINTS = 9
_DEAD = "A unit whose argument is below zero for every sample is dead: its slope stays zero."


@dataclass(frozen=True)
class Remedy:
    """One change: what it is, the lines that change, the sheet, and its model."""

    what: str
    lines: tuple[str, ...]
    text: str
    model: Model
    equations: Mapping[str, ast.Expr]
    claims: tuple[str, ...] = ()
    caution: str = ""


def remedies(words: Words, run: Evaluator | None) -> tuple[list[Step], list[dict[str, Any]]]:
    """The changes that touch a factor of this product, each with old and new side by side."""
    found = [r for make in _KINDS for r in make(words)]
    if not found:
        return [], []
    both = _both(words, found)
    steps = [heading("One change at a time, worked out")]
    data = []
    for remedy in (*found, *both):
        told, plain = _shown(words, remedy, run)
        steps.extend(told)
        data.append(plain)
    return steps, data


def _shown(
    words: Words, remedy: Remedy, run: Evaluator | None
) -> tuple[list[Step], dict[str, Any]]:
    old = words.of
    model = remedy.model
    new = factor_gradient(model, old.loss, old.wrt)
    seen = witnessed(model, old.loss, old.wrt, new.gradient)
    after = Words(model, new)
    steps = [Step("change", remedy.what, kind="path")]
    steps += [Step("", line, kind="equation", depth=1) for line in remedy.lines]
    label = f"∂{old.loss}/∂{old.wrt}"
    steps.append(Step("before", f"before: {label} = {words.written(old.gradient)}", depth=1))
    steps.append(
        Step("after", f"after: {label} = {after.written(new.gradient)}", depth=1,
             verified=seen)
    )  # fmt: skip
    for claim in remedy.claims:
        verdict = judged(model, claim, proofs=True)
        if verdict is not None and verdict.holds:
            steps.append(
                Step("cancels", claim.replace("==", "="), depth=1, kind="equation",
                     because="the slope of the output has cancelled against the loss",
                     verified=Verified(f"judged as a claim: {verdict.verdict}", verdict.points))
            )  # fmt: skip
    rows = list(_beside(words, after, _pairs(words, remedy, run)))
    steps += [row[0] for row in rows]
    if remedy.caution:
        steps.append(note(remedy.caution))
    plain = {
        "what": remedy.what,
        "sheet": remedy.text,
        "gradient": after.written(new.gradient),
        "norms": [row[1] for row in rows],
    }
    return steps, plain


def _pairs(
    words: Words, remedy: Remedy, run: Evaluator | None
) -> list[tuple[Evaluator, Evaluator]]:
    """Evaluators before and after at the sheet's values, or at the same random points."""
    if run is not None:
        changed = given_run(
            remedy.model, factor_gradient(remedy.model, words.of.loss, words.of.wrt)
        )
        return [] if changed is None else [(run, changed)]
    pairs = []
    for point in draw_points(words.model, _POINTS, 5):
        names = {k: v for k, v in point.floats.items() if k in remedy.model.declared}
        after = Evaluator(point.sizes, names, remedy.model.definitions)
        pairs.append((point.shared(words.model, exact=False), after))
    return pairs


def _beside(
    before: Words, after: Words, pairs: list[tuple[Evaluator, Evaluator]]
) -> Iterator[tuple[Step, dict[str, Any]]]:
    """Norm by norm, old and new, for the factors of the first path and the whole."""
    where = "at the sheet's values" if len(pairs) == 1 else f"median of {len(pairs)} random points"
    old = {_key(f): f for p in before.of.paths[:1] for f in p.factors if f.kind != "constant"}
    new = {_key(f): f for p in after.of.paths[:1] for f in p.factors if f.kind != "constant"}
    if not pairs:
        return
    with np.errstate(all="ignore"):
        for key in dict.fromkeys((*old, *new)):
            a = _median(measure(r, old[key]) for r, _ in pairs) if key in old else None
            b = _median(measure(r, new[key]) for _, r in pairs) if key in new else None
            left = f"{before.norm(old[key])} = {n(a)}" if a is not None else "no such factor"
            right = f"{after.norm(new[key])} = {n(b)}" if b is not None else "gone"
            if left == right:
                continue
            yield (
                Step("factor", f"{left}   →   {right}", kind="numbers", depth=1, because=where),
                {"before": a, "after": b},
            )
        a = _median(_total(before.of, r) for r, _ in pairs)
        b = _median(_total(after.of, r) for _, r in pairs)
        label = f"‖∂{before.of.loss}/∂{before.of.wrt}‖"
        times = f", {_ratio(b / a)}" if a else ""
        if b <= a:
            where += "; by itself this change does not help here"
        yield (
            Step("whole", f"{label} = {n(a)}   →   {n(b)}{times}", value=[a, b], kind="result",
                 depth=1, because=where),
            {"before": a, "after": b},
        )  # fmt: skip


def _key(factor: Factor) -> tuple[str, str]:
    """Factors that stand in the same place of both products."""
    return factor.kind, "" if factor.kind == "loss" else factor.owner


def _median(values: Any) -> float:
    finite = [v for v in values if math.isfinite(v)]
    return float(np.median(finite)) if finite else math.nan


def _ratio(ratio: float) -> str:
    """`5.08 times as large`, `885,000 times smaller`."""
    if not 0 < ratio < 1e-3:
        return f"{n(ratio)} times as large"
    return f"{float(f'{1 / ratio:.3g}'):,.0f} times smaller"


def _total(product: Product, run: Evaluator) -> float:
    return norm_of(run, product.gradient, product.model.leaves[product.wrt])


def _both(words: Words, found: list[Remedy]) -> list[Remedy]:
    """The change of the loss together with the first change of activations."""
    first = next((r for r in found if r.equations and not r.claims), None)
    loss = next((r for r in found if r.claims), None)
    if first is None or loss is None:
        return []
    made = _made(
        words, f"both: {first.what}, and {loss.what}", {**first.equations, **loss.equations}
    )
    return [] if made is None else [made]


# --- changes ---------------------------------------------------------------------------------


def _made(words: Words, what: str, equations: Mapping[str, ast.Expr], **more: Any) -> Remedy | None:
    """The remedy of changed equations; None where the changed sheet does not fit together."""
    sheet = words.model.sheet
    try:
        text = edited(sheet, equations)
        model = _changed(words.model, text)
        model.deriver.gradient(model.leaves[words.of.loss], words.of.wrt)
    except BackproofError:
        return None
    lines = tuple(f"{name} = {unparse(e)}" for name, e in equations.items())
    return Remedy(what, lines, text, model, equations, **more)


def _changed(model: Model, text: str) -> Model:
    """The model of a changed sheet; every question about one change shares it."""
    return model.once((variant, text), lambda: variant(model.sheet, text))


def _activations(words: Words) -> Iterator[Remedy]:
    """Another function in the hidden layers, for each whose slope is a factor."""
    hidden: dict[str, list[str]] = {}
    output = {words.of.paths[0].names[0]} if words.of.paths else set()
    for path in words.of.paths:
        for f in path.factors:
            function = f.shown.partition("'")[0]
            if f.kind == "slope" and function in _SWAPS and f.owner not in output:
                owners = hidden.setdefault(function, [])
                owners.extend(() if f.owner in owners else (f.owner,))
    for function, owners in hidden.items():
        for other in _SWAPS[function]:
            changed = {
                name: ast.rewritten(words.model.sheet.equations[name].expr, _swap(function, other))
                for name in owners
            }
            made = _made(
                words, f"{function} → {other} in {', '.join(owners)}", changed,
                caution=_DEAD if other == "relu" else "",
            )  # fmt: skip
            if made is not None:
                yield made


def _swap(function: str, other: str) -> Callable[[ast.Expr], ast.Expr | None]:
    def change(e: ast.Expr) -> ast.Expr | None:
        if isinstance(e, ast.Apply) and e.op == function:
            return ast.Apply(other, tuple(ast.rewritten(a, change) for a in e.args))
        return None

    return change


def _logarithm(words: Words) -> Iterator[Remedy]:
    """Squared error at a sigmoid output → binary cross-entropy: the output's slope cancels."""
    of, sheet = words.of, words.model.sheet
    for path in of.paths[:1]:
        output = path.names[0]
        slopes = [f for f in path.factors if f.kind == "slope" and f.owner == output]
        if len(path.names) < 2 or not slopes or not slopes[0].shown.startswith("sigmoid"):
            continue
        for name in (of.loss, *(s for s in sheet.order if output in sheet.uses.get(s, ()))):
            expr = sheet.equations[name].expr
            changed = ast.rewritten(expr, _to_logarithm(output))
            if changed == expr:
                continue
            score = path.names[1]
            claim = _cancelled(words, name, changed, score)
            made = _made(
                words, f"squared error → binary cross-entropy in {name}", {name: changed},
                claims=(claim,) if claim else (),
                caution="The targets must lie between 0 and 1.",
            )  # fmt: skip
            if made is not None:
                yield made
                return


def _to_logarithm(output: str) -> Callable[[ast.Expr], ast.Expr | None]:
    """Squared differences from the output, as a binary cross-entropy of the same size."""

    def call(a: ast.Expr, t: ast.Expr, total: bool) -> ast.Expr:
        bce = ast.Apply("bce", (a, t))
        if not total:
            return bce
        return ast.Apply("mul", (ast.Apply("size", (a,)), bce))

    def target(a: ast.Expr, b: ast.Expr) -> tuple[ast.Expr, ast.Expr] | None:
        if isinstance(a, ast.Name) and a.id == output:
            return a, b
        if isinstance(b, ast.Name) and b.id == output:
            return b, a
        return None

    def change(e: ast.Expr) -> ast.Expr | None:
        match e:
            case ast.Apply(op="sse" | "mse" as op, args=(a, b)):
                found = target(a, b)
            case ast.Apply(op="sumsq" as op, args=(ast.Apply(op="sub", args=(a, b)),)):
                found = target(a, b)
            case ast.Apply(
                op="sum" | "mean" as op,
                args=(ast.Apply(op="pow", args=(ast.Apply(op="sub", args=(a, b)), _)),),
            ):
                found = target(a, b)
            case ast.Apply(
                op="pow" as op,
                args=(ast.Apply(op="norm", args=(ast.Apply(op="sub", args=(a, b)),)), _),
            ):
                found = target(a, b)
            case _:
                return None
        return None if found is None else call(*found, op not in ("mse", "mean"))

    return change


def _cancelled(words: Words, name: str, changed: ast.Expr, score: str) -> str:
    """The claim that the gradient at the score is free of the output's slope."""
    try:
        model = _changed(words.model, edited(words.model.sheet, {name: changed}))
    except BackproofError:
        return ""
    node = model.deriver.gradient(model.leaves[words.of.loss], score)
    shown = Words(model, factor_gradient(model, words.of.loss, words.of.wrt)).written(node)
    return f"grad({words.of.loss}, {score}) == {shown}"


def _scaled(words: Words) -> Iterator[Remedy]:
    """Initial weights scaled so that the mean square of their entries is one over the inputs."""
    model = words.model
    values: dict[str, ast.Expr] = {}
    lines, factors = [], []
    arrays = model.given_values(exact=False)
    for path in words.of.paths:
        for f in path.factors:
            for name in _parameters(model, f):
                if name in values or name not in arrays or name not in model.sheet.values:
                    continue
                scale = _scale(model, f, arrays[name], name)
                if scale is None:
                    continue
                values[name] = _literal(arrays[name] * scale)
                factors.append(scale)
                lines.append(f"{name} = {unparse(values[name])}")
    if not values or all(0.5 < s < 2 for s in factors):
        return
    try:
        text = edited(model.sheet, values=values)
        changed = _changed(model, text)
    except BackproofError:
        return
    yield Remedy(
        "the weights scaled: mean square of the entries 1/(number of inputs)",
        tuple(lines), text, changed, {},
        caution="This is a remedy for the start of training; scaled later it forgets.",
    )  # fmt: skip


def _parameters(model: Model, factor: Factor) -> list[str]:
    """The learned matrices in one layer's equation."""
    names = model.sheet.uses.get(factor.owner, ())
    inner = [u for name in names for u in model.sheet.uses.get(name, ())] if (
        factor.kind == "slope"
    ) else []  # fmt: skip
    found = [n for n in (*names, *inner) if n in model.learned]
    return [n for n in found if 1 not in [d.as_int() for d in model.shape(n)]]


def _scale(model: Model, factor: Factor, array: Any, name: str) -> float | None:
    """What to multiply a matrix by; its inputs are the columns in W @ x, the rows in x @ W."""
    rows, columns = array.shape
    inputs = columns
    for definition in model.definitions.values():
        for node in _products(definition):
            left, right = node.args
            if right.name == name:
                inputs = rows
            if left.name == name:
                inputs = columns
    size = float(np.mean(array * array))
    return math.sqrt(1 / (inputs * size)) if size else None


def _products(root: Any) -> Iterator[Any]:
    from backproof.operators.node import postorder

    return (node for node in postorder([root]) if node.matrices)


def _literal(array: Any) -> ast.Expr:
    """An array as a literal of a sheet, with three decimals."""
    from backproof.errors import Source

    return parse_expression(Source("scaled", str(to_lists(np.round(array, 3)))))


_KINDS = (_activations, _logarithm, _scaled)
