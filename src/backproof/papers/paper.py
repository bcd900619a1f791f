"""A paper: its sheets, their questions, and every single thing that can be answered and marked.

An *item* is one line of a script: a value, a gradient, a shape, an equation, a blank, a choice, a
set of names, a count, a bound or a free text. The marks of an ask are split evenly over its items;
an ask without marks gives one mark to each.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from backproof.calculus.model import Model, build_model
from backproof.calculus.values import SheetValues, sheet_values
from backproof.errors import BackproofError, FileProblem
from backproof.language import syntax as ast
from backproof.language.files import read_sheets
from backproof.language.format import unparse
from backproof.language.markdown import Document, Prose, SheetBlock
from backproof.language.sheet import Sheet
from backproof.papers.asked import Draft, drafts, shape_text

MOST_ENTRIES = 60  # a larger value is not asked for by hand
VALUE, GRADIENT, SHAPE, EQUATION = "value", "gradient", "shape", "equation"
BLANK, CHOICE, MATCH, ESSAY = "blank", "choice", "match", "essay"
SET, COUNT, BOUND = "set", "count", "bound"


@dataclass(frozen=True)
class Item:
    """One thing to answer.

    id       "sheet.key": what marks are stored under
    key      how a script names it: `S`, `grad(L, W)`, `shape(W)`, `new(W)`, `[1]`
    kind     value | gradient | shape | equation | blank | choice | match | set | count | bound |
             essay
    expr     what is asked for; None for a free text
    marks    what it is worth
    answer   the right answer as text, where it is known without working anything out
    prompt   what to write beside it
    part     the sheet that it is about, where that is not its own: see `PaperSheet.home`
    """

    id: str
    key: str
    kind: str
    expr: ast.Expr | None
    marks: Fraction
    ask: str
    answer: str = ""
    prompt: str = ""
    part: str = ""


@dataclass(frozen=True, eq=False)
class Question:
    """One ask of a sheet, with its items."""

    ask: ast.Ask
    items: tuple[Item, ...]

    @property
    def marks(self) -> Fraction:
        return sum((item.marks for item in self.items), Fraction(0))


@dataclass(frozen=True, eq=False)
class PaperSheet:
    """A sheet of a paper, with its meaning; `intro` is the prose before it."""

    name: str
    sheet: Sheet
    intro: str = ""

    @cached_property
    def model(self) -> Model:
        return build_model(self.sheet)

    @cached_property
    def values(self) -> SheetValues:
        return sheet_values(self.model)

    @cached_property
    def parts(self) -> dict[str, PaperSheet]:
        """Sheets that questions of this one are about, such as the sheet of a batch."""
        return {}

    def add_part(self, name: str, sheet: Sheet) -> str:
        """Keeps a sheet that questions are about; gives back its name."""
        self.parts.setdefault(name, PaperSheet(self.name, sheet, self.intro))
        return name

    def home(self, item: Item) -> PaperSheet:
        """The sheet that an item is about."""
        return self.parts[item.part] if item.part else self

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        return tuple(_questions(self))

    @cached_property
    def items(self) -> tuple[Item, ...]:
        return tuple(item for question in self.questions for item in question.items)


@dataclass(frozen=True, eq=False)
class Paper:
    """A paper as read; `failures` are sheets that cannot be read or asks that cannot be posed."""

    file: str
    title: str
    text: str
    document: Document
    sheets: tuple[PaperSheet, ...]
    failures: tuple[BackproofError, ...] = field(default=())

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(item for sheet in self.sheets for item in sheet.items)

    @property
    def marks(self) -> Fraction:
        return sum((item.marks for item in self.items), Fraction(0))

    @cached_property
    def digest(self) -> str:
        """Which paper this is: marks are kept for one text only."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def item(self, id: str) -> Item:
        """The item of an id; FileProblem names one that does not exist."""
        for item in self.items:
            if item.id == id:
                return item
        raise FileProblem(f"The paper has no item '{id}'.", hint="the key lists every item")


def read_paper(path: Path) -> Paper:
    """The paper of a Markdown or sheet file. A sheet that cannot be read is set aside."""
    return paper_of(read_sheets(path))


def paper_of(document: Document) -> Paper:
    """The paper of a document."""
    sheets: list[PaperSheet] = []
    failures: list[BackproofError] = []
    intro = ""
    for block in document.blocks:
        if isinstance(block, Prose):
            intro = block.text
            continue
        assert isinstance(block, SheetBlock)
        name = re.sub(r"[^\w-]+", "-", block.name).strip("-") or f"s{len(sheets) + 1}"
        if any(name == other.name for other in sheets):
            name = f"{name}-{len(sheets) + 1}"
        try:
            if block.sheet is None:
                raise block.error or FileProblem("This sheet cannot be read.")
            found = PaperSheet(name, block.sheet, intro)
            assert found.items is not None
            sheets.append(found)
        except BackproofError as error:
            failures.append(error)
        intro = ""
    source = document.source
    if not any(s.items for s in sheets):
        raise FileProblem(
            f"'{source.name}' asks nothing that can be marked.",
            hint="write asks, such as ask value L marks 3",
        )
    return Paper(source.name, document.title, source.text, document, tuple(sheets), tuple(failures))


