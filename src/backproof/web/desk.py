"""One sheet worked bit by bit: what it says at once, then answer after answer, claim after claim.

Between two bits a job may be stopped. What was derived for a sheet is kept while its asks and
claims are typed, so that a keystroke costs what it changed. Knows no sockets and no pages.
"""

from __future__ import annotations

import base64
import copy
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backproof.errors import (
    BackproofError,
    InternalContradiction,
    NotAvailable,
    Place,
    SheetError,
    Source,
)
from backproof.language import syntax as ast
from backproof.language.sheet import Sheet
from backproof.render.html import Page, inline
from backproof.render.told import names_stated
from backproof.web.limits import Limits, check_files, check_sheet, check_text
from backproof.web.papers_desk import NAME, PaperDesk, document_of, is_paper, sheet_of
from backproof.working.report import as_error, failed

if TYPE_CHECKING:
    from backproof.calculus.model import Model
    from backproof.working.claims import Verdict
    from backproof.working.report import Report
    from backproof.working.steps import Working

Event = dict[str, Any]
Say = Callable[[Event], None]
Check = Callable[[], None]
KEPT = 24  # sheets whose derivations are kept
MOST_VALUES = 400  # entries of a value that is told beside its name
LARGEST_VALUES = 20_000  # entries of all given values, beyond which none is told
SIZES = ("b", "m", "N", "B", "bs", "batch")
VALUED = ("forward", "value", "gradient", "step")
LOOKS = {"proved": "holds", "agrees": "holds", "here": "holds", "refuted": "fails"}


