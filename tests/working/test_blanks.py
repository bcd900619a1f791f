"""Pieces left out as numbered boxes, and the key to them."""

from __future__ import annotations

import re

import pytest

from backproof.calculus.model import Model
from backproof.errors import NameProblem
from backproof.language import syntax as ast
from backproof.render.drawings.choose import drawings
from backproof.render.html import Page, standalone
from backproof.render.json import dumps, working_data
from backproof.render.latex import working_fragment
from backproof.render.lines import plain
from backproof.render.terminal import working_lines
from backproof.render.typst import working_lines as typst_lines
from backproof.working.answer import answer
from backproof.working.batch import batch_working
from backproof.working.blanks import with_blanks
from backproof.working.forward import forward_working, value_working
from backproof.working.gradient import gradient_working
from backproof.working.shapes import shapes_working
from backproof.working.steps import Working
from backproof.working.tree import tree_working

from .sheets import POINTS, SIAMESE, expr, model

VALUES = (
    "given x = [1, 2]\ngiven y = 1\nlearn w = [0.5, -1]\nlearn c = 0.25\n"
    "z = w.T @ x + c\na = sigmoid(z)\nL = bce(a, y)\n"
)


def siamese() -> Model:
    return model(SIAMESE)


def texts(working: Working) -> list[str]:
    return [s.text for s in working.steps]


def key(working: Working) -> list[str]:
    return [s.text for s in working.steps]


def typst(working: Working) -> str:
    return "\n".join(typst_lines(working, ()))


def everything(working: Working) -> str:
    """All that a reader or a program can see."""
    parts = [f"{s.label} {s.text} {s.latex} {s.value} {s.because}" for s in working.steps]
    return "\n".join([*parts, repr(working.data)])


# --- equations: question 6 -----------------------------------------------------------------------


def test_question_6_as_printed() -> None:
    names = ["zA1", "relu(zA1)", "zB1", "a1", "W2", "sigmoid(z2)", "log(a2)", "L: y#2"]
    questions, answers = with_blanks(forward_working(siamese()), names)
    assert texts(questions)[:8] == [
        "[1] = W1 @ xA + b1",
        "aA1 = [2]",
        "[3] = W1 @ xB + b1",
        "aB1 = relu([3])",
        "[4] = aA1 - aB1",
        "z2 = [5] @ [4] + b2",
        "a2 = [6]",
        "L = -(y*[7] + (1 - [8])*log(1 - a2))",
    ]
    assert key(answers) == [
        "[1] = zA1", "[2] = relu(zA1)", "[3] = zB1", "[4] = a1", "[5] = W2", "[6] = sigmoid(z2)",
        "[7] = log(a2)", "[8] = y",
    ]  # fmt: skip
    assert answers.data["answers"][1] == {
        "number": 2, "answer": "relu(zA1)", "line": "aA1 = relu(zA1)",
    }  # fmt: skip


def test_boxes_are_drawn_in_latex_too() -> None:
    questions, _ = with_blanks(forward_working(siamese()), ["zA1", "W2"])
    latex = [s.latex for s in questions.steps if "boxed" in s.latex]
    assert latex[0].startswith(r"\boxed{1} = ")
    assert r"\boxed{1}" in latex[1]  # ReLU of what the first line hides
    assert r"\boxed{2}" in latex[2]


def test_the_key_is_set_like_the_lines() -> None:
    _, answers = with_blanks(forward_working(siamese()), ["sigmoid(z2)", "W2"])
    latex = {s.text: s.latex for s in answers.steps}
    assert latex["[1] = W2"] == r"\boxed{1} = W^{[2]}"
    assert latex["[2] = sigmoid(z2)"] == r"\boxed{2} = \sigma\left(z^{[2]}\right)"


def test_every_place_of_a_piece_has_a_box_of_its_own() -> None:
    questions, answers = with_blanks(forward_working(siamese()), ["y"])
    assert "L = -([1]*log(a2) + (1 - [2])*log(1 - a2))" in texts(questions)
    assert key(answers) == ["[1] = y", "[2] = y"]


