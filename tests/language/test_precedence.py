"""How expressions are read: precedence, brackets, indices, calls, sums with an index."""

from __future__ import annotations

from fractions import Fraction

import pytest

from backproof.errors import Source
from backproof.language import parse_expression
from backproof.language.syntax import (
    Apply,
    Array,
    Comprehension,
    Expr,
    Loop,
    Name,
    Number,
    Slice,
    Subscript,
    Text,
    TupleExpr,
)

a, b, c, i, k, n, w, x = map(Name, "abciknwx")


def read(text: str) -> Expr:
    return parse_expression(Source("test", text))


def num(text: str) -> Number:
    return Number(Fraction(text), text)


def ap(op: str, *args: Expr, **options: Expr) -> Apply:
    return Apply(op, args, tuple(options.items()))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b*c", ap("add", a, ap("mul", b, c))),
        ("a - b - c", ap("sub", ap("sub", a, b), c)),
        ("a - (b - c)", ap("sub", a, ap("sub", b, c))),
        ("a*b + c", ap("add", ap("mul", a, b), c)),
        ("a/b*c", ap("mul", ap("div", a, b), c)),
        ("a @ b * c", ap("mul", ap("matmul", a, b), c)),
        ("a * b @ c", ap("matmul", ap("mul", a, b), c)),
        ("a + b*c - x", ap("sub", ap("add", a, ap("mul", b, c)), x)),
        ("a**b**c", ap("pow", a, ap("pow", b, c))),
        ("-a**b", ap("neg", ap("pow", a, b))),
        ("(-a)**b", ap("pow", ap("neg", a), b)),
        ("a**-b", ap("pow", a, ap("neg", b))),
        ("a**-b**c", ap("pow", a, ap("neg", ap("pow", b, c)))),
        ("2**-1", ap("pow", num("2"), ap("neg", num("1")))),
        ("a*b**c", ap("mul", a, ap("pow", b, c))),
        ("-a*b", ap("mul", ap("neg", a), b)),
        ("a*-b", ap("mul", a, ap("neg", b))),
        ("--a", ap("neg", ap("neg", a))),
        ("+a", a),
        ("a - -b", ap("sub", a, ap("neg", b))),
        ("-a.T", ap("neg", ap("transpose", a))),
        ("a.T**b", ap("pow", ap("transpose", a), b)),
        ("a.T.T", ap("transpose", ap("transpose", a))),
        ("a @ b.T", ap("matmul", a, ap("transpose", b))),
        ("(a @ b).T", ap("transpose", ap("matmul", a, b))),
        ("a > b + c", ap("gt", a, ap("add", b, c))),
        ("(a > b)*c", ap("mul", ap("gt", a, b), c)),
        ("a + (\n  b\n)", ap("add", a, b)),
    ],
)
def test_precedence(text: str, tree: Expr) -> None:
    assert read(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("x[2]", Subscript(x, (num("2"),))),
        ("x[i + 1]", Subscript(x, (ap("add", i, num("1")),))),
        ("x[2:4]", Subscript(x, (Slice(num("2"), num("4")),))),
        ("x[:2]", Subscript(x, (Slice(None, num("2")),))),
        ("w[2:, :]", Subscript(w, (Slice(num("2"), None), Slice(None, None)))),
        ("w[1, :]", Subscript(w, (num("1"), Slice(None, None)))),
        ("w[1:3, 3:5]", Subscript(w, (Slice(num("1"), num("3")), Slice(num("3"), num("5"))))),
        ("w[:, 2].T", ap("transpose", Subscript(w, (Slice(None, None), num("2"))))),
        ("w.T[1, 2]", Subscript(ap("transpose", w), (num("1"), num("2")))),
        ("x[a[i]]", Subscript(x, (Subscript(a, (i,)),))),
        ("(a + b)[1]", Subscript(ap("add", a, b), (num("1"),))),
        ("x[1]**2", ap("pow", Subscript(x, (num("1"),)), num("2"))),
    ],
)
def test_indices(text: str, tree: Expr) -> None:
    assert read(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("()", TupleExpr(())),
        ("(n,)", TupleExpr((n,))),
        ("(n, k + 1)", TupleExpr((n, ap("add", k, num("1"))))),
        ("(n)", n),
        ("[a, 2*b]", Array((a, ap("mul", num("2"), b)))),
        ("[[1, 2], [3, 4]]", Array((Array((num("1"), num("2"))), Array((num("3"), num("4")))))),
        ("[[1, -0.4]]", Array((Array((num("1"), ap("neg", num("0.4")))),))),
        ("softmax(a, axis=0)", ap("softmax", a, axis=num("0"))),
        ("hinge(a, b, margin=0.5)", ap("hinge", a, b, margin=num("0.5"))),
        ("where(a <= b, 1, 0)", ap("where", ap("le", a, b), num("1"), num("0"))),
        ("max(0, a)", ap("max", num("0"), a)),
        ('einsum("ij,jk->ik", a, b)', Apply("einsum", (Text("ij,jk->ik"), a, b))),
        ("grad(a, w[2])", ap("grad", a, Subscript(w, (num("2"),)))),
        ("concat(a, b, 1, axis=1)", ap("concat", a, b, num("1"), axis=num("1"))),
    ],
)
def test_brackets_and_calls(text: str, tree: Expr) -> None:
    assert read(text) == tree


