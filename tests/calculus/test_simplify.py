"""Readable forms of gradients: by hand, and always with the value of what they came from."""

from __future__ import annotations

from fractions import Fraction

import pytest

from backproof.calculus import ratios
from backproof.calculus.backward import Backward
from backproof.calculus.model import Model, build_model
from backproof.calculus.notation import syntax, text
from backproof.calculus.products import Products
from backproof.calculus.simplify import Simplifier
from backproof.errors import InternalContradiction, Source
from backproof.language import syntax as ast
from backproof.language.sheet import parse_sheet
from backproof.language.statements import parse_expression

BCE = """
given y in {0, 1}
given alpha, beta in Rpos
learn z in R
a = sigmoid(z)
L = -(y*log(a) + (1 - y)*log(1 - a))
"""


def model_of(sheet: str) -> Model:
    return build_model(parse_sheet(Source("test", sheet)))


def gradient(sheet: str, wrt: str) -> str:
    """The readable gradient of L, as text."""
    model = model_of(sheet)
    back = Backward(model, model.leaves["L"], ast.Name("L"), wrt)
    return text(Products(set(model.definitions), back.spellings())(back.value))


def simplified(sheet: str, expression: str) -> str:
    model = model_of(sheet)
    node = model.node(parse_expression(Source("test", expression)))
    return text(Products(set(model.definitions))(Simplifier(model)(node)))


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("(-(y/a) + (1 - y)/(1 - a))*(a*(1 - a))", "a - y"),
        ("-(y/a - (1 - y)/(1 - a))*a*(1 - a)", "a - y"),
        ("a*(1 - a)/a", "1 - a"),
        ("y*y", "y"),  # a label is 0 or 1
        ("(a**2 - y**2)/(a - y)", "(a**2 - y)/(a - y)"),
        ("(a**2 - 1)/(a - 1)", "a + 1"),
        ("alpha*a/alpha", "a"),
        ("2*a + 3*a", "5*a"),
    ],
)
def test_fractions_cancel(expression: str, shown: str) -> None:
    assert simplified(BCE, expression) == shown


def test_sigmoid_meets_its_cross_entropy() -> None:
    assert gradient(BCE, "z") == "a - y"


def test_weighted_logistic_stays_in_two_terms() -> None:
    sheet = BCE.replace("-(y*log(a) + (1 - y)*", "-(alpha*y*log(a) + beta*(1 - y)*")
    assert gradient(sheet, "z") == "beta*a*(1 - y) - alpha*y*(1 - a)"


SOFTMAX = """
given X in R[N, D]
given Y in {labels}[N, K]
given lambda in Rpos
learn W in R[D, K], b in R[1, K]
S = X @ W + b
P = softmax(S)
L = cross_entropy(P, Y) + lambda*sumsq(W)
"""


def test_softmax_with_cross_entropy() -> None:
    sheet = SOFTMAX.replace("{labels}", "onehot")
    assert gradient(sheet, "W") == "X.T @ (P - Y)/N + 2*lambda*W"
    assert gradient(sheet, "b") == "sum(P - Y, axis=0)/N"
    assert gradient(sheet, "S") == "(P - Y)/N"


def test_without_the_fact_the_sum_stays() -> None:
    model = model_of(SOFTMAX.replace("{labels}", "R"))
    back = Backward(model, model.leaves["L"], ast.Name("L"), "S")
    assert text(Products(set(model.definitions))(back.value)) == "(P*sum(Y, axis=1) - Y)/N"
    assert not back.simplify.notes


def test_the_fact_is_named() -> None:
    model = model_of(SOFTMAX.replace("{labels}", "onehot"))
    back = Backward(model, model.leaves["L"], ast.Name("L"), "S")
    assert back.value is not None
    assert list(back.simplify.notes) == ["the rows of Y sum to one (Y is declared onehot)"]


def test_autoencoder_is_a_chain_of_diagonals() -> None:
    sheet = """
given x in (0, 1)[4]
learn W1 in R[3, 4], b1 in R[3]
learn W2 in R[4, 3], b2 in R[4]
z1 = W1 @ x + b1
a1 = sigmoid(z1)
z2 = W2 @ a1 + b2
a2 = sigmoid(z2)
L = norm(a2 - x)**2
"""
    assert gradient(sheet, "W1") == (
        "diag(a1*(1 - a1)) @ W2.T @ diag(a2*(1 - a2)) @ (2*(a2 - x)) @ x.T"
    )


def test_names_of_the_sheet_are_used() -> None:
    sheet = """
given X in R[N, D]
given Y in onehot[N, K]
learn W in R[D, K]
S = X @ W
s = sum(S*Y, axis=1)
L = hinge(S, Y)
M = (1 - Y)*step(S - s + 1)
"""
    assert gradient(sheet, "S") == "(M - Y*sum(M, axis=1))/N"


