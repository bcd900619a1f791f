"""What papers need of the language: `vary`, and the form and the marks of an ask."""

from __future__ import annotations

from fractions import Fraction

import pytest

from backproof.errors import SheetError, Source
from backproof.language.sheet import Sheet, parse_sheet

HEAD = "given x = [1, 2]\nlearn w = [0.5, -0.5]\nlet h = 3\nL = (w.T @ x)**2\n"


def read(lines: str) -> Sheet:
    return parse_sheet(Source("sheet", HEAD + lines))


def test_a_range_a_list_and_integers_can_be_varied() -> None:
    sheet = read("vary w in {-0.5..0.5 step 0.1}\nvary x integer 1..5\nvary h in {3, 4}")
    w, x, h = sheet.varies
    assert (w.name, w.range) == ("w", (Fraction(-1, 2), Fraction(1, 2), Fraction(1, 10)))
    assert (x.name, x.range) == ("x", (Fraction(1), Fraction(5), Fraction(1)))
    assert (h.name, h.choices, h.range) == ("h", (Fraction(3), Fraction(4)), None)


def test_several_names_may_share_one_line() -> None:
    assert [v.name for v in read("vary w, x in {1, 2}").varies] == ["w", "x"]


def test_vary_is_still_a_name() -> None:
    assert "vary" in read("vary = 2*L").equations


def test_marks_and_form_are_not_part_of_what_is_asked() -> None:
    sheet = read(
        "ask value L marks 2.5\nask gradient L wrt w as match marks 4\nask forward blank w marks 1"
    )
    assert [a.text for a in sheet.asks] == [
        "value L", "gradient L wrt w", "forward blank w",
    ]  # fmt: skip
    assert [a.form for a in sheet.asks] == ["open", "match", "open"]
    assert [a.marks.value for a in sheet.asks if a.marks] == [Fraction(5, 2), 4, 1]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("vary L in {1, 2}", "defined by an equation"),
        ("vary q in {1, 2}", "'q'"),
        ("vary w in {1, 2}\nvary w in {3}", "varied twice"),
        ("vary w in {0.5..0.1}", "no values"),
        ("vary w in {0..1 step 0}", "no values"),
        ("vary w = 3", "expected 'in'"),
        ("ask value L marks 0", "above 0"),
        ("ask value L as riddle", "'match', 'choice' or 'essay'"),
    ],
)
def test_what_is_not_understood_is_pointed_at(line: str, says: str) -> None:
    with pytest.raises(SheetError) as caught:
        read(line)
    assert says in str(caught.value)
    assert caught.value.place is not None
