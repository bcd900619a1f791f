"""Values of nodes: one pass over the graph in float64 or in decimals of fifty digits.

An `Evaluator` holds one point: sizes for the dimension names and arrays for the leaves. Named
intermediates are computed from their definitions when they are first asked for. Arrays have the
node's loop axes first and then its core axes (two or more).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

from backproof.operators.arithmetic import DECIMALS, FLOAT64, Arithmetic, Decimals, Float64
from backproof.operators.node import Node, merged_loops, postorder

Array = Any


class _Sized:
    """An arithmetic that also knows the sizes of this evaluation's dimension names."""

    def __init__(self, xp: Arithmetic, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)
        for name in ("exact", "const", "array", "full", "apply", "power", "truth", "inv", "det"):
            setattr(self, name, getattr(xp, name))


class Evaluator:
    """Evaluates nodes at one point.

    sizes         dimension name -> integer
    values        leaf name -> array of the leaf's core shape
    definitions   name -> right-hand side of its equation
    after         called with (name, array) after each equation; what it returns is carried on
    most          multiplications of decimals from which on a node is computed in double precision
                  instead (and `rough` is set); None: never
    below         an evaluator at the same point, which knows the names that this one does not
    entries       how many numbers it holds
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        values: Mapping[str, Array],
        definitions: Mapping[str, Node],
        *,
        exact: bool = False,
        after: Callable[[str, Array], Array] | None = None,
        most: int | None = None,
        below: Evaluator | None = None,
    ) -> None:
        base: Float64 | Decimals = DECIMALS if exact else FLOAT64
        self.xp: Any = _Sized(base, sizes)
        self.definitions = definitions
        self.after = after
        self.most = most if exact else None
        self.rough = False
        self.below = below
        self.entries = 0
        self.final = False  # whether double precision decides here, with nothing to confirm it
        self._names: dict[str, Array] = dict(values)
        self._done: dict[int, Array] = {}
        self._tops: dict[int, Any] = {}

    def named(self, name: str) -> Array:
        """The value of a named quantity; KeyError names a leaf that has no value."""
        stack = [name]
        while stack:
            current = stack[-1]
            if current in self._names:
                stack.pop()
                continue
            if current not in self.definitions:
                if self.below is None:
                    raise KeyError(current)
                self._names[current] = self.below.named(current)
                continue
            order = postorder([self.definitions[current]], self._done)
            missing = [n.name for n in order if n.name is not None and n.name not in self._names]
            if missing:
                if current in missing:
                    raise KeyError(current)
                stack.extend(missing)
                continue
            result = self._run(self.definitions[current], order)
            self._names[current] = self.after(current, result) if self.after else result
            stack.pop()
        return self._names[name]

    def hold(self, values: Mapping[int, Array]) -> None:
        """Fixes nodes, by id, at values computed elsewhere."""
        self._done.update(values)

    def value(self, node: Node) -> Array:
        """The value of a node: an array of its loop axes and then its core axes."""
        if node.id in self._done:
            return self._done[node.id]
        order = postorder([node], self._done)
        for n in order:
            if n.name is not None:
                self.named(n.name)
        return self._run(node, order)

    def known(self) -> Mapping[str, Array]:
        """The values of the names so far."""
        return self._names

    def largest(self, nodes: Iterable[Node] | None = None) -> Any:
        """The largest finite magnitude among all values so far, or among those below *nodes*."""
        top = self.xp.const(Fraction(0))
        for key in self._done if nodes is None else self._needed(nodes):
            if key not in self._tops:
                self._tops[key] = self._top(self._done[key])
            top = max(top, self._tops[key])
        return top

    def _top(self, array: Array) -> Any:
        zero = self.xp.const(Fraction(0))
        if array.dtype != object:
            size = np.abs(array).max()
            return size if size > zero else zero
        return max((x for x in np.abs(array).flat if x.is_finite()), default=zero)

    def _needed(self, nodes: Iterable[Node]) -> Iterator[int]:
        """The ids of what the nodes were worked out from, through the names."""
        pending, seen = list(nodes), set[str]()
        while pending:
            order, pending = postorder(pending), []
            for node in order:
                if node.id in self._done:
                    yield node.id
                name = node.name
                if name is not None and name not in seen and name in self.definitions:
                    seen.add(name)
                    pending.append(self.definitions[name])

    def _run(self, root: Node, order: list[Node]) -> Array:
        """The value of *root*; *order* is what has no value yet, arguments first."""
        done = self._done
        for node in order:
            if node.id in done:  # it was worked out for a name meanwhile
                continue
            if node.name is not None:
                done[node.id] = self._names[node.name]
                continue
            args = [done[a.id] for a in node.args]
            if len(args) > 1:
                args = align(node, args)
            if self.most is not None and _multiplications(node, args) > self.most:
                done[node.id] = self._in_floats(node, args)
            else:
                done[node.id] = node.op.numeric(self.xp, node, args)
            self.entries += done[node.id].size
        return done[root.id]

    def _in_floats(self, node: Node, args: list[Array]) -> Array:
        """One node in double precision, as decimals again."""
        self.rough = True
        floats = [np.asarray(a, dtype=np.float64) for a in args]
        xp: Any = _Sized(FLOAT64, self.xp.sizes)
        return self.xp.array(node.op.numeric(xp, node, floats))


def _multiplications(node: Node, args: list[Array]) -> int:
    """About how many multiplications a node takes; a function of a number counts as ten."""
    if not args:
        return 0
    sizes = [int(a.size) for a in args]
    if node.matrices:
        return sizes[0] * int(args[1].shape[-1])
    if node.op.elementwise:
        plain = node.op.signs or node.op.powers
        return max(sizes) if plain else 10 * max(sizes)
    if node.op.abrupt:  # inverses and determinants, by elimination
        return sizes[0] * int(args[0].shape[-1])
    return prod(sizes)


def align(node: Node, args: list[Array]) -> list[Array]:
    """Gives the arguments one set of loop axes, and numbers the rank of tensors beside them."""
    loops = merged_loops(node.args)
    rank = len(node.shape) if node.op.elementwise else 0
    if not loops and all(len(a.shape) == 2 for a in node.args):
        return args
    result = []
    for arg, a in zip(node.args, args, strict=True):
        core = len(arg.shape)
        own = a.shape[: a.ndim - core]
        places = dict(zip(arg.loops, own, strict=True))
        shape = [places.get(v, 1) for v in loops]
        pad = [1] * max(0, rank - core) if arg.is_number else []
        result.append(a.reshape(*shape, *pad, *a.shape[a.ndim - core :]))
    return result


def defined(array: Array) -> bool:
    """Whether every entry is a finite number."""
    if array.dtype == object:
        return all(x.is_finite() for x in array.flat)
    return bool(np.isfinite(array).all())
