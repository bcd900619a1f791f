"""The sheet of a batch: what it says, that it is what its samples give, and what is turned down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from tests.sheets import AUTOENCODER, SIAMESE
from tests.strategies import Network, networks

from backproof.calculus.batch import batch_sheet, check_batch, check_gradients
from backproof.calculus.batch.gradients import batch_gradients
from backproof.calculus.batch.sheet import BatchSheet
from backproof.calculus.evaluate import Evaluator
from backproof.calculus.model import Model, build_model
from backproof.calculus.notation import text as written
from backproof.errors import BackproofError, NameProblem, ShapeProblem, Source
from backproof.language.sheet import parse_sheet
from backproof.operators.table import TABLE

SOFTMAX = """\
given x in R[d]
given y in onehot[K]
learn W in R[K, d], c in R[K]
z = W @ x + c
p = softmax(z)
L = cross_entropy(p, y)
"""
LSTM = """\
given x in R[n]
given h0, c0, t in R[k]
learn Wf in R[k, n], Uf in R[k, k], bf in R[k]
learn Wi in R[k, n], Ui in R[k, k], bi in R[k]
learn Wo in R[k, n], Uo in R[k, k], bo in R[k]
learn Wc in R[k, n], Uc in R[k, k], bc in R[k]
f = sigmoid(Wf @ x + Uf @ h0 + bf)
i = sigmoid(Wi @ x + Ui @ h0 + bi)
o = sigmoid(Wo @ x + Uo @ h0 + bo)
g = tanh(Wc @ x + Uc @ h0 + bc)
c = f*c0 + i*g
h = o*tanh(c)
L = mse(h, t)
"""
ATTENTION = """\
let d = 4
given x in R[n]
given K in R[t, d]
given V in R[t, m]
given y in R[m]
learn Wq in R[d, n]
q = Wq @ x
s = K @ q/sqrt(d)
a = softmax(s)
o = V.T @ a
L = norm(o - y)**2/2
"""


def model(text: str) -> Model:
    return build_model(parse_sheet(Source("net.sheet", text)))


def batch(text: str, size: str = "b", **options: object) -> BatchSheet:
    return batch_sheet(model(text), size, **options)  # type: ignore[arg-type]


def equations(sheet: BatchSheet) -> list[str]:
    """The batch's equations, without the padding before the equals sign."""
    names = sheet.model.sheet.equations
    lines = [line for line in sheet.text.split("\n") if " = " in line]
    split = [line.split(" = ", 1) for line in lines]
    return [f"{n.strip()} = {e}" for n, e in split if n.strip() in names]


def declarations(sheet: BatchSheet) -> list[str]:
    return [s for s in sheet.text.split("\n") if s.startswith(("given", "learn"))]


def agrees(sheet: BatchSheet) -> bool:
    """Whether the batch and its gradients are what the samples give (a mismatch raises)."""
    root = sheet.loss_node
    gradients = {p: sheet.model.deriver.gradient(root, p) for p in sheet.model.learned}
    return check_batch(sheet).points > 0 and check_gradients(sheet, gradients).points > 0


# --- what a batch says ---------------------------------------------------------------------------


def test_the_siamese_network_in_columns_is_question_9() -> None:
    found = batch(SIAMESE, "m")
    assert declarations(found) == [
        "given XA, XB in R[4, m]",
        "given Y in {0, 1}[1, m]",
        "learn W1 in R[3, 4], b1 in R[3]",
        "learn W2 in R[1, 3], b2 in R",
    ]
    assert equations(found) == [
        "ZA1 = W1 @ XA + b1",
        "AA1 = relu(ZA1)",
        "ZB1 = W1 @ XB + b1",
        "AB1 = relu(ZB1)",
        "A1 = AA1 - AB1",
        "Z2 = W2 @ A1 + b2",
        "A2 = sigmoid(Z2)",
        "l = -(Y * log(A2) + (1 - Y) * log(1 - A2))",
        "L = mean(l)",
    ]
    assert found.names == {
        "xA": "XA", "xB": "XB", "y": "Y", "W1": "W1", "b1": "b1", "W2": "W2", "b2": "b2",
        "zA1": "ZA1", "aA1": "AA1", "zB1": "ZB1", "aB1": "AB1", "a1": "A1", "z2": "Z2",
        "a2": "A2", "L": "l",
    }  # fmt: skip
    assert agrees(found)


