"""Canonical names for summed indices: equal monomials get equal keys under any renaming.

The factors of a monomial form a small graph whose vertices are the summed indices. Its connected
parts are labelled one at a time by colour refinement; what refinement cannot tell apart is told
apart by trying (individualisation), keeping the smallest result. The search is bounded: past the
bound the result is still a correct monomial, only perhaps not the canonical one, so two equal
terms may then fail to meet, but two different terms never do.
"""

from __future__ import annotations

from functools import lru_cache

from backproof.calculus.index.terms import BOUND, Args, Factor, Head, Ix, Mono, Size, bound

MOST_LEAVES = 240


def oriented(head: Head, args: Args, exponent: object) -> tuple[Args, int]:
    """The smallest arrangement of arguments that the head's symmetries allow, and its sign.

    The sign is zero where the atom equals its own negative: it is then zero.
    """
    best, sign = args, 1
    for perm, s in head.perms:
        if s < 0 and (head.kind == "B" or not isinstance(exponent, int)):
            continue  # an indicator becomes its complement, not its negative
        other = tuple([args[p] for p in perm])
        s = s if isinstance(exponent, int) and exponent & 1 else 1
        if other < best:
            best, sign = other, s
        elif other == best and s != sign:
            return best, 0
    return best, sign


@lru_cache(maxsize=8_000)
def canonical(sizes: tuple[Size, ...], factors: tuple[Factor, ...]) -> tuple[Mono, int]:
    """The monomial with canonical labels, and the sign that antisymmetric atoms brought out.

    Every summed index must occur in some factor.
    """
    if not sizes:
        loose, sign = _settle(factors, None)
        return ((), tuple(sorted(loose))), sign
    parts, loose_factors = components(sizes, factors)
    loose, sign = _settle(loose_factors, None)
    done: list[tuple[tuple[str, ...], tuple[Size, ...], tuple[Factor, ...]]] = []
    for labels, inside in parts:
        own_sizes, own, s = _label_part(tuple(sizes[b] for b in labels), _renumber(inside, labels))
        sign *= s
        done.append((tuple(map(str, own_sizes)), own_sizes, own))
    done.sort(key=lambda part: (part[0], part[2]))
    all_sizes: list[Size] = []
    for _, own_sizes, own in done:
        start = len(all_sizes)
        if start:
            names = {b: bound(b + start) for b in range(len(own_sizes))}
            loose.extend(_settle(own, names)[0])
        else:
            loose.extend(own)
        all_sizes.extend(own_sizes)
    return (tuple(all_sizes), tuple(sorted(loose))), sign


def components(
    sizes: tuple[Size, ...], factors: tuple[Factor, ...]
) -> tuple[list[tuple[list[int], list[Factor]]], list[Factor]]:
    """(parts connected by summed indices: their labels and factors; the factors without any)."""
    group = list(range(len(sizes)))

    def root(b: int) -> int:
        while group[b] != b:
            group[b] = group[group[b]]
            b = group[b]
        return b

    loose: list[Factor] = []
    tied: list[tuple[int, Factor]] = []
    for factor in factors:
        first = -1
        for a in factor[1]:
            if a[0] == BOUND:
                if first < 0:
                    first = a[1]
                else:
                    group[root(a[1])] = root(first)
        if first < 0:
            loose.append(factor)
        else:
            tied.append((first, factor))
    parts: dict[int, tuple[list[int], list[Factor]]] = {}
    for b in range(len(sizes)):
        parts.setdefault(root(b), ([], []))[0].append(b)
    for b, factor in tied:
        parts[root(b)][1].append(factor)
    return list(parts.values()), loose


def _renumber(factors: list[Factor], labels: list[int]) -> tuple[Factor, ...]:
    if labels == list(range(len(labels))):
        return tuple(factors)
    names = {b: bound(k) for k, b in enumerate(labels)}
    return tuple((h, _rename(args, names), e) for h, args, e in factors)


def _rename(args: Args, names: dict[int, Ix]) -> Args:
    return tuple([(BOUND, names[a[1]][1], a[2], a[3]) if a[0] == BOUND else a for a in args])


def _settle(
    factors: tuple[Factor, ...] | list[Factor], names: dict[int, Ix] | None
) -> tuple[list[Factor], int]:
    """Factors renamed, with symmetric arguments in order."""
    sign = 1
    out: list[Factor] = []
    for head, args, e in factors:
        if names is not None:
            args = _rename(args, names)
        if head.perms:
            args, s = oriented(head, args, e)
            sign *= s
        out.append((head, args, e))
    return out, sign


@lru_cache(maxsize=8_000)
def _label_part(
    sizes: tuple[Size, ...], factors: tuple[Factor, ...]
) -> tuple[tuple[Size, ...], tuple[Factor, ...], int]:
    count = len(sizes)
    if count == 1:
        own, sign = _settle(factors, None)
        own.sort()
        return sizes, tuple(own), sign
    best: tuple[tuple[Factor, ...], tuple[Size, ...], int] | None = None
    vanishes = False
    leaves = 0

    def search(colours: list[int]) -> None:
        nonlocal best, leaves, vanishes
        colours = _refine(colours, factors)
        seen: dict[int, list[int]] = {}
        for b, colour in enumerate(colours):
            seen.setdefault(colour, []).append(b)
        if len(seen) == count:
            leaves += 1
            names = {b: bound(colour) for b, colour in enumerate(colours)}
            own, sign = _settle(factors, names)
            own.sort()
            key = tuple(own)
            if best is None or key < best[0]:
                new_sizes = [sizes[0]] * count
                for b, colour in enumerate(colours):
                    new_sizes[colour] = sizes[b]
                best = (key, tuple(new_sizes), sign)
            elif key == best[0] and sign != best[2]:
                vanishes = True  # the term equals its own negative
            return
        tied = next(members for _, members in sorted(seen.items()) if len(members) > 1)
        for b in tied:
            if leaves >= MOST_LEAVES:
                return
            split = [c * 2 + 1 for c in colours]
            split[b] -= 1
            search(split)

    texts = [str(s) for s in sizes]
    order = {t: k for k, t in enumerate(sorted(set(texts)))}
    search([order[t] for t in texts])
    assert best is not None
    return best[1], best[0], 0 if vanishes else best[2]


def _refine(colours: list[int], factors: tuple[Factor, ...]) -> list[int]:
    """Colours split until no factor tells two indices of one colour apart; dense, from zero."""
    count = len(colours)
    classes = len(set(colours))
    while True:
        marks: list[list[tuple[object, ...]]] = [[] for _ in range(count)]
        for head, args, e in factors:
            orbits = head.orbits
            view = [
                (
                    orbits[p] if orbits else p,
                    (BOUND, colours[a[1]], a[2]) if a[0] == BOUND else (a[0], a[1], a[2]),
                )
                for p, a in enumerate(args)
            ]
            around = tuple(sorted(view)) if orbits else tuple(view)
            for p, a in enumerate(args):
                if a[0] == BOUND:
                    marks[a[1]].append((head, e, orbits[p] if orbits else p, a[2], around))
        keys = [(colours[b], sorted(marks[b])) for b in range(count)]
        ordered = sorted(keys)
        rank: list[int] = []
        for key in keys:
            rank.append(ordered.index(key))
        new_classes = len(set(rank))
        dense = {r: k for k, r in enumerate(sorted(set(rank)))}
        colours = [dense[r] for r in rank]
        if new_classes in (classes, count):
            return colours
        classes = new_classes
