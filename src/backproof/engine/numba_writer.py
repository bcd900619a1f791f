"""A program as explicit scalar loops: the text that numba compiles.

Arrays carry only their axes that are longer than one; a number is a local variable. What is
cheap to write again is written where it is used, so that elementwise chains run in one loop.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from backproof.engine.numba_rules import (
    BLOCKS,
    COMBINE,
    ENTRIES,
    REDUCTIONS,
    Core,
    Env,
    kind_of,
)
from backproof.engine.program import Program
from backproof.engine.signature import Taken
from backproof.engine.source import _Fresh, identifiers, uses_of
from backproof.errors import NotAvailable
from backproof.operators.dims import Dim
from backproof.operators.node import Loop, Node

# Cheap to work out again at every use.
CHEAP = frozenset(
    ("fill", "eye", "slice", "embed", "pick", "reshape", "loop", "collect", "spread", "onehot",
     "transpose", "diag_of", "diag_part", "tril", "triu", "constant", "dim", "literal", "stop",
     "name", "neg", "step", "gt", "ge", "lt", "le", "eq", "ne")
)  # fmt: skip
MOST_INLINED = 400  # characters of an entry before it gets an array of its own
FEW = 4  # entries of a row from which loops along it pay
BLAS = 4_000  # multiplications from which a product is left to BLAS
ROWS = 4  # rows of the right factor that a product adds in one pass over a row of the result
LONG = 64  # entries from which one loop over a whole array is better than one for each row
RESERVED = ("np", "math", "F", "acc", "top", "best", "square_", "power_", "sigmoid_", "softplus_",
            "relu_", "step_", "sign_", "log_", "sqrt_", "exp_", "tanh_", "Again",
            "range", "order", "rate", "momentum", "step", "steps", "losses", "flat",
            "q", "r", "s", "epoch")  # fmt: skip


class Writer:
    """Writes one program for one signature.

    allocations   array -> its shape, of the arrays that must be there before everything
    body          the statements
    results       output name -> the variable that holds it
    """

    def __init__(
        self,
        program: Program,
        taken: Taken,
        results: Mapping[str, tuple[int, ...] | None] | None = None,
        blas: bool = False,
    ) -> None:
        self.program, self.taken, self.blas = program, taken, blas
        self.goes_out = results if results is not None else taken.results
        self.arguments = identifiers(program.inputs, RESERVED)
        words = identifiers(program.labels.values(), {*RESERVED, *self.arguments.values()})
        self.labels = {i: words[label] for i, label in program.labels.items()}
        taken_words = {*self.arguments.values(), *words.values(), *RESERVED}
        self.fresh = _Fresh(taken_words)
        self.taken_words = taken_words
        self.indices = 0
        self.count = uses_of(program)
        self.order = program.order
        self.roots = {n.id for n in program.outputs.values()}
        self.held: dict[int, str] = {}  # node id -> the array or variable of its value
        self.live: dict[int, list[int]] = {}
        self.allocations: dict[str, tuple[int, ...]] = {}
        self.body: list[str] = []
        self.tables: dict[str, Any] = {}
        self.results: dict[str, str] = {}
        self.flat: dict[str, tuple[str, int]] = {}  # array -> (its view as one row, entries)
        # Indices that are read as one index, that index, and the shape that they run over.
        self.along: tuple[tuple[str, ...], str, tuple[int, ...]] = ((), "", ())
        self.words = {self.arguments[n]: n for n in program.inputs}
        self.users: dict[int, list[Node]] = {}
        for n in self.order:
            for a in n.args:
                self.users.setdefault(a.id, []).append(n)

    # --- sizes and indices -------------------------------------------------------------------

    def size(self, d: Dim) -> int:
        return self.program.graph.resolve(d).evaluate(self.taken.sizes)

    def bound(self, bound: list[tuple[str, int]], n: int) -> str:
        """A new bound index of size *n*."""
        if n == 1:
            return "0"
        name = self.index()
        bound.append((name, n))
        return name

    def index(self) -> str:
        self.indices += 1
        name = f"i{self.indices}"
        return name if name not in self.taken_words else self.index()

    def stretched(self, arg: Node, node: Node, core: Core) -> Core:
        """The index of an argument that is broadcast to the node."""
        if arg.is_number:
            return ("0",) * len(arg.shape)
        return tuple("0" if self.size(d) == 1 else i for d, i in zip(arg.shape, core, strict=True))

    def axes(self, node: Node) -> list[int]:
        """Sizes of all axes, loops first."""
        return [self.size(v.size) for v in node.loops] + [self.size(d) for d in node.shape]

    # --- entries -----------------------------------------------------------------------------

    def entry(self, node: Node, env: Env, core: Core) -> str:
        """The value of one entry, as an expression."""
        if node.id in self.held:
            name = self.held[node.id]
            labels = [*(env[v] for v in node.loops), *core]
            own = [i for i, n in zip(labels, self.axes(node), strict=True) if n != 1]
            shape = tuple(n for n in self.axes(node) if n != 1)
            return self.at(name, own, shape) if own else name
        if node.name is not None:
            return self.input(node.name, core)
        if self.is_outer(node):
            x, y = node.args
            return f"({self.entry(x, env, (core[0], '0'))} * {self.entry(y, env, ('0', core[1]))})"
        rule = ENTRIES.get(node.op.name)
        if rule is None:
            raise NotAvailable(f"the numba engine has no rule for '{node.op.name}'.")
        return rule(self, node, env, core)

    def input(self, name: str, core: Core) -> str:
        """An entry of an argument, in the shape that it was passed in."""
        word, shape = self.arguments[name], self.taken.shapes[name]
        if self.taken.kinds[name] in ("float", "number"):
            return word
        if len(shape) == len(core):
            return self.at(word, core, shape)
        long = [i for i, n in zip(core, self.taken.cores[name], strict=True) if n != 1]
        return f"{word}[{', '.join(long or ['0'] * len(shape)) or '()'}]"

    def table(self, node: Node, core: Core) -> str:
        """An entry of a matrix of numbers."""
        import numpy as np

        name = f"_m{node.id}"
        self.tables[name] = np.array([[float(v) for v in row] for row in node.params[0]])
        return f"{name}[{', '.join(core)}]"

    def at(self, array: str, index: Sequence[str], shape: tuple[int, ...]) -> str:
        """An entry of an array that lies in memory row after row."""
        indices, one, sizes = self.along
        if not indices or (tuple(index), shape) != (indices, sizes):
            return f"{array}[{', '.join(index)}]"
        if array not in self.flat:
            self.flat[array] = (self.fresh(), prod(shape))
        return f"{self.flat[array][0]}[{one}]"

    # --- statements --------------------------------------------------------------------------

    def write(self) -> None:
        """Writes the whole program."""
        for node in self.order:
            if node.name is None and self._needs_place(node):
                self._place(node)
        for name, node in self.program.outputs.items():
            self._result(name, node)

    def _needs_place(self, node: Node) -> bool:
        op = node.op.name
        if op in BLOCKS or (op in REDUCTIONS and not self.is_outer(node)):
            return True
        if op in CHEAP:
            return False
        if all(n == 1 for n in self.axes(node)):
            return node.fill is None
        if self.count[node.id] > 1:
            return True
        users = self.users.get(node.id, [])
        again = any(u.op.name in ("matmul", "einsum", "kron", *BLOCKS) for u in users)
        if again or any(self._repeats(node, u) for u in users):
            return True
        return node.id not in self.roots and len(self._sample(node)) > MOST_INLINED

    def is_outer(self, node: Node) -> bool:
        """Whether the node is a product of matrices that sums over nothing."""
        if node.op.name != "matmul" or any(len(a.shape) != 2 for a in node.args):
            return False
        return self.size(node.args[0].shape[1]) == 1

    def _repeats(self, node: Node, user: Node) -> bool:
        """Whether a user reads entries more than once, by broadcasting or through cheap nodes."""
        if user.op.name in CHEAP and user.id not in self.roots:
            return True
        most = 1
        for n in self.axes(user):
            most *= n
        own = 1
        for n in self.axes(node):
            own *= n
        return most > own

    def _sample(self, node: Node) -> str:
        env: Env = {v: "i" for v in node.loops}
        return self.entry(node, env, tuple("i" for _ in node.shape))

    def _place(self, node: Node) -> None:
        name = self.labels.get(node.id) or self.fresh()
        shape = [n for n in self.axes(node) if n != 1]
        if shape:
            self.allocations[name] = tuple(shape)
        loops: list[tuple[str, int]] = []
        env: Env = {v: self.bound(loops, self.size(v.size)) for v in node.loops}
        core = tuple(self.bound(loops, self.size(d)) for d in node.shape)
        own = [i for i, _ in loops]
        target = f"{name}[{', '.join(own)}]" if own else name
        op = node.op.name
        if op in BLOCKS:
            self._block(node, name, env, core, loops)
        elif op == "matmul" and not self.is_outer(node) and self._product(node, name):
            pass
        elif op in REDUCTIONS and not self.is_outer(node):
            bound, entry = REDUCTIONS[op](self, node, env, core)
            start, take = COMBINE[kind_of(node)]
            if self._down(node, loops, bound):
                self._nest(loops, [f"{target} = 0.0"])
                self._nest([*bound, *loops], [f"{target} += {entry}"])
                self.held[node.id] = name
                return
            self._nest(loops, [f"acc = {start}", *_nested(bound, [take.format(x=entry)]),
                               f"{target} = acc"])  # fmt: skip
        else:
            self._each(name, own, loops, node, env, core)
        self.held[node.id] = name

    def _each(
        self, name: str, own: Sequence[str], loops: Sequence[tuple[str, int]], node: Node,
        env: Env, core: Core,
    ) -> None:  # fmt: skip
        """Writes every entry: in one loop where all that is read lies alike, else row by row.

        Short inner loops cost more than their entries: each row begins with the compiler's
        tests of whether arrays overlap.
        """
        shape = tuple(n for _, n in loops)
        if len(loops) > 1 and prod(shape) >= LONG and tuple(own) == tuple(i for i, _ in loops):
            before, one = dict(self.flat), self.index()
            self.along = (tuple(own), one, shape)
            text = f"{self.at(name, own, shape)} = {self.entry(node, env, core)}"
            self.along = ((), "", ())
            if not {*own} & {*re.findall(r"\w+", text)}:
                self._nest([(one, prod(shape))], [text])
                return
            self.flat = before
        target = f"{name}[{', '.join(own)}]" if own else name
        self._nest(loops, [f"{target} = {self.entry(node, env, core)}"])

    def _down(
        self, node: Node, loops: Sequence[tuple[str, int]], bound: Sequence[tuple[str, int]]
    ) -> bool:
        """Whether a sum runs down the rows, so that whole rows should be added at a time."""
        down = node.params[:1] == (0,) and len(bound) == 1 and not node.loops
        return down and kind_of(node) == "sum" and bool(loops) and loops[-1][1] >= FEW

    def _nest(self, loops: Sequence[tuple[str, int]], inner: Sequence[str]) -> None:
        self.body += _nested(loops, inner)

    def _product(self, node: Node, name: str) -> bool:
        """A matrix product row by row, so that the inner loop runs along memory; or by BLAS."""
        x, y = node.args
        if node.loops or len(x.shape) != 2 or len(y.shape) != 2:
            return False
        (m, k), n = (self.size(d) for d in x.shape), self.size(y.shape[1])
        if self.blas and min(m, k, n) > 1 and m * k * n >= BLAS:
            a, b = self._operand(x), self._operand(y)
            if a and b:
                self.body.append(f"np.dot({a}, {b}, {name})")
                return True
        if n == 1 and x.op.name == "transpose" and x.id not in self.held:
            x, y, m, n = y, x.args[0], 1, m  # as the row yᵀ x, down the rows of x
        elif y.op.name == "transpose" and y.id not in self.held and (m == 1 or k > n):
            return False
        if n < FEW or k == 1:
            return False
        i = self.index() if m > 1 else "0"
        j, r = self.index(), self.index()
        place = f"{name}[{i}, {j}]" if m > 1 else f"{name}[{j}]"

        def left(q: str) -> str:
            return self.entry(x, {}, (i, q) if x is node.args[0] else (q, i))

        whole = k - k % ROWS
        lines = _nested([(j, n)], [f"{place} = 0.0"])
        if whole:  # several rows at once, since each pass reads and writes the row of the result
            at = [r, *(f"({r} + {q})" for q in range(1, ROWS))]
            factors = [self.fresh() for _ in at]
            terms = [f"{f} * {self.entry(y, {}, (q, j))}" for f, q in zip(factors, at, strict=True)]
            lines += [
                f"for {r} in range(0, {whole}, {ROWS}):",
                *(f"    {f} = {left(q)}" for f, q in zip(factors, at, strict=True)),
                *(f"    {line}" for line in _nested([(j, n)], [f"{place} += {' + '.join(terms)}"])),
            ]  # fmt: skip
        if whole < k:
            added = _nested([(j, n)], [f"{place} += acc * {self.entry(y, {}, (r, j))}"])
            lines += [f"for {r} in range({whole}, {k}):", f"    acc = {left(r)}",
                      *(f"    {line}" for line in added)]  # fmt: skip
        self._nest([(i, m)] if m > 1 else [], lines)
        return True

    def _operand(self, node: Node) -> str:
        """A matrix that BLAS can read: an array, or one transposed."""
        if node.op.name == "transpose" and node.id not in self.held:
            inner = self._operand(node.args[0])
            return f"{inner}.T" if inner and not inner.endswith(".T") else ""
        if node.id in self.held:
            return self.held[node.id]
        if node.name is not None and self.taken.shapes[node.name] == self.taken.cores[node.name]:
            return self.arguments[node.name]
        return ""

    def _block(
        self, node: Node, name: str, env: Env, core: Core, loops: list[tuple[str, int]]
    ) -> None:
        """softmax, logsumexp and argmax: several passes along one axis."""
        x, axis = node.args[0], node.params[0]
        bound: list[tuple[str, int]] = []
        if axis is None:
            own = tuple(self.bound(bound, self.size(d)) for d in x.shape)
            outer = loops
        else:
            outer = [pair for pair in loops if pair[0] != core[axis]]
            inner = self.bound(bound, self.size(x.shape[axis]))
            own = tuple(inner if k == axis else i for k, i in enumerate(core))
        entry = self.entry(x, env, own)
        labels = [*(env[v] for v in node.loops), *(own if node.op.name == "softmax" else core)]
        places = [i for i, n in zip(labels, self.axes(node), strict=True) if n != 1]
        target = f"{name}[{', '.join(places)}]" if places else name
        if node.op.name == "argmax":
            flat = ""
            for i, d in zip(own, x.shape, strict=True):
                if axis is None and self.size(d) != 1:
                    flat = f"({flat} * {self.size(d)} + {i})" if flat else i
            where = flat or (own[axis] if axis is not None else "0")
            self._nest(outer, [
                "top = -math.inf", "best = 0",
                *_nested(bound, [f"acc = {entry}", "if acc > top:", "    top = acc",
                                 f"    best = {where}"]),
                f"{target} = best + 1.0",
            ])  # fmt: skip
            return
        head = ["top = -math.inf", *_nested(bound, [f"top = max(top, {entry})"]), "acc = 0.0"]
        if node.op.name == "logsumexp":
            tail = _nested(bound, [f"acc += exp_({entry} - top)"])
            self._nest(outer, [*head, *tail, f"{target} = top + math.log(acc)"])
            return
        self._nest(outer, [
            *head,
            *_nested(bound, [f"{target} = exp_({entry} - top)", f"acc += {target}"]),
            *_nested(bound, [f"{target} = {target} / acc"]),
        ])  # fmt: skip

    def _result(self, name: str, node: Node) -> None:
        """Copies an output into an array of the shape that it goes out in."""
        shape = self.goes_out[name]
        loops: list[tuple[str, int]] = []
        env: dict[Loop, str] = {}
        core = tuple(self.bound(loops, self.size(d)) for d in node.shape)
        if not shape:
            word = self.held.get(node.id)
            self.results[name] = word if word else self.entry(node, env, core)
            return
        held = self.held.get(node.id)
        exact = [n for n in self.axes(node) if n != 1]
        if held and list(shape) == exact and held not in self.results.values():
            self.results[name] = held
            return
        word = self.fresh()
        self.allocations[word] = tuple(shape)
        if len(shape) == len(core):
            own = core
        else:
            own = tuple(i for i, n in zip(core, self.axes(node), strict=True) if n != 1)
            own = own or ("0",) * len(shape)
        self._each(word, own, loops, node, env, core)
        self.results[name] = word


def made(allocations: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Statements that make arrays."""
    return [f"{name} = np.empty({_tuple(shape)}, F)" for name, shape in allocations.items()]


