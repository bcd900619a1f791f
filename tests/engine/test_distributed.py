"""Two processes on loopback: the losses of one, a lost process, another number of processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.engine.test_runs import SHEET, run

from backproof.engine import launch
from backproof.engine.runs import Checkpoint
from backproof.errors import ValueProblem

pytest.importorskip("sklearn")
pytest.importorskip("jax")
two_cores = pytest.mark.skipif(launch.devices_here()[0] < 2, reason="needs two devices")


def command(out: Path, *more: str) -> list[str]:
    sheet = out.parent / "net.sheet"
    sheet.write_text(SHEET)
    return [sys.executable, "-m", "backproof", "train", str(sheet), "--data", "iris", "--batch",
            "16", "--engine", "jax", "--out", str(out), *more]  # fmt: skip


def losses(out: Path) -> list[float]:
    return [json.loads(x)["loss"] for x in (out / "metrics.jsonl").read_text().splitlines()]


@two_cores
def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    two = command(tmp_path / "two", "--processes", "2", "--epochs", "5")
    done = subprocess.run(two, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert "2 cpu devices, 2 processes" in done.stdout
    code, text = run(*command(tmp_path / "one", "--epochs", "5")[4:])
    assert code == 0, text
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-9)


@two_cores
def test_a_lost_process_ends_the_run_and_the_checkpoint_is_good(tmp_path: Path) -> None:
    out = tmp_path / "run"
    child = subprocess.Popen(
        command(out, "--processes", "2", "--epochs", "20000"), stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 60
    while time.monotonic() < until and not (out / "metrics.jsonl").exists():
        time.sleep(0.05)
    while time.monotonic() < until and len(losses(out)) < 5:
        time.sleep(0.05)
    ranks = children(child.pid)
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 3, said
    assert "was ended by signal 9 (SIGKILL), so the run was stopped" in said
    found = re.search(r"The checkpoint of epoch (\d+) is good", said)
    point = Checkpoint.loaded(out / "checkpoint.npz")
    assert found is not None and int(found[1]) == point.epoch
    assert not [p for p in ranks if alive(p)]
    code, text = run("--out", out, "--resume", "--epochs", point.epoch + 2)  # one process
    assert code == 0 and f"Resumed after epoch {point.epoch}" in text, text
    assert len(losses(out)) == point.epoch + 2


def children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return sorted(found)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_more_processes_than_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "devices_here", lambda: (2, "CPU cores"))
    with pytest.raises(ValueProblem, match="3 processes were asked for, and this host has 2 CPU"):
        launch.check_count(3)
    how = command(tmp_path / "run")[4:]
    code, text = run(*how, "--processes", 64)
    assert code == 2 and "64 processes were asked for" in text
    code, text = run(*how, "--processes", 2, "--batch", 15)
    assert code == 2 and "cannot be shared evenly by 2 processes" in text and "--batch 14" in text
    code, text = run(*how, "--processes", 2, "--engine", "numpy")
    assert code == 2 and "Several processes run on the JAX engine" in text
