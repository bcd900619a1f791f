"""Claims from textbooks, notes and papers, each with the verdict that it must get.

The expected verdicts were worked out by hand; the independent judge (NumPy and JAX) confirms those
that hold or fail for all values.
"""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backproof.calculus.model import build_model
from backproof.errors import Source
from backproof.language.sheet import Sheet, parse_sheet
from backproof.working.claims import Judge, Verdict
from benchmarks.soundness import truth

CASES = Path(__file__).parent / "cases"
SHEETS = json.loads((CASES / "manifest.json").read_text(encoding="utf-8"))["sheets"]
RIGHT = {"holds": {"proved", "agrees"}, "here": {"here"}, "refuted": {"refuted"}}


def read(file: str) -> Sheet:
    path = CASES / file
    return parse_sheet(Source(path.name, path.read_text(encoding="utf-8")))


def test_there_are_enough_of_them() -> None:
    assert sum(len(s["claims"]) for s in SHEETS) >= 150
    assert {s["file"] for s in SHEETS} == {p.name for p in CASES.glob("*.sheet")}
    assert all(s["source"] and s["topic"] for s in SHEETS)


@cache
def verdicts(file: str) -> list[Verdict]:
    judge = Judge(build_model(read(file)))
    return [judge.claim(c) for c in judge.model.sheet.claims]


@pytest.mark.parametrize("entry", SHEETS, ids=lambda e: e["file"].removesuffix(".sheet"))
def test_the_verdicts(entry: dict[str, Any]) -> None:
    for verdict, expected in zip(verdicts(entry["file"]), entry["claims"], strict=True):
        assert (verdict.line, verdict.text) == (expected["line"], expected["text"])
        said = f"{verdict.text}: {verdict.verdict}, {verdict.why}"
        assert verdict.verdict in RIGHT[expected["expected"]], said


def test_most_of_what_holds_is_proved() -> None:
    found = [
        verdict.verdict
        for entry in SHEETS
        for verdict, expected in zip(verdicts(entry["file"]), entry["claims"], strict=True)
        if expected["expected"] == "holds"
    ]
    assert found.count("proved") >= 0.85 * len(found)


@pytest.mark.parametrize("entry", SHEETS, ids=lambda e: e["file"].removesuffix(".sheet"))
def test_what_is_expected_against_the_independent_judge(entry: dict[str, Any]) -> None:
    sheet = read(entry["file"])
    if sheet.values:
        pytest.skip("its claims are about given values, which were worked out by hand")
    rng = random.Random(entry["file"])
    for claim, expected in zip(sheet.claims, entry["claims"], strict=True):
        if claim.loops or claim.relations != ("eq",):
            continue
        with np.errstate(all="ignore"):
            said = truth(claim, sheet, rng, whole=True)
        assert said == {"holds": "true", "refuted": "false"}[expected["expected"]], claim.text
