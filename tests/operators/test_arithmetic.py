"""The decimals' elementary functions carry the digits they promise; double precision agrees."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

from backproof.operators.arithmetic import DECIMALS, FLOAT64, decimal_context

DIGITS = 45
REFERENCE: dict[str, Callable[[Any], Any]] = {
    "exp": mpmath.exp,
    "log": mpmath.log,
    "sqrt": mpmath.sqrt,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    "abs": abs,
    "sign": mpmath.sign,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "logabs": lambda x: mpmath.log(abs(x)),
}
POSITIVE = {"log", "sqrt"}
TINY = ["1e-30", "3e-20", "2.5e-9", "0.00099", "0.00101", "-4e-7", "-0.0005"]
PLAIN = ["0.1", "-0.3", "0.75", "1", "-1.25", "2", "-3.5", "5.0625", "9.75", "-8", "17", "-40"]


def close(ours: Decimal, reference: Any) -> bool:
    """Whether the first DIGITS digits agree."""
    with mpmath.workdps(80):
        return bool(
            abs(mpmath.mpf(str(ours)) - reference) <= abs(reference) * mpmath.mpf(10) ** -DIGITS
        )


@pytest.mark.parametrize("name", REFERENCE)
def test_decimals_against_mpmath(name: str) -> None:
    rng = random.Random(name)
    points = [*TINY, *PLAIN, *(f"{rng.gauss(0, 2):.5f}" for _ in range(20))]
    for text in points:
        x = abs(Decimal(text)) if name in POSITIVE else Decimal(text)
        with decimal_context():
            ours = DECIMALS.apply(name, DECIMALS.array([x]))[0]
        with mpmath.workdps(80):
            reference = REFERENCE[name](mpmath.mpf(str(x)))
        assert close(ours, reference), (name, text, ours, reference)


@pytest.mark.parametrize("name", REFERENCE)
def test_double_precision_against_decimals(name: str) -> None:
    rng = random.Random(name)
    xs = np.array([rng.gauss(0, 2) for _ in range(40)])
    xs = np.abs(xs) if name in POSITIVE else xs
    with decimal_context():
        exact = DECIMALS.apply(name, DECIMALS.array(xs)).astype(float)
    np.testing.assert_allclose(FLOAT64.apply(name, xs), exact, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("base", "exponent"),
    [
        ("2", "0.5"),
        ("0.3", "-1.7"),
        ("5", "3"),
        ("-2", "3"),
        ("-1.5", "-2"),
        ("7", "0"),
        ("0", "2"),
    ],
)
def test_powers(base: str, exponent: str) -> None:
    with decimal_context():
        ours = DECIMALS.power(DECIMALS.array([Decimal(base)]), DECIMALS.array([Decimal(exponent)]))
    with mpmath.workdps(80):
        assert close(ours[0], mpmath.mpf(base) ** mpmath.mpf(exponent))


@pytest.mark.parametrize(("name", "x"), [("log", 0), ("log", -1), ("sqrt", -2), ("logabs", 0)])
def test_outside_the_domain_is_not_a_number(name: str, x: int) -> None:
    with decimal_context():
        assert DECIMALS.apply(name, DECIMALS.array([x]))[0].is_nan()
    assert np.isnan(FLOAT64.apply(name, np.array([float(x)])))[0]


@pytest.mark.parametrize(("base", "exponent"), [(0, -1), (-2, Fraction(1, 2))])
def test_powers_outside_the_domain(base: int, exponent: Fraction) -> None:
    with decimal_context():
        value = DECIMALS.power(DECIMALS.array([base]), DECIMALS.array([Fraction(exponent)]))
        assert value[0].is_nan()


def test_large_arguments_neither_raise_nor_hang() -> None:
    with decimal_context():
        values = DECIMALS.apply("exp", DECIMALS.array([10**7, -(10**7)]))
        assert values[0].is_infinite() and values[1] == 0
        assert DECIMALS.apply("sin", DECIMALS.array([10**30]))[0].is_nan()
        assert DECIMALS.apply("sigmoid", DECIMALS.array([5000, -5000]))[0] == 1


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_inverse_and_determinant(n: int) -> None:
    rng = np.random.default_rng(n)
    a = np.round(rng.normal(size=(2, n, n)), 6)
    with decimal_context():
        exact = DECIMALS.array(a)
        product = exact @ DECIMALS.inv(exact)
        assert all(abs(x) < Decimal("1e-42") for x in (product - np.eye(n, dtype=int)).flat)
        det = DECIMALS.det(exact).astype(float)
    np.testing.assert_allclose(det, np.linalg.det(a), rtol=1e-12)
    np.testing.assert_allclose(FLOAT64.det(a), np.linalg.det(a))


def test_a_singular_matrix_has_no_inverse() -> None:
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    assert np.isnan(FLOAT64.inv(a)).all()
    with decimal_context():
        assert all(x.is_nan() for x in DECIMALS.inv(DECIMALS.array(a)).flat)
        assert DECIMALS.det(DECIMALS.array(a)) == 0


def test_what_people_write_by_hand_is_exact() -> None:
    with decimal_context():
        assert DECIMALS.const(Fraction(1, 10)) == Decimal("0.1")
        assert DECIMALS.array([Fraction(3, 8), 2, Decimal("0.7")]).tolist() == [
            Decimal("0.375"), 2, Decimal("0.7"),
        ]  # fmt: skip
