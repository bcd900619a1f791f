"""The tree: every intermediate, sharing, counted paths, repeated layers, deep networks."""

from __future__ import annotations

import time

import pytest

from backproof.errors import NameProblem
from backproof.working.tree import tree_working

from .sheets import SIAMESE, expr, lines, model


def mlp(layers: int, *, width: int = 5) -> str:
    text = [f"given x in R[{width}]", f"given y in R[{width}]"]
    for k in range(1, layers + 1):
        text.append(f"learn W{k} in R[{width}, {width}], b{k} in R[{width}]")
    for k in range(1, layers + 1):
        text.append(f"z{k} = W{k} @ {'x' if k == 1 else f'a{k - 1}'} + b{k}")
        text.append(f"a{k} = relu(z{k})")
    return "\n".join([*text, f"L = mse(a{layers}, y)"])


def residual(layers: int) -> str:
    text = ["given h0 in R[5]", "given y in R[5]"]
    text += [f"learn W{k} in R[5, 5]" for k in range(1, layers + 1)]
    for k in range(1, layers + 1):
        text.append(f"z{k} = W{k} @ h{k - 1}")
        text.append(f"h{k} = h{k - 1} + relu(z{k})")
    return "\n".join([*text, f"L = mse(h{layers}, y)"])


def test_the_siamese_tree_is_drawn_with_its_shared_parameters() -> None:
    tree = tree_working(model(SIAMESE), "L").steps[0]
    assert tree.kind == "tree"
    assert tree.text.split("\n") == [
        "L = -(y*log(a2) + (1 - y)*log(1 - a2))   [a number]",
        "├─ y   [given, a number]",
        "└─ a2 = sigmoid(z2)   [a number]",
        "   └─ z2 = W2 @ a1 + b2   [a number]",
        "      ├─ W2   [learned, 1 × 3]",
        "      ├─ b2   [learned, a number]",
        "      └─ a1 = aA1 - aB1   [3 × 1]",
        "         ├─ aA1 = relu(zA1)   [3 × 1]",
        "         │  └─ zA1 = W1 @ xA + b1   [3 × 1]",
        "         │     ├─ W1   [learned, 3 × 4] shared: reached along 2 paths",
        "         │     ├─ xA   [given, 4 × 1]",
        "         │     └─ b1   [learned, 3 × 1] shared: reached along 2 paths",
        "         └─ aB1 = relu(zB1)   [3 × 1]",
        "            └─ zB1 = W1 @ xB + b1   [3 × 1]",
        "               ├─ W1 (shared, see above)",
        "               ├─ xB   [given, 4 × 1]",
        "               └─ b1 (shared, see above)",
    ]


def test_the_paths_to_a_parameter_are_listed() -> None:
    text = lines(tree_working(model(SIAMESE), "L"))
    at = text.index("W1 is reached along 2 paths; a gradient with respect to it sums over both.")
    assert text[at + 1 : at + 3] == [
        "  L → a2 → z2 → a1 → aA1 → zA1 → W1",
        "  L → a2 → z2 → a1 → aB1 → zB1 → W1",
    ]
    assert "b2 is reached along 1 path." in text


def test_the_tree_as_data() -> None:
    data = tree_working(model(SIAMESE), "L").data
    nodes = {n["name"]: n for n in data["nodes"]}
    assert len(nodes) == 15
    assert nodes["W1"] == {"name": "W1", "role": "learned", "shape": [3, 4], "equation": None}
    assert nodes["z2"]["role"] == "intermediate"
    assert nodes["z2"]["equation"] == "W2 @ a1 + b2"
    assert nodes["xA"]["role"] == "given"
    assert {"from": "zA1", "to": "W1"} in data["edges"]
    assert {"from": "zB1", "to": "W1"} in data["edges"]
    assert data["paths"]["W1"]["count"] == 2
    assert data["paths"]["W1"]["paths"][0] == ["L", "a2", "z2", "a1", "aA1", "zA1", "W1"]


def test_what_is_not_reached_is_said() -> None:
    m = model("given x in R\nlearn u, v in R\na = u*x\nL = a**2\nM = v*a")
    assert "v is not reached: L does not depend on it." in lines(tree_working(m, "L"))