def test_sum_with_an_index() -> None:
    body = ap("mul", Subscript(x, (i,)), Subscript(w, (i, k)))
    loops = (Loop("i", num("1"), n), Loop("k", num("1"), i))
    condition = ap("ne", i, k)
    text = "sum(x[i]*w[i, k] for i in 1..n for k in 1..i if i != k)"
    assert read(text) == Comprehension("sum", body, loops, (condition,))


def test_several_conditions_and_a_chain() -> None:
    tree = read("max(x[i] for i in 2..n if i != a if b < i <= c)")
    assert isinstance(tree, Comprehension)
    assert tree.conditions == (ap("ne", i, a), ap("lt", b, i), ap("le", i, c))


def test_a_sign_sum_extends_over_the_product_behind_it() -> None:
    loop = (Loop("i", num("1"), n),)
    body = ap("mul", ap("neg", Subscript(x, (i,))), Subscript(w, (i,)))
    assert read("Σ(i=1..n) -x[i]*w[i] + b") == ap("add", Comprehension("sum", body, loop), b)
    assert read("Π(i=1..n) x[i]") == Comprehension("prod", Subscript(x, (i,)), loop)
    double = read("Σ(i=1..n, k=1..i, i != k) w[i, k]")
    assert double == read("sum(w[i, k] for i in 1..n for k in 1..i if i != k)")


@pytest.mark.parametrize(
    ("text", "value", "decimals"),
    [
        ("12", Fraction(12), None),
        ("1.070", Fraction(107, 100), 3),
        (".5", Fraction(1, 2), 1),
        ("1.", Fraction(1), 0),
        ("1.2e-3", Fraction(12, 10000), 4),
        ("1E3", Fraction(1000), 0),
    ],
)
def test_numbers_are_exact_and_keep_their_digits(
    text: str, value: Fraction, decimals: int | None
) -> None:
    tree = read(text)
    assert isinstance(tree, Number)
    assert (tree.value, tree.text, tree.decimals) == (value, text, decimals)


def test_a_range_is_not_a_decimal_point() -> None:
    tree = read("sum(x[i] for i in 1..3)")
    assert isinstance(tree, Comprehension)
    assert tree.loops == (Loop("i", num("1"), num("3")),)


def test_spans_cover_the_text_of_their_node() -> None:
    text = "(a + b) * relu(c).T - x[1]**-2"
    source = Source("test", text)
    tree = parse_expression(source)
    assert isinstance(tree, Apply)
    assert source.slice(tree.span) == text
    assert source.slice(tree.op_span) == "-"
    product, power = tree.args
    assert source.slice(product.span) == "(a + b) * relu(c).T"
    assert source.slice(power.span) == "x[1]**-2"
    assert isinstance(product, Apply) and isinstance(power, Apply)
    assert source.slice(product.op_span) == "*"
    assert source.slice(power.op_span) == "**"
    total, transposed = product.args
    assert source.slice(total.span) == "a + b"
    assert source.slice(transposed.span) == "relu(c).T"
    assert isinstance(transposed, Apply) and isinstance(transposed.args[0], Apply)
    assert source.slice(transposed.args[0].op_span) == "relu"
    assert [source.slice(arg.span) for arg in power.args] == ["x[1]", "-2"]
