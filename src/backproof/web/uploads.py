"""Data files given to one open page: kept in a folder of its own, bounded, never anywhere else.

A sheet on the page can read these files and no others. Names are plain file names; whatever else
a name might mean to a file system is turned down.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import OrderedDict
from pathlib import Path

from backproof.errors import FileProblem, LimitExceeded
from backproof.web.limits import Limits

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]{0,60}\.(?:csv|npy|npz)", re.IGNORECASE)


def check_name(name: str) -> str:
    """The name, if it is a plain name of a data file."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise FileProblem(
            f"'{name[:80]}' is not the name of a data file; expected letters, digits, '_', '-' and "
            "'.', ending in .csv, .npy or .npz.",
            hint="rename the file",
        )
    return name


class Uploads:
    """The files of every open page, in one temporary folder that `close` removes.

    first   files that every page has from the start: name -> content
    """

    def __init__(self, limits: Limits, first: dict[str, bytes] | None = None) -> None:
        self.limits = limits
        self.first = dict(first or {})
        self.root = Path(tempfile.mkdtemp(prefix="backproof-"))
        self._folders: OrderedDict[str, Path] = OrderedDict()

    def folder(self, session: str) -> Path:
        """The folder of a page; the page that was silent longest loses its files where too many."""
        if session in self._folders:
            self._folders.move_to_end(session)
            return self._folders[session]
        while len(self._folders) >= self.limits.sessions:
            _, oldest = self._folders.popitem(last=False)
            shutil.rmtree(oldest, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=self.root))
        for name, content in self.first.items():
            (folder / name).write_bytes(content)
        self._folders[session] = folder
        return folder

    def has(self, session: str) -> bool:
        """Whether a page has, or would have, files."""
        return session in self._folders or bool(self.first)

    def names(self, session: str) -> list[str]:
        """The names of a page's files."""
        if not self.has(session):
            return []
        return sorted(entry.name for entry in self.folder(session).iterdir())

    def add(self, session: str, name: str, content: bytes) -> Path:
        """Puts a file into a page's folder; one with the same name is replaced."""
        check_name(name)
        if len(content) > self.limits.upload:
            raise LimitExceeded(
                f"The file '{name}' has {len(content):,} bytes; at most {self.limits.upload:,} "
                "are taken."
            )
        folder = self.folder(session)
        there = {entry.name for entry in folder.iterdir()}
        if name not in there and len(there) >= self.limits.uploads:
            raise LimitExceeded(
                f"This page has {len(there)} files already, and can have no more.",
                hint="take one away first",
            )
        path = folder / name
        path.write_bytes(content)
        return path

    def remove(self, session: str, name: str) -> None:
        """Takes a file away, if it is there."""
        (self.folder(session) / check_name(name)).unlink(missing_ok=True)

    def close(self) -> None:
        """Removes everything."""
        shutil.rmtree(self.root, ignore_errors=True)
