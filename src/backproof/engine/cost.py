"""What a program costs: multiplications counted over its operations, at given sizes."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from backproof.engine.program import Program
from backproof.operators.node import Node


def entries(node: Node, sizes: Mapping[str, int]) -> int:
    """How many entries a node has, loops included."""
    graph = node.graph
    dims = (*(v.size for v in node.loops), *node.shape)
    return prod(graph.resolve(d).evaluate(sizes) for d in dims)


def cost(program: Program, sizes: Mapping[str, int]) -> int:
    """Multiplications of one call: entries of every result, times the inner size of products."""
    total = 0
    for node in program.order:
        size = entries(node, sizes)
        if node.op.name == "matmul":
            size *= program.graph.resolve(node.args[0].shape[-1]).evaluate(sizes)
        elif node.op.name in ("einsum", "reduce", "sum", "inv", "det", "logdet"):
            size = max([size, *(entries(a, sizes) for a in node.args)])
        if node.op.name == "einsum":
            letters = _letters(node, sizes)
            size = prod(letters.values()) * prod(v.size.evaluate(sizes) for v in node.loops)
        total += size
    return total


def _letters(node: Node, sizes: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    graph = node.graph
    for letters, arg in zip(node.params[0].partition("->")[0].split(","), node.args, strict=True):
        dims = [graph.resolve(d).evaluate(sizes) for d in arg.shape]
        if len(letters) != len(dims):
            dims = [d for d, s in zip(dims, arg.shape, strict=True) if s != 1]
        found.update(zip(letters, dims, strict=False))
    return found
