"""Jacobians, Hessians and Hessian-vector products, compiled; Hessians with their structure kept.

The structure is read off the equations. A term of the loss that a parameter W reaches only
through one affine map z = A W B + C has the Hessian of the term in z, carried over by A and B:
where that Hessian is diagonal or falls apart into samples, so does the one in W.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backproof.calculus.derive import Deriver, pull_back
from backproof.calculus.model import Model
from backproof.engine.compiled import Compiled
from backproof.engine.program import Derivation, check_names, expression, number_named
from backproof.engine.structured import Dense, Diagonal, Gram, Kronecker, Samples, Structured, Sum
from backproof.errors import BackproofError
from backproof.operators.dims import ONE, SCALAR, Dim, squeeze
from backproof.operators.node import Node, postorder, replaced

Array = Any


class _Wrapped:
    """What a compiled function says of itself, for what computes with one."""

    compiled: Compiled

    @property
    def engine(self) -> str:
        return self.compiled.engine

    @property
    def why(self) -> str:
        return self.compiled.why

    @property
    def source(self) -> str:
        return self.compiled.source

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments that it needs (others of the sheet are taken and not used)."""
        return self.compiled.names


class Function(_Wrapped):
    """A compiled function of named arrays with one array as its result."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled

    def __call__(self, *arrays: Any, **named: Any) -> Array:
        (result,) = self.compiled(*arrays, **named).values()
        shape = np.shape(result)
        if len(shape) == 2 and shape[1] == 1:
            return result.reshape(shape[0])
        return result

    def __repr__(self) -> str:
        return repr(self.compiled)


def _world(model: Model, target: str, wrt: str, number: bool) -> tuple[Derivation, Node]:
    """(the derivation, the target over declared names and *wrt*)."""
    check_names(model, [wrt])
    derivation = Derivation(model)
    if number:
        root = number_named(model, target)
    else:
        root = model.leaves.get(target) or expression(model, target)
    if root.name is None:
        root = derivation.stable(root)
    free = frozenset([wrt]) if wrt in model.definitions else frozenset()
    return derivation, derivation.inline(root, free)


def compile_jacobian(
    model: Model, target: str, wrt: str, *, engine: str = "auto", dtype: str = "float64"
) -> Function:
    """All partial derivatives of *target* by *wrt*, laid out as the sheet's layout says."""
    derivation, root = _world(model, target, wrt, number=False)
    deriver = Deriver(model.graph, {}, model.leaves)
    node = derivation.short(deriver.jacobian(root, wrt, model.denominator))
    return _function(model, derivation, f"jac({target}, {wrt})", node, engine, dtype)


def _function(
    model: Model, derivation: Derivation, title: str, node: Node, engine: str, dtype: str,
    extra: Sequence[str] = (),
) -> Function:  # fmt: skip
    program = derivation.program(title, {title: node}, {}, extra)
    compiled = Compiled(program, model, engine, dtype)
    compiled.others += tuple(n for n in extra if n not in program.inputs)
    return Function(compiled)


def compile_hvp(
    model: Model, target: str, wrt: str, *, engine: str = "auto", dtype: str = "float64"
) -> Function:
    """The Hessian of *target* in *wrt* times an array: `f(…, v=V)`, V in the shape of *wrt*."""
    derivation, root = _world(model, target, wrt, number=True)
    graph, leaf = model.graph, model.leaves[wrt]
    vector = "v"
    while vector in model.leaves:
        vector += "_"
    v = graph.quantity(vector, graph.resolve_shape(leaf.shape))
    gradient = _gradient(derivation, root, leaf)
    along = derivation.short(graph.make("sum", gradient * v, params=(None,)))
    node = _gradient(derivation, along, leaf)
    return _function(model, derivation, f"hess({target}, {wrt}) v", node, engine, dtype, [vector])


def _gradient(derivation: Derivation, root: Node, leaf: Node) -> Node:
    """The gradient of a number over one leaf, in the leaf's shape."""
    graph = derivation.graph
    shape = graph.resolve_shape(leaf.shape)
    found = pull_back(root, graph.number(1), root).get(leaf.name or "")
    g = graph.filled(0, shape) if found is None else found
    return derivation.short(g if g.shape == shape else g * graph.filled(1, shape))


