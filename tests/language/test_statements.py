"""Every statement and every set, as it lies in the syntax tree."""

from __future__ import annotations

from fractions import Fraction

import pytest

from backproof.errors import SheetSyntaxError, Source
from backproof.language import Sheet, parse_sheet, unparse
from backproof.language.syntax import (
    Apply,
    Array,
    Ask,
    Claim,
    Declaration,
    Layout,
    Let,
    Loop,
    Name,
    Number,
    Round,
    SetExpr,
    Subscript,
)

START = """\
given x in R[n], y in {0, 1}
learn W in R[m, n], b in R[m]
z = W @ x + b
L = sumsq(z) - y
"""


def read(text: str) -> Sheet:
    return parse_sheet(Source("test", text))


def num(text: str) -> Number:
    return Number(Fraction(text), text)


def minus(text: str) -> Apply:
    return Apply("neg", (num(text),))


m, n, k = Name("m"), Name("n"), Name("k")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("R", SetExpr("real")),
        ("R[n]", SetExpr("real", (n,))),
        ("R[m, n]", SetExpr("real", (m, n))),
        ("R[m × n]", SetExpr("real", (m, n))),
        ("R[2, 3, 4]", SetExpr("real", (num("2"), num("3"), num("4")))),
        ("R[m*n]", SetExpr("real", (Apply("mul", (m, n)),))),
        ("Rpos", SetExpr("pos")),
        ("Rpos[n, k]", SetExpr("pos", (n, k))),
        ("(0, 1)", SetExpr("interval", (), (num("0"), num("1")))),
        ("(-1, 2.5)[n]", SetExpr("interval", (n,), (minus("1"), num("2.5")))),
        ("{0, 1}", SetExpr("labels", (), (num("0"), num("1")))),
        ("{-1, 1}[n, k]", SetExpr("labels", (n, k), (minus("1"), num("1")))),
        ("{0, 1, 2}", SetExpr("labels", (), (num("0"), num("1"), num("2")))),
        ("onehot[n, k]", SetExpr("onehot", (n, k))),
        ("onehot[k]", SetExpr("onehot", (k,))),
        ("prob[k]", SetExpr("prob", (k,))),
        ("prob[n, k]", SetExpr("prob", (n, k))),
        ("sym[n]", SetExpr("sym", (n,))),
        ("sym[n, n]", SetExpr("sym", (n,))),
        ("posdef[3]", SetExpr("posdef", (num("3"),))),
        ("diagonal[n]", SetExpr("diagonal", (n,))),
        ("orthogonal[n]", SetExpr("orthogonal", (n,))),
        ("1..k", SetExpr("range", (), (num("1"), k))),
        ("0..k - 1", SetExpr("range", (), (num("0"), Apply("sub", (k, num("1")))))),
    ],
)
def test_sets(written: str, meant: SetExpr) -> None:
    assert read(f"given q in {written}").declarations["q"].set == meant


def test_dimension_arithmetic() -> None:
    sheet = read("given X in R[N, 3*28*28 + 1], K in R[k**2, n/2]")
    dims = [unparse(dim) for d in sheet.declarations.values() if d.set for dim in d.set.dims]
    assert dims == ["N", "3 * 28 * 28 + 1", "k**2", "n / 2"]
    assert sheet.dimensions == ("N", "k", "n")


def test_several_declarations_on_a_line() -> None:
    sheet = read("given a in R[n], B, C in R[n, n], y in {0, 1}, p, q in (0, 1)[n], g = 5, c = -2")
    roles = [(d.role, d.name) for d in sheet.statements if isinstance(d, Declaration)]
    assert roles == [("given", name) for name in "aBCypqgc"]
    assert sheet.declarations["B"].set == sheet.declarations["C"].set
    assert sheet.values == {"g": num("5"), "c": minus("2")}
    assert sheet.given == tuple("aBCypqgc")


def test_learn_with_values() -> None:
    sheet = read("learn w1 = 0.15, w2 = 0.20\nlearn W = [[1, 2], [3, 4]]\nlearn v in R[2] = [1, 2]")
    assert sheet.learned == ("w1", "w2", "W", "v")
    assert sheet.values["w2"] == num("0.20")
    assert isinstance(sheet.values["W"], Array)
    assert sheet.declarations["v"].set == SetExpr("real", (num("2"),))


def test_file() -> None:
    declaration = read('given X = file("points.csv")').declarations["X"]
    assert (declaration.file, declaration.value, declaration.set) == ("points.csv", None, None)


def test_a_value_below_a_declaration_is_no_equation() -> None:
    sheet = read("given y in {0, 1}[2]\ny = [1, 0]\nz = 2*y")
    assert sheet.values["y"] == Array((num("1"), num("0")))
    assert list(sheet.equations) == ["z"]


def test_let() -> None:
    sheet = read("let h = 3, d = 28*28\ngiven x in R[d], y in R[h]\nz = x / d")
    assert list(sheet.lets) == ["h", "d"]
    assert sheet.lets["h"] == Let("h", num("3"))
    assert sheet.dimensions == ("h", "d")


def test_assume() -> None:
    sheet = read("given a, b, c in R\nassume a < b < c, a != 0\nassume a*b == b*a")
    assert [unparse(a.condition) for a in sheet.assumes] == [
        "a < b", "b < c", "a != 0", "a * b == b * a",
    ]  # fmt: skip


def test_equations_may_stand_in_any_order() -> None:
    sheet = read("given x in R\nc = a + b\nb = 2*a\na = x")
    assert list(sheet.equations) == ["c", "b", "a"]
    assert sheet.order == ("a", "b", "c")
    assert sheet.uses == {"c": ("a", "b"), "b": ("a",), "a": ("x",)}


