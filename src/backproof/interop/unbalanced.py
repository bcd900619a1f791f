"""Weights on real unbalanced data: chosen by cross-validation against a cost, beside the formula.

scikit-learn's bundled breast-cancer set is made unbalanced by thinning its malignant samples. The
model is a sheet; it is trained by Newton steps on the gradient and Hessian derived from it. Only
the data, the splits and the metrics are scikit-learn's. Knows nothing of the command line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator
from backproof.calculus.model import Model, build_model
from backproof.calculus.simplify import Simplifier
from backproof.errors import MissingExtra, Source, ValueProblem
from backproof.language.sheet import parse_sheet
from backproof.working.steps import Step, Working

Array = Any
DATASETS = ("breast-cancer",)
RATIOS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
OUTER, INNER = 5, 4  # folds: of the comparison, and of choosing the ratio inside each
BINS = 5
STEPS = 40  # Newton steps at most

SHEET = """# A logistic classifier with a weight for each label
given X in R[N, d]
given y in {0, 1}[N]
given alpha, beta in Rpos
given lambda in Rpos
learn w in R[d + 1]
Xb = bias_trick(X)
z = Xb @ w
a = sigmoid(z)
L = weighted_bce(a, y, alpha, beta) + lambda*sumsq(w)
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one choice of weights did, on samples that it was not trained on."""

    choice: str
    alpha: float
    beta: float
    threshold: float  # on the output
    cost: float  # a sample
    counts: tuple[int, int, int, int]  # true 1, false 1, false 0, true 0
    precision: float
    recall: float
    brier: float
    calibration: list[dict[str, float]]


def unbalanced_working(
    data: str = "breast-cancer",
    thin: float = 0.15,
    missed: float = 10.0,
    alarm: float = 1.0,
    seed: int = 0,
) -> Working:
    """Which weights cost least on real unbalanced data, and what the formula says.

    thin            the share of malignant samples that is kept
    missed, alarm   the cost of a missed malignant sample, and of a false alarm
    """
    _check(data, thin, missed, alarm)
    X, y = _thinned(thin, seed)
    study = _Study(X, y, missed, alarm, seed)
    outcomes = study.outcomes()
    share = float(y.mean())
    steps = [
        _heading("The data"),
        _note(
            "The breast-cancer set that comes with scikit-learn (569 samples of 30 numbers, 212 of "
            f"them malignant), made unbalanced on purpose: {int(y.sum())} malignant samples are "
            f"kept, drawn at random, so a share of {_n(share)} of {len(y)} has label 1."
        ),
        _note(
            f"A missed malignant sample costs {_n(missed)}, a false alarm {_n(alarm)}, a right "
            "answer nothing."
        ),
        _heading("The choices"),
        Step(
            "formula",
            f"alpha : beta = {_n(missed)} : {_n(alarm)}",
            because="the minimiser of the expected loss, deciding at 1/2; see `ask weights`",
            kind="result",
        ),
        Step(
            "balanced",
            f"alpha : beta = {len(y) - int(y.sum())} : {int(y.sum())}",
            because="N/(2 n) and N/(2 k), from the labels",
            kind="result",
        ),
        Step(
            "moved threshold",
            f"without weights, deciding at {_n(alarm)}/({_n(missed)} + {_n(alarm)}) = "
            f"{_n(alarm / (missed + alarm))}",
            because="the same where the network is right about the probability",
            kind="result",
        ),
        _heading(f"Cost by alpha : beta, cross-validated ({OUTER} folds)"),
        *_curve_steps(study.curve()),
        _heading(f"On samples not trained on ({OUTER} folds)"),
        *_table(outcomes),
        *_calibration_steps(outcomes),
    ]  # fmt: skip
    steps.append(
        _note(
            "The formula holds for a network that can give every input its right probability. A "
            "model that cannot, or few samples of one label, can move the best ratio; this is what "
            "cross-validation is for."
        )
    )
    told = {
        "data": data, "thin": thin, "seed": seed, "samples": len(y), "ones": int(y.sum()),
        "missed": missed, "alarm": alarm, "sheet": SHEET,
        "curve": study.curve(),
        "table": [_plain(o) for o in outcomes],
    }  # fmt: skip
    return Working(f"weights --data {data}", tuple(steps), told)


def _check(data: str, thin: float, missed: float, alarm: float) -> None:
    if data not in DATASETS:
        raise ValueProblem(
            f"There is no data set '{data}'.", hint=f"the data sets are: {', '.join(DATASETS)}"
        )
    if not 0 < thin <= 1:
        raise ValueProblem(
            f"The share that is kept is {_n(thin)}; it must be above 0 and at most 1.",
            hint="--thin 0.15 keeps 15 of 100 malignant samples",
        )
    if min(missed, alarm) < 0 or missed == alarm == 0:
        raise ValueProblem(
            f"The costs are {_n(missed)} and {_n(alarm)}; costs are zero or more, and not all zero."
        )
    if not missed or not alarm:
        raise ValueProblem(
            "A cost of zero makes one answer right for every sample, so there is nothing to choose."
        )


def _sklearn() -> Any:
    try:
        import sklearn.datasets
        import sklearn.metrics
        import sklearn.model_selection
    except ImportError:
        raise MissingExtra("scikit-learn", "sklearn") from None
    return sklearn


def _thinned(thin: float, seed: int) -> tuple[Array, Array]:
    """The data with label 1 for malignant, of which only a share is kept."""
    bunch = _sklearn().datasets.load_breast_cancer()
    y = 1.0 - np.asarray(bunch.target, dtype=np.float64)  # it says 1 for benign
    ones = np.flatnonzero(y == 1)
    kept = max(1, round(thin * len(ones)))
    if kept < 2 * OUTER:
        raise ValueProblem(
            f"Only {kept} malignant samples would be kept, and {2 * OUTER} are needed for "
            f"{OUTER} folds.",
            hint="keep a larger share with --thin",
        )
    chosen = np.random.default_rng(seed).choice(ones, kept, replace=False)
    rows = np.sort(np.concatenate([chosen, np.flatnonzero(y == 0)]))
    return np.asarray(bunch.data, dtype=np.float64)[rows], y[rows]


# --- the model -------------------------------------------------------------------------------


class Classifier:
    """A sheet's logistic classifier, trained by Newton steps on what was derived from it."""

    def __init__(self) -> None:
        self.model: Model = build_model(parse_sheet(Source("classifier.sheet", SHEET)))
        deriver, short = self.model.deriver, Simplifier(self.model)
        # The short form is defined where a saturates, and makes a short Hessian.
        self.gradient = short(deriver.gradient(self.model.leaves["L"], "w"))
        self.hessian = short(deriver.jacobian(self.gradient, "w"))

    def fit(self, X: Array, y: Array, alpha: float, beta: float, penalty: float = 0.01) -> Array:
        """The weights at which the derived gradient is zero."""
        values = {
            "X": X, "y": y.reshape(-1, 1), "alpha": _number(alpha), "beta": _number(beta),
            "lambda": _number(penalty), "w": np.zeros((X.shape[1] + 1, 1)),
        }  # fmt: skip
        g = self._run(values).value(self.gradient)
        for _ in range(STEPS):
            step = np.linalg.solve(self._run(values).value(self.hessian), g)
            size = 1.0
            while size > 1e-6:  # halved until the gradient is smaller
                tried = {**values, "w": values["w"] - size * step}
                new = self._run(tried).value(self.gradient)
                if np.linalg.norm(new) < np.linalg.norm(g):
                    break
                size /= 2
            values, g = tried, new
            if float(np.abs(g).max()) < 1e-9:
                break
        return values["w"]

    def _run(self, values: dict[str, Array]) -> Evaluator:
        rows, columns = values["X"].shape
        return Evaluator({"N": rows, "d": columns}, values, self.model.definitions)

    def output(self, X: Array, w: Array) -> Array:
        """The network's output a for every row."""
        run = self._run({"X": X, "w": w})
        return run.named("a").reshape(-1)


