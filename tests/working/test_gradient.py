"""`ask gradient`: the lines of the working, by hand, and their values against NumPy."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.sheets import SIAMESE, model_of

from backproof.errors import NameProblem, ShapeProblem, SheetError, Source
from backproof.language.statements import parse_expression
from backproof.working.answer import answer_question
from backproof.working.gradient import gradient_working
from backproof.working.steps import Step, Working

MATRIX_FORM = "diag(step(zA1)) @ W2.T @ (a2 - y) @ xA.T - diag(step(zB1)) @ W2.T @ (a2 - y) @ xB.T"


def work(sheet: str, wrt: str, target: str = "L") -> Working:
    of, by = (parse_expression(Source("test", t)) for t in (target, wrt))
    return gradient_working(model_of(sheet), of, by)


def texts(working: Working, kind: str) -> list[str]:
    return [s.text for s in working.steps if s.kind == kind]


def result(working: Working) -> str:
    return texts(working, "result")[0].partition(" = ")[2]


def line(working: Working, start: str) -> Step:
    return next(s for s in working.steps if s.text.startswith(start))


# --- the Siamese network ---------------------------------------------------------------------


def test_the_paths_come_first() -> None:
    steps = work(SIAMESE, "W1").steps
    assert steps[0].kind == "heading"
    assert [s.text for s in steps[1:3]] == [
        "L → a2 → z2 → a1 → aA1 → zA1 → W1",
        "L → a2 → z2 → a1 → aB1 → zB1 → W1",
    ]


def test_the_chain_is_a_product_of_named_factors_with_shapes() -> None:
    chain = [s for s in work(SIAMESE, "W1").steps if s.kind == "chain"]
    assert chain[0].text == (
        "∂L/∂W1 = ∂zA1/∂W1 @ ∂aA1/∂zA1 @ ∂a1/∂aA1 @ ∂z2/∂a1 @ ∂a2/∂z2 @ ∂L/∂a2"
    )
    assert chain[0].because == (
        "shapes (3 × 4 × 3) @ (3 × 3) @ (3 × 3) @ (3 × 1), times two numbers"
    )
    assert chain[1].text.startswith("+ ∂zB1/∂W1 @ ∂aB1/∂zB1 @ ∂a1/∂aB1")


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("∂zA1/∂W1 · v = v @ xA.T", (3, 4, 3)),
        ("∂aA1/∂zA1 = diag(step(zA1))", (3, 3)),
        ("∂a1/∂aA1 = eye(3)", (3, 3)),
        ("∂a1/∂aB1 = -eye(3)", (3, 3)),
        ("∂z2/∂a1 = W2.T", (3,)),
        ("∂a2/∂z2 = a2*(1 - a2)", ()),
        ("∂L/∂a2 = (1 - y)/(1 - a2) - y/a2", ()),
        ("∂L/∂z2 = ((1 - y)/(1 - a2) - y/a2)*a2*(1 - a2)", ()),
        ("∂L/∂z2 = a2 - y", ()),
    ],
)
def test_every_local_derivative_has_its_line(text: str, shape: tuple[int, ...]) -> None:
    step = next(s for s in work(SIAMESE, "W1").steps if s.text == text)
    assert step.shape == shape
    assert step.verified is not None
    assert step.verified.points == 2
    assert step.verified.failed == 0


def test_the_rule_of_the_tensor_is_named() -> None:
    step = line(work(SIAMESE, "W1"), "∂zA1/∂W1 · v")
    assert step.because == (
        "the rule ∇_W(W x)·v = v xᵀ; the tensor 3 × 4 × 3 itself is never built"
    )


def test_the_un_simplified_line_stands_before_the_simplified_one() -> None:
    shown = [s.text for s in work(SIAMESE, "W1").steps if s.text.startswith("∂L/∂z2")]
    assert shown == ["∂L/∂z2 = ((1 - y)/(1 - a2) - y/a2)*a2*(1 - a2)", "∂L/∂z2 = a2 - y"]


def test_the_sum_over_the_paths_and_the_matrix_form() -> None:
    working = work(SIAMESE, "W1")
    assert any(
        s.text == "∂L/∂W1 = grad(L, zA1) @ xA.T + grad(L, zB1) @ xB.T" for s in working.steps
    )
    assert result(working) == MATRIX_FORM
    step = line(working, f"∂L/∂W1 = {MATRIX_FORM}")
    assert step.shape == (3, 4)
    assert step.verified is not None
    assert step.verified.points == 3
    assert step.latex == (
        r"\frac{\partial L}{\partial W^{[1]}} = \operatorname{diag}\left(\mathbb{1}\left["
        r"z^{[1]}_{A} > 0\right]\right)\, W^{[2]\top}\, \left(a^{[2]} - y\right)\, "
        r"x_{A}^{\top} - \operatorname{diag}\left(\mathbb{1}\left[z^{[1]}_{B} > 0\right]\right)\, "
        r"W^{[2]\top}\, \left(a^{[2]} - y\right)\, x_{B}^{\top}"
    )


def test_the_entries_are_written_with_their_own_indices() -> None:
    working = work(SIAMESE, "W1")
    assert line(working, "∂L/∂W1[i, j]").text == (
        "∂L/∂W1[i, j] = (a2 - y)*step(zA1[i])*W2[1, i]*xA[j] - (a2 - y)*step(zB1[i])*W2[1, i]*xB[j]"
    )
    entries = [s for s in working.steps if re.match(r"∂L/∂W1\[\d, \d\]", s.text)]
    assert len(entries) == 1  # twelve alike would say no more than the general one
    assert "step(zA1[1])*W2[1, 1]*xA[1]" in entries[0].text


def test_a_name_of_the_sheet_is_shown_beside_what_it_stands_for() -> None:
    working = work(SIAMESE + "DA = diag(step(zA1))\nDB = diag(step(zB1))\n", "W1")
    assert line(working, "∂aA1/∂zA1").text == "∂aA1/∂zA1 = diag(step(zA1)) = DA"
    assert result(working) == "DA @ W2.T @ (a2 - y) @ xA.T - DB @ W2.T @ (a2 - y) @ xB.T"
    assert line(working, "∂L/∂W1[1, 1]").text == (
        "∂L/∂W1[1, 1] = (a2 - y)*step(zA1[1])*W2[1, 1]*xA[1] - (a2 - y)*step(zB1[1])*W2[1, 1]*xB[1]"
    )


def test_the_result_can_be_pasted_as_a_claim() -> None:
    for name in ("W1", "b1", "W2", "b2"):
        model = model_of(SIAMESE)
        shown = result(gradient_working(model, "L", name))
        node = model.node(parse_expression(Source("test", shown)))
        assert model.graph.resolve_shape(node.shape) == model.shape(name)


def test_numerator_layout_turns_the_chain_round() -> None:
    working = work(SIAMESE + "layout numerator\n", "W1")
    assert texts(working, "chain")[0] == (
        "∂L/∂W1 = ∂L/∂a2 @ ∂a2/∂z2 @ ∂z2/∂a1 @ ∂a1/∂aA1 @ ∂aA1/∂zA1 @ ∂zA1/∂W1"
    )
    assert line(working, "∂z2/∂a1").text == "∂z2/∂a1 = W2"
    assert line(working, "∂z2/∂a1").shape == (1, 3)
    assert line(working, "∂zA1/∂W1").shape == (3, 3, 4)
    assert result(working) == MATRIX_FORM


def test_kinks_are_said() -> None:
    assert texts(work(SIAMESE, "W1"), "note") == [
        "The derivative does not exist where an entry of zA1 or zB1 is 0 (a kink); "
        "there step(0) = 0 is taken."
    ]


# --- batches, deep networks ------------------------------------------------------------------

SOFTMAX = """
given X in R[N, D]
given Y in onehot[N, K]
given lambda in Rpos
learn W in R[D, K]
S = X @ W
P = softmax(S)
L = cross_entropy(P, Y) + lambda*sumsq(W)
"""


def test_a_batch_is_worked_line_by_line() -> None:
    working = work(SOFTMAX, "W")
    assert not texts(working, "chain")  # tensors of four axes are not written as products
    shown = [s.text for s in working.steps]
    assert "∂L/∂S = (P - Y)/N" in shown
    assert "∂L/∂W = X.T @ grad(L, S) + 2*lambda*W" in shown
    assert result(working) == "X.T @ (P - Y)/N + 2*lambda*W"
    assert "Used: the rows of Y sum to one (Y is declared onehot)." in shown


def test_the_hinge_names_its_indicator_matrix() -> None:
    sheet = SOFTMAX.replace("P = softmax(S)\n", "").replace("cross_entropy(P", "hinge(S")
    working = work(sheet, "W")
    assert line(working, "M = ").text == "M = (1 - Y)*step(S - sum(Y*S, axis=1) + 1)"
    assert result(working) == "X.T @ (M - Y*sum(M, axis=1))/N + 2*lambda*W"


def deep(depth: int) -> str:
    lines = ["given x, y in R[d]", *(f"learn W{k} in R[d, d]" for k in range(1, depth + 1))]
    for k in range(1, depth + 1):
        lines += [f"z{k} = W{k} @ {f'a{k - 1}' if k > 1 else 'x'}", f"a{k} = tanh(z{k})"]
    return "\n".join([*lines, f"L = sse(a{depth}, y)"])


def test_a_deep_network_stays_readable() -> None:
    working = work(deep(30), "W1")
    assert len(working.steps) < 60
    assert max(len(s.text) for s in working.steps) < 160
    assert texts(working, "path") == ["L → a30 → z30 → a29 → z29 → … 53 more … → z2 → a1 → z1 → W1"]
    assert result(working) == "grad(L, z1) @ x.T"


def test_many_paths_are_counted() -> None:
    lines = ["given x, y in R[d]", "learn W in R[d, d]", "h0 = x"]
    lines += [f"h{k} = h{k - 1} + tanh(W @ h{k - 1})" for k in range(1, 9)]
    working = work("\n".join([*lines, "L = sse(h8, y)"]), "W")
    assert len(texts(working, "path")) == 6
    assert any("… and 2 more." in t for t in texts(working, "note"))


# --- zero, not connected, not defined, held fixed --------------------------------------------


def test_not_connected_is_said() -> None:
    working = work("given x in R[2]\nlearn w, q in R[2]\nL = sum(w*x)", "q")
    assert texts(working, "note") == ["L is not connected to q: no path of the tree leads there."]


def test_what_is_held_fixed_passes_nothing_on() -> None:
    working = work("learn w in R[2]\nz = stop(w)\nL = sum(z)", "w")
    assert result(working) == "zeros(2)"
    assert working.data["connected"] and working.data["zero"]


def test_a_value_exactly_on_a_kink_is_warned_about() -> None:
    sheet = "given x = [1, 2]\nlearn w = [[2, -1], [1, 1]]\nz = w @ x\nL = sum(relu(z))"
    (warning,) = texts(work(sheet, "w"), "warning")
    assert warning == (
        "At the sheet's values z[1] is exactly 0: the derivative is not defined here; "
        "step(0) = 0 is taken."
    )


def test_errors_are_ours() -> None:
    with pytest.raises(ShapeProblem, match="A gradient needs a number to differentiate"):
        work(SIAMESE, "W1", "a1")
    with pytest.raises(NameProblem, match="W9 is not defined"):
        work(SIAMESE, "W9")


# --- values ----------------------------------------------------------------------------------


def test_values_agree_with_numpy() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3, 1)).round(2)
    W = rng.normal(size=(2, 3)).round(2)
    v = rng.normal(size=(1, 2)).round(2)
    sheet = (
        f"given x = {x.ravel().tolist()}\ngiven y = 1\n"
        f"learn W = {W.tolist()}\nlearn v = {v.tolist()}\n"
        "round 6 end\nz = W @ x\na = tanh(z)\np = sigmoid(v @ a)\n"
        "L = -(y*log(p) + (1 - y)*log(1 - p))"
    )

    def loss(m: np.ndarray) -> float:
        return float(np.log1p(np.exp(-v @ np.tanh(m @ x)))[0, 0])

    wanted = np.zeros_like(W)
    for at in np.ndindex(*W.shape):
        move = np.zeros_like(W)
        move[at] = 1e-6
        wanted[at] = (loss(W + move) - loss(W - move)) / 2e-6
    step = [s for s in work(sheet, "W").steps if s.value is not None][-1]
    assert np.allclose(np.array(step.value, dtype=float), wanted, atol=2e-6)


def test_an_entry_can_be_asked_for() -> None:
    working = work(SIAMESE, "W1[2, 3]")
    assert texts(working, "result")[-1] == "∂L/∂W1[2, 3] = grad(L, W1)[2, 3]"
    assert working.steps[-1].shape == ()


def test_what_has_no_matrix_form_is_not_given_one() -> None:
    sheet = """
given X in R[N, d]
learn M in R[K, d]
L = sum(sumsq(X[i, :] - M[k, :]) for i in 1..N for k in 1..K)
"""
    (step,) = [s for s in work(sheet, "M").steps if s.kind == "result"]
    assert step.text == "∂L/∂M = grad(L, M)"
    assert step.because.startswith("no matrix form in the sheet language")
    assert step.verified is not None


def test_a_sheet_that_learns_nothing_has_no_gradient() -> None:
    with pytest.raises(SheetError, match="This sheet learns nothing, so there is no parameter"):
        answer_question(model_of("given x in R[3]\nL = sum(x)\n"), "gradient L")
