"""Reads `.sheet` files and Markdown papers from disk.

Knows how a file can fail to be readable text; it must not know the language.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from backproof.errors import FileProblem, LimitExceeded, Place, Source, Span
from backproof.language.markdown import Document, SheetBlock, parse_markdown
from backproof.language.sheet import parse_sheet
from backproof.language.tokens import LONGEST_LINE, LONGEST_TEXT, check_size

MARKDOWN = (".md", ".markdown")


def read_sheets(path: Path) -> Document:
    """The sheets of a file. In a `.sheet` file a broken sheet raises; in a paper it is a block."""
    source = read_source(path)
    if path.suffix.lower() in MARKDOWN:
        return parse_markdown(source)
    sheet = parse_sheet(source)
    block = SheetBlock(sheet.name, sheet.region, sheet, None)
    return Document(source, sheet.title, (block,))


def read_source(path: Path) -> Source:
    """The text of a file, or an error that says why it is not readable text."""
    name = str(path)
    text = _decode(name, _read(path))
    if not text.strip():
        raise FileProblem(
            f"The file '{name}' is empty; it has no statements.",
            hint="begin with what is given: given x in R[4]",
        )
    return Source(name, text)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(4 * LONGEST_TEXT + 1)
    except FileNotFoundError:
        raise FileProblem(f"There is no file '{path}'.", hint=_similar(path)) from None
    except IsADirectoryError:
        raise FileProblem(
            f"'{path}' is a directory; expected a file.", hint="name a .sheet or a .md file in it"
        ) from None
    except PermissionError:
        raise FileProblem(
            f"The file '{path}' may not be read.", hint="change its permissions"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileProblem(f"The file '{path}' cannot be read: {reason}.") from None
    return data


def _decode(name: str, data: bytes) -> str:
    nul = data.find(b"\0")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FileProblem(
            f"The file '{name}' is not UTF-8: it begins like UTF-16.", hint="save it as UTF-8"
        )
    if nul >= 0:
        raise FileProblem(
            f"The file '{name}' is not text: byte {nul} is NUL.",
            hint="name a .sheet file or a Markdown paper",
        )
    try:
        text = data[: 4 * LONGEST_TEXT].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < 4 * LONGEST_TEXT - 4:
            line = data.count(b"\n", 0, error.start) + 1
            raise FileProblem(
                f"The file '{name}' is not UTF-8: byte {error.start} (0x{data[error.start]:02x}, "
                f"in line {line}) cannot be decoded.",
                hint="save it as UTF-8",
            ) from None
        text = data[: error.start].decode("utf-8-sig")  # cut off within a character
    if len(text) > LONGEST_TEXT:
        _too_large(name, text)
    return text


def _too_large(name: str, text: str) -> None:
    """Complain on the first part only: to find line ends in all of it would take too long."""
    source = Source(name, text[: LONGEST_LINE + 2])
    check_size(source, 0, len(source.text))
    raise LimitExceeded(
        f"The file '{name}' has more than {LONGEST_TEXT:,} characters; no more are read.",
        place=Place(source, Span(0, 1)),
        hint='keep large values in a file beside the sheet: given X = file("points.csv")',
    )


def _similar(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"there is no directory '{path.parent}' either"
    close = get_close_matches(path.name, names, n=1)
    return f"did you mean '{path.parent / close[0]}'?" if close else "check the name"
