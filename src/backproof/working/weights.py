"""`ask weights`: what the weights of a loss mean, derived line by line and judged like any claim.

Two weights of a logistic loss, or one weight a class of a cross-entropy; costs, weights and
thresholds in every direction; balanced weights from labels. Every line of algebra is a claim over
a small sheet of its own, judged by the same judge as a reader's claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from backproof.calculus.model import Model, build_model
from backproof.calculus.values import SheetValues, sheet_values
from backproof.errors import InternalContradiction, NotAvailable, ShapeProblem, Source, ValueProblem
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.language.sheet import parse_sheet
from backproof.operators.node import Node
from backproof.working.claims import Verdict, check_claims
from backproof.working.steps import Step, Verified, Working
from backproof.working.weighted import Weighted, find_weighted

Array = Any


def weights_working(model: Model, targets: Sequence[ast.Expr] = ()) -> Working:
    """What the weights of a loss mean: its minimiser, the threshold, the costs, the balance.

    targets   the losses asked about; every weighted loss of the sheet where there are none
    """
    losses = _losses(model, targets)
    found = [w for loss in losses for w in find_weighted(model, loss)]
    if targets and not found:
        names = " and ".join(unparse(t) for t in targets)
        raise NotAvailable(
            f"{names} is no logistic loss or cross-entropy that weights could be found in.",
            place=model.sheet.place(targets[0].span),
            hint="write it with weighted_bce(a, y, alpha, beta) or cross_entropy(P, Y, weights=w)",
        )
    steps: list[Step] = []
    data: dict[str, Any] = {"losses": []}
    values = sheet_values(model)
    for w in found or [Weighted("bce", "", None, None, ())]:
        told, answer = (_two if w.kind == "bce" else _classes)(values, w)
        steps.extend(told)
        data["losses"].append(answer)
    ask = "weights" + "".join(f"{',' if k else ''} {unparse(t)}" for k, t in enumerate(targets))
    return Working(ask, tuple(steps), data)


def _losses(model: Model, targets: Sequence[ast.Expr]) -> list[str]:
    if not targets:
        return list(model.sheet.order)
    for t in targets:
        if not isinstance(t, ast.Name) or t.id not in model.definitions:
            raise ShapeProblem(
                "'ask weights' asks about a loss of the sheet, by its name.",
                place=model.sheet.place(t.span),
            )
    return [t.id for t in targets if isinstance(t, ast.Name)]


# --- lines that are judged -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of algebra: what it is about, the claim, and the rule that led to it."""

    label: str
    claim: str
    because: str
    kind: str = "equation"


def _judged(preamble: str, lines: Sequence[_Line]) -> Iterator[Step]:
    """The lines as steps, each judged as a claim over the names of the preamble."""
    text = preamble + "".join(f"claim {line.claim}\n" for line in lines)
    small = build_model(parse_sheet(Source("the derivation of the weights", text)))
    for line, verdict in zip(lines, check_claims(small, mend=False), strict=True):
        if not verdict.holds:
            raise InternalContradiction(
                f"The line {line.claim} does not hold: {verdict.why} This is a bug in backproof."
            )
        yield Step(
            line.label,
            line.claim.replace("==", "=").replace("<=", "≤"),
            because=line.because,
            verified=_verified(verdict),
            kind=line.kind,
        )


def _verified(verdict: Verdict) -> Verified:
    return Verified(f"judged as a claim: {verdict.verdict}", verdict.points)


def _heading(text: str) -> Step:
    return Step("", text, kind="heading")


def _note(text: str, kind: str = "note") -> Step:
    return Step("", text, kind=kind)


# --- a logistic loss with two weights --------------------------------------------------------


def _two(values: SheetValues, w: Weighted) -> tuple[list[Step], dict[str, Any]]:
    alpha, beta = _weight(values, w.weights, 0), _weight(values, w.weights, 1)
    _check_pair(values.model, w, alpha, beta)
    steps = [*_what_it_is(w), *_minimiser(), *_threshold(), *_costs(), *_balance()]
    data: dict[str, Any] = {"loss": w.loss, "kind": "two weights"}
    if alpha is not None and beta is not None:
        steps.extend(_with_weights(alpha, beta))
        data |= {"alpha": alpha, "beta": beta, "threshold": beta / (alpha + beta)}
    labels = _labels(values, w)
    if labels is not None:
        told, counted = _with_labels(values, w, labels, alpha, beta)
        steps.extend(told)
        data |= counted
    return steps, data


