"""Variants of a paper: the same questions with other numbers, each with its key.

What `vary` names is drawn anew from a seed; identical seeds give identical variants. A draw that
is not fit (see `checks`) is rejected and counted with its reason. A matrix whose rows are one-hot
stays one-hot. What several sheets give with the same value and the same `vary` line is one thing
("the same points") and drawn once for all of them. The numbers of `claim`s belong to the paper as
it is, so a varied sheet has none; what the paper says in `stated` changes the rest of its text.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from backproof.errors import BackproofError, FileProblem, Source
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.language.sheet import Sheet, parse_sheet
from backproof.operators.arithmetic import DECIMALS, decimal_context
from backproof.papers.checks import SheetChecker
from backproof.papers.difficulty import NOTHING, RULE, Difficulty
from backproof.papers.key import key_text
from backproof.papers.paper import Paper, PaperSheet
from backproof.papers.stated import told_anew, written
from backproof.render.save import save

Array = Any
Drawn = dict[str, Any]  # name -> nested lists of fractions, or a fraction for a dimension
Shared = tuple[Any, ...]  # a name, its value and what may be drawn
TRIES = 600  # for each sheet of one variant
REPEATS = 20  # draws that were made before, after which one of these is taken again
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Variant:
    """One variant: its number, its text, its paper and how much work it is."""

    number: int
    text: str
    paper: Paper
    work: Difficulty


@dataclass
class Rejected:
    """What was rejected, by sheet and reason."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """`12 × svm: a rounding tie`, the most frequent first."""
        return [f"{n} × {sheet}: {why}" for (sheet, why), n in self.counts.most_common()]


@dataclass(frozen=True, eq=False)
class _Draw:
    """An accepted draw of one sheet."""

    values: Drawn
    sheet: PaperSheet
    work: Difficulty
    text: str


class _Group:
    """Sheets that share what varies; their values are drawn together until they are fit."""

    def __init__(self, sheets: list[_SheetDrawer], rejected: Rejected) -> None:
        self.sheets = sheets
        self.rejected = rejected
        self.seen: set[str] = set()
        self.accepted: list[tuple[_Draw, ...]] = []
        self.tries = TRIES * len(sheets)

    def draw(self, rng: random.Random) -> tuple[_Draw, ...]:
        """A fit draw of every sheet, new if there is any."""
        repeats = 0
        for _ in range(self.tries):
            shared: dict[Shared, Any] = {}
            drawn: list[Drawn] = []
            for sheet in self.sheets:
                values = sheet.values(rng, shared)
                if values is None:
                    self._reject(sheet, "the shapes do not fit")
                    break
                drawn.append(values)
            if len(drawn) < len(self.sheets):
                continue
            key = json.dumps(drawn, default=str, sort_keys=True)
            if key in self.seen:
                repeats += 1
                self._reject(self.sheets[0], "a duplicate")
                if repeats > REPEATS and self.accepted:
                    return rng.choice(self.accepted)
                continue
            self.seen.add(key)
            found = self._fit(drawn)
            if found is not None:
                self.accepted.append(found)
                return found
        if self.accepted:
            return rng.choice(self.accepted)
        names = [sheet.name for sheet in self.sheets]
        reasons = ", ".join(
            f"{why} ({n})" if len(names) == 1 else f"{name}: {why} ({n})"
            for (name, why), n in self.rejected.counts.most_common() if name in names
        )  # fmt: skip
        raise FileProblem(
            f"No draw for {' with '.join(names)} is fit to be handed out: {reasons}.",
            hint="widen what 'vary' may draw, or start from other values",
        )

    def _fit(self, drawn: list[Drawn]) -> tuple[_Draw, ...] | None:
        """The sheets with these values; None, counted, where one of them is not fit."""
        works: list[Difficulty] = []
        for sheet, values in zip(self.sheets, drawn, strict=True):
            why, work = sheet.check(values)
            if why:
                self._reject(sheet, why)
                return None
            works.append(work)
        found: list[_Draw] = []
        for sheet, values, work in zip(self.sheets, drawn, works, strict=True):
            try:
                found.append(sheet.made(values, work))
            except BackproofError:
                self._reject(sheet, "outside of its set")
                return None
        return tuple(found)

    def _reject(self, sheet: _SheetDrawer, why: str) -> None:
        self.rejected.counts[sheet.name, why] += 1


class _SheetDrawer:
    """Draws values for one sheet and says whether they are fit."""

    def __init__(self, sheet: PaperSheet) -> None:
        self.sheet = sheet
        self.name = sheet.name
        self._checkers: dict[tuple[tuple[str, Fraction], ...], SheetChecker | None] = {}
        self.lets = [v for v in sheet.sheet.varies if v.name in sheet.sheet.lets]
        self.names = [v for v in sheet.sheet.varies if v.name not in sheet.sheet.lets]

    @property
    def shares(self) -> set[Shared]:
        """What varies here, as other sheets may have it too."""
        return {key for v in self.sheet.sheet.varies if (key := _shared(self.sheet, v)) is not None}

    def values(self, rng: random.Random, shared: dict[Shared, Any]) -> Drawn | None:
        """What is drawn for each name; None where the shapes do not fit.

        shared   what was drawn for other sheets; what this one draws is added
        """

        def once(vary: ast.Vary, draw: Callable[[], Any]) -> Any:
            key = _shared(self.sheet, vary)
            if key is None:
                return draw()
            if key not in shared:
                shared[key] = draw()
            return shared[key]

        lets = {v.name: once(v, partial(_one, v, rng)) for v in self.lets}
        checker = self._checker(lets)
        if checker is None:
            return None
        named = {v.name: once(v, partial(self._value, v, rng, checker)) for v in self.names}
        return {**lets, **named}

    def check(self, drawn: Drawn) -> tuple[str, Difficulty]:
        """(why these values are not fit, or "", how much work they are)."""
        checker = self._checker({v.name: drawn[v.name] for v in self.lets})
        assert checker is not None
        given = self._given(checker, {v.name: drawn[v.name] for v in self.names})
        why = _repeated(given, checker.base)
        return (why, NOTHING) if why else checker.check(given)

    def _checker(self, lets: Mapping[str, Fraction]) -> SheetChecker | None:
        key = tuple(sorted(lets.items()))
        if key not in self._checkers:
            try:
                sheet = self.sheet
                if lets:
                    text = varied_text(sheet.sheet, dict(lets), drop=False)
                    made = parse_sheet(Source(sheet.sheet.source.name, text), name=sheet.name)
                    sheet = PaperSheet(sheet.name, made, sheet.intro)
                self._checkers[key] = SheetChecker(sheet)
            except (BackproofError, KeyError):
                self._checkers[key] = None
        return self._checkers[key]

    def _value(self, vary: ast.Vary, rng: random.Random, checker: SheetChecker) -> Any:
        """Nested lists of fractions in the shape of the name."""
        model = checker.model
        shape = tuple(d.as_int() or 0 for d in model.shape(vary.name))
        fact = model.declared[vary.name].kind
        base = checker.base.get(vary.name)
        if fact == "onehot" or (base is not None and _onehot(base)):
            return _onehot_rows(shape, rng)
        rows = [[_one(vary, rng) for _ in range(shape[1])] for _ in range(shape[0])]
        if fact == "sym":
            rows = [[rows[min(i, j)][max(i, j)] for j in range(shape[1])] for i in range(shape[0])]
        if shape == (1, 1):
            return rows[0][0]
        return [row[0] for row in rows] if shape[1] == 1 else rows

    def _given(self, checker: SheetChecker, values: Mapping[str, Any]) -> dict[str, Array]:
        given = dict(checker.base)
        with decimal_context():
            for name, value in values.items():
                rows = value if isinstance(value, list) else [value]
                cells = [r if isinstance(r, list) else [r] for r in rows]
                array = np.empty((len(cells), len(cells[0])), dtype=object)
                for i, row in enumerate(cells):
                    for j, x in enumerate(row):
                        array[i, j] = DECIMALS.const(x)
                given[name] = array
        return given

    def made(self, drawn: Drawn, work: Difficulty) -> _Draw:
        """The sheet with these values, read again like any sheet."""
        text = varied_text(self.sheet.sheet, drawn)
        made = parse_sheet(Source(self.sheet.sheet.source.name, text), name=self.sheet.name)
        sheet = PaperSheet(self.sheet.name, made, self.sheet.intro)
        assert sheet.model is not None
        return _Draw(drawn, sheet, work, text)


def _shared(sheet: PaperSheet, vary: ast.Vary) -> Shared | None:
    """A name with its value and what it may become: equal in two sheets, it is one thing."""
    value = sheet.sheet.lets.get(vary.name) or sheet.sheet.values.get(vary.name)
    if value is None:
        return None
    expr = value.value if isinstance(value, ast.Let) else value
    return vary.name, unparse(expr), vary.choices, vary.range


def _grouped(sheets: list[PaperSheet], rejected: Rejected) -> list[_Group]:
    """The sheets that vary, those that share something together."""
    groups: list[tuple[set[Shared], list[_SheetDrawer]]] = []
    for sheet in sheets:
        drawer = _SheetDrawer(sheet)
        shares, members = drawer.shares, [drawer]
        for group in [g for g in groups if g[0] & shares]:
            groups.remove(group)
            shares, members = shares | group[0], [*group[1], *members]
        groups.append((shares, members))
    return [_Group(members, rejected) for _, members in groups]


def _repeated(given: Mapping[str, Array], base: Mapping[str, Array]) -> str:
    """Two samples or two units that are the same, where the paper's own are not."""
    for name, array in given.items():
        rows = {tuple(row) for row in array}
        usual = base.get(name)
        if usual is None or usual.shape != array.shape or _onehot(usual) or array.shape[1] < 2:
            continue
        if len(rows) < len(array) and len({tuple(row) for row in usual}) == len(usual):
            return f"two rows of {name} are the same"
    return ""