def test_round_and_layout() -> None:
    assert read(START).round is None and read(START).layout is None
    assert read(START + "round 2 each").round == Round(2, True)
    assert read(START + "round 3 end").round == Round(3, False)
    assert read(START + "round 4").round == Round(4, False)
    assert read(START + "layout numerator").layout == Layout(False)
    assert read(START + "layout denominator").layout == Layout(True)


def ask(line: str) -> Ask:
    (found,) = read(f"{START}ask {line}  # a comment").asks
    assert found.text == line
    return found


def test_asks() -> None:
    z, ell, w, b = map(Name, ("z", "L", "W", "b"))
    assert ask("shapes") == Ask("shapes", text="shapes")
    targets = ask("shapes x, W, z - b, grad(L, W)").targets
    assert [unparse(t) for t in targets] == ["x", "W", "z - b", "grad(L, W)"]
    assert ask("forward").targets == ()
    assert ask("value L, z").targets == (ell, z)
    assert ask("tree L").targets == (ell,)
    gradient = ask("gradient L wrt W, b[2]")
    assert (gradient.targets, gradient.wrt) == ((ell,), (w, Subscript(b, (num("2"),))))
    assert ask("gradient L").wrt == ()
    step = ask("step W, b rate 0.01")
    assert (step.targets, step.options) == ((w, b), (("rate", num("0.01")),))
    assert ask("step rate 1e-2").options == (("rate", num("1e-2")),)
    assert ask("batch q").targets == (Name("q"),)
    assert ask("batch b rows").options == (("rows", None),)
    assert ask("slow W").targets == (w,)
    assert ask("weights W").what == "weights"


def test_blanks() -> None:
    assert ask("forward blank z, L").blanks == (Name("z"), Name("L"))
    gradient = ask("gradient L wrt W blank z")
    assert (gradient.wrt, gradient.blanks) == ((Name("W"),), (Name("z"),))
    assert ask("batch q rows blank z").blanks == (Name("z"),)


def test_the_words_of_asks_may_be_names() -> None:
    sheet = read(
        "given rate, blank, wrt, rows in R\nvalue = rate + blank*wrt\n"
        "ask value rate\nask value blank, rows\nask gradient value wrt wrt\n"
        "ask step value rate rate"
    )
    assert [[unparse(t) for t in ask.targets] for ask in sheet.asks] == [
        ["rate"], ["blank", "rows"], ["value"], ["value"],
    ]  # fmt: skip
    assert sheet.asks[2].wrt == (Name("wrt"),)
    assert sheet.asks[3].options == (("rate", Name("rate")),)


def claim(line: str) -> Claim:
    (found,) = read(f"{START}claim {line}   # a comment").claims
    assert found.text == line
    return found


def test_claims() -> None:
    z, ell = Name("z"), Name("L")
    assert claim("L == z").sides == (ell, z)
    chain = claim("L == z <= 3 != b")
    assert chain.relations == ("eq", "le", "ne")
    assert len(chain.sides) == 4
    value = claim("L == 0.5 ± 0.02")
    assert (value.sides[1], value.tolerance) == (num("0.5"), num("0.02"))
    member = claim("z in R[m, 1]")
    assert (member.sides, member.member) == ((z,), SetExpr("real", (m, num("1"))))
    every = claim("grad(L, W)[i, j] == z[i]*x[j] for i in 1..m for j in 1..n if i != j")
    assert every.loops == (Loop("i", num("1"), m), Loop("j", num("1"), n))
    assert every.conditions == (Apply("ne", (Name("i"), Name("j"))),)


def test_the_text_of_a_claim_is_kept_as_written() -> None:
    source = Source(
        "test", f"{START}  claim   L ==  (z  # first\n     + b)   # second\nask forward"
    )
    (found,) = parse_sheet(source).claims
    assert found.text == "L ==  (z  # first\n     + b)"
    assert source.slice(found.text_span) == found.text
    assert source.slice(found.span) == f"claim   {found.text}"
    assert source.position(found.span.start) == (5, 3)


def test_title_and_text() -> None:
    sheet = read("\n# A network\n#\n# of two layers,\n#   by hand\n\n# not this\ngiven x in R\n")
    assert sheet.title == "A network"
    assert sheet.text == "of two layers,\nby hand"
    assert read("given x in R # no\n# title").title == ""


def test_statements_go_on_inside_brackets_only() -> None:
    sheet = read("given a, b in R\nL = (a\n\n  # a comment\n  + b)\nM = [[a,\n b]]")
    assert list(sheet.equations) == ["L", "M"]
    with pytest.raises(SheetSyntaxError, match="end of the line"):
        read("given a, b in R\nL = a +\n b")


def test_line_ends_of_windows() -> None:
    sheet = read("# Title\r\ngiven a in R\r\n\r\nL = 2*a\r\nclaim L == a\r\n")
    assert (sheet.title, sheet.claims[0].text) == ("Title", "L == a")


def test_spans_of_names_and_declarations() -> None:
    source = Source("test", "given a in R[n], bb in Rpos\nlearn w = 1")
    declarations = parse_sheet(source).declarations
    spans = [(source.slice(d.span), source.slice(d.name_span)) for d in declarations.values()]
    assert spans == [
        ("given a in R[n]", "a"), ("bb in Rpos", "bb"), ("learn w = 1", "w"),
    ]  # fmt: skip


def test_extended() -> None:
    sheet = read(START + "claim L == 1").extended("claim z == b")
    assert [c.text for c in sheet.claims] == ["L == 1", "z == b"]


def test_kinds_of_names() -> None:
    sheet = read(START + "c = 2*pi")
    kinds = [sheet.kind_of(name) for name in ("x", "W", "z", "n", "pi", "q")]
    assert kinds == ["given", "learn", "equation", "dimension", "constant", "unknown"]
