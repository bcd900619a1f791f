"""How large, long and slow a sheet from the page may be, and the check of what can be counted.

Time and memory cannot be counted beforehand; worker processes are bounded in both.
"""

from __future__ import annotations

from dataclasses import dataclass

from backproof.errors import LimitExceeded, SheetError
from backproof.language import syntax as ast
from backproof.language.sheet import Sheet


@dataclass(frozen=True, slots=True)
class Limits:
    """What one open page may ask for.

    text         characters of a sheet
    body         bytes of a request that is not an upload
    names        declared and defined names
    name         characters of one name
    statements   lines of a sheet that say something
    dimension    the largest number that a dimension may be
    seconds      of work for one request, after which its process is killed
    memory       bytes of address space of a worker process
    reply        bytes of the answers to one request
    upload       bytes of one data file
    uploads      files of one open page
    sessions     open pages that may have files
    waiting      requests that may wait for a process
    """

    text: int = 60_000
    body: int = 256_000
    names: int = 2_000
    name: int = 80
    statements: int = 4_000
    dimension: int = 10_000_000
    seconds: float = 20.0
    memory: int = 1_500_000_000
    reply: int = 24_000_000
    upload: int = 8_000_000
    uploads: int = 16
    sessions: int = 64
    waiting: int = 200


def check_text(text: str, limits: Limits) -> None:
    """LimitExceeded where the text is too long."""
    if len(text) > limits.text:
        raise LimitExceeded(
            f"The sheet has {len(text):,} characters; this page reads at most {limits.text:,}.",
            hint="work a larger sheet with: backproof work FILE",
        )


def check_sheet(sheet: Sheet, limits: Limits) -> None:
    """LimitExceeded where a parsed sheet has more or larger things than the page works."""
    names = [*sheet.declarations, *sheet.equations, *sheet.dimensions]
    if len(names) > limits.names:
        raise LimitExceeded(
            f"The sheet has {len(names):,} names; this page works at most {limits.names:,}."
        )
    if len(sheet.statements) > limits.statements:
        raise LimitExceeded(
            f"The sheet has {len(sheet.statements):,} statements; this page works at most "
            f"{limits.statements:,}."
        )
    for name in names:
        if len(name) > limits.name:
            raise LimitExceeded(
                f"The name '{name[:20]}…' has {len(name)} characters; at most {limits.name} "
                "are read.",
                hint="give it a shorter one",
            )
    for declaration in sheet.declarations.values():
        for dim in declaration.set.dims if declaration.set is not None else ():
            _check_dimension(sheet, dim, limits)
    for let in sheet.lets.values():
        _check_dimension(sheet, let.value, limits)


def _check_dimension(sheet: Sheet, expr: ast.Expr, limits: Limits) -> None:
    for node in ast.walk(expr):
        if isinstance(node, ast.Number) and node.value > limits.dimension:
            raise LimitExceeded(
                f"A dimension of {node.text} is too large; this page works up to "
                f"{limits.dimension:,}.",
                place=sheet.place(node.span),
                hint="leave it as a name: a dimension without a number stays symbolic",
            )
        if isinstance(node, ast.Apply) and node.op == "pow":
            raise LimitExceeded(
                "This page takes no powers in a dimension.",
                place=sheet.place(node.span),
                hint="write the number itself",
            )


def check_files(sheet: Sheet, uploaded: frozenset[str]) -> None:
    """SheetError where a sheet names a file that was not given to the page."""
    for declaration in sheet.declarations.values():
        if declaration.file is None or declaration.file in uploaded:
            continue
        known = ", ".join(f"'{name}'" for name in sorted(uploaded))
        raise SheetError(
            f"There is no file '{declaration.file[:80]}' on this page.",
            place=sheet.place(declaration.span),
            hint=f"the page has {known}" if known else "give it to the page under 'Files'",
        )
