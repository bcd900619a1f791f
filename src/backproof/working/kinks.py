"""Where a derivative does not exist: the kinks on the way, and whether the sheet's values hit one.

Also what is held fixed. Knows operators only through what their entries say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from backproof.calculus.backward import Backward
from backproof.calculus.model import Model
from backproof.calculus.notation import syntax
from backproof.calculus.values import sheet_values
from backproof.operators.node import Node, postorder
from backproof.working.steps import Step
from backproof.working.writing import listed, written

MOST = 4


def kink_steps(model: Model, back: Backward) -> Iterator[Step]:
    """Notes on kinks and on what is held fixed, and a warning where a value sits on a kink."""
    zeros: dict[int, Node] = {}
    held: dict[int, Node] = {}
    taken: dict[str, None] = {}
    for node in _active(model, back):
        if node.op.holds:
            held[node.id] = node
        elif node.op.kinks is not None:
            taken.update(dict.fromkeys(_jumps(node)))
            for zero in node.op.kinks(node):
                zero = zero.args[0] if zero.op.signs == (-1,) else zero
                zeros[zero.id] = zero
    for node in held.values():
        text = f"{_text(node)} is held fixed: no derivative is taken through it."
        yield Step(_text(node), text, kind="note")
    if zeros:
        ordered = list(zeros.values())[::-1]
        shown = [_text(n) for n in ordered[:MOST]]
        if len(zeros) > MOST:
            shown[-1] = f"of {len(zeros) - MOST + 1} others like these"
        where = " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
        if not all(n.is_number for n in ordered):
            where = f"an entry of {where}"
        text = f"The derivative does not exist where {where} is 0 (a kink)"
        yield Step("kinks", f"{text}; there {_taken(taken)} taken.", kind="note")
    yield from _hit(model, list(zeros.values()), _taken(taken))


def _active(model: Model, back: Backward) -> Iterator[Node]:
    """The nodes on the way, and what is held fixed there."""
    roots = [model.definitions[n] for n in back.order()]
    if back.start is None:
        roots.append(back.root)
    for root in roots:
        on_way: set[int] = set()
        for node in postorder([root]):
            if node.name in back.on_way or any(a.id in on_way for a in node.args):
                on_way.add(node.id)
                if node.op.holds or node.op.kinks is not None:
                    yield node


def _text(node: Node) -> str:
    expr = syntax(node)
    return written(expr) if expr is not None else node.op.name


def _jumps(node: Node) -> Iterator[str]:
    """The functions in the derivative of an operator that jump, as they are written."""
    if node.op.pullback is None:
        return
    shares = node.op.pullback(node, node.graph.filled(1, node.shape), node)
    below = {n.id for a in node.args for n in postorder([a])}
    for n in postorder([s for s in shares if s is not None]):
        if n.op.kinks is not None and n.id not in below and n is not node:
            yield n.op.name


def _taken(names: Mapping[str, None]) -> str:
    shown = [f"{n}(0) = 0" for n in names]
    return f"{listed(shown)} {'is' if len(shown) == 1 else 'are'}" if shown else "its formula is"


def _hit(model: Model, zeros: list[Node], taken: str) -> Iterator[Step]:
    """A warning for every kink that the sheet's own values sit on."""
    if not zeros:
        return
    values = sheet_values(model)
    for zero in zeros:
        if not values.computable(zero):
            continue
        array = values.value(zero)
        places = np.argwhere(np.asarray(array == 0, dtype=bool))
        if not len(places):
            continue
        entries = [_entry(node=zero, at=tuple(int(k) + 1 for k in p)) for p in places[:MOST]]
        if len(places) > MOST:
            entries.append(f"{len(places) - MOST} more")
        yield Step(
            "kinks",
            f"At the sheet's values {listed(entries)} {'is' if len(entries) == 1 else 'are'} "
            f"exactly 0: the derivative is not defined here; {taken} taken.",
            kind="warning",
        )


def _entry(node: Node, at: tuple[int, ...]) -> str:
    if node.is_number:
        return _text(node)
    name = _text(node) if node.name else f"({_text(node)})"
    shown = at[:1] if node.shape[-1] == 1 and len(at) == 2 else at
    return f"{name}[{', '.join(map(str, shown))}]"
