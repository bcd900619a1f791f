"""What consistent rounding can produce: every value as the interval that it may lie in.

Each operator says in its entry how an interval goes through it; an enclosure that was sampled and
not proved is labelled so.

Float64 throughout; ends are compared with `SLACK`, far below any digit that is written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

import numpy as np

from backproof.calculus.evaluate import align
from backproof.operators.arithmetic import FLOAT64
from backproof.operators.base import Array, Ends
from backproof.operators.node import Node, postorder

SLACK = 1e-9


def widened(ends: Ends, by: Array | float) -> Ends:
    """The interval with a margin on either side."""
    return ends[0] - by, ends[1] + by


class IntervalEvaluator:
    """Evaluates nodes over a box of values.

    sizes         dimension name -> integer
    values        name -> (low, high) arrays of its core shape
    definitions   name -> right-hand side of its equation
    after         called with (name, ends) after each equation; what it returns is carried on
    sampled       the nodes whose enclosure was sampled, not proved
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        values: Mapping[str, Ends],
        definitions: Mapping[str, Node],
        after: Callable[[str, Ends], Ends] | None = None,
    ) -> None:
        self.xp: Any = _Sized(sizes)
        self.definitions = definitions
        self.after = after
        self.sampled = False
        self._names: dict[str, Ends] = dict(values)
        self._given = frozenset(values)
        self._held: set[int] = set()
        self._done: dict[int, Ends] = {}

    def hold(self, node: Node, ends: Ends) -> None:
        """Fixes a node at ends found elsewhere."""
        self._done[node.id] = ends
        self._held.add(node.id)

    def named(self, name: str) -> Ends:
        """The ends of a name; KeyError names a leaf that has no value."""
        stack = [name]
        while stack:
            top = stack[-1]
            if top in self._names:
                stack.pop()
                continue
            if top not in self.definitions:
                raise KeyError(top)
            missing = self._missing(self.definitions[top])
            if missing:
                if top in missing:
                    raise KeyError(top)
                stack.extend(missing)
                continue
            ends = self._run(self.definitions[top])
            self._names[top] = self.after(top, ends) if self.after else ends
            stack.pop()
        return self._names[name]

    def value(self, node: Node) -> Ends:
        """The ends of a node."""
        for name in self._missing(node):
            self.named(name)
        return self._run(node)

    def ends_of(self, node: Node) -> Ends | None:
        """The ends of a node that was evaluated, or None."""
        return self._done.get(node.id)

    def _missing(self, root: Node) -> list[str]:
        return [n for n in self._leaves(root, self._done) if n not in self._names]

    def _leaves(self, root: Node, apart: Container[int]) -> list[str]:
        """The names in a node, without what lies below the nodes *apart*."""
        names: list[str] = []
        seen: set[int] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if node.id in seen or node.id in apart:
                continue
            seen.add(node.id)
            if node.name is not None:
                names.append(node.name)
            stack.extend(node.args)
        return names

    def leaves_of(self, root: Node) -> set[str]:
        """The names that a node was computed from, through equations that were not given."""
        found: set[str] = set()
        pending = self._leaves(root, self._held)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                if name not in self._given and name in self.definitions:
                    pending.extend(self._leaves(self.definitions[name], self._held))
        return found

    def _run(self, root: Node) -> Ends:
        done = self._done
        if root.id in done:
            return done[root.id]
        for node in postorder([root]):
            if node.id in done:
                continue
            if node.name is not None:
                if node.name in self._names:
                    done[node.id] = self._names[node.name]
                continue
            if any(a.id not in done for a in node.args):
                continue  # below a held node
            done[node.id] = self.apply(node, [done[a.id] for a in node.args])
        return done[root.id]

    def apply(self, node: Node, args: list[Ends]) -> Ends:
        """One operator over intervals."""
        if len(args) > 1:
            lows = align(node, [low for low, _ in args])
            highs = align(node, [high for _, high in args])
            args = list(zip(lows, highs, strict=True))
        if all(low is high for low, high in args):
            value = node.op.numeric(self.xp, node, [low for low, _ in args])
            return value, value
        rule = node.op.interval
        assert rule is not None  # the table gives every operator one
        low, high = rule(self, node, args)
        low = np.where(np.isnan(low) & ~np.isnan(high), -np.inf, low)
        return low, np.where(np.isnan(high) & np.isfinite(low), np.inf, high)


class _Sized:
    """Float64 with the sizes of the dimension names."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)
        for name in ("exact", "const", "array", "full", "apply", "power", "truth", "inv", "det"):
            setattr(self, name, getattr(FLOAT64, name))
