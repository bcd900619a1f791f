"""Papers in a worker process: the form, the marks, the author's view, a variant, files of it.

Each is a job that is worked bit by bit, like those of `desk`, within the same limits. Answers are
a stranger's text: read within the bounds of a script, never run.
"""

from __future__ import annotations

import base64
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from backproof.errors import FileProblem, NotAvailable, SheetError, Source
from backproof.language.markdown import Document, parse_markdown, sheet_regions
from backproof.language.sheet import Sheet, parse_sheet
from backproof.web.limits import Limits, check_files, check_sheet, check_text

if TYPE_CHECKING:
    from backproof.papers.marking import Marker
    from backproof.papers.paper import Item, Paper, PaperSheet

Event = dict[str, Any]
Say = Callable[[Event], None]
Check = Callable[[], None]
NAME = "sheet"  # what errors call the text of the page
KEPT = 4  # papers whose truths are kept
FILES = {
    "questions": ("application/pdf", "questions.pdf"), "blanks": ("application/pdf", "blanks.pdf"),
    "solutions": ("application/pdf", "solutions.pdf"), "key": ("text/markdown", "key.md"),
    "form": ("text/plain", "form.txt"), "moodle": ("application/xml", "moodle.xml"),
    "qti-2.1": ("application/zip", "qti-2.1.zip"), "qti-3.0": ("application/zip", "qti-3.0.zip"),
    "canvas": ("application/zip", "canvas.zip"),
}  # fmt: skip


# --- a sheet of a paper --------------------------------------------------------------------------


def is_paper(text: str) -> bool:
    """Whether a text is Markdown with sheets in it."""
    return ("```" in text or "~~~" in text) and bool(sheet_regions(text))


def sheet_of(text: str, at: int) -> Sheet:
    """The sheet of a text; of a paper, the one at a place or the last one before it.

    at   in UTF-16 units, as a browser counts
    """
    source = Source(NAME, text)
    regions = sheet_regions(text) if is_paper(text) else []
    if not regions:
        return parse_sheet(source)
    offset = at
    if not text.isascii():
        units = text.encode("utf-16-le", "surrogatepass")[: 2 * at]
        offset = len(units.decode("utf-16-le", "replace"))
    name, span = next(((n, s) for n, s in reversed(regions) if s.start <= offset), regions[0])
    return parse_sheet(source, span.start, span.end, name)


def document_of(text: str, limits: Limits, files: frozenset[str]) -> Document:
    """A paper in its blocks, every sheet within the limits of the page."""
    check_text(text, limits)
    document = parse_markdown(Source(NAME, text))
    if not document.sheets:
        raise SheetError(
            "This is no paper: it has no sheet.",
            hint="put each sheet between a line ```sheet NAME and a line ```",
        )
    for block in document.sheets:
        if block.sheet is not None:
            check_sheet(block.sheet, limits)
            check_files(block.sheet, files)
    return document


# --- jobs ----------------------------------------------------------------------------------------


@dataclass
class Held:
    """A paper, and what marks it."""

    paper: Paper
    _marker: list[Marker] = field(default_factory=list)

    @property
    def marker(self) -> Marker:
        if not self._marker:
            from backproof.papers.marking import Marker

            self._marker.append(Marker(self.paper))
        return self._marker[0]