# --- Hessians --------------------------------------------------------------------------------


class Hessian(_Wrapped):
    """A compiled Hessian: `f(…)` gives the array, `f.structured(…)` its structured form.

    kind   what structure was recognised, in words
    """

    def __init__(
        self, model: Model, target: str, wrt: str, engine: str, dtype: str, structured: bool
    ) -> None:
        derivation, root = _world(model, target, wrt, number=True)
        self.wrt, self.always = wrt, structured
        leaf = model.leaves[wrt]
        self.shape_dims = model.graph.resolve_shape(leaf.shape)
        self.terms: tuple[Term, ...] | None = None
        if len(self.shape_dims) == 2:
            self.terms = recognise(derivation, root, leaf)
        if self.terms is None:
            deriver = Deriver(model.graph, {}, model.leaves)
            node = derivation.short(deriver.hessian(root, wrt))
            outputs = {"hessian": node}
        else:
            outputs = {
                f"{k}.{part}": node
                for k, term in enumerate(self.terms) for part, node in term.parts.items()
            }  # fmt: skip
        program = derivation.program(f"hess({target}, {wrt})", outputs, {})
        also = {} if wrt in program.inputs else {wrt: self.shape_dims}
        self.compiled = Compiled(program, model, engine, dtype, also=also)
        self.model = model

    @property
    def kind(self) -> str:
        """The structure that was recognised, in words."""
        if self.terms is None:
            return "dense"
        return " plus ".join(dict.fromkeys(t.kind for t in self.terms)) or "zero"

    def _shape(self, named: Mapping[str, Any]) -> tuple[int, ...]:
        """The parameter's shape, with two axes or more."""
        if self.wrt in named and np.ndim(named[self.wrt]):
            shape = np.shape(named[self.wrt])
            column = len(shape) == 1
            return (*shape, 1) if column else shape
        sizes = dict(self.model.number_sizes())
        return tuple(d.evaluate(sizes) for d in self.shape_dims)

    def structured(self, *, out: Array | None = None, **named: Any) -> Structured:
        """The Hessian as a linear map that keeps its structure."""
        wanted = {*self.names, *(self.compiled.also if self.terms is None else ())}
        used = {n: a for n, a in named.items() if n in wanted}
        unknown = [n for n in named if n not in self.model.leaves]
        if unknown:
            raise BackproofError(
                f"'{unknown[0]}' is not an argument.",
                hint=f"the arguments are {', '.join(self.names)}",
            )
        shape = self._shape(named)
        values = self.compiled(**used)
        if self.terms is None:
            size = int(np.prod(shape))
            return Dense(np.asarray(values["hessian"]).reshape(size, size), shape)
        parts = []
        for k, term in enumerate(self.terms):
            arrays = {p: np.asarray(values[f"{k}.{p}"]) for p in term.parts}
            parts.append(term.build(arrays, shape))
        if not parts:
            return Diagonal(np.zeros(shape), shape)
        parts.sort(key=lambda part: isinstance(part, Diagonal))  # a damping comes last
        return parts[0] if len(parts) == 1 else Sum(tuple(parts), shape)

    def __call__(self, *, out: Array | None = None, **named: Any) -> Any:
        """The Hessian: an array of the parameter's shape twice, or its structured form.

        out   where the array is written, which saves making it
        """
        made = self.structured(**named)
        return made if self.always else made.dense(out)

    def __repr__(self) -> str:
        return f"<Hessian in {self.wrt} of {', '.join(self.names)}: {self.kind}>"


def compile_hessian(
    model: Model,
    target: str,
    wrt: str,
    *,
    structured: bool = False,
    engine: str = "auto",
    dtype: str = "float64",
) -> Hessian:
    """The Hessian of a number in one name.

    structured   calls give `.dense() .matvec(V) .solve(G)` instead of the array
    """
    return Hessian(model, target, wrt, engine, dtype, structured)


# --- recognising structure -------------------------------------------------------------------


