"""Mistakes that people make, and what the claim should have been.

Every claim is judged alone, so that nothing but the equations and the edits can help.
"""

from __future__ import annotations

import re

import pytest

from backproof.calculus.model import Model, build_model
from backproof.errors import BackproofError, Source
from backproof.language import syntax as ast
from backproof.language.sheet import parse_sheet
from backproof.working.claims import REFUTED, Verdict, check_claims
from backproof.working.mending.edits import told_mistake
from backproof.working.mending.search import Search, read_claim
from backproof.working.mending.trial import CachedElaborator
from backproof.working.mending.words import differing, token_distance
from backproof.working.repair import caret_diff

LAYER = """
given x in R[d], t in R[k]
learn W in R[k, d], b in R[k]
z = W @ x + b
a = sigmoid(z)
E = sumsq(a - t)/2
"""
TWO_LAYERS = """
given x in R[5], y in R[2]
learn W1 in R[4, 5], b1 in R[4], W2 in R[2, 4], b2 in R[2]
z1 = W1 @ x + b1
h1 = tanh(z1)
z2 = W2 @ h1 + b2
L = sumsq(z2 - y)/2
"""
RELU = """
given X in R[N, d], T in R[N, k]
learn V in R[d, m], U in R[m, k]
Z = X @ V
H = relu(Z)
F = H @ U
J = sumsq(F - T)/(2*N)
"""
LOGISTIC = """
given X in R[N, d], y in {0, 1}[N]
learn w in R[d]
p = sigmoid(X @ w)
L = bce(p, y)
"""
RIDGE = """
given A in R[n, m], b in R[n], λ in Rpos
learn x in R[m]
J = sumsq(A @ x - b) + λ*sumsq(x)
"""
SOFTMAX = """
given X in R[N, d], Y in onehot[N, K]
learn W in R[d, K], c in R[K]
S = X @ W + c.T
P = softmax(S)
L = cross_entropy(P, Y)
"""
ATTENTION = """
given Q in R[n, d], K in R[m, d], V in R[m, c], R0 in R[n, c]
S = Q @ K.T / sqrt(d)
A = softmax(S)
O = A @ V
L = sum(R0*O)
"""
BATCHNORM = """
given x in R[N], u in R[N], ε in Rpos
learn γ, β in R
μ = mean(x)
v = mean((x - μ)**2)
h = (x - μ)/sqrt(v + ε)
o = γ*h + β
L = sum(u*o)
"""
GRU = """
given x in R[d], s in R[n], g in R[n]
learn Wz in R[n, d], Uz in R[n, n], Wk in R[n, d], Uk in R[n, n]
q = Wz @ x + Uz @ s
z = sigmoid(q)
r = Wk @ x + Uk @ s
k = tanh(r)
h = (1 - z)*s + z*k
L = sum(g*h)
"""
QUADRATIC = """
given A in R[n, n], b in R[n]
learn x in R[n]
f = x.T @ A @ x / 2 - b.T @ x
"""
MATRICES = """
given A, B in R[n, n], C in R[n, m], u, w in R[n]
"""
GAUSSIAN = """
given x in R[n], s in Rpos
learn m in R
l = -sum((x - m)**2)/(2*s**2) - n*log(s)
"""
CONVOLUTION = """
given x in R[6], g in R[4]
learn w in R[3]
y = [w.T @ x[1:3], w.T @ x[2:4], w.T @ x[3:5], w.T @ x[4:6]]
L = g.T @ y
"""

WEIGHTED = """
given X in R[N, d], q in R[K]
learn z in R[K]
p = softmax(z)
L = -sum(q*log(p))
"""
RECURRENT = """
given x1, x2, h0 in R[n], g in R[n]
learn U in R[n, n], V in R[n, n]
h1 = U @ h0 + V @ x1
h2 = U @ h1 + V @ x2
L = g.T @ h2
"""
GATED = """
given x in R[d], G in R[N, K], Z in R[N, K], u, t in R
learn V in R[m, d]
P = softmax(Z)
L = sum(G*P)
m1 = max(u, t)
F = (m1 - 1)**2
"""

