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
from backproof.working.mending.search import Search, Workbench
from backproof.working.mending.words import caret_diff

__all__ = ["caret_diff", "mended", "mended_one"]


def mended(
    judge: Judge, claims: Sequence[ast.Claim], verdicts: Sequence[Verdict]
) -> list[Verdict]:
    """The verdicts, with a suggestion where a small edit makes a refuted claim hold."""
    bench = Workbench(judge, claims, verdicts)
    return [mended_one(bench, c, v) for c, v in zip(claims, verdicts, strict=True)]


def mended_one(bench: Workbench, claim: ast.Claim, verdict: Verdict) -> Verdict:
    """The verdict with a suggestion, if it needs one and one is found."""
    if verdict.verdict != REFUTED or verdict.suggestion is not None or not claim.relations:
        return verdict
    try:
        with np.errstate(all="ignore"):
            found = Search(bench, claim, verdict).best()
    except (BackproofError, ArithmeticError, ValueError, MemoryError, RecursionError):
        return verdict
    return verdict if found is None else replace(verdict, suggestion=found.text)