@dataclass(frozen=True)
class Affine:
    """A node that is scale * left @ W @ right plus something without W; `turned`: of Wᵀ."""

    left: Node | None = None
    right: Node | None = None
    scale: Node | None = None
    turned: bool = False


@dataclass(frozen=True)
class Term:
    """One additive part of a loss, and what its Hessian is made of.

    parts   what has to be computed: "d" or "blocks", "left", "right", "scale"
    rows    the samples are rows of z (else columns)
    same    d is one number for all entries
    """

    parts: Mapping[str, Node]
    diagonal: bool
    rows: bool
    same: bool
    kind: str

    def build(self, arrays: Mapping[str, Array], shape: tuple[int, ...]) -> Structured:
        """The Hessian from the arrays of the parts."""
        left, right = arrays.get("left"), arrays.get("right")
        scale = float(arrays["scale"]) ** 2 if "scale" in arrays else 1.0
        if self.diagonal:
            return self._diagonal(arrays["d"] * scale, left, right, shape)
        blocks = arrays["blocks"] * scale
        p = blocks.shape[0]
        # blocks come as [k; z's axes]: samples first is what the structured forms take
        if self.rows:
            blocks = blocks.reshape(p, -1, p).transpose(1, 0, 2)
        else:
            blocks = blocks.reshape(p, p, -1).transpose(2, 0, 1)
        if self.rows:
            if right is not None:
                blocks = np.matmul(np.matmul(right, blocks), right.T)
            if left is None:
                return Dense(blocks[0], shape)
            return Samples(np.ascontiguousarray(blocks), left, shape, turned=True)
        if left is not None:
            blocks = np.matmul(np.matmul(left.T, blocks), left)
        if right is None:
            return Dense(blocks[0], shape)
        return Samples(np.ascontiguousarray(blocks), right.T, shape)

    def _diagonal(
        self, d: Array, left: Array | None, right: Array | None, shape: tuple[int, ...]
    ) -> Structured:
        if left is None and right is None:
            return Diagonal(np.broadcast_to(d, shape), shape)
        if self.same:
            c = float(d)
            return Kronecker(
                None if left is None else left.T @ left,
                None if right is None else right @ right.T,
                shape, c,
            )  # fmt: skip
        if shape[1] == 1 and left is not None:
            return Gram(left, d, shape)
        if left is None and right is not None:  # one row of W for each row of z
            blocks = d.T[:, :, None] * np.eye(d.shape[0])
            return Samples(blocks, np.ascontiguousarray(right.T), shape)
        assert left is not None
        blocks = d[:, :, None] * np.eye(d.shape[1])
        return Samples(blocks, left, shape, turned=True)


def recognise(derivation: Derivation, root: Node, leaf: Node) -> tuple[Term, ...] | None:
    """The terms of a loss with structure in *leaf*, or None where one has none."""
    terms = []
    for sign, part in additive(root):
        if not _depends(part, leaf):
            continue
        if part.id in affine_nodes(part, leaf)[0]:  # no second derivatives
            continue
        term = _term(derivation, sign * part, leaf)
        if term is None:
            return None
        terms.append(term)
    return tuple(terms)


def additive(root: Node) -> list[tuple[Node, Node]]:
    """A number as a sum: (a number without structure that multiplies, the part)."""
    graph = root.graph
    result: list[tuple[Node, Node]] = []
    stack = [(graph.number(1), root)]
    while stack:
        c, node = stack.pop()
        if node.terms:
            stack += [(c if sign > 0 else -c, a) for a, sign in reversed(node.terms)]
        elif node.op.powers == (1, 1) and node.args[0].fill is not None:
            stack.append((c * node.args[0], node.args[1]))
        elif node.op.powers == (1, -1) and (
            node.args[1].fill is not None or node.args[1].dimension is not None
        ):
            stack.append((c / node.args[1], node.args[0]))
        else:
            result.append((c, node))
    return result


def _depends(root: Node, leaf: Node) -> bool:
    return any(n is leaf for n in postorder([root]))


