"""The scalar functions of the numba engine, written so that the compiler can run them in vectors.

exp, tanh, sigmoid and softplus are sums and products without a call or a branch, so a loop over
entries becomes a loop over vectors; calls of the C library would be made one entry at a time.
They are right to a few units in the last place, keep NaN, and do not overflow on the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

FAST = {"reassoc", "contract", "nsz", "arcp"}  # sums may be reordered; NaN and infinity stay


def load_numba() -> Any:
    """The library, or an error that says how to install it."""
    from backproof.errors import MissingExtra

    try:
        import numba
    except ImportError:
        raise MissingExtra("numba", "numba") from None
    return numba


@lru_cache(maxsize=2)
def functions(dtype: str) -> dict[str, Any]:
    """What the generated functions call, compiled for one precision."""
    njit = load_numba().njit
    # No reordering inside: the reduction of exp's argument relies on the order.
    exact = {"fastmath": {"contract"}, "error_model": "numpy", "forceinline": True}
    F: Any = np.dtype(dtype).type
    zero, one, two = F(0), F(1), F(2)
    exp_ = njit(_exp64 if dtype == "float64" else _exp32, **exact)
    poly = njit(_tanh_small64 if dtype == "float64" else _tanh_small32, **exact)
    series = njit(_atanh64 if dtype == "float64" else _atanh32, **exact)
    near, nan = F(0.625), F(math.nan)

    def sigmoid_(x: Any) -> Any:
        e = exp_(-abs(x))
        return (one if x >= zero else e) / (one + e)

    def softplus_(x: Any) -> Any:
        u = exp_(-abs(x))
        s = u / (two + u)  # log(1 + u) = 2 artanh(u/(2 + u))
        return (x if x > zero else zero) + two * s * series(s * s)

    def tanh_(x: Any) -> Any:
        z = abs(x)
        big = one - two / (exp_(two * z) + one)
        small = poly(x)
        return small if z < near else (big if x > zero else -big)

    def log_(x: Any) -> Any:
        return F(math.log(x)) if x > zero else nan

    def sqrt_(x: Any) -> Any:
        return F(math.sqrt(x)) if x >= zero else nan

    def square_(x: Any) -> Any:
        return x * x

    def power_(x: Any, y: Any) -> Any:
        return F(math.pow(x, y))

    def relu_(x: Any) -> Any:
        return x if x > zero else zero * x

    def step_(x: Any) -> Any:
        return one if x > zero else zero

    def sign_(x: Any) -> Any:
        return one if x > zero else (-one if x < zero else zero)

    made: dict[str, Callable[..., Any]] = {
        f.__name__: f for f in (sigmoid_, softplus_, tanh_, log_, sqrt_, square_, power_, relu_,
                                step_, sign_)
    }  # fmt: skip
    return {"exp_": exp_, **{name: njit(f, **exact) for name, f in made.items()}}


# exp(x) = 2^n exp(r) with |r| ≤ log(2)/2: log 2 in two parts so that r is exact to the last digit
# (Cody and Waite 1980), the Taylor polynomial of r, and 2^n in two factors by its bits, so that
# neither the largest nor the subnormal results are lost.


def _exp64(x: Any) -> Any:
    y = 710.0 if x > 710.0 else x
    y = -746.0 if y < -746.0 else y
    n = math.floor(y * 1.4426950408889634 + 0.5)
    r = y - n * 6.93145751953125e-1
    r = r - n * 1.42860682030941723212e-6
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    k = np.int64(n)
    a = k >> 1
    b = k - a
    return (
        p
        * np.int64((a + 1023) << 52).view(np.float64)
        * np.int64((b + 1023) << 52).view(np.float64)
    )


_F, _I = np.float32, np.int32


def _exp32(x: Any) -> Any:
    y = _F(x)  # a number comes in double precision, where 2^128 is no infinity
    y = _F(89.0) if y > _F(89.0) else y
    y = _F(-104.0) if y < _F(-104.0) else y
    n = np.floor(y * _F(1.44269504) + _F(0.5))
    r = y - n * _F(0.693359375)
    r = r - n * _F(-2.12194440e-4)
    p = _F(1.0 / 5040.0)
    p = p * r + _F(1.0 / 720.0)
    p = p * r + _F(1.0 / 120.0)
    p = p * r + _F(1.0 / 24.0)
    p = p * r + _F(1.0 / 6.0)
    p = p * r + _F(0.5)
    p = p * r + _F(1.0)
    p = p * r + _F(1.0)
    k = _I(n)
    a = _I(k >> _I(1))
    b = _I(k - a)
    return p * _I((a + _I(127)) << _I(23)).view(_F) * _I((b + _I(127)) << _I(23)).view(_F)


# tanh of |x| < 0.625, where 1 - 2/(e^2x + 1) would cancel: coefficients of Cephes (Moshier 1989).


def _tanh_small64(x: Any) -> Any:
    z = x * x
    p = (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3
    q = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z
    return x + x * z * p / (q + 4.84406305325125486048e3)


def _tanh_small32(x: Any) -> Any:
    z = x * x
    p = (_F(-5.70498872745e-3) * z + _F(2.06390887954e-2)) * z - _F(5.37397155531e-2)
    p = (p * z + _F(1.33314422036e-1)) * z - _F(3.33332819422e-1)
    return x + x * z * p


# artanh(s)/s as a series in s², for s ≤ 1/3.


def _atanh64(w: Any) -> Any:
    p = 1.0 / 33.0
    p = p * w + 1.0 / 31.0
    p = p * w + 1.0 / 29.0
    p = p * w + 1.0 / 27.0
    p = p * w + 1.0 / 25.0
    p = p * w + 1.0 / 23.0
    p = p * w + 1.0 / 21.0
    p = p * w + 1.0 / 19.0
    p = p * w + 1.0 / 17.0
    p = p * w + 1.0 / 15.0
    p = p * w + 1.0 / 13.0
    p = p * w + 1.0 / 11.0
    p = p * w + 1.0 / 9.0
    p = p * w + 1.0 / 7.0
    p = p * w + 0.2
    p = p * w + 1.0 / 3.0
    return p * w + 1.0


def _atanh32(w: Any) -> Any:
    p = _F(1.0 / 15.0)
    p = p * w + _F(1.0 / 13.0)
    p = p * w + _F(1.0 / 11.0)
    p = p * w + _F(1.0 / 9.0)
    p = p * w + _F(1.0 / 7.0)
    p = p * w + _F(0.2)
    p = p * w + _F(1.0 / 3.0)
    return p * w + _F(1.0)


@lru_cache(maxsize=1)
def outer_matrix() -> Any:
    """f(block, x, out) writes block ⊗ x xᵀ in one pass over the result."""

    def write(block: Any, x: Any, out: Any) -> None:
        m, n = block.shape[0], x.shape[0]
        for i in range(m):
            for a in range(n):
                for k in range(m):
                    c = block[i, k] * x[a]
                    for b in range(n):
                        out[i * n + a, k * n + b] = c * x[b]

    return load_numba().njit(write, fastmath={"contract"}, error_model="numpy")


BLOCK = 4  # rows and columns whose products are summed at once: their sums stay in registers


@lru_cache(maxsize=1)
def gram_writer() -> Any:
    """f(rows, d) is rows diag(d) rowsᵀ.

    One half is computed, in blocks, each in one pass along the rows; faster than the product of
    a BLAS up to a few hundred rows, which weights in a pass of its own and computes both halves.
    """
    at = range(BLOCK)
    pairs = [(a, c) for a in at for c in at]
    weighted = [f"work[{a}, s] = rows[i{a}, s] * d[s]" for a in at]
    products = [f"s{a}{c} += w{a} * r{c}" for a, c in pairs]
    lines = f"""
def gram(rows, d):
    n, m = rows.shape
    work, out = np.empty(({BLOCK}, m), rows.dtype), np.empty((n, n), rows.dtype)
    for i in range(0, n, {BLOCK}):
        {"; ".join(f"i{a} = min(i + {a}, n - 1)" for a in at)}
        for s in range(m):
            {"; ".join(weighted)}
        for j in range(i, n, {BLOCK}):
            {"; ".join(f"j{c} = min(j + {c}, n - 1)" for c in at)}
            {"; ".join(f"s{a}{c} = 0.0" for a, c in pairs)}
            for s in range(m):
                {"; ".join(f"w{a} = work[{a}, s]" for a in at)}
                {"; ".join(f"r{c} = rows[j{c}, s]" for c in at)}
                {"; ".join(products)}
            {"; ".join(f"out[i{a}, j{c}] = s{a}{c}" for a, c in pairs)}
    for i in range(n):
        for j in range(i):
            out[i, j] = out[j, i]
    return out
"""
    names: dict[str, Any] = {"np": np}
    exec(compile(lines, "<backproof numba gram>", "exec"), names)
    return load_numba().njit(names["gram"], fastmath=FAST, error_model="numpy")
