"""The two number systems that values are computed in: float64, and decimals of 50 digits.

Operators are written against `Arithmetic` and never know which one runs. Decimals are exact for
what people write by hand (0.1 is one tenth) and serve as the high-precision witness. Points
outside a function's domain give NaN in both; nothing raises.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

Array = Any

DIGITS = 50


class Arithmetic(Protocol):
    """Elementary functions and constants over arrays of one number type."""

    exact: bool

    def const(self, value: Fraction) -> Any: ...
    def array(self, values: Any) -> Array: ...
    def full(self, shape: tuple[int, ...], value: Fraction) -> Array: ...
    def apply(self, name: str, x: Array) -> Array: ...
    def power(self, x: Array, y: Array) -> Array: ...
    def truth(self, x: Array) -> Array: ...
    def inv(self, x: Array) -> Array: ...
    def det(self, x: Array) -> Array: ...


class Float64:
    """IEEE double precision, through NumPy."""

    exact = False

    def const(self, value: Fraction) -> float:
        return as_float(value)

    def array(self, values: Any) -> Array:
        return np.asarray(values, dtype=np.float64)

    def full(self, shape: tuple[int, ...], value: Fraction) -> Array:
        return np.full(shape, as_float(value))

    def apply(self, name: str, x: Array) -> Array:
        return _FLOAT[name](x)

    def power(self, x: Array, y: Array) -> Array:
        return np.power(x, y)

    def truth(self, x: Array) -> Array:
        return np.asarray(x, dtype=np.float64)

    def inv(self, x: Array) -> Array:
        try:
            return np.linalg.inv(x)
        except np.linalg.LinAlgError:
            return np.full_like(x, np.nan)

    def det(self, x: Array) -> Array:
        return np.linalg.det(x)


def as_float(value: Fraction) -> float:
    """The nearest double; infinity where the number is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return float("-inf") if value < 0 else float("inf")


def _float_sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def _erf_float(x: Array) -> Array:
    from math import erf

    return np.vectorize(erf, otypes=[np.float64])(x)


_FLOAT: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "log": lambda x: np.log(np.where(x > 0, x, np.nan)),
    "sqrt": lambda x: np.sqrt(np.where(x >= 0, x, np.nan)),
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "erf": _erf_float,
    "floor": np.floor,
    "ceil": np.ceil,
    "abs": np.abs,
    "sign": np.sign,
    "sigmoid": _float_sigmoid,
    "softplus": lambda x: np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))),
    "logabs": lambda x: np.log(np.where(x != 0, np.abs(x), np.nan)),
}

_CONTEXT = decimal.Context(prec=DIGITS, traps=[], Emax=999_999, Emin=-999_999)
_D = decimal.Decimal
_NAN = _D("NaN")
PI = _D(
    "3.1415926535897932384626433832795028841971693993751058209749445923078164062862089986280348"
    "253421170679821480865132823066470938446095505822317253594081284811174502841027019385211055"
)


def decimal_context(digits: int = DIGITS) -> Any:
    """A context manager in which decimals carry that many digits and nothing raises."""
    if digits == DIGITS:
        return decimal.localcontext(_CONTEXT)
    return decimal.localcontext(decimal.Context(digits, traps=[], Emax=999_999, Emin=-999_999))


def _digits() -> int:
    """How many digits the surrounding context carries."""
    return decimal.getcontext().prec


class Decimals:
    """Decimals of `DIGITS` digits in object arrays. Use inside `decimal_context()`."""

    exact = True

    def const(self, value: Fraction) -> decimal.Decimal:
        return _D(value.numerator) / _D(value.denominator)

    def array(self, values: Any) -> Array:
        out = np.asarray(values, dtype=object)
        return np.frompyfunc(_to_decimal, 1, 1)(out) if out.size else out

    def full(self, shape: tuple[int, ...], value: Fraction) -> Array:
        return np.full(shape, self.const(value), dtype=object)

    def apply(self, name: str, x: Array) -> Array:
        return _object(_DECIMAL_UFUNC[name](x))

    def power(self, x: Array, y: Array) -> Array:
        return _object(_POWER(x, y))

    def truth(self, x: Array) -> Array:
        return _object(np.frompyfunc(lambda b: _D(1) if b else _D(0), 1, 1)(x))

    def inv(self, x: Array) -> Array:
        return _stacked(x, lambda m: _gauss(m)[0])

    def det(self, x: Array) -> Array:
        flat = x.reshape(-1, *x.shape[-2:])
        out = np.empty(len(flat), dtype=object)
        for k, m in enumerate(flat):
            out[k] = _gauss(m)[1]
        return out.reshape(x.shape[:-2])


def _object(x: Any) -> Array:
    """frompyfunc turns 0-d arrays into bare numbers; undo that."""
    if isinstance(x, np.ndarray):
        return x
    out = np.empty((), dtype=object)
    out[()] = x
    return out


def _to_decimal(value: Any) -> decimal.Decimal:
    if isinstance(value, _D):
        return value
    if isinstance(value, Fraction):
        return _D(value.numerator) / _D(value.denominator)
    if isinstance(value, int | np.integer):
        return _D(int(value))
    return _D(float(value))


def _log(x: decimal.Decimal) -> decimal.Decimal:
    return x.ln() if x > 0 else _NAN


def _exp(x: decimal.Decimal) -> decimal.Decimal:
    if x > 1_000_000:
        return _D("Infinity")
    return x.exp() if x > -1_000_000 else _D(0)


def _sigmoid(x: decimal.Decimal) -> decimal.Decimal:
    return 1 / (1 + _exp(-x)) if x >= 0 else _exp(x) / (1 + _exp(x))


