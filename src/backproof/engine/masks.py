"""Branches that are not taken: what would overflow or not exist in them does not count.

The gradient through `where(z > 0, z, exp(z) - 1)` is a zero of the branch times exp(z), which is
no number where exp(z) is infinite. `MOVED` brings such zeros outwards, to stand for whole products
of what was derived; `GUARDED` keeps exponentials from overflowing where they are not used.
"""

from __future__ import annotations

from backproof.engine.exponents import is_exponential, varies
from backproof.engine.rewrites import Builder, Rewriter
from backproof.operators.node import Node, postorder

DEEPEST = 3  # conditions that an exponential waits for at most, one inside the other


def _chosen(c: Node, a: Node, b: Node) -> Node:
    return c.graph.make("where", c, a, b)


def _half(node: Node) -> bool:
    """Whether a choice is zero in one of its branches."""
    return bool(node.choice) and (node.choice[1].fill == 0) != (node.choice[2].fill == 0)


def _factors(node: Node) -> list[Node]:
    if not node.powers or any(power < 0 for _, power in node.powers):
        return [node]
    return [f for x, _ in node.powers for f in _factors(x)]


def _may_fail(rewriter: Rewriter, node: Node) -> bool:
    """Whether there may be arguments at which the value is infinite or none."""
    node = rewriter.seen(node)
    if node.op.needs is None:
        return False
    if node.exponent is not None:
        return node.exponent < 0 or node.exponent.denominator != 1
    return varies([x for x, power in node.powers if power < 0]) if node.powers else True


def _product(rewriter: Rewriter, node: Node) -> Node | None:
    """A product with a factor that is zero in a branch: zero in the branch."""
    a, b = node.args
    for x, y in ((a, b), (b, a)):
        if _half(x):
            c, first, second = x.choice
            zero = x.graph.number(0)
            return _chosen(c, first * y, zero) if second.fill == 0 else _chosen(c, zero, second * y)
    factors = _factors(node)
    steps = [f for f in factors if rewriter.seen(f).op.promises == "binary"]
    if not steps or not any(_may_fail(rewriter, f) for f in factors):
        return None
    return _only(steps[0], [f for f in factors if f is not steps[0]])


def _only(step: Node, factors: list[Node]) -> Node | None:
    """The product of the factors where the step is one, and zero elsewhere."""
    if not factors:
        return None
    result = factors[0]
    for f in factors[1:]:
        result = result * f
    return _chosen(step, result, result.graph.number(0))


def _quotient(rewriter: Rewriter, node: Node) -> Node | None:
    top, below = node.args
    if _half(top):
        c, first, second = top.choice
        zero = top.graph.number(0)
        if second.fill == 0:
            return _chosen(c, first / below, zero)
        return _chosen(c, zero, second / below)
    factors = _factors(top)
    steps = [f for f in factors if rewriter.seen(f).op.promises == "binary"]
    if not steps or not varies([below]):
        return None
    return _only(steps[0], [*(f for f in factors if f is not steps[0]), 1 / below])


def _negative(rewriter: Rewriter, node: Node) -> Node | None:
    x = node.args[0]
    if _half(x):
        c, first, second = x.choice
        return _chosen(c, -first, -second)
    if x.powers:  # a minus that came to stand before a product hides it
        inner = (_quotient if x.powers[-1][1] < 0 else _product)(rewriter, x)
        return None if inner is None else -inner
    return None


def _added(rewriter: Rewriter, node: Node) -> Node | None:
    """Two halves of one choice as the choice."""
    a, b = node.args
    if not (_half(a) and _half(b)) or a.choice[0] is not b.choice[0]:
        return None
    if (a.choice[1].fill == 0) == (b.choice[1].fill == 0):
        return None
    first, second = (node.over([x, y]) for x, y in zip(a.choice[1:], b.choice[1:], strict=True))
    return _chosen(a.choice[0], first, second)


def _guarded(rewriter: Rewriter, node: Node) -> Node | None:
    """A choice whose exponentials are of zero in the branch that is not taken."""
    c, first, second = node.choice
    new = node.over([c, _tamed(c, first, True), _tamed(c, second, False)])
    return None if new is node else new


class _Beside:
    """The ids that are not in a set."""

    def __init__(self, ids: set[int]) -> None:
        self.ids = ids

    def __contains__(self, other: object) -> bool:
        return other not in self.ids


def _tamed(c: Node, branch: Node, taken: bool) -> Node:
    """The branch, where *taken* is what the condition is for it."""
    within, pending, any_ = set[int](), [branch], False
    while pending:
        node = pending.pop()
        if node.op.elementwise and node.id not in within:
            within.add(node.id)
            if is_exponential(node):
                any_ = True
            else:
                pending.extend(node.choice[1:] or node.args)
    if not any_:
        return branch
    done: dict[int, Node] = {}
    for node in postorder([branch], _Beside(within)):
        args = [done.get(a.id, a) for a in node.args]
        if node.choice:
            args[0] = node.args[0]
        if is_exponential(node):
            args = [_power(c, node.args[0], taken)]
        done[node.id] = node.over(args)
    return done[branch.id]


def _power(c: Node, power: Node, taken: bool) -> Node:
    """The power of an exponential, or zero where its branch is not taken."""
    fits = c.is_number or c.shape == power.shape
    if not fits or not varies([power]):
        return power
    inner = power
    for _ in range(DEEPEST):
        if not _half(inner):
            zero = power.graph.number(0)
            return _chosen(c, power, zero) if taken else _chosen(c, zero, power)
        if inner.choice[0] is c:
            return power
        inner = inner.choice[1] if inner.choice[2].fill == 0 else inner.choice[2]
    return power


MOVED: dict[str, Builder] = {
    "mul": _product, "div": _quotient, "neg": _negative, "add": _added, "sub": _added,
}  # fmt: skip
GUARDED: dict[str, Builder] = {"where": _guarded}
