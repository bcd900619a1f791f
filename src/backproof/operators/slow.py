"""When a function passes little of a gradient on: its steepest slope and its flat ends.

Data about functions of one number, for the question why a parameter learns slowly. Knows nothing
of nodes, sheets or arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

FARTHEST = 60.0  # slopes are looked at up to this far from zero


@dataclass(frozen=True, slots=True)
class SlowRule:
    """How small and how large the slope of a function can be.

    slope    the derivative at a number
    sup      a bound on |slope| that is reached or approached; None where there is none
    shown    that bound as a reader would write it
    flat     where the slope fades: "both" ends, "left", "right", "all" (it is zero everywhere)
             or "" (nowhere)
    word     what a unit is called there: "saturated", "dead", "flat"
    why      the reason, in words that stand after the function's name
    """

    slope: Callable[[float], float]
    sup: float | None
    shown: str
    flat: str
    word: str
    why: str

    def edge(self, share: float = 0.01) -> float | None:
        """The distance from zero beyond which |slope| is below *share* of the steepest.

        None where the slope never fades so far, or has no steepest value.
        """
        return _edge(self, share)


@lru_cache(maxsize=64)
def _edge(rule: SlowRule, share: float) -> float | None:
    if rule.flat in ("", "all"):
        return None
    limit = share * (rule.sup if rule.sup is not None else 1.0)
    signs = {"both": (1.0, -1.0), "left": (-1.0,), "right": (1.0,)}[rule.flat]

    def steep(z: float) -> bool:
        return any(abs(rule.slope(s * z)) >= limit for s in signs)

    steps = 6000
    grid = [FARTHEST * k / steps for k in range(steps + 1)]
    last = max((k for k, z in enumerate(grid) if steep(z)), default=-1)
    if last < 0:
        return 0.0
    if last == steps:
        return None
    low, high = grid[last], grid[last + 1]
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if steep(middle) else (low, middle)
    return high if high > 1e-9 else 0.0


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def _normal(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _below(z: float) -> float:
    """The share of a standard normal variable below z."""
    return math.erfc(-z / math.sqrt(2)) / 2


def _silu(z: float) -> float:
    s = _sigmoid(z)
    return s + z * s * (1 - s)


def _gelu_tanh(z: float) -> float:
    c = math.sqrt(2 / math.pi)
    t = math.tanh(c * (z + 0.044715 * z**3))
    return (1 + t) / 2 + z / 2 * (1 - t * t) * c * (1 + 3 * 0.044715 * z * z)


_LOG = "fades as 1/z where its argument is large"

# By the operator's name.
OPERATORS: dict[str, SlowRule] = {
    "sigmoid": SlowRule(
        lambda z: _sigmoid(z) * _sigmoid(-z), 0.25, "1/4", "both", "saturated",
        "is flat at both ends",
    ),
    "tanh": SlowRule(
        lambda z: 1 / math.cosh(z) ** 2, 1.0, "1", "both", "saturated", "is flat at both ends"
    ),
    "relu": SlowRule(
        lambda z: float(z > 0), 1.0, "1", "left", "dead", "is zero for every z below zero"
    ),
    "softplus": SlowRule(_sigmoid, 1.0, "1", "left", "flat", "fades for z far below zero"),
    "erf": SlowRule(
        lambda z: 2 / math.sqrt(math.pi) * math.exp(-z * z), 2 / math.sqrt(math.pi), "2/√π",
        "both", "saturated", "is flat at both ends",
    ),
    "exp": SlowRule(
        lambda z: math.exp(min(z, FARTHEST)), None, "", "left", "flat",
        "fades for z far below zero",
    ),
    "log": SlowRule(lambda z: 1 / z if z > 0 else math.inf, None, "", "right", "flat", _LOG),
    "sqrt": SlowRule(
        lambda z: 0.5 / math.sqrt(z) if z > 0 else math.inf, None, "", "right", "flat",
        "fades as 1/√z where its argument is large",
    ),
    "sin": SlowRule(math.cos, 1.0, "1", "", "", "is zero at its crests"),
    "cos": SlowRule(lambda z: -math.sin(z), 1.0, "1", "", "", "is zero at its crests"),
    "abs": SlowRule(lambda z: math.copysign(1.0, z), 1.0, "1", "", "", "never fades"),
    **dict.fromkeys(
        ("step", "sign", "floor", "ceil"),
        SlowRule(lambda z: 0.0, 0.0, "0", "all", "flat", "is zero everywhere: nothing passes"),
    ),
}  # fmt: skip

# By the name of a function of the language that is made of several operators.
FUNCTIONS: dict[str, SlowRule] = {
    "silu": SlowRule(_silu, 1.09984, "1.1", "left", "flat", "fades for z far below zero"),
    "gelu": SlowRule(
        lambda z: _below(z) + z * _normal(z), 1.128905, "1.13", "left", "flat",
        "fades for z far below zero",
    ),
    "gelu_tanh": SlowRule(
        _gelu_tanh, 1.129, "1.13", "left", "flat", "fades for z far below zero"
    ),
    "elu": SlowRule(
        lambda z: 1.0 if z > 0 else math.exp(z), 1.0, "1", "left", "saturated",
        "fades for z far below zero",
    ),
    "leaky_relu": SlowRule(
        lambda z: 1.0 if z > 0 else 0.01, 1.0, "1", "", "", "is small, not zero, below zero"
    ),
}  # fmt: skip