def _small(x: decimal.Decimal) -> int:
    """How many zeros stand after the point of *x*: the digits that 1 + x loses of it."""
    return max(0, -x.adjusted()) if x and x.is_finite() else 0


def _tanh(x: decimal.Decimal) -> decimal.Decimal:
    digits = _digits()
    if _small(x) > digits:
        return x
    with decimal.localcontext(_CONTEXT) as wide:
        wide.prec = digits + _small(x) + 5
        e = _exp(-2 * abs(x))
        t = ((1 - e) / (1 + e)).copy_sign(x)
    return +t


def _softplus(x: decimal.Decimal) -> decimal.Decimal:
    digits, e = _digits(), _exp(-abs(x))
    if _small(e) > digits:
        return x if x > 0 else e
    with decimal.localcontext(_CONTEXT) as wide:
        wide.prec = digits + _small(e) + 5
        total = max(x, _D(0)) + (1 + _exp(-abs(x))).ln()
    return +total


def _sin_series(x: decimal.Decimal) -> decimal.Decimal:
    total, term, k = _D(0), x, 1
    smallest = abs(x) * _D(10) ** -_digits()
    while abs(term) > smallest:
        total += term
        term = -term * x * x / ((k + 1) * (k + 2))
        k += 2
    return total


def _sin(x: decimal.Decimal) -> decimal.Decimal:
    digits = _digits()
    if not x.is_finite() or abs(x) > _D("1e15"):
        return _NAN
    with decimal.localcontext(_CONTEXT) as wide:
        wide.prec = digits + 25  # turns are taken off, and the series alternates
        result = _sin_series(x - 2 * PI * (x / (2 * PI)).to_integral_value())
    return +result


def _cos(x: decimal.Decimal) -> decimal.Decimal:
    digits = _digits()
    with decimal.localcontext(_CONTEXT) as wide:
        wide.prec = digits + 25
        quarter = x + PI / 2
    return _sin(quarter)


def _erf(x: decimal.Decimal) -> decimal.Decimal:
    digits = _digits()
    if not x.is_finite():
        return _NAN
    if x * x > _D("2.303") * (digits + 5):
        return _D(1).copy_sign(x)
    with decimal.localcontext(_CONTEXT) as wide:
        wide.prec = (
            digits + int(x * x / 2) + 10
        )  # the alternating series cancels up to x² / ln 10 digits
        total, term, k = _D(0), x, 0
        smallest = abs(x) * _D(10) ** (-digits - 8)
        while abs(term) > smallest:
            total += term / (2 * k + 1)
            k += 1
            term = -term * x * x / k
        result = 2 * total / PI.sqrt()
    return +result


def _power(x: decimal.Decimal, y: decimal.Decimal) -> decimal.Decimal:
    if x.is_nan() or y.is_nan():
        return _NAN
    if y == y.to_integral_value() and abs(y) < 1000:
        return _D(1) if not y else x ** int(y) if x or y > 0 else _NAN
    if x > 0:
        return _exp(y * x.ln())
    return _D(0) if x == 0 and y > 0 else _NAN


_POWER = np.frompyfunc(_power, 2, 1)
_DECIMAL: dict[str, Callable[[decimal.Decimal], decimal.Decimal]] = {
    "exp": _exp,
    "log": _log,
    "sqrt": lambda x: x.sqrt() if x >= 0 else _NAN,
    "sin": _sin,
    "cos": _cos,
    "tanh": _tanh,
    "erf": _erf,
    "floor": lambda x: x.to_integral_value(rounding=decimal.ROUND_FLOOR),
    "ceil": lambda x: x.to_integral_value(rounding=decimal.ROUND_CEILING),
    "abs": abs,
    "sign": lambda x: _D(0) if x == 0 else _D(1).copy_sign(x),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "logabs": lambda x: abs(x).ln() if x else _NAN,
}


def _guarded(f: Callable[[decimal.Decimal], decimal.Decimal]) -> Callable[[Any], Any]:
    return lambda x: _NAN if x.is_nan() else f(x)


_DECIMAL_UFUNC = {name: np.frompyfunc(_guarded(f), 1, 1) for name, f in _DECIMAL.items()}


def _stacked(x: Array, f: Callable[[Array], Array]) -> Array:
    flat = x.reshape(-1, *x.shape[-2:])
    out = np.empty_like(flat)
    for k, m in enumerate(flat):
        out[k] = f(m)
    return out.reshape(x.shape)


def _gauss(matrix: Array) -> tuple[Array, decimal.Decimal]:
    """(inverse, determinant) by Gauss–Jordan with pivoting; NaN where singular."""
    n = matrix.shape[0]
    a = np.concatenate([matrix, _identity(n)], axis=1)
    det = _D(1)
    for k in range(n):
        pivot = max(range(k, n), key=lambda r: abs(a[r, k]) if not a[r, k].is_nan() else _D(-1))
        if not a[pivot, k]:
            return np.full((n, n), _NAN, dtype=object), _D(0)
        if pivot != k:
            a[[k, pivot]] = a[[pivot, k]]
            det = -det
        det *= a[k, k]
        a[k] = a[k] / a[k, k]
        for r in range(n):
            if r != k and a[r, k]:
                a[r] = a[r] - a[k] * a[r, k]
    return a[:, n:], det


def _identity(n: int) -> Array:
    out = np.full((n, n), _D(0), dtype=object)
    for k in range(n):
        out[k, k] = _D(1)
    return out


FLOAT64 = Float64()
DECIMALS = Decimals()
