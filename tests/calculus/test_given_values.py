"""A given value lies in the set that its name was declared in; what is wrong is said."""

from __future__ import annotations

import numpy as np
import pytest
from tests.sheets import model_of

from backproof.calculus.values import show_number
from backproof.errors import ValueProblem

OUTSIDE = [
    ("y in {0, 1}", "y = 2", "y is 2, and a label must be one of 0, 1."),
    ("y in {-1, 1}[2]", "y = [1, 0]", "y entry [2] is 0, and a label must be one of -1, 1."),
    ("x in Rpos", "x = -1", "x is -1, and must be positive."),
    ("x in (0, 1)", "x = 1", "x is 1, and must lie strictly between 0 and 1."),
    ("k in 1..3", "k = 5", "k is 5, and must be an integer from 1 to 3."),
    ("p in prob[3]", "p = [0.5, 0.2, 0.2]", "p sums to 0.9, and must sum to 1."),
    ("Y in onehot[2, 2]", "Y = [[1, 0], [1, 1]]", "Y row 2 sums to 2, and must sum to 1."),
    ("Y in onehot[2]", "Y = [0.5, 0.5]", "Y entry [1] is 0.5, and a one-hot entry is 0 or 1."),
    (
        "S in sym[2]",
        "S = [[1, 2], [3, 4]]",
        "S entry [1, 2] is 2, and the matrix must be",
    ),
    ("D in diagonal[2]", "D = [[1, 2], [0, 1]]", "D entry [1, 2] is 2, and the matrix must be"),
    (
        "S in posdef[2]",
        "S = [[1, 2], [2, 1]]",
        "S is not positive definite: its leading 2 × 2",
    ),
    (
        "S in posdef[2]",
        "S = [[0, 1], [1, 5]]",
        "S is not positive definite: its leading 1 × 1",
    ),
    ("Q in orthogonal[2]", "Q = [[1, 2], [0, 1]]", "Q is not orthogonal: its columns must have"),
    ("Q in orthogonal[2]", "Q = [[1, 1], [0, 1]]", "Q is not orthogonal"),
    ("Q in orthogonal[2]", "Q = [[0.6, 0.7], [-0.7, 0.6]]", "Q is not orthogonal"),
]


@pytest.mark.parametrize(("declared", "value", "said"), OUTSIDE)
def test_a_value_outside_its_set(declared: str, value: str, said: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        model_of(f"given {declared}\n{value}\n")
    assert said in str(caught.value)
    place = caught.value.place
    assert place is not None and place.line == 2


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("Q in orthogonal[2]", "Q = [[0.6, 0.8], [-0.8, 0.6]]"),
        ("Q in orthogonal[2]", "Q = [[0.707, 0.707], [-0.707, 0.707]]"),
        ("Q in orthogonal[3]", "Q = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]"),
        ("S in posdef[3]", "S = [[2, 1, 0], [1, 2, 1], [0, 1, 2]]"),
        ("p in prob[2, 2]", "p = [[0.25, 0.75], [1, 0]]"),
    ],
)
def test_a_value_inside_its_set(declared: str, value: str) -> None:
    name = declared.split()[0]
    assert model_of(f"given {declared}\n{value}\n").has_value(name)


def test_rotations_of_a_file_are_orthogonal(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    angle = 0.3
    rotation = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    np.save(tmp_path / "q.npy", np.array(rotation))
    monkeypatch.chdir(tmp_path)
    assert model_of('given Q in orthogonal[2] = file("q.npy")\n').has_value("Q")


@pytest.mark.parametrize(
    ("number", "shown"),
    [("1e400", "1e400"), ("-2.5e30", "-2.5e30"), ("1e23", "1" + "0" * 23), ("0.125", "0.125")],
)
def test_numbers_with_many_digits_are_written_with_a_power(number: str, shown: str) -> None:
    from decimal import Decimal

    value = Decimal(number)
    assert show_number(value, 3 if value < 1 and value > 0 else 0) == shown


@pytest.mark.parametrize("side", [3, 60])
def test_large_matrices_of_a_file_are_looked_at_too(tmp_path, monkeypatch, side: int) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(side, side)))
    np.save("q.npy", basis)
    np.save("s.npy", np.eye(side) * 2 + np.ones((side, side)))
    np.save("bad.npy", np.eye(side) - np.ones((side, side)))
    model_of(f'given Q in orthogonal[{side}] = file("q.npy")\n')
    model_of(f'given S in posdef[{side}] = file("s.npy")\n')
    with pytest.raises(ValueProblem, match="is not positive definite"):
        model_of(f'given S in posdef[{side}] = file("bad.npy")\n')
    with pytest.raises(ValueProblem, match="is not orthogonal"):
        model_of(f'given Q in orthogonal[{side}] = file("s.npy")\n')
