"""One epoch of training, behind one small interface, whatever runs it.

stepper.epoch(state, order, rate) -> (mean loss of the steps, new state)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backproof.engine.optimisers import Slots

Array = Any


@dataclass
class State:
    """Everything that a step changes: what a checkpoint must hold.

    steps   steps taken so far
    """

    parameters: dict[str, Array]
    slots: Slots = field(default_factory=dict)
    steps: int = 0
    done: bool = False

    def copy(self) -> State:
        return State(
            {n: np.array(p) for n, p in self.parameters.items()},
            {s: {n: np.array(a) for n, a in own.items()} for s, own in self.slots.items()},
            self.steps, self.done,
        )  # fmt: skip


class Stepper(ABC):
    """engine, why: what it runs on and why; batch: samples a step; processes: that share it."""

    engine = "numpy"
    why = ""
    batch = 1
    processes = 1

    @abstractmethod
    def start(self, parameters: Mapping[str, Array]) -> State:
        """The state before the first step."""

    def agreed(self, flag: bool) -> bool:
        """A decision that every process of the run must take alike."""
        return flag

    @abstractmethod
    def epoch(self, state: State, order: Array, rate: float) -> tuple[float, State]:
        """The mean loss of the steps over the samples in *order*, and the new state."""
