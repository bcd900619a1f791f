"""Sentences of ours as HTML: names as in the formulas beside them, words left as words."""

from __future__ import annotations

import pytest

import backproof as bp
from backproof.render.told import name_html, names_of, names_stated, told

NAMES = frozenset({"zA1", "W1", "alpha", "L", "log", "right", "a", "Ldata", "x"})
Z = "<var>z</var><sub><var>A</var></sub><sup>[1]</sup>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("an entry of zA1 is 0", f"an entry of {Z} is 0"),
        ("a log is right", "a log is right"),
        ("∂zA1/∂x", f"∂{Z}/∂<var>x</var>"),
        ("times alpha", "times <var>α</var>"),
        ("1 W1ᵀ and Aᵀ", "1 <var>W</var><sup>[1]</sup><sup>T</sup> and Aᵀ"),
        ("∇_A(AB)·G = G Bᵀ", "∇<sub>A</sub>(AB)·G = G Bᵀ"),
        ("a (1 - a), from -0.5 to 1", "a (1 − a), from −0.5 to 1"),
        ("the log-loss of `zA1 - 1` & <b>", "the log-loss of <code>zA1 - 1</code> &amp; &lt;b&gt;"),
        ("unknown zB1", "unknown zB1"),
        ("shapes (3 × 4)", "shapes (3\u00a0×\u00a04)"),
    ],
)  # fmt: skip
def test_sentences(text: str, shown: str) -> None:
    assert told(text, NAMES) == shown


def test_a_name_that_is_a_word_is_no_name() -> None:
    assert name_html("a") == name_html("log") == name_html("Loss") == ""
    assert name_html("Ldata") == "<var>L</var><sub>data</sub>"


def test_the_names_of_an_answer() -> None:
    sheet = bp.Sheet("given xA in R[2]\nlearn W1 in R[1, 2]\nL = (W1 @ xA)**2\n")
    assert {"xA", "W1", "L"} <= names_of(sheet.gradient("L", "W1").steps)
    html = sheet.gradient("L", "W1").html()
    assert "in the shape of <var>W</var><sup>[1]</sup>" in html


def test_what_becomes_another_is_a_name() -> None:
    sheet = bp.Sheet("given x in R[2]\nlearn W1 in R[3, 2]\nz1 = W1 @ x\nL = sumsq(z1)\n")
    html = sheet.batch("m").html()
    assert "<var>z</var><sup>[1]</sup> → <var>Z</var><sup>[1]</sup>" in html


def test_the_names_of_a_sheet() -> None:
    sheet = (
        "given xA, xB in R[4]  # in alpha\nlearn W1 ∈ ℝ[3, k], b = [1, 2]\nzA1 = W1 @ xA\na = zA1"
    )
    assert names_stated(sheet) == {"xA", "xB", "W1", "b", "zA1"}


def test_sizes_of_a_shape_are_all_written_alike() -> None:
    shown = told("O is n × k, and n counts", {"O", "n"})
    assert shown == "<var>O</var> is n\u00a0×\u00a0k, and <var>n</var> counts"