def test_a_batch_keeps_entrywise_products() -> None:
    sheet = """
given X in R[d, m]
given Y in {0, 1}[1, m]
learn W1 in R[h, d], W2 in R[1, h]
Z1 = W1 @ X
A1 = relu(Z1)
Z2 = W2 @ A1
A2 = sigmoid(Z2)
L = bce(A2, Y)
"""
    assert gradient(sheet, "W1") == "((W2.T @ (A2 - Y))*step(Z1)) @ X.T/m"


def test_a_symmetric_matrix_is_its_transpose() -> None:
    sheet = "given A in sym[n]\nlearn w in R[n]\nL = w.T @ A @ w"
    assert gradient(sheet, "w") == "2*A @ w"


def test_sums_with_an_index_become_arrays() -> None:
    sheet = """
given X in R[N, d]
given y in {0, 1}[N]
learn w in R[d]
z = X @ w
a = sigmoid(z)
L = -sum(y[i]*log(a[i]) + (1 - y[i])*log(1 - a[i]) for i in 1..N)/N
"""
    assert gradient(sheet, "w") == "X.T @ (a - y)/N"


def test_cost_grows_linearly_with_depth() -> None:
    """A node of every layer is visited a fixed number of times, however deep the network is."""
    sizes = []
    for depth in (10, 20, 40):
        lines = ["given x, y in R[d]", *(f"learn W{k} in R[d, d]" for k in range(1, depth + 1))]
        for k in range(1, depth + 1):
            lines += [f"a{k} = tanh(W{k} @ {f'a{k - 1}' if k > 1 else 'x'})"]
        lines.append(f"L = sse(a{depth}, y)")
        model = model_of("\n".join(lines))
        back = Backward(model, model.leaves["L"], ast.Name("L"), "W1")
        write = Products(set(), back.spellings())
        assert max(len(text(write(line.value))) for line in back.lines.values()) < 1200
        sizes.append(len(model.graph._interned))
    assert sizes[2] - sizes[1] < 2.5 * (sizes[1] - sizes[0])


def test_a_wrong_simplification_is_raised() -> None:
    model = model_of(BCE)
    node = model.leaves["a"]
    with pytest.raises(InternalContradiction, match="This is a bug in backproof"):
        Simplifier(model).check(node, node + 1)


def test_ratios_divide_exactly() -> None:
    a, b = ratios.atom(1), ratios.atom(2)
    square = ratios.plus([ratios.to_power(a, 2), ratios.times(ratios.constant(-1), b)])
    assert ratios.times(square, ratios.to_power(square, -1)) == ratios.constant(1)
    half = ratios.plus([ratios.times(ratios.constant(Fraction(1, 2)), a)] * 2)
    assert half == a
    assert ratios.plus([a, ratios.times(ratios.constant(-1), a)]).coefficient == 0


def test_what_one_simplifier_notes_another_does_not() -> None:
    """What they learn of the names is shared; what they meet afterwards is their own."""
    model = model_of("given Y in onehot[N, K]\ngiven P in R[N, K]\nQ = 2*P\n")
    node = model.node(parse_expression(Source("test", "sum(Y, axis=1)")))
    first = Simplifier(model)
    first(node)
    assert list(first.notes) == ["the rows of Y sum to one (Y is declared onehot)"]
    second = Simplifier(model)
    assert not second.notes
    second(node)
    assert list(second.notes) == list(first.notes)


CENTRED = """
given x in R[n]
learn g in R
μ = mean(x)
v = mean((x - μ)**2)
h = (x - μ)/sqrt(v + 0.01)
L = g*sumsq(h)
"""


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("h/sqrt(v + 0.01)**2", "h/(v + 0.01)"),
        ("1/(2*(v + 0.01))", "1/(2*(v + 0.01))"),  # never 50/(100*v + 1)
        ("sum(x - μ)", "0"),
        ("sum(g*(μ - x))", "0"),
        ("sum(x - v)", "sum(x - v)"),  # v is no mean of x
    ],
)
def test_roots_decimals_and_deviations_from_a_mean(expression: str, shown: str) -> None:
    assert simplified(CENTRED, expression) == shown


def test_deviations_from_a_mean_are_noted() -> None:
    model = model_of(CENTRED)
    short = Simplifier(model)
    short(model.node(parse_expression(Source("test", "sum(x - μ)"))))
    assert list(short.notes) == ["μ is the mean of x, so the differences sum to zero"]


def test_a_sign_stands_before_a_sum() -> None:
    sheet = """
given X, T in R[N, d]
learn g in R[1, d], s in Rpos
H = X/s
Y = g*H
L = sumsq(Y - T)/2
"""
    assert "sum(-" not in gradient(sheet, "s")
    model = model_of("given H, Y, T in R[N, d]\nlearn g in R[1, d]\nL = sum(g*H*(Y - T))\n")
    node = model.node(parse_expression(Source("test", "sum(-(g*H*(Y - T)), axis=0)")))
    short = Simplifier(model)(node)
    assert text(syntax(short)) == "-g*sum(H*(Y - T), axis=0)"
