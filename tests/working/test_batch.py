"""`ask batch`: what is said, the schematic as data and as a drawing, an epoch's arithmetic."""

from __future__ import annotations

import pytest

from backproof.errors import BackproofError, ValueProblem
from backproof.working.answer import answer
from backproof.working.batch import batch_working
from backproof.working.schematic import from_data
from backproof.working.steps import Step, Working

from .sheets import SIAMESE, model

CHAIN = "given x in R[2]\nlearn w in R[2]\nz = w.T @ x\nL = z**2\n"
RNN = """\
given x1, x2, x3 in R[n]
given y in {0, 1}
learn W in R[k, n], U in R[k, k], c in R[k], v in R[k]
h1 = tanh(W @ x1 + c)
h2 = tanh(W @ x2 + U @ h1 + c)
h3 = tanh(W @ x3 + U @ h2 + c)
L = bce(sigmoid(v.T @ h3), y)
"""


def texts(working: Working) -> list[str]:
    return [s.text for s in working.steps]


def step(working: Working, label: str, kind: str = "equation") -> Step:
    return next(s for s in working.steps if s.label == label and s.kind == kind)


def drawing(working: Working) -> list[str]:
    return step(working, "schematic", "tree").text.split("\n")


# --- what is said --------------------------------------------------------------------------------


def test_it_says_what_becomes_of_every_name() -> None:
    said = texts(batch_working(model(SIAMESE), "m"))
    assert "xA (4 × 1) → XA (4 × m): data, each sample has its own." in said
    assert "y (a number) → Y (1 × m): a label, each sample has its own." in said
    assert (
        "W1 (3 × 4), b1 (3 × 1), W2 (1 × 3) and b2 (a number) stay: learned, shared by all samples."
        in said
    )


def test_every_equation_has_its_shape_and_says_where_a_bias_goes() -> None:
    working = batch_working(model(SIAMESE), "m")
    first = step(working, "ZA1")
    assert (first.text, first.shape) == ("ZA1 = W1 @ XA + b1", (3, "m"))
    assert first.because.endswith("is added to each of the m columns, on paper b1 1ᵀ")
    losses = step(working, "l")
    assert losses.shape == (1, "m")
    assert "one loss for each sample" in losses.because
    average = step(working, "L")
    assert (average.text, average.shape) == ("L = mean(l)", ())
    assert average.verified is not None
    assert (average.verified.points, average.verified.failed) == (2, 0)


def test_in_rows_the_bias_goes_to_every_row() -> None:
    first = step(batch_working(model(SIAMESE), "m", rows=True), "ZA1")
    assert (first.text, first.shape) == ("ZA1 = XA @ W1.T + b1.T", ("m", 3))
    assert first.because.endswith("on paper 1 b1ᵀ")


def test_the_gradients_are_checked_against_the_samples() -> None:
    working = batch_working(model(SIAMESE), "m")
    found = step(working, "∂L/∂W2", "result")
    assert found.text == "∂L/∂W2 = (A2 - Y) @ A1.T/m"
    assert found.verified is not None and found.verified.points == 2
    assert step(working, "∂L/∂Z2", "chain").text == "∂L/∂Z2 = (A2 - Y)/m"
    assert working.data["gradients"]["Z2"] == "(A2 - Y)/m"


def test_the_sheet_stands_at_the_end_and_in_the_data() -> None:
    working = batch_working(model(SIAMESE), "m")
    assert working.data["sheet"].rstrip() == step(working, "sheet", "tree").text
    assert model(working.data["sheet"]).shape("ZA1") == model(working.data["sheet"]).shape("A1")


# --- the schematic -------------------------------------------------------------------------------


def test_boxes_and_edges_both_ways() -> None:
    plan = batch_working(model(SIAMESE), "m").data["schematic"]
    boxes = {b["id"]: b for b in plan["boxes"]}
    assert [boxes[n]["kind"] for n in ("XA", "ZA1", "AA1", "l", "L")] == [
        "input", "layer", "activation", "loss", "average",
    ]  # fmt: skip
    assert boxes["ZA1"]["equation"] == "W1 @ XA + b1"
    assert boxes["ZA1"]["twin"] == boxes["ZB1"]["twin"] == "ZA1 and ZB1"
    assert boxes["A1"]["twin"] is None
    assert boxes["ZA1"]["parameters"][0] == {"name": "W1", "shape": [3, 4], "shared": True}
    edges = {(e["from"], e["to"], e["direction"]): e for e in plan["edges"]}
    assert edges["ZA1", "AA1", "forward"]["shape"] == [3, "m"]
    assert edges["AA1", "ZA1", "backward"]["label"] == "∂L/∂ZA1"
    assert ("ZA1", "XA", "backward") not in edges  # nothing is learned below an input


def test_the_data_draw_the_same_schematic_again() -> None:
    plan = batch_working(model(SIAMESE), "m").data["schematic"]
    assert from_data(plan).data() == plan


