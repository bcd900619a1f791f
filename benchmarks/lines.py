"""Rows of the table of engines: a peer's time, ours, their ratio and the goal; timed in turns."""

from __future__ import annotations

import gc
import timeit
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Task = Callable[[], Any]


@dataclass(frozen=True)
class Line:
    """One row: what was timed, the peer's name and seconds, ours, and the goal as a ratio.

    theirs   None where the peer is not installed
    group    rows of one group stand together in the table and the plot
    """

    what: str
    peer: str
    theirs: float | None
    ours: float
    goal: float | None = None
    group: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.theirs is None else self.theirs / self.ours

    @property
    def verdict(self) -> str:
        """ "met", "missed", or nothing where there is no goal or no peer."""
        if self.goal is None or self.ratio is None:
            return ""
        return "met" if self.ratio >= self.goal else "missed"


def interleaved(tasks: dict[str, Task], runs: int = 15, budget: float = 0.02) -> dict[str, float]:
    """The median seconds of a call of each task; the tasks take turns."""
    loops = {}
    for name, task in tasks.items():
        task()
        once = min(timeit.repeat(task, number=1, repeat=3))
        loops[name] = max(1, int(budget / max(once, 1e-7)))
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    gc.collect()
    for _ in range(runs):
        for name, task in tasks.items():
            taken[name].append(timeit.timeit(task, number=loops[name]) / loops[name])
    return {name: median(times) for name, times in taken.items()}


def seconds(value: float | None) -> str:
    """A time as people read it."""
    if value is None:
        return "not installed"
    for scale, unit in ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s")):
        if value < 1000 * scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.3g} s"


def times(ratio: float) -> str:
    """A ratio as people read it."""
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.3g}×"


def markdown(lines: Sequence[Line]) -> str:
    """The lines as a table."""
    rows = [
        "| what | peer | peer's time | ours | ratio | goal | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for x in lines:
        ratio = "" if x.ratio is None else times(x.ratio)
        goal = "" if x.goal is None else f"≥ {x.goal:g}×"
        cells = (x.what, x.peer, seconds(x.theirs), seconds(x.ours), ratio, goal, x.verdict)
        rows.append(("| " + " | ".join(cells)).rstrip() + " |")
    return "\n".join(rows)
