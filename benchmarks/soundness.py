"""Claims made at random, and every verdict compared with an independent judge.

`python -m benchmarks.soundness --count N` (or `make soundness N=…`). The judge reads the same
sheet through NumPy and JAX in double precision, at fresh points of its own; a disagreement is
looked at again at more points before it is called a wrong verdict. Exits with 1 when there is one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tests.oracle import Misfit, World

from backproof.calculus.model import build_model
from backproof.errors import BackproofError, Source
from backproof.language import syntax as ast
from backproof.language.sheet import Sheet, parse_sheet
from backproof.working.claims import Counterexample, Judge
from benchmarks.makers import CLAIMS_A_SHEET, Made, MadeSheet, make_sheet

SAME, DIFFERENT = 1e-9, 1e-6
TRUE, FALSE = ("proved", "agrees"), ("refuted",)
PIECEWISE = {"relu", "step", "abs", "sign", "leaky_relu", "elu"}
CHUNK = 25  # sheets a task


@dataclass
class Tally:
    """What a run found.

    verdicts   (how the claim was made, true or not by the judge, verdict) -> how many
    wrong      sheet, claim and reason of every wrong verdict
    unproved   rewritten true claims that only agree, or stay undecided
    """

    verdicts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        self.verdicts += other.verdicts
        self.wrong += other.wrong
        self.unproved += other.unproved
        self.seconds += other.seconds

    @property
    def claims(self) -> int:
        return sum(self.verdicts.values())

    def rewritten(self, *verdicts: str) -> int:
        """How many claims made by identities only, and true, got one of these verdicts."""
        return sum(
            n
            for (how, truth, verdict), n in self.verdicts.items()
            if how == "rewritten" and truth == "true" and (not verdicts or verdict in verdicts)
        )


# --- the independent judge -------------------------------------------------------------------


def draw_world(
    sheet: Sheet, rng: random.Random, stretch: float = 1.0, *, whole: bool = False
) -> World:
    """A fresh point: the judge's own sizes and values, in the declared sets."""
    # Always the same different sizes, so that JAX meets shapes that it has compiled before.
    sizes = {name: k for k, name in enumerate(sorted(sheet.dimensions), 2)}
    fast = np.random.default_rng(rng.getrandbits(63))
    values = {}
    for name, declaration in sheet.declarations.items():
        assert declaration.set is not None
        dims = [_size(d, sizes) for d in declaration.set.dims]
        values[name] = _value(declaration.set, dims, fast, stretch)
    return World(sheet, sizes, values, whole=whole)


def _size(expr: ast.Expr, sizes: dict[str, int]) -> int:
    return int(expr.value) if isinstance(expr, ast.Number) else sizes[expr.id]  # type: ignore[union-attr]


def _value(s: ast.SetExpr, dims: list[int], fast: np.random.Generator, stretch: float) -> Any:
    shape = (1, 1) if not dims else (dims[0], 1) if len(dims) == 1 else tuple(dims)
    if s.kind in ("sym", "posdef", "diagonal", "orthogonal"):
        x = fast.normal(0, stretch, (dims[0], dims[0]))
        return {
            "sym": (x + x.T) / 2,
            "posdef": x @ x.T + np.eye(dims[0]),
            "diagonal": np.diag(np.diag(x)),
            "orthogonal": np.linalg.qr(x)[0] @ np.linalg.qr(x.T + 1)[0],
        }[s.kind]
    if s.kind == "pos":
        return fast.uniform(0.2, 0.2 + 2 * stretch, shape)
    if s.kind == "interval":
        return fast.uniform(0.05, 0.95, shape)
    if s.kind == "labels":
        return fast.choice([_number(b) for b in s.bounds], shape)
    if s.kind in ("onehot", "prob"):
        rows = fast.uniform(0.2, 2, (1, dims[0]) if len(dims) == 1 else shape)
        if s.kind == "onehot":
            rows = np.eye(rows.shape[1])[rows.argmax(axis=1)]
        return (rows / rows.sum(axis=1, keepdims=True)).reshape(shape)
    return fast.normal(0, stretch, shape)


