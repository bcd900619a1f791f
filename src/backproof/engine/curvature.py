"""Jacobians, Hessians and Hessian-vector products, compiled; Hessians with their structure kept.

The structure is read off the equations. A term of the loss that a parameter W reaches only
through one affine map z = A W B + C has the Hessian of the term in z, carried over by A and B:
where that Hessian is diagonal or falls apart into samples, so does the one in W.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from backproof.calculus.derive import Deriver, pull_back
from backproof.calculus.model import Model
from backproof.engine.affine import (
    Affine,
    additive,
    affine_nodes,
    depends,
    elementwise,
    frontier_of,
    one_number,
    sample_axis,
    turned,
)
from backproof.engine.compiled import Compiled, installed
from backproof.engine.program import Derivation, check_names, expression, number_named
from backproof.engine.structured import Dense, Diagonal, Gram, Kronecker, Samples, Structured, Sum
from backproof.errors import BackproofError
from backproof.operators.dims import ONE, SCALAR, Dim, Shape, squeeze
from backproof.operators.node import Node, quantities, replaced

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
    derivation = Derivation(model, frozenset([wrt]))
    if number:
        root = number_named(model, target)
    else:
        root = model.leaves.get(target) or expression(model, target)
    if root.name is None:
        root = derivation.stable(root)
    free = derivation.free & model.definitions.keys()
    return derivation, derivation.inline(root, free)


def compile_jacobian(
    model: Model, target: str, wrt: str, *, engine: str = "auto", dtype: str = "float64"
) -> Function:
    """All partial derivatives of *target* by *wrt*, laid out as the sheet's layout says."""
    derivation, root = _world(model, target, wrt, number=False)
    deriver = Deriver(model.graph, {}, model.leaves)
    node = derivation.short(deriver.jacobian(root, wrt, model.denominator))
    also = {wrt: model.graph.resolve_shape(model.leaves[wrt].shape)}
    return _function(model, derivation, f"jac({target}, {wrt})", node, engine, dtype, (), also)


def _function(
    model: Model, derivation: Derivation, title: str, node: Node, engine: str, dtype: str,
    extra: Sequence[str], also: Mapping[str, Shape],
) -> Function:  # fmt: skip
    program = derivation.program(title, {title: node}, {}, extra)
    also = {n: shape for n, shape in also.items() if n not in program.inputs}
    compiled = Compiled(program, model, engine, dtype, also=also)
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
    title, also = f"hess({target}, {wrt}) v", {vector: v.shape}
    return _function(model, derivation, title, node, engine, dtype, [vector], also)


Products = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Array]]


def compile_products(model: Model, target: str, names: Sequence[str]) -> Products:
    """The Hessian in all *names* at once times arrays: (arrays, name -> V) to name -> array."""
    derivation = Derivation(model, frozenset(names))
    graph = model.graph
    loss = number_named(model, target)
    swept = derivation.sweep(loss, names)
    vectors = {n: f"∂{n}" for n in names}
    along = graph.number(0)
    for n, word in vectors.items():
        v = graph.quantity(word, graph.resolve_shape(model.leaves[n].shape))
        along = along + graph.make("sum", swept[n] * v, params=(None,))
    found = pull_back(derivation.inline(along), graph.number(1), along)
    outputs = {
        n: _gradient_of(derivation, found.get(n), model.leaves[n]) for n in names
    }  # fmt: skip
    program = derivation.program(f"hess({target}) v", outputs, {}, tuple(vectors.values()))
    compiled = Compiled(program, model, "numpy")

    def times(arrays: Mapping[str, Any], v: Mapping[str, Any]) -> dict[str, Array]:
        given = {**arrays, **{vectors[n]: a for n, a in v.items()}}
        result: dict[str, Array] = compiled(**{n: given[n] for n in compiled.names})
        return result

    return times


def _gradient(derivation: Derivation, root: Node, leaf: Node) -> Node:
    """The gradient of a number over one leaf, in the leaf's shape."""
    found = pull_back(root, derivation.graph.number(1), root).get(leaf.name or "")
    return _gradient_of(derivation, found, leaf)


