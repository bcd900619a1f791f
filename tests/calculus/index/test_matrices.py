"""Inverses, determinants and projections: identities worked by hand, and their false neighbours."""

from __future__ import annotations

from fractions import Fraction

import pytest

from backproof.calculus.index import (
    ONE,
    Expr,
    Size,
    assumption,
    const,
    delta,
    det,
    dim_expr,
    entry,
    inv,
    is_zero,
    log,
    mul,
    power,
    rename,
    size,
    sum_over,
    var,
)

n, m, N, d = size("n"), size("m"), size("N"), size("d")
NO_FACTS: frozenset[str] = frozenset()


class Mat:
    """A matrix as an expression in the free indices `r` and `c`."""

    count = 0

    def __init__(self, expr: Expr, rows: Size, cols: Size) -> None:
        self.expr, self.rows, self.cols = expr, rows, cols

    @staticmethod
    def of(name: str, rows: Size, cols: Size, *facts: str) -> Mat:
        made = entry(name, (var("r"), var("c")), (rows, cols), frozenset(facts))
        return Mat(made, rows, cols)

    @staticmethod
    def col(name: str, rows: Size) -> Mat:
        return Mat(entry(name, (var("r"),), (rows,)), rows, 1)

    def at(self, r: str, c: str) -> Expr:
        return rename(self.expr, {"r": var(r), "c": var(c)})

    def __matmul__(self, other: Mat) -> Mat:
        if self.cols == 1:
            return Mat(mul(self.at("r", "r"), other.at("c", "c")), self.rows, other.cols)
        inner = mul(self.at("r", "k"), other.at("k", "c"))
        return Mat(sum_over(inner, "k", self.cols), self.rows, other.cols)

    def __add__(self, other: Mat) -> Mat:
        return Mat(self.expr + other.expr, self.rows, self.cols)

    def __sub__(self, other: Mat) -> Mat:
        return Mat(self.expr - other.expr, self.rows, self.cols)

    def __rmul__(self, k: Expr | Fraction | int) -> Mat:
        by = k if isinstance(k, Expr) else const(k)
        return Mat(mul(by, self.expr), self.rows, self.cols)

    @property
    def T(self) -> Mat:
        return Mat(self.at("c", "r"), self.cols, self.rows)

    @property
    def inv(self) -> Mat:
        return Mat(
            inv(self.at("a", "b"), "a", "b", self.rows, var("r"), var("c")), self.rows, self.cols
        )

    @property
    def det(self) -> Expr:
        return det(self.expr, "r", "c", self.rows)

    @property
    def trace(self) -> Expr:
        return sum_over(self.at("r", "r"), "r", self.rows)

    @property
    def sumsq(self) -> Expr:
        squares = mul(self.expr, self.expr)
        for label, s in (("r", self.rows), ("c", self.cols)):
            squares = sum_over(squares, label, s) if s != 1 else squares
        return squares

    def is_zero(self, *rules: object) -> bool:
        return is_zero(
            self.expr,
            tuple(rules),  # type: ignore[arg-type]
            sizes={"r": self.rows, "c": self.cols},
        )


def eye(s: Size) -> Mat:
    return Mat(delta(var("r"), var("c"), s), s, s)


A, B, C = (Mat.of(x, n, n) for x in "ABC")
U, V = Mat.of("U", n, m), Mat.of("V", m, n)
X, y, w = Mat.of("X", N, d), Mat.col("y", N), Mat.col("w", d)
lam = entry("lam", (), (), frozenset({"positive"}))
S = Mat.of("S", n, n, "sym")
Q, R = Mat.of("Q", n, n, "orthogonal"), Mat.of("R", n, n, "orthogonal")


def test_trace_is_cyclic() -> None:
    assert (A @ B @ C).trace == (C @ A @ B).trace
    assert (A @ B @ C).trace != (A @ C @ B).trace
    assert (S @ A).trace == (S @ A.T).trace
    assert (B @ A).trace != (B @ A.T).trace


