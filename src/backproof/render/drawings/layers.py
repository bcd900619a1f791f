"""A layered layout: nodes in ranks, few crossings, every edge inside the gaps between ranks.

After Sugiyama: ranks by the longest path, orders by barycentres, places by least squares under
the least distance (isotonic regression). Edges that pass ranks share one lane to their target.
Knows sizes only, not what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Key = Hashable
LANE = 10.0  # how wide a passing edge is
APART = 22.0  # between neighbours of a rank
GAP = 34.0  # between ranks
SWEEPS = 6
NEAR = 30.0  # a bend smaller than this is taken out


@dataclass
class Layout:
    """Where everything is.

    centre   of every node, (x, y)
    bands    top and bottom of every rank
    routes   (from, to) -> the places that the edge passes, rank by rank, ends included
    """

    centre: dict[Key, tuple[float, float]]
    bands: list[tuple[float, float]]
    rank: dict[Key, int]
    routes: dict[tuple[Key, Key], list[tuple[float, int]]] = field(default_factory=dict)


def layered(
    sizes: Mapping[Key, tuple[float, float]],
    edges: Sequence[tuple[Key, Key]],
    rank: Mapping[Key, int] | None = None,
    gap: float = GAP,
    apart: float = APART,
) -> Layout:
    """Places for nodes of these sizes; *edges* lead downwards, and there is no cycle.

    rank   where given, the rank of every node
    """
    ranks = dict(rank) if rank is not None else longest(sizes, edges)
    rows, links, chains = _with_lanes(sizes, edges, ranks)
    up, down = _neighbours(links)
    _order(rows, up, down)
    wide = {k: sizes[k][0] if k in sizes else LANE for row in rows for k in row}
    xs = _place(rows, wide, up, down, apart)
    bands: list[tuple[float, float]] = []
    y = 0.0
    for row in rows:
        high = max((sizes[k][1] for k in row if k in sizes), default=0.0)
        bands.append((y, y + high))
        y += high + gap
    centre = {
        k: (xs[k], (bands[ranks[k]][0] + bands[ranks[k]][1]) / 2) for row in rows for k in row
        if k in sizes
    }  # fmt: skip
    layout = Layout(centre, bands, ranks)
    for edge, chain in chains.items():
        layout.routes[edge] = [(xs[k], r) for k, r in chain]
    return layout


def longest(sizes: Mapping[Key, object], edges: Sequence[tuple[Key, Key]]) -> dict[Key, int]:
    """Every node below all that lead to it, as high as that lets it be."""
    below: dict[Key, list[Key]] = {k: [] for k in sizes}
    waiting = dict.fromkeys(sizes, 0)
    for start, end in edges:
        below[start].append(end)
        waiting[end] += 1
    ranks = dict.fromkeys(sizes, 0)
    ready = [k for k, n in waiting.items() if n == 0]
    while ready:
        node = ready.pop()
        for end in below[node]:
            ranks[end] = max(ranks[end], ranks[node] + 1)
            waiting[end] -= 1
            if not waiting[end]:
                ready.append(end)
    return ranks


_Lane = tuple[str, Key, int]
_Chains = dict[tuple[Key, Key], list[tuple[Key, int]]]


def _with_lanes(
    sizes: Mapping[Key, object], edges: Sequence[tuple[Key, Key]], ranks: Mapping[Key, int]
) -> tuple[list[list[Key]], dict[tuple[Key, Key], None], _Chains]:
    """The rows, with a lane to each target in every rank that edges to it pass."""
    rows: list[list[Key]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    for key in sizes:
        rows[ranks[key]].append(key)
    links: dict[tuple[Key, Key], None] = {}
    chains: _Chains = {}
    seen: set[Key] = set()
    for start, end in edges:
        chain: list[tuple[Key, int]] = [(start, ranks[start])]
        for r in range(ranks[start] + 1, ranks[end]):
            lane: _Lane = ("lane", end, r)
            if lane not in seen:
                seen.add(lane)
                rows[r].append(lane)
            chain.append((lane, r))
        chain.append((end, ranks[end]))
        for (a, _), (b, _) in pairwise(chain):
            links[a, b] = None
        chains[start, end] = chain
    return rows, links, chains


def _neighbours(
    links: Mapping[tuple[Key, Key], None],
) -> tuple[dict[Key, list[Key]], dict[Key, list[Key]]]:
    up: dict[Key, list[Key]] = {}
    down: dict[Key, list[Key]] = {}
    for a, b in links:
        down.setdefault(a, []).append(b)
        up.setdefault(b, []).append(a)
    return up, down


def _order(
    rows: list[list[Key]], up: Mapping[Key, list[Key]], down: Mapping[Key, list[Key]]
) -> None:
    """Sorts every row by the mean place of its neighbours, downwards and upwards in turn."""
    place = {k: (i + 0.5) / len(row) for row in rows for i, k in enumerate(row)}
    best, fewest = [list(row) for row in rows], _crossings(rows, down)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        near = up if downwards else down
        for row in rows if downwards else reversed(rows):
            wish = {}
            for k in row:
                others = near.get(k, ())
                wish[k] = sum(place[o] for o in others) / len(others) if others else place[k]
            row.sort(key=wish.__getitem__)
            for i, k in enumerate(row):
                place[k] = (i + 0.5) / len(row)
        crossings = _crossings(rows, down)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
        if not fewest:
            break
    rows[:] = best


def _crossings(rows: list[list[Key]], down: Mapping[Key, list[Key]]) -> int:
    """How many pairs of edges cross (counted with a Fenwick tree)."""
    total = 0
    for row, below in pairwise(rows):
        at = {k: i for i, k in enumerate(below)}
        tree = [0] * (len(below) + 1)
        seen = 0
        for k in row:
            ends = sorted(at[b] for b in down.get(k, ()) if b in at)
            for end in ends:
                i, left = end + 1, 0
                while i:
                    left += tree[i]
                    i &= i - 1
                total += seen - left
            for end in ends:
                i = end + 1
                seen += 1
                while i <= len(below):
                    tree[i] += 1
                    i += i & -i
    return total


def _place(
    rows: list[list[Key]],
    wide: Mapping[Key, float],
    up: Mapping[Key, list[Key]],
    down: Mapping[Key, list[Key]],
    apart: float,
) -> dict[Key, float]:
    xs: dict[Key, float] = {}
    for row in rows:
        x = 0.0
        for k in row:
            xs[k] = x + wide[k] / 2
            x += wide[k] + apart
        middle = (x - apart) / 2
        for k in row:
            xs[k] -= middle
    for sweep in range(SWEEPS + 12):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            wishes = []
            for k in row:
                first, second = (up, down) if downwards else (down, up)
                near = first.get(k) or second.get(k) or ()
                if sweep >= SWEEPS:
                    near = [*up.get(k, ()), *down.get(k, ())]
                wishes.append(sum(xs[o] for o in near) / len(near) if near else xs[k])
            for k, x in zip(row, _apart(row, wishes, wide, apart), strict=True):
                xs[k] = x
    _straighten(rows, wide, up, xs, apart)
    return xs


def _straighten(
    rows: list[list[Key]],
    wide: Mapping[Key, float],
    up: Mapping[Key, list[Key]],
    xs: dict[Key, float],
    apart: float,
) -> None:
    """What is almost below its only upper neighbour is put right below it, where there is room."""
    for row in rows:
        for i, k in enumerate(row):
            near = up.get(k, ())
            if len(near) != 1 or abs(xs[near[0]] - xs[k]) > NEAR:
                continue
            left, right = -math.inf, math.inf
            if i:
                left = xs[row[i - 1]] + (wide[row[i - 1]] + wide[k]) / 2 + apart
            if i + 1 < len(row):
                right = xs[row[i + 1]] - (wide[row[i + 1]] + wide[k]) / 2 - apart
            if left <= right:
                xs[k] = min(max(xs[near[0]], left), right)


def _apart(
    row: Sequence[Key], wishes: Sequence[float], wide: Mapping[Key, float], apart: float
) -> list[float]:
    """The places nearest to the wishes (in least squares) that keep the distance."""
    offset, offsets = 0.0, []
    for i, k in enumerate(row):
        if i:
            offset += (wide[row[i - 1]] + wide[k]) / 2 + apart
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []  # (mean, how many), pooled where they fall
    for wish, moved in zip(wishes, offsets, strict=True):
        mean, count = wish - moved, 1
        while blocks and blocks[-1][0] > mean:
            other, n = blocks.pop()
            mean, count = (mean * count + other * n) / (count + n), count + n
        blocks.append((mean, count))
    flat = [mean for mean, count in blocks for _ in range(count)]
    return [mean + moved for mean, moved in zip(flat, offsets, strict=True)]
