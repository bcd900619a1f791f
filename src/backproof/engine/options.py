"""The options of `backproof train`. Imports only click, so that `backproof --help` stays quick."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

PATH = click.Path(path_type=Path)
RANGE = click.IntRange
_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--data",), {"metavar": "NAME|FILE", "help":
     "digits, breast-cancer, wine, iris, or a file .csv or .npz, one row a sample."}),
    (("--map", "maps"), {"multiple": True, "metavar": "GIVEN=PART", "help":
     "Which given gets which part: X=data, Y=target, or a column's name."}),
    (("--target",), {"metavar": "NAME", "help":
     "The column of a file that is the target; none for no target."}),
    (("--set", "values"), {"multiple": True, "metavar": "NAME=N", "help":
     "A dimension or a constant that the data do not fix: h=16, lambda=1e-4."}),
    (("--scale",), {"default": "auto", "type":
     click.Choice(["auto", "standard", "minmax", "none"]), "help": "How numbers are scaled."}),
    (("--pairs",), {"type": RANGE(1), "metavar": "N", "help":
     "Pairs for twins, N for each sample; half of them of one class."}),
    (("--unseen",), {"default": "", "metavar": "A,B", "help":
     "Classes held out of training; pairs of them are a split of their own."}),
    (("--thin",), {"default": 1.0, "metavar": "SHARE", "help":
     "Keep only this share of the samples of label 1."}),
    (("--test",), {"default": 0.2, "show_default": True, "help": "Share of the test split."}),
    (("--validation",), {"default": 0.1, "show_default": True, "help":
     "Share of the validation split; 0 for none."}),
    (("--loss",), {"metavar": "L", "help": "The number that training makes smaller."}),
    (("--engine",), {"default": "auto", "type":
     click.Choice(["auto", "numpy", "jax", "numba"]), "help": "What it runs on."}),
    (("--epochs",), {"default": 50, "type": RANGE(1), "show_default": True, "help":
     "Passes over the training split."}),
    (("--batch",), {"default": 32, "type": RANGE(1), "show_default": True, "help":
     "Samples a step."}),
    (("--rate",), {"type": float, "help": "Learning rate; the optimiser's usual one."}),
    (("--optimizer",), {"default": "adam", "show_default": True, "type": click.Choice(
     ["sgd", "momentum", "nesterov", "rmsprop", "adam", "lbfgs", "newton"]), "help":
     "The rule of a step; the last two take all samples at once."}),
    (("--momentum",), {"default": 0.9, "show_default": True, "help":
     "Of momentum, nesterov and adam."}),
    (("--schedule",), {"default": "constant", "show_default": True, "help":
     "constant, cosine, linear, exponential:F, step:N:F or warmup:N."}),
    (("--patience",), {"default": 0, "type": RANGE(0), "metavar": "N", "help":
     "Stop after N epochs without a better validation loss."}),
    (("--seed",), {"default": 0, "type": RANGE(0), "show_default": True, "help":
     "Split, pairs, first values and order of the samples."}),
    (("--init", "initial"), {"multiple": True, "metavar": "W=RULE", "help":
     "First values: he, glorot, zeros, ones, normal:S, uniform:S, FILE.npz; * for all."}),
    (("--dtype",), {"default": "float64", "type": click.Choice(["float64", "float32"]), "help":
     "Precision of a step."}),
    (("--out",), {"type": PATH, "metavar": "DIR", "help":
     "The run folder; without it runs/NAME-1 or the next that is free."}),
    (("--resume",), {"is_flag": True, "help": "Go on with the run in --out."}),
    (("--overwrite",), {"is_flag": True, "help": "Start the run in --out again."}),
    (("--checkpoint-seconds",), {"default": 1.0, "show_default": True, "type":
     click.FloatRange(0), "metavar": "S", "help":
     "Least time between two checkpoints; 0 for one an epoch."}),
    (("--compare",), {"is_flag": True, "help":
     "Beside scikit-learn's counterpart, on the same splits."}),
    (("--processes",), {"default": 1, "type": RANGE(1), "metavar": "N", "help":
     "Share every batch among N processes of this host (engine jax)."}),
    (("--coordinator",), {"default": "", "metavar": "HOST:PORT", "help":
     "Many hosts: where the first process listens."}),
    (("--process-id",), {"default": 0, "type": RANGE(0), "metavar": "K", "help":
     "Many hosts: the number of this process, from 0."}),
    (("--process-count",), {"default": 1, "type": RANGE(1), "metavar": "N", "help":
     "Many hosts: how many processes there are."}),
    (("--quiet",), {"is_flag": True, "help": "No progress bar."}),
    (("--sheet",), {"metavar": "NAME", "help": "Which sheet of a paper, by its name."}),
)  # fmt: skip


def train_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds them to a command."""
    for names, how in reversed(_OPTIONS):
        command = click.option(*names, **how)(command)
    return command