def _gradient_of(derivation: Derivation, found: Node | None, leaf: Node) -> Node:
    graph = derivation.graph
    shape = graph.resolve_shape(leaf.shape)
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
        parts = {
            f"{k}.{part}": node
            for k, term in enumerate(self.terms or ())
            for part, node in term.parts.items()
        }
        self._passed: dict[str, str] = {}  # parts that are arguments as they stand
        if self.terms is None:
            deriver = Deriver(model.graph, {}, model.leaves)
            parts["hessian"] = derivation.short(deriver.hessian(root, wrt))
        else:
            self._passed = _arguments(derivation, parts)
        outputs = {key: node for key, node in parts.items() if key not in self._passed}
        program = derivation.program(f"hess({target}, {wrt})", outputs, {})
        also = {} if wrt in program.inputs else {wrt: self.shape_dims}
        self.compiled = Compiled(program, model, engine, dtype, False, also, self.shape_dims)
        self._keys = [
            (term, [(part, f"{k}.{part}") for part in term.parts])
            for k, term in enumerate(self.terms or ())
        ]
        self._work: Array | None = None
        self._loops = engine == "numba" or (engine == "auto" and installed("numba"))
        self._known, self._wanted = frozenset(model.leaves), frozenset(self.compiled.names)

    @property
    def kind(self) -> str:
        """The structure that was recognised, in words."""
        if self.terms is None:
            return "dense"
        return " plus ".join(dict.fromkeys(t.kind for t in self.terms)) or "zero"

    def _shape(self, named: Mapping[str, Any]) -> tuple[int, ...]:
        """The parameter's shape, with two axes or more."""
        given = named.get(self.wrt)
        shape: tuple[int, ...] = () if given is None else np.shape(given)
        if shape:
            return (*shape, 1) if len(shape) == 1 else shape
        sizes = self.compiled.taken.sizes
        return tuple(d.evaluate(sizes) for d in self.shape_dims)

    def structured(self, **named: Any) -> Structured:
        """The Hessian as a linear map that keeps its structure."""
        return self._made(named, copied=True)

    def __call__(self, *, out: Array | None = None, **named: Any) -> Any:
        """The Hessian: an array of the parameter's shape twice, or its structured form.

        out   where the array is written, which saves making it
        """
        made = self._made(named, copied=self.always)
        return made if self.always else made.dense(out)

    def _made(self, named: Mapping[str, Any], copied: bool) -> Structured:
        """The structured form; not *copied*: for now, with arguments as they were passed."""
        values = self._values(named)
        shape = self._shape(named)
        if self.terms is None:
            size = prod(shape)
            return Dense(np.asarray(values["hessian"]).reshape(size, size), shape)
        kind, cores = self.compiled.dtype, self.compiled.taken.cores
        for key, name in self._passed.items():
            given = named[name] if name in named else self.compiled.defaults[name]
            array = np.array(given, kind) if copied else np.asarray(given, kind)
            values[key] = array.reshape(cores[name])
        parts = [
            term.build({part: np.asarray(values[key]) for part, key in keys}, shape)
            for term, keys in self._keys
        ]
        for made in parts:
            if isinstance(made, Samples) and self._loops:
                made.write = outer_matrix()
            elif isinstance(made, Gram) and not copied:
                made.work = self._scratch(made.a.T)
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return Diagonal(np.zeros(shape), shape)
        parts.sort(key=lambda part: isinstance(part, Diagonal))  # a damping comes last
        return Sum(tuple(parts), shape)

    def _values(self, named: Mapping[str, Any]) -> dict[str, Array]:
        """What is computed for the parts."""
        if not self._known.issuperset(named):
            unknown = next(n for n in named if n not in self._known)
            raise BackproofError(
                f"'{unknown}' is not an argument.",
                hint=f"the arguments are {', '.join(self.names)}",
            )
        compiled = self.compiled
        values: dict[str, Array]
        if self.terms is not None and self._wanted.issubset(named):
            values = compiled(*[named[n] for n in compiled.names])
            return values
        passed = dict.fromkeys((*compiled.names, *compiled.also))
        values = compiled(**{n: named[n] for n in passed if n in named})
        return values

    def _scratch(self, like: Array) -> Array:
        """An array to be written over."""
        if self._work is None or self._work.shape != like.shape:
            self._work = np.empty_like(like)
        return self._work

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