# --- what an ask asks for ----------------------------------------------------------------------


def _questions(sheet: PaperSheet) -> Iterator[Question]:
    seen: set[str] = set()
    for at, ask in enumerate(sheet.sheet.asks, 1):
        new = []
        for draft in _drafts(sheet, ask, at):
            if draft.key not in seen:
                seen.add(draft.key)
                new.append(draft)
        if not new:
            continue
        total = ask.marks.value if ask.marks is not None else Fraction(len(new))
        each = total / len(new)
        items = tuple(
            Item(
                f"{sheet.name}.{d.key}",
                d.key,
                d.kind,
                d.expr,
                each,
                ask.text,
                d.answer,
                d.prompt,
                d.part,
            )
            for d in new
        )
        yield Question(ask, items)


def _drafts(sheet: PaperSheet, ask: ast.Ask, at: int) -> Iterator[Draft]:
    if ask.form == "essay":
        yield Draft(f"text({at})", ESSAY, None, "", ask.text)
    elif ask.form in ("choice", "match"):
        yield from _formed(sheet, ask)
    elif ask.blanks and ask.what != "batch":
        yield from _blanks(sheet, ask)
    elif ask.what in _MADE:
        yield from _MADE[ask.what](sheet, ask)
    else:
        made = drafts(sheet, ask)
        yield from made or [Draft(f"text({at})", ESSAY, None, "", ask.text)]


def _formed(sheet: PaperSheet, ask: ast.Ask) -> Iterator[Draft]:
    from backproof.papers.choices import choice_of, match_of

    if ask.form == "choice":
        for target in _asked(sheet, ask):
            made = choice_of(sheet, target)
            key = f"choice({unparse(target)})"
            yield Draft(key, CHOICE, target, made.letter, unparse(target))
        return
    for target in _asked(sheet, ask):
        pairs = match_of(sheet, target)
        key = f"match({unparse(target)})"
        yield Draft(key, MATCH, target, pairs.letters, unparse(target))


def _asked(sheet: PaperSheet, ask: ast.Ask) -> list[ast.Expr]:
    if ask.what == "gradient":
        return [ast.Apply("grad", (t, w)) for t, w in _gradients(sheet, ask)]
    return list(ask.targets)


def _gradients(sheet: PaperSheet, ask: ast.Ask) -> Iterator[tuple[ast.Expr, ast.Expr]]:
    from backproof.working.answer import require_loss

    targets = ask.targets or (ast.Name(require_loss(sheet.model)),)
    wrt = ask.wrt or tuple(ast.Name(name) for name in sheet.model.learned)
    for target in targets:
        for name in wrt:
            yield target, name


def _forward(sheet: PaperSheet, ask: ast.Ask) -> Iterator[Draft]:
    model, values = sheet.model, sheet.values
    for name in model.sheet.order:
        node = model.definitions[name]
        if node.is_literal:
            continue
        expr = ast.Name(name)
        if values.computable(model.leaves[name]):
            if int(np.prod(values.named(name).shape)) <= MOST_ENTRIES:
                yield Draft(name, VALUE, expr, "", name)
        else:
            yield Draft(name, EQUATION, expr, unparse(model.sheet.equations[name].expr), name)


def _value(sheet: PaperSheet, ask: ast.Ask) -> Iterator[Draft]:
    for target in ask.targets:
        kind = VALUE if sheet.values.computable(sheet.model.node(target)) else EQUATION
        yield Draft(unparse(target), kind, target, "", unparse(target))


def _gradient(sheet: PaperSheet, ask: ast.Ask) -> Iterator[Draft]:
    for target, name in _gradients(sheet, ask):
        expr = ast.Apply("grad", (target, name))
        yield Draft(unparse(expr), GRADIENT, expr, "", unparse(expr))


def _shapes(sheet: PaperSheet, ask: ast.Ask) -> Iterator[Draft]:
    model = sheet.model
    targets = ask.targets or tuple(ast.Name(n) for n in model.sheet.order)
    for target in targets:
        text = shape_text(model, model.node(target))
        yield Draft(f"shape({unparse(target)})", SHAPE, target, text, unparse(target))


def _step(sheet: PaperSheet, ask: ast.Ask) -> Iterator[Draft]:
    from backproof.working.answer import require_loss

    model = sheet.model
    rate = dict(ask.options).get("rate")
    if rate is None:
        return
    loss = ast.Name(require_loss(model))
    names = ask.targets or tuple(ast.Name(n) for n in model.learned)
    for name in names:
        step = ast.Apply("mul", (rate, ast.Apply("grad", (loss, name))))
        expr = ast.Apply("sub", (name, step))
        kind = VALUE if sheet.values.computable(model.node(expr)) else EQUATION
        yield Draft(f"new({unparse(name)})", kind, expr, "", unparse(name))


def _blanks(sheet: PaperSheet, ask: ast.Ask) -> Iterator[Draft]:
    from backproof.working.answer import answer

    working = answer(sheet.model, ask)
    for found in working.data.get("answers", ()):
        yield Draft(f"[{found['number']}]", BLANK, None, str(found["answer"]), str(found["line"]))


_MADE = {
    "forward": _forward, "value": _value, "gradient": _gradient, "shapes": _shapes, "step": _step,
}  # fmt: skip
