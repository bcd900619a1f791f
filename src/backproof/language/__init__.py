"""Text -> Sheet: tokens, expressions with their source spans, names and declared facts.

Imports nothing of the project but its errors, and never touches arrays.
"""

from backproof.language.files import read_sheets
from backproof.language.format import unparse, unparse_claim, unparse_set
from backproof.language.markdown import Document, Prose, SheetBlock, parse_markdown
from backproof.language.sheet import Sheet, parse_sheet
from backproof.language.statements import parse_expression

__all__ = [
    "Document",
    "Prose",
    "Sheet",
    "SheetBlock",
    "parse_expression",
    "parse_markdown",
    "parse_sheet",
    "read_sheets",
    "unparse",
    "unparse_claim",
    "unparse_set",
]