CASES = [
    (LAYER, "grad(E, z) == (t - a)*a*(1 - a)", "grad(E, z) == (a - t)*a*(1 - a)"),
    (LAYER, "grad(E, z) == (a - t)*a", "grad(E, z) == (a - t)*a*(1 - a)"),
    (LAYER, "grad(E, z) == (a - t)*(1 - a)", "grad(E, z) == (a - t)*a*(1 - a)"),
    (LAYER, "grad(E, z) == (a - t)*z*(1 - a)", "grad(E, z) == (a - t)*a*(1 - a)"),
    (LAYER, "grad(E, a) == 2*(a - t)", "grad(E, a) == a - t"),
    (LAYER, "grad(E, a) == t - a", "grad(E, a) == a - t"),
    (LAYER, "grad(E, W) == x @ grad(E, z).T", "grad(E, W) == grad(E, z) @ x.T"),
    (LAYER, "grad(E, x) == W @ grad(E, z)", "grad(E, x) == W.T @ grad(E, z)"),
    (LAYER, "grad(E, x) == grad(E, z).T @ W", "grad(E, x) == (grad(E, z).T @ W).T"),
    (TWO_LAYERS, "grad(L, W2) == (z2 - y) @ z1ᵀ", "grad(L, W2) == (z2 - y) @ h1ᵀ"),
    (TWO_LAYERS, "grad(L, h1) == W2 @ (z2 - y)", "grad(L, h1) == W2.T @ (z2 - y)"),
    (
        TWO_LAYERS,
        "grad(L, z1) == (W2ᵀ @ (z2 - y)) ⊙ (1 - h1)",
        "grad(L, z1) == (W2ᵀ @ (z2 - y)) ⊙ (1 - h1**2)",
    ),
    (
        TWO_LAYERS,
        "grad(L, z1) == (W2ᵀ @ (z2 - y)) ⊙ (1 - z1²)",
        "grad(L, z1) == (W2ᵀ @ (z2 - y)) ⊙ (1 - h1²)",
    ),
    (
        TWO_LAYERS,
        "grad(L, z1) == diag(1 + h1**2) @ W2.T @ (z2 - y)",
        "grad(L, z1) == diag(1 - h1**2) @ W2.T @ (z2 - y)",
    ),
    (
        TWO_LAYERS,
        "grad(L, b1) == W2.T @ (z2 - y)",
        "grad(L, b1) == (W2.T @ (z2 - y)) * (1 - h1**2)",
    ),
    (RELU, "grad(J, F) == F - T", "grad(J, F) == (F - T)/N"),
    (RELU, "grad(J, F) == 2*(F - T)/N", "grad(J, F) == (F - T)/N"),
    (RELU, "grad(J, U) == (F - T).T @ H / N", "grad(J, U) == H.T @ (F - T) / N"),
    (RELU, "grad(J, U) == H @ (F - T) / N", "grad(J, U) == H.T @ (F - T) / N"),
    (RELU, "grad(J, Z) == (F - T) @ U.T / N * H", "grad(J, Z) == (F - T) @ U.T / N * step(Z)"),
    (LOGISTIC, "grad(L, w) == X.T @ (y - p)/N", "grad(L, w) == X.T @ (p - y)/N"),
    (LOGISTIC, "grad(L, w) == X.T @ (p - y)", "grad(L, w) == X.T @ (p - y)/N"),
    (
        LOGISTIC,
        "hess(L, w) == X.T @ diag(p*(1 - y)) @ X/N",
        "hess(L, w) == X.T @ diag(p*(1 - p)) @ X/N",
    ),
    (RIDGE, "grad(J, x) == 2*A.T @ (A @ x - b) + λ*x", "grad(J, x) == 2*A.T @ (A @ x - b) + 2*λ*x"),
    (
        RIDGE,
        "grad(J, x) == 2*A.T @ (A @ x - b) - 2*λ*x",
        "grad(J, x) == 2*A.T @ (A @ x - b) + 2*λ*x",
    ),
    (RIDGE, "hess(J, x) == 2*A @ A.T + 2*λ*eye(m)", "hess(J, x) == 2*A.T @ A + 2*λ*eye(m)"),
    (RIDGE, "hess(J, x) == 2*A.T @ A + 2*λ", "hess(J, x) == 2*A.T @ A + 2*λ*eye(m)"),
    (SOFTMAX, "grad(L, S) == (Y - P)/N", "grad(L, S) == (P - Y)/N"),
    (SOFTMAX, "grad(L, W) == X.T @ (P - Y)/K", "grad(L, W) == X.T @ (P - Y)/N"),
    (SOFTMAX, "P == softmax(S, axis=0)", "P == softmax(S)"),
    (SOFTMAX, "P == exp(S)/sum(exp(S), axis=0)", "P == exp(S)/sum(exp(S), axis=1)"),
    (SOFTMAX, "sum(P, axis=0) == ones(N)", "sum(P, axis=1) == ones(N)"),
    (SOFTMAX, "L == sum(Y*log(P))/N", "L == -sum(Y*log(P))/N"),
    (ATTENTION, "grad(L, V) == A @ R0", "grad(L, V) == A.T @ R0"),
    (ATTENTION, "grad(L, A) == R0 @ V", "grad(L, A) == R0 @ V.T"),
    (ATTENTION, "O == softmax(Q @ K / sqrt(d)) @ V", "O == softmax(Q @ K.T / sqrt(d)) @ V"),
    (
        ATTENTION,
        "grad(L, K) == grad(L, S) @ Q / sqrt(d)",
        "grad(L, K) == grad(L, S).T @ Q / sqrt(d)",
    ),
    (BATCHNORM, "grad(L, γ) == sum(u*x)", "grad(L, γ) == sum(u*h)"),
    (BATCHNORM, "grad(L, β) == mean(u)", "grad(L, β) == sum(u)"),
    (BATCHNORM, "grad(L, h) == u", "grad(L, h) == γ*u"),
    (
        BATCHNORM,
        "grad(L, x) == γ*(u - mean(u) + h*mean(u*h))/sqrt(v + ε)",
        "grad(L, x) == γ*(u - mean(u) - h*mean(u*h))/sqrt(v + ε)",
    ),
    (
        BATCHNORM,
        "grad(L, v) == 0.5*γ*sum(u*(x - μ))*(v + ε)**(-3/2)",
        "grad(L, v) == -0.5*γ*sum(u*(x - μ))*(v + ε)**(-3/2)",
    ),
    (BATCHNORM, "h == (x - μ)/(sqrt(v) + ε)", "h == (x - μ)/sqrt(v + ε)"),
    (GRU, "grad(L, z) == g*(s - k)", "grad(L, z) == g*(k - s)"),
    (GRU, "grad(L, k) == g*(1 - z)", "grad(L, k) == g*z"),
    (GRU, "grad(L, r) == g*z*(1 - k)**2", "grad(L, r) == g*z*(1 - k**2)"),
    (GRU, "grad(L, Uk) == grad(L, r) @ x.T", "grad(L, Uk) == grad(L, r) @ s.T"),
    (QUADRATIC, "hess(f, x) == A + A.T", "hess(f, x) == (A + A.T)/2"),
    (QUADRATIC, "grad(f, x) == (A + A.T) @ x/2 + b", "grad(f, x) == (A + A.T) @ x/2 - b"),
    (MATRICES, "(A @ B).T == A.T @ B.T", "(A @ B).T == B.T @ A.T"),
    (MATRICES, "inv(A @ B) == inv(A) @ inv(B)", "inv(A @ B) == inv(B) @ inv(A)"),
    (MATRICES, "vec(A @ C) == kron(A, eye(m)) @ vec(C)", "vec(A @ C) == kron(eye(m), A) @ vec(C)"),
    (MATRICES, "outer(u, w) == w @ u.T", "outer(u, w) == u @ w.T"),
    (MATRICES, "sumsq(A) == trace(A @ A)", "sumsq(A) == trace(A @ A.T)"),
    (MATRICES, "norm(A @ u) >= norm(A)*norm(u)", "norm(A @ u) <= norm(A)*norm(u)"),
    (MATRICES, "log(exp(u)) == exp(u)", "log(exp(u)) == u"),
    (MATRICES, "A[1, :] @ u == (A @ u)[2]", "A[1, :] @ u == (A @ u)[1]"),
    (GAUSSIAN, "grad(l, m) == sum(x - m)/s", "grad(l, m) == sum(x - m)/s**2"),
    (GAUSSIAN, "grad(l, m) == -sum(x - m)/s**2", "grad(l, m) == sum(x - m)/s**2"),
    (
        GAUSSIAN,
        "grad(l, s) == sum((x - m)**2)/s**2 - n/s",
        "grad(l, s) == sum((x - m)**2)/s**3 - n/s",
    ),
    (GAUSSIAN, "hess(l, m) == n/s**2", "hess(l, m) == -n/s**2"),
    (CONVOLUTION, "grad(L, w)[2] == g.T @ x[1:4]", "grad(L, w)[2] == g.T @ x[2:5]"),
    (CONVOLUTION, "y[3] == w.T @ x[2:4]", "y[3] == w.T @ x[3:5]"),
    # brackets, signs and complements
    (LAYER, "grad(E, z) == (a - t)*a*1 - a", "grad(E, z) == (a - t)*a*(1 - a)"),
    (RIDGE, "grad(J, x) == 2*A.T @ A @ x - b + 2*λ*x", "grad(J, x) == 2*A.T @ (A @ x - b) + 2*λ*x"),
    (BATCHNORM, "h == x - μ/sqrt(v + ε)", "h == (x - μ)/sqrt(v + ε)"),
    (BATCHNORM, "o == γ*(h + β)", "o == γ*h + β"),
    (GRU, "grad(L, r) == g*z*k**2", "grad(L, r) == g*z*(1 - k**2)"),
    (GRU, "grad(L, r) == g*z*-k**2", "grad(L, r) == g*z*(1 - k**2)"),
    (LAYER, "1 - a == -sigmoid(z)", "1 - a == sigmoid(-z)"),
    (MATRICES, "det(2*A) == 2*det(A)", "det(2*A) == 2**n*det(A)"),
    (LOGISTIC, "L == mean(X @ w - y*(X @ w))", "L == mean(softplus(X @ w) - y*(X @ w))"),
    (
        RECURRENT,
        "grad(L, U) == grad(L, h1) @ h1.T + grad(L, h2) @ h2.T",
        "grad(L, U) == grad(L, h1) @ h0.T + grad(L, h2) @ h1.T",
    ),
    # what a place must hold
    (RECURRENT, "grad(L, U) == g @ h1.T", "grad(L, U) == U.T @ g @ h0.T + g @ h1.T"),
    (
        RECURRENT,
        "grad(L, U) == grad(L, h2) @ h1.T",
        "grad(L, U) == grad(L, h1) @ h0.T + grad(L, h2) @ h1.T",
    ),
    (WEIGHTED, "grad(L, z) == p - q", "grad(L, z) == sum(q)*p - q"),
    (WEIGHTED, "hess(L, z) == sum(q)", "hess(L, z) == sum(q)*(diag(p) - p @ p.T)"),
    (GATED, "grad(L, Z) == P*G", "grad(L, Z) == P*(G - sum(G*P, axis=1))"),
    (GATED, "grad(F, u) == 2*(m1 - 1)", "grad(F, u) == 2*step(u - t)*(m1 - 1)"),
    (SOFTMAX, "grad(L, W) == X.T / N", "grad(L, W) == X.T @ (P - Y) / N"),
    (SOFTMAX, "grad(L, S) == 1 / N", "grad(L, S) == (P - Y) / N"),
    (LOGISTIC, "hess(L, w) == X.T @ X / N", "hess(L, w) == X.T @ diag(p*(1 - p)) @ X / N"),
    (
        BATCHNORM,
        "grad(L, x) == γ*(u - h*mean(u*h))/sqrt(v + ε)",
        "grad(L, x) == γ*(u - h*mean(u*h) - mean(u))/sqrt(v + ε)",
    ),
    (MATRICES, "vec(A @ B) == vec(B)", "vec(A @ B) == kron(eye(n), A) @ vec(B)"),
    (MATRICES, "trace(A @ B) == trace(A)", "trace(A @ B) == trace(B @ A)"),
]


