"""`ask slow W1`: when is the update of a parameter small? In symbols, and in numbers where given.

The gradient as a product of factors, what makes each of them small, the bound that their norms
make, every layer beside it, and what would help, shown on the sheet itself. Knows no operator by
name: what a slope does is in the operator's entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from backproof.calculus.factors import Path, Product, factor_gradient, norm_of
from backproof.calculus.model import Model
from backproof.calculus.notation import syntax, text
from backproof.calculus.points import draw_points
from backproof.calculus.simplify import Simplifier
from backproof.calculus.ways import Factor
from backproof.calculus.witness import contradiction, verify_gradient
from backproof.errors import BackproofError, InternalContradiction, NameProblem, ShapeProblem
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.operators.node import Node
from backproof.working.claims import Judge, Verdict
from backproof.working.step import loss_of
from backproof.working.steps import Step, Verified, Working
from backproof.working.variants import edited, variant

POINTS = 24
SHARE = 0.01  # a slope below this share of the steepest counts as flat


def slow_working(
    model: Model,
    name: str,
    loss: str | None = None,
    samples: Mapping[str, Any] | None = None,
) -> Working:
    """When the update of *name* is small.

    loss      the number that the step makes smaller; found where it is left out
    samples   given name -> many values of it, one below the other: the numbers are then shown as
              their quartiles over the samples
    """
    from backproof.working.remedies import remedies
    from backproof.working.slow_numbers import given_run, numbers, over_samples

    loss = _loss(model, name, loss)
    model, named = with_score(model, loss, name)
    product = factor_gradient(model, loss, name)
    words = Words(model, product)
    steps = [*words.product(), *words.bound(), *words.depth()]
    if named:
        steps.insert(1, note(named))
    data: dict[str, Any] = {"loss": loss, "wrt": name, **words.data}
    run = given_run(model, product)
    if run is not None:
        told, found = numbers(words, run)
        steps.extend(told)
        data["numbers"] = found
    if samples is not None:
        told, found = over_samples(words, samples)
        steps.extend(told)
        data["samples"] = found
    told, changes = remedies(words, run)
    steps.extend(told)
    data["remedies"] = changes
    return Working(f"slow {name}", tuple(steps), data)


def with_score(model: Model, loss: str, name: str) -> tuple[Model, str]:
    """(the model with the score of its output named, a sentence that says so), where that helps.

    In `a = sigmoid(v.T @ h)` the slope cancels against a logarithm only once v.T @ h has a name.
    """
    for output in model.sheet.order:
        expr = model.sheet.equations[output].expr
        if (
            isinstance(expr, ast.Apply)
            and expr.op in ("sigmoid", "softmax")
            and not isinstance(expr.args[0], ast.Name)
            and _logged(model, output)
        ):
            score = f"z_{output}"
            while score in model.leaves or score in model.sheet.dimensions:
                score += "_"
            inner = replace(expr, args=(ast.Name(score), *expr.args[1:]))
            lines = edited(model.sheet, {output: inner}, before={output: (score, expr.args[0])})
            sentence = f"Here {score} names what {output} is the {expr.op} of: {score} = "
            return variant(model.sheet, lines), sentence + unparse(expr.args[0]) + "."
    return model, ""


def _logged(model: Model, output: str) -> bool:
    """Whether an equation takes the logarithm of a name, by a loss or by hand."""
    for name in model.sheet.order:
        for e in ast.walk(model.sheet.equations[name].expr):
            if (
                isinstance(e, ast.Apply)
                and e.op in _LOGS
                and any(isinstance(part, ast.Name) and part.id == output for part in ast.walk(e))
            ):
                return True
    return False


_LOGS = ("log", "bce", "weighted_bce", "cross_entropy")


def _loss(model: Model, name: str, loss: str | None) -> str:
    if name not in model.leaves:
        raise NameProblem(model.absent(name), hint=f"the parameters are {', '.join(model.learned)}")
    if model.sheet.kind_of(name) == "given":
        raise ShapeProblem(
            f"{name} is given and not learned, so nothing updates it.",
            hint=f"the parameters are {', '.join(model.learned)}",
        )
    found, _ = loss_of(model, (name,), loss)
    if not model.deriver.connected(model.leaves[found], name):
        raise ShapeProblem(
            f"{found} does not depend on {name}: its gradient is not slow, there is none.",
            hint="name a loss that depends on it",
        )
    return found


class Words:
    """Writes a product of factors; keeps what was written for the other parts of the working."""

    def __init__(self, model: Model, product: Product) -> None:
        self.model = model
        self.of = product
        self.short = Simplifier(model)
        self.data: dict[str, Any] = {}
        self._said: set[str] = set()

    # --- the product ---------------------------------------------------------------------------

    def product(self) -> list[Step]:
        """The gradient as a product along each path, and when each factor is small."""
        of = self.of
        steps = [heading("The gradient as a product"), self._whole()]
        several = len(of.paths) > 1
        told: set[tuple[str, str]] = set()
        for k, path in enumerate(of.paths, 1):
            label = f"path {k}" if several else ""
            steps.append(Step(label, " → ".join((of.loss, *path.names)), kind="path"))
            for factor in path.factors:
                key = (factor.owner, factor.shown)
                if key not in told:
                    told.add(key)
                    steps.append(self._factor(path, factor))
        if of.more:
            steps.append(note(f"{of.more} more paths are not listed; the bound is over all."))
        for head in of.heads:
            if head.cancelled:
                steps.append(
                    note(
                        f"The slope at {head.cancelled} has cancelled against the loss, so a "
                        "saturated output does not make the update small."
                    )
                )
        steps.append(
            note("The step is the learning rate times all of this, so a small rate slows it too.")
        )
        self.data["paths"] = [
            {"names": list(p.names), "factors": [self._plain(f) for f in p.factors]}
            for p in of.paths
        ]
        return steps

    def _whole(self) -> Step:
        of = self.of
        return Step(
            f"∂{of.loss}/∂{of.wrt}",
            f"grad({of.loss}, {of.wrt}) = {self.written(of.gradient)}",
            verified=witnessed(self.model, of.loss, of.wrt, of.gradient),
        )

    def written(self, node: Node) -> str:
        """A node in its shortest form, in the reader's names."""
        return text(syntax(self.short(node)))

    def shown(self, path: Path | None, factor: Factor) -> str:
        """A factor as written; a gradient of the loss in its shortest form."""
        return self.written(factor.of) if factor.kind == "loss" else factor.shown

    def norm(self, factor: Factor) -> str:
        """The norm of a factor, as written."""
        return f"‖{self.written(factor.of)}‖" if factor.kind == "loss" else factor.norm

    def _factor(self, path: Path, factor: Factor) -> Step:
        shown = self.shown(path, factor)
        label = factor.shown
        if factor.kind == "loss" and len(path.names) == 1 and len(self.of.heads) > 1:
            label = "direct part"
        if factor.kind == "loss":
            line = f"{label} = {shown}" if label != shown else shown
        else:
            line = factor.norm
            if factor.sup is not None and factor.kind != "constant":
                line += f" ≤ {factor.sup_shown}"
        because = self.why(path, factor)
        if because.partition(":")[0] in self._said:
            because = ""
        self._said.add(because.partition(":")[0])
        return Step(label, line, because=because, kind="local", depth=1)

    def why(self, path: Path, factor: Factor) -> str:
        """When a factor makes the update small, in words."""
        if factor.kind == "loss":
            if len(path.names) == 1 and len(self.of.heads) > 1:
                return "reaches the parameter without passing the network"
            return "the error: small where the network already fits, which is no fault"
        if factor.kind == "slope":
            return slope_words(factor)
        if factor.kind == "weights":
            return (
                "weights: small where their entries are, or where the gradient is orthogonal to "
                "them"
            )
        if factor.kind == "input":
            what = f"a zero in it leaves its part of {self.of.wrt} where it is"
            return f"the input of the layer: small where its entries are; {what}"
        if factor.kind == "constant":
            return "a number that the shapes fix"
        if factor.kind == "scale":
            return "small where its entries are small"
        return "the whole local derivative, at once"

    def _plain(self, factor: Factor) -> dict[str, Any]:
        edge = factor.rule.edge(SHARE) if factor.rule is not None else None
        return {
            "kind": factor.kind,
            "factor": self.shown(None, factor),
            "norm": self.norm(factor),
            "at_most": factor.sup,
            "flat_beyond": edge,
        }

    # --- the bound -----------------------------------------------------------------------------

    def bound(self) -> list[Step]:
        """The product of the norms, verified as a bound at random points, and how tight it is."""
        of = self.of
        if all(len(p.factors) == 1 for p in of.paths):
            return [
                note(
                    f"One equation leads from {of.loss} to {of.wrt}, so the gradient is one "
                    "factor; give the scores or outputs a name to see its factors."
                )
            ]
        products = [self._norms(p) for p in of.paths]
        shown = " + ".join(products) + (" + …" if of.more else "")
        tried, ratios = self._tightness()
        steps = [
            heading("The bound"),
            Step(
                f"‖∂{of.loss}/∂{of.wrt}‖",
                f"‖∂{of.loss}/∂{of.wrt}‖ ≤ {shown}",
                because="the norm of a product is at most the product of the norms: "
                "‖·‖₂ is the spectral norm of a matrix, ‖·‖ the root of the sum of squares",
                verified=Verified("true bound at random points", tried) if tried else None,
                kind="result",
            ),
        ]
        self.data["bound"] = shown
        if ratios:
            low, middle, high = min(ratios), float(np.median(ratios)), max(ratios)
            self.data["tightness"] = {"least": low, "median": middle, "most": high, "points": tried}
            steps.append(
                Step(
                    "tightness",
                    f"the gradient is {percent(low)} to {percent(high)} of the bound, "
                    f"{percent(middle)} in the middle",
                    because=f"over {tried} random points; never above it",
                    kind="numbers",
                    depth=1,
                )
            )
        claim = self._as_claim()
        if claim is not None:
            steps.append(claim)
        return steps

    def _norms(self, path: Path) -> str:
        parts = []
        for factor in path.factors:
            parts.append(factor.sup_shown if factor.sup is not None else self.norm(factor))
        parts = [p for p in parts if p != "1"] or ["1"]
        return " · ".join(parts)

    def _tightness(self) -> tuple[int, list[float]]:
        of = self.of
        ratios, tried = [], 0
        with np.errstate(all="ignore"):
            for point in draw_points(self.model, POINTS, 11):
                run = point.shared(self.model, exact=False)
                true = norm_of(run, of.gradient, self.model.leaves[of.wrt])
                most = of.bounds(run, sups=True)[of.wrt]
                if not (math.isfinite(true) and math.isfinite(most)):
                    continue
                tried += 1
                if true > most * (1 + 1e-9) + 1e-12:
                    raise InternalContradiction(
                        f"The gradient of {of.wrt} is {true:.6g} at a point where its bound is "
                        f"{most:.6g}. This is a bug in backproof.",
                        hint="please report the sheet that showed it",
                    )
                if most > 0:
                    ratios.append(true / most)
        return tried, ratios

    def _as_claim(self) -> Step | None:
        """The bound in the sheet's own language, with norm(…), which is never less than ‖·‖₂."""
        of = self.of
        if of.more or len(of.paths) > 2:
            return None
        sums = []
        for path in of.paths:
            parts = [self._claimed(f) for f in path.factors]
            if None in parts:
                return None
            number = math.prod((p for p in parts if isinstance(p, Fraction)), start=Fraction(1))
            names = [p for p in parts if isinstance(p, str)]
            sums.append("*".join(([str(number)] if number != 1 or not names else []) + names))
        line = f"norm(grad({of.loss}, {of.wrt})) <= {' + '.join(sums)}"
        verdict = judged(self.model, line)
        if verdict is None or not verdict.holds:
            return None
        self.data["claim"] = line
        return Step(
            "as a claim",
            line,
            because="norm(…) is never less than the spectral norm",
            verified=Verified(f"judged as a claim: {verdict.verdict}", verdict.points),
            depth=1,
        )

    def _claimed(self, factor: Factor) -> Fraction | str | None:
        if factor.sup is not None:
            exact = Fraction(factor.sup).limit_denominator(1000)
            return exact if float(exact) == factor.sup else repr(round(factor.sup + 5e-7, 6))
        if factor.kind == "constant":
            return factor.norm.replace("√(", "sqrt(").replace("√", "sqrt(") + (
                ")" if "√" in factor.norm and "√(" not in factor.norm else ""
            )
        inner = self.written(factor.of)
        if "?" in inner or factor.how not in ("spectral", "frobenius", "entries"):
            return None
        return f"max(abs({inner}))" if factor.how == "entries" else f"norm({inner})"

    # --- every layer ---------------------------------------------------------------------------

    def depth(self) -> list[Step]:
        """What the slopes alone leave of the gradient at every parameter of the network."""
        rows = []
        for name in layer_names(self.model, self.of.loss):
            product = self.of if name == self.of.wrt else None
            product = product or factor_gradient(self.model, self.of.loss, name)
            slopes = [
                [f for f in p.factors if f.kind == "slope" and f.sup is not None]
                for p in product.paths
            ]
            most = max((math.prod(f.sup or 1 for f in s) for s in slopes), default=1.0)
            longest = max(slopes, key=len, default=[])
            rows.append((name, most, " · ".join(f.sup_shown for f in longest) or "none"))
        self.data["depth"] = [{"name": n, "slopes_at_most": m} for n, m, _ in rows]
        sizes = {m for _, m, _ in rows}
        if len(sizes) < 2 or max(sizes) > 1:
            return []
        steps = [heading("Layer by layer")]
        for name, most, shown in rows:
            line = f"{name}: slopes on the way {shown}"
            line += f" = {_exact(most)}" if " · " in shown else ""
            steps.append(Step(name, line, value=most, kind="numbers", depth=1))
        steps.append(
            note(
                "The farther from the loss, the more slopes multiply; only larger weights make up "
                "for them."
            )
        )
        return steps


