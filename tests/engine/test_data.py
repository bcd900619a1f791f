"""Data meet a sheet: which given gets what, in what code and scale, and what does not fit."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.common import model_of

from backproof.engine import datasets
from backproof.engine.data import Task, Wanted, prepare, task_for
from backproof.engine.datasets import Raw
from backproof.errors import BackproofError, FileProblem, NameProblem, ShapeProblem, ValueProblem

pytest.importorskip("sklearn")

SOFTMAX = """given X in R[N, D]
given Y in onehot[N, K]
learn W in R[D, K], b in R[1, K]
P = softmax(X @ W + b)
L = cross_entropy(P, Y)
"""
ONE = """given x in R[d]
given y in {0, 1}
learn w in R[d], b in R
a = sigmoid(w.T @ x + b)
L = bce(a, y)
"""
TWINS = """given xA, xB in R[d]
given y in {0, 1}
learn W in R[5, d], v in R[5]
a = sigmoid(v.T @ (W @ xA - W @ xB)**2)
L = bce(a, y)
"""
AUTO = """given x in (0, 1)[n]
learn W in R[h, n], V in R[n, h]
a = sigmoid(V @ sigmoid(W @ x))
L = sse(a, x)
"""


def task(text: str, data: Any, **wanted: Any) -> Task:
    return task_for(model_of(text), data, Wanted(**wanted))


def test_sets_say_which_given_gets_what() -> None:
    t = task(SOFTMAX, "iris")
    assert t.target == "Y" and t.classes == ("0", "1", "2") and t.sizes == {"D": 4, "K": 3}
    assert t.parts["train"]["Y"].sum(axis=1).tolist() == [1.0] * t.count()
    assert any("Y gets the target (its set is onehot)" in s for s in t.said)
    X = t.parts["train"]["X"]
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(X.std(axis=0), 1)


def test_a_sheet_for_one_sample_becomes_its_batch() -> None:
    t = task(ONE, "breast-cancer")
    assert set(t.axes) == {"X", "Y"} and t.text and t.fixed is None
    assert "The sheet is for one sample" in " ".join(t.said)
    assert set(np.unique(t.parts["test"]["Y"])) == {0.0, 1.0}


def test_samples_as_columns_and_a_number_of_them() -> None:
    t = task(SOFTMAX.replace("R[N, D]", "R[12, D]").replace("onehot[N", "onehot[12"), "iris")
    assert t.fixed == 12
    columns = (
        "given X in R[4, m]\nlearn W in R[2, 4], V in R[4, 2]\nA = V @ tanh(W @ X)\nL = mse(A, X)"
    )
    t = task(columns, "iris")
    assert t.axes == {"X": 1} and t.rows("test")["X"].shape == (4, t.count("test"))


def test_splits_are_by_seed_and_apart() -> None:
    raw = datasets.load("digits")
    one, two = datasets.split(raw, 0.2, 0.1, 5), datasets.split(raw, 0.2, 0.1, 5)
    assert all(np.array_equal(one[p], two[p]) for p in one)
    every = np.concatenate(list(one.values()))
    assert len(every) == len(set(every.tolist())) == raw.count
    shares = np.bincount(raw.target[one["test"]].astype(int)) / np.bincount(raw.target)
    assert (abs(shares - 0.2) < 0.02).all()
    assert not np.array_equal(one["test"], datasets.split(raw, 0.2, 0.1, 6)["test"])


def test_thinning_keeps_a_share_of_label_one() -> None:
    raw = datasets.thinned(datasets.load("breast-cancer"), 0.15, 0)
    assert int((raw.target == 1).sum()) == 32 and int((raw.target == 0).sum()) == 357


def test_twins_get_pairs_and_unseen_classes_stay_out() -> None:
    t = task(TWINS, "digits", unseen="8,9", pairs=2)
    assert set(t.parts) == {"train", "validation", "test", "unseen"}
    for arrays in t.parts.values():
        assert abs(arrays["Y"].mean() - 0.5) < 0.01
    raw = datasets.load("digits")
    rows = np.flatnonzero(raw.target < 8)
    first, second, same = datasets.pairs(raw.target, rows, 300, 0)
    assert ((raw.target[first] == raw.target[second]) == (same == 1)).all()
    assert (raw.target[first] < 8).all() and (first != second).all()


def test_an_open_interval_holds_its_data() -> None:
    t = task(AUTO, "digits", values={"h": 3})
    for arrays in t.parts.values():
        assert arrays["X"].min() > 0 and arrays["X"].max() < 1
    assert t.target is None


def test_maps_override_and_parts_go_by_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", left=rng.normal(size=(20, 3)), right=rng.normal(size=(20, 3)),
             same=rng.integers(0, 2, 20))  # fmt: skip
    maps = {"xA": "left", "xB": "right", "y": "same"}
    t = task(TWINS, tmp_path / "d.npz", maps=maps)
    assert t.sizes["d"] == 3 and t.target == "Y"
    arrays = {"xA": rng.normal(size=(20, 3)), "xB": rng.normal(size=(20, 3)), "y": [0.0, 1.0] * 10}
    t = task(TWINS, arrays)
    assert t.count() + t.count("test") + t.count("validation") == 20


def test_a_csv_with_words_as_classes(tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text(
        "a,b,kind\n" + "".join(f"{k},{k * k},{'x' if k % 2 else 'y'}\n" for k in range(20))
    )
    t = task(SOFTMAX, file)
    assert t.classes == ("x", "y")
    assert task(ONE, file).classes == ("x", "y")


def test_labels_of_minus_one_and_one() -> None:
    t = task(ONE.replace("{0, 1}", "{-1, 1}").replace("bce(a, y)", "log(1 + exp(-y*a))"),
             "breast-cancer")  # fmt: skip
    assert set(np.unique(t.parts["train"]["Y"])) == {-1.0, 1.0}


@pytest.mark.parametrize(
    ("text", "data", "wanted", "kind", "says"),
    [
        (ONE, "digits", {}, ValueProblem, "Y is a label in {0, 1}, and the target holds 2"),
        (SOFTMAX.replace("R[N, D]", "R[N, 7]"), "iris", {}, ShapeProblem,
         "data of iris has 4 columns, and X is declared with 7 numbers a sample"),
        (SOFTMAX.replace("K]", "5]"), "iris", {}, ValueProblem,
         "with 5 classes, and the target has 3"),
        (AUTO, "digits", {}, ShapeProblem, "The size h is not fixed by the data"),
        (AUTO, "digits", {"values": {"h": 0.5}}, ValueProblem, "must be a positive integer"),
        (AUTO, "digits", {"values": {"q": 5}}, NameProblem, "'q' is no dimension"),
        (SOFTMAX, "iris", {"validation": 0.001}, ValueProblem, "The validation split is empty"),
        (SOFTMAX, "iris", {"test": 1.0}, ValueProblem, "share of the test split is 1"),
        (SOFTMAX, "iris", {"thin": 0.5}, ValueProblem, "Only a target with two labels"),
        (SOFTMAX, "iris", {"maps": {"X": "foo"}}, NameProblem, "iris has no 'foo'"),
        (SOFTMAX, "iris", {"maps": {"W": "data"}}, NameProblem, "'W' is not a given with samples"),
        (SOFTMAX, "iris", {"pairs": 2}, ShapeProblem, "Pairs are for twins"),
        (TWINS, "digits", {"unseen": "77,8"}, ValueProblem, "digits has no class '77'"),
        (TWINS, "digits", {"pairs": 0}, ShapeProblem, "would both get the data"),
        (AUTO, "digits", {"values": {"h": 3}, "scale": "none"}, ValueProblem, "strictly between"),
        (SOFTMAX, "none", {}, FileProblem, "There is no data set 'none'"),
        (SOFTMAX, "none.csv", {}, FileProblem, "not a file that exists"),
        (SOFTMAX, None, {}, ValueProblem, "There is no data for X, Y"),
        ("given x in R[3]\na = sum(x)\nL = a**2", "iris", {}, ShapeProblem, "learns nothing"),
        (TWINS, "digits", {"unseen": "77,8"}, ValueProblem, "classes are 0, 1, 2, 3, 4,"),
        (SOFTMAX, np.ones((5, 4)), {}, ValueProblem, "this is one ndarray of shape (5, 4)."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(
    text: str, data: Any, wanted: dict[str, Any], kind: type[BackproofError], says: str
) -> None:
    with pytest.raises(kind) as error:
        task(text, data, **wanted)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b,y\n1,2,0\n3,,1\n", "line 3: column 'b' has no value"),
        ("a,b,y\n1,nan,0\n3,4,1\n", "line 2: column 'b' has no value"),
        ("a,b,y\n1,x,0\n3,4,1\n", "column 'b' must hold numbers, and this cell is 'x'"),
        ("a,b,y\n1,2\n", "line 2: 2 cells, where the first line has 3"),
        ("", "is empty"),
        ("a,b,y\n1_000,2,0\n3,4,1\n", "column 'a' must hold numbers, and this cell is '1_000'"),
        ("a,b,y\n", "holds no samples: its only line is one of names"),
        ("\na,b, a,y\n1,2,3,0\n4,5,6,1\n", "line 2: columns 1 and 3 are both called 'a'"),
        ("a,y,y\n1,2,0\n3,4,1\n", "line 1: columns 2 and 3 are both called 'y'"),
        ("2019,2020,y\n1,2,0\n3,4,1\n", "line 1: column 3 holds 'y' there and numbers below"),
        ("1,,0\n3,4,1\n", "line 1: column 'c2' has no value"),
        (",a,,y\n1,2,3,0\n4,5,6,1\n", "line 1: columns 1 and 3 have no name"),
    ],
)
def test_a_csv_that_is_not_right(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "f.csv").write_text(text)
    with pytest.raises(FileProblem) as error:
        datasets.load(str(tmp_path / "f.csv"))
    assert says in str(error.value)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_what_separates_the_cells_of_a_csv(tmp_path: Path, mark: str) -> None:
    (tmp_path / "f.csv").write_text("a,b,y\n1,2,0\n3,4,1\n".replace(",", mark))
    raw = datasets.load(str(tmp_path / "f.csv"))
    assert raw.data is not None and raw.data.tolist() == [[1, 2], [3, 4]]
    assert list(raw.columns) == ["a", "b", "y"]


def test_words_as_bytes_are_classes_like_any() -> None:
    words = np.array([b"no", b"yes"])[np.arange(20) % 2]
    raw = datasets.from_arrays({"X": np.ones((20, 1)), "y": words})
    assert raw.target is not None and list(raw.target[:2]) == ["no", "yes"]
    made = task("given x in R\ngiven y in {0, 1}\nlearn w in R\nL = bce(sigmoid(w*x), y)\n", raw)
    assert set(np.unique(made.parts["train"]["Y"])) == {0.0, 1.0}


def test_numbers_too_large_for_their_deviation() -> None:
    raw = Raw("far", np.array([[1.0, -1e308], [2.0, 1e308]] * 10), np.arange(20.0))
    text = "given x in R[2]\ngiven y in R\nlearn w in R[2]\nL = (w.T @ x - y)**2\n"
    with pytest.raises(ValueProblem, match="column 2 holds numbers too large"):
        task(text, raw)


def test_an_array_that_declares_more_than_the_memory(tmp_path: Path) -> None:
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000, 4), }".ljust(117)
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as z:
        z.writestr("X.npy", b"\x93NUMPY\x01\x00v\x00" + head + b"\n")
    with pytest.raises(FileProblem, match="larger than the memory"):
        datasets.load(str(tmp_path / "f.npz"))


def test_missing_values_and_uneven_parts() -> None:
    with pytest.raises(ValueProblem, match="missing or infinite values: 1 of 4"):
        datasets.from_arrays({"x": [1.0, 2.0, np.nan, 4.0]})
    with pytest.raises(ValueProblem, match="differ in their number of samples: x has 2, y has 3"):
        datasets.from_arrays({"x": [[1.0], [2.0]], "y": [1, 2, 3]})
    with pytest.raises(ValueProblem, match="holds no samples"):
        task(ONE, Raw("nothing", np.zeros((0, 3)), np.zeros(0)))


def test_scikit_learn_missing_says_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(BackproofError, match=r"pip install \"backproof\[sklearn\]\""):
        datasets.load("digits")


def test_a_sheet_that_holds_its_values_needs_no_data() -> None:
    t = prepare(model_of("given x = [1, 2]\nlearn w in R[2]\nL = (w.T @ x - 1)**2"))
    assert t.samples is None and not t.axes


def test_what_a_sigmoid_reconstructs_is_brought_to_its_range() -> None:
    t = task(AUTO.replace("(0, 1)[n]", "R[n]"), "iris", values={"h": 3})
    assert t.parts["train"]["X"].min() == 0 and t.parts["train"]["X"].max() == 1
    assert any("reaches 0 to 1 only" in s for s in t.said)


def test_what_has_no_upper_bound_reconstructs_numbers_as_they_are() -> None:
    text = "given X in R[N, n]\nlearn W in R[n, n]\nR = exp(X @ W)\nL = mse(R, X)"
    t = task(text, "iris")
    assert t.parts["train"]["X"].min() < 0
    assert not any("reaches" in s for s in t.said)


TWO = """given x in R[d]
given y in R
learn w in R[d]
a = w.T @ x
E = (a - y)**2
L = E + sumsq(w)
"""


def test_which_number_is_the_loss() -> None:
    data = {"x": np.ones((20, 2)), "y": np.arange(20.0)}
    assert task_for(model_of(TWO), data).loss == "L"
    assert task_for(model_of(TWO), data, loss="E").loss == "E"
    several = task_for(model_of(TWO + "A = abs(a - y)\nP = sumsq(w)\n"), data)
    assert several.loss == "A"  # the last that depends on the data: a penalty alone is no loss
    assert "The loss is A; L and P are not made smaller (--loss NAME says otherwise)." in (
        several.said
    )
    assert not any("made smaller" in s for s in task_for(model_of(TWO), data).said)


@pytest.mark.parametrize(
    ("text", "loss", "says"),
    [
        (TWO, "J", "'J' cannot be the loss: it is not in the sheet."),
        (TWO, "w", "'w' cannot be the loss: it has no equation."),
        (TWO + "v = x*a\n", "v", "'v' cannot be the loss: its shape is no number's."),
        (TWO + "c = x.T @ x\n", "c", "c depends on no parameter"),
        (SOFTMAX, "J", "'J' cannot be the loss: it is not in the sheet."),
    ],
)
def test_a_loss_that_is_none(text: str, loss: str, says: str) -> None:
    with pytest.raises(BackproofError) as error:
        prepare(model_of(text), loss)
    assert says in str(error.value)


def test_parameters_larger_than_the_memory() -> None:
    from backproof.engine.training import Options, train

    for size, says in ((1e12, "as d is 4 and h is 1,000,000,000,000;"), (1e30, "h is 1e+30;")):
        made = task(AUTO.replace("[n", "[d").replace("n]", "d]"), "iris", values={"h": size})
        with pytest.raises(ValueProblem) as error:
            train(made, Options())
        assert "W would hold" in str(error.value) and says in str(error.value)
        assert "smaller sizes" in error.value.hint


def test_parts_and_labels_are_told_as_one_says_them() -> None:
    raw = datasets.from_arrays({"x": np.ones((20, 1)), "y": np.arange(20.0) % 2})
    assert "samples with label 1 are kept" in datasets.thinned(raw, 0.5, 0).said[-1]
    made = task(ONE, raw)
    assert "Y gets the part 'y' (by its name)." in made.said
    assert any("(1 constant column becomes 0)" in s for s in made.said)
    assert datasets.shown_label(1234567.0) == "1234567" and datasets.shown_label(0.5) == "0.5"


def test_twins_of_a_file_get_pairs_of_its_target(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [f"{a:.3f},{b:.3f},{['red', 'green', 'blue'][k % 3]}"
             for k, (a, b) in enumerate(rng.normal(size=(90, 2)))]  # fmt: skip
    (tmp_path / "f.csv").write_text("\n".join(["p,q,y", *lines]))
    made = task(TWINS, tmp_path / "f.csv", pairs=3)  # the target is called y, as the label is
    assert task(TWINS, tmp_path / "f.csv", pairs=3, maps={"y": "y"}).count() == 3 * 63
    assert made.count() == 3 * 63 and made.parts["train"]["Y"].mean() == pytest.approx(
        0.5, abs=0.01
    )


def test_a_number_that_is_the_same_for_every_sample() -> None:
    text = "given x in R[d]\ngiven y, c in R\nlearn w in R[d]\nL = (c*(w.T @ x) - y)**2\n"
    data = Raw("five", np.ones((20, 5)), np.arange(20.0))
    assert task(text, data, values={"c": 3.0}).constants["c"].item() == 3
    with pytest.raises(ShapeProblem) as error:
        task(text, data)  # x and c are no twins: their shapes differ
    assert "X and C would both get the data" in str(error.value)
    assert "--set gives a number that is the same" in error.value.hint
    with pytest.raises(ValueProblem) as missing:
        task("given x in R[d]\ngiven y in Rpos\nlearn w in R[d]\nL = (w.T @ x - y)**2\n", data)
    assert "each sample has its own of is declared in R" in missing.value.hint


def test_pairs_say_which_split_is_too_small() -> None:
    raw = datasets.from_arrays({"x": np.ones((12, 2)), "y": np.arange(12) % 4})
    with pytest.raises(ValueProblem) as error:
        task(TWINS, raw, test=0.0, validation=0.1)
    assert "the validation split has 1 sample in 1 class." in str(error.value)
    assert "--validation" in error.value.hint
    with pytest.raises(ValueProblem, match="1 of 4 classes would be held out"):
        task(TWINS, raw, unseen="3,3")


def test_a_sheet_for_so_many_samples() -> None:
    from backproof.engine.training import Options, train

    text = SOFTMAX.replace("R[N,", "R[20,").replace("onehot[N,", "onehot[20,")
    with pytest.raises(ValueProblem) as error:
        train(task(text, "iris"), Options(1))
    assert "for 20 samples, and the validation split has 15." in str(error.value)
    assert "another share with --validation, or a name" in error.value.hint
    done = train(task(text, "iris", validation=0.2), Options(1))
    told = "Left out, as the sheet takes 20 samples at a time: 10 of train, 10 of validation"
    assert any(told in s for s in done.said) and "batch 20, " in repr(done)


def test_a_tensor_tells_its_sizes() -> None:
    text = ('given X in R[N, h, k]\ngiven y in R[N]\nlearn W in R[h, k]\n'
            'a = einsum("nhk,hk->n", X, W)\nL = mse(a, y)\n')  # fmt: skip
    made = task(text, datasets.from_arrays({"X": np.ones((10, 4, 3)), "y": np.arange(10.0)}))
    assert made.sizes == {"h": 4, "k": 3} and made.parts["train"]["X"].shape[1:] == (4, 3)
    flat = datasets.from_arrays({"X": np.ones((10, 12)), "y": np.arange(10.0)})
    with pytest.raises(ShapeProblem, match="The size h and k is not fixed by the data"):
        task(text, flat)
    assert task(text, flat, values={"h": 4, "k": 3}).parts["train"]["X"].shape[1:] == (4, 3)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"d": "three"}, "The value of d is 'three', and must be a number."),
        ({"d": [3, 3]}, r"The value of d is \[3, 3\], and must be a number."),
    ],
)
def test_a_value_that_is_no_number(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueProblem, match=says):
        task(TWO, {"x": np.ones((20, 2)), "y": np.arange(20.0)}, values=values)


def test_rows_of_different_lengths() -> None:
    with pytest.raises(ValueProblem, match="must be an array of numbers, one row a sample"):
        datasets.from_arrays({"x": [[1, 2], [3]], "y": [1, 2]})


def test_a_size_that_was_set_does_not_fit() -> None:
    with pytest.raises(ShapeProblem) as error:
        task(AUTO, "iris", values={"h": 2, "n": 5})
    assert "declared with 5 numbers a sample, where n is 5" in str(error.value)
    assert error.value.hint == "it fits where n is 4"
    with pytest.raises(NameProblem, match="'x' is no dimension and no constant"):
        task(AUTO, "iris", values={"h": 2, "x": 5})
