"""A run that is killed at a random moment goes on to the same bits as one that was not."""

from __future__ import annotations

import importlib.util
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.common import model_of
from tests.engine.test_runs import SHEET

from backproof.engine.command import Request, train_command
from backproof.engine.data import Wanted, task_for
from backproof.engine.runs import RunFolder
from backproof.engine.steppers import make_stepper
from backproof.engine.training import Options, Trained, train
from backproof.errors import FileProblem

pytest.importorskip("sklearn")


def command(sheet: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "backproof", "train", str(sheet), "--data", "iris", "--epochs",
            "300", "--batch", "8", "--checkpoint-seconds", "0", "--out", str(out),
            *more]  # fmt: skip


def metrics(out: Path) -> list[dict[str, Any]]:
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(x).items() if k != "seconds"} for x in lines]


def same_run(one: Path, two: Path) -> None:
    with np.load(one / "parameters.npz") as a, np.load(two / "parameters.npz") as b:
        assert a.files == b.files
        for name in a.files:
            assert np.array_equal(a[name], b[name]), name
    assert metrics(one) == metrics(two)


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_killed_at_random_moments(tmp_path: Path, optimizer: str) -> None:
    sheet = tmp_path / "net.sheet"
    sheet.write_text(SHEET)
    how = ("--optimizer", optimizer, "--schedule", "cosine")
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    subprocess.run(command(sheet, whole, *how), check=True, capture_output=True, timeout=60)
    rng = random.Random(time.time_ns())
    for killed in range(30):
        more = ("--resume",) if (torn / "run.json").exists() else ("--overwrite",)
        child = subprocess.Popen(
            command(sheet, torn, *how, *more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        if killed < 2:
            wait_for(torn / "metrics.jsonl", child)
            time.sleep(rng.uniform(0.0, 0.4))
            child.send_signal(signal.SIGKILL)
        _, said = child.communicate(timeout=60)
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL, said.decode()
    assert killed >= 1
    same_run(whole, torn)


def wait_for(file: Path, child: subprocess.Popen[bytes]) -> None:
    """Until the training loop runs: a line is written after this process began."""
    size = file.stat().st_size if file.exists() else 0
    until = time.monotonic() + 30
    while time.monotonic() < until and child.poll() is None:
        if file.exists() and file.stat().st_size not in (0, size):
            return
        time.sleep(0.005)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "rmsprop", "lbfgs", "newton"])
def test_stopped_and_resumed_in_one_process(tmp_path: Path, optimizer: str) -> None:
    def go(epochs: int, out: Path, resume: bool = False) -> None:
        task = task_for(model_of(SHEET), "iris", Wanted(seed=2))
        options = Options(epochs, 16, optimizer=optimizer, seed=2, patience=50)
        folder = RunFolder(out, every=0.0)
        train(task, options, folder=folder, resume=resume, probe=False)

    go(9, tmp_path / "whole")
    go(4, tmp_path / "torn")
    go(9, tmp_path / "torn", resume=True)
    one, two = metrics(tmp_path / "whole"), metrics(tmp_path / "torn")
    assert [r["loss"] for r in one] == [r["loss"] for r in two]
    files = [tmp_path / which / "parameters.npz" for which in ("whole", "torn")]
    with np.load(files[0]) as a, np.load(files[1]) as b:
        assert all(np.array_equal(a[n], b[n]) for n in a.files)


def test_a_run_without_a_first_checkpoint_starts_anew(tmp_path: Path) -> None:
    task = task_for(model_of(SHEET), "iris", Wanted())
    folder = RunFolder(tmp_path / "run")
    folder.begin()
    r = train(task, Options(2), folder=folder, resume=True, probe=False)
    assert len(r.history) == 2


def test_what_a_resumed_run_does_otherwise_is_said(tmp_path: Path) -> None:
    def go(epochs: int, resume: bool, **how: Any) -> Trained:
        task = task_for(model_of(SHEET), "iris", Wanted(seed=2))
        options = Options(epochs, 16, seed=2, **how)
        return train(task, options, folder=RunFolder(tmp_path), resume=resume, probe=False)

    first = go(2, False, engine="numpy")
    assert go(3, True, engine="numpy").said[-1] == "Resumed after epoch 2."
    assert go(4, True, engine="numpy", rate=0.1).said[-1] == (
        f"Changed from here on: rate ({first.options.rate} before, 0.1 now)."
    )
    assert (
        "schedule (constant before, cosine now), epochs (4 before, 5 now)."
        in (go(5, True, engine="numpy", rate=0.1, schedule="cosine").said[-1])
    )
    if importlib.util.find_spec("numba"):
        told = go(5, True, engine="numba", rate=0.1, schedule="cosine").said[-1]
        assert told.startswith("It ran on numpy before and runs on numba now: up to rounding")


def test_the_record_of_a_run_names_the_engine_that_ran(tmp_path: Path) -> None:
    task = task_for(model_of(SHEET), "iris", Wanted())
    folder = RunFolder(tmp_path)
    r = train(task, Options(2), folder=folder, probe=False)
    assert (folder.meta["engine"], folder.meta["why"]) == (r.engine, r.why)
    assert r.engine == "numpy"  # numba's compiling would take longer than these steps
    long = make_stepper(task, "adam", 0.9, 16, "auto", "float64", 10**6)
    assert long.engine == ("numba" if importlib.util.find_spec("numba") else "numpy")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "is not the record of a run"),
        ('{"request": {"epochs": "x"}}', "has 'x' for epochs, which no run has"),
        ('{"request": {"maps": 3}}', "has 3 for maps, which no run has"),
    ],
)
def test_a_record_that_is_none(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(FileProblem, match=says):
        train_command(Request(out=tmp_path, resume=True), frozenset())