def test_the_drawing_of_a_chain() -> None:
    assert drawing(batch_working(model(CHAIN), "b")) == [
        "                                ┌──────────┐",
        "                                │ X  input │",
        "                                └─────┬────┘",
        "                                      │ ↓ 2 × b",
        "                               ┌──────┴──────┐",
        "                               │ Z = w.T @ X │",
        "                               │ w: 2 × 1    │",
        "                               └──────┬──────┘",
        "                                      │ ↓ 1 × b",
        "                                      │ ↑ ∂L/∂Z",
        "                                ┌─────┴────┐",
        "                                │ l = Z**2 │",
        "                                └─────┬────┘",
        "                                      │ ↓ 1 × b",
        "                                      │ ↑ ∂L/∂l",
        "                               ┌──────┴──────┐",
        "                               │ L = mean(l) │",
        "                               └─────────────┘",
    ]


def test_twins_stand_side_by_side_and_meet() -> None:
    rows = drawing(batch_working(model(SIAMESE), "m"))
    assert any("ZA1 = W1 @ XA + b1" in r and "ZB1 = W1 @ XB + b1" in r for r in rows)
    assert any("└──────────────────┬──────────────────┘" in r for r in rows)
    assert any("W1, b1 shared with ZB1" in r for r in rows)


@pytest.mark.parametrize("text", [SIAMESE, RNN, CHAIN])
@pytest.mark.parametrize("rows", [False, True])
def test_a_drawing_fits_a_terminal_and_shows_every_box(text: str, rows: bool) -> None:
    working = batch_working(model(text), "b", rows=rows)
    shown = drawing(working)
    assert max(map(len, shown)) <= 78
    for box in working.data["schematic"]["boxes"]:
        assert any(f"│ {box['label']} " in row for row in shown)


def test_many_lanes_are_drawn_as_a_list() -> None:
    text = "given p, q, r, s in R\nlearn w in R\n" + "".join(
        f"{n}1 = w*{n}\n" for n in "pqrs"
    ) + "L = (p1 + q1 + r1 + s1)**2\n"  # fmt: skip
    shown = drawing(batch_working(model(text), "b"))
    assert "  ↓ P  1 × b" in shown
    assert "  ↓ P1  1 × b   ↑ ∂L/∂P1" in shown


# --- an epoch ------------------------------------------------------------------------------------


def test_an_epoch_with_a_last_partial_batch() -> None:
    """1000 samples of the Siamese network in batches of 32: 31 full ones, 8 left, 32 updates."""
    epoch = batch_working(model(SIAMESE), "32", n=1000).data["epoch"]
    (row,) = epoch["sizes"]
    assert (row["full"], row["last"], row["updates"]) == (31, 8, 32)
    numbers = 5 * 3 + 3  # five columns of 3, then z2, a2 and the loss, for each sample
    assert row["bytes"] == 4 * 32 * numbers


def test_an_epoch_that_divides_and_one_batch_that_is_too_large() -> None:
    (row,) = batch_working(model(CHAIN), "10", n=100).data["epoch"]["sizes"]
    assert (row["full"], row["last"], row["updates"]) == (10, 0, 10)
    (row,) = batch_working(model(CHAIN), "10", n=4).data["epoch"]["sizes"]
    assert (row["full"], row["last"], row["updates"]) == (0, 4, 1)


def test_a_letter_for_the_size_gives_the_usual_sizes() -> None:
    epoch = batch_working(model(CHAIN), "b", n=100).data["epoch"]
    assert [row["size"] for row in epoch["sizes"]] == [16, 32, 64]
    assert epoch["bytes"] == "8*b"


def test_no_samples_are_turned_down() -> None:
    with pytest.raises(ValueProblem, match="one sample or more; found 0"):
        batch_working(model(CHAIN), "b", n=0)


# --- as an ask -----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["batch b", "batch b rows", "batch b rows samples 50"])
def test_the_asks_of_the_language(words: str) -> None:
    sheet = model(CHAIN + f"ask {words}\n")
    working = answer(sheet, sheet.sheet.asks[0])
    assert working.ask == words
    assert working.data["rows"] is ("rows" in words)
    assert ("epoch" in working.data) is ("samples" in words)


def test_shared_givens_are_named_in_the_ask() -> None:
    text = "given x, m in R[2]\nlearn w in R[2]\nL = (w.T @ (x - m))**2\nask batch b shared m\n"
    sheet = model(text)
    assert "l = (w.T @ (X - m))**2" in texts(answer(sheet, sheet.sheet.asks[0]))


def test_a_size_that_is_taken_is_turned_down_in_its_place() -> None:
    sheet = model(CHAIN + "ask batch w\n")
    with pytest.raises(BackproofError, match="'w' is a parameter of this sheet"):
        answer(sheet, sheet.sheet.asks[0])
