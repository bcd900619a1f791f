"""Breaking lines, drawing matrices, spelling for poorer encodings."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof.render.lines import (
    cells,
    formula_lines,
    plain,
    prose_lines,
    tree_lines,
    wrap_formula,
    wrap_prose,
    writable,
)
from backproof.render.matrices import draw


def drawn(text: str, width: int = 78, **options: bool) -> str:
    drawing = draw(text, width, **options)
    assert drawing is not None
    return "\n".join(drawing.rows)


# --- matrices ------------------------------------------------------------------------------------


def test_a_matrix_has_its_points_below_one_another() -> None:
    assert drawn("S = [[-1.8, 0.5], [10, 1.25]]") == (
        "S = ⎡ -1.8  0.5  ⎤\n"
        "    ⎣ 10    1.25 ⎦"
    )  # fmt: skip


def test_matrices_beside_each_other() -> None:
    assert drawn("= [[1, 2], [3, 4], [5, 6]] @ [0.5, (-1)] + 3") == (
        "  ⎡ 1  2 ⎤\n"
        "= ⎢ 3  4 ⎥ @ ⎡  0.5 ⎤ + 3\n"
        "  ⎣ 5  6 ⎦   ⎣ -1   ⎦"
    )  # fmt: skip


def test_the_line_of_a_drawing_is_the_one_with_the_rest() -> None:
    drawing = draw("z = [1, 2, 3]", 40)
    assert drawing is not None
    assert drawing.rows[drawing.line].startswith("z = ")


def test_a_drawing_breaks_between_factors() -> None:
    text = "= [[1, 2], [3, 4]] @ [[1, 2], [3, 4]] + [[5, 6], [7, 8]]"
    rows = drawn(text, 24).split("\n")
    assert len(rows) == 4
    assert all(cells(row) <= 24 for row in rows)


@pytest.mark.parametrize(
    "text",
    ["z = W @ x", "x[1, 2] + X[3]", "R[3, 4]", "[[1, 2, 3]]", "[a, b]", "[max(0, 1), –] = [6, –]"],
)
def test_what_is_no_matrix_of_numbers_stays(text: str) -> None:
    assert draw(text, 78) is None


def test_too_wide_or_too_tall_stays() -> None:
    assert draw(f"X = [[{', '.join(['1.234'] * 20)}], [{', '.join(['1.234'] * 20)}]]", 78) is None
    assert draw(f"x = {list(range(9))}", 78) is None


def test_columns_may_stay_in_the_line() -> None:
    assert draw("x = [1, 2]", 78, columns=False) is None
    assert "x = [1, 2]" not in drawn("x = [1, 2]")


def test_rows_left_out() -> None:
    assert drawn("X = [[1, 2, …], [3, 4, …], …]").split("\n")[2] == "    ⎣ …  …  … ⎦"


# --- long lines ----------------------------------------------------------------------------------


def test_breaks_at_the_outer_operator() -> None:
    text = "L = -(y*log(a2) + (1 - y)*log(1 - a2)) + lambda*sumsq(W1) + lambda*sumsq(W2)"
    rows = plain(formula_lines(text, 60, 2)).splitlines()
    assert rows == [
        "  L = -(y*log(a2) + (1 - y)*log(1 - a2)) + lambda*sumsq(W1)",
        "      + lambda*sumsq(W2)",
    ]


FORMULA = st.text(st.sampled_from("abW12 +-*@()[],.=×ᵀ∂"), max_size=200)


@given(FORMULA, st.integers(12, 90), st.integers(0, 6))
def test_nothing_is_lost_and_everything_fits(text: str, width: int, hanging: int) -> None:
    for wrap in (wrap_formula, wrap_prose):
        pieces = wrap(text, width, hanging)
        assert pieces[0][0] == 0
        assert pieces[-1][1] == len(text)
        for (_, end), (start, _) in pairwise(pieces):
            assert text[end:start] in ("", " ")
        for n, (start, end) in enumerate(pieces):
            assert cells(text[start:end]) <= max(8, width - (hanging if n else 0))


def test_prose() -> None:
    assert plain(prose_lines("one two three four", 10, 2)) == "  one two\n  three\n  four\n"


def test_a_tree_keeps_its_branches() -> None:
    text = "L = a + b\n├─ a = some_long_name + other_long_name\n└─ b"
    assert plain(tree_lines(text, 30)).splitlines() == [
        "L = a + b",
        "├─ a = some_long_name",
        "│      + other_long_name",
        "└─ b",
    ]


# --- encodings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("∂L/∂W: 3 × 4 → λ", "utf-8", "∂L/∂W: 3 × 4 → λ"),
        ("∂L/∂W: 3 × 4 → λ", "ascii", "dL/dW: 3 x 4 -> lambda"),
        ("3 × 4 → 5", "latin-1", "3 × 4 -> 5"),
        ("├─ a\n└─ b", "ascii", "|- a\n`- b"),
        ("é 中", "ascii", "e ?"),
        ("ΔX", "no-such-encoding", "DeltaX"),
    ],
)
def test_what_an_encoding_cannot_write(text: str, encoding: str, expected: str) -> None:
    assert writable(text, encoding) == expected


@given(st.text())
def test_any_text_can_be_written(text: str) -> None:
    writable(text, "ascii").encode("ascii")


def test_a_sum_is_broken_between_its_terms_rather_than_within_one() -> None:
    text = "+ γ*(Y - T)/sqrt(V + 0.01) - γ*sum(H*(Y - T), axis=0)*(X - μ)/(N*(V + 0.01))"
    pieces = [text[a:b] for a, b in wrap_formula(text, 66)]
    assert pieces == [
        "+ γ*(Y - T)/sqrt(V + 0.01)", "- γ*sum(H*(Y - T), axis=0)*(X - μ)/(N*(V + 0.01))"
    ]  # fmt: skip