def test_a_piece_is_an_operand_and_not_any_run_of_letters() -> None:
    sheet = model("given a, b, c in R\nlearn w in R\nu = a + b*c\nv = b + a\nL = w*u*v\n")
    questions, _ = with_blanks(forward_working(sheet), ["b*c"])
    assert "u = a + [1]" in texts(questions)
    with pytest.raises(NameProblem, match="'a \\+ b' names nothing"):
        with_blanks(forward_working(sheet), ["a + b"])
    assert "log(1 - a2)" in texts(with_blanks(forward_working(siamese()), ["1 - y"])[0])[7]


# --- values --------------------------------------------------------------------------------------


def test_a_name_with_a_value_leaves_its_value_out() -> None:
    """z = 0.5·1 − 1·2 + 0.25 = −1.25 and sigmoid(−1.25) = 0.2227, by hand."""
    questions, answers = with_blanks(forward_working(model(VALUES)), ["z", "a"])
    assert "z = w.T @ x + c" in texts(questions)
    assert "z = [1]" in texts(questions)
    assert key(answers) == ["[1] = -1.25", "[2] = 0.2227"]
    assert "1.25" not in everything(questions)
    assert "0.2227" not in everything(questions)


def test_the_value_that_was_asked_for() -> None:
    questions, answers = with_blanks(value_working(model(VALUES), expr("L")), ["L"])
    assert key(answers) == ["[1] = 1.5019"]
    assert "1.5019" not in everything(questions)


def test_a_matrix_of_numbers_is_one_box() -> None:
    sheet = model(POINTS + "S = X @ W.T\nP = softmax(S)\n")
    questions, answers = with_blanks(forward_working(sheet), ["P"])
    assert "P = [1]" in texts(questions)
    assert key(answers)[0].startswith("[1] = [[0.")


# --- shapes, gradients, trees, schematics ---------------------------------------------------------


def test_shapes_are_left_out() -> None:
    questions, answers = with_blanks(shapes_working(siamese()), ["a1", "z2"])
    assert "a1 = aA1 - aB1: [1]" in texts(questions)
    assert key(answers) == ["[1] = a column of 3 (3 × 1)", "[2] = a number"]
    assert all(s.shape is None for s in questions.steps if s.label in ("a1", "z2"))


def test_local_derivatives_of_question_8() -> None:
    working = gradient_working(siamese(), ast.Name("L"), ast.Name("W1"))
    questions, answers = with_blanks(working, ["jac(aA1, zA1)", "jac(z2, a1)"])
    assert "∂aA1/∂zA1 = [1]" in texts(questions)
    assert "∂z2/∂a1 = [2]" in texts(questions)
    assert key(answers) == ["[1] = diag(step(zA1))", "[2] = W2.T"]


def test_a_node_of_a_tree_is_hidden_wherever_it_stands() -> None:
    questions, answers = with_blanks(tree_working(siamese(), expr("L")), ["a1", "W1"])
    tree = questions.steps[0].text
    assert "└─ [1]   [3 × 1]" in tree
    assert "[2]   [learned, 3 × 4]" in tree and "[2] (shared, see above)" in tree
    assert key(answers) == ["[1] = a1 = aA1 - aB1", "[2] = W1"]
    assert "W1" not in everything(questions)
    names = [n["name"] for n in questions.data["nodes"]]
    assert "[1]" in names and "a1" not in names


def test_boxes_of_a_schematic_for_question_9() -> None:
    working = batch_working(siamese(), "m")
    questions, answers = with_blanks(working, ["ZA1", "A2", "L", "shape(A1)"])
    drawn = next(s.text for s in questions.steps if s.label == "schematic")
    assert "│ [1] │" in drawn and "│ [2] │" in drawn and "↑ ∂[3]/∂[1]" in drawn
    assert "↓ [4]" in drawn
    assert key(answers) == [
        "[1] = ZA1 = W1 @ XA + b1", "[2] = A2 = sigmoid(Z2)", "[3] = L = mean(l)", "[4] = 3 × m",
    ]  # fmt: skip
    assert "W1 @ XA" not in everything(questions)
    assert "sigmoid(Z2)" not in everything(questions)
    assert questions.data["blanks"] == 4
    assert max(map(len, drawn.split("\n"))) <= 78


