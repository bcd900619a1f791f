"""What has been marked, in one SQLite file: written batch by batch, so that nothing is lost.

Lines belong to one text of a paper and one scheme; when either changes they are marked again.
What a marker decided by hand stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from backproof.errors import FileProblem
from backproof.papers.marking import Line

_TABLES = """
create table if not exists meta (key text primary key, value text not null);
create table if not exists scripts (
    student text primary key, digest text not null, place integer not null);
create table if not exists lines (
    student text not null, item text not null, answer text not null, verdict text not null,
    share text, reason text not null, mistake text not null, carried text not null,
    primary key (student, item)) without rowid;
create table if not exists overrides (
    student text not null, item text not null, marks text not null, reason text not null,
    primary key (student, item)) without rowid;
create table if not exists unread (student text not null, line text not null);
"""


@dataclass(frozen=True)
class Override:
    """What a marker decided by hand."""

    student: str
    item: str
    marks: Fraction
    reason: str


@dataclass(frozen=True)
class Marked:
    """A script that was marked."""

    student: str
    digest: str
    lines: tuple[Line, ...]
    unread: tuple[str, ...] = ()


class Store:
    """The marks of one paper and one class."""

    def __init__(self, path: Path) -> None:
        try:
            self.db = sqlite3.connect(path, timeout=30)
            self.db.execute("pragma journal_mode = wal")
            self.db.execute("pragma synchronous = normal")
            self.db.executescript(_TABLES)
        except sqlite3.Error as error:
            raise FileProblem(f"'{path}' is no file of marks: {error}.") from None

    def close(self) -> None:
        """Writes what is left and lets the file go."""
        self.db.close()

    def belongs_to(self, stamp: str) -> None:
        """Keeps what was marked for this paper and scheme; forgets lines marked for another."""
        with self.db:
            row = self.db.execute("select value from meta where key = 'stamp'").fetchone()
            if row is not None and row[0] != stamp:
                for table in ("scripts", "lines", "unread"):
                    self.db.execute(f"delete from {table}")
            self.db.execute("insert or replace into meta values ('stamp', ?)", (stamp,))

    def done(self) -> dict[str, str]:
        """student -> digest of everything marked so far."""
        return dict(self.db.execute("select student, digest from scripts"))

    def add(self, batch: Iterable[tuple[int, Marked]]) -> None:
        """Adds marked scripts, all or none."""
        with self.db:
            for place, script in batch:
                self._forget(script.student)
                self.db.execute(
                    "insert into scripts values (?, ?, ?)", (script.student, script.digest, place)
                )
                self.db.executemany(
                    "insert into lines values (?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (
                            script.student, line.item, line.answer, line.verdict,
                            None if line.share is None else str(line.share),
                            line.reason, line.mistake, "\n".join(line.carried),
                        )
                        for line in script.lines
                    ],
                )  # fmt: skip
                self.db.executemany(
                    "insert into unread values (?, ?)",
                    [(script.student, line) for line in script.unread],
                )

    def _forget(self, student: str) -> None:
        for table in ("scripts", "lines", "unread"):
            self.db.execute(f"delete from {table} where student = ?", (student,))

    def drop_all_but(self, students: set[str]) -> None:
        """Forgets scripts that are no longer handed in."""
        with self.db:
            for student in set(self.done()) - students:
                self._forget(student)

    def override(self, decisions: Iterable[Override]) -> None:
        """Notes what a marker decided; the last decision on a line counts."""
        with self.db:
            self.db.executemany(
                "insert or replace into overrides values (?, ?, ?, ?)",
                [(d.student, d.item, str(d.marks), d.reason) for d in decisions],
            )

    def overrides(self) -> dict[tuple[str, str], Override]:
        """(student, item) -> what was decided."""
        rows = self.db.execute("select student, item, marks, reason from overrides")
        return {(s, i): Override(s, i, Fraction(m), r) for s, i, m, r in rows}

    def scripts(self) -> Iterator[Marked]:
        """Every marked script, in the order handed in."""
        with closing(self.db.cursor()) as cursor:
            students = cursor.execute("select student, digest from scripts order by place, student")
            for student, digest in students.fetchall():
                lines = self.db.execute(
                    "select item, answer, verdict, share, reason, mistake, carried from lines "
                    "where student = ?", (student,),
                ).fetchall()  # fmt: skip
                unread = self.db.execute("select line from unread where student = ?", (student,))
                yield Marked(
                    student, digest,
                    tuple(
                        Line(item, answer, verdict, None if share is None else Fraction(share),
                             reason, mistake, tuple(carried.split("\n")) if carried else ())
                        for item, answer, verdict, share, reason, mistake, carried in lines
                    ),
                    tuple(line for (line,) in unread),
                )  # fmt: skip