def _term(derivation: Derivation, root: Node, leaf: Node) -> Term | None:
    graph = derivation.graph
    maps, active = affine_nodes(root, leaf)
    frontier = _frontier(root, maps, active)
    if len(frontier) != 1:
        return None
    z_node, form = frontier[0]
    if len(z_node.shape) != 2:
        return None
    if form.turned:  # z = A Wᵀ B: the same with zᵀ = Bᵀ W Aᵀ
        form = turned(form)
        z = graph.quantity("∂z", z_node.T.shape)
        outer, z_value = replaced(root, {z_node.id: z.T}), z_node.T
    else:
        z = graph.quantity("∂z", z_node.shape)
        outer, z_value = replaced(root, {z_node.id: z}), z_node
    g = _gradient(derivation, outer, z)
    parts: dict[str, Node] = {}
    for name, node in (("left", form.left), ("right", form.right), ("scale", form.scale)):
        if node is not None:
            parts[name] = node
    back = {z.id: z_value}
    if elementwise(g, z):
        ones = graph.filled(1, z.shape)
        found = pull_back(g, ones, g).get("∂z")
        d = graph.filled(0, z.shape) if found is None else derivation.short(found)
        number = one_number(d)
        same = number is not None
        d = number if number is not None else d if d.shape == z.shape else d * ones
        parts["d"] = replaced(d, back)
        return _checked(Term(parts, True, False, same, _diagonal_kind(form, same, leaf)), leaf)
    for rows in (False, True):
        axis = 0 if rows else 1
        single = z.shape[axis] == ONE
        if single or sample_axis(g, z, axis):
            blocks = _blocks(derivation, g, z, axis)
            parts["blocks"] = replaced(blocks, back)
            if not single and (form.left if rows else form.right) is None:
                return None
            plain = form.left is None and form.right is None
            kind = "dense" if plain else "one Kronecker product a sample"
            return Term(parts, False, rows, False, kind)
    return None


def _checked(term: Term, leaf: Node) -> Term | None:
    """A diagonal term whose form the structured classes know."""
    both = "left" in term.parts and "right" in term.parts
    return None if both and not term.same else term


def _diagonal_kind(form: Affine, same: bool, leaf: Node) -> str:
    if form.left is None and form.right is None:
        return "diagonal"
    if same:
        return "Kronecker"
    return "weighted Gram" if leaf.shape[1] == ONE else "block diagonal"


def one_number(d: Node) -> Node | None:
    """The number that all entries are, where the form of an array shows that."""
    if d.fill is not None:
        return d.graph.number(d.fill)
    if d.is_number and not d.loops:
        return d
    if d.powers or len(d.terms) == 1:
        parts = [one_number(a) for a in d.args]
        known = [p for p in parts if p is not None]
        return d.over(known) if len(known) == len(parts) else None
    return None


def affine_nodes(root: Node, leaf: Node) -> tuple[dict[int, Affine], set[int]]:
    """(node id -> its affine form in the leaf, ids of all nodes that depend on the leaf)."""
    maps: dict[int, Affine] = {leaf.id: Affine()}
    active = {leaf.id}
    for node in postorder([root]):
        if not any(a.id in active for a in node.args):
            continue
        active.add(node.id)
        form = _affine(node, maps, active)
        if form is not None:
            maps[node.id] = form
    return maps, active


def _affine(node: Node, maps: Mapping[int, Affine], active: set[int]) -> Affine | None:
    moving = [a for a in node.args if a.id in active]
    if len(moving) != 1 or moving[0].id not in maps or node.loops:
        return None
    (x,), form = moving, maps[moving[0].id]
    same = x.shape == node.shape
    for term, sign in node.terms:
        if same and term is x:
            return form if sign > 0 else _scaled(form, node.graph.number(-1))
    if node.op.powers == (1, 1) and same:
        other = node.args[1] if node.args[0] is x else node.args[0]
        return _scaled(form, other) if other.is_number and not other.loops else None
    if node.op.powers == (1, -1) and same and node.args[0] is x and node.args[1].is_number:
        return _scaled(form, 1 / node.args[1])
    if node.matrices and len(x.shape) == 2 and all(len(a.shape) == 2 for a in node.args):
        a, b = node.matrices
        if x is b:
            left = a if form.left is None else a @ form.left
            return Affine(left, form.right, form.scale, form.turned)
        right = b if form.right is None else form.right @ b
        return Affine(form.left, right, form.scale, form.turned)
    return None if node.transposed is None else turned(form)