def carved(
    allocations: Mapping[str, tuple[int, ...]], work: str
) -> tuple[list[str], dict[str, int], int]:
    """(statements that cut arrays out of one flat array, where each begins, how long it is)."""
    lines, places, at = [], {}, 0
    for name, shape in allocations.items():
        size = prod(shape)
        view = f"{work}[{at} : {at + size}]"
        lines.append(f"{name} = {view}" + (f".reshape({_tuple(shape)})" if len(shape) != 1 else ""))
        places[name] = at
        at += size
    return lines, places, at


def _tuple(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


NUMBER = re.compile(r"(?<![\w.])(\d+(?:\.\d*)?e[+-]?\d+|\d+\.\d*|math\.(?:inf|pi))")


def typed(lines: Sequence[str], dtype: str) -> list[str]:
    """The statements with their numbers in the precision, which otherwise would be double."""
    if dtype == "float64":
        return [line.replace("np.float64(0)", "0.0") for line in lines]
    return [NUMBER.sub(r"F(\1)", line) for line in lines]


def _nested(loops: Sequence[tuple[str, int]], inner: Sequence[str]) -> list[str]:
    """Statements inside loops."""
    lines: list[str] = []
    for depth, (index, n) in enumerate(loops):
        lines.append("    " * depth + f"for {index} in range({n}):")
    return [*lines, *("    " * len(loops) + line for line in inner)]
