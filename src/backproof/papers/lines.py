"""Marks the lines that are no values: shapes, blanks, choices, matchings, free text."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.papers.paper import BLANK, CHOICE, MATCH, SHAPE, Item, PaperSheet

if TYPE_CHECKING:
    from backproof.papers.marking import Line
    from backproof.papers.symbolic import SymbolicJudge

_SIZE = re.compile(r"[^\W\d]\w*|\d+|[-+*]")


def other_line(sheet: PaperSheet, item: Item, text: str, judge: SymbolicJudge) -> Line:
    """The marked line of a shape, a blank, a choice, a matching or a free text."""
    from backproof.papers.marking import RIGHT, UNDECIDED, UNREADABLE, WRONG, Line

    if item.kind == SHAPE:
        verdict, reason = _shape(sheet, item, text)
    elif item.kind == BLANK:
        verdict, reason = _blank(item, text, judge)
    elif item.kind == CHOICE:
        letter = text.strip().strip("().").upper()
        right = letter == item.answer
        verdict = RIGHT if right else WRONG if re.fullmatch(r"[A-Z]", letter) else UNREADABLE
        reason = "right." if right else f"the answer is {item.answer}."
    elif item.kind == MATCH:
        return _match(item, text)
    else:
        return Line(item.id, text, UNDECIDED, None, "a person reads this answer.")
    share = None if verdict == UNDECIDED else Fraction(1 if verdict == RIGHT else 0)
    mistake = "the shape" if item.kind == SHAPE and verdict == WRONG else ""
    return Line(item.id, text, verdict, share, reason, mistake)


def _said(shape: str) -> str:
    """`(3,)` as one says it: 3 × 1, a column of 3; `()` is a number; `(3, m)` 3 × m."""
    sizes = [d for d in re.split(r",\s*", shape.strip("()")) if d]
    if not sizes:
        return "that of a number"
    return " × ".join(sizes) if len(sizes) > 1 else f"{sizes[0]} × 1 (a column of {sizes[0]})"


def _shape(sheet: PaperSheet, item: Item, text: str) -> tuple[str, str]:
    """`(3, 2)`, `3 × 2`, `[3, 2]`, `R^{3×2}`; `()` or `1` a number; names of dimensions too."""
    told = "right." if item.answer == text.strip() else f"the shape is {_said(item.answer)}."
    bare = text.strip().strip("$ ").replace("\\times", "×").replace(";", ",").replace("·", "×")
    bare = re.sub(r"^(?:R|ℝ|\\mathbb\{R\})\s*(?:\^|(?=\[)|$)", "", bare).strip(" {}()[]")
    if re.search(r"[×x]|\bby\b", bare):
        bare = re.sub(r"(?<=\d),(?=\d{3}\b)", "", bare)  # 2,353 × 3
    bare = re.sub(r"\bby\b|\bx\b|[×x](?=\s*[\d\w(])", ",", bare)
    if re.fullmatch(r"\w+(\s+\w+)+", bare):
        bare = re.sub(r"\s+", ", ", bare)
    parts = [p.strip() for p in bare.split(",") if p.strip()]
    if any(not all(_SIZE.fullmatch(t) for t in re.findall(r"\S", p)) and
           re.search(r"[^\w\s+*-]", p) for p in parts) or len(parts) > 6:  # fmt: skip
        return "unreadable", "this cannot be read as a shape."
    while len(parts) > 1 and parts[-1] == "1":
        parts.pop()
    if parts in (["1"], ["number"], ["scalar"]):
        parts = []
    right = item.answer.strip("()").rstrip(",")
    wanted = [p.strip() for p in right.split(",") if p.strip()]
    if parts == wanted:
        return "right", "right."
    if all(p.isdigit() for p in (*parts, *wanted)):
        turned = parts == wanted[::-1]
        return "wrong", told + (" This is the transpose's." if turned else "")
    return _same_dims(sheet, item, parts, told)


def _same_dims(sheet: PaperSheet, item: Item, parts: list[str], told: str) -> tuple[str, str]:
    """Shapes with names in them: compared as dimensions, so that `d + 1` is `1 + d`."""
    from backproof.operators.dims import paper_shape
    from backproof.papers.symbolic import read_expression

    model = sheet.model
    assert item.expr is not None
    wanted = paper_shape(model.graph.resolve_shape(model.node(item.expr).shape))
    exprs = [read_expression(p) for p in parts]
    if any(e is None for e in exprs):
        return "unreadable", "this cannot be read as a shape."
    try:
        elaborator = model.elaborator()
        dims = tuple(elaborator.dim(e) for e in exprs if e is not None)
    except (BackproofError, ValueError):
        return "undecided", "this shape uses something that is no dimension of the paper."
    return ("right", "right.") if dims == tuple(wanted) else ("wrong", told)


def _blank(item: Item, text: str, judge: SymbolicJudge) -> tuple[str, str]:
    """A piece left out: as it stands, or whatever means the same."""
    from backproof.papers.symbolic import read_expression

    if _plain(text) == _plain(item.answer):
        return "right", "right."
    told = f"the answer is {item.answer}."
    wanted, have = read_expression(item.answer), judge.read(text)
    if have is None:
        return "unreadable", "this cannot be read."
    if wanted is None:
        return "undecided", f"expected {item.answer}; a person compares."
    if wanted == have:
        return "right", "right."
    if isinstance(wanted, ast.Name) or isinstance(have, ast.Name):
        return "wrong", told  # another name of the same value is not what was left out
    asked = Item(item.id, item.key, "value", wanted, item.marks, item.ask)
    opinion = judge.opinion(asked, text)
    if opinion.verdict == "right":
        return "right", "another way of writing it."
    return opinion.verdict, told


def _plain(text: str) -> str:
    return re.sub(r"\s+", "", text).replace("−", "-").replace("·", "*").replace("ᵀ", ".T")


def _match(item: Item, text: str) -> Line:
    """Letters in the order of the left side, a dash for none; each earns its part."""
    from backproof.papers.marking import RIGHT, UNREADABLE, WRONG, Line

    letters = re.sub(r"[^A-Za-z]", "", text).upper()
    if len(letters) < len(item.answer):  # `A--B-`: what is left out earns nothing
        letters = re.sub(r"[^A-Za-z-]", "", text).upper()
    if len(letters) != len(item.answer):
        reason = f"expected {len(item.answer)} letters in the order of the left side."
        return Line(item.id, text, UNREADABLE, Fraction(0), reason)
    hits = sum(a == b for a, b in zip(letters, item.answer, strict=True))
    share = Fraction(hits, len(item.answer))
    reason = f"{hits} of {len(item.answer)} are right; the answer is {item.answer}."
    return Line(item.id, text, RIGHT if share == 1 else WRONG, share, reason)