def judged(sheet: str, *claims: str) -> list[Verdict]:
    text = sheet + "".join(f"claim {c}\n" for c in claims)
    return check_claims(model_of(text))


def model_of(text: str) -> Model:
    return build_model(parse_sheet(Source("test.sheet", text)))


def plain(text: str | None) -> str:
    return re.sub(r"\s", "", text or "")


@pytest.mark.parametrize(("sheet", "claim", "repair"), CASES, ids=[c[1] for c in CASES])
def test_the_mistake_is_mended(sheet: str, claim: str, repair: str) -> None:
    (verdict,) = judged(sheet, claim)
    assert verdict.verdict == REFUTED
    assert plain(verdict.suggestion) == plain(repair)


# --- the wording ---------------------------------------------------------------------------------


def test_what_was_not_wrong_stays_letter_by_letter() -> None:
    (verdict,) = judged(TWO_LAYERS, "grad(L, W2) ==  (z2 -y)@( z1ᵀ )")
    assert verdict.suggestion == "grad(L, W2) == (z2 -y)@h1ᵀ"


@pytest.mark.parametrize(
    ("claim", "repair"),
    [
        ("grad(L, h1) == W2 @ (z2 - y)", "grad(L, h1) == W2.T @ (z2 - y)"),
        ("grad(L, W2) == (z2 - y)ᵀ @ h1", "grad(L, W2) == (z2 - y) @ h1ᵀ"),
    ],
)
def test_a_transpose_is_written_as_the_reader_writes_it(claim: str, repair: str) -> None:
    (verdict,) = judged(TWO_LAYERS, claim)
    assert verdict.suggestion == repair


