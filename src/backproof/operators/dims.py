"""Dimensions: integers, names, and arithmetic on them, with a canonical form.

A `Dim` is a polynomial with integer coefficients in dimension names, so that `N*k` and `k*N`
are one dimension and `d + 1` can be solved for `d`. Knows nothing of shapes or nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

Monomial = tuple[str, ...]  # sorted names, repeated for powers


class Dim:
    """An immutable polynomial in dimension names; compares and hashes by value."""

    __slots__ = ("_hash", "_int", "terms")

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        clean = tuple(sorted((m, c) for m, c in terms.items() if c))
        self.terms: tuple[tuple[Monomial, int], ...] = clean
        self._hash = hash(clean)
        if not clean:
            self._int: int | None = 0
        elif len(clean) == 1 and clean[0][0] == ():
            self._int = clean[0][1]
        else:
            self._int = None

    @staticmethod
    def of(value: Dim | int | str) -> Dim:
        """The dimension that *value* stands for."""
        if isinstance(value, Dim):
            return value
        return _cached(value)

    def as_int(self) -> int | None:
        """The integer this dimension is, or None while it has names."""
        return self._int

    def as_name(self) -> str | None:
        """The single name this dimension is, or None."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and len(self.terms[0][0]) == 1:
            return self.terms[0][0][0]
        return None

    def names(self) -> frozenset[str]:
        return frozenset(n for m, _ in self.terms for n in m)

    def substitute(self, sizes: Mapping[str, Dim | int]) -> Dim:
        """This dimension with names replaced by what *sizes* gives them."""
        if self._int is not None or not sizes:
            return self
        total = Dim.of(0)
        for monomial, coefficient in self.terms:
            part = Dim.of(coefficient)
            for name in monomial:
                part = part * Dim.of(sizes.get(name, name))
            total = total + part
        return total

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The number of entries along this dimension; KeyError names a missing size."""
        if self._int is not None:
            return self._int
        total = 0
        for monomial, coefficient in self.terms:
            for name in monomial:
                coefficient *= sizes[name]
            total += coefficient
        return total

    def solve_for(self, value: Dim) -> tuple[str, Dim] | None:
        """(name, solution) when this equals *value* at one integer of its one linear name."""
        number = value.as_int()
        names = self.names()
        if number is None or len(names) != 1:
            return None
        (name,) = names
        slope = sum(c for m, c in self.terms if m == (name,))
        constant = sum(c for m, c in self.terms if m == ())
        if len(self.terms) > (1 if not constant else 2) or not slope:
            return None
        quotient, rest = divmod(number - constant, slope)
        return (name, Dim.of(quotient)) if rest == 0 and quotient > 0 else None

    def divide(self, other: Dim) -> Dim | None:
        """The exact quotient where it is a dimension, else None (only by an integer or a name)."""
        if other.as_int() == 0 or len(other.terms) != 1:
            return None
        (names, factor) = other.terms[0]
        result: dict[Monomial, int] = {}
        for monomial, coefficient in self.terms:
            left = list(monomial)
            for name in names:
                if name not in left:
                    return None
                left.remove(name)
            if coefficient % factor:
                return None
            result[tuple(left)] = coefficient // factor
        return Dim(result)

    def __add__(self, other: Dim | int) -> Dim:
        result = dict(self.terms)
        for monomial, coefficient in Dim.of(other).terms:
            result[monomial] = result.get(monomial, 0) + coefficient
        return Dim(result)

    def __sub__(self, other: Dim | int) -> Dim:
        return self + Dim.of(other) * -1

    def __mul__(self, other: Dim | int) -> Dim:
        result: dict[Monomial, int] = {}
        for m, c in self.terms:
            for n, d in Dim.of(other).terms:
                key = tuple(sorted(m + n))
                result[key] = result.get(key, 0) + c * d
        return Dim(result)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, int):
            return self._int == other
        return isinstance(other, Dim) and self._hash == other._hash and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __lt__(self, other: Dim) -> bool:
        return str(self) < str(other)

    def __str__(self) -> str:
        parts: list[str] = []
        for monomial, c in sorted(self.terms, key=lambda t: (-len(t[0]), t[0])):
            names = "*".join(monomial)
            size = abs(c)
            body = names if names and size == 1 else f"{size}*{names}" if names else str(size)
            parts.append(("-" if c < 0 else "+") + " " + body)
        text = " ".join(parts) or "0"
        return text[2:] if text.startswith("+ ") else text.replace("- ", "-", 1)

    def __repr__(self) -> str:
        return f"Dim({str(self)!r})"


@lru_cache(maxsize=4096)
def _cached(value: int | str) -> Dim:
    return Dim({(): value}) if isinstance(value, int) else Dim({(value,): 1})


ONE = Dim.of(1)
Shape = tuple[Dim, ...]  # at least two axes: a number is (1, 1), a column of n is (n, 1)
SCALAR: Shape = (ONE, ONE)


def shape_of(*dims: Dim | int | str) -> Shape:
    """The shape with these axes: none is a number, one is a column."""
    parts = tuple(Dim.of(d) for d in dims)
    return SCALAR if not parts else (parts[0], ONE) if len(parts) == 1 else parts


def squeeze(dims: tuple[Dim, ...], *, row: bool = False) -> Shape:
    """Drops axes of 1; what is left of one axis is a column (or a row)."""
    parts = tuple(d for d in dims if d != ONE)
    if len(parts) == 1 and row:
        return (ONE, parts[0])
    return shape_of(*parts)


def paper_shape(shape: Shape) -> tuple[Dim, ...]:
    """The shape as people say it: () for a number, (n,) for a column."""
    if shape == SCALAR:
        return ()
    if len(shape) == 2 and shape[1] == ONE:
        return (shape[0],)
    return shape


def show_shape(shape: Shape) -> str:
    """The shape in words for messages: `3 × 4`, `4 × 1`, `a number`."""
    return "a number" if shape == SCALAR else " × ".join(str(d) for d in shape)
