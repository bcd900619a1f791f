"""What stands in drawings: names, equations and shapes as lines of text."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from backproof.calculus.latex import latex_name
from backproof.render.drawings.line import Line, beside, formula_line, words
from backproof.render.formula import FormulaError
from backproof.render.terminal import shape_text
from backproof.working.spelled import line_latex

NAME, SMALL = 15.0, 11.5  # font sizes
_LEFT_OUT = re.compile(r"(?<![\w\])])\[(\d+)\]")  # a numbered box, not an entry


def is_blank(name: str) -> bool:
    """Whether a name or a shape is a numbered box."""
    return re.fullmatch(r"\[\d+\]", name) is not None


def name_line(name: str, size: float = NAME) -> Line:
    """A name as one writes it; anything else as it stands."""
    if not re.fullmatch(r"[^\W\d]\w*", name):
        return words(name, size)
    return formula_line(latex_name(name), size)


def equation_line(
    name: str, equation: str, numbers: Collection[str], size: float = NAME, most: float = 260.0
) -> Line:
    """`name = right side`, cut where it is too long."""
    left = beside(name_line(name, size), words(" = ", size))
    return beside(left, expression_line(equation, numbers, size, most - left.width))


def expression_line(text: str, numbers: Collection[str], size: float, most: float) -> Line:
    """An expression of the sheet as a line."""
    latex = line_latex(_LEFT_OUT.sub(r"⟦\1⟧", text), numbers)
    latex = latex.replace("⟦", "").replace("⟧", "")  # a box shows its number
    try:
        return formula_line(latex, size, most) if latex else words(cut(text, most, size), size)
    except FormulaError:  # LaTeX that is not ours to read: as it was written
        return words(cut(text, most, size), size)


def cut(text: str, most: float, size: float) -> str:
    """Plain text, with an ellipsis where it is too long."""
    from backproof.render.drawings.metrics import text_width

    if text_width(text, size) <= most:
        return text
    while text and text_width(f"{text} …", size) > most:
        text = text[:-1]
    return f"{text} …"


def shape_said(shape: Sequence[int | str]) -> str:
    """A shape as text; a blank as its number."""
    if shape and is_blank(str(shape[0])):
        return str(shape[0])
    return shape_text(shape)


def derivative_line(text: str, size: float = SMALL) -> Line:
    """∂L/∂A1 with its names as one writes them."""
    found = re.fullmatch(r"∂(.+)/∂(.+)", text)
    if not found:
        return words(text, size)
    of, by = (name_line(n, size) for n in found.groups())
    return beside(words("∂", size), of, words("/∂", size), by)