def test_a_suggestion_reads_back_and_holds() -> None:
    for sheet, claim, _ in CASES[::6]:
        (verdict,) = judged(sheet, claim)
        assert verdict.suggestion is not None and read_claim(verdict.suggestion) is not None
        (again,) = judged(sheet, verdict.suggestion)
        assert again.holds


def test_the_search_gives_the_same_answer_twice() -> None:
    for sheet, claim, _ in CASES[::9]:
        assert judged(sheet, claim)[0].suggestion == judged(sheet, claim)[0].suggestion


def test_a_suggestion_without_a_proof_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    claim, repair = "grad(L, w) == X.T @ (y - p)/N", "grad(L, w) == X.T @ (p - y)/N"
    (verdict,) = judged(LOGISTIC, claim)
    assert (verdict.suggestion, "no proof" in verdict.why) == (repair, False)
    monkeypatch.setattr("backproof.working.mending.search.PROOF_SECONDS", 0.0)
    (verdict,) = judged(LOGISTIC, claim)
    assert verdict.suggestion == repair
    assert verdict.why.endswith("What is suggested instead is true at every point tried; no proof"
                                " was found.")  # fmt: skip


def test_a_term_that_is_missing_is_not_made_up_by_undoing_what_stands_there() -> None:
    (verdict,) = judged(MATRICES, "A @ u == u")
    assert verdict.suggestion is None
    (verdict,) = judged(LAYER, "grad(E, z) == x.T @ x * a")
    assert plain(verdict.suggestion) == "grad(E,z)==a*(1-a)*(a-t)"


