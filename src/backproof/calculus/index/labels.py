"""Renaming the summed indices of factors: to other numbers, or to free labels and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from backproof.calculus.index.terms import BOUND, FREE, Factor, Mono


@lru_cache(maxsize=8_000)
def lifted(factors: tuple[Factor, ...], by: int) -> tuple[Factor, ...]:
    """Factors with the numbers of their summed indices raised."""
    return tuple(
        (h, tuple([(BOUND, a[1] + by, a[2], a[3]) if a[0] == BOUND else a for a in args]), e)
        for h, args, e in factors
    )


def renumbered(factors: tuple[Factor, ...], names: Mapping[int, int]) -> tuple[Factor, ...]:
    """Factors with their summed indices called by other numbers."""
    return tuple(
        (
            h,
            tuple([(BOUND, names[a[1]], a[2], a[3]) if a[0] == BOUND else a for a in args]),
            e,
        )
        for h, args, e in factors
    )


def fresh(count: int, factors: list[Factor] | tuple[Factor, ...], *others: str) -> list[str]:
    """*count* labels that occur in none of the factors."""
    start = 0
    for _, args, _ in factors:
        for a in args:
            if a[0] == FREE and a[1][0] == "%":
                start = max(start, int(a[1][1:]) + 1)
    for label in others:
        if label[0] == "%":
            start = max(start, int(label[1:]) + 1)
    return [f"%{start + k}" for k in range(count)]


def freed(factors: tuple[Factor, ...], labels: list[str]) -> tuple[Factor, ...]:
    """Factors with their summed indices turned into free ones of these labels."""
    if not labels:
        return factors
    return tuple(
        (
            h,
            tuple([(FREE, labels[a[1]], a[2], a[3]) if a[0] == BOUND else a for a in args]),
            e,
        )
        for h, args, e in factors
    )


def loosened(mono: Mono, *others: str) -> tuple[list[str], tuple[Factor, ...]]:
    """A monomial's factors with summed indices made free: (their labels, the factors)."""
    labels = fresh(len(mono[0]), mono[1], *others)
    return labels, freed(mono[1], labels)