class Stopped(Exception):
    """A job that ends before its end: `cancelled`, or its answers are too `large`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass
class Kept:
    """What is known of a sheet without its asks and claims.

    page       writes the HTML, with ids of its own
    answers    ask as written -> its piece of HTML
    verdicts   claim as written -> its verdict
    mended     claim as written -> its verdict with what would mend it
    """

    model: Model
    page: Page
    names: list[Event] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    mended: dict[str, Verdict] = field(default_factory=dict)


class Desk:
    """Works jobs, one at a time. A job is a dict:

    do       work | export | file, or one of `papers_desk`
    text     the sheet, or a paper with sheets in it
    at       of a paper: the place, in UTF-16 units, whose sheet is worked
    view     work: working | shapes | values | tree | gradient | batch | slow | claims | local
    option   what the view is about: a name, or "rows"
    folder   where the page's data files are, or ""; `files` are their names
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._kept: OrderedDict[Any, Kept] = OrderedDict()
        self._papers = PaperDesk(limits)
        self._doing = {
            "work": self._work, "export": self._export, "file": self._file, **self._papers.doing,
        }  # fmt: skip

    def forget(self) -> None:
        """Lets go of everything kept."""
        self._kept.clear()
        self._papers.forget()

    def work(self, job: Event, say: Say, check: Check) -> None:
        """Works one job. What is wrong with a sheet is said, not raised."""
        folder = job.get("folder") or ""
        before = os.getcwd() if folder else ""
        try:
            if folder:
                os.chdir(folder)
            self._doing[job["do"]](job, say, check)
        except InternalContradiction as error:
            say({"kind": "error", **told(error), "ours": True})
        except (BackproofError, RecursionError, MemoryError) as error:
            if isinstance(error, MemoryError):
                self.forget()
            say({"kind": "error", **told(as_error(error))})
        finally:
            if before:
                os.chdir(before)

    # --- reading -----------------------------------------------------------------------------

    def _read(self, job: Event) -> Sheet:
        check_text(job["text"], self.limits)
        sheet = sheet_of(job["text"], int(job.get("at") or 0))
        check_sheet(sheet, self.limits)
        check_files(sheet, frozenset(job.get("files", ())))
        return sheet

    def _known(self, sheet: Sheet) -> Kept:
        """What is kept of the sheet; its model stands on the sheet as it is now."""
        from backproof.calculus.model import build_model

        key = (_definitions(sheet), stamps(sheet))
        kept = self._kept.get(key)
        if kept is None:
            stated = sheet.source.text[sheet.region.start : sheet.region.end]
            kept = Kept(build_model(sheet), Page(names_stated(stated)))
            self._kept[key] = kept
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        kept.model = copy.copy(kept.model)
        kept.model.sheet = sheet
        return kept

    # --- working -----------------------------------------------------------------------------

    def _work(self, job: Event, say: Say, check: Check) -> None:
        sheet = self._read(job)
        kept = self._known(sheet)
        view, option = job.get("view") or "working", str(job.get("option") or "")[:200]
        claims = list(sheet.claims) if view in ("working", "claims") else []
        asks: list[ast.Ask] = []
        try:
            asks = list(self._asks(kept.model, view, option))
            fault = None
        except (BackproofError, RecursionError, MemoryError) as error:
            fault = as_error(error)
        say({
            "kind": "read", "names": _names(kept), "parts": len(asks) + (fault is not None),
            "claims": len(claims), "learned": list(sheet.learned), "title": sheet.title,
            "region": [units(sheet.source.text, sheet.region.start),
                       units(sheet.source.text, sheet.region.end)],
        })  # fmt: skip
        if fault is not None:
            say({"kind": "part", "index": 0, "html": _failed(view, fault)})
        for index, ask in enumerate(asks):
            check()
            say({"kind": "part", "index": index, **self._answer(kept, ask, view)})
        if view == "working" and any(a.what in VALUED for a in asks):
            self._note(kept, say)
        if claims:
            self._judge(kept, claims, say, check)

    def _asks(self, model: Model, view: str, option: str) -> Iterator[ast.Ask]:
        """The asks of a view; an unknown name in the option is an error of its own."""
        from backproof.working.answer import asks_of, gradient_question, require_loss

        option = " ".join(option.split("#")[0].split())
        match view:
            case "claims":
                return
            case "working":
                yield from asks_of(model)
                return
            case "shapes":
                question = "shapes"
            case "values":
                question = "forward"
            case "tree":
                question = f"tree {option or require_loss(model)}"
            case "gradient" | "local":
                question = gradient_question(model, None, [option] if option else None)
            case "batch":
                free = next((n for n in SIZES if model.sheet.kind_of(n) == "unknown"), "batch_size")
                question = f"batch {free}" + (" rows" if option == "rows" else "")
            case "slow":
                question = f"slow {option or _first_learned(model)}"
            case _:
                raise SheetError(f"There is no view '{view[:40]}'.")
        yield model.sheet.extended(f"ask {question}").asks[-1]

    def _answer(self, kept: Kept, ask: ast.Ask, view: str) -> Event:
        """One answer as an event; an error stands in the place of the answer."""
        from backproof.working.answer import answer

        key = f"{view == 'local'} {ask.text}"
        if view != "tree" and key in kept.answers:
            return {"ask": ask.text, "html": kept.answers[key]}
        try:
            working = answer(kept.model, ask)
            if view == "local":
                working = _local(working, ask)
            html = kept.page.working(working)
        except InternalContradiction:
            raise
        except (BackproofError, RecursionError, MemoryError) as error:
            return {"ask": ask.text, "html": _failed(ask.text, as_error(error))}
        kept.answers[key] = html
        return {"ask": ask.text, "html": html, **_graph(working, view)}

    def _note(self, kept: Kept, say: Say) -> None:
        """Which unstated conventions the values rest on, where there are any."""
        from backproof.working.conventions import convention_note

        key = "conventions"
        if key not in kept.answers:
            try:
                note = convention_note(kept.model)
            except (BackproofError, RecursionError, MemoryError):
                note = None
            kept.answers[key] = "" if note is None else f'<p class="note">{inline(note.text)}</p>'
        if kept.answers[key]:
            say({"kind": "note", "html": kept.answers[key]})

    # --- claims ------------------------------------------------------------------------------

    def _judge(self, kept: Kept, claims: list[ast.Claim], say: Say, check: Check) -> None:
        """Every verdict as soon as it is there; what would mend the refuted ones after that."""
        from backproof.working.claims import Judge
        from backproof.working.mending.search import Workbench
        from backproof.working.repair import mended_one

        judge = Judge(kept.model)
        verdicts: list[Verdict] = []
        for index, claim in enumerate(claims):
            check()
            known = kept.mended.get(claim.text) or kept.verdicts.get(claim.text)
            if known is None:
                known = kept.verdicts[claim.text] = judge.claim(claim)
            verdicts.append(self._at(kept, claim, known))
            more = known.verdict == "refuted" and claim.text not in kept.mended
            say(self._verdict(kept, index, claim, verdicts[-1], more))
        bench = Workbench(judge, claims, verdicts)
        for index, (claim, verdict) in enumerate(zip(claims, verdicts, strict=True)):
            if verdict.verdict != "refuted" or claim.text in kept.mended:
                continue
            check()
            found = judge.explained(claim, mended_one(bench, claim, verdict))
            kept.mended[claim.text] = found
            say(self._verdict(kept, index, claim, found, False))

    @staticmethod
    def _at(kept: Kept, claim: ast.Claim, verdict: Verdict) -> Verdict:
        line = kept.model.sheet.source.position(claim.span.start)[0]
        return replace(verdict, line=line, span=claim.text_span)

    @staticmethod
    def _verdict(kept: Kept, index: int, claim: ast.Claim, verdict: Verdict, more: bool) -> Event:
        from backproof.working.spelled import formulas

        source = kept.model.sheet.source
        told_ = [t for t in (verdict.text, verdict.suggestion, verdict.difference) if t]
        return {
            "kind": "verdict", "index": index, "line": verdict.line, "text": verdict.text,
            "from": units(source.text, claim.text_span.start),
            "to": units(source.text, claim.text_span.end),
            "word": verdict.verdict, "look": LOOKS.get(verdict.verdict, "open"),
            "why": verdict.why, "suggestion": verdict.suggestion, "more": more,
            "html": kept.page.verdict(verdict, formulas(kept.model, told_)),
        }  # fmt: skip

    # --- files -------------------------------------------------------------------------------

    def _export(self, job: Event, say: Say, check: Check) -> None:
        from backproof.language.markdown import Document, SheetBlock
        from backproof.working.report import work_document

        if is_paper(job["text"]):
            document = document_of(job["text"], self.limits, frozenset(job.get("files", ())))
            report = work_document(document, paper=True)
        else:
            sheet = self._read(job)
            block = SheetBlock("", sheet.region, sheet, None)
            report = work_document(Document(sheet.source, sheet.title, (block,)), paper=False)
        check()
        content = exported(report, str(job.get("to", "")))
        say({"kind": "file", "content": base64.b64encode(content).decode("ascii")})

    def _file(self, job: Event, say: Say, check: Check) -> None:
        """What a data file holds, or why it cannot be read."""
        from backproof.calculus.loading import load_values

        path = Path(job["name"])
        place = Place(Source(NAME, ""), ast.NOWHERE)
        names = [path.stem]
        if path.suffix.lower() == ".npz":
            names = _entries(path)
        held = []
        for name in names:
            try:
                shape = load_values(path, name, place).shape
            except BackproofError as error:
                error.place = None
                raise
            held.append({"name": name, "shape": list(shape)})
        say({"kind": "held", "arrays": held})


