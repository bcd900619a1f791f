"""Products written the way one writes them by hand.

For a column, `diag(v) @ W.T @ d` rather than `v * (W.T @ d)`; a number that the network computes
stands where a column meets a row, `W2.T @ (a2 - y) @ x.T`; other numbers stand in front. For a
batch, entrywise products stay entrywise.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from backproof.calculus.entries import factors_of
from backproof.calculus.notation import written
from backproof.language import syntax as ast
from backproof.operators.dims import ONE
from backproof.operators.node import Node, quantities


class Products:
    """Writes simplified nodes as expressions.

    computed   the names that the network computes (numbers of these stand inside a product)
    spellings  how some names are to be written
    """

    def __init__(
        self, computed: Container[str], spellings: Mapping[str, ast.Expr] | None = None
    ) -> None:
        self.computed = computed
        self.spellings = spellings or {}
        self._done: dict[int, ast.Expr | None] = {}

    def __call__(self, node: Node) -> ast.Expr | None:
        """The node as an expression; None where the language has no words for it."""
        stack = [node]
        while stack:
            n = stack[-1]
            if n.id in self._done:
                stack.pop()
                continue
            todo = [a for a in n.args if a.id not in self._done]
            if todo:
                stack.extend(todo)
                continue
            self._done[n.id] = self._written(n)
        return self._done[node.id]

    def _written(self, node: Node) -> ast.Expr | None:
        args = [self._done[a.id] for a in node.args]
        if any(a is None for a in args):
            return None
        if node.op.powers == (1, 1) or node.matrices:
            return self._product(node)
        return written(node, tuple(a for a in args if a is not None), self.spellings)

    def _expr(self, node: Node) -> ast.Expr:
        found = self._done[node.id]
        assert found is not None
        return found

    def _product(self, node: Node) -> ast.Expr:
        factors = factors_of(node)
        numbers = [f for f in factors if f.is_number and f is not node]
        arrays = [f for f in factors if not f.is_number or f is node]  # also u.T @ v itself
        chain = self._chain(arrays)
        if chain is None:
            return _joined("mul", [*map(self._expr, numbers), *map(self._expr, arrays)])
        inside = [n for n in numbers if any(q in self.computed for q in quantities([n]))]
        inside += [n for n in numbers if n.name in self.spellings]
        front = [n for n in numbers if n not in inside]
        parts = [e for e, _ in chain]
        if len(chain) == 1 and arrays[0].transposed is None:
            inside, front = [], numbers
        place = _junction([shape for _, shape in chain])
        if inside and place is not None:
            parts.insert(place, _joined("mul", list(map(self._expr, inside))))
        else:
            front = numbers
        if front:
            parts[0] = _joined("mul", [*map(self._expr, front), parts[0]])
        return _joined("matmul", parts)

    def _chain(self, arrays: Sequence[Node]) -> list[tuple[ast.Expr, tuple[bool, bool]]] | None:
        """The factors of a matrix product, each with whether it has one row, one column."""
        if not arrays or any(len(a.shape) != 2 for a in arrays):
            return None
        if len(arrays) == 1:
            return [link for f in _matrices(arrays[0]) for link in self._links(f)]
        chains = [a for a in arrays if a.matrices or a.name in self.spellings]
        rest = [a for a in arrays if a not in chains]
        if len(chains) != 1 or any(a.shape[1] != ONE for a in arrays):
            return None
        slope = ast.Apply("diag", (_joined("mul", list(map(self._expr, rest))),))
        links = [link for f in _matrices(chains[0]) for link in self._links(f)]
        return [(slope, (False, False)), *links]

    def _links(self, node: Node) -> list[tuple[ast.Expr, tuple[bool, bool]]]:
        """A factor of a product; an entrywise product of columns is itself `diag(v) @ …`."""
        if node.op.powers == (1, 1):
            arrays = factors_of(node)
            if len(arrays) > 1 and not any(a.is_number for a in arrays):
                chain = self._chain(arrays)
                if chain is not None:
                    return chain
        return [self._link(node)]

    def _link(self, node: Node) -> tuple[ast.Expr, tuple[bool, bool]]:
        return self._expr(node), (node.shape[0] == ONE, node.shape[-1] == ONE)


def _matrices(node: Node) -> list[Node]:
    """The factors of a matrix product, also of products in it."""
    found: list[Node] = []
    stack = [node]
    while stack:
        n = stack.pop()
        if n.matrices:
            stack.extend(reversed(n.matrices))
        else:
            found.append(n)
    return found


def _junction(ends: Sequence[tuple[bool, bool]]) -> int | None:
    """Where a number fits into a chain: between a column and a row, else at an end."""
    for k, (_, column) in enumerate(ends[:-1]):
        if column:
            return k + 1
    if ends[0][0]:
        return 0
    return len(ends) if ends[-1][1] else None


def _joined(op: str, parts: Sequence[ast.Expr]) -> ast.Expr:
    result = parts[0]
    for p in parts[1:]:
        result = ast.Apply(op, (result, p))
    return result
