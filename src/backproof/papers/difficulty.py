"""How long a question takes by hand, and by which rule.

Every scalar operation that a person writes down takes its seconds: `SECONDS`. A product with 0 or
±1 is read off, not worked out. Each digit of a given number beyond the first two, each number
written down and each line set up take time too. Minutes are the sum; no more is claimed for them
than that questions with the same sum are about as much work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator
from backproof.operators.node import Node, postorder, quantities

Array = Any
SECONDS = {
    "add": 4, "sub": 4, "neg": 1, "mul": 6, "div": 10, "exp": 15, "log": 15, "sqrt": 12,
    "sigmoid": 18, "tanh": 18, "softplus": 18, "erf": 20, "sin": 12, "cos": 12, "pow": 8, "abs": 1,
    "relu": 2, "step": 2, "sign": 2, "maximum": 3, "minimum": 3, "where": 3,
}  # fmt: skip
EASY_PRODUCT = 1
PER_DIGIT = 1
PER_NUMBER = 5
PER_LINE = 15
RULE = (
    "seconds: addition 4, product 6 (1 with 0 or ±1), quotient 10, exp, log or root 12 to 15, "
    "sigmoid or tanh 18, comparison 3; 1 for each digit of a given number beyond two, 5 for each "
    "number written down, 15 for each line"
)


@dataclass(frozen=True)
class Difficulty:
    """Scalar operations, digits of the given numbers, and the seconds by the rule."""

    steps: int
    digits: int
    seconds: int

    @property
    def minutes(self) -> float:
        return self.seconds / 60

    def __add__(self, other: Difficulty) -> Difficulty:
        return Difficulty(
            self.steps + other.steps, self.digits + other.digits, self.seconds + other.seconds
        )


NOTHING = Difficulty(0, 0, 0)


def difficulty(
    run: Evaluator, roots: Iterable[Node], definitions: Mapping[str, Node],
    given: Mapping[str, Array],
) -> Difficulty:  # fmt: skip
    """What working out these nodes takes; *run* holds the values."""
    pending, names, nodes = list(roots), set[str](), dict[int, Node]()
    lines = 0
    while pending:
        root = pending.pop()
        lines += 1
        nodes.update((n.id, n) for n in postorder([root]))
        for name in quantities([root]) - names:
            names.add(name)
            if name in definitions:
                pending.append(definitions[name])
    steps = seconds = written = 0
    for node in nodes.values():
        count, cost = _work(run, node)
        steps += count
        seconds += cost
        written += run.value(node).size if count else 0
    digits = sum(_digits(a) for name, a in given.items() if name in names)
    seconds += PER_DIGIT * digits + PER_NUMBER * written + PER_LINE * lines
    return Difficulty(steps, digits, seconds)


def _work(run: Evaluator, node: Node) -> tuple[int, int]:
    """(scalar operations, their seconds) of one node."""
    name = node.op.name
    if name == "matmul" or name == "mul":
        return _products(run, node)
    size = run.value(node).size
    if name in SECONDS:
        return size, size * SECONDS[name]
    if name in ("sum", "reduce", "trace"):
        terms = max(0, run.value(node.args[0]).size - size)
        return terms, terms * SECONDS["add"]
    if name in ("softmax", "logsumexp"):
        terms = run.value(node.args[0]).size
        return 3 * terms, terms * (SECONDS["exp"] + SECONDS["add"] + SECONDS["div"])
    if name in ("amax", "amin", "argmax", "gt", "ge", "lt", "le", "eq", "ne"):
        terms = run.value(node.args[0]).size
        return terms, terms * SECONDS["maximum"]
    if name in ("inv", "det", "logdet", "einsum", "kron", "prod"):
        terms = run.value(node.args[0]).size
        return 3 * terms, 3 * terms * SECONDS["mul"]
    return 0, 0


def _products(run: Evaluator, node: Node) -> tuple[int, int]:
    a, b = (run.value(x) for x in node.args)
    if node.op.name == "mul" or node.args[0].is_number or node.args[1].is_number:
        size = run.value(node).size
        easy = _share_easy(a) + _share_easy(b) - _share_easy(a) * _share_easy(b)
        return size, round(size * (easy * EASY_PRODUCT + (1 - easy) * SECONDS["mul"]))
    if a.ndim != 2 or b.ndim != 2:
        size = run.value(node).size
        return size, size * SECONDS["mul"]
    plain = np.isin(a, (-1, 0, 1))[:, :, None] | np.isin(b, (-1, 0, 1))[None, :, :]
    zero = (a == 0)[:, :, None] | (b == 0)[None, :, :]
    terms = int((~zero).sum())
    adds = max(0, terms - a.shape[0] * b.shape[1])
    cost = int(plain.sum()) * EASY_PRODUCT + int((~plain).sum()) * SECONDS["mul"]
    return plain.size + adds, cost + adds * SECONDS["add"]


def _share_easy(a: Array) -> float:
    return float(np.isin(a, (-1, 0, 1)).mean())


def _digits(a: Array) -> int:
    """Digits beyond the first two of every entry."""
    total = 0
    for x in np.asarray(a, dtype=np.float64).flat:
        shown = f"{abs(x):.10g}".replace(".", "").lstrip("0")
        total += max(0, len(shown) - 2)
    return total
