"""Several processes on one host: starts them, watches them, and ends all when one is lost.

The processes find each other on a loopback port and run the same command; this one only watches.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from backproof.errors import BackproofError, TrainingStopped, ValueProblem

WAIT = 0.05
GRACE = 3.0


def devices_here() -> tuple[int, str]:
    """(how many devices this host has for processes, what they are): GPUs, else CPU cores."""
    if os.environ.get("JAX_PLATFORMS", "").lower() != "cpu":
        shown = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = [k for k in range(64) if Path(f"/dev/nvidia{k}").exists()]
        if gpus and shown != "":
            return (len(shown.split(",")) if shown else len(gpus)), "GPUs"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1, "CPU cores"


def check_count(processes: int) -> None:
    """ValueProblem where there are more processes than devices."""
    have, what = devices_here()
    if processes < 1:
        raise ValueProblem(f"The number of processes is {processes}; it is at least 1.")
    if processes > have:
        raise ValueProblem(
            f"{processes} processes were asked for, and this host has {have} {what}.",
            hint=f"--processes {have}, or more hosts with --coordinator HOST:PORT",
        )


class LostProcess(TrainingStopped):
    """A process of the run ended without a message of its own."""


def supervise(
    arguments: Sequence[str],
    processes: int,
    seen: Callable[[], None],
    last_epoch: Callable[[], int],
) -> None:
    """Runs `backproof train ARGUMENTS` in so many processes, until all end or one is lost.

    seen         called again and again while they run
    last_epoch   the epoch of the last checkpoint, for the message
    """
    running: list[subprocess.Popen[bytes]] = []
    with ExitStack() as files:
        logs = [files.enter_context(tempfile.TemporaryFile()) for _ in range(processes)]
        ours: frozenset[int] = frozenset()
        try:
            _start_and_watch(running, logs, arguments, processes, seen)
        finally:
            ours = _end(running)
        _judge(running, logs, ours, last_epoch)


def _start_and_watch(
    running: list[subprocess.Popen[bytes]],
    logs: Sequence[IO[bytes]],
    arguments: Sequence[str],
    processes: int,
    seen: Callable[[], None],
) -> None:
    have, what = devices_here()
    address = f"127.0.0.1:{_free_port()}"
    for k in range(processes):
        env = dict(os.environ)
        if what == "GPUs":
            env["BACKPROOF_LOCAL_DEVICE"] = str(k)
        else:
            env.setdefault("JAX_PLATFORMS", "cpu")
            env.setdefault("OMP_NUM_THREADS", str(max(1, have // processes)))
        command = [sys.executable, "-m", "backproof", "train", *arguments,
                   "--coordinator", address, "--process-id", str(k),
                   "--process-count", str(processes)]  # fmt: skip
        running.append(
            subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL,
                             stdout=logs[k], stderr=logs[k])
        )  # fmt: skip
    while any(p.poll() is None for p in running):
        if any(p.poll() not in (None, 0) for p in running):
            time.sleep(4 * WAIT)  # the one that was lost first may not have been seen yet
            break
        seen()
        time.sleep(WAIT)
    seen()


def _judge(
    running: Sequence[subprocess.Popen[bytes]],
    logs: Sequence[IO[bytes]],
    ours: frozenset[int],
    last_epoch: Callable[[], int],
) -> None:
    """Raises where a process did not end well; *ours* are those that were ended here."""
    codes = [p.returncode for p in running]
    if not any(codes):
        return
    killed = [k for k, code in enumerate(codes) if code < 0 and k not in ours]
    own = [k for k, code in enumerate(codes) if code in (1, 2, 3)]
    if not killed and own:
        text = _tail(logs[own[0]])
        error = BackproofError(text or f"Process {own[0]} of {len(running)} failed.")
        error.exit_code = codes[own[0]]
        raise error
    k = killed[0] if killed else next(k for k, code in enumerate(codes) if code)
    code = codes[k]
    how = f"was ended by signal {-code} ({signal.Signals(-code).name})" if code < 0 else (
        f"ended with exit code {code}"
    )  # fmt: skip
    epoch = last_epoch()
    raise LostProcess(
        f"Process {k + 1} of {len(running)} {how}, so the run was stopped. The checkpoint of "
        f"epoch {epoch} is good.",
        hint="go on with --resume, with any number of processes"
        + ("" if code < 0 else f"; its last words: {_tail(logs[k], 2)}"),
    )


def _end(running: Sequence[subprocess.Popen[bytes]]) -> frozenset[int]:
    """Ends what still runs, and says which those were."""
    left = frozenset(k for k, p in enumerate(running) if p.poll() is None)
    for k in left:
        running[k].terminate()
    until = time.monotonic() + GRACE
    for k in left:
        try:
            running[k].wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            running[k].kill()
            running[k].wait()
    return left


def _tail(log: IO[bytes], lines: int = 12) -> str:
    log.seek(0)
    text = log.read().decode("utf-8", "replace").strip().splitlines()
    return "\n".join(text[-lines:])


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port
