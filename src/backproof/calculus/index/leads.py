"""The lead of a power's base, and how it is looked for inside a monomial.

With S = lead + rest, every `lead * S^e` with e < 0 is rewritten to `S^(e+1) - rest * S^e`. The lead
is a term of the highest degree, so what replaces it is smaller.
"""

from __future__ import annotations

from collections.abc import Mapping

from backproof.calculus.index.canonical import oriented
from backproof.calculus.index.terms import (
    BOUND,
    FREE,
    Args,
    Factor,
    Head,
    Ix,
    Mono,
    Number,
    Size,
    plus_offset,
)

Powers = dict[tuple[Head, Args], Number]


def degree(mono: Mono) -> Number:
    """Total exponent of all atoms."""
    found: Number = 0
    for _, _, e in mono[1]:
        found += e
    return found


def lead_of(head: Head) -> tuple[Mono, Number] | None:
    """The term of a power's base that is rewritten, the largest one; None if it has none."""
    if "lead" not in head.cache:
        assert head.body is not None
        best: tuple[Mono, Number] | None = None
        best_key: tuple[Number, str] = (0, "")
        for mono, c in head.body.terms.items():
            key = (degree(mono), str(mono[1]))
            if (
                key[0] > 0
                and key > best_key
                and all(e > 0 for _, _, e in mono[1])
                and len(mono[0]) <= 2
            ):
                best, best_key = (mono, c), key
        head.cache["lead"] = best
    found: tuple[Mono, Number] | None = head.cache["lead"]
    return found


def instantiated(factors: tuple[Factor, ...], args: Args, own: Mapping[int, Ix]) -> list[Factor]:
    """Factors of a closed body with its parameters and its own summed indices filled in."""
    out: list[Factor] = []
    for h, inner, e in factors:
        filled: list[Ix] = []
        for a in inner:
            if a[0] == FREE:
                filled.append(plus_offset(a, args[int(a[1][1:])]))
            elif a[0] == BOUND:
                filled.append(plus_offset(a, own[a[1]]))
            else:
                filled.append(a)
        out.append((h, tuple(filled), e))
    return out


def own_choices(
    own_sizes: tuple[Size, ...], sizes: tuple[Size, ...], powers: Powers
) -> list[dict[int, Ix]]:
    """Which summed indices of a monomial may stand for the lead's own."""
    if not own_sizes:
        return [{}]
    plain = [b for b in range(len(sizes))]
    if len(own_sizes) == 1:
        return [{0: (BOUND, b, "", 0)} for b in plain if sizes[b] == own_sizes[0]]
    return [
        {0: (BOUND, a, "", 0), 1: (BOUND, b, "", 0)}
        for a in plain
        if sizes[a] == own_sizes[0]
        for b in plain
        if a != b and sizes[b] == own_sizes[1]
    ]


def without_lead(
    lead: Mono, sizes: tuple[Size, ...], powers: Powers, args: Args
) -> tuple[Powers, set[int]] | None:
    """(the monomial's other atoms, the summed indices that go) where it contains the lead.

    args   what the base's own indices are here
    """
    own_sizes, lead_factors = lead
    heads = {key[0] for key in powers}
    if not all(f[0] in heads for f in lead_factors):
        return None
    for own in own_choices(own_sizes, sizes, powers):
        rest = dict(powers)
        for h, a, x in instantiated(lead_factors, args, own):
            if h.perms:
                a, sign = oriented(h, a, x)
                if sign != 1:
                    break
            have = rest.get((h, a), 0)
            if have < x:
                break
            rest[(h, a)] = have - x
        else:
            rest = {key: x for key, x in rest.items() if x}
            gone = {ix[1] for ix in own.values()}
            if any(a[0] == BOUND and a[1] in gone for _, other in rest for a in other):
                continue
            return rest, gone
    return None
