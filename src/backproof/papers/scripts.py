"""Scripts: what a student handed in, as text or as a row of a class's CSV. Read within bounds.

    Ada Lovelace                 # the file's name, where no name is written
    [q04-step]                   # the sheet that the next lines answer
    S = [[-1.80, -0.50], [-0.10, 1.20], [-0.30, 0.20]]
    shape(W) = (2, 2)
    grad(L, W) = (P - Y).T @ X/3

A line is `KEY = ANSWER`; what cannot be read is kept as it is and blocks nothing. Nothing in a
script is ever run.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backproof.errors import FileProblem
from backproof.papers.paper import Paper

MOST_CHARACTERS = 60_000  # of one script
MOST_LINES = 1_000
LONGEST_LINE = 4_000
MOST_SCRIPTS = 20_000
MOST_BYTES = 200_000_000  # of a class's file
_SECTION = re.compile(r"^[\[#\s]*([\w-]+)[\]:\s]*$")
_ROW = re.compile(r"[\s\d\[\](),.;eE+−–?_-]+")  # a further row of a matrix
_SIGN = re.compile(r":?=|:|≈|≅")
_NOTHING = frozenset(("", "-", "–", "—", "−", "…", "...", "n/a", "?", "/"))
_STUDENT = re.compile(r"^(?:student|name)\s*:\s*(.{1,120})$", re.IGNORECASE)
_GRADIENT = re.compile(r"^[d∂](\w+)\s*/\s*[d∂](\w+)$")


@dataclass(frozen=True)
class Script:
    """One student's answers.

    answers   item id -> the answer as written (the last one, where a line is written twice)
    extra     sheet name -> quantity -> what was written of it without being asked
    unread    lines that answer nothing of the paper
    digest    of the text: a script that changed is marked again
    """

    student: str
    answers: dict[str, str]
    extra: dict[str, dict[str, str]]
    unread: tuple[str, ...]
    digest: str


class Reader:
    """Reads scripts for one paper."""

    def __init__(self, paper: Paper) -> None:
        self.paper = paper
        self.sheets = {sheet.name.casefold(): sheet for sheet in paper.sheets}
        self.keys: dict[str, list[tuple[str, str]]] = {}  # plain key -> (sheet, item id)
        self.own: dict[str, dict[str, str]] = {}  # sheet -> plain key -> item id
        self.names: dict[str, set[str]] = {}
        for sheet in paper.sheets:
            self.names[sheet.name] = set(sheet.model.definitions)
            for item in sheet.items:
                self.keys.setdefault(plain_key(item.key), []).append((sheet.name, item.id))
                self.own.setdefault(sheet.name, {})[plain_key(item.key)] = item.id

    def read(self, text: str, student: str) -> Script:
        """The script of a text."""
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
        section = ""
        answers: dict[str, str] = {}
        extra: dict[str, dict[str, str]] = {}
        unread: list[str] = []
        for line in _whole_lines(text[:MOST_CHARACTERS].splitlines()[:MOST_LINES]):
            line = _printable(line[:LONGEST_LINE]).strip()
            found = _STUDENT.match(line)
            if found is not None:
                student = found[1].strip()
                continue
            heading = _SECTION.match(line)
            if heading is not None and heading[1].casefold() in self.sheets:
                section = self.sheets[heading[1].casefold()].name
                continue
            if not line or line.startswith("#"):
                continue
            key, sign, answer = self._parted(line, section)
            place = self._place(plain_key(key), section)
            if not sign or place is None:
                name = key.strip()
                if sign and section and name in self.names[section]:
                    extra.setdefault(section, {})[name] = answer.strip()
                else:
                    unread.append(line[:200])
                continue
            if not nothing(answer):
                answers[place] = answer.strip()
        return Script(student, answers, extra, tuple(unread), digest)

    def _parted(self, line: str, section: str) -> tuple[str, str, str]:
        """(key, sign, answer): at the first sign before which a key of the paper stands."""
        for match in _SIGN.finditer(line):
            if self._place(plain_key(line[: match.start()]), section) is not None:
                return line[: match.start()], match[0], line[match.end() :]
        return line.partition("=")

    def _place(self, key: str, section: str) -> str | None:
        if section and key in self.own.get(section, {}):
            return self.own[section][key]
        if section:
            return None
        found = self.keys.get(key, [])
        return found[0][1] if len(found) == 1 else None

    def row(self, row: dict[str, str], student: str) -> Script:
        """The script of a row of a CSV: one column an item, by its id or its key."""
        lines = [f"{k}={v}" for k, v in sorted(row.items())]
        digest = hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()[:16]
        answers: dict[str, str] = {}
        unread: list[str] = []
        ids = {item.id for item in self.paper.items}
        for column, answer in row.items():
            if nothing(answer):
                continue
            place = column.strip() if column.strip() in ids else None
            place = place or self._place(plain_key(column), "")
            if place is None:
                unread.append(f"{column} = {answer}"[:200])
            else:
                answers[place] = _printable(answer[:LONGEST_LINE]).strip()
        return Script(student, answers, {}, tuple(unread), digest)


def _whole_lines(lines: list[str]) -> Iterator[str]:
    """Lines, a matrix over several of them as one."""
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        joined = 0
        while "=" in line and _open(line) > 0 and at < len(lines) and joined < 20:
            if not _ROW.fullmatch(lines[at].strip()[:LONGEST_LINE]):
                break
            line += " " + lines[at].strip()
            at, joined = at + 1, joined + 1
        yield line


def _open(line: str) -> int:
    answer = line.partition("=")[2]
    return answer.count("[") - answer.count("]")


def nothing(answer: str) -> bool:
    """Whether an answer says that there is none."""
    return answer.strip().casefold() in _NOTHING


def plain_key(text: str) -> str:
    """A key without spaces; `dL/dW` and `∂L/∂W` mean grad(L, W)."""
    bare = re.sub(r"\s+", "", text).replace("−", "-")
    found = _GRADIENT.match(bare)
    return f"grad({found[1]},{found[2]})" if found else bare


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in line)


def read_scripts(paths: list[Path], paper: Paper) -> Iterator[Script]:
    """The scripts of text files, of directories of them, and of CSV files, in a fixed order."""
    reader = Reader(paper)
    count = 0
    for path in paths:
        for script in _scripts(path, reader):
            count += 1
            if count > MOST_SCRIPTS:
                raise FileProblem(f"More than {MOST_SCRIPTS:,} scripts are not marked at once.")
            yield script


def _scripts(path: Path, reader: Reader) -> Iterator[Script]:
    if path.is_dir():
        for entry in sorted(path.iterdir()):
            if entry.suffix.lower() in (".txt", ".csv", ".md") and not entry.is_symlink():
                yield from _scripts(entry, reader)
        return
    try:
        size = path.stat().st_size
        if path.suffix.lower() == ".csv":
            if size > MOST_BYTES:
                raise FileProblem(f"'{path}' is larger than {MOST_BYTES:,} bytes.")
            text = path.read_text(encoding="utf-8-sig", errors="replace")
            yield from _rows(text, path, reader)
            return
        with path.open("rb") as file:
            data = file.read(4 * MOST_CHARACTERS)
    except OSError as error:
        raise FileProblem(f"The script '{path}' cannot be read: {error.strerror}.") from None
    yield reader.read(data.decode("utf-8-sig", "replace"), path.stem)


def _between(text: str) -> str:
    """What stands between the columns: a comma, or what other spreadsheets write in its place.

    Names of items have commas in them, so they say nothing.
    """
    header = re.sub(r'"[^"]*"|\([^)]*\)', "", text.partition("\n")[0])
    return next((sign for sign in (";", "\t") if sign in header), ",")


def _rows(text: str, path: Path, reader: Reader) -> Iterator[Script]:
    try:
        plain = text.replace("\0", " ")
        table = csv.DictReader(io.StringIO(plain), delimiter=_between(plain))
        columns = table.fieldnames or []
        named = next((c for c in columns if c.strip().casefold() in ("student", "name")), None)
        if named is None:
            raise FileProblem(
                f"'{path}' has no column 'student'.",
                hint="the first line names the columns: student, then one item a column",
            )
        for number, row in enumerate(table, 2):
            student = (row.get(named) or "").strip()[:120] or f"line {number}"
            cells = {c: v for c, v in row.items() if c and c != named and isinstance(v, str)}
            yield reader.row(cells, _printable(student))
    except csv.Error as error:
        raise FileProblem(f"'{path}' is not a readable CSV file: {error}.") from None