def _what_it_is(w: Weighted) -> Iterator[Step]:
    yield _heading("What the weights are")
    if w.loss:
        yield Step(
            w.loss,
            w.shown,
            because="alpha weighs the samples with label 1, beta those with label 0",
            verified=None if w.verdict is None else _verified(w.verdict),
        )
        if w.renamed:
            yield _note(w.renamed)
    else:
        yield _note(
            "The sheet has no logistic loss with weights, so alpha and beta stay letters here: "
            "L = weighted_bce(a, y, alpha, beta)."
        )


_EVENT = """given alpha, beta in Rpos
given p in (0, 1)
given a in (0, 1)
R = -alpha*p*log(a) - beta*(1 - p)*log(1 - a)
s = alpha*p/(alpha*p + beta*(1 - p))
"""


def _minimiser() -> Iterator[Step]:
    yield _heading("What the loss makes the network say")
    yield _note(
        "Take inputs whose label is 1 with probability p. The network answers a for all of them; "
        "R is the loss to expect."
    )
    yield from _judged(
        _EVENT,
        [
            _Line(
                "R", "R == alpha*p*(-log(a)) + beta*(1 - p)*(-log(1 - a))",
                "label 1 with probability p costs -alpha log a, label 0 costs -beta log(1 - a)",
            ),
            _Line("∂R/∂a", "grad(R, a) == -alpha*p/a + beta*(1 - p)/(1 - a)",
                  "derivative of log: 1/a"),
            _Line("∂R/∂a",
                  "a*(1 - a)*grad(R, a) == a*(alpha*p + beta*(1 - p)) - alpha*p",
                  "times a (1 - a), which is positive: zero where the right side is"),
            _Line("a*", "s == alpha*p/(alpha*p + beta*(1 - p))",
                  "the one a that makes it zero, called s", "result"),
            _Line("∂R/∂a",
                  "a*(1 - a)*grad(R, a) == (alpha*p + beta*(1 - p))*(a - s)",
                  "negative below s and positive above it: R falls, then rises"),
            _Line("∂²R/∂a²", "hess(R, a) == alpha*p/a**2 + beta*(1 - p)/(1 - a)**2",
                  "derivative once more; a sum of positive terms, so s is the minimum"),
            _Line("odds", "beta*(1 - p)*s == alpha*p*(1 - s)",
                  "so s/(1 - s) is p/(1 - p) times alpha/beta"),
            _Line("log odds", "log(s/(1 - s)) == log(p/(1 - p)) + log(alpha/beta)",
                  "so for a sigmoid unit the weights only move the bias, by log(alpha/beta)"),
        ],
    )  # fmt: skip
    yield from _judged(
        "given alpha, beta in Rpos\ngiven p in (0, 1)\n"
        "s = alpha*p/(alpha*p + beta*(1 - p))\n",
        [
            _Line("p", "beta*s/(beta*s + alpha*(1 - s)) == p",
                  "and back: the probability behind an output s", "result"),
        ],
    )  # fmt: skip
    yield _note(
        "Only with alpha = beta is the output itself a probability; otherwise it is turned back "
        "into one by the last line."
    )


def _threshold() -> Iterator[Step]:
    yield _heading("Weights and the threshold")
    yield from _judged(
        "given alpha, beta in Rpos\ngiven p in (0, 1)\n"
        "s = alpha*p/(alpha*p + beta*(1 - p))\n",
        [
            _Line("s - 1/2",
                  "(2*s - 1)*(alpha*p + beta*(1 - p)) == (alpha + beta)*(p - beta/(alpha + beta))",
                  "the output passes 1/2 exactly where p passes beta/(alpha + beta)"),
        ],
    )  # fmt: skip
    yield from _judged(
        "given t in (0, 1)\nalpha = 1 - t\nbeta = t\n",
        [
            _Line("back", "beta/(alpha + beta) == t",
                  "and back: a threshold t on p is set by alpha = 1 - t and beta = t, which add "
                  "up to 1"),
        ],
    )  # fmt: skip
    yield Step(
        "threshold",
        "deciding at a = 1/2 means deciding at p = beta/(alpha + beta)",
        because="only the ratio alpha : beta counts; a common factor acts like the learning rate",
        kind="result",
    )


def _costs() -> Iterator[Step]:
    yield _heading("Weights and costs")
    yield _note(
        "Let a missed 1 cost m and a false alarm cost f, and let right answers cost nothing. "
        "Answering 0 costs m p on average, answering 1 costs f (1 - p)."
    )
    yield from _judged(
        "given m, f in Rpos\ngiven p in (0, 1)\n",
        [
            _Line("m p - f (1 - p)", "m*p - f*(1 - p) == (m + f)*(p - f/(m + f))",
                  "answering 1 is the cheaper where p is above f/(m + f)"),
        ],
    )  # fmt: skip
    yield Step(
        "weights from costs",
        "alpha = m, beta = f",
        because="then beta/(alpha + beta) is f/(m + f); any alpha : beta = m : f does",
        kind="result",
    )
    yield Step(
        "costs from weights",
        "a missed 1 counts as alpha/beta false alarms",
        because="the same ratio read the other way",
        kind="result",
    )


