"""Text -> Sheet: tokens, expressions with their source spans, names and declared facts.

Imports nothing of the project but its errors, and never touches arrays.
"""

from backproof.language.files import read_sheets
from backproof.language.markdown import Document, Prose, SheetBlock, parse_markdown
from backproof.language.sheet import Sheet, parse_sheet

__all__ = [
    "Document",
    "Prose",
    "Sheet",
    "SheetBlock",
    "parse_markdown",
    "parse_sheet",
    "read_sheets",
]
