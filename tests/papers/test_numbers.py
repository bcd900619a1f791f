"""Answers as students write them: read where a person would, and nothing is paid for copying."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.papers.test_marking import marked, paper

from backproof.papers.marking import Marker
from backproof.papers.numbers import fitted, readings
from backproof.papers.paper import read_paper
from backproof.papers.scripts import Reader
from backproof.papers.spelling import spellings

ROOT = Path(__file__).resolve().parent.parent.parent
EXAM = read_paper(ROOT / "examples" / "exam.md")
MARKER, READER = Marker(EXAM), Reader(EXAM)


@pytest.mark.parametrize(
    "text",
    ["0.828", "0,828", "+.828", "0.828.", "≈ 0.828", "~0.828", "= 0.828", "8.28e-1", "82.8 %",
     "8.28·10^-1", "8.28 × 10⁻¹", "8.28 \\cdot 10^{-1}", "$0.828$", "0.828 nats", "[0.828]"],
)  # fmt: skip
def test_one_number_in_many_spellings(text: str) -> None:
    fits = [f for r in readings(text) if (f := fitted(r, (1, 1))) is not None]
    assert fits and fits[0][0].array.item() == pytest.approx(0.828)
    assert fits[0][0].decimals.item() == 3


@pytest.mark.parametrize("sign", "−–—－-")
def test_every_minus_is_a_minus(sign: str) -> None:
    found = next(readings(f"[{sign}0.5, 1]"))
    assert found.array.ravel().tolist() == [-0.5, 1]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("[[0.1, 0.2], [0.3, 0.4]]", [[0.1, 0.2], [0.3, 0.4]]),
        ("[0,1; 0,2]", [[0.1], [0.2]]),
        ("[0.1 0.2]", [[0.1], [0.2]]),
        ("0.1, 0.2", [[0.1], [0.2]]),
        ("(0.1, 0.2)^T", [[0.1], [0.2]]),
        ("[[0.1, 0.2], [0.3, 0.4]]ᵀ", [[0.1, 0.3], [0.2, 0.4]]),
        ("0.1 0.2; 0.3 -0.4", [[0.1, 0.2], [0.3, -0.4]]),
        ("[[0.1 0.2]\n [0.3 0.4]]", [[0.1, 0.2], [0.3, 0.4]]),
        ("\\begin{pmatrix} 0.1 & 0.2 \\\\ 0.3 & 0.4 \\end{pmatrix}", [[0.1, 0.2], [0.3, 0.4]]),
    ],
)
def test_arrays_in_many_spellings(text: str, rows: list[list[float]]) -> None:
    wanted = np.array(rows)
    fits = [f for r in readings(text) if (f := fitted(r, wanted.shape)) is not None]
    assert np.allclose(fits[0][0].array, wanted)


@pytest.mark.parametrize("text", ["0.5 - 0.3", "1..2", "0.1,,2", "?", "", "[", "--5", "1.2.3", "x"])
def test_what_is_no_literal_is_not_guessed_at(text: str) -> None:
    assert list(readings(text)) == []


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_not_and_nothing_else(text: str) -> None:
    for found in readings(text):
        assert found.array.ndim == 2 and found.array.shape == found.decimals.shape
    assert len(list(spellings(text, {"W1", "x"}, {"x"}))) <= 4


def test_copying_the_question_earns_nothing() -> None:
    copied = "[a]\nz = W @ x\nh = tanh(z)\ns = v.T @ h\np = sigmoid(s)\nL = -log(p)\n"
    lines = marked(copied + "grad(L, s) = grad(L, s)\n")
    assert all(not line.share for line in lines.values())
    assert lines["a.p"].mistake == "not worked out"


def test_numbers_put_in_and_not_worked_out_wait_for_a_person() -> None:
    lines = marked("[a]\nL = -log(1/(1 + exp(0.255)))\np = 1/(1 + 1.29)\nz = [1/10, 1]\n")
    assert (lines["a.L"].verdict, lines["a.L"].share) == ("undecided", None)
    assert lines["a.p"].verdict == "right" and lines["a.z"].verdict == "right"
    assert marked("[a]\nL = -log(1/(1 + exp(0.955)))\n")["a.L"].share == 0


@pytest.mark.parametrize("huge", ["1e300", "9" * 40, "-1e15", "5e12"])
def test_enormous_numbers_are_wrong_and_not_carried_on(huge: str) -> None:
    lines = marked(f"[a]\ns = {huge}\np = 1\nL = 0\n")
    assert [lines[f"a.{n}"].share for n in "spL"] == [0, 0, 0]
    assert lines["a.s"].verdict == "wrong"


def test_an_entry_left_out_costs_its_part_only() -> None:
    lines = marked("[a]\nz = [0.1, ?]\nh = [0.100, 0.762]\ns = -0.255\n")
    assert (lines["a.z"].verdict, lines["a.z"].share) == ("partly", Fraction(1, 2))
    assert lines["a.h"].verdict == lines["a.s"].verdict == "right"
    assert marked("[a]\nz = [0.3, ?]\n")["a.z"].share == 0
    assert marked("[a]\nz = [?, ?]\n")["a.z"].share == 0


def test_signs_for_nothing_are_blank_and_not_for_a_person() -> None:
    lines = marked("[a]\nz = -\nh = …\ns = n/a\np = ?\n")
    assert {lines[f"a.{n}"].verdict for n in "zhsp"} == {"blank"}


def test_a_key_with_an_equals_sign_or_another_sign_behind_it() -> None:
    script = READER.read("[q02-svm]\nL: 1.27\nS ≈ [[1, 2], [3, 4], [5, 6]]\n", "x")
    assert script.answers == {"q02-svm.L": "1.27", "q02-svm.S": "[[1, 2], [3, 4], [5, 6]]"}
    made = paper()
    made = type(made)(made.file, made.title, made.text, made.document, made.sheets)
    assert Reader(made).read("[a]\nL := 0.8\n", "x").answers == {"a.L": "0.8"}


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("z2 = W_2 a_1 + b_2", "right"),
        ("z2 = W2·a1 + b2", "right"),
        ("z2 = W2*a1 + b2", "wrong"),
        ("a2 = \\sigma(z_{2})", "right"),
        ("a2 = 1/(1+e^{-z_2})", "right"),
        ("L = -(y ln(a2) + (1-y) ln(1-a2))", "right"),
        ("aA1 = ReLU(z_{A1})", "right"),
        ("a1 = aA1 − aB1", "right"),
        ("a1 = aB1 − aA1", "wrong"),
        ("z2 = W_2^T a_1 + b_2", "wrong"),
    ],
)
def test_symbols_as_on_paper(line: str, verdict: str) -> None:
    script = READER.read(f"[q06-forward]\n{line}\n", "x")
    (found,) = [one for one in MARKER.mark(script) if one.answer]
    assert found.verdict == verdict, found


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("1000 × 2353", "right"), ("1000x2353", "right"), ("(1000; 2353)", "right"),
     ("R^{1000 x 2353}", "right"), ("[1000 2353]", "right"), ("1,000 × 2,353", "right"),
     ("1000 \\times 2353", "right"), ("2353 × 1000", "wrong"), ("1000", "wrong")],
)  # fmt: skip
def test_shapes_as_on_paper(text: str, verdict: str) -> None:
    script = READER.read(f"[q01-dimensions]\nshape(Xb) = {text}\n", "x")
    (found,) = [one for one in MARKER.mark(script) if one.answer]
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("name", "said"), [("zA1", "3 × 1 (a column of 3)"), ("z2", "that of a number")]
)
def test_a_shape_is_told_as_on_paper(name: str, said: str) -> None:
    script = READER.read(f"[q06-forward]\nshape({name}) = 7 × 8\n", "x")
    (found,) = [one for one in MARKER.mark(script) if one.answer]
    assert (found.verdict, found.reason) == ("wrong", f"the shape is {said}.")
