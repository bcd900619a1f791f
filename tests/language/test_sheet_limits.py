"""Sheets that are larger or deeper than anyone writes: a quick, clear error."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backproof.errors import LimitExceeded, SheetError, SheetSyntaxError, Source
from backproof.language import parse_sheet, read_sheets
from backproof.language.expressions import DEEPEST_NESTING, DEEPEST_TREE
from backproof.language.syntax import Apply

START = "given x in R[N], y in R\nlearn W in R[N, N]\n"


def limit(text: str) -> LimitExceeded:
    with pytest.raises(LimitExceeded) as caught:
        parse_sheet(Source("net.sheet", text))
    assert caught.value.place is not None
    return caught.value


@pytest.mark.parametrize(
    "expr",
    [
        "(" * 10_000 + "1" + ")" * 9_000,
        "(" * 9_000 + "1" + ")" * 9_000,
        "[" * 9_000 + "1" + "]" * 9_000,
        "relu(" * 3_000 + "1" + ")" * 3_000,
        "-" * 10_000 + "1",
        "**".join(["2"] * 5_000),
        "**-".join(["2"] * 5_000),
        "1" + ".T" * 5_000,
        "a" + "[1]" * 5_000,
        "Σ(i=1..2) " * 1_500 + "1",
        "sum(" * 2_000 + "1" + " for i in 1..2)" * 1_000,
        "(\n" * 10_000 + "1" + "\n)" * 10_000,
        "(1" + "\n + 1" * 5_000 + ")",
        "(1" + "\n @ 1" * 5_000 + ")",
    ],
)
def test_depth(expr: str) -> None:
    start = time.perf_counter()
    with pytest.raises((LimitExceeded, SheetSyntaxError)) as caught:
        parse_sheet(Source("net.sheet", f"L = {expr}"))
    assert caught.value.place is not None
    assert len(str(caught.value)) < 1000
    assert time.perf_counter() - start < 20  # it ends, also on a busy machine


def test_wording_of_nesting() -> None:
    error = limit("L = " + "(" * 500 + "1" + ")" * 500)
    assert error.message == "Brackets are nested more than 100 deep here."
    assert "names" in error.hint


def test_wording_of_depth() -> None:
    error = limit("L = 1" + " + 1" * 500)
    assert error.message == "This expression is more than 200 operations deep."


def test_what_is_just_allowed() -> None:
    nested = DEEPEST_NESTING - 1
    parse_sheet(Source("net.sheet", "L = " + "(" * nested + "1" + ")" * nested))
    deep = parse_sheet(Source("net.sheet", "L = 1" + " + 1" * (DEEPEST_TREE - 1)))
    again = parse_sheet(Source("net.sheet", "L = 1" + " + 1" * (DEEPEST_TREE - 1)))
    assert sys.getrecursionlimit() <= 1000, "the next lines are about the usual limit"
    assert deep.equations == again.equations
    assert isinstance(deep.equations["L"].expr, Apply)
    assert hash(deep.equations["L"].expr) == hash(again.equations["L"].expr)


def test_long_lines_are_refused_at_once() -> None:
    text = "given a in R\nL = 1" + " + 1" * 2_500_000
    source = Source("net.sheet", text)
    start = time.perf_counter()
    with pytest.raises(LimitExceeded) as caught:
        parse_sheet(source)
    assert time.perf_counter() - start < 20
    rendered = str(caught.value)
    assert rendered.startswith("net.sheet:2:1: Line 2 is longer than 20,000 characters.\n")
    assert len(rendered) < 500


def test_a_file_of_one_line_of_ten_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "long.sheet"
    path.write_text("L = 1" + " + 1" * 2_500_000)
    start = time.perf_counter()
    with pytest.raises(LimitExceeded, match="Line 1 is longer than 20,000 characters"):
        read_sheets(path)
    assert time.perf_counter() - start < 20


def test_a_file_of_many_lines(tmp_path: Path) -> None:
    path = tmp_path / "large.sheet"
    path.write_text("# nothing\n" * 200_000)
    with pytest.raises(LimitExceeded, match="has more than 1,000,000 characters"):
        read_sheets(path)


def test_numbers_that_no_one_can_carry() -> None:
    for number in ("1e999999999", "1e-401", "1" * 401, "0." + "1" * 401):
        error = limit(f"L = {number}")
        assert error.message == "This number has more than 400 digits."


def test_a_large_literal_is_read_quickly() -> None:
    rows = ",\n".join("[" + ", ".join(["-0.25"] * 50) + "]" for _ in range(400))
    start = time.perf_counter()
    sheet = parse_sheet(Source("net.sheet", f"given X = [{rows}]"))
    assert time.perf_counter() - start < 20
    assert list(sheet.values) == ["X"]


def test_every_limit_is_an_error_of_the_sheet() -> None:
    assert issubclass(LimitExceeded, SheetError)


WORDS = "given learn let assume ask claim round layout for in if shapes value wrt rate blank"
SIGNS = "+ - * / @ ** == != <= < > = ± × , : .. .T ᵀ ² ( ) [ ] { } # ' \""
ATOMS = "R ℝ sum grad Σ σ x W y 1 2.5 1..N"
TOKENS = [*WORDS.split(), *SIGNS.split(), *ATOMS.split(), "\n"]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(TOKENS), max_size=25).map(" ".join) | st.text(max_size=40))
def test_any_text_is_a_sheet_or_an_error_with_a_place(text: str) -> None:
    source = Source("net.sheet", START + text)
    try:
        parse_sheet(source)
    except SheetError as error:
        assert error.place is not None
        assert 0 <= error.place.span.start <= error.place.span.end <= len(source.text)
        assert error.message.endswith(".")
        assert str(error)