def test_an_idle_truth_of_the_sheet_is_not_the_mistake() -> None:
    sheet = "given X in R[N, d]\nH = X @ inv(X.T @ X) @ X.T\n"
    verdict, _ = judged(sheet, "H == X @ X.T", "H @ H == H")
    assert verdict.suggestion == "H == X @ inv(X.T @ X) @ X.T"


def test_a_chain_rule_factor_that_is_missing() -> None:
    (verdict,) = judged(LOGISTIC, "grad(L, w) == grad(L, p)")
    assert verdict.suggestion == "grad(L, w) == jac(p, w) @ grad(L, p)"


def test_whole_numbers_that_are_others_everywhere() -> None:
    sheet = "given x in R[2]\nf = 2*x[1]**2 - 3*x[1]*x[2]\n"
    (verdict,) = judged(sheet, "hess(f, x) == [[4, -3], [3, 0]]")
    assert verdict.suggestion == "hess(f, x) == [[4, -3], [-3, 0]]"


def test_what_does_not_fit_names_the_column_before_the_full_stop() -> None:
    (verdict,) = judged(SOFTMAX, "grad(L, W) == X @ (P - Y)/N")
    assert "N × K (column " in verdict.why and "). The inner dimensions" in verdict.why


def test_what_does_not_fit_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(parse_sheet(Source("test.sheet", LAYER)))
    elaborator = CachedElaborator(model)
    asked: list[str] = []
    make = model.graph.make

    def counted(op: str, *args: object, **more: object) -> object:
        asked.append(op)
        return make(op, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(model.graph, "make", counted)
    x, t, z, b = (ast.Name(n) for n in "xtzb")
    for _ in range(3):
        with pytest.raises(BackproofError):  # x is in R[d], t in R[k]
            elaborator.node(ast.Apply("add", (x, t)))
        assert elaborator.node(ast.Apply("add", (z, b))) is model.leaves["z"] + model.leaves["b"]
    assert asked.count("add") == 2 + 3  # the sums of the last line are made outside


def test_a_truth_told_elsewhere_bounds_what_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the right form on another line, no edit that is less likely than it is worked out."""
    tried = 0
    fits = Search._fits

    def counted(self: Search, side: ast.Expr, reference: object) -> object:
        nonlocal tried
        tried += 1
        return fits(self, side, reference)  # type: ignore[arg-type]

    monkeypatch.setattr(Search, "_fits", counted)
    counts = []
    wrong = "claim grad(E, W) == ((a - t)*a*(1 - a)*b) @ x.T\n"
    for also in ("", "claim grad(E, W) == ((a - t)*a*(1 - a)) @ x.T\n"):
        tried = 0
        sheet = f"{LAYER}{wrong}{also}"
        first = check_claims(build_model(parse_sheet(Source("test.sheet", sheet))))[0]
        assert first.suggestion == "grad(E, W) == ((a - t)*a*(1 - a)) @ x.T"
        counts.append(tried)
    assert counts[1] < counts[0]


# --- shapes, numbers, chains, bounds -------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "repair"),
    [
        ("shape(grad(J, V)) == (m, d)", "shape(grad(J, V)) == (d, m)"),
        ("shape(sum(H, axis=1)) == (m, 1)", "shape(sum(H, axis=1)) == (N, 1)"),
        ("shape(sum(H, axis=1)) == (m,)", "shape(sum(H, axis=1)) == (N,)"),
        ("F in R[k, N]", "F in R[N, k]"),
    ],
)
def test_a_wrong_shape_is_put_right(claim: str, repair: str) -> None:
    (verdict,) = judged(RELU, claim)
    assert (verdict.verdict, verdict.suggestion) == (REFUTED, repair)


def test_a_shape_is_written_as_it_was_declared() -> None:
    sheet = "given X in R[N, d + 1]\n"
    (verdict,) = judged(sheet, "shape(X) == (d, N)")
    assert verdict.suggestion == "shape(X) == (N, d + 1)"


def test_a_whole_number_that_is_another_one() -> None:
    (verdict,) = judged("given x in R[4]\n", "trace(outer(x, x))/sumsq(x) + trace(eye(4)) == 6")
    assert verdict.suggestion == "trace(outer(x, x))/sumsq(x) + trace(eye(4)) == 5"
    (verdict,) = judged("given x in R[4]\n", "trace(eye(4)) == 3")
    assert verdict.suggestion == "trace(eye(4)) == 4"


def test_a_value_of_one_computation_is_not_mended() -> None:
    (verdict,) = judged("given x = 2\ny = 3*x\n", "y == 5.00")
    assert verdict.verdict == REFUTED and verdict.suggestion is None


def test_the_broken_link_of_a_chain_is_mended() -> None:
    (verdict,) = judged(QUADRATIC, "hess(f, x) == (A + A.T)/2 == A/2 - A.T/2")
    assert verdict.suggestion == "hess(f, x) == (A + A.T)/2 == A/2 + A.T/2"


def test_a_claim_for_every_entry_is_mended() -> None:
    claim = "grad(E, W)[i, j] == grad(E, z)[j]*x[j] for i in 1..k for j in 1..d"
    (verdict,) = judged(LAYER, claim)
    assert verdict.suggestion == claim.replace("z)[j]", "z)[i]")


def test_an_entry_of_a_matrix_that_is_misprinted() -> None:
    sheet = "given z in R[4]\nlearn w in R[2]\ny = [w[1]*z[1] + w[2]*z[2], w[1]*z[3] + w[2]*z[4]]\n"
    claim = "jac(y, w) == [[z[1], z[3]], [z[2], z[3]]]"
    (verdict,) = judged(sheet, claim)
    assert verdict.suggestion == "jac(y, w) == [[z[1], z[3]], [z[2], z[4]]]"
    assert "Only entry [2, 2] is wrong." in verdict.why


def test_wrong_entries_of_values_are_named() -> None:
    sheet = "given A = [[1, 2], [3, 4]]\nB = A @ A\n"
    (verdict,) = judged(sheet, "B == [[7, 10.5], [15.5, 22]]")
    assert "The wrong entries are [1, 2] and [2, 1]." in verdict.why


def test_a_strict_bound_that_is_an_equality() -> None:
    (verdict,) = judged("given x in R[3]\n", "norm(x) < norm(-x)")
    assert verdict.suggestion == "norm(x) <= norm(-x)"


# --- what the sheet says elsewhere ---------------------------------------------------------------


def test_the_sheets_own_words_are_preferred() -> None:
    wrong = "grad(E, x) == W @ ((a - t)*a*(1 - a))"
    right = "grad(E, x) == W.T @ ((a - t) * a * (1 - a))"
    assert plain(judged(LAYER, wrong, right)[0].suggestion) == plain(right)


@pytest.mark.parametrize(
    ("claim", "names"),
    [
        # r is built on c, so that `c == r*1/d` explains nothing; the claim may name it itself.
        ("c == 1/d", {"a", "b", "d"}),
        ("c == r**2/d", {"r", "d"}),
    ],
)
def test_what_is_asked_is_not_mended_by_what_is_built_on_it(claim: str, names: set[str]) -> None:
    sheet = "given a, b, d in Rpos\nc = exp(a)*b\nr = c*d\n"
    (verdict,) = judged(sheet, claim)
    assert verdict.suggestion is not None
    assert set(re.findall(r"\b[abdr]\b", verdict.suggestion)) <= names


def test_what_is_told_elsewhere_says_in_how_many_places_it_differs() -> None:
    right = "grad(E, W) == ((a - t)*a*(1 - a)) @ x.T"
    wrong = "grad(E, W) == ((a + t)*a*(1 - a)) @ x"
    verdict, _ = judged(LAYER, wrong, right)
    assert plain(verdict.suggestion) == plain(right)
    assert "differs in 2 places" in verdict.why
    assert caret_diff(wrong, right)[2].split() == ["^", "^"]
    single, _ = judged(LAYER, "grad(E, W) == ((a + t)*a*(1 - a)) @ x.T", right)
    assert plain(single.suggestion) == plain(right) and "places" not in single.why


@pytest.mark.parametrize(
    ("claim", "suggestion", "mistake"),
    [
        ("g == a - b", "g == a + b", "a sign"),
        ("g == W @ x", "g == W.T @ x", "a transpose"),
        ("g == a1", "g == a2", "a name"),
        ("g == 2*a", "g == 3*a", "a number"),
        ("g == a", "g == sum(a)", "a part of it"),
        ("g == a*b", "g == a*(1 - b)*c", "more than one part of it"),
        ("g == a*b", "g == a*b*c", "a part of it"),
    ],
)
def test_what_was_wrong_is_named_from_the_places(claim: str, suggestion: str, mistake: str) -> None:
    assert told_mistake(differing(claim, suggestion)) == mistake


def test_a_dropped_path_is_found_in_the_difference() -> None:
    sheet = (
        "given x1, x2, g in R[n]\nlearn W in R[n, n]\n"
        "h1 = tanh(W @ x1)\nh2 = W @ h1\nL = g.T @ h2\n"
    )
    (verdict,) = judged(sheet, "grad(L, W) == g @ h1.T")
    assert verdict.suggestion is None or judged(sheet, verdict.suggestion)[0].holds


# --- undeclared facts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sheet", "claim", "fact"),
    [
        (QUADRATIC, "grad(f, x) == A @ x - b", "A is symmetric"),
        (MATRICES, "A @ B == B @ A", "A and B commute"),
        (MATRICES, "A @ A.T == eye(n)", "A is orthogonal"),
        (MATRICES, "C.T @ C == eye(m)", None),
        ("given Y in R[N, K]\n", "Y @ ones(K) == ones(N)", "the rows of Y sum to one"),
        ("given a, x in R[n]\n", "sumsq(a @ (a.T @ x)) == (a.T @ x)**2", "a has length 1"),
        ("given q, z in R[n]\n", "sum(q*(z - 1)) == q.T @ z - 1", "q sums to one"),
        ("given x in R\n", "sqrt(x**2) == x", "x is positive"),
    ],
)
def test_a_fact_that_nobody_declared_is_named(sheet: str, claim: str, fact: str | None) -> None:
    (verdict,) = judged(sheet, claim)
    assert verdict.verdict == REFUTED
    if fact is None:
        assert "It would be true" not in verdict.why
    else:
        assert f"It would be true if {fact}." in verdict.why


def test_a_declared_fact_is_not_asked_for() -> None:
    sheet = QUADRATIC.replace("A in R[n, n]", "A in sym[n]")
    (verdict,) = judged(sheet, "grad(f, x) == A @ x + b")
    assert "It would be true" not in verdict.why


# --- display -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "suggestion", "carets"),
    [
        ("g == W @ d", "g == W.T @ d", "       ^"),
        ("g == a - t", "g == t - a", "     ^   ^"),
        ("g == 2*x", "g == x", "     ^^"),
        ("g == x", "g == x/N", "      ^"),
    ],
)
def test_carets_stand_under_the_place(claim: str, suggestion: str, carets: str) -> None:
    assert caret_diff(claim, suggestion) == (claim, suggestion, carets)


def test_distance_counts_tokens() -> None:
    assert token_distance("W @ x", "W.T @ x") == 1
    assert token_distance("y - p", "p - y") == 2
    assert token_distance("a*(1 - a)", "a * (1 - a)") == 0
