"""Says of a refuted claim what it should have been: the mended claim, in the reader's spelling.

`mended` adds the suggestions to the verdicts of one sheet. How the mistake is looked for is the
business of `mending`; what is shown of it is nobody's business here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.working.claims import REFUTED, Judge, Verdict
from backproof.working.mending.entries import wrong_entries
from backproof.working.mending.search import Search, Workbench
from backproof.working.mending.shapes import mended_shape
from backproof.working.mending.words import caret_diff

UNPROVED = "What is suggested instead is true at every point tried; no proof was found."
TOLD = "What is suggested instead stands elsewhere on the sheet and differs in {} places."

__all__ = ["caret_diff", "mended", "mended_one"]


def mended(judge: Judge, claims: Sequence[ast.Claim], verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts, with a suggestion where a small edit makes a refuted claim hold."""
    bench = Workbench(judge, claims, verdicts)
    return [mended_one(bench, c, v) for c, v in zip(claims, verdicts, strict=True)]


def mended_one(bench: Workbench, claim: ast.Claim, verdict: Verdict) -> Verdict:
    """The verdict with a suggestion, if it needs one and one is found.

    Where a fact that nobody declared would make the claim true, or where single entries of a
    matrix are wrong, that is added to the reason; so is that a suggestion has no proof, and that
    it differs in more than one place.
    """
    if verdict.verdict != REFUTED:
        return verdict
    if len(claim.relations) < 2 and (shape := mended_shape(bench.model, claim)) is not None:
        return replace(verdict, suggestion=shape)
    if not claim.relations:
        return verdict
    found, more = None, [wrong_entries(claim, verdict)]
    try:
        with np.errstate(all="ignore"):
            search = Search(bench, claim, verdict)
            found = search.best()
            if found is not None and found.told > 1:
                more.append(TOLD.format(found.told))
            if found is not None and not bench.proved(found.text):
                more.append(UNPROVED)
            fact = search.fact()
            more.append(None if fact is None else f"It would be true if {fact}.")
    except (BackproofError, ArithmeticError, ValueError, MemoryError, RecursionError):
        pass  # what does not fit together has its reason already
    why = " ".join([verdict.why, *(m for m in more if m)])
    return replace(verdict, why=why, suggestion=found.text if found else verdict.suggestion)
