"""Claims as rows of tokens: their distance, and where two of them differ."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_TOKEN = re.compile(r"\s*([^\W\d]\w*|\d+(?:\.\d+)?|\.T\b|\*\*|==|!=|<=|>=|\.\.|\S)")


def tokens(text: str) -> list[tuple[str, int]]:
    """(token, where it starts) of a text."""
    return [(m[1], m.start(1)) for m in _TOKEN.finditer(text)]


def token_distance(a: str, b: str) -> int:
    """How many tokens have to be put in, taken out or changed between two texts."""
    one, two = [t for t, _ in tokens(a)], [t for t, _ in tokens(b)]
    row = list(range(len(two) + 1))
    for i, x in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(two, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def differing(a: str, b: str) -> list[tuple[str, str]]:
    """The places where two texts differ, as (what stands in one, what stands in the other)."""
    one, two = [t for t, _ in tokens(a)], [t for t, _ in tokens(b)]
    if len(one) == len(two):
        pairs = [(x, y) for x, y in zip(one, two, strict=True) if x != y]
        if len(pairs) <= 2:
            return pairs
    matcher = SequenceMatcher(None, one, two, autojunk=False)
    return [
        (" ".join(one[low:high]), " ".join(two[start:end]))
        for tag, low, high, start, end in matcher.get_opcodes()
        if tag != "equal"
    ]


def caret_diff(claim: str, suggestion: str) -> tuple[str, str, str]:
    """(the claim, the suggestion, carets under the places of the claim that differ)."""
    old, new = tokens(claim), tokens(suggestion)
    marks = [" "] * (len(claim) + 1)
    if len(old) == len(new):
        differ = [(t, at) for (t, at), (other, _) in zip(old, new, strict=True) if t != other]
        if len(differ) <= 2:
            for token, at in differ:
                marks[at : at + len(token)] = "^" * len(token)
            return claim, suggestion, "".join(marks).rstrip()
    matcher = SequenceMatcher(None, [t for t, _ in old], [t for t, _ in new], autojunk=False)
    for tag, low, high, _, _ in matcher.get_opcodes():
        if tag == "equal":
            continue
        if low == high:  # something goes in before this token
            marks[old[low][1] if low < len(old) else len(claim)] = "^"
            continue
        start, end = old[low][1], old[high - 1][1] + len(old[high - 1][0])
        marks[start:end] = "^" * (end - start)
    return claim, suggestion, "".join(marks).rstrip()