def exported(report: Report, to: str) -> bytes:
    """A report as a file of its own."""
    match to:
        case "html":
            from backproof.render.html import page

            return page(report).encode()
        case "tex":
            from backproof.render.latex import article

            return article(report).encode()
        case "json":
            from backproof.render.json import dumps, report_data

            return dumps(report_data(report)).encode() + b"\n"
        case "pdf":
            from backproof.render.typst import pdf

            return pdf(report)
    raise NotAvailable(f"The page cannot write '{to[:20]}'.")


def _entries(path: Path) -> list[str]:
    import zipfile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            return list(archive.files)[:64]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SheetError(f"{path} cannot be read: {error}.") from None


# --- a sheet without its asks and claims ---------------------------------------------------------


def _definitions(sheet: Sheet) -> str:
    """What a sheet says, without its asks, claims and comments."""
    return "\n".join(
        sheet.source.slice(s.span)
        for s in sheet.statements
        if not isinstance(s, ast.Ask | ast.Claim)
    )


def stamps(sheet: Sheet) -> tuple[Any, ...]:
    """What tells whether the files of a sheet are still the same."""
    found = []
    for declaration in sheet.declarations.values():
        if declaration.file is not None:
            path = Path(declaration.file).absolute()
            stamp = path.stat() if path.is_file() else None
            found.append((str(path), stamp and (stamp.st_mtime_ns, stamp.st_size)))
    return tuple(found)


