"""Dimension arithmetic: a canonical form that agrees with integers, and equations solved by it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backproof.operators.dims import (
    ONE,
    SCALAR,
    Dim,
    paper_shape,
    shape_of,
    show_shape,
    squeeze,
)

SIZES = {"N": 7, "d": 3, "k": 5}
MODEST = settings(max_examples=150, derandomize=True, deadline=None)

# An expression as (Dim, its value at SIZES), built in step.
leaves = st.one_of(
    st.integers(-4, 9).map(lambda n: (Dim.of(n), n)),
    st.sampled_from(sorted(SIZES)).map(lambda n: (Dim.of(n), SIZES[n])),
)


def _combined(pair: tuple[Any, Any, str]) -> tuple[Dim, int]:
    (a, x), (b, y), op = pair
    if op == "+":
        return a + b, x + y
    return (a - b, x - y) if op == "-" else (a * b, x * y)


expressions = st.recursive(
    leaves, lambda e: st.tuples(e, e, st.sampled_from("+-*")).map(_combined), max_leaves=8
)


@MODEST
@given(expressions)
def test_a_dimension_evaluates_like_its_integers(pair: tuple[Dim, int]) -> None:
    dim, value = pair
    assert dim.evaluate(SIZES) == value
    assert dim.substitute({n: Dim.of(v) for n, v in SIZES.items()}).as_int() == value
    if dim.as_int() is not None:
        assert dim.as_int() == value == dim


@MODEST
@given(expressions, expressions, expressions)
def test_equal_polynomials_are_one_dimension(
    a: tuple[Dim, int], b: tuple[Dim, int], c: tuple[Dim, int]
) -> None:
    x, y, z = a[0], b[0], c[0]
    assert x * (y + z) == x * y + x * z
    assert hash(x * y) == hash(y * x)
    assert (x + y) + z == x + (y + z)
    assert x - x == 0 and (x - y) + y == x


@MODEST
@given(expressions, st.sampled_from(["N", "d", "k"]), st.integers(1, 5))
def test_division_undoes_multiplication(pair: tuple[Dim, int], name: str, factor: int) -> None:
    divisor = Dim.of(name) * factor
    assert (pair[0] * divisor).divide(divisor) == pair[0]


@pytest.mark.parametrize(
    ("dim", "by"),
    [
        (Dim.of("N") + 1, Dim.of("N")),
        (Dim.of("N") * 3, Dim.of(2)),
        (Dim.of("N"), Dim.of("N") + 1),
        (Dim.of("N"), Dim.of(0)),
    ],
)
def test_what_does_not_divide_exactly(dim: Dim, by: Dim) -> None:
    assert dim.divide(by) is None


@pytest.mark.parametrize(
    ("dim", "value", "solution"),
    [
        (Dim.of("d"), 2353, ("d", 2353)),
        (Dim.of("d") + 1, 2353, ("d", 2352)),
        (Dim.of("d") * 2 + 1, 9, ("d", 4)),
        (Dim.of("d") * 2, 9, None),
        (Dim.of("d") + 5, 5, None),
        (Dim.of("d") * Dim.of("d"), 9, None),
        (Dim.of("d") + Dim.of("k"), 9, None),
        (Dim.of(4), 4, None),
    ],
)
def test_solving_for_a_name(dim: Dim, value: int, solution: tuple[str, int] | None) -> None:
    assert dim.solve_for(Dim.of(value)) == solution


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (Dim.of(0), "0"),
        (Dim.of("d") + 1, "d + 1"),
        (Dim.of("d") - 1, "d - 1"),
        (Dim.of("N") * Dim.of("d") * 2, "2*N*d"),
        (Dim.of("d") * -1, "-d"),
        (Dim.of(3) - Dim.of("d"), "-d + 3"),
    ],
)
def test_how_dimensions_are_written(dim: Dim, text: str) -> None:
    assert str(dim) == text


def test_a_missing_size_is_named() -> None:
    with pytest.raises(KeyError, match="N"):
        (Dim.of("N") + 1).evaluate({})


def test_shapes_as_people_say_them() -> None:
    assert shape_of() == SCALAR and shape_of("n") == (Dim.of("n"), ONE)
    assert paper_shape(SCALAR) == () and paper_shape(shape_of(4)) == (4,)
    assert paper_shape((ONE, Dim.of(4))) == (1, 4)
    assert squeeze((ONE, Dim.of(3), ONE)) == (3, 1)
    assert squeeze((ONE, Dim.of(3)), row=True) == (1, 3)
    assert squeeze((Dim.of(2), ONE, Dim.of(3))) == (2, 3)
    assert show_shape(SCALAR) == "a number" and show_shape(shape_of("N", 4)) == "N × 4"