def _balance() -> Iterator[Step]:
    yield _heading("Balanced weights")
    yield from _judged(
        "given n, k in Rpos\nalpha = (n + k)/(2*n)\nbeta = (n + k)/(2*k)\n",
        [
            _Line("both labels", "alpha*n == beta*k",
                  "with n labels 1 and k labels 0, alpha = N/(2 n), beta = N/(2 k), N = n + k: "
                  "both labels weigh the same in all"),
            _Line("in all", "alpha*n + beta*k == n + k",
                  "and all weights together are as many as the samples"),
            _Line("threshold", "beta/(alpha + beta) == n/(n + k)",
                  "deciding at 1/2 means deciding at the share of labels 1"),
        ],
    )  # fmt: skip


def _with_weights(alpha: float, beta: float) -> Iterator[Step]:
    yield _heading("With the sheet's weights")
    yield Step(
        "threshold", f"beta/(alpha + beta) = {_n(beta)}/({_n(alpha)} + {_n(beta)}) = "
        f"{_n(beta / (alpha + beta))}", value=beta / (alpha + beta),
        because="an output of 1/2 stands for this probability", kind="result",
    )  # fmt: skip
    if beta:
        yield Step(
            "cost", f"alpha/beta = {_n(alpha)}/{_n(beta)} = {_n(alpha / beta)}",
            value=alpha / beta,
            because="a missed 1 counts as that many false alarms", kind="result",
        )  # fmt: skip
    if not alpha or not beta:
        always = "1" if alpha else "0"
        yield _note(
            f"One weight is zero, so the network can answer {always} to everything at no loss.",
            "warning",
        )
        return
    for p in (0.1, 0.5, 0.9):
        s = alpha * p / (alpha * p + beta * (1 - p))
        yield Step(
            f"p = {p}",
            f"p = {p}: a* = {_n(alpha)}·{p}/({_n(alpha)}·{p} + {_n(beta)}·{_n(1 - p)}) = {_n(s)}",
            value=s, because="what the network is made to answer", kind="numbers", depth=1,
        )  # fmt: skip


def _with_labels(
    values: SheetValues,
    w: Weighted,
    labels: Array,
    alpha: float | None,
    beta: float | None,
) -> tuple[list[Step], dict[str, Any]]:
    ones = sum(1 for v in labels.flat if v == 1)
    total = labels.size
    zeros = total - ones
    if total == 1 or any(v not in (0, 1) for v in labels.flat):
        return [], {}
    steps = [_heading("With the sheet's labels")]
    if not ones or not zeros:
        raise ValueProblem(
            f"All {total} labels in {w.labels} are {1 if ones else 0}; balanced weights need both "
            "labels.",
            place=_place(values.model, w.labels),
            hint="give samples of the other label too, or choose the weights from costs",
        )
    balanced = (total / (2 * ones), total / (2 * zeros))
    steps += [
        Step("labels", f"{ones} of {total} labels are 1, {zeros} are 0", kind="numbers",
             because=f"a share of {_n(ones / total)}"),
        Step("alpha", f"alpha = N/(2 n) = {total}/(2·{ones}) = {_n(balanced[0])}",
             value=balanced[0], because="balanced weight of label 1", kind="result"),
        Step("beta", f"beta = N/(2 k) = {total}/(2·{zeros}) = {_n(balanced[1])}",
             value=balanced[1], because="balanced weight of label 0", kind="result"),
    ]  # fmt: skip
    if alpha is not None and beta is not None and (alpha or beta):
        pull = alpha * ones / (alpha * ones + beta * zeros)
        steps.append(
            Step(
                "pull",
                f"alpha n/(alpha n + beta k) = {_n(pull)}",
                value=pull,
                kind="result",
                because="the share of all weight that the sheet's weights give to label 1",
            )
        )
    counted = {
        "ones": ones,
        "zeros": zeros,
        "balanced": {"alpha": balanced[0], "beta": balanced[1]},
    }
    return steps, counted


# --- one weight a class ----------------------------------------------------------------------

_THREE = """given w in Rpos[3]
given q in prob[3]
given c in R[3]
p = softmax(c)
R = -sum(w*q*log(p))
t = w*q/sum(w*q)
"""


