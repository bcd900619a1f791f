"""Writes a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from backproof.errors import FileProblem


def save(path: Path, content: str | bytes) -> None:
    """Puts the content at *path*, text as UTF-8; when it fails, what was there is untouched."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise FileProblem(f"'{path}' is a directory; expected the name of a file to write.")
        if target.exists() and not target.is_file():  # a device or a pipe cannot be replaced
            with target.open("wb") as file:
                file.write(data)
            return
        _replace(target, data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileProblem(
            f"The file '{path}' cannot be written: {reason}.", hint=_hint(path)
        ) from None


def _replace(target: Path, data: bytes) -> None:
    mode = _mode(target)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _mode(target: Path) -> int:
    try:
        return target.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _hint(path: Path) -> str:
    folder = path.parent
    if not folder.exists():
        return f"there is no directory '{folder}'; make it first"
    return "" if os.access(folder, os.W_OK) else f"the directory '{folder}' may not be written to"
