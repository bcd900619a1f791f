"""`fit`: a model and data in, a trained model out, with one flat list of options."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from backproof.calculus.model import Model
from backproof.engine.data import Wanted, task_for
from backproof.engine.runs import RunFolder
from backproof.engine.training import Options, Trained, train
from backproof.errors import BackproofError

WANTED = frozenset(f.name for f in fields(Wanted))
OPTIONS = frozenset(f.name for f in fields(Options))


def fit(
    model: Model,
    data: Any,
    *,
    target: str | None = None,
    loss: str | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    probe: bool = True,
    **options: Any,
) -> Trained:
    """Trains *model*; see `Sheet.fit`."""
    unknown = [n for n in options if n not in WANTED | OPTIONS]
    if unknown:
        known = ", ".join(sorted(WANTED | OPTIONS))
        raise BackproofError(f"fit has no option '{unknown[0]}'.", hint=f"it has {known}")
    wanted = Wanted(**{n: v for n, v in options.items() if n in WANTED})
    how = Options(**{n: v for n, v in options.items() if n in OPTIONS}).checked()
    task = task_for(model, data, wanted, target=target, loss=loss)
    folder = RunFolder.new(Path(out), overwrite) if out is not None else None
    return train(task, how, folder=folder, probe=probe)
