"""The run folder: what it holds, when it refuses, and that a checkpoint is whole or not there."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from backproof.cli import main
from backproof.engine.charts import line_chart, pictures_text, spark
from backproof.engine.reports import _percent
from backproof.engine.runs import Checkpoint, RunFolder, replace_file
from backproof.engine.stepping import State
from backproof.errors import FileProblem

pytest.importorskip("sklearn")
SHEET = """# A small network
given x in R[4]
given y in onehot[3]
let h = 5
learn W1 in R[h, 4], b1 in R[h]
learn W2 in R[3, h], b2 in R[3]
a1 = tanh(W1 @ x + b1)
p = softmax(W2 @ a1 + b2)
L = cross_entropy(p, y)
"""


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    (tmp_path / "net.sheet").write_text(SHEET)
    return tmp_path / "net.sheet"


def run(*words: Any) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["train", *map(str, words)])
    return result.exit_code, result.output


def test_one_command_leaves_everything(sheet: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, text = run(sheet, "--data", "iris", "--epochs", 8, "--out", out, "--batch", 16)
    assert code == 0, text
    assert "Y gets the target (its set is onehot)" in text
    assert "W1: Glorot, as tanh follows" in text and "accuracy" in text
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [r["epoch"] for r in records] == list(range(1, 9))
    assert {"loss", "rate", "validation_loss", "accuracy", "gradients", "factors"} <= set(
        records[0]
    )
    meta = json.loads((out / "run.json").read_text())
    assert meta["options"]["seed"] == 0 and meta["versions"]["numpy"] == np.__version__
    assert (out / "sheet.sheet").read_text() == SHEET
    assert "X @ W1.T" in (out / "batch.sheet").read_text()
    with np.load(out / "parameters.npz") as archive:
        assert archive["W1"].shape == (5, 4)
    for name in ("loss", "quality", "gradients", "factors"):
        assert (out / f"{name}.svg").read_text().startswith("<svg")


def test_an_existing_folder_is_refused_resumed_or_overwritten(sheet: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    how = (sheet, "--data", "iris", "--out", out)
    assert run(*how, "--epochs", 3)[0] == 0
    code, text = run(*how, "--epochs", 3)
    assert code == 2 and "The run folder" in text and "--resume" in text and "--overwrite" in text
    code, text = run("--out", out, "--resume", "--epochs", 5)  # all else is remembered
    assert code == 0 and "Resumed after epoch 3" in text
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 5
    code, text = run("--out", out, "--resume", "--epochs", 9, "--seed", 4)
    assert code == 2 and "another sheet, other data or another split" in text
    code, text = run("--out", out, "--resume", "--epochs", 9, "--batch", 9)
    assert code == 2 and "with batch 32, and 9 is asked for" in text
    assert run(*how, "--epochs", 2, "--overwrite")[0] == 0
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--resume", "--overwrite"), "exclude each other"),
        (("--process-id", 3), "--coordinator HOST:PORT"),
        (("--checkpoint-seconds", "nan"), "a number of seconds"),
        (("--patience", 2, "--validation", 0), "there is no validation split"),
        (("--engine", "jax", "--coordinator", "here"), "'here' is not HOST:PORT"),
    ],
)
def test_options_that_would_do_nothing(
    sheet: Path, tmp_path: Path, options: tuple[Any, ...], says: str
) -> None:
    if "jax" in options:
        pytest.importorskip("jax")
    code, text = run(sheet, "--data", "iris", "--out", tmp_path / "run", *options)
    assert code == 2 and says in text
    assert not (tmp_path / "run").exists()


def test_what_the_report_says_of_steps(sheet: Path, tmp_path: Path) -> None:
    how = (sheet, "--data", "iris", "--out", tmp_path / "run", "--quiet")
    code, text = run(*how, "--epochs", 3, "--optimizer", "lbfgs")
    assert code == 0 and "all samples a step" in text and "batch 32" not in text
    code, text = run(*how, "--resume", "--epochs", 2)
    assert code == 0 and "nothing left to do: 3 iterations are done, of 2 asked" in text


@pytest.mark.parametrize(
    ("share", "shown"), [(0.00434, "0.43 %"), (0.09, "9 %"), (0.994, "99 %"), (9.12, "910 %"),
                         (1.5e9, "1.5e+11 %")],
)  # fmt: skip
def test_shares_read_as_percent(share: float, shown: str) -> None:
    assert _percent(share) == shown


def test_an_overflow_is_told_once(sheet: Path, tmp_path: Path, recwarn: Any) -> None:
    code, text = run(sheet, "--data", "iris", "--out", tmp_path / "run", "--engine", "numpy",
                     "--rate", 1e308, "--quiet")  # fmt: skip
    assert code == 3 and "first appears in the equation" in text
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


def test_folders_that_are_no_runs(sheet: Path, tmp_path: Path) -> None:
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    how = (sheet, "--data", "iris", "--epochs", 1, "--out", other)
    assert run(*how)[0] == 2
    code, text = run(*how, "--overwrite")
    assert code == 2 and "is not a run folder, so nothing in it is overwritten" in text
    assert (other / "thesis.txt").read_text() == "years of work"
    code, text = run(*how, "--resume")
    assert code == 2 and "nothing to resume" in text
    code, text = run(
        sheet, "--data", "iris", "--epochs", 1, "--init", "W1=no", "--out", tmp_path / "x"
    )
    assert code == 2 and not (tmp_path / "x").exists()


def test_a_checkpoint_comes_back_bit_by_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    state = State({"W": rng.normal(size=(3, 2))}, {"velocity": {"W": rng.normal(size=(3, 2))}}, 7)
    point = Checkpoint(4, state, 0.1, {"W": np.ones((3, 2))}, 2, 0.3, 1, "abc")
    (tmp_path / "c.npz").write_bytes(point.dumped())
    back = Checkpoint.loaded(tmp_path / "c.npz")
    assert np.array_equal(back.state.parameters["W"], state.parameters["W"])
    assert np.array_equal(back.state.slots["velocity"]["W"], state.slots["velocity"]["W"])
    assert (back.epoch, back.state.steps, back.initial, back.best_loss) == (4, 7, 0.1, 0.3)
    (tmp_path / "d.npz").write_bytes(point.dumped()[:200])
    with pytest.raises(FileProblem, match="not a checkpoint that can be read"):
        Checkpoint.loaded(tmp_path / "d.npz")


def test_a_full_disk_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = RunFolder(tmp_path / "run")
    folder.begin()
    first = Checkpoint(1, State({"w": np.ones(3)}), 1.0)
    with monkeypatch.context() as early:
        early.setattr(os, "fsync", full)
        with pytest.raises(FileProblem, match="nothing was kept yet"):
            folder.save(first)
    folder.save(first)
    before = (folder.path / "checkpoint.npz").read_bytes()

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileProblem, match="No space left on device") as error:
        folder.save(Checkpoint(2, State({"w": np.zeros(3)}), 1.0))
    assert "last checkpoint is whole" in str(error.value)
    assert (folder.path / "checkpoint.npz").read_bytes() == before
    assert [p.name for p in folder.path.iterdir()] == ["checkpoint.npz"]


def test_a_replaced_file_is_whole(tmp_path: Path) -> None:
    replace_file(tmp_path / "f", b"one")
    replace_file(tmp_path / "f", b"two")
    assert (tmp_path / "f").read_bytes() == b"two" and len(list(tmp_path.iterdir())) == 1


def test_a_metrics_line_cut_short_is_left_out(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    lines = [json.dumps({"epoch": k}) for k in (1, 2, 3)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + '\n{"epo')
    assert [r["epoch"] for r in folder.history(2)] == [1, 2]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_plots_as_svg_and_text() -> None:
    svg = line_chart("Loss & more", {"a": [(1, 2.0), (2, 0.5)], "b": [(1, 0.0)]}, logarithmic=True)
    assert "Loss &amp; more" in svg and 'aria-label="' in svg and svg.count("<path d=") == 2
    assert "nothing to show" in line_chart("none", {})
    assert spark([1, 2, 3]) == "▁▅█" or len(spark([1, 2, 3])) == 3
    assert spark([float("nan")]) == ""
    assert "██" in pictures_text([("a", np.array([[0.0, 1.0]]))], (1, 2))


def test_lines_of_a_chart_differ_without_colour() -> None:
    svg = line_chart("Loss", {n: [(1, -2.5), (2, 0.5)] for n in "abcd"})
    dashes = re.findall(r'stroke-dasharray="([^"]*)"/>', svg)
    assert len(dashes) == 4 and len(set(dashes)) == 4
    assert "−2.5 → 0.5" in svg