def told(working: Working) -> list[str]:
    """Every text of a working, its data and its drawings, as page, terminal and PDF show them."""
    page = standalone("questions", Page().working(working))
    drawn = [d.svg("alone") for d in drawings(working)]
    return [everything(working), page, *drawn, plain(working_lines(working)), typst(working),
            working_fragment(working), dumps(working_data(working))]  # fmt: skip


NAMES = ("ZA1", "AB1", "Z2", "L")
SHOWN = ("ZA^{[1]}", "Z^{[1]}_{A}", "A^{[1]}_{B}", "Z^{[2]}", "open bracket L close")


def test_what_a_schematic_hides_is_hidden_everywhere() -> None:
    questions, _ = with_blanks(batch_working(siamese(), "m"), NAMES)
    for text in told(questions):
        for name in NAMES:
            assert not re.search(rf"(?<![A-Za-z0-9_#]){name}(?![A-Za-z0-9_])", text), (name, text)
        for shown in SHOWN:
            assert shown not in text
    lines = texts(questions)
    assert "AA1 = relu([1])" in lines and "A1 = AA1 - [2]" in lines and "A2 = sigmoid([3])" in lines
    boxes = {b["id"]: b for b in questions.data["schematic"]["boxes"]}
    assert boxes["AA1"]["equation"] == "relu([1])"


@pytest.mark.parametrize("name", ["zA1", "a1", "xB", "W2"])
def test_a_name_that_is_left_out_of_forward_stands_nowhere(name: str) -> None:
    questions, _ = with_blanks(forward_working(siamese()), [name])
    for text in told(questions):
        assert not re.search(rf"(?<![A-Za-z0-9_#]){name}(?![A-Za-z0-9_])", text), text


def test_a_name_that_is_an_english_word_leaves_sentences_whole() -> None:
    sheet = model("given x in R[2]\nlearn w in R[2]\na = w.T @ x\nL = a**2\n")
    questions, _ = with_blanks(forward_working(sheet), ["a"])
    assert texts(questions)[:2] == ["[1] = w.T @ x", "L = [1]**2"]
    assert not any("[1] number" in s.because + s.text for s in questions.steps)


# --- as an ask, and what is turned down ----------------------------------------------------------


def test_an_ask_ends_with_its_key() -> None:
    sheet = model(SIAMESE + "ask forward blank zA1, relu(zB1)\n")
    working = answer(sheet, sheet.sheet.asks[-1])
    assert texts(working)[-3:] == ["Answer key", "[1] = zA1", "[2] = relu(zB1)"]
    assert [a["answer"] for a in working.data["answers"]] == ["zA1", "relu(zB1)"]


def test_the_blanks_of_a_batch_are_names_of_the_batch() -> None:
    sheet = model(SIAMESE + "ask batch m blank Z2\n")
    working = answer(sheet, sheet.sheet.asks[-1])
    assert texts(working)[-1] == "[1] = Z2 = W2 @ A1 + b2"


@pytest.mark.parametrize("name", ["Q", "zA1 + zB1", "L: Q", "L: y#3", "nowhere: y"])
def test_a_blank_that_names_nothing_is_an_error(name: str) -> None:
    with pytest.raises(NameProblem) as caught:
        with_blanks(forward_working(siamese()), [name])
    assert caught.value.message == (
        f"'{name}' names nothing in the answer to 'ask forward', so there is nothing to leave "
        "blank."
    )
    assert caught.value.hint


def test_nothing_left_out_changes_no_line() -> None:
    working = forward_working(siamese())
    assert texts(with_blanks(working, [])[0]) == texts(working)