def _number(value: float) -> Array:
    return np.array([[value]])


# --- the study -------------------------------------------------------------------------------


class _Study:
    def __init__(self, X: Array, y: Array, missed: float, alarm: float, seed: int) -> None:
        self.X, self.y = X, y
        self.missed, self.alarm, self.seed = missed, alarm, seed
        self.classifier = Classifier()
        self._curve: list[dict[str, float]] | None = None

    def folds(self, y: Array, count: int) -> Iterator[tuple[Array, Array]]:
        split = _sklearn().model_selection.StratifiedKFold(
            count, shuffle=True, random_state=self.seed
        )
        yield from split.split(np.zeros(len(y)), y)

    def weights(self, ratio: float, y: Array) -> tuple[float, float]:
        """(alpha, beta) in this ratio, the mean weight of a sample being one."""
        q = float(y.mean())
        beta = 1 / (ratio * q + 1 - q)
        return ratio * beta, beta

    def predicted(self, rows: Array, tests: Array, ratio: float) -> tuple[Array, float, float]:
        """The outputs on *tests* of a classifier trained on *rows*, and its weights."""
        X, y = self.X[rows], self.y[rows]
        middle, spread = X.mean(axis=0), X.std(axis=0)
        alpha, beta = self.weights(ratio, y)
        w = self.classifier.fit((X - middle) / spread, y, alpha, beta)
        return self.classifier.output((self.X[tests] - middle) / spread, w), alpha, beta

    def cost(self, y: Array, decided: Array) -> float:
        """The mean cost of a sample."""
        missed = np.sum((y == 1) & ~decided)
        alarms = np.sum((y == 0) & decided)
        return float(self.missed * missed + self.alarm * alarms) / len(y)

    def curve(self) -> list[dict[str, float]]:
        """The cross-validated cost of every ratio, over all samples."""
        if self._curve is None:
            rows = []
            for ratio in self.ratios():
                costs = [
                    self.cost(self.y[tests], self.predicted(train, tests, ratio)[0] > 0.5)
                    for train, tests in self.folds(self.y, OUTER)
                ]
                rows.append(
                    {"ratio": ratio, "cost": float(np.mean(costs)), "spread": float(np.std(costs))}
                )
            self._curve = rows
        return self._curve

    def ratios(self) -> list[float]:
        return sorted({*RATIOS, self.missed / self.alarm})

    def chosen(self, rows: Array) -> float:
        """The ratio of the least cost in a cross-validation inside the training samples."""
        totals = dict.fromkeys(self.ratios(), 0.0)
        for train, tests in self.folds(self.y[rows], INNER):
            for ratio in totals:
                a, _, _ = self.predicted(rows[train], rows[tests], ratio)
                totals[ratio] += self.cost(self.y[rows[tests]], a > 0.5)
        return min(totals, key=lambda r: (totals[r], r))

    def outcomes(self) -> list[Outcome]:
        """The choices compared, each trained and decided within the training folds alone."""
        formula = self.missed / self.alarm
        moved = self.alarm / (self.missed + self.alarm)
        choices: list[tuple[str, Any, float]] = [
            ("no weights", lambda rows: 1.0, 0.5),
            ("moved threshold", lambda rows: 1.0, moved),
            ("balanced", lambda rows: _balance(self.y[rows]), 0.5),
            ("formula", lambda rows: formula, 0.5),
            ("cross-validated", self.chosen, 0.5),
        ]  # fmt: skip
        return [self._outcome(*choice) for choice in choices]

    def _outcome(self, choice: str, ratio_of: Any, threshold: float) -> Outcome:
        output, probability = np.zeros(len(self.y)), np.zeros(len(self.y))
        ratios = []
        for train, tests in self.folds(self.y, OUTER):
            ratio = ratio_of(train)
            a, alpha, beta = self.predicted(train, tests, ratio)
            output[tests] = a
            probability[tests] = beta * a / (beta * a + alpha * (1 - a))
            ratios.append(ratio)
        alpha, beta = self.weights(float(np.median(ratios)), self.y)
        metrics = _sklearn().metrics
        decided = output > threshold
        (tn, fp), (fn, tp) = metrics.confusion_matrix(self.y, decided, labels=[0, 1])
        return Outcome(
            choice, alpha, beta, threshold, self.cost(self.y, decided),
            (int(tp), int(fp), int(fn), int(tn)),
            float(metrics.precision_score(self.y, decided, zero_division=0)),
            float(metrics.recall_score(self.y, decided, zero_division=0)),
            float(metrics.brier_score_loss(self.y, probability)),
            _calibration(self.y, probability),
        )  # fmt: skip


