"""Each rule of the algebra on an identity worked by hand, beside a neighbour that is false."""

from __future__ import annotations

from fractions import Fraction

from backproof.calculus.index import (
    ONE,
    ZERO,
    Budget,
    Expr,
    Ix,
    Size,
    absolute,
    before,
    const,
    delta,
    dim_expr,
    entry,
    eq,
    exp,
    expand_dims,
    func,
    ind,
    is_zero,
    lit,
    log,
    maximum,
    minimum,
    mul,
    needed_facts,
    power,
    red,
    rename,
    sigmoid,
    sign,
    size,
    softplus,
    split,
    substitute,
    sum_over,
    symbolic_power,
    tanh,
    var,
    where,
)
from backproof.operators.dims import Dim

n, K, N = size("n"), size("K"), size("N")
i, j, k = var("i"), var("j"), var("k")
HALF = Fraction(1, 2)


def num(name: str, *facts: str) -> Expr:
    return entry(name, (), (), frozenset(facts))


def vec(name: str, ix: Ix, s: Size, *facts: str) -> Expr:
    return entry(name, (ix,), (s,), frozenset(facts))


def mean(e: Expr, label: str, s: Size) -> Expr:
    return mul(power(dim_expr(s), -1), sum_over(e, label, s))


def times(*parts: Expr) -> Expr:
    result = ONE
    for part in parts:
        result = mul(result, part)
    return result


z, s, a, y = num("z"), num("s"), num("a"), num("y")


def softmax(at: Ix, scale: Expr = ONE) -> Expr:
    total = sum_over(exp(mul(scale, vec("z", k, K))), "k", K)
    return mul(exp(mul(scale, vec("z", at, K))), power(total, -1))


# --- sums and scalar denominators ---------------------------------------------------------------


def test_sum_of_a_constant_is_the_dimension() -> None:
    assert sum_over(ONE, "i", n) == dim_expr(n)
    assert sum_over(num("c"), "i", n) == mul(num("c"), dim_expr(n))
    assert sum_over(ONE, "i", 3) == const(3)
    assert sum_over(ONE, "i", size(Dim.of("n") + 1)) == dim_expr(n) + 1


def test_bce_gradient_collapses_at_once() -> None:
    inner = mul(y, power(a, -1)) - mul(1 - y, power(1 - a, -1))
    assert times(-inner, a, 1 - a) == a - y


def test_partial_fractions() -> None:
    left = power(a, -1) + power(1 - a, -1)
    assert is_zero(left - times(power(a, -1), power(1 - a, -1)))
    ai = vec("a", i, n)
    inside = times(power(ai, -1), power(1 - ai, -1)) - power(ai, -1) - power(1 - ai, -1)
    assert is_zero(sum_over(mul(vec("x", i, n), inside), "i", n))


def test_powers_of_a_sum() -> None:
    total = sum_over(power(vec("x", i, n), 2), "i", n)
    norm = power(total, HALF)
    assert power(norm, 2) == total
    assert mul(total, power(norm, -1)) == norm
    assert is_zero(mul(power(norm, -3), total) - power(norm, -1))
    assert power(power(z, 2), HALF) == absolute(z)
    assert power(const(12), HALF) == power(const(3), HALF).scaled(2)
    assert power(const(2), -HALF) == power(const(2), HALF).scaled(HALF)
    outer = mul(power(vec("x", i, n), 2), power(vec("y", j, K), 2))
    both = sum_over(sum_over(outer, "i", n), "j", K)
    other = sum_over(power(vec("y", i, K), 2), "i", K)
    assert power(both, HALF) == mul(norm, power(other, HALF))


# --- exp, log, sigmoid ---------------------------------------------------------------------------


def test_exp_and_log() -> None:
    u, v = num("u", "positive"), num("v", "positive")
    assert log(mul(u, v)) == log(u) + log(v)
    assert exp(log(u).scaled(2)) == power(u, 2)
    assert exp(z + s) == mul(exp(z), exp(s))
    assert log(exp(z)) == z
    assert log(const(6)) == log(const(2)) + log(const(3))
    assert log(u + v) != mul(log(u), log(v))
    assert exp(log(z)) == absolute(z)


