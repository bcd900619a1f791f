"""Everything that is answered about one file: its prose, and each sheet's answers and verdicts.

An error is an answer too: it stands where the answer would have stood and stops nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backproof.errors import (
    EXIT_REFUTED,
    BackproofError,
    InternalContradiction,
    NotAvailable,
    SheetError,
    render_error,
)
from backproof.language.files import MARKDOWN, read_sheets
from backproof.language.markdown import Document, SheetBlock
from backproof.language.sheet import Sheet
from backproof.language.syntax import Ask, Claim, Vary
from backproof.working.spelled import formulas
from backproof.working.steps import Step, Working

if TYPE_CHECKING:
    from backproof.calculus.model import Model
    from backproof.working.claims import Verdict


DECLARING = ("given ", "learn ", "let ", "assume ", "layout ", "round ")


@dataclass(frozen=True, eq=False)
class SheetReport:
    """One sheet, answered.

    name         its name within a paper, or ""
    title, text  its comment at the top
    statements   what is given, learned and defined, as written (asks and claims are answered)
    asks         the answers, in the order asked
    claims       the verdicts, in the order written
    error        why nothing could be answered, or None
    failures     errors of single asks, whose answers show them
    formulas     what the claims say, and their differences: text -> LaTeX
    """

    name: str
    title: str = ""
    text: str = ""
    statements: str = ""
    asks: tuple[Working, ...] = ()
    claims: tuple[Verdict, ...] = ()
    error: BackproofError | None = None
    failures: tuple[BackproofError, ...] = ()
    formulas: Mapping[str, str] = field(default_factory=dict)

    @property
    def stated(self) -> str:
        """The statements, without the equations where these are what is asked for in blanks."""
        if not any(working.data.get("blanks") for working in self.asks):
            return self.statements
        rows = self.statements.split("\n")
        return "\n".join(row for row in rows if row.startswith(DECLARING))


@dataclass(frozen=True, eq=False)
class Report:
    """A file, answered: prose as written, and sheets, in the order of the file."""

    file: str
    title: str
    paper: bool
    blocks: tuple[str | SheetReport, ...]

    @property
    def sheets(self) -> tuple[SheetReport, ...]:
        return tuple(block for block in self.blocks if isinstance(block, SheetReport))

    @property
    def failures(self) -> Iterator[BackproofError]:
        """Every error, of sheets and of single asks."""
        for sheet in self.sheets:
            if sheet.error is not None:
                yield sheet.error
            yield from sheet.failures

    @property
    def exit_code(self) -> int:
        """0 all answered and all claims hold; 1 not so; 2 an unreadable sheet file; 70 our bug."""
        failures = list(self.failures)
        for error in failures:
            if isinstance(error, InternalContradiction):
                return error.exit_code
        wrong = [e for e in failures if not isinstance(e, NotAvailable)]
        if wrong and not self.paper:
            return max(error.exit_code for error in wrong)
        held = all(verdict.holds for sheet in self.sheets for verdict in sheet.claims)
        return EXIT_REFUTED if failures or not held else 0


def work_file(path: Path, *, conventions: bool = False) -> Report:
    """Everything asked and claimed in a file, answered.

    conventions   each sheet also says which other readings would change its values
    """
    paper = path.suffix.lower() in MARKDOWN
    return work_document(read_sheets(path), paper=paper, conventions=conventions)


def work_document(document: Document, *, paper: bool, conventions: bool = False) -> Report:
    """Everything asked and claimed in a paper or a sheet file, answered."""
    blocks = tuple(
        _work_block(block, conventions) if isinstance(block, SheetBlock) else block.text
        for block in document.blocks
    )
    return Report(document.source.name, document.title, paper, blocks)


def _work_block(block: SheetBlock, conventions: bool) -> SheetReport:
    if block.sheet is None:
        written = "" if block.error is None or block.error.place is None else _fenced(block)
        title, written = _titled(written)
        return SheetReport(block.name, title, statements=written, error=block.error)
    return work_sheet(block.sheet, conventions=conventions)


def _titled(written: str) -> tuple[str, str]:
    """(the first comment of a sheet that cannot be read, what follows it)."""
    head, _, rest = written.partition("\n")
    if not head.startswith("# "):
        return "", written
    return head.removeprefix("# ").strip(), rest.lstrip("\n")


def _fenced(block: SheetBlock) -> str:
    assert block.error is not None and block.error.place is not None
    return block.error.place.source.slice(block.span).strip("\n")


def work_sheet(sheet: Sheet, *, conventions: bool = False) -> SheetReport:
    """Everything asked and claimed in a sheet, answered."""
    head = (sheet.name, sheet.title, sheet.text, statements_of(sheet))
    try:
        from backproof.calculus.model import build_model

        model = build_model(sheet)
    except (BackproofError, RecursionError, MemoryError) as error:
        return SheetReport(*head, error=as_error(error))
    from backproof.working.answer import asks_of

    answers: list[Working] = []
    failures: list[BackproofError] = []
    for ask in asks_of(model):
        answers.append(_answer(model, ask, failures))
    try:
        answers = _with_conventions(model, answers, conventions)
    except (BackproofError, RecursionError, MemoryError) as error:
        failures.append(as_error(error))
        answers.append(failed("conventions", failures[-1]))
    verdicts: list[Verdict] = []
    try:
        from backproof.working.claims import check_claims

        verdicts = check_claims(model)
    except (BackproofError, RecursionError, MemoryError) as error:
        failures.append(as_error(error))
        answers.append(failed("claims", failures[-1]))
    told = [t for v in verdicts for t in (v.text, v.suggestion, v.difference)]
    return SheetReport(
        *head, tuple(answers), tuple(verdicts), None, tuple(failures), formulas(model, told)
    )


def _answer(model: Model, ask: Ask, failures: list[BackproofError]) -> Working:
    from backproof.working.answer import answer

    try:
        return answer(model, ask)
    except NotAvailable as error:
        failures.append(error)
        return Working(ask.text, (Step("not available", error.message, kind="warning"),))
    except (BackproofError, RecursionError, MemoryError) as error:
        failures.append(as_error(error).at(model.sheet.place(ask.span)))
        return failed(ask.text, failures[-1])


_VALUED = ("forward", "value", "gradient", "step")


def _with_conventions(model: Model, answers: list[Working], all_: bool) -> list[Working]:
    """The answers, the last one with values noting which conventions were taken; or all of them."""
    from backproof.working.conventions import convention_note, conventions_working

    if all_:
        return [*answers, conventions_working(model)]
    at = [k for k, w in enumerate(answers) if w.ask.split(" ")[0] in _VALUED]
    note = convention_note(model) if at else None
    if note is None:
        return answers
    last = answers[at[-1]]
    marked = replace(last, steps=(*last.steps, note))
    return [*answers[: at[-1]], marked, *answers[at[-1] + 1 :]]


def failed(ask: str, error: BackproofError) -> Working:
    """An error in the place of an answer."""
    return Working(
        ask, (Step("error", render_error(error), kind="error"),), {"error": place_of(error)}
    )


def as_error(error: BaseException) -> BackproofError:
    """Ours as it is; an exhausted stack or memory as a sentence."""
    if isinstance(error, BackproofError):
        return error
    what = "deep" if isinstance(error, RecursionError) else "large"
    return SheetError(
        f"The sheet is too {what} to be worked.", hint="give parts of it names of their own"
    )


def place_of(error: BackproofError) -> dict[str, Any]:
    """An error as plain data: line, column (None where it has no place) and message."""
    place = error.place
    hint = f" Hint: {error.hint}." if error.hint else ""
    return {
        "line": None if place is None else place.line,
        "column": None if place is None else place.column,
        "message": error.message + hint,
    }


def statements_of(sheet: Sheet) -> str:
    """The sheet as written, without its title, its asks and claims and the comments above them."""
    text = sheet.source.text
    start, end = sheet.region.start, sheet.region.end
    dropped: set[int] = set()
    first, _ = sheet.source.position(start)
    last, _ = sheet.source.position(max(start, end - 1))
    for statement in sheet.statements:
        if isinstance(statement, Ask | Claim | Vary):
            low, _ = sheet.source.position(statement.span.start)
            high, _ = sheet.source.position(max(statement.span.start, statement.span.end - 1))
            dropped.update(range(low, high + 1))
    rows = {n: sheet.source.line_text(n) for n in range(first, last + 1)} if text else {}
    kept: list[str] = []
    comments: list[str] = []
    at_top, met = True, False  # only the first comment block is the title and its text
    for n, row in rows.items():
        bare = row.strip()
        if at_top and (bare.startswith("#") or not (bare or met)):
            met = bool(bare)
            continue
        at_top = False
        if n in dropped:
            comments = []
        elif bare.startswith("#") or not bare:
            comments.append(row.rstrip())
        else:
            kept += [*comments, row.rstrip()]
            comments = []
    return "\n".join(_single_blanks(kept))


def _single_blanks(rows: list[str]) -> Iterator[str]:
    before = ""
    for row in rows:
        if row or before:
            yield row
        before = row