@lru_cache(maxsize=1)
def outer_matrix() -> Any:
    """What writes block ⊗ x xᵀ, compiled."""
    from backproof.engine.numba_functions import outer_matrix

    return outer_matrix()


def _arguments(derivation: Derivation, parts: Mapping[str, Node]) -> dict[str, str]:
    """The parts that are arguments which the others are computed from: part -> argument."""
    known = derivation.model.declared
    rest = [n for n in parts.values() if n.name is None or n.name not in known]
    needed = quantities(derivation.final(node) for node in rest)
    return {key: n.name for key, n in parts.items() if n.name is not None and n.name in needed}


# --- recognising structure -------------------------------------------------------------------


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
        scale = arrays["scale"].item() ** 2 if "scale" in arrays else 1.0
        if self.diagonal:
            return self._diagonal(arrays["d"] * scale, left, right, shape)
        blocks = np.atleast_1d(arrays["blocks"] * scale)  # of a number: one block of one
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
            c = d.item()
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
        if not depends(part, leaf):
            continue
        if part.id in affine_nodes(part, leaf)[0]:  # no second derivatives
            continue
        term = _term(derivation, sign * part, leaf)
        if term is None:
            return None
        terms.append(term)
    return tuple(terms)


def _term(derivation: Derivation, root: Node, leaf: Node) -> Term | None:
    maps, active = affine_nodes(root, leaf)
    frontier = frontier_of(root, maps, active)
    if len(frontier) != 1:
        return None
    z_node, form = frontier[0]
    if len(z_node.shape) != 2:
        return None
    found = inner_curvature(derivation, root, z_node, form.turned)
    if found is None:
        return None
    was_turned = form.turned
    form = turned(form) if was_turned else form
    curve, axis = found
    parts: dict[str, Node] = {}
    for name, node in (("left", form.left), ("right", form.right), ("scale", form.scale)):
        if node is not None:
            parts[name] = node
    if axis is None:
        same = curve.is_number and not curve.loops
        parts["d"] = curve
        return _checked(Term(parts, True, False, same, _diagonal_kind(form, same, leaf)), leaf)
    parts["blocks"] = curve
    rows = axis == 0
    single = z_node.shape[1 - axis if was_turned else axis] == ONE
    if not single and (form.left if rows else form.right) is None:
        return None
    plain = form.left is None and form.right is None
    kind = "dense" if plain else "one Kronecker product a sample"
    return Term(parts, False, rows, False, kind)


def inner_curvature(
    derivation: Derivation, root: Node, z_node: Node, turn: bool = False
) -> tuple[Node, int | None] | None:
    """The second derivatives of a number in a matrix that it is made of (its transpose: *turn*).

    (one number an entry, None), or (an axis for the entry and those of z, the axis of samples),
    where they fall apart into entries or samples.
    """
    graph = derivation.graph
    z_value = z_node.T if turn else z_node
    z = graph.quantity("∂z", z_value.shape)
    outer = replaced(root, {z_node.id: z.T if turn else z})
    back = {z.id: z_value}
    g = _gradient(derivation, outer, z)
    if elementwise(g, z):
        ones = graph.filled(1, z.shape)
        found = pull_back(g, ones, g).get("∂z")
        d = graph.filled(0, z.shape) if found is None else derivation.short(found)
        number = one_number(d)
        d = number if number is not None else d if d.shape == z.shape else d * ones
        return replaced(d, back), None
    for axis in (1, 0):
        if z.shape[axis] == ONE or sample_axis(g, z, axis):
            return replaced(_blocks(derivation, g, z, axis), back), axis
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
