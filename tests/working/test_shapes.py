"""Shapes: of names and expressions, where dimensions come from, what is stretched, totals."""

from __future__ import annotations

import pytest

from backproof.errors import NameProblem, ShapeProblem
from backproof.working.shapes import shapes_working

from .sheets import SIAMESE, expr, lines, model


def test_every_name_of_the_siamese_network_has_its_shape() -> None:
    working = shapes_working(model(SIAMESE))
    shapes = {s.label: s.shape for s in working.steps if s.shape is not None}
    assert shapes == {
        "xA": (4,), "xB": (4,), "y": (), "W1": (3, 4), "b1": (3,), "W2": (1, 3), "b2": (),
        "zA1": (3,), "aA1": (3,), "zB1": (3,), "aB1": (3,), "a1": (3,), "z2": (), "a2": (), "L": (),
    }  # fmt: skip
    assert working.ask == "shapes"


def test_columns_rows_and_numbers_are_called_so() -> None:
    text = lines(shapes_working(model(SIAMESE)))
    assert "xA in R[4]: a column of 4 (4 × 1)" in text
    assert "W2 in R[1, 3]: a row of 3 (1 × 3)" in text
    assert "z2 = W2 @ a1 + b2: a number" in text


def test_the_exam_dimensions_and_where_they_come_from() -> None:
    m = model(
        "let N = 1000\ngiven X in R[N, 3*28*28 + 1]\ngiven Y in onehot[N, K]\n"
        "learn W in R[d, 3]\nP = softmax(X @ W)\nL = cross_entropy(P, Y)\n"
    )
    working = shapes_working(m, (expr("X"), expr("W"), expr("P - Y"), expr("grad(L, W)")))
    assert [s.shape for s in working.steps if s.shape is not None] == [
        (1000, 2353), (2353, 3), (1000, 3), (2353, 3),
    ]  # fmt: skip
    text = lines(working)
    assert "d = 2353, from X @ W (1000 × 2353 times d × 3)" in text
    assert "N = 1000" in text
    assert working.ask == "shapes X, W, P - Y, grad(L, W)"
    assert "K = 3, from cross_entropy(P, Y) (1000 × 3 against 1000 × K)" in lines(shapes_working(m))


def test_a_dimension_from_a_value() -> None:
    text = lines(shapes_working(model("given X in R[N, d] = [[1, 2], [3, 4], [5, 6]]\ny = 2*X")))
    assert "N = 3, from the value of X" in text
    assert "d = 2, from the value of X" in text


def test_letters_stay_letters() -> None:
    text = lines(
        shapes_working(model("given X in R[N, D]\nlearn W in R[D + 1, K]\nZ = X @ W[1:D, :]"))
    )
    assert "W in R[D + 1, K]: (D + 1) × K" in text
    assert "N, D, K stay letters: nothing in the sheet gives them numbers." in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("S = X + b.T", "b.T (1 × K) is added to each of the N rows"),
        ("S = X - b.T", "b.T (1 × K) is subtracted from each of the N rows"),
        ("S = b.T - X", "each of the N rows is subtracted from b.T (1 × K)"),
        ("S = X / c", "each of the K columns is divided by c (N × 1)"),
        ("S = c*X", "c (N × 1) multiplies each of the K columns"),
        ("S = X + t", "t (a number) is added to every entry"),
    ],
)
def test_what_is_stretched_is_said(line: str, said: str) -> None:
    start = "given X in R[N, K], c in R[N], t in R\nlearn b in R[K]\n"
    (step,) = [s for s in shapes_working(model(start + line)).steps if s.label == "S"]
    assert step.because == said


def test_nothing_is_said_where_nothing_is_stretched() -> None:
    m = model("given X in R[N, K]\nS = 2*X\nT = 1 - X\nU = X + S")
    assert [s.because for s in shapes_working(m).steps if s.label in "STU"] == ["", "", ""]


def test_how_many_numbers_are_learned() -> None:
    assert lines(shapes_working(model(SIAMESE)))[-1] == (
        "Learned in total: 3 · 4 (W1) + 3 (b1) + 3 (W2) + 1 (b2) = 19 numbers."
    )
    symbolic = model("given X in R[N, D]\nlearn W in R[D, K], b in R[K]\nS = X @ W + b.T")
    assert lines(shapes_working(symbolic))[-1] == (
        "Learned in total: D · K (W) + K (b) = D*K + K numbers."
    )


def test_expressions_that_do_not_fit_are_errors() -> None:
    with pytest.raises(ShapeProblem):
        shapes_working(model(SIAMESE), (expr("W1 @ W2"),))
    with pytest.raises(NameProblem):
        shapes_working(model(SIAMESE), (expr("Q"),))


def test_the_indices_of_an_einsum_are_no_operand() -> None:
    working = shapes_working(
        model('let N = 4\ngiven x in R[N, 2]\nlearn W in R[2, 3]\nz = einsum("ni,io->no", x, W)\n')
    )
    assert any(s.label == "z" and s.shape == (4, 3) for s in working.steps)


def test_a_size_is_not_found_to_be_one_by_stretching() -> None:
    with pytest.raises(ShapeProblem, match="N × 1 and 1 × K"):
        shapes_working(model("given x in R[N]\ngiven m in R[K]\nD = x - m.T\n"))
