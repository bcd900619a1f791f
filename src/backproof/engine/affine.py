"""What a loss says about itself as an expression: its additive parts, what is affine in a
parameter, what works entry by entry or sample by sample. Hessians get their structure from this.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from backproof.operators.dims import ONE
from backproof.operators.functions import dim_node
from backproof.operators.node import Node, postorder


@dataclass(frozen=True)
class Affine:
    """A node that is scale * left @ W @ right plus something without W; `turned`: of Wᵀ."""

    left: Node | None = None
    right: Node | None = None
    scale: Node | None = None
    turned: bool = False


def additive(root: Node) -> list[tuple[Node, Node]]:
    """A number as a sum: (a number without structure that multiplies, the part)."""
    graph = root.graph
    result: list[tuple[Node, Node]] = []
    stack = [(graph.number(1), root)]
    while stack:
        c, node = stack.pop()
        if node.terms:
            stack += [(c if sign > 0 else -c, a) for a, sign in reversed(node.terms)]
        elif (apart := _numbers_apart(node)) is not None:
            stack += [(c * factor, part) for factor, part in apart]
        elif node.op.powers == (1, 1) and node.args[0].fill is not None:
            stack.append((c * node.args[0], node.args[1]))
        elif node.op.powers == (1, -1) and (
            node.args[1].fill is not None or node.args[1].dimension is not None
        ):
            stack.append((c / node.args[1], node.args[0]))
        else:
            result.append((c, node))
    return result


def _numbers_apart(node: Node) -> list[tuple[Node, Node]] | None:
    """Σ (A + s) over n entries, where s is one number, as Σ A and n s: (factor, part)."""
    inner = node.summed
    if inner is None or not node.is_number or node.loops or not inner.terms or inner.is_number:
        return None
    numbers = [(a, sign) for a, sign in inner.terms if a.is_number]
    arrays = [(a, sign) for a, sign in inner.terms if a.shape == inner.shape]
    if not numbers or len(numbers) + len(arrays) < len(inner.terms):
        return None
    graph, count = node.graph, ONE
    for d in inner.shape:
        count = count * graph.resolve(d)
    size = dim_node(graph, count)
    return [
        *((graph.number(sign) * size, a) for a, sign in numbers),
        *((graph.number(sign), graph.make("sum", a, params=(None,))) for a, sign in arrays),
    ]


def depends(root: Node, leaf: Node) -> bool:
    return any(n is leaf for n in postorder([root]))


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


def affine_nodes(
    root: Node, leaf: Node, spread: bool = False
) -> tuple[dict[int, Affine], set[int]]:
    """(node id -> its affine form in the leaf, ids of all nodes that depend on the leaf).

    spread   what is added to every row or column of an array is ones times it
    """
    maps: dict[int, Affine] = {leaf.id: Affine()}
    active = {leaf.id}
    for node in postorder([root]):
        if not any(a.id in active for a in node.args):
            continue
        active.add(node.id)
        form = _affine(node, maps, active, spread)
        if form is not None:
            maps[node.id] = form
    return maps, active


def _affine(
    node: Node, maps: Mapping[int, Affine], active: set[int], spread: bool
) -> Affine | None:
    moving = [a for a in node.args if a.id in active]
    if len(moving) != 1 or moving[0].id not in maps or node.loops:
        return None
    (x,), form = moving, maps[moving[0].id]
    same = x.shape == node.shape
    for term, sign in node.terms:
        if term is x and not same and spread:
            form = _stretched(form, x, node)
        if term is x and (same or spread):
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


def _stretched(form: Affine, x: Node, to: Node) -> Affine:
    """The form of an array that is repeated along its axes of one entry."""
    left, right = form.left, form.right
    if x.shape[0] != to.shape[0]:
        ones = x.graph.filled(1, (to.shape[0], ONE))
        left = ones if left is None else ones @ left
    if x.shape[1] != to.shape[1]:
        ones = x.graph.filled(1, (ONE, to.shape[1]))
        right = ones if right is None else right @ ones
    return Affine(left, right, form.scale, form.turned)


def turned(form: Affine) -> Affine:
    """The form of the transpose."""
    left = None if form.right is None else form.right.T
    right = None if form.left is None else form.left.T
    return Affine(left, right, form.scale, not form.turned)


def _scaled(form: Affine, by: Node) -> Affine:
    scale = by if form.scale is None else form.scale * by
    return Affine(form.left, form.right, scale, form.turned)


def frontier_of(
    root: Node, maps: Mapping[int, Affine], active: set[int]
) -> list[tuple[Node, Affine]]:
    """The affine nodes that something uses which is not affine."""
    found: dict[int, tuple[Node, Affine]] = {}
    for node in postorder([root]):
        if node.id in active and node.id not in maps:
            for a in node.args:
                if a.id in maps:
                    z = unsigned(a, maps)
                    found[z.id] = (z, maps[z.id])
    return list(found.values())


def unsigned(node: Node, maps: Container[int]) -> Node:
    """The affine node that this one is plus or minus."""
    while len(node.args) == 1 and node.terms and node.args[0].id in maps:
        node = node.args[0]
    return node


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
