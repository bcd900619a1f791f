"""Workings, verdicts and reports as plain data, in the form that is promised to other tools."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from backproof.working.report import place_of

if TYPE_CHECKING:
    from backproof.working.claims import Verdict
    from backproof.working.report import Report, SheetReport
    from backproof.working.steps import Step, Working


def dumps(data: Any) -> str:
    """Data as JSON text."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=2)


def report_data(report: Report) -> dict[str, Any]:
    """What `work --json` writes."""
    return {
        "file": report.file,
        "title": report.title,
        "sheets": [sheet_data(sheet) for sheet in report.sheets],
    }


def sheet_data(sheet: SheetReport) -> dict[str, Any]:
    """One sheet: its answers, its verdicts, and its error or None."""
    return {
        "name": sheet.name,
        "title": sheet.title,
        "asks": [working_data(working) for working in sheet.asks],
        "claims": [verdict_data(verdict) for verdict in sheet.claims],
        "error": None if sheet.error is None else place_of(sheet.error),
    }


def working_data(working: Working) -> dict[str, Any]:
    """One answer."""
    return {
        "ask": working.ask,
        "steps": [step_data(step) for step in working.steps],
        "data": plain_data(working.data),
    }


def step_data(step: Step) -> dict[str, Any]:
    """One line of an answer."""
    verified = step.verified
    return {
        "label": step.label,
        "text": step.text,
        "latex": step.latex,
        "shape": None if step.shape is None else list(step.shape),
        "value": plain_data(step.value),
        "because": step.because,
        "verified": None
        if verified is None
        else {"how": verified.how, "points": verified.points, "failed": verified.failed},
    }


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    """One claim, as `check --json` writes it."""
    return {
        "line": verdict.line,
        "text": verdict.text,
        "verdict": verdict.verdict,
        "points": verdict.points,
        "why": verdict.why,
        "difference": verdict.difference,
        "suggestion": verdict.suggestion,
    }


def plain_data(value: Any) -> Any:
    """Numbers as int or float, sequences as lists; what is not finite becomes None."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Decimal | Fraction | float):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, Mapping):
        return {str(key): plain_data(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain_data(value.tolist())
    if isinstance(value, Iterable):
        return [plain_data(item) for item in value]
    return str(value)