def test_a_tree_of_an_intermediate_and_of_an_expression() -> None:
    m = model(SIAMESE)
    assert tree_working(m, "a1").steps[0].text.startswith("a1 = aA1 - aB1   [3 × 1]\n├─ aA1")
    working = tree_working(m, expr("z2 - y"))
    assert working.ask == "tree z2 - y"
    assert working.steps[0].text.split("\n")[:2] == [
        "z2 - y   [a number]", "├─ y   [given, a number]",
    ]  # fmt: skip
    with pytest.raises(NameProblem, match=r"depends on no quantity"):
        tree_working(m, expr("2 + 3"))


def test_layers_that_repeat_are_drawn_once() -> None:
    working = tree_working(model(mlp(48)), "L")
    assert working.steps[0].text.split("\n") == [
        "L = mse(a48, y)   [a number]",
        "├─ y   [given, 5 × 1]",
        "└─ a48 = relu(z48)   [5 × 1]",
        "   └─ z48 = W48 @ a47 + b48   [5 × 1]",
        "      ├─ W48   [learned, 5 × 5]",
        "      ├─ b48   [learned, 5 × 1]",
        "      └─ … ×48 … the same layer 48 times in all, down to a1 = relu(z1), z1 = W1 @ x + b1",
        "         └─ x   [given, 5 × 1]",
    ]
    (repeat,) = working.data["repeats"]
    assert (repeat["period"], repeat["times"]) == (2, 48)
    assert len(working.data["nodes"]) == 2 * 48 + 1 + 2 * 48 + 2


def test_layers_of_another_shape_are_not_the_same() -> None:
    text = (
        mlp(8).replace("W4 in R[5, 5]", "W4 in R[6, 5]").replace("W5 in R[5, 5]", "W5 in R[5, 6]")
    )
    text = text.replace("b4 in R[5]", "b4 in R[6]")
    assert tree_working(model(text), "L").data["repeats"] == []


def test_a_recurrent_network_shares_its_weights() -> None:
    text = ["given y in R[5], h0 in R[5]", "learn W in R[5, 5], U in R[5, 2]"]
    text += [f"given x{k} in R[2]" for k in range(1, 13)]
    text += [f"h{k} = tanh(W @ h{k - 1} + U @ x{k})" for k in range(1, 13)]
    working = tree_working(model("\n".join([*text, "L = mse(h12, y)"])), "L")
    drawn = working.steps[0].text
    assert "W   [learned, 5 × 5] shared: reached along 12 paths" in drawn
    assert "… ×12 … the same layer 12 times in all, down to h1 = tanh(W @ h0 + U @ x1)" in drawn


def test_residual_paths_are_counted_and_not_listed() -> None:
    working = tree_working(model(residual(60)), "L")
    assert working.data["paths"]["W1"]["count"] == 2**59
    assert working.data["paths"]["W60"]["count"] == 1
    assert "×60" in working.steps[0].text
    two = tree_working(model(residual(60)), "L", wrt=["W1"])
    assert lines(two)[-1].startswith("W1 is reached along about 10^17 paths")


def test_a_thousand_layers_are_quick() -> None:
    m = model(mlp(1000, width=2))
    start = time.perf_counter()
    working = tree_working(m, "L")
    assert time.perf_counter() - start < 20
    assert len(working.steps[0].text) < 1000
    assert (
        lines(working)[-1] == "W1, b1, W2, b2, … b1000 (2000 names) are each reached along 1 path."
    )


def test_a_deep_tree_without_repeats_goes_on_at_the_left() -> None:
    text = ["given x in R[2]", "a0 = 2*x"]
    operators = ["relu", "tanh", "sigmoid", "exp", "sin", "cos", "abs"]
    text += [f"a{k} = {operators[(k * k + k // 3) % 7]}(a{k - 1})" for k in range(1, 60)]
    drawn = tree_working(model("\n".join(text)), "a59").steps[0].text.split("\n")
    assert max(map(len, drawn)) < 80
    assert any(line.endswith("(goes on below)") for line in drawn)
    assert sum(" = " in line for line in drawn) == 60