def test_in_rows_the_weights_are_transposed_and_stand_on_the_right() -> None:
    found = batch(SIAMESE, "m", rows=True)
    assert declarations(found)[:2] == ["given XA, XB in R[m, 4]", "given Y in {0, 1}[m]"]
    assert equations(found)[0] == "ZA1 = XA @ W1.T + b1.T"
    assert equations(found)[5] == "Z2 = A1 @ W2.T + b2"
    assert agrees(found)


def test_losses_run_over_the_entries_of_each_sample() -> None:
    assert equations(batch(AUTOENCODER))[-2:] == ["l = sum((A2 - X)**2, axis=0)", "L = mean(l)"]
    assert equations(batch(AUTOENCODER, rows=True))[-2] == "l = sum((A2 - X)**2, axis=1)"


def test_one_hot_columns_come_from_rows_so_that_their_promise_stays() -> None:
    columns = batch(SOFTMAX)
    assert "given Y_rows in onehot[b, K]" in columns.text
    assert equations(columns) == [
        "Y = Y_rows.T",
        "Z = W @ X + c",
        "P = softmax(Z, axis=0)",
        "l = -sum(Y * log(P), axis=0)",
        "L = mean(l)",
    ]
    assert "Y_rows" in columns.added
    assert "given Y in onehot[b, K]" in batch(SOFTMAX, rows=True).text


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("text", [SIAMESE, AUTOENCODER, SOFTMAX, LSTM, ATTENTION])
def test_the_batch_is_what_its_samples_give(text: str, rows: bool) -> None:
    assert agrees(batch(text, rows=rows))


def test_the_lstm_cell_keeps_the_readers_words() -> None:
    assert equations(batch(LSTM))[:1] == ["F = sigmoid(Wf @ X + Uf @ H0 + bf)"]
    assert "H = O * tanh(C)" in equations(batch(LSTM))


def test_keys_and_values_are_shared_by_the_queries() -> None:
    found = batch(ATTENTION)
    assert equations(found)[1:4] == [
        "S = K @ Q / sqrt(d)",
        "A = softmax(S, axis=0)",
        "O = V.T @ A",
    ]
    assert "the same for every sample" in next(r.why for r in found.roles if r.name == "K")


def test_the_text_is_a_sheet_of_its_own() -> None:
    found = batch(SIAMESE, "m")
    again = model(found.text)
    assert again.shape("L") == model(SIAMESE).shape("L")
    assert [a.text for a in again.sheet.asks] == ["shapes", "gradient L wrt W1, b1, W2, b2"]


def test_a_batch_of_numbers_by_numpy() -> None:
    """The batch of the autoencoder, computed by hand with NumPy for three samples."""
    found = batch(AUTOENCODER, "3")
    rng = np.random.default_rng(4)
    v = {n: rng.normal(size=s) for n, s in
         {"X": (4, 3), "W1": (3, 4), "b1": (3, 1), "W2": (4, 3), "b2": (4, 1)}.items()}  # fmt: skip
    a1 = 1 / (1 + np.exp(-(v["W1"] @ v["X"] + v["b1"])))
    a2 = 1 / (1 + np.exp(-(v["W2"] @ a1 + v["b2"])))
    run = Evaluator({}, v, found.model.definitions)
    assert np.allclose(run.named("A2"), a2)
    assert np.allclose(run.named("l"), ((a2 - v["X"]) ** 2).sum(axis=0, keepdims=True))
    assert np.allclose(run.named("L"), ((a2 - v["X"]) ** 2).sum(axis=0).mean())
    delta = 2 * (a2 - v["X"]) * a2 * (1 - a2)
    gradient = found.model.deriver.gradient(found.loss_node, "W2")
    assert np.allclose(run.value(gradient), delta @ a1.T / 3)


EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.sheet"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_example_agrees_or_is_no_sheet_of_one_sample(path: Path) -> None:
    try:
        one = model(path.read_text(encoding="utf-8"))
    except BackproofError:
        return  # the misprint of question 6
    try:
        found = batch_sheet(one, "m" if "m" not in one.sheet.dimensions else "b")
    except ShapeProblem as problem:
        known = ("already a batch", "is a constant", "has no data")
        assert any(words in problem.message for words in known)
        return
    assert agrees(found)


# --- single operators ----------------------------------------------------------------------------

FORMS = [
    ("x.T @ A @ x", "sum(X * (A @ X), axis=0)", "sum(X @ A * X, axis=1)"),
    ("u.T @ x", "sum(U * X, axis=0)", "sum(U * X, axis=1)"),
    ("sum(diag(u) @ x)", "sum(U * X, axis=0)", "sum(U * X, axis=1)"),
    ("w.T @ x", "w.T @ X", "X @ w"),
    ("sum(u @ x.T @ w)", "sum(w.T @ X * U, axis=0)", "sum(X @ w * U, axis=1)"),
    ("trace(u @ x.T)", "sum(X * U, axis=0)", "sum(X * U, axis=1)"),
    ("norm(x)", "norm(X, axis=0)", "norm(X, axis=1)"),
    ("max(x)", "max(X, axis=0)", "max(X, axis=1)"),
    ("logsumexp(x)", "logsumexp(X, axis=0)", "logsumexp(X, axis=1)"),
    ("mean(x)", "mean(X, axis=0)", "mean(X, axis=1)"),
    ("x[2]", "X[2, :]", "X[:, 2]"),
    ("sum(x[1:2])", "sum(X[1:2, :], axis=0)", "sum(X[:, 1:2], axis=1)"),
    ("sum(gelu(x + w))", "sum(gelu(X + w), axis=0)", "sum(gelu(X + w.T), axis=1)"),
    ("sum(u[i]*x[i] for i in 1..3)", "sum(U[i, :] * X[i, :] for i in 1..3)",
     "sum(U[:, i] * X[:, i] for i in 1..3)"),
    ("sum(s*w)", "sum(w @ S, axis=0)", "sum(S @ w.T, axis=1)"),
    ("sum(s + w)", "sum(S + w @ ones(b).T, axis=0)", "sum(S + ones(b) @ w.T, axis=1)"),
    ("max(concat(x, s, 1))", "max(concat(X, S, ones(b).T), axis=0)",
     "max(concat(X, S, ones(b), axis=1), axis=1)"),
    ("sum(softmax(x.T))", "sum(softmax(X, axis=0), axis=0)", "sum(softmax(X, axis=1), axis=1)"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "columns", "rows"), FORMS, ids=[f[0] for f in FORMS])
def test_how_an_operator_acts_on_samples(expression: str, columns: str, rows: str) -> None:
    head = "given x, u in R[3]\ngiven s in R\nlearn A in R[3, 3], w in R[3]\n"
    text = f"{head}L = {expression} + sum(w)\n"
    for by_rows, wanted in ((False, columns), (True, rows)):
        found = batch(text, rows=by_rows)
        assert equations(found)[0] == f"l = {wanted} + sum(w)"
        assert agrees(found)


def test_every_operator_that_works_entry_by_entry_has_a_rule() -> None:
    assert all(o.batch is not None for o in TABLE.values() if o.elementwise)


