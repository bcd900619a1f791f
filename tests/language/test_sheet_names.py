"""What names stand for: scopes, dimensions, constants, the order of long chains."""

from __future__ import annotations

from backproof.errors import Source
from backproof.language import Sheet, parse_expression, parse_sheet
from backproof.language.names import free_names


def read(text: str) -> Sheet:
    return parse_sheet(Source("test", text))


def free(text: str) -> list[str]:
    return [name.id for name in free_names(parse_expression(Source("test", text)))]


def test_free_names_are_in_reading_order_and_leave_out_indices() -> None:
    assert free("a + b*c[d] - a") == ["a", "b", "c", "d", "a"]
    assert free("sum(x[i]*k for i in 1..n) + i") == ["x", "k", "n", "i"]
    assert free("sum(w[i, j] for i in 1..n for j in 1..i if i != m)") == ["w", "n", "m"]
    assert free("sum(x[i] for i in 1..i)") == ["x", "i"]
    assert free("x[a:b] + softmax(z, axis=q)") == ["x", "a", "b", "z", "q"]


def test_an_index_wins_inside_its_sum() -> None:
    sheet = read("given x in R[n], i in R\nL = sum(x[i] for i in 1..n) + 0*x[1]\nM = i*L")
    assert sheet.uses == {"L": ("x",), "M": ("i", "L")}


def test_a_given_index_and_dimensions_of_ranges() -> None:
    sheet = read("given k in 1..K, x in R[K]\nL = x[k] / K")
    assert sheet.dimensions == ("K",)
    assert sheet.uses["L"] == ("x", "k")


def test_pi_and_e_unless_the_sheet_defines_them() -> None:
    sheet = read("given x in R\nL = e**x + pi")
    assert sheet.kind_of("e") == "constant" and sheet.uses["L"] == ("x",)
    sheet = read("given x, e in R\nL = e**x + pi")
    assert sheet.kind_of("e") == "given" and sheet.uses["L"] == ("e", "x")


def test_a_quantity_may_share_the_name_of_a_function() -> None:
    sheet = read("given x in R[n]\nmean = sum(x)/n\nL = mean*mean(x)")
    assert sheet.uses["L"] == ("mean", "x")


def test_the_target_of_a_batch_is_a_new_dimension() -> None:
    assert read("given x in R[n]\nL = sumsq(x)\nask batch samples").asks[0].what == "batch"


def test_values_may_be_constant_expressions() -> None:
    sheet = read("let n = 2\ngiven p in R[n], q = 1/3, r = sqrt(2)\np = ones(n)/n")
    assert list(sheet.values) == ["q", "r", "p"]


def test_a_chain_of_five_thousand_equations() -> None:
    lines = ["given a0 in R", *(f"a{i} = 2*a{i - 1}" for i in range(5000, 0, -1))]
    sheet = read("\n".join(lines))
    assert sheet.order == tuple(f"a{i}" for i in range(1, 5001))


def test_a_name_defined_once_may_be_claimed_before() -> None:
    assert read("given x in R\nclaim L == x\nL = x").claims[0].text == "L == x"
