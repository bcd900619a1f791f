"""Medians of interleaved runs, and the table they are printed in."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Task = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    ours, goal   seconds (or whatever `unit` says); no goal is None
    peer         (its name, its seconds in the same run), or a word on why there is none
    at_least     the goal is a lower bound
    """

    what: str
    ours: float
    goal: float | None = None
    peer: tuple[str, float] | str = ""
    unit: str = "s"
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal was reached; a row without a goal always is."""
        if self.goal is None:
            return True
        return self.ours >= self.goal if self.at_least else self.ours <= self.goal


def seconds(task: Task) -> float:
    """How long one run takes, with the collector's work of earlier runs done before."""
    gc.collect()
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def medians(tasks: Sequence[Task], runs: int = 9) -> list[float]:
    """The median time of each task; runs of different tasks take turns."""
    taken: list[list[float]] = [[] for _ in tasks]
    for _ in range(runs):
        for task, times in zip(tasks, taken, strict=True):
            times.append(seconds(task))
    return [median(times) for times in taken]


def prepared(make: Callable[[], Any], use: Callable[[Any], Any], runs: int) -> Task:
    """A task that uses a fresh thing every time, where making it is not measured."""
    ready = [make() for _ in range(runs)]
    return lambda: use(ready.pop())


def show(value: float, unit: str) -> str:
    """A figure as people read it."""
    if unit == "s":
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    return f"{value:.3g}{unit}"


def table(rows: Sequence[Row]) -> str:
    """The rows under each other, with the goals and the ratios to the peers."""
    lines = [("", "ours", "goal", "", "peer, same run", "peer/ours")]
    for r in rows:
        sign = "≥ " if r.at_least else "≤ "
        goal = "" if r.goal is None else sign + show(r.goal, r.unit)
        verdict = "" if r.goal is None else "met" if r.met else "MISSED"
        peer, ratio = (r.peer, "") if isinstance(r.peer, str) else (
            f"{r.peer[0]} {show(r.peer[1], 's')}", f"{r.peer[1] / r.ours:.1f}×"
        )  # fmt: skip
        lines.append((r.what, show(r.ours, r.unit), goal, verdict, peer, ratio))
    widths = [max(len(line[k]) for line in lines) for k in range(6)]
    return "\n".join(
        "  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