def _exact(value: float) -> str:
    """A product of slopes: as a fraction where it is one."""
    exact = Fraction(value)
    return str(exact) if exact.numerator < 100 else f"{value:.4g}"


def witnessed(model: Model, loss: str, wrt: str, node: Node) -> Verified | None:
    """How a gradient was checked by numeric differentiation.

    None where the numbers are so extreme that differences say nothing: with an output of 1 - 1e-40
    the loss itself has ten digits left of fifty, and its short gradient has all of them.
    """
    leaf = model.leaves[loss]
    seen = verify_gradient(model, leaf, wrt, node)
    if not seen.failed:
        return Verified("numeric differentiation", seen.points)
    derived = model.deriver.gradient(leaf, wrt)
    if _nearly(model, node, derived):
        return None
    raise contradiction(f"the gradient of {loss} by {wrt}")


def _nearly(model: Model, a: Node, b: Node) -> bool:
    """Whether two nodes agree to six digits at random points, in double precision."""
    with np.errstate(all="ignore"):
        for point in draw_points(model, POINTS, 7):
            run = point.shared(model, exact=False)
            x, y = run.value(a), run.value(b)
            defined = bool(np.isfinite(x).all() and np.isfinite(y).all())
            near = 1e-6 * max(1.0, float(np.abs(x).max()))
            if defined and float(np.abs(x - y).max()) > near:
                return False
    return True


