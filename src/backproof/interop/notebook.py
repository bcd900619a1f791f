"""Sheets in a notebook: `%load_ext backproof`, then cells that begin with `%%sheet`.

A cell is a sheet; what it asks and claims is answered below it, and the sheet gets a name that
other cells can ask. Knows IPython only through the shell that it is given.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import Any

from backproof.errors import BackproofError, render_error

NAME = "sheet"  # what a sheet is called where the cell gives it no name


def add_magic(shell: Any, make: Callable[[str, str], Any]) -> None:
    """Adds the cell magic `%%sheet [NAME]`.

    make   (text, name) -> a sheet that can be worked
    """

    def sheet(line: str, cell: str) -> Any:
        """%%sheet [NAME]: the cell is a sheet; it is worked, and kept as NAME."""
        return work_cell(shell, make, line, cell)

    shell.register_magic_function(sheet, magic_kind="cell", magic_name="sheet")


def work_cell(shell: Any, make: Callable[[str, str], Any], line: str, cell: str) -> Any:
    """The answers to a cell that is a sheet; an error is told as a sentence, not as a traceback."""
    name = line.strip() or NAME
    if not name.isidentifier() or keyword.iskeyword(name):
        print(f"'{name}' is not a name; write %%sheet NAME, such as %%sheet siamese.")
        return None
    try:
        sheet = make(cell, name)
        shell.user_ns[name] = sheet
        return sheet.work()
    except BackproofError as error:
        print(render_error(error))
        return None