def _one(vary: ast.Vary, rng: random.Random) -> Fraction:
    if vary.range is None:
        return rng.choice(vary.choices)
    low, high, step = vary.range
    return low + step * rng.randint(0, int((high - low) / step))


def _onehot(base: Array) -> bool:
    return bool(
        base.shape[1] > 1
        and all(x in (0, 1) for x in base.flat)
        and all(sum(row) == 1 for row in base)
    )


def _onehot_rows(shape: tuple[int, ...], rng: random.Random) -> Any:
    rows, classes = (1, shape[0]) if shape[1] == 1 else shape
    out = [[Fraction(0)] * classes for _ in range(rows)]
    for row in out:
        row[rng.randrange(classes)] = Fraction(1)
    return out[0] if shape[1] == 1 else out


# --- text ----------------------------------------------------------------------------------------


def varied_text(sheet: Sheet, drawn: Mapping[str, Any], *, drop: bool = True) -> str:
    """The text of a sheet with other values; without its `vary` lines and its claims.

    drop   whether to leave those lines out
    """
    source = sheet.source.text
    edits: list[tuple[int, int, str]] = []
    for name, value in drawn.items():
        text = written(value)
        if name in sheet.lets:
            span = sheet.lets[name].value.span
            edits.append((span.start, span.end, text))
        elif name in sheet.values:
            span = sheet.values[name].span
            edits.append((span.start, span.end, text))
        else:
            end = source.find("\n", sheet.declarations[name].span.end)
            end = sheet.region.end if end < 0 else end
            edits.append((end, end, f"\n{name} = {text}"))
    for statement in sheet.statements if drop else ():
        if isinstance(statement, ast.Vary | ast.Claim):
            start = source.rfind("\n", 0, statement.span.start) + 1
            end = source.find("\n", statement.span.end)
            edits.append((start, sheet.region.end if end < 0 else end + 1, ""))
    out, at = [], sheet.region.start
    for start, end, text in sorted(set(edits)):
        if start < at:
            continue
        out += [source[at:start], text]
        at = end
    return "".join([*out, source[at : sheet.region.end]])