def test_inverse_meets_its_matrix() -> None:
    assert (A.inv @ A).expr == eye(n).expr
    assert (A @ A.inv).expr == eye(n).expr
    assert (A.T @ A.inv.T).expr == eye(n).expr
    assert ((A @ B).inv - B.inv @ A.inv).expr.is_zero
    assert not ((A @ B).inv - A.inv @ B.inv).is_zero()
    assert (A.inv.inv - A).expr.is_zero
    assert (A.T.inv - A.inv.T).expr.is_zero
    assert ((2 * A).inv - Fraction(1, 2) * A.inv).expr.is_zero
    assert ((lam * A).inv - power(lam, -1) * A.inv).expr.is_zero
    assert (S.inv - S.inv.T).expr.is_zero
    assert not (A.inv - A.inv.T).is_zero()


def test_inverse_of_a_sum_contracts_with_the_sum() -> None:
    M = A + B
    assert (M.inv @ M - eye(n)).is_zero()
    assert (M @ M.inv - eye(n)).is_zero()
    assert (((A + B) @ C).inv - C.inv @ M.inv).is_zero()
    assert (A.inv - M.inv - A.inv @ B @ M.inv).is_zero()
    assert not (A.inv - M.inv - M.inv @ A @ B).is_zero()


def test_push_through_and_woodbury() -> None:
    left, right = (eye(n) + U @ V).inv, (eye(m) + V @ U).inv
    assert (left @ U - U @ right).is_zero()
    assert (left - eye(n) + U @ right @ V).is_zero()
    assert not (left - eye(n) - U @ right @ V).is_zero()
    assert not (left - eye(n) + U @ V).is_zero()
    full = (A + U @ V).inv
    inner = (eye(m) + V @ A.inv @ U).inv
    assert (full - A.inv + A.inv @ U @ inner @ V @ A.inv).is_zero()


def test_projection() -> None:
    H = X @ (X.T @ X).inv @ X.T
    assert (H @ H - H).is_zero()
    assert (H.T - H).is_zero()
    assert is_zero(H.trace - Mat(eye(d).expr, d, d).trace)
    assert ((eye(N) - H) @ X).is_zero()
    assert not (H - X @ X.T).is_zero()
    left = y.sumsq - (H @ y).sumsq - ((eye(N) - H) @ y).sumsq
    assert is_zero(left)


def test_ridge() -> None:
    M = X.T @ X + lam * eye(d)
    ws = M.inv @ X.T @ y

    def cost(v: Mat) -> Expr:
        return (X @ v - y).sumsq + mul(lam, v.sumsq)

    assert (M @ ws - X.T @ y).is_zero()
    gap = cost(w) - cost(ws) - ((w - ws).T @ M @ (w - ws)).expr
    assert is_zero(gap)
    assert not is_zero(cost(w) - cost(ws) - (w - ws).sumsq)
    dual = X.T @ (X @ X.T + lam * eye(N)).inv @ y
    assert (ws - dual).is_zero()
    value = y.T @ (X @ X.T + lam * eye(N)).inv @ y
    assert is_zero(mul(lam, value.expr) - cost(ws))


def test_posterior_mean_in_both_scalings() -> None:
    beta = entry("beta", (), (), frozenset({"positive"}))
    M = lam * eye(d) + beta * (X.T @ X)
    mean = beta * (M.inv @ X.T @ y)
    other = (X.T @ X + mul(lam, power(beta, -1)) * eye(d)).inv @ X.T @ y
    assert (mean - other).is_zero()


def test_commuting_matrices_need_the_assumption() -> None:
    product = (A + B) @ (A - B) - A @ A + B @ B
    assert not product.is_zero()
    rule = assumption((A @ B).expr, (B @ A).expr)
    assert rule is not None
    assert product.is_zero(rule)
    assert (A @ B @ A @ B - A @ A @ B @ B).is_zero(rule)
    assert not (A @ C @ A @ C - A @ A @ C @ C).is_zero(rule)