def test_sigmoid_family() -> None:
    assert sigmoid(z) + sigmoid(-z) == ONE
    assert softplus(z) - softplus(-z) == z
    assert softplus(z) == -log(sigmoid(-z))
    assert log(mul(sigmoid(z), power(1 - sigmoid(z), -1))) == z
    assert tanh(z) == sigmoid(z.scaled(2)).scaled(2) - 1
    assert tanh(-z) == -tanh(z)
    ratio = mul(exp(z) - exp(-z), power(exp(z) + exp(-z), -1))
    assert is_zero(tanh(z) - ratio)
    square = mul(exp(-z), power(1 + exp(-z), -2))
    assert is_zero(square - mul(sigmoid(z), 1 - sigmoid(z)))
    assert not is_zero(square - power(sigmoid(z), 2))
    zi = vec("z", i, n)
    inside = mul(exp(-zi), power(1 + exp(-zi), -2)) - mul(sigmoid(zi), sigmoid(-zi))
    assert is_zero(sum_over(mul(vec("x", i, n), inside), "i", n))


def test_softmax_and_logsumexp() -> None:
    assert sum_over(softmax(i), "i", K) == ONE
    lse = log(sum_over(exp(vec("z", k, K)), "k", K))
    assert log(softmax(i)) == vec("z", i, K) - lse
    shifted = log(sum_over(exp(vec("z", k, K) - num("c")), "k", K)) + num("c")
    assert shifted == lse
    p = softmax(i)
    entropy = -sum_over(mul(p, log(p)), "i", K)
    assert is_zero(entropy - lse + sum_over(mul(p, vec("z", i, K)), "i", K))


def test_rows_of_softmax_inside_a_sum() -> None:
    def row(at: Ix) -> Expr:
        total = sum_over(exp(entry("Z", (var("m"), k), (N, K))), "k", K)
        return mul(exp(entry("Z", (var("m"), at), (N, K))), power(total, -1))

    weighted = mul(vec("x", var("m"), N), sum_over(row(i), "i", K) - 1)
    assert sum_over(weighted, "m", N).is_zero


def test_symbolic_exponents() -> None:
    p, g = num("p", "unit"), num("g")
    lhs = symbolic_power(1 - p, g - 1)
    assert mul(lhs, 1 - p) == symbolic_power(1 - p, g)
    assert symbolic_power(1 - p, const(2)) == power(1 - p, 2)


# --- piecewise -----------------------------------------------------------------------------------


def test_indicators() -> None:
    assert ind(-z) == 1 - ind(z)
    assert mul(ind(z), ind(z)) == ind(z)
    assert ind(z.scaled(3)) == ind(z)
    assert mul(ind(z - 1), ind(z)) == ind(z - 1)
    assert mul(ind(z - 1), ind(-z)).is_zero
    assert ind(mul(num("u", "positive"), z)) == ind(z)
    assert ind(power(z, 2) + 1) == ONE
    assert mul(ind(z - s), ind(s - z)).is_zero
    assert ind(ind(z)) == ind(z)
    assert mul(sign(z), sign(z)) == ONE
    assert mul(z, sign(z)) == absolute(z)
    assert absolute(mul(z, s)) == mul(absolute(z), absolute(s))


def test_antisymmetric_indicator_of_summed_indices() -> None:
    gap = ind(vec("x", i, n) - vec("x", j, n))
    u, v = vec("u", i, n), vec("v", j, n)

    def both(e: Expr) -> Expr:
        return sum_over(sum_over(e, "i", n), "j", n)

    back = rename(gap, {"i": j, "j": i})
    assert both(mul(gap + back - 1, mul(u, v))).is_zero


def test_clip_max_min_where() -> None:
    one = ONE
    clipped = maximum(-one, minimum(one, z))
    assert clipped == minimum(one, maximum(-one, z))
    assert ind(1 - absolute(z)) == mul(ind(1 - z), ind(1 + z))
    assert maximum(z, s) + minimum(z, s) == z + s
    assert where(ind(s - z), s, z) == maximum(s, z)
    assert absolute(z) == maximum(z, -z)


def test_huber() -> None:
    d = num("d", "positive")
    inside = 1 - ind(absolute(z) - d)
    grad = where(inside, z, mul(d, sign(z)))
    assert grad == maximum(-d, minimum(d, z))


# --- facts ---------------------------------------------------------------------------------------


def test_onehot() -> None:
    def pick(at: Ix) -> Expr:
        return vec("Y", at, K, "onehot")

    assert sum_over(pick(i), "i", K) == ONE
    assert mul(pick(i), pick(i)) == pick(i)
    assert mul(pick(i), pick(j)) == mul(delta(i, j, K), pick(i))
    chosen = sum_over(mul(pick(k), softmax(k)), "k", K)
    soft = sum_over(mul(pick(k), log(softmax(k))), "k", K)
    assert log(chosen) == soft
    plain = sum_over(mul(vec("Y", k, K), log(softmax(k))), "k", K)
    assert log(sum_over(mul(vec("Y", k, K), softmax(k)), "k", K)) != plain