# --- variants ------------------------------------------------------------------------------------


def make_variants(
    paper: Paper, count: int, seed: int, progress: Progress | None = None
) -> tuple[list[Variant], Rejected]:
    """So many different variants, the same ones for the same paper and seed."""
    rejected = Rejected()
    groups = _grouped([s for s in paper.sheets if s.sheet.varies], rejected)
    if not groups:
        raise FileProblem(
            f"'{paper.file}' varies nothing.",
            hint="write vary W in {-0.5..0.5 step 0.1} in a sheet",
        )
    found: list[Variant] = []
    combinations: set[tuple[int, ...]] = set()
    for number in range(1, count + 1):
        for attempt in range(50):
            draws = {
                draw.sheet.name: draw
                for group in groups
                for draw in group.draw(
                    random.Random(f"{seed} {number} {attempt} {group.sheets[0].name}")
                )
            }
            chosen = tuple(id(d) for d in draws.values())
            if chosen not in combinations:
                break
        else:
            raise FileProblem(
                f"Only {len(found)} different variants can be made of '{paper.file}'.",
                hint="widen what 'vary' may draw",
            )
        combinations.add(chosen)
        found.append(_variant(paper, number, draws))
        if progress is not None:
            progress(number, count)
    return found, rejected


def _variant(paper: Paper, number: int, draws: Mapping[str, _Draw]) -> Variant:
    out, at = [], 0
    sheets = [draws[s.name].sheet if s.name in draws else s for s in paper.sheets]
    texts = [(s.sheet.region, draws[s.name].text) for s in paper.sheets if s.name in draws]
    drawn = {name: draw.values for name, draw in draws.items()}
    edits = [(region.start, region.end, text) for region, text in texts]
    for start, end, text in sorted([*edits, *told_anew(paper, drawn)]):
        out += [paper.text[at:start], text]
        at = end
    text = "".join([*out, paper.text[at:]])
    made = Paper(paper.file, paper.title, text, paper.document, tuple(sheets))
    work = sum((draw.work for draw in draws.values()), NOTHING)
    return Variant(number, text, made, work)


def write_variants(
    paper: Paper, count: int, seed: int, out: Path, progress: Progress | None = None
) -> tuple[list[Variant], Rejected]:
    """Writes `variant-001.md`, `key-001.md` and so on, and `variants.json` about all of them."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileProblem(f"'{out}' cannot be made: {error.strerror}.") from None
    variants, rejected = make_variants(paper, count, seed, progress)
    digits = len(str(count))
    forms: dict[str, str] = {}
    for variant in variants:
        number = f"{variant.number:0{max(3, digits)}d}"
        (out / f"variant-{number}.md").write_text(variant.text, encoding="utf-8")
        title = f"{paper.title}, variant {number} of seed {seed}"
        key = key_text(variant.paper, title, forms)
        (out / f"key-{number}.md").write_text(key, encoding="utf-8")
    about = {
        "paper": paper.title,
        "seed": seed,
        "count": count,
        "rule": RULE,
        "variants": [
            {
                "number": v.number, "steps": v.work.steps, "digits": v.work.digits,
                "minutes": round(v.work.minutes, 1), "digest": v.paper.digest,
            }
            for v in variants
        ],
        "rejected": rejected.lines(),
    }  # fmt: skip
    save(out / "variants.json", json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return variants, rejected
