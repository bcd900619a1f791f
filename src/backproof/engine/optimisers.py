"""Optimisers and learning-rate schedules: pure functions from gradients to new parameters.

The same rule serves NumPy and JAX arrays. What an optimiser remembers is a dictionary of arrays
(`slots`), so a checkpoint can hold it. Knows no sheet and no data.

    sgd        p - rate g
    momentum   v = m v - rate g; p + v                         (Polyak 1964)
    nesterov   v = m v - rate g; p + m v - rate g               (Nesterov 1983)
    rmsprop    s = 0.9 s + 0.1 g²; p - rate g/(√s + 1e-8)       (Hinton 2012)
    adam       with bias correction; β 0.9 and 0.999            (Kingma and Ba 2015)
    lbfgs, newton   all samples at once; see engine.second_order
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backproof.errors import ValueProblem

Array = Any
Arrays = dict[str, Array]
Slots = dict[str, Arrays]  # slot -> parameter -> array
FIRST_ORDER = ("sgd", "momentum", "nesterov", "rmsprop", "adam")
SECOND_ORDER = ("lbfgs", "newton")
RATES = {"sgd": 0.1, "momentum": 0.05, "nesterov": 0.05, "rmsprop": 0.002, "adam": 0.005,
         "lbfgs": 1.0, "newton": 1.0}  # fmt: skip
SLOTS = {"sgd": (), "momentum": ("velocity",), "nesterov": ("velocity",),
         "rmsprop": ("square",), "adam": ("mean", "square")}  # fmt: skip
TINY = 1e-8


@dataclass(frozen=True, slots=True)
class Optimiser:
    """A first-order rule by name."""

    name: str
    momentum: float = 0.9

    def slots(self, parameters: Mapping[str, Array]) -> Slots:
        """What it remembers, at the start."""
        return {s: {n: p * 0 for n, p in parameters.items()} for s in SLOTS[self.name]}

    def step(
        self, xp: Any, parameters: Mapping[str, Array], gradients: Mapping[str, Array],
        slots: Mapping[str, Mapping[str, Array]], rate: Any, count: Any,
    ) -> tuple[Arrays, Slots]:  # fmt: skip
        """(new parameters, new slots) after step number *count* (from 1)."""
        rule = _RULES[self.name]
        new: Arrays = {}
        kept: Slots = {s: {} for s in slots}
        for name, p in parameters.items():
            own = {s: slots[s][name] for s in slots}
            new[name], after = rule(self, xp, p, gradients[name], own, rate, count)
            for s, array in after.items():
                kept[s][name] = array
        return new, kept


Rule = Callable[[Optimiser, Any, Array, Array, dict[str, Array], Any, Any], tuple[Array, Arrays]]


def _sgd(o: Optimiser, xp: Any, p: Array, g: Array, s: Arrays, rate: Any, t: Any) -> Any:
    return p - rate * g, {}


def _momentum(o: Optimiser, xp: Any, p: Array, g: Array, s: Arrays, rate: Any, t: Any) -> Any:
    v = o.momentum * s["velocity"] - rate * g
    return p + v, {"velocity": v}


def _nesterov(o: Optimiser, xp: Any, p: Array, g: Array, s: Arrays, rate: Any, t: Any) -> Any:
    v = o.momentum * s["velocity"] - rate * g
    return p + o.momentum * v - rate * g, {"velocity": v}


def _rmsprop(o: Optimiser, xp: Any, p: Array, g: Array, s: Arrays, rate: Any, t: Any) -> Any:
    square = 0.9 * s["square"] + 0.1 * g * g
    return p - rate * g / (xp.sqrt(square) + TINY), {"square": square}


def _adam(o: Optimiser, xp: Any, p: Array, g: Array, s: Arrays, rate: Any, t: Any) -> Any:
    mean = o.momentum * s["mean"] + (1 - o.momentum) * g
    square = 0.999 * s["square"] + 0.001 * g * g
    top = mean / (1 - o.momentum**t)
    return p - rate * top / (xp.sqrt(square / (1 - 0.999**t)) + TINY), {
        "mean": mean, "square": square,
    }  # fmt: skip


_RULES: dict[str, Rule] = {
    "sgd": _sgd, "momentum": _momentum, "nesterov": _nesterov, "rmsprop": _rmsprop, "adam": _adam,
}  # fmt: skip


def optimiser(name: str, momentum: float = 0.9) -> Optimiser:
    """The first-order optimiser of a name."""
    if name not in FIRST_ORDER:
        known = ", ".join((*FIRST_ORDER, *SECOND_ORDER))
        raise ValueProblem(f"There is no optimiser '{name}'.", hint=f"those are {known}")
    if not 0 <= momentum < 1:
        raise ValueProblem(f"The momentum is {momentum:g}; it must be at least 0 and below 1.")
    return Optimiser(name, momentum)


# --- schedules ----------------------------------------------------------------------------------

SCHEDULES = ("constant", "cosine", "linear", "exponential:0.95", "step:10:0.5", "warmup:5")


def schedule(words: str, rate: float, epochs: int) -> Callable[[int], float]:
    """The learning rate of every epoch (from 1), by the words of a schedule.

    cosine and linear fall to zero over all epochs; exponential:F multiplies by F an epoch;
    step:N:F by F every N epochs; warmup:N rises over N epochs, then falls like cosine.
    """
    if not rate > 0 or not math.isfinite(rate):
        raise ValueProblem(f"The learning rate is {rate:g}; it must be positive.")
    kind, *rest = words.split(":")
    try:
        numbers = [float(r) for r in rest]
    except ValueError:
        numbers = [math.nan]
    wanted = {"constant": (0,), "cosine": (0,), "linear": (0,), "exponential": (0, 1),
              "step": (0, 1, 2), "warmup": (0, 1)}.get(kind)  # fmt: skip
    if wanted is None or len(numbers) not in wanted or not all(x > 0 for x in numbers):
        raise ValueProblem(f"There is no schedule '{words}'.",
                           hint=f"those are {', '.join(SCHEDULES)}")  # fmt: skip
    last = max(1, epochs)

    def cosine(k: float, of: float) -> float:
        return rate * 0.5 * (1 + math.cos(math.pi * min(1.0, k / max(1.0, of))))

    def at(epoch: int) -> float:
        k = epoch - 1
        if kind == "cosine":
            return cosine(k, last)
        if kind == "linear":
            return rate * max(0.0, 1 - k / last)
        if kind == "exponential":
            return rate * (numbers[0] if numbers else 0.95) ** k
        if kind == "step":
            every = numbers[0] if numbers else 10
            return rate * (numbers[1] if len(numbers) > 1 else 0.5) ** (k // every)
        if kind == "warmup":
            rise = numbers[0] if numbers else 5
            return rate * epoch / rise if epoch <= rise else cosine(k - rise, last - rise)
        return rate

    return at