def test_a_matrix_for_each_sample_is_carried_inside_products() -> None:
    text = AUTOENCODER.replace("L = sse(a2, x)", "D = diag(a2)\ne = D @ (a2 - x)\nL = sumsq(e)")
    found = batch(text)
    assert found.held == ("D",)
    assert "E = A2 * (A2 - X)" in equations(found)
    assert agrees(found)


def test_a_class_counted_from_one_becomes_its_one_hot_column() -> None:
    found = batch("given x in R[n]\ngiven k in 1..K\nlearn W in R[K, n]\n"
                  "p = softmax(W @ x)\nL = -log(p[k])\n")  # fmt: skip
    assert equations(found)[-2] == "l = -log(sum(k_onehot * P, axis=0))"
    assert found.classes == {"k": "k_onehot"}
    assert agrees(found)


# --- which givens have the batch axis ------------------------------------------------------------


def test_constants_of_the_training_have_no_batch_axis() -> None:
    found = batch(
        "given x in R[2]\ngiven t in R\ngiven lambda in Rpos\ngiven p in (0, 1)\n"
        "given c = 3\nlearn w in R[2]\nL = (w.T @ x - t)**2*c*p + lambda*sumsq(w)\n"
    )
    taken = {r.name: (r.batched, r.kind) for r in found.roles}
    assert taken["x"] == taken["t"] == (True, "data")
    assert taken["lambda"] == taken["p"] == taken["c"] == (False, "constant")
    assert taken["w"] == (False, "parameter")
    why = {r.name: r.why for r in found.roles}
    assert why["lambda"] == "a positive number: a constant of the training, not of a sample"
    assert why["c"] == "has a value: the same for every sample"
    assert agrees(found)


def test_a_given_may_be_named_as_shared() -> None:
    text = "given x, m in R[2]\nlearn w in R[2]\nL = (w.T @ (x - m))**2\n"
    assert equations(batch(text, shared=["m"]))[0] == "l = (w.T @ (X - m))**2"
    assert equations(batch(text))[0] == "l = (w.T @ (X - M))**2"
    assert agrees(batch(text, shared=["m"], rows=True))
    with pytest.raises(NameProblem, match="'q' is named as shared, and is not a declared name"):
        batch(text, shared=["q"])


def test_names_that_clash_get_another_one() -> None:
    found = batch("given x in R[2]\nlearn X in R[2, 2], l in R\nα = X @ x\nL = sum(α) + l\n")
    assert found.names["x"] == "x_b"
    assert found.names["α"] == "α_b"  # its capital would look like an A
    assert found.row == "L_each"
    assert agrees(found)


# --- gradients -----------------------------------------------------------------------------------


def test_the_gradients_of_question_9_in_matrix_form() -> None:
    found = batch_gradients(batch(SIAMESE, "m"))
    full = {g.name: written(g.full) for g in (*found.inner, *found.parameters)}
    assert full["Z2"] == "(A2 - Y)/m"
    assert full["W2"] == "(A2 - Y) @ A1.T/m"
    assert full["b2"] in ("sum(A2 - Y)/m", "sum(A2 - Y, axis=1)/m")  # a number either way
    chained = {g.name: written(g.chained) for g in found.parameters if g.chained is not None}
    assert chained["W1"] == "grad(L, ZA1) @ XA.T + grad(L, ZB1) @ XB.T"
    assert chained["b1"] == "sum(grad(L, ZA1), axis=1) + sum(grad(L, ZB1), axis=1)"
    assert found.checked.points == 2


@pytest.mark.parametrize("rows", [False, True])
def test_the_softmax_gradient_uses_that_labels_are_one_hot(rows: bool) -> None:
    found = batch_gradients(batch(SOFTMAX, rows=rows))
    full = {g.name: written(g.full) for g in (*found.inner, *found.parameters)}
    assert full["Z"] == "(P - Y)/b"
    assert full["W"] == ("(P - Y).T @ X/b" if rows else "(P - Y) @ X.T/b")
    assert any("sum to one" in fact for fact in found.facts)


