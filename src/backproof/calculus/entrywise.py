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
            return self.whole(node)
        rule = node.op.entry
        if rule is not None:
            found = rule(self, node, i, j)
            if found is None:
                raise NoEntry
            return found
        if node.op.elementwise:
            return self._elementwise(node, i, j)
        return self._indexed(node, i, j)

    def whole(self, node: Node) -> ast.Expr:
        """A node that is written without the indices; NoEntry where it has no form."""
        found = self.products(node)
        if found is None:
            raise NoEntry
        return found

    def _indexed(self, node: Node, i: ast.Expr, j: ast.Expr) -> ast.Expr:
        items = (i,) if node.shape[1] == ONE else (i, j)
        if node.shape[0] == ONE:
            items = (writing.number(1), j)
        return ast.Subscript(self.whole(node), items)

    def _elementwise(self, node: Node, i: ast.Expr, j: ast.Expr) -> ast.Expr:
        args = tuple(self.entry(a, i, j) for a in node.args)
        rule = node.op.written
        found = ast.Apply(node.op.name, args) if rule is None else rule(node, args)
        if found is None:
            raise NoEntry
        return found

    def meaning(self, node: Node) -> Node:
        """A name that stands for a diagonal matrix, as that matrix; else the node."""
        meaning = self.definitions.get(node.name or "", node)
        return meaning if meaning.diagonal is not None else node

    def added(self, size: Dim, term: Callable[[ast.Expr], ast.Expr]) -> ast.Expr:
        """The terms of a sum over an index, written out where they are few."""
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