def turned(form: Affine) -> Affine:
    """The form of the transpose."""
    left = None if form.right is None else form.right.T
    right = None if form.left is None else form.left.T
    return Affine(left, right, form.scale, not form.turned)


def _scaled(form: Affine, by: Node) -> Affine:
    scale = by if form.scale is None else form.scale * by
    return Affine(form.left, form.right, scale, form.turned)


def _frontier(
    root: Node, maps: Mapping[int, Affine], active: set[int]
) -> list[tuple[Node, Affine]]:
    """The affine nodes that something uses which is not affine."""
    found: dict[int, tuple[Node, Affine]] = {}
    for node in postorder([root]):
        if node.id in active and node.id not in maps:
            for a in node.args:
                if a.id in maps:
                    found[a.id] = (a, maps[a.id])
    return list(found.values())


def _moving(root: Node, z: Node) -> list[Node]:
    moving = {z.id}
    found = []
    for node in postorder([root]):
        if any(a.id in moving for a in node.args):
            moving.add(node.id)
            found.append(node)
    return found


def elementwise(g: Node, z: Node) -> bool:
    """Whether every entry of *g* depends on the same entry of *z* only."""
    moving = _moving(g, z)
    inside = {z.id, *(n.id for n in moving)}
    return all(
        n.op.elementwise and n.shape == z.shape and not n.loops
        and all(a.shape == z.shape for a in n.args if a.id in inside)
        for n in moving
    )  # fmt: skip


def sample_axis(g: Node, z: Node, axis: int) -> bool:
    """Whether what *g* says of a sample depends on that sample of *z* only (along *axis*)."""
    where: dict[int, int] = {z.id: axis}
    for n in _moving(g, z):
        if n.loops or any(len(a.shape) != 2 for a in (n, *n.args)):
            return False
        moving = [a for a in n.args if a.id in where]
        axes = {where[a.id] for a in moving}
        if len(axes) != 1:
            return False
        (k,) = axes
        if n.op.elementwise:
            if any(a.shape[k] != n.shape[k] for a in moving):
                return False
        elif n.transposed is not None:
            k = 1 - k
        elif n.matrices:
            if len(moving) != 1 or (n.args[1] is moving[0]) != (k == 1) or n.args[0] is n.args[1]:
                return False
        elif n.op.along:
            if n.params[0] is None or n.params[0] == k:
                return False
        else:
            return False
        where[n.id] = k
    return where.get(g.id) == axis


def _blocks(derivation: Derivation, g: Node, z: Node, axis: int) -> Node:
    """The second derivatives within each sample: an axis for the entry, then the axes of z."""
    graph = derivation.graph
    other = 1 - axis
    size = z.shape[other]
    if size == ONE:  # one entry a sample
        one = pull_back(g, graph.filled(1, z.shape), g).get("∂z")
        d = graph.filled(0, z.shape) if one is None else derivation.short(one)
        return d if d.shape == z.shape else d * graph.filled(1, z.shape)
    k = graph.loop("k", size)
    loops = (k, None) if other == 0 else (None, k)
    shape: list[Dim] = [ONE, ONE]
    shape[other] = size
    seed = graph.make("onehot", params=(loops, tuple(shape)))
    if z.shape[axis] != ONE:
        seed = seed * graph.filled(1, z.shape)
    found = pull_back(g, seed, g, (k,)).get("∂z")
    each = graph.filled(0, z.shape) if found is None else derivation.short(found)
    if each.shape not in (z.shape, SCALAR):
        each = each * graph.filled(1, z.shape)
    order = (k, *(n for n, d in enumerate(z.shape) if d != ONE))
    sizes = (size, *(d for d in z.shape if d != ONE))
    return graph.make("collect", each, params=(order, squeeze(sizes)))
