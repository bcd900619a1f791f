"""Heads of the plain atoms: entries of quantities, deltas, composite indices, dimension names."""

from __future__ import annotations

from functools import lru_cache

from backproof.calculus.index.terms import Head, Size

SYMMETRIC = frozenset({"sym", "posdef", "diagonal"})


@lru_cache(maxsize=1024)
def dim_head(name: str) -> Head:
    """The number of positions along a named dimension, a positive integer."""
    return Head.make("D", name)


@lru_cache(maxsize=4096)
def delta_head(a: Size, b: Size, inside: bool = False) -> Head:
    """[i == k], with the variable of i running over a and that of k over b.

    *inside*: k is known to stay on the axis of i, as a range such as x[2:4] does.
    """
    if inside and a != b:
        return Head.make("I", "in", (a, b))
    return Head.make("I", "", (a, b), perms=(((1, 0), 1),) if a == b else ())


def resized(head: Head, a: Size, b: Size) -> Head:
    """The delta or order with other ranges; what was known of the old axis no longer is."""
    if (a, b) == head.sizes:
        return head
    if head.kind == "L":
        return order_head(a, b)
    return delta_head(a, b, bool(head.name) and a == head.sizes[0])


@lru_cache(maxsize=1024)
def order_head(a: Size, b: Size) -> Head:
    """[i < k], with i running over a and k over b."""
    return Head.make("L", "", (a, b))


@lru_cache(maxsize=1024)
def split_head(radices: tuple[Size, ...]) -> Head:
    """[I is composed of i, …, p], p running fastest over the last of the radices."""
    return Head.make("S", "", radices)


@lru_cache(maxsize=4096)
def tensor_head(name: str, sizes: tuple[Size, ...], facts: frozenset[str]) -> Head:
    """An entry of a named quantity; a symmetric one may swap its last two indices."""
    perms: tuple[tuple[tuple[int, ...], int], ...] = ()
    if len(sizes) >= 2 and facts & SYMMETRIC:
        order = list(range(len(sizes)))
        order[-1], order[-2] = order[-2], order[-1]
        perms = ((tuple(order), 1),)
    return Head.make("T", name, sizes, facts=facts, perms=perms)


@lru_cache(maxsize=1024)
def prime_head(p: int) -> Head:
    """A prime number under a fractional exponent."""
    return Head.make("N", str(p))