def _number(expr: ast.Expr) -> float:
    if isinstance(expr, ast.Apply):
        return -_number(expr.args[0])
    return float(expr.value)  # type: ignore[union-attr]


def gaps(claim: ast.Claim, worlds: Sequence[World]) -> Iterator[float]:
    """How far the sides are apart, relative to their size, at points where both are defined."""
    left, right = claim.sides
    for world in worlds:
        try:
            a, b = world.value(left), world.value(right)
        except (Misfit, ValueError, TypeError):
            yield np.inf  # the shapes do not fit together
            continue
        if a.shape != b.shape:
            yield np.inf
            continue
        defined = np.isfinite(a).all() and np.isfinite(b).all()
        if defined and not on_kink(claim, world):
            scale = max(1.0, float(np.abs(a).max()), float(np.abs(b).max()))
            yield float(np.abs(a - b).max()) / scale


def on_kink(claim: ast.Claim, world: World) -> bool:
    """Whether the argument of a piecewise function is zero somewhere in the claim."""
    for side in claim.sides:
        for part in ast.walk(side):
            if isinstance(part, ast.Apply) and part.op in PIECEWISE:
                if _rectified(part.args[0], world.sheet):
                    continue
                gap = world.value(part.args[0])
            elif isinstance(part, ast.Apply) and part.op == "max" and len(part.args) == 2:
                gap = world.value(part.args[0]) - world.value(part.args[1])
            else:
                continue
            if (np.abs(gap) < 1e-12).any():
                return True
    return False


def _rectified(expr: ast.Expr, sheet: Sheet) -> bool:
    """relu(z) is zero on a whole side, where step of it is nonetheless as smooth as step(z)."""
    while isinstance(expr, ast.Name) and expr.id in sheet.equations:
        expr = sheet.equations[expr.id].expr
    return isinstance(expr, ast.Apply) and expr.op == "relu"


def truth(claim: ast.Claim, sheet: Sheet, rng: random.Random, *, whole: bool = False) -> str:
    """ "true", "false", or "unclear" where double precision cannot tell."""
    seen = list(gaps(claim, [draw_world(sheet, rng, whole=whole) for _ in range(2)]))
    if seen and max(seen) <= SAME:
        return "true"
    return "false" if seen and max(seen) > DIFFERENT else "unclear"


def second_look(claim: ast.Claim, sheet: Sheet, rng: random.Random, first: str) -> str:
    """The judge's word after more points, near zero and far from it."""
    worlds = [draw_world(sheet, rng, stretch) for stretch in (0.3, 0.6, 1.0, 1.5) for _ in range(4)]
    seen = list(gaps(claim, worlds))
    if not seen:
        return "unclear"
    if first == "false":  # rounding can look like a difference, but not everywhere
        small = sum(g <= DIFFERENT for g in seen)
        return "false" if small <= len(seen) // 4 else "unclear"
    return "true" if max(seen) <= 1e-12 else "unclear"


def shown_point(claim: ast.Claim, sheet: Sheet, counter: Counterexample) -> bool:
    """Whether the sides differ at the point that a refutation shows, as the judge reads it."""
    sizes: dict[str, int] = {}
    values: dict[str, Any] = {}
    for name, lists in counter.point.items():
        array = np.asarray(lists, dtype=np.float64)
        array = array.reshape(-1, 1) if array.ndim < 2 else array
        values[name] = array
        declared = sheet.declarations[name].set
        for dim, size in zip(declared.dims if declared else (), array.shape, strict=False):
            if isinstance(dim, ast.Name):
                sizes[dim.id] = size
    try:
        return max(gaps(claim, [World(sheet, sizes, values)]), default=0.0) > DIFFERENT
    except KeyError:  # a size that no value of the point shows
        return False


# --- the run ---------------------------------------------------------------------------------


