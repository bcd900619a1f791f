"""The results of a class: a table of marks, every mark explained, what a person must look at, and
a summary for the teacher. Plain text and CSV; nothing in a script can become a formula of a
spreadsheet.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from backproof.papers.key import key_text
from backproof.papers.marking import BLANK, FOLLOWS, QUEUED, Line
from backproof.papers.paper import Paper
from backproof.papers.store import Marked, Override, Store
from backproof.render.save import save

BARS = 10
MOST_MISTAKES = 12


@dataclass
class _Tally:
    """What is counted over the class."""

    scripts: int = 0
    totals: list[float] = field(default_factory=list)
    earned: dict[str, Fraction] = field(default_factory=dict)
    verdicts: dict[str, Counter[str]] = field(default_factory=dict)
    mistakes: Counter[tuple[str, str]] = field(default_factory=Counter)
    followed: int = 0


def write_results(paper: Paper, store: Store, out: Path) -> int:
    """Writes marks.csv, review.csv, feedback/, key.md, summary.md and summary.json.

    Gives back how many lines a person has to look at.
    """
    items = {item.id: item for item in paper.items}
    decided = store.overrides()
    tally = _Tally()
    table, review = io.StringIO(), io.StringIO()
    marks_csv, review_csv = csv.writer(table), csv.writer(review)
    marks_csv.writerow(["student", *items, "total", "to review"])
    review_csv.writerow(["student", "item", "answer", "verdict", "why", "marks"])
    queued = 0
    feedback = out / "feedback"
    feedback.mkdir(exist_ok=True)
    names: set[str] = set()
    for script in store.scripts():
        total, open_lines = Fraction(0), 0
        row = [_cell(script.student)]
        found = {line.item: line for line in script.lines}
        for item in items.values():
            line = found[item.id]
            by_hand = decided.get((script.student, line.item))
            got = by_hand.marks if by_hand else None
            if got is None and line.share is not None:
                got = line.share * item.marks
            waits = by_hand is None and line.verdict in QUEUED
            if waits:
                open_lines += 1
                review_csv.writerow(
                    [
                        _cell(script.student), line.item, _cell(line.answer), line.verdict,
                        _cell(line.reason), _number(item.marks),
                    ]
                )  # fmt: skip
            total += got or 0
            row.append("?" if got is None else _number(got))
            _count(tally, line, got)
        tally.scripts += 1
        tally.totals.append(float(total))
        queued += open_lines
        marks_csv.writerow([*row, _number(total), str(open_lines)])
        name = _file_name(script.student, names)
        text = "\n".join(_explained(paper, script, decided, total))
        (feedback / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    save(out / "marks.csv", table.getvalue())
    save(out / "review.csv", review.getvalue())
    save(out / "key.md", key_text(paper))
    save(out / "summary.md", "\n".join(_summary(paper, tally, queued)) + "\n")
    save(out / "summary.json", json.dumps(_data(paper, tally, queued), indent=1) + "\n")
    return queued


def _count(tally: _Tally, line: Line, got: Fraction | None) -> None:
    tally.earned[line.item] = tally.earned.get(line.item, Fraction(0)) + (got or 0)
    tally.verdicts.setdefault(line.item, Counter())[line.verdict] += 1
    tally.followed += line.verdict == FOLLOWS
    if line.mistake:
        tally.mistakes[(line.item, line.mistake)] += 1


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def _number(value: Fraction) -> str:
    return f"{float(value):.2f}".rstrip("0").rstrip(".")


def _file_name(student: str, taken: set[str]) -> str:
    base = re.sub(r"[^\w .()-]+", "_", student).strip(" .")[:80] or "script"
    name, number = base, 1
    while name.casefold() in taken:
        number += 1
        name = f"{base}~{number}"
    taken.add(name.casefold())
    return name


def _explained(
    paper: Paper, script: Marked, decided: dict[tuple[str, str], Override], total: Fraction
) -> Iterator[str]:
    yield f"# {_line(script.student)}: {_number(total)} of {_number(paper.marks)} marks"
    found = {line.item: line for line in script.lines}
    for sheet in paper.sheets:
        if not sheet.items:
            continue
        yield f"\n## {sheet.sheet.title or sheet.name}\n"
        for item in sheet.items:
            line = found[item.id]
            by_hand = decided.get((script.student, item.id))
            most = _number(item.marks)
            if by_hand is not None:
                yield f"- `{item.key}`: {_number(by_hand.marks)} of {most}, decided by the " + (
                    f"marker: {_line(by_hand.reason)} (found: {line.verdict})"
                )
                continue
            got = "?" if line.share is None else _number(line.share * item.marks)
            written = f" `{_line(line.answer)[:160]}`" if line.answer else ""
            why = line.reason + (f" Mistake: {line.mistake}." if line.mistake else "")
            yield f"- `{item.key}`{written}: {got} of {most}, {line.verdict}: {why}"
    if script.unread:
        yield "\n## Lines that answer nothing of the paper\n"
        yield from (f"- `{_line(line)}`" for line in script.unread)


def _line(text: str) -> str:
    return " ".join(text.replace("`", "'").split())


def _summary(paper: Paper, tally: _Tally, queued: int) -> Iterator[str]:
    count = max(1, tally.scripts)
    most = float(paper.marks)
    yield f"# {paper.title or paper.file}: {tally.scripts} scripts\n"
    if tally.totals:
        ordered = sorted(tally.totals)
        mean = sum(ordered) / len(ordered)
        middle = ordered[len(ordered) // 2]
        yield f"Mean {mean:.1f} of {most:g}, median {middle:.1f}, from {ordered[0]:.1f} to " + (
            f"{ordered[-1]:.1f}. {tally.followed} lines were right by an error carried forward."
        )
    yield f"{queued} lines wait for a person: see review.csv.\n"
    yield "## Marks\n\n```"
    for low, high, number in histogram(tally.totals, most):
        bar = "█" * round(40 * number / count)
        yield f"{low:5.1f} to {high:5.1f}  {number:5}  {bar}"
    yield "```\n\n## By question\n"
    yield "| question | marks | earned | right | follows | wrong | blank |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for item in paper.items:
        verdicts = tally.verdicts.get(item.id, Counter())
        earned = tally.earned.get(item.id, Fraction(0))
        share = float(earned / item.marks) / count if item.marks else 0.0
        other = sum(verdicts.values()) - sum(verdicts[v] for v in ("right", "follows", BLANK))
        yield (
            f"| {item.id.replace('|', ' ')} | {_number(item.marks)} | {share:.0%} | "
            f"{verdicts['right']} | {verdicts['follows']} | {other} | {verdicts[BLANK]} |"
        )
    yield "\n## The most frequent mistakes\n"
    for (item_id, mistake), number in tally.mistakes.most_common(MOST_MISTAKES):
        yield f"- {number} × {item_id}: {mistake}"


def histogram(totals: list[float], most: float) -> list[tuple[float, float, int]]:
    """(from, to, how many) in ten bars; the full marks stand in the last one."""
    width = most / BARS if most else 1.0
    counts = [0] * BARS
    for total in totals:
        counts[min(BARS - 1, max(0, int(total / width)))] += 1
    return [(k * width, (k + 1) * width, n) for k, n in enumerate(counts)]


def _data(paper: Paper, tally: _Tally, queued: int) -> dict[str, object]:
    return {
        "paper": paper.title,
        "scripts": tally.scripts,
        "marks": float(paper.marks),
        "mean": sum(tally.totals) / len(tally.totals) if tally.totals else None,
        "to_review": queued,
        "follows": tally.followed,
        "histogram": [n for *_, n in histogram(tally.totals, float(paper.marks))],
        "questions": {
            item.id: {
                "marks": float(item.marks),
                "earned": float(tally.earned.get(item.id, Fraction(0))) / max(1, tally.scripts),
                "verdicts": dict(tally.verdicts.get(item.id, Counter())),
            }
            for item in paper.items
        },
        "mistakes": [
            {"item": item, "mistake": mistake, "count": n}
            for (item, mistake), n in tally.mistakes.most_common(50)
        ],
    }