def test_determinants() -> None:
    assert (A @ B).det == mul(A.det, B.det)
    assert A.T.det == A.det
    assert is_zero((eye(n) + U @ V).det - (eye(m) + V @ U).det)
    assert is_zero(mul(A.inv.det, A.det) - ONE)
    assert is_zero(log((lam * A).det) - log(A.det) - mul(log(lam), eye(n).trace))
    assert is_zero(power(Q.det, 2) - ONE)
    assert not is_zero(Q.det - ONE)
    assert log(Q.det).is_zero
    assert is_zero(log((Q @ S @ R).det) - log(S.det))
    diagonal = Mat(mul(entry("x", (var("r"),), (n,)), eye(n).expr), n, n)
    logs = sum_over(log(entry("x", (var("r"),), (n,))), "r", n)
    assert is_zero(log(diagonal.det) - logs)
    a, b = entry("a", (var("r"),), (n,)), entry("b", (var("c"),), (n,))
    inner = sum_over(mul(a, entry("b", (var("r"),), (n,))), "r", n)
    assert is_zero(Mat(eye(n).expr + mul(a, b), n, n).det - ONE - inner)


def test_orthogonal() -> None:
    assert (Q.T @ Q).expr == eye(n).expr
    assert (Q @ Q.T).expr == eye(n).expr
    assert (Q.inv - Q.T).expr.is_zero
    assert ((Q @ R).T @ (Q @ R)).expr == eye(n).expr
    assert not (Q @ Q - eye(n)).is_zero()


@pytest.mark.parametrize("n_", [2, 3])
def test_small_matrices_by_formula(n_: int) -> None:
    K = Mat.of("K", n_, n_)
    assert (K.inv @ K).expr == eye(n_).expr
    assert is_zero(mul(K.det, K.inv.det) - ONE)


def test_centering() -> None:
    ones = Mat(ONE, N, N)
    J = eye(N) - power(dim_expr(N), -1) * ones
    assert (J @ J - J).expr.is_zero
    assert sum_over(J.expr, "c", N).is_zero


def test_determinant_of_a_low_rank_update() -> None:
    u, v = Mat.col("u", n), Mat.col("v", n)
    assert is_zero((A + u @ v.T).det - mul(A.det, ONE + (v.T @ A.inv @ u).expr))
    inner = eye(m) + V @ A.inv @ U
    assert is_zero((A + U @ V).det - mul(A.det, inner.det))
    assert not is_zero((A + U @ V).det - mul(A.det, (eye(m) + V @ U).det))


def test_sherman_morrison() -> None:
    u, v = Mat.col("u", n), Mat.col("v", n)
    scale = power(ONE + (v.T @ A.inv @ u).expr, -1)
    update = scale * (A.inv @ u @ v.T @ A.inv)
    assert ((A + u @ v.T).inv - A.inv + update).is_zero()
    assert not ((A + u @ v.T).inv - A.inv - update).is_zero()


def test_two_inverses() -> None:
    assert (A @ (A + B).inv @ B - B @ (A + B).inv @ A).is_zero()
    assert ((A.inv + B.inv).inv - A @ (A + B).inv @ B).is_zero()
    assert ((eye(n) - A) @ (eye(n) + A).inv - (eye(n) + A).inv @ (eye(n) - A)).is_zero()
    assert not (A @ (A + B).inv @ B - B @ (A + B).inv @ B).is_zero()


def test_kalman_gain_in_both_forms() -> None:
    H = Mat.of("H", m, n)
    noise, prior = Mat.of("W", m, m, "posdef"), Mat.of("P", n, n, "posdef")
    one = prior @ H.T @ (H @ prior @ H.T + noise).inv
    two = (prior.inv + H.T @ noise.inv @ H).inv @ H.T @ noise.inv
    assert (one - two).is_zero()


def test_traces_of_inverses() -> None:
    left = (eye(n) + U @ V).inv.trace - eye(n).trace
    right = (eye(m) + V @ U).inv.trace - eye(m).trace
    assert is_zero(left - right)
    hat = (X @ (X.T @ X + lam * eye(d)).inv @ X.T).trace
    dual = (X @ X.T @ (X @ X.T + lam * eye(N)).inv).trace
    assert is_zero(hat - dual)
    assert not is_zero(hat - eye(d).trace)