# --- random networks -----------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_random_networks_agree_with_their_samples(network: Network) -> None:
    assume("given x1 in R[N" not in network.text and "let N" not in network.text)
    for rows in (False, True):
        try:
            found = batch(network.text, "samples", rows=rows)
        except ShapeProblem as problem:
            assume("cannot be batched" in problem.message or "already" in problem.message)
            return
        assert check_batch(found, points=1).points <= 1
        root = found.loss_node
        nodes = {p: found.model.deriver.gradient(root, p) for p in network.learned}
        check_gradients(found, nodes, points=1)


# --- what is turned down -------------------------------------------------------------------------

DATA = "given x in R[n]\nlearn w in R[n]\n"
BAD = [
    (DATA + "A = x @ x.T\nL = det(A)\n", "b",
     "The equation of 'L' cannot be batched: det has no matrix form for a matrix that differs "
     "from sample to sample, in det(A)."),
    (DATA + "G = x @ w.T\nL = sum(tanh(G))\n", "b",
     "The equation of 'L' cannot be batched: tanh works entry by entry on a matrix that differs "
     "from sample to sample, in tanh(G)."),
    (DATA + "j = argmax(x)\nL = w[j]\n", "b", "The equation of 'L' cannot be batched: "),
    (DATA + "L = sum(kron(x, w))\n", "b", "The equation of 'L' cannot be batched: kron "),
    (DATA + "z = w.T @ x\n", "n",
     "'n' is already a dimension of this sheet and cannot be the number of samples."),
    (DATA + "b = w.T @ x\n", "b",
     "'b' is a quantity of this sheet and cannot be the number of samples too."),
    (DATA + "z = w.T @ x\n", "w", "'w' is a parameter of this sheet"),
    (DATA + "z = w.T @ x\n", "1", "A batch has two samples or more; found 1."),
    (DATA + "z = w.T @ x\n", "softmax", "'softmax' cannot be a name for the number of samples."),
    (DATA + "z = w*x\n", "b", "This sheet has no number that could be the loss"),
    ("given x in R[n]\nlearn w in R[n]\nL = sumsq(w)\n", "b",
     "The loss 'L' is the same for every sample, so there is nothing to average."),
    ("given x = [1, 2]\nlearn w in R[2]\nL = w.T @ x\n", "b",
     "Every given of this sheet is a constant, so nothing differs from sample to sample; 'x' has "
     "a value."),
    ("given lambda in Rpos\nlearn w in R[2]\nL = lambda*sumsq(w)\n", "b",
     "This sheet has no data, so there is nothing that differs from sample to sample."),
    ("given X in R[N, d]\ngiven y in {0, 1}[N]\nlearn w in R[d]\nL = bce(sigmoid(X @ w), y)\n", "b",
     "'X' is already a batch of N samples (its rows), so the sheet cannot be batched again."),
    ("given X in R[d, N]\nlearn W in R[h, d]\nL = sumsq(W @ X)\n", "b",
     "'X' is already a batch of N samples (its columns), so the sheet cannot be batched again."),
    ("given x in R[d]\ngiven Y in onehot[N, K]\nlearn W in R[K, d]\nL = sum(Y @ (W @ x))\n", "b",
     "'Y' is already a batch of N samples (its rows), so the sheet cannot be batched again."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "size", "message"), BAD, ids=[b[2][:40] for b in BAD])
def test_what_cannot_be_batched_says_why(text: str, size: str, message: str) -> None:
    with pytest.raises(BackproofError) as caught:
        batch(text, size)
    assert caught.value.message.startswith(message)
    assert caught.value.hint


def test_the_batch_of_a_batch_is_turned_down() -> None:
    with pytest.raises(ShapeProblem, match="'XA' is already a batch of b samples"):
        batch(batch(SIAMESE).text, "m")