def _balance(y: Array) -> float:
    return float((len(y) - y.sum()) / y.sum())


def _calibration(y: Array, p: Array) -> list[dict[str, float]]:
    """In equal ranges of the probability: what was said, and what came true."""
    rows = []
    for k in range(BINS):
        inside = (p >= k / BINS) & ((p < (k + 1) / BINS) | (k == BINS - 1))
        if inside.any():
            rows.append(
                {"said": float(p[inside].mean()), "came_true": float(y[inside].mean()),
                 "samples": int(inside.sum())}
            )  # fmt: skip
    return rows


# --- showing ---------------------------------------------------------------------------------


def _curve_steps(curve: Sequence[dict[str, float]]) -> Iterator[Step]:
    top = max(row["cost"] for row in curve) or 1.0
    for row in curve:
        bar = "█" * round(24 * row["cost"] / top)
        line = f"{_n(row['ratio']):>5} : 1  {bar:<24}  {row['cost']:.4f} ± {row['spread']:.4f}"
        yield Step("", line, value=row["cost"], kind="numbers", depth=1)


def _table(outcomes: Sequence[Outcome]) -> Iterator[Step]:
    wide = max(len(o.choice) for o in outcomes)
    head = f"{'':<{wide}}  alpha beta cost  found missed alarms prec. recall Brier"
    yield Step("", head, kind="numbers", depth=1)
    for o in outcomes:
        tp, fp, fn, _ = o.counts
        line = (
            f"{o.choice:<{wide}}  {o.alpha:<5.2f} {o.beta:<4.2f} {o.cost:.3f} {tp:<5} {fn:<6} "
            f"{fp:<6} {o.precision:<5.2f} {o.recall:<6.2f} {o.brier:.3f}"
        )
        yield Step(o.choice, line, value=o.cost, kind="numbers", depth=1)
    yield _note(
        "Cost is for a sample. Brier is the mean squared error of the probability p that an output "
        "a stands for, p = beta a/(beta a + alpha (1 - a))."
    )


def _calibration_steps(outcomes: Sequence[Outcome]) -> Iterator[Step]:
    yield _heading("Calibration: the probability said, and the share that came true")
    for o in outcomes:
        cells = ", ".join(
            f"{r['said']:.2f} → {r['came_true']:.2f} ({int(r['samples'])})" for r in o.calibration
        )
        yield Step(o.choice, f"{o.choice}: {cells}", kind="numbers", depth=1)


def _plain(o: Outcome) -> dict[str, Any]:
    tp, fp, fn, tn = o.counts
    return {
        "choice": o.choice, "alpha": o.alpha, "beta": o.beta, "threshold": o.threshold,
        "cost": o.cost, "true_1": tp, "false_1": fp, "false_0": fn, "true_0": tn,
        "precision": o.precision, "recall": o.recall, "brier": o.brier,
        "calibration": o.calibration,
    }  # fmt: skip


def _heading(text: str) -> Step:
    return Step("", text, kind="heading")


def _note(text: str) -> Step:
    return Step("", text, kind="note")


def _n(value: float) -> str:
    return f"{value:.4g}"