def layer_names(model: Model, loss: str) -> list[str]:
    """The learned names that the loss depends on, in the order in which equations use them."""
    used: list[str] = []
    for name in model.sheet.order:
        for n in model.sheet.uses.get(name, ()):
            if n in model.learned and n not in used:
                used.append(n)
    leaf = model.leaves[loss]
    return [n for n in used if model.deriver.connected(leaf, n)]


def slope_words(factor: Factor) -> str:
    """When the slope of a function is small."""
    rule = factor.rule
    if rule is None:
        return "small where one of the probabilities is near 1"
    function, _, where = factor.shown.partition("'")
    words = f"{function} {rule.why}"
    edge = rule.edge(SHARE)
    if edge is None or rule.sup is None:
        return words
    z = where.strip("()") if len(where) < 24 else "z"
    if edge == 0:
        return f"{words} ({rule.word}): nothing passes there"
    side = {"both": f"|{z}| > {edge:.2f}", "left": f"{z} < -{edge:.2f}"}.get(
        rule.flat, f"{z} > {edge:.2f}"
    )
    return f"{words}: under 1 % of {rule.shown} where {side} ({rule.word})"


def judged(model: Model, line: str, *, proofs: bool = False) -> Verdict | None:
    """The verdict of a claim over the names of a sheet; None where it cannot be read."""
    try:
        claim = model.sheet.extended(f"claim {line}").claims[-1]
        return Judge(model).claim(claim, proofs=proofs)
    except InternalContradiction:
        raise
    except BackproofError:
        return None


def percent(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.0f} %" if share >= 0.095 or share == 0 else f"{100 * share:.2g} %"


def heading(words: str) -> Step:
    return Step("", words, kind="heading")


def note(words: str) -> Step:
    return Step("", words, kind="note")