def _classes(values: SheetValues, w: Weighted) -> tuple[list[Step], dict[str, Any]]:
    steps: list[Step] = [
        _heading("What the weights are"),
        Step(
            w.loss,
            w.shown,
            because="w_k weighs the samples of class k" if w.weights else "every class weighs 1",
            verified=None if w.verdict is None else _verified(w.verdict),
        ),
        _heading("What the loss makes the network say"),
        _note(
            "Take inputs whose class is k with probability q_k. The network answers "
            "p = softmax(c) for all of them; shown for three classes."
        ),
        *_judged(
            _THREE,
            [
                _Line("R", "R == -sum(w[k]*q[k]*log(p[k]) for k in 1..3)", "the loss to expect"),
                _Line("∂R/∂c", "grad(R, c) == sum(w*q)*p - w*q",
                      "softmax with cross-entropy, each class times its weight"),
                _Line("∂R/∂c", "grad(R, c) == sum(w*q)*(p - t)",
                      "zero exactly where p is t, and R is convex in c"),
                _Line("p*", "t == w*q/sum(w*q)", "the minimiser, called t", "result"),
            ],
        ),
        Step(
            "decision", "the largest output is the class with the largest w_k q_k",
            because="weights act like costs of missing each class; only their ratios count",
            kind="result",
        ),
    ]  # fmt: skip
    data: dict[str, Any] = {"loss": w.loss, "kind": "class weights"}
    given = _array(values, w.weights[0]) if w.weights else None
    if given is not None:
        _check_all(values.model, w, given)
        data["weights"] = [float(v) for v in given.flat]
    labels = _labels(values, w)
    if labels is not None and labels.ndim == 2 and min(labels.shape) > 1:
        steps.extend(_class_counts(values, w, labels, data))
    return steps, data


def _class_counts(
    values: SheetValues, w: Weighted, labels: Array, data: dict[str, Any]
) -> Iterator[Step]:
    counts = [float(c) for c in labels.sum(axis=0)]
    total, classes = labels.shape
    yield _heading("With the sheet's labels")
    present = sum(1 for c in counts if c)
    if present < 2:
        raise ValueProblem(
            f"All {total} labels in {w.labels} are of one class; balanced weights need more.",
            place=_place(values.model, w.labels),
            hint="give samples of the other classes too, or choose the weights from costs",
        )
    balanced = [total / (classes * c) if c else None for c in counts]
    for k, (count, weight) in enumerate(zip(counts, balanced, strict=True), 1):
        shown = "no sample" if weight is None else f"N/(K n) = {_n(weight)}"
        yield Step(
            f"class {k}", f"{_n(count)} of {total} labels: {shown}", value=weight, kind="numbers",
            because="balanced weight: every class weighs the same in all",
        )  # fmt: skip
    data["counts"], data["balanced"] = counts, balanced


# --- what the sheet gives --------------------------------------------------------------------


def _node(values: SheetValues, expr: ast.Expr) -> Node:
    return values.model.node(expr)


def _array(values: SheetValues, expr: ast.Expr) -> Array | None:
    node = _node(values, expr)
    return values.value(node) if values.computable(node) else None


def _weight(values: SheetValues, weights: tuple[ast.Expr, ...], k: int) -> float | None:
    if len(weights) <= k:
        return None
    array = _array(values, weights[k])
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def _labels(values: SheetValues, w: Weighted) -> Array | None:
    if w.labels_expr is None:
        return None
    return _array(values, w.labels_expr)


def _place(model: Model, name: str) -> Any:
    declaration = model.sheet.declarations.get(name)
    return None if declaration is None else model.sheet.place(declaration.name_span)


def _check_pair(model: Model, w: Weighted, alpha: float | None, beta: float | None) -> None:
    for which, value, expr in zip(("alpha", "beta"), (alpha, beta), w.weights, strict=False):
        if value is not None and value < 0:
            raise ValueProblem(
                f"The weight {which} is {_n(value)}, and a weight must not be negative: the loss "
                "would reward its own error.",
                place=model.sheet.place(expr.span),
                hint="weights are zero or more, and not all zero",
            )
    if alpha == 0 and beta == 0:
        raise ValueProblem(
            "Both weights are zero, so the loss is zero whatever the network says.",
            place=model.sheet.place(w.weights[0].span),
            hint="give at least one of the two a positive weight",
        )


def _check_all(model: Model, w: Weighted, array: Array) -> None:
    expr = w.weights[0]
    for k, value in enumerate(array.flat, 1):
        if value < 0:
            raise ValueProblem(
                f"The weight of class {k} is {_n(value)}, and a weight must not be negative: the "
                "loss would reward its own error.",
                place=model.sheet.place(expr.span),
                hint="weights are zero or more, and not all zero",
            )
    if not any(array.flat):
        raise ValueProblem(
            "All class weights are zero, so the loss is zero whatever the network says.",
            place=model.sheet.place(expr.span),
            hint="give at least one class a positive weight",
        )


def _n(value: Any) -> str:
    """A number in a few digits."""
    return f"{float(value):.4g}"