class PaperDesk:
    """Works the jobs of papers. A job is a dict:

    do        paper | read | mark | solution | author | variant | paper-file
    text      the paper
    answers   item id -> what is written (read, mark)
    option    variant: the seed; paper-file: which file
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._held: OrderedDict[Any, Held] = OrderedDict()
        self.doing = {
            "paper": self._form, "read": self._read, "mark": self._mark, "author": self._author,
            "solution": self._solution, "variant": self._variant, "paper-file": self._file,
        }  # fmt: skip

    def forget(self) -> None:
        """Lets go of everything kept."""
        self._held.clear()

    def _paper(self, job: Event) -> Held:
        from backproof.papers.paper import paper_of

        files = frozenset(job.get("files", ()))
        document = document_of(job["text"], self.limits, files)
        key = (job["text"], stamps(document))
        if key not in self._held:
            try:
                self._held[key] = Held(paper_of(document))
            except FileProblem:  # nothing is asked; where a sheet is wrong, that is the reason
                _check_sheets(document)
                raise
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        return self._held[key]

    # --- the student -------------------------------------------------------------------------

    def _form(self, job: Event, say: Say, check: Check) -> None:
        """The paper as a form, block by block."""
        from backproof.web.papers_form import Form, marks_said

        paper = self._paper(job).paper
        say({
            "kind": "paper", "title": paper.title, "digest": paper.digest,
            "marks": marks_said(paper.marks), "lines": len(paper.items),
            "questions": sum(bool(s.items) for s in paper.sheets),
        })  # fmt: skip
        for name, html in Form(paper).blocks():
            check()
            say({"kind": "block", "sheet": name, "html": html})

    def _read(self, job: Event, say: Say, check: Check) -> None:
        """How answers are read, without judging them."""
        from backproof.web.papers_marks import echo

        paper = self._paper(job).paper
        answers = written(job, paper)
        for sheet, item in _items(paper):
            if item.id in answers:
                check()
                html = echo(sheet, item, answers[item.id])
                say({"kind": "echo", "item": item.id, "html": html})

    def _mark(self, job: Event, say: Say, check: Check) -> None:
        """The marks, sheet by sheet, and in all."""
        from backproof.web.papers_form import number
        from backproof.web.papers_marks import line_html

        held = self._paper(job)
        answers = written(job, held.paper)
        total = waiting = Fraction(0)
        items = {item.id: item for item in held.paper.items}
        carried = 0
        for name, marker in held.marker.sheets.items():
            check()
            earned = Fraction(0)
            lines = list(marker.mark(answers, {}))
            for line in lines:
                item = items[line.item]
                carried += line.verdict == "follows"
                if line.share is None:
                    waiting += item.marks
                else:
                    earned += line.share * item.marks
            total += earned
            worth = sum((items[line.item].marks for line in lines), Fraction(0))
            say({
                "kind": "marks", "sheet": name, "earned": number(earned), "of": number(worth),
                "lines": [
                    {"item": line.item, "look": look, "html": html}
                    for line in lines
                    for look, html in [line_html(items[line.item], line)]
                ],
            })  # fmt: skip
        say({
            "kind": "total", "earned": number(total), "of": number(held.paper.marks),
            "waiting": number(waiting) if waiting else "", "carried": carried,
            "written": len(answers), "lines": len(items),
        })  # fmt: skip

    def _solution(self, job: Event, say: Say, check: Check) -> None:
        """What each sheet asks, worked; and what the paper says of it behind the sheet."""
        from backproof.language.markdown import Prose
        from backproof.render.html import Page
        from backproof.render.prose import prose, told_apart
        from backproof.working.report import work_sheet

        paper = self._paper(job).paper
        known = {id(s.sheet): s for s in paper.sheets}
        page, name = Page(), ""
        for block in paper.document.blocks:
            check()
            if isinstance(block, Prose):
                text = told_apart(block.text, True)[0] if name else ""
                if text.strip():
                    say({"kind": "solution", "sheet": name, "html": prose(text)[0]})
                continue
            sheet = known.get(id(block.sheet))
            if sheet is None or not sheet.items:
                continue
            name = sheet.name
            asks = work_sheet(asked_only(sheet.sheet)).asks
            html = "\n".join(page.working(w, [o for o in asks if o is not w], 4) for w in asks)
            say({"kind": "solution", "sheet": name, "html": html})

    # --- the author --------------------------------------------------------------------------

    def _author(self, job: Event, say: Say, check: Check) -> None:
        """What is to be looked at, marks and times, the key."""
        from backproof.papers.lint import lint
        from backproof.web.papers_form import marks_said
        from backproof.web.papers_marks import findings_html, key_html, overview_html

        paper = self._paper(job).paper
        sheets = [s for s in paper.sheets if s.items]
        say({
            "kind": "paper", "title": paper.title, "marks": marks_said(paper.marks),
            "digest": paper.digest, "lines": len(paper.items), "questions": len(sheets),
            "varies": any(s.sheet.varies for s in sheets), "sections": 2 + len(sheets),
        })  # fmt: skip
        say({"kind": "section", "name": "marks", "html": overview_html(paper)})
        check()
        found = lint(paper)
        counts = {w: sum(f.severity == w for f in found) for w in ("error", "warning", "note")}
        html = findings_html(found)
        say({"kind": "section", "name": "findings", "html": html, "counts": counts})
        for sheet in sheets:
            check()
            say({"kind": "section", "name": "key", "sheet": sheet.name, "html": key_html(sheet)})

    def _variant(self, job: Event, say: Say, check: Check) -> None:
        """The first variant of a seed: its numbers, its key, and the paper with them."""
        from backproof.papers.variants import make_variants
        from backproof.web.papers_form import givens
        from backproof.web.papers_marks import key_html

        paper = self._paper(job).paper
        made, rejected = make_variants(paper, 1, seed_of(job))
        (variant,) = made
        say({
            "kind": "variant", "text": variant.text, "minutes": f"{variant.work.minutes:.0f}",
            "rejected": rejected.lines()[:12],
        })  # fmt: skip
        for sheet in variant.paper.sheets:
            if sheet.items and not any(sheet is same for same in paper.sheets):
                check()
                html = key_html(sheet, givens(sheet))
                say({"kind": "section", "name": "variant", "sheet": sheet.name, "html": html})

    # --- files -------------------------------------------------------------------------------

    def _file(self, job: Event, say: Say, check: Check) -> None:
        held = self._paper(job)
        content = made_file(held.paper, str(job.get("option", "")))
        if isinstance(content, str):
            content = content.encode()
        say({"kind": "file", "content": base64.b64encode(content).decode("ascii")})


def made_file(paper: Paper, to: str) -> str | bytes:
    """A paper as one of FILES."""
    match to:
        case "questions" | "blanks" | "solutions":
            from backproof.papers.posed import posed_of
            from backproof.render.typst import pdf
            from backproof.working.report import work_document

            return pdf(work_document(paper.document, paper=True), to, posed_of(paper))
        case "key":
            from backproof.papers.key import key_text

            return key_text(paper)
        case "form":
            from backproof.papers.form import form_text

            return form_text(paper)
        case "moodle" | "canvas":
            from backproof.papers.export import export

            return export(paper, to).content
        case "qti-2.1" | "qti-3.0":
            from backproof.papers.export import export

            return export(paper, "qti", to[4:]).content
    raise NotAvailable(f"The page cannot write '{to[:20]}'.")


# --- what a job brings ---------------------------------------------------------------------------


def written(job: Event, paper: Paper) -> Mapping[str, str]:
    """Item id -> what is written, within the bounds of a script; what answers nothing is left."""
    from backproof.papers.scripts import MOST_CHARACTERS, Reader

    found = job.get("answers")
    rows: dict[str, str] = {}
    size = 0
    for key, text in found.items() if isinstance(found, dict) else ():
        size += len(text)
        if size > MOST_CHARACTERS:
            raise SheetError(f"At most {MOST_CHARACTERS:,} characters of answers are marked.")
        rows[key] = re.sub(r"\s*[\r\n]\s*", " ", text.strip())
    return Reader(paper).row(rows, "").answers


def seed_of(job: Event) -> int:
    """The seed that a job names."""
    text = str(job.get("option", "")).strip()
    if not re.fullmatch(r"-?\d{1,15}", text):
        raise SheetError(f"'{text[:40]}' is no seed; expected a whole number.", hint="try 1")
    return int(text)


def asked_only(sheet: Sheet) -> Sheet:
    """The sheet without its claims, which are not the student's."""
    from dataclasses import replace

    return replace(sheet, claims=())


def _items(paper: Paper) -> Iterator[tuple[PaperSheet, Item]]:
    for sheet in paper.sheets:
        for item in sheet.items:
            yield sheet, item


def _check_sheets(document: Document) -> None:
    """Raises what is wrong with the first sheet that is not right, at its place."""
    from backproof.calculus.model import build_model

    for block in document.sheets:
        if block.error is not None:
            raise block.error
        if block.sheet is not None:
            build_model(block.sheet)


def stamps(document: Document) -> tuple[Any, ...]:
    """What tells whether the data files of a paper are still the same."""
    from backproof.web.desk import stamps as of_sheet

    return tuple(of_sheet(block.sheet) for block in document.sheets if block.sheet is not None)