def test_binary_and_signs() -> None:
    b, g = num("b", "binary"), num("g", "signs")
    p = sigmoid(z)
    chosen = mul(b, p) + mul(1 - b, 1 - p)
    assert sigmoid(mul(b.scaled(2) - 1, z)) == chosen
    assert where(eq(b - 1), p, 1 - p) == chosen
    assert power(b, 2) == b
    assert power(g, 2) == ONE
    w = sigmoid(mul(-g, z))
    assert is_zero(mul(w, 1 - w) - mul(sigmoid(z), sigmoid(-z)))


def test_sym_diagonal_prob() -> None:
    def at(name: str, fact: str, r: Ix, c: Ix) -> Expr:
        return entry(name, (r, c), (n, n), frozenset({fact}) if fact else frozenset())

    assert at("S", "sym", i, j) == at("S", "sym", j, i)
    assert at("S", "", i, j) != at("S", "", j, i)
    assert at("D", "diagonal", i, j) == mul(delta(i, j, n), at("D", "diagonal", i, i))
    assert sum_over(vec("q", i, K, "prob"), "i", K) == ONE


def test_facts_that_a_proof_needs_are_found_by_leaving_them_out() -> None:
    def holds(facts: frozenset[str]) -> bool:
        y_facts = frozenset({"onehot"}) & facts
        total = sum_over(entry("Y", (i,), (K,), y_facts), "i", K)
        return is_zero(total - 1)

    assert needed_facts(["onehot", "positive"], holds) == ["onehot"]


# --- deltas, ranges, composites, triangles -----------------------------------------------------


def test_delta_is_eliminated() -> None:
    inner = mul(delta(i, j, n), vec("x", j, n))
    assert sum_over(inner, "j", n) == vec("x", i, n)
    assert inner == mul(delta(i, j, n), vec("x", i, n))
    assert mul(delta(i, lit(2), n), vec("x", i, n)) == mul(delta(i, lit(2), n), vec("x", lit(2), n))
    assert sum_over(mul(delta(i, lit(2), n), vec("x", i, n)), "i", n) == vec("x", lit(2), n)
    assert mul(delta(i, lit(1), n), delta(i, lit(2), n)).is_zero


def test_concat_of_two_parts() -> None:
    m = size("m")
    both = size(Dim.of("n") + Dim.of("m"))
    top = sum_over(mul(delta(i, k, both, n), vec("a", k, n)), "k", n)
    low = sum_over(mul(delta(i, var("k", n), both, m), vec("c", k, m)), "k", m)
    joined = top + low
    squares = sum_over(mul(joined, joined), "i", both)
    expected = sum_over(power(vec("a", k, n), 2), "k", n)
    expected = expected + sum_over(power(vec("c", k, m), 2), "k", m)
    assert squares == expected


def test_range_of_a_vector() -> None:
    part = vec("x", var("k", 1), 5)
    total = sum_over(part, "k", 3)
    assert expand_dims(total) == vec("x", lit(2), 5) + vec("x", lit(3), 5) + vec("x", lit(4), 5)


def test_kron_products() -> None:
    m, p, q, r, t = (size(x) for x in "mpqrt")
    rows, cols, inner = var("I"), var("J"), var("L")

    def kron(one: Expr, two: Expr, at: tuple[Ix, Ix], sizes: tuple[Size, ...]) -> Expr:
        left = split(at[0], (var("a"), var("b")), (sizes[0], sizes[2]))
        right = split(at[1], (var("c"), var("d")), (sizes[1], sizes[3]))
        e = times(left, right, one, two)
        for label, s_ in zip(("a", "c", "b", "d"), sizes, strict=True):
            e = sum_over(e, label, s_)
        return e

    def entry2(name: str, row: str, col: str, s1: Size, s2: Size) -> Expr:
        return entry(name, (var(row), var(col)), (s1, s2))

    first = kron(
        entry2("A", "a", "c", m, p), entry2("B", "b", "d", q, r), (rows, inner), (m, p, q, r)
    )
    second = kron(
        entry2("C", "a", "c", p, n), entry2("D", "b", "d", r, t), (inner, cols), (p, n, r, t)
    )
    both = sum_over(mul(first, second), "L", size(Dim.of("p") * Dim.of("r")))
    ac = sum_over(mul(entry2("A", "a", "e", m, p), entry2("C", "e", "c", p, n)), "e", p)
    bd = sum_over(mul(entry2("B", "b", "e", q, r), entry2("D", "e", "d", r, t)), "e", r)
    assert both == kron(ac, bd, (rows, cols), (m, n, q, t))


