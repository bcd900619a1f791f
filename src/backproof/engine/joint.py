"""The Hessian in all parameters at once, from its structure: what a step of Newton solves with.

A part of the loss that the parameters reach only through one array z = Σ Aₖ Wₖ + C (samples in
rows; or Σ Wₖ Bₖ + C, in columns) has the Hessian Σ over samples of blocks ⊗ x xᵀ, where x holds the
sample's rows of all Aₖ side by side. These are read off the equations and do not change while
training goes on, so they are computed once; the blocks, the loss and its gradients come from one
compiled function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backproof.calculus.model import Model
from backproof.engine.affine import Affine, additive, affine_nodes, unsigned
from backproof.engine.compiled import Compiled
from backproof.engine.curvature import inner_curvature
from backproof.engine.program import VALUE, Derivation, number_named
from backproof.engine.structured import Samples, weighted_gram
from backproof.operators.dims import ONE
from backproof.operators.node import Node, postorder

Array = Any
MOST = 1500  # parameters up to which the matrix is made and solved with


@dataclass(frozen=True)
class Part:
    """One additive part of the loss.

    names   the parameters that it depends on
    rows    whether samples are rows of z; None where z is the one parameter itself
    diagonal  "d" is one number an entry of z, else "blocks" are one matrix a sample
    """

    names: tuple[str, ...]
    rows: bool | None
    diagonal: bool


class Joint:
    """The loss, its gradients and its Hessian in all parameters.

    bind(arrays) fixes the data; what it gives is called with the parameters.
    kind   the structure, in words
    """

    def __init__(
        self, model: Model, loss: Node, target: str, names: Sequence[str], parts: Sequence[Part],
        fixed: Mapping[str, Node], moving: Mapping[str, Node], derivation: Derivation, engine: str,
    ) -> None:  # fmt: skip
        self.names, self.parts = tuple(names), tuple(parts)
        swept = derivation.sweep(loss, names)
        outputs = {VALUE: loss, **{n: swept[n] for n in names}, **moving}
        program = derivation.program(target, outputs, {})
        self.moving = Compiled(program, model, engine, reuse=True)
        still = derivation.program("design", dict(fixed), {}) if fixed else None
        self.still = None if still is None else Compiled(still, model, "numpy")
        self.gram = weighted_gram
        if engine == "numba":
            from backproof.engine.numba_functions import gram_writer

            self.gram = gram_writer()

    @property
    def kind(self) -> str:
        parts = [p for p in self.parts if p.rows is not None]
        words = {True: "weighted Gram", False: "one Kronecker product a sample"}
        return " plus ".join(dict.fromkeys(words[p.diagonal] for p in parts)) or "diagonal"

    def bind(self, arrays: Mapping[str, Array], like: Mapping[str, Array]) -> Bound:
        """For some data; *like* says the shapes of the parameters."""
        found: Mapping[str, Array] = {}
        if self.still is not None:
            found = self.still(**{n: arrays[n] for n in self.still.names})
        starts: dict[str, int] = {}
        at = 0
        for n in self.names:
            starts[n] = at
            at += int(np.size(like[n]))
        places: list[tuple[Array | None, Array, bool]] = []
        for k, part in enumerate(self.parts):
            own = [np.arange(starts[n], starts[n] + np.size(like[n])) for n in part.names]
            if part.rows is None:
                places.append((None, own[0], False))
                continue
            pieces = [np.asarray(found[f"{k}.{n}"], np.float64) for n in part.names]
            x = np.hstack(pieces) if part.rows else np.vstack(pieces).T
            grids = [
                o.reshape(a.shape[1], -1) if part.rows else o.reshape(-1, a.shape[0])
                for o, a in zip(own, pieces, strict=True)
            ]
            order = np.concatenate(grids, axis=0 if part.rows else 1).reshape(-1)
            # Rows along memory: for a weighted Gram those of xᵀ, which the weights run along.
            place = np.asfortranarray(x) if part.diagonal else np.ascontiguousarray(x)
            whole = len(order) == at and bool((order[1:] > order[:-1]).all())
            places.append((place, order, whole))
        return Bound(self, arrays, like, places, at)


class Bound:
    """With its data, over all parameters as one long column.

    `at(column)` gives the loss and the gradient, then `matrix()` the Hessian there.
    """

    def __init__(
        self, joint: Joint, data: Mapping[str, Array], like: Mapping[str, Array],
        places: Sequence[tuple[Array | None, Array, bool]], size: int,
    ) -> None:  # fmt: skip
        self.joint, self.places, self.size = joint, places, size
        order = {n: k for k, n in enumerate(joint.moving.names)}
        self.arguments: list[Array] = [data.get(n) for n in order]
        self.own: list[tuple[int, int, int, tuple[int, ...]]] = []
        start = 0
        for n in joint.names:
            end = start + int(np.size(like[n]))
            if n in order:
                self.own.append((order[n], start, end, np.shape(like[n])))
            start = end
        # A part over everything is the sum's first term as it is.
        self.order = sorted(range(len(places)), key=lambda k: not places[k][2])

    def at(self, column: Array) -> tuple[float, Array]:
        """(loss, gradient); remembers where this was."""
        for k, start, end, shape in self.own:
            self.arguments[k] = column[start:end].reshape(shape)
        value, self.found = self.joint.moving(*self.arguments)
        own = [self.found[n].reshape(-1) for n in self.joint.names]
        return float(value), own[0].copy() if len(own) == 1 else np.concatenate(own)

    def matrix(self) -> Array:
        """The Hessian where `at` was called last."""
        total: Array | None = None
        for k in self.order:
            part, (x, order, whole) = self.joint.parts[k], self.places[k]
            curve = np.asarray(self.found[f"{k}.{'d' if part.diagonal else 'blocks'}"])
            made = None if x is None else self._made(x, curve, part, len(order) // x.shape[1])
            if total is None and whole and made is not None:
                total = made
                continue
            if total is None:
                total = np.zeros((self.size, self.size))
            if made is None:
                diagonal = total.reshape(-1)[:: self.size + 1]
                diagonal[order[0] : order[-1] + 1] += curve.reshape(-1)
            elif whole:
                total += made
            else:
                total[np.ix_(order, order)] += made
        assert total is not None  # there is a part
        return total

    def _made(self, x: Array, curve: Array, part: Part, width: int) -> Array:
        """The Hessian of one part over what multiplies the columns of *x*."""
        count, n = x.shape
        if part.diagonal and width == 1:
            weights = curve if curve.size == count else np.broadcast_to(curve, (count, 1))
            return self.joint.gram(x.T, weights.reshape(-1))
        if part.diagonal:
            weights = np.broadcast_to(curve, (count, width) if part.rows else (width, count))
            blocks = (weights if part.rows else weights.T)[:, :, None] * np.eye(width)
        elif part.rows:
            blocks = curve.reshape(width, count, width).transpose(1, 0, 2)
        else:
            blocks = curve.reshape(width, width, count).transpose(2, 0, 1)
        shape = (n, width) if part.rows else (width, n)
        return Samples(np.ascontiguousarray(blocks), x, shape, turned=bool(part.rows)).matrix()


# --- recognising -----------------------------------------------------------------------------


def compile_joint(
    model: Model, target: str, names: Sequence[str], engine: str = "numpy"
) -> Joint | None:
    """The Hessian in all *names*, where its structure is recognised; else None."""
    derivation = Derivation(model, frozenset(names))
    loss = number_named(model, target)
    if loss.name is None:
        loss = derivation.stable(loss)
    root = derivation.inline(loss)
    leaves = {n: model.leaves[n] for n in names}
    if any(len(leaf.shape) != 2 for leaf in leaves.values()):
        return None
    parts: list[Part] = []
    fixed: dict[str, Node] = {}
    moving: dict[str, Node] = {}
    for sign, node in additive(root):
        forms, active = _together(node, leaves)
        if node.id not in active or node.id in forms:
            continue  # without second derivatives
        found = _frontier(node, forms, active)
        if found is None:
            return None
        part = _part(derivation, sign * node, found, forms[found.id], len(parts), fixed, moving)
        if part is None:
            return None
        parts.append(part)
    return (
        Joint(model, loss, target, names, parts, fixed, moving, derivation, engine)
        if parts
        else None
    )


Forms = dict[int, dict[str, Affine]]


def _together(root: Node, leaves: Mapping[str, Node]) -> tuple[Forms, set[int]]:
    """(node -> its affine form in every leaf that it depends on, nodes that depend on leaves).

    Affine in each leaf is affine in all of them where no factor depends on one.
    """
    each = {n: affine_nodes(root, leaf, spread=True) for n, leaf in leaves.items()}
    active = set().union(*(moves for _, moves in each.values()))
    forms: Forms = {}
    for node in postorder([root]):
        own = {n: maps.get(node.id) for n, (maps, moves) in each.items() if node.id in moves}
        known = {n: form for n, form in own.items() if form is not None}
        factors = [f for form in known.values() for f in (form.left, form.right, form.scale)]
        free = all(f is None or not _reaches(f, leaves) for f in factors)
        if known and len(known) == len(own) and free:
            forms[node.id] = known
    return forms, active


def _reaches(node: Node, leaves: Mapping[str, Node]) -> bool:
    return any(n.name in leaves for n in postorder([node]) if n.name is not None)


def _frontier(root: Node, forms: Forms, active: set[int]) -> Node | None:
    """The one affine node that the rest is made of."""
    used = [a for node in postorder([root]) if node.id in active and node.id not in forms
            for a in node.args if a.id in forms]  # fmt: skip
    found = {z.id: z for z in (unsigned(a, forms) for a in used)}
    return next(iter(found.values())) if len(found) == 1 else None


def _part(
    derivation: Derivation, root: Node, z: Node, forms: Mapping[str, Affine], k: int,
    fixed: dict[str, Node], moving: dict[str, Node],
) -> Part | None:  # fmt: skip
    """The part, with what it needs put into *fixed* and *moving*."""
    if len(z.shape) != 2 or any(form.turned for form in forms.values()):
        return None
    found = inner_curvature(derivation, root, z)
    if found is None:
        return None
    curve, axis = found
    moving[f"{k}.{'d' if axis is None else 'blocks'}"] = curve
    names = tuple(forms)
    if all(f.left is None and f.right is None and f.scale is None for f in forms.values()):
        return Part(names, None, True) if axis is None and len(names) == 1 else None
    lefts = all(f.right is None or _is_one(f.right) for f in forms.values())
    rights = all(f.left is None or _is_one(f.left) for f in forms.values())
    rows = axis == 0
    if axis is None:
        rows = lefts and all(f.left is not None for f in forms.values())
    if (rows and not lefts) or (not rows and not rights):
        return None
    for name, form in forms.items():
        factor = form.left if rows else form.right
        size = z.shape[0] if rows else z.shape[1]
        if factor is None:
            if size != ONE:
                return None
            factor = derivation.graph.filled(1, (ONE, ONE))
        fixed[f"{k}.{name}"] = factor if form.scale is None else form.scale * factor
    return Part(names, rows, axis is None)


def _is_one(node: Node) -> bool:
    return node.is_number and node.fill == 1
