"""Answers that print themselves: a working, a verdict, a whole sheet, in every form there is.

Thin wrappers for display around plain data; nothing is computed here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from backproof.errors import NotAvailable
from backproof.render import html as pages
from backproof.render import json as data_form
from backproof.render import latex, typst
from backproof.render.document import sheet_lines
from backproof.render.drawings.choose import as_svg, drawings
from backproof.render.lines import Line, plain
from backproof.render.terminal import working_lines
from backproof.render.verdicts import verdict_lines
from backproof.working import claims
from backproof.working.report import SheetReport
from backproof.working.steps import Step, Working

__all__ = ["Answer", "Verdict", "Worked"]


class Shown(ABC):
    """What every answer can do: print itself and export itself."""

    @abstractmethod
    def _lines(self) -> list[Line]:
        """The answer for the terminal."""

    @abstractmethod
    def _fragment(self) -> str:
        """The answer as LaTeX that stands inside a document."""

    @abstractmethod
    def _data(self) -> dict[str, Any]:
        """The answer as plain data."""

    def tex(self, *, standalone: bool = False) -> str:
        """The answer as a LaTeX fragment, or as an article that compiles as it stands."""
        return latex.standalone("", self._fragment()) if standalone else self._fragment()

    def json(self) -> str:
        """The answer as JSON text."""
        return data_form.dumps(self._data())

    def html(self) -> str:
        """The answer as a page: one file that needs no network and no script."""
        return pages.standalone(self._title(), self._page())

    def pdf(self) -> bytes:
        """The answer as PDF; needs the extra `pdf`."""
        return typst.compile_pdf(typst.whole(self._title(), self._printed()))

    def svg(self) -> str:
        """The answer as a drawing; NotAvailable where there is nothing to draw."""
        shown = self._drawn()
        if not shown:
            raise NotAvailable("This answer has no drawing; .html(), .tex() and .json() show it.")
        return shown

    @abstractmethod
    def _title(self) -> str:
        """What a page of the answer is called."""

    @abstractmethod
    def _page(self) -> str:
        """The answer as HTML that stands inside a page."""

    @abstractmethod
    def _printed(self) -> str:
        """The answer as Typst."""

    def _drawn(self) -> str:
        """The answer as SVG; "" where there is nothing to draw."""
        return ""

    def __repr__(self) -> str:
        return plain(self._lines()).rstrip("\n")

    def _repr_html_(self) -> str:
        return pages.notebook(self._page())


class Answer(Shown):
    """The answer to one ask.

    working   its steps as plain data
    """

    def __init__(self, working: Working) -> None:
        self.working = working

    @property
    def asked(self) -> str:
        """What was asked, as it would stand behind `ask`."""
        return self.working.ask

    @property
    def steps(self) -> tuple[Step, ...]:
        """The lines, in reading order."""
        return self.working.steps

    @property
    def data(self) -> Mapping[str, Any]:
        """The answer as plain data, where it has a structure of its own."""
        return self.working.data

    def __iter__(self) -> Iterator[Step]:
        return iter(self.working.steps)

    def __len__(self) -> int:
        return len(self.working.steps)

    def _lines(self) -> list[Line]:
        return working_lines(self.working)

    def _fragment(self) -> str:
        return latex.working_fragment(self.working)

    def _title(self) -> str:
        return self.working.ask or "Working"

    def _page(self) -> str:
        return pages.Page().working(self.working)

    def _printed(self) -> str:
        return "\n".join(typst.working_lines(self.working, named=False))

    def _drawn(self) -> str:
        return as_svg(drawings(self.working))

    def _data(self) -> dict[str, Any]:
        return data_form.working_data(self.working)


class Verdict(claims.Verdict, Shown):
    """The verdict on one claim: `verdict` is the word, `why` the reason; true if it holds."""

    @classmethod
    def of(cls, verdict: claims.Verdict, formulas: Mapping[str, str] | None = None) -> Verdict:
        """A verdict that prints itself; *formulas* is what it says as LaTeX."""
        made = cls(**{field.name: getattr(verdict, field.name) for field in fields(verdict)})
        object.__setattr__(made, "_formulas", dict(formulas or {}))
        return made

    def __bool__(self) -> bool:
        return self.holds

    __repr__ = Shown.__repr__

    def _lines(self) -> list[Line]:
        return verdict_lines(self, indent=0)

    def _fragment(self) -> str:
        return "\n".join(latex.verdict_fragment(self)) + "\n"

    def _title(self) -> str:
        return f"{self.verdict}: {self.text}"

    def _page(self) -> str:
        return pages.Page().verdict(self, getattr(self, "_formulas", {}))

    def _printed(self) -> str:
        return typst.verdict_block(self, getattr(self, "_formulas", {}))

    def _data(self) -> dict[str, Any]:
        return data_form.verdict_data(self)


class Worked(Shown):
    """A whole sheet, answered.

    report   its answers and verdicts as plain data
    """

    def __init__(self, report: SheetReport) -> None:
        self.report = report

    @property
    def answers(self) -> tuple[Answer, ...]:
        """One answer an ask."""
        return tuple(Answer(working) for working in self.report.asks)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One verdict a claim."""
        return tuple(Verdict.of(v, self.report.formulas) for v in self.report.claims)

    def _lines(self) -> list[Line]:
        return sheet_lines(self.report)

    def _fragment(self) -> str:
        return latex.sheet_fragment(self.report)

    def _title(self) -> str:
        return self.report.title or "Sheet"

    def _page(self) -> str:
        return pages.Page().sheet(self.report, paper=False, level=2)

    def _printed(self) -> str:
        return typst.sheet(self.report)

    def _drawn(self) -> str:
        asks = self.report.asks
        return as_svg(
            [d for w in asks for d in drawings(w, [other for other in asks if other is not w])]
        )

    def _data(self) -> dict[str, Any]:
        return data_form.sheet_data(self.report)
