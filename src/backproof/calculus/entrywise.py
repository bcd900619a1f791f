"""One entry of a node, written with its own indices: `step(z[i])*W2[1, i]*(a - y)*x[j]`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from backproof.calculus.products import Products
from backproof.language import syntax as ast
from backproof.operators import writing
from backproof.operators.dims import ONE, Dim
from backproof.operators.node import Node

MOST_TERMS = 3  # a sum over more terms keeps its index


class NoEntry(Exception):
    """The entry cannot be written with an index."""


class Entrywise:
    """Writes entries of nodes of two axes.

    letters       index letters that are free for sums
    definitions   name -> what it stands for (a name may stand for a diagonal matrix)
    """

    def __init__(
        self, products: Products, letters: Iterator[str], definitions: Mapping[str, Node]
    ) -> None:
        self.products = products
        self.definitions = definitions
        self.letters = letters

    def entry(self, node: Node, i: ast.Expr, j: ast.Expr) -> ast.Expr:
        """Entry (i, j); NoEntry where it has no form."""
        if len(node.shape) != 2 or node.loops:
            raise NoEntry
        if node.is_number:
            return self._expr(node)
        rule = _RULES.get(node.op.name)
        if rule is not None:
            return rule(self, node, i, j)
        if node.op.elementwise:
            return self._elementwise(node, i, j)
        return self._indexed(node, i, j)

    def _expr(self, node: Node) -> ast.Expr:
        found = self.products(node)
        if found is None:
            raise NoEntry
        return found

    def _indexed(self, node: Node, i: ast.Expr, j: ast.Expr) -> ast.Expr:
        items = (i,) if node.shape[1] == ONE else (i, j)
        if node.shape[0] == ONE:
            items = (writing.number(1), j)
        return ast.Subscript(self._expr(node), items)

    def _elementwise(self, node: Node, i: ast.Expr, j: ast.Expr) -> ast.Expr:
        args = tuple(self.entry(a, i, j) for a in node.args)
        ones = [a for a in node.args if a.fill == 1]
        if node.op.name == "mul" and ones:
            return args[1] if node.args[0].fill == 1 else args[0]
        if node.op.name == "mul":
            return _times(*args)
        rule = node.op.written
        found = ast.Apply(node.op.name, args) if rule is None else rule(node, args)
        if found is None:
            raise NoEntry
        return found

    def fill(self, node: Node, i: ast.Expr, j: ast.Expr) -> ast.Expr:
        return writing.number(node.params[0])

    def transpose(self, node: Node, i: ast.Expr, j: ast.Expr) -> ast.Expr:
        return self.entry(node.args[0], j, i)

    def matmul(self, node: Node, i: ast.Expr, j: ast.Expr) -> ast.Expr:
        a, b = (self._meaning(x) for x in node.args)
        if a.op.name == "diag_of":
            return _times(self.entry(a.args[0], i, i), self.entry(b, i, j))
        if b.op.name == "diag_of":
            return _times(self.entry(a, i, j), self.entry(b.args[0], j, j))
        if len(a.shape) != 2 or len(b.shape) != 2:
            raise NoEntry
        return self._sum(a.shape[1], lambda k: _times(self.entry(a, i, k), self.entry(b, k, j)))

    def _meaning(self, node: Node) -> Node:
        meaning = self.definitions.get(node.name or "", node)
        return meaning if meaning.op.name == "diag_of" else node

    def total(self, node: Node, i: ast.Expr, j: ast.Expr) -> ast.Expr:
        x, axis = node.args[0], node.params[0]
        if axis is None:
            return self._expr(node)
        return self._sum(
            x.shape[axis], lambda k: self.entry(x, k, j) if axis == 0 else self.entry(x, i, k)
        )

    def _sum(self, size: Dim, term: Callable[[ast.Expr], ast.Expr]) -> ast.Expr:
        n = size.as_int()
        if n is not None and n <= MOST_TERMS:
            terms = [term(writing.number(k)) for k in range(1, n + 1)]
            result = terms[0]
            for t in terms[1:]:
                result = ast.Apply("add", (result, t))
            return result
        letter = next(self.letters, None)
        if letter is None:
            raise NoEntry
        loop = ast.Loop(letter, writing.number(1), writing.dimension(size))
        return ast.Comprehension("sum", term(ast.Name(letter)), (loop,))


def _times(a: ast.Expr, b: ast.Expr) -> ast.Expr:
    if isinstance(b, ast.Apply) and b.op == "mul":
        left, right = b.args
        return ast.Apply("mul", (_times(a, left), right))
    return ast.Apply("mul", (a, b))


_RULES: dict[str, Callable[[Entrywise, Node, ast.Expr, ast.Expr], ast.Expr]] = {
    "fill": Entrywise.fill,
    "transpose": Entrywise.transpose,
    "matmul": Entrywise.matmul,
    "sum": Entrywise.total,
}