def _first_learned(model: Model) -> str:
    if not model.learned:
        raise SheetError("Nothing is learned in this sheet, so no update can be slow.")
    return model.learned[0]


# --- names ---------------------------------------------------------------------------------------


def _names(kept: Kept) -> list[Event]:
    """Every name: what it is, its shape, its value where it has one that is small."""
    if not kept.names:
        kept.names = list(_told_names(kept.model))
    return kept.names


def _told_names(model: Model) -> Iterator[Event]:
    from backproof.working.writing import role_of, shape_brief

    values = _values(model)
    for name in model.leaves:
        role = role_of(model, name)
        shape = shape_brief(model.shape(name))
        yield {
            "name": name, "role": role, "shape": shape,
            "brief": shape if role == "intermediate" else f"{role}, {shape}",
            "value": values(name),
        }  # fmt: skip
    for name in model.sheet.dimensions:
        size = model.number_sizes().get(name)
        brief = "a dimension" + (f", {size}" if size is not None else "")
        yield {"name": name, "role": "dimension", "shape": "", "brief": brief, "value": None}


def _values(model: Model) -> Callable[[str], str | None]:
    """name -> its value as text, or None."""
    from backproof.calculus.values import sheet_values

    total = 1
    for name in model.leaves:
        size = 1
        for dim in model.shape(name):
            size *= dim.as_int() or 1
        total += size
    if total > LARGEST_VALUES or not any(model.has_value(n) for n in model.declared):
        return lambda _: None
    try:
        values = sheet_values(model)
    except (BackproofError, ArithmeticError, ValueError):
        return lambda _: None

    def value(name: str) -> str | None:
        try:
            if not values.computable(model.leaves[name]) or values.named(name).size > MOST_VALUES:
                return None
            return values.show_named(name)
        except (BackproofError, ArithmeticError, ValueError, KeyError):
            return None

    return value


# --- answers -------------------------------------------------------------------------------------


def _graph(working: Working, view: str) -> Event:
    """The names of a tree, which can be asked about."""
    data = working.data
    if view != "tree" or "nodes" not in data:
        return {}
    return {
        "nodes": [
            {key: node[key] for key in ("name", "role", "shape", "equation")}
            for node in data["nodes"]
        ],
        "edges": [[edge["from"], edge["to"]] for edge in data["edges"]],
    }


def _local(working: Working, ask: ast.Ask) -> Working:
    """Of a gradient's working, what is about the last name itself: by its users, and in all."""
    name = ask.wrt[0].id if ask.wrt and isinstance(ask.wrt[0], ast.Name) else ""
    ends = (f"/∂{name}", f"/∂{name} ")
    steps = [
        s for s in working.steps
        if s.kind in ("local", "result") and s.label.endswith(ends)
    ]  # fmt: skip
    return replace(working, steps=tuple(steps) or working.steps, data={})


def _failed(ask: str, error: BackproofError) -> str:
    return Page().working(failed(ask, error))


def told(error: BackproofError) -> Event:
    """An error as data: what, where in the text of the page, and what would mend it."""
    from backproof.errors import render_error

    out: Event = {"message": error.message, "hint": error.hint, "shown": render_error(error)}
    place = error.place
    if place is not None and place.source.name == NAME:
        out |= {"line": place.line, "column": place.column, **_ends(place)}
    if error.also is not None and error.also[1].source.name == NAME:
        label, also = error.also
        out["also"] = {"message": label, "line": also.line, **_ends(also)}
    return out


def _ends(place: Place) -> Event:
    """Where a place begins and ends in the text of the page; it has a character at least."""
    text, span = place.source.text, place.span
    return {"from": units(text, span.start), "to": units(text, max(span.start + 1, span.end))}


def units(text: str, offset: int) -> int:
    """An offset in characters as one in UTF-16 units, which is what browsers count in."""
    offset = min(offset, len(text))
    if text.isascii():
        return offset
    return offset + sum(ord(c) > 0xFFFF for c in text[:offset])