def test_triangles() -> None:
    entry_ = entry("A", (i, j), (n, n))
    low, up = before(j, i, n), before(i, j, n)
    assert mul(low + up + delta(i, j, n), entry_) == entry_
    assert mul(low, up).is_zero
    assert mul(low, delta(i, j, n)).is_zero


# --- normalisation, reductions, trigonometry ---------------------------------------------------


def test_layernorm() -> None:
    eps = num("eps", "positive")
    x = vec("x", i, n)
    mu = mean(x, "i", n)
    v = mean(power(x - mu, 2), "i", n)
    h = mul(x - mu, power(v + eps, -HALF))
    assert sum_over(h, "i", n).is_zero
    total = sum_over(power(h, 2), "i", n)
    assert is_zero(total - times(dim_expr(n), v, power(v + eps, -1)))
    assert not is_zero(total - dim_expr(n))
    plain = mul(x - mu, power(v, -HALF))
    assert is_zero(sum_over(power(plain, 2), "i", n) - dim_expr(n))


def test_layernorm_of_rows_inside_a_sum() -> None:
    x = entry("X", (var("m"), i), (N, n))
    centred = x - mean(x, "i", n)
    v = mean(power(centred, 2), "i", n)
    h = mul(centred, power(v, -HALF))
    weight = vec("w", var("m"), N)
    total = sum_over(mul(weight, sum_over(power(h, 2), "i", n)), "m", N)
    assert is_zero(total - mul(dim_expr(n), sum_over(weight, "m", N)))


def test_reductions() -> None:
    x = vec("x", i, n)
    top = red("max", x, ("i",), (n,))
    assert red("max", x.scaled(2) + num("c"), ("i",), (n,)) == top.scaled(2) + num("c")
    assert red("min", -x, ("i",), (n,)) == -top
    u = vec("u", i, n, "positive")
    whole = red("prod", u, ("i",), (n,))
    assert log(whole) == sum_over(log(u), "i", n)
    three = red("prod", vec("x", i, 3), ("i",), (3,))
    assert expand_dims(three) == times(*[vec("x", lit(p), 3) for p in (1, 2, 3)])


def test_trigonometry() -> None:
    sine, cosine = func("sin", z), func("cos", z)
    assert power(sine, 2) + power(cosine, 2) == ONE
    assert func("sin", z.scaled(2)) == mul(sine, cosine).scaled(2)
    assert func("cos", z + s) == mul(cosine, func("cos", s)) - mul(sine, func("sin", s))
    assert func("sin", -z) == -sine
    assert func("erf", -z) == -func("erf", z)


def test_substitute_goes_into_functions() -> None:
    body = exp(vec("h", i, n)) + power(1 + vec("h", i, n), -1)
    unfolded = substitute(body, {"h": (("q",), mul(num("w"), vec("x", var("q"), n)))})
    wx = mul(num("w"), vec("x", i, n))
    assert unfolded == exp(wx) + power(1 + wx, -1)
    assert substitute(body, {"other": ((), ZERO)}) == body


# --- the fallbacks of the zero test --------------------------------------------------------------


def test_every_sign_pattern() -> None:
    u, v, w = num("u"), num("v"), num("w")
    one = maximum(u, maximum(v, w))
    assert is_zero(one - maximum(w, maximum(v, u)))
    assert not is_zero(one - maximum(w, v))
    assert is_zero(absolute(u - v) - maximum(u, v) + minimum(u, v))
    top = red("max", vec("x", i, 3), ("i",), (3,))
    x1, x2, x3 = (vec("x", lit(p), 3) for p in (1, 2, 3))
    assert is_zero(top - maximum(x2, maximum(x3, x1)))


def test_products_of_roots() -> None:
    left = power(a, 2) + power(y, 2)
    right = power(z, 2) + 1
    assert is_zero(power(mul(left, right), HALF) - mul(power(left, HALF), power(right, HALF)))
    assert not is_zero(power(left, HALF) - a - y)
    assert power(power(a - y, 2), HALF) == absolute(a - y)
    assert power(power(a, 2) + mul(a, y).scaled(2) + power(y, 2), -1) == power(a + y, -2)
    assert is_zero(power(a + y, -1) - mul(a - y, power(power(a, 2) - power(y, 2), -1)))


def test_a_budget_that_runs_out_proves_nothing() -> None:
    terms = [num(f"t{p}") for p in range(12)]
    wide = power(1 + sum(terms, ZERO), -6) - power(2 + sum(terms, ZERO), -6)
    assert not is_zero(wide, budget=Budget(seconds=0.05))
