"""The verdicts of all claims of many files, on all cores; order kept, errors as plain data.

What comes back from another process is data only, so nothing here is an exception.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backproof.errors import (
    EXIT_CONTRADICTION,
    EXIT_REFUTED,
    BackproofError,
    InternalContradiction,
    SheetError,
    render_error,
)
from backproof.language.files import read_sheets
from backproof.language.sheet import Sheet
from backproof.working.report import as_error, place_of

if TYPE_CHECKING:
    from backproof.working.claims import Verdict

WORTH_A_PROCESS = 4  # files; below that, starting one takes longer than it saves


@dataclass(frozen=True)
class Problem:
    """An error as data: its place and message, its text as shown, and its exit code."""

    place: dict[str, Any]
    shown: str
    exit_code: int
    is_ours: bool = False


@dataclass(frozen=True)
class FileVerdicts:
    """The verdicts of one file, and what could not be read in it."""

    file: str
    verdicts: tuple[Verdict, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def exit_code(self) -> int:
        if self.problems:
            return max(problem.exit_code for problem in self.problems)
        return 0 if all(verdict.holds for verdict in self.verdicts) else EXIT_REFUTED


def check_files(
    paths: Sequence[Path], done: Callable[[int], None] | None = None
) -> list[FileVerdicts]:
    """The verdicts of every file, in the order given; *done* hears how many are finished."""
    found: list[FileVerdicts] = []
    for result in _results(paths):
        found.append(result)
        if done is not None:
            done(len(found))
    return found


def _results(paths: Sequence[Path]) -> Iterator[FileVerdicts]:
    workers = min(os.cpu_count() or 1, len(paths))
    if workers < 2 or len(paths) <= WORTH_A_PROCESS:
        yield from map(check_file, paths)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # A fork is quick, and safe only while no library has started threads.
    quick = sys.platform == "linux" and "numpy" not in sys.modules
    context = get_context("fork" if quick else "spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_seldom_collect) as pool:
        waiting = [pool.submit(check_file, path) for path in paths]
        for path, future in zip(paths, waiting, strict=True):
            try:
                yield future.result()
            except BrokenProcessPool:
                yield _lost(path)


def _seldom_collect() -> None:
    """Proofs make many small objects without cycles; looking for cycles less often is quicker."""
    gc.set_threshold(200_000, 20, 100)


def check_file(path: Path) -> FileVerdicts:
    """The verdicts of one file; what cannot be read is a problem and stops nothing else."""
    verdicts: list[Verdict] = []
    problems: list[Problem] = []
    try:
        document = read_sheets(path)
    except (BackproofError, RecursionError, MemoryError) as error:
        return FileVerdicts(str(path), (), (_problem(as_error(error)),))
    for block in document.sheets:
        try:
            if block.sheet is None:
                raise block.error or SheetError("The sheet cannot be read.")
            verdicts += _verdicts(block.sheet)
        except (BackproofError, RecursionError, MemoryError) as error:
            problems.append(_problem(as_error(error)))
    return FileVerdicts(str(path), tuple(verdicts), tuple(problems))


def _verdicts(sheet: Sheet) -> list[Verdict]:
    from backproof.calculus.model import build_model
    from backproof.working.claims import check_claims

    return check_claims(build_model(sheet))


def _problem(error: BackproofError) -> Problem:
    ours = isinstance(error, InternalContradiction)
    return Problem(place_of(error), render_error(error), error.exit_code, ours)


def _lost(path: Path) -> FileVerdicts:
    """The process that had this file ended before it answered."""
    message = f"The process that checked '{path}' ended before it was done; out of memory?"
    place = {"line": None, "column": None, "message": message}
    return FileVerdicts(str(path), (), (Problem(place, message, EXIT_CONTRADICTION, True),))
