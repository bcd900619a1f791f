"""Marks a class: scripts over a few processes into one file, and goes on where it was stopped."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED as FIRST
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from difflib import get_close_matches
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for
from pathlib import Path

from backproof.errors import FileProblem
from backproof.papers.marking import Marker, Scheme
from backproof.papers.paper import Paper, read_paper
from backproof.papers.scripts import Script, read_scripts
from backproof.papers.store import Marked, Override, Store
from backproof.papers.summary import write_results

BATCH = 20
WORTH_A_PROCESS = 60  # scripts; below that, starting one takes longer than it saves
VERSION = "2"  # of the marking: lines marked by an older one are marked again

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Graded:
    """What came of marking a class: how many scripts, how many of them now, what to look at."""

    scripts: int
    marked_now: int
    to_review: int
    out: Path


def mark_class(
    paper_file: Path,
    scripts: Sequence[Path],
    out: Path,
    *,
    scheme: Scheme | None = None,
    overrides: Iterable[tuple[str, str, str, str]] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> Graded:
    """Marks every script that is not marked yet and writes the results.

    overrides   (student, item, marks, reason) decided by hand
    """
    scheme = scheme or Scheme()
    paper = read_paper(paper_file)
    decided = [_override(paper, *one) for one in overrides]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileProblem(f"'{out}' cannot be made: {error.strerror}.") from None
    store = Store(out / "marks.db")
    try:
        store.belongs_to(f"{VERSION} {paper.digest} {scheme.digits} {scheme.early}")
        handed_in = list(_named_once(read_scripts(list(scripts), paper)))
        _known(decided, {s.student for s in handed_in})
        done = store.done()
        todo = [(k, s) for k, s in enumerate(handed_in) if done.get(s.student) != s.digest]
        finished = len(handed_in) - len(todo)
        if progress is not None:
            progress(finished, len(handed_in))
        for batch in _marked(paper_file, paper, scheme, todo, workers):
            store.add(batch)
            finished += len(batch)
            if progress is not None:
                progress(finished, len(handed_in))
        store.drop_all_but({s.student for s in handed_in})
        store.override(decided)
        to_review = write_results(paper, store, out)
        return Graded(len(handed_in), len(todo), to_review, out)
    finally:
        store.close()


def _override(paper: Paper, student: str, item: str, marks: str, reason: str) -> Override:
    from fractions import Fraction

    most = paper.item(item).marks
    try:
        value = Fraction(marks)
    except (ValueError, ZeroDivisionError):
        raise FileProblem(f"'{marks}' is no number of marks.") from None
    if not 0 <= value <= most:
        raise FileProblem(f"'{item}' is worth {float(most):g} marks, and {marks} were given.")
    if not reason.strip():
        raise FileProblem("A mark that is decided by hand needs a reason.")
    return Override(student, item, value, reason.strip())


def _known(decided: Iterable[Override], students: set[str]) -> None:
    """A decision about a script that was not handed in is a slip of the pen."""
    for one in decided:
        if one.student not in students:
            near = get_close_matches(one.student, sorted(students), n=1)
            raise FileProblem(
                f"No script is by '{one.student}', so nothing of it can be decided.",
                hint=f"did you mean '{near[0]}'?" if near else "names are as in marks.csv",
            )


def _named_once(scripts: Iterable[Script]) -> Iterator[Script]:
    """Scripts with names that differ: a second Ada becomes 'Ada (2)'."""
    from dataclasses import replace

    seen: dict[str, int] = {}
    for script in scripts:
        seen[script.student] = seen.get(script.student, 0) + 1
        number = seen[script.student]
        yield replace(script, student=f"{script.student} ({number})") if number > 1 else script


Numbered = tuple[int, Script]


def _marked(
    file: Path, paper: Paper, scheme: Scheme, todo: list[Numbered], workers: int | None
) -> Iterator[list[tuple[int, Marked]]]:
    """The scripts in batches, marked, in whichever order they are done."""
    batches = [todo[k : k + BATCH] for k in range(0, len(todo), BATCH)]
    count = min(workers or os.cpu_count() or 1, len(batches))
    if count < 2 or len(todo) < WORTH_A_PROCESS:
        marker = Marker(paper, scheme)
        for batch in batches:
            yield [(place, mark_one(marker, script)) for place, script in batch]
        return
    with ProcessPoolExecutor(
        count, mp_context=get_context("spawn"), initializer=_start, initargs=(file, scheme)
    ) as pool:
        waiting: set[Future[list[tuple[int, Marked]]]] = set()
        rest = iter(batches)
        try:
            for batch in rest:
                waiting.add(pool.submit(_batch, batch))
                if len(waiting) >= 2 * count:
                    ready, waiting = wait(waiting, return_when=FIRST)
                    for future in ready:
                        yield future.result()
            while waiting:
                ready, waiting = wait(waiting, return_when=FIRST)
                for future in ready:
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def mark_one(marker: Marker, script: Script) -> Marked:
    """One script, marked."""
    return Marked(script.student, script.digest, tuple(marker.mark(script)), script.unread)


_MARKER: list[Marker] = []  # of this process


def _start(file: Path, scheme: Scheme) -> None:
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _MARKER[:] = [Marker(read_paper(file), scheme)]


def _end_with(sentinel: int) -> None:
    """Ends this process when the one that started it is gone."""
    wait_for([sentinel])
    os._exit(1)


def _batch(batch: list[Numbered]) -> list[tuple[int, Marked]]:
    return [(place, mark_one(_MARKER[0], script)) for place, script in batch]
