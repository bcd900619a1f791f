"""Matchings: each pair earns its part, what is left out earns nothing."""

from __future__ import annotations

from fractions import Fraction

import pytest

from backproof.errors import Source
from backproof.language.markdown import parse_markdown
from backproof.papers.choices import LETTERS, match_of
from backproof.papers.marking import Line, Marker
from backproof.papers.paper import paper_of
from backproof.papers.scripts import Reader

PAPER = """# Matching

```sheet a
given x in R[2]
given y in R
learn w in R[2]
z = w.T @ x
a = sigmoid(z)
L = (a - y)**2
ask gradient L wrt w as match marks 3
```
"""
# what each factor is, by hand, in the order of the chain from w to L
FORMS = {"∂z/∂w": "x", "∂a/∂z": "a*(1 - a)", "∂L/∂a": "2*(a - y)"}


def marked(change: str) -> Line:
    paper = paper_of(parse_markdown(Source("m.md", PAPER)))
    (item,) = paper.items
    assert item.expr is not None
    made = match_of(paper.sheets[0], item.expr)
    assert dict(made.pairs) == FORMS
    letters = "".join(LETTERS[made.shown.index(FORMS[left])] for left, _ in made.pairs)
    answer = change.format(*letters)
    (line,) = Marker(paper).mark(Reader(paper).read(f"[a]\n{item.key} = {answer}", "Ada"))
    return line


@pytest.mark.parametrize(
    ("written", "share"),
    [
        ("{0}{1}{2}", Fraction(1)), ("{0}, {1}, {2}", Fraction(1)), ("{0}-{1}-{2}", Fraction(1)),
        ("{0}--", Fraction(1, 3)), ("-{1}{2}", Fraction(2, 3)), ("{1}{0}{2}", Fraction(1, 3)),
        ("---", Fraction(0)), ("{0}{1}", Fraction(0)), ("{0}{1}{2}{0}", Fraction(0)),
    ],
)  # fmt: skip
def test_each_pair_earns_its_part(written: str, share: Fraction) -> None:
    assert marked(written).share == share