def judge_sheet(seed: int) -> Tally:
    """Makes one sheet, judges its claims twice, and compares."""
    made, tally = make_sheet(seed), Tally()
    rng = random.Random(seed + 1)
    try:
        sheet = parse_sheet(Source(f"seed-{seed}.sheet", made.whole))
        judge = Judge(build_model(sheet))
    except BackproofError as error:
        tally.wrong.append(f"a sheet that should be readable is not:\n{made.whole}\n{error}")
        return tally
    for claim, how in zip(sheet.claims, made.claims, strict=True):
        _judge(tally, made, how, claim, judge, rng)
    return tally


def _judge(
    tally: Tally, made: MadeSheet, how: Made, claim: ast.Claim, judge: Judge, rng: random.Random
) -> None:
    start = time.perf_counter()
    try:
        verdict, why = (v := judge.claim(claim)).verdict, v.why
    except Exception as error:
        verdict, why = "crash", f"{type(error).__name__}: {error}"
    tally.seconds += time.perf_counter() - start
    with np.errstate(all="ignore"):
        said = truth(claim, judge.model.sheet, rng)
        against = (verdict in TRUE and said == "false") or (verdict in FALSE and said == "true")
        if against:
            said = second_look(claim, judge.model.sheet, rng, said)
        counter = v.counterexample if verdict == "refuted" else None
        if said == "true" and counter is not None and counter.point:
            # False on a small part of the domain only: the point shown is what counts.
            said = "false" if shown_point(claim, judge.model.sheet, counter) else said
    against = (verdict in TRUE and said == "false") or (verdict in FALSE and said == "true")
    tally.verdicts[how.how, said, verdict] += 1
    report = f"{made.text}claim {claim.text}\n{verdict}: {why}\nindependent judge: {said}"
    if against or verdict in ("crash", "here"):
        tally.wrong.append(report)
    elif how.how == "rewritten" and said == "true" and verdict in ("agrees", "undecided"):
        tally.unproved.append(report)


def judge_seeds(seeds: Sequence[int]) -> Tally:
    """The tally of several sheets."""
    total = Tally()
    for seed in seeds:
        total.add(judge_sheet(seed))
    return total


def run(count: int, seed: int = 0, workers: int = 2) -> Tally:
    """Judges about *count* claims, over worker processes."""
    sheets = -(-count // CLAIMS_A_SHEET)
    first = seed * 10_000_000
    seeds = range(first, first + sheets)
    if workers < 2:
        return judge_seeds(seeds)
    chunks = [seeds[k : k + CHUNK] for k in range(0, sheets, CHUNK)]
    total = Tally()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for done, tally in enumerate(pool.map(judge_seeds, chunks), 1):
            total.add(tally)
            if sys.stderr.isatty():
                print(f"\r{done}/{len(chunks)}", end="", file=sys.stderr)
    return total


def summary(tally: Tally, wall: float) -> str:
    """The figures in sentences."""
    rewritten = tally.rewritten()
    open_ones = tally.rewritten("agrees", "undecided")
    share = 100 * open_ones / rewritten if rewritten else 0.0
    false = sum(n for (_, said, _), n in tally.verdicts.items() if said == "false")
    unclear = sum(n for (_, said, _), n in tally.verdicts.items() if said == "unclear")
    return "\n".join((
        f"{tally.claims} claims: {rewritten} rewritten and true, {false} false, "
        f"{unclear} that double precision cannot tell",
        f"{len(tally.wrong)} wrong verdicts",
        f"{share:.2f} % of the rewritten true claims without proof ({open_ones})",
        f"{tally.claims / wall:.0f} claims a second; "
        f"{1000 * tally.seconds / max(1, tally.claims):.1f} ms a claim in the check itself",
    ))  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs and prints; 1 when any verdict is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="claims, about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--show", type=int, default=3, help="unproved claims to show")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    tally = run(options.count, options.seed, options.workers)
    for title, reports in (("WRONG", tally.wrong), ("unproved", tally.unproved[: options.show])):
        for report in reports:
            print(f"--- {title}\n{report}\n")
    print(summary(tally, time.perf_counter() - start))
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
