"""The wording of errors: what was found, where, what was expected, what would fix it."""

from __future__ import annotations

from textwrap import dedent

import pytest

from backproof.errors import NameProblem, SheetError, SheetSyntaxError, Source
from backproof.language import parse_sheet

START = """\
given x in R[n], y in {0, 1}
learn W in R[m, n], b in R[m]
z = W @ x + b
"""


def error_of(line: str) -> SheetError:
    with pytest.raises(SheetError) as caught:
        parse_sheet(Source("net.sheet", START + line))
    return caught.value


RENDERED = {
    "L = z @ Q": """\
        net.sheet:4:9: Unknown name 'Q'.
          4 | L = z @ Q
            |         ^
          hint: declare it with 'given Q in …', or define it with 'Q = …'""",
    'Q = file("q.csv")': """\
        net.sheet:4:5: A file gives its value in a declaration; found it in an equation.
          4 | Q = file("q.csv")
            |     ^^^^
          hint: write given Q = file("q.csv"), or with the set: given Q in R[n] = file("q.csv")""",
    "L = zz + 1": """\
        net.sheet:4:5: Unknown name 'zz'.
          4 | L = zz + 1
            |     ^^
          hint: did you mean 'z'?""",
    "z = x": """\
        net.sheet:4:1: 'z' is defined twice.
          4 | z = x
            | ^
        net.sheet:3:1: 'z' is first defined here
          3 | z = W @ x + b
            | ^
          hint: give the second one another name""",
    "given n in R": """\
        net.sheet:4:7: 'n' is a dimension and cannot be a quantity too.
          4 | given n in R
            |       ^
        net.sheet:1:14: 'n' is used as a dimension here
          1 | given x in R[n], y in {0, 1}
            |              ^
          hint: rename one of the two; a dimension gets its number by 'let n = 3'""",
    "L = M + 1\nM = L*2": """\
        net.sheet:4:5: These equations form a cycle: L needs M needs L.
          4 | L = M + 1
            |     ^
        net.sheet:5:5: the cycle closes here, where 'M' needs 'L'
          5 | M = L*2
            |     ^
          hint: each name must be computable from names that do not need it""",
    "W1 = W1 - 0.1*W": """\
        net.sheet:4:6: 'W1' is defined by itself.
          4 | W1 = W1 - 0.1*W
            |      ^^
          hint: give the new value a name of its own, such as W1_new""",
    "L = __import__('os')": """\
        net.sheet:4:5: '__import__' is not a function of the sheet language.
          4 | L = __import__('os')
            |     ^^^^^^^^^^
          hint: a product of a name and a bracket is written with * or @""",
    "L = sigmod(z)": """\
        net.sheet:4:5: 'sigmod' is not a function of the sheet language.
          4 | L = sigmod(z)
            |     ^^^^^^
          hint: did you mean 'sigmoid'?""",
    "L = (a + b\nclaim L == 2": """\
        net.sheet:4:5: The bracket '(' is never closed; expected ')'.
          4 | L = (a + b
            |     ^
          hint: add ')' where the bracket ends""",
    "L = [1, 2)": """\
        net.sheet:4:10: Found ')' where ']' was expected.
          4 | L = [1, 2)
            |          ^
        net.sheet:4:5: '[' was opened here
          4 | L = [1, 2)
            |     ^
          hint: write ']'""",
    "L = z)": """\
        net.sheet:4:6: The bracket ')' closes nothing; no '(' is open here.
          4 | L = z)
            |      ^
          hint: remove it, or add the '(' that it closes""",
    "L = [[1, 2], [3]]": """\
        net.sheet:4:14: The rows of a matrix have the same number of entries; row 1 has 2 entries, \
row 2 has 1 entry.
          4 | L = [[1, 2], [3]]
            |              ^^^
        net.sheet:4:6: row 1 is here
          4 | L = [[1, 2], [3]]
            |      ^^^^^^
          hint: make all rows equally long""",
    "L = 2z": """\
        net.sheet:4:6: Found 'z'; expected an operator or the end of the line.
          4 | L = 2z
            |      ^
          hint: write * or @ between the factors of a product""",
    "L = z^2": """\
        net.sheet:4:6: The character '^' has no meaning in a sheet.
          4 | L = z^2
            |      ^
          hint: a power is written with **""",
    "claim z = 2": """\
        net.sheet:4:9: Found '='; expected '==' or another comparison, or 'in' and a set.
          4 | claim z = 2
            |         ^
          hint: write == to compare""",
    "ask gradiant z": """\
        net.sheet:4:5: Found 'gradiant'; expected one of the asks: shapes, forward, value, tree, \
gradient, step, batch, slow, weights.
          4 | ask gradiant z
            |     ^^^^^^^^
          hint: did you mean 'ask gradient'?""",
    "y = z": """\
        net.sheet:4:5: 'y' is given, so its value is a number or a list of numbers; found the \
quantity 'z'.
          4 | y = z
            |     ^
        net.sheet:1:18: 'y' is declared here
          1 | given x in R[n], y in {0, 1}
            |                  ^
          hint: take 'y' out of 'given' to define it by an equation""",
    "L = softmax(z, axes=0)": """\
        net.sheet:4:16: 'softmax' has no option 'axes'.
          4 | L = softmax(z, axes=0)
            |                ^^^^
          hint: its options: 'axis'""",
    "given p, q = 3": """\
        net.sheet:4:7: One value cannot be given to several names at once; found 'p' and 'q' \
before '='.
          4 | given p, q = 3
            |       ^^^^
          hint: give each name its own value: a = 1, b = 1""",
    "round 2\nround 3": """\
        net.sheet:5:1: 'round' is written twice; a sheet has one.
          5 | round 3
            | ^^^^^^^
        net.sheet:4:1: 'round' is first written here
          4 | round 2
            | ^^^^^^^
          hint: remove one of the two, or write two sheets""",
    "L = sum(x[i] for i in 1..n) + i": """\
        net.sheet:4:31: 'i' is an index, and means nothing outside its own sum or claim.
          4 | L = sum(x[i] for i in 1..n) + i
            |                               ^
          hint: move it inside, or name an entry by its number""",
}


@pytest.mark.parametrize("line", RENDERED)
def test_rendered(line: str) -> None:
    assert str(error_of(line)) == dedent(RENDERED[line])


@pytest.mark.parametrize(
    ("line", "kind", "at", "message", "hint"),
    [
        ("L = 2(z)", SheetSyntaxError, 6, "directly after an expression", "write * or @"),
        ("L = z == ", SheetSyntaxError, 9, "Found the end of the line; expected a name", ""),
        ("L == z", SheetSyntaxError, 1, "neither defined, asked nor claimed", "'claim … == …'"),
        ("claim z", SheetSyntaxError, 8, "expected '==' or another comparison", ""),
        ("claim z == 1, z == 2", SheetSyntaxError, 13, "Found ','", "one claim a line"),
        ("W[1] = 3", SheetSyntaxError, 1, "Only a name can stand on the left of '='", ""),
        ("ask value", SheetSyntaxError, 10, "expected what 'ask value' asks", "ask value L"),
        ("ask tree z blank", SheetSyntaxError, 17, "expected what follows 'blank'", "leave out"),
        ("ask gradient z by W", SheetSyntaxError, 16, "Found 'by'; expected 'wrt', 'blank'", ""),
        ("ask gradient z wrt n", NameProblem, 20, "'n' is not a quantity", ""),
        ("ask batch b, c", SheetSyntaxError, 14, "one thing at a time", "one ask a line"),
        ("round each", SheetSyntaxError, 7, "expected a whole number of decimals", "round 2"),
        ("round 2 up", SheetSyntaxError, 9, "expected 'each', 'end'", ""),
        ("layout rows", SheetSyntaxError, 8, "'denominator' or 'numerator'", ""),
        ("given q in Reals[n]", SheetSyntaxError, 12, "'Reals' is not a set", ""),
        ("given q in real[n]", SheetSyntaxError, 12, "'real' is not a set", ""),
        ("given q in R[2.5]", SheetSyntaxError, 14, "A dimension is a whole number", "R[N"),
        ("given q in R[2 n]", SheetSyntaxError, 16, "expected ',' or ']'", "[m, n]"),
        ("given q in R^n", SheetSyntaxError, 13, "'^' has no meaning", ""),
        ("given q in [0, 1]", SheetSyntaxError, 12, "expected a set", "(0, 1)"),
        ("given q in sym", SheetSyntaxError, 15, "the dimensions of 'sym'", "sym[n]"),
        ("given q in sym[n, m]", SheetSyntaxError, 12, "'sym' has one dimension; found 2", ""),
        ("given q in {0, 1.5}", SheetSyntaxError, 16, "a whole number as a label", ""),
        ("given q in {0, 0}", SheetSyntaxError, 16, "This label is written twice", ""),
        ("given q in (0, z)", SheetSyntaxError, 16, "The ends of an interval are numbers", ""),
        ("given q", SheetSyntaxError, 8, "expected 'in' and a set", "write given q in R"),
        ("given for in R", SheetSyntaxError, 7, "'for' is a keyword", "another name"),
        ("let = 3", SheetSyntaxError, 1, "'let' is a keyword", "another name"),
        ("q in R[n]", SheetSyntaxError, 1, "Found 'q' without a role", "given q in"),
        ("gven q in R", SheetSyntaxError, 1, "'gven' begins no statement", "'given'"),
        ("= 3", SheetSyntaxError, 1, "Found '='; expected a statement", ""),
        ("given x in R", NameProblem, 7, "'x' is declared twice.", "declare it once"),
        ("y = 1\ny = 2", NameProblem, 1, "'y' is given a value twice.", "one of the two values"),
        ("let n = 2.5", SheetSyntaxError, 9, "A dimension is a whole number", "let n = 3"),
        ("let n = 2\nlet n = 3", NameProblem, 5, "'n' is given a number twice.", ""),
        ("let k = j", NameProblem, 9, "'k' needs a number, and 'j' has none", "let j"),
        ("let k = j\nlet j = k", NameProblem, 5, "The number of 'k' depends on itself", ""),
        ("L = norm(x[i] for i in 1..n)", SheetSyntaxError, 15, "call of 'norm'", "sum, mean"),
        ("L = sum(x[i] for i in n)", SheetSyntaxError, 24, "expected '..'", "1..N"),
        ("L = x[1:2:3]", SheetSyntaxError, 10, "steps are not part", "x[2:4]"),
        ("L = x[1..2]", SheetSyntaxError, 8, "Found '..'; expected ':'", "x[2:4]"),
        ("L = x[]", SheetSyntaxError, 7, "An index is missing", "x[1]"),
        ("L = []", SheetSyntaxError, 5, "at least one entry", ""),
        ("L = [[1, 2], 3]", SheetSyntaxError, 14, "row 2 is an entry without brackets", ""),
        ("L = clip(z)", SheetSyntaxError, 5, "'clip' takes 3 arguments; found 1.", ""),
        ("L = sum()", SheetSyntaxError, 5, "'sum' takes 1 argument; found none.", ""),
        ("L = max(1, 2, 3)", SheetSyntaxError, 5, "'max' takes 1 to 2 arguments; found 3", ""),
        ("L = sum(x, axis=0, axis=1)", SheetSyntaxError, 20, "written twice", "keep one"),
        ("L = sum(axis=0, x)", SheetSyntaxError, 17, "stands after an option", "axis=1 last"),
        ("L = grad(z, x + 1)", SheetSyntaxError, 13, "second argument of 'grad' is a name", ""),
        ("L = einsum(x, W)", SheetSyntaxError, 12, "expected the quoted indices", ""),
        ('L = relu("x")', SheetSyntaxError, 10, "A quoted text may stand in einsum", ""),
        ("L = W' @ x", SheetSyntaxError, 6, "is not closed on its line", ".T"),
        ("L = x' @ x'", SheetSyntaxError, 6, "Found the quoted text ' @ x'", ".T"),
        ("L = where(0 < x < 1, x, 0)", SheetSyntaxError, 17, "has two sides", "at a time"),
        ("L = relu", NameProblem, 5, "Unknown name 'relu'", "'relu' is a function"),
        ("L = ReLU(z)", NameProblem, 5, "'ReLU' is not a function", "'relu'"),
        ("L = ln(z)", NameProblem, 5, "'ln' is not a function", "log(…)"),
        ("L = z(x)", NameProblem, 5, "'z' is not a function", "* or @"),
        ("L = Σ(x)", NameProblem, 5, "'Σ' is not a function", "Σ(i=1..N) y[i]"),
        ("μ = 3\nL = µ", NameProblem, 5, "Unknown name 'µ'", "U+03BC, here U+00B5"),
        ("L = 1 +\u200b2", SheetSyntaxError, 8, "ZERO WIDTH SPACE (U+200B)", ""),
        ("L = x ± 2", SheetSyntaxError, 7, "Found '±'", "end of a claim"),
        ("L = x + * 2", SheetSyntaxError, 9, "Found '*'; expected a name", ""),
        ("L = x for i in 1..n", SheetSyntaxError, 7, "Found 'for'", "inside sum(…)"),
        ("assume z", SheetSyntaxError, 9, "expected a comparison", ""),
        ('given X = file("")', SheetSyntaxError, 16, "The name of the file is empty", ""),
        ("given X = file(a.csv)", SheetSyntaxError, 17, "'.' has no meaning", "in quotes"),
        ("claim z in R[q]", NameProblem, 14, "Unknown name 'q'", ""),
        ("claim z[i] == 1 for i in 1..j for j in 1..m", NameProblem, 29, "'j' is an index", ""),
        ("claim z == ones(k)", NameProblem, 17, "Unknown name 'k'", ""),
    ],
)
def test_message_place_and_hint(
    line: str, kind: type[SheetError], at: int, message: str, hint: str
) -> None:
    error = error_of(line)
    assert type(error) is kind
    assert error.place is not None
    assert message in error.message
    assert error.message[0].isupper() or error.message.startswith("'")
    assert error.message.endswith(".")
    assert hint in error.hint
    assert error.place.column == at


def test_no_statements() -> None:
    for text in ("", "\n\n", "# only a title\n"):
        with pytest.raises(SheetSyntaxError, match="The sheet has no statements"):
            parse_sheet(Source("net.sheet", text))


def test_a_long_cycle_is_listed_in_part() -> None:
    lines = [f"a{i} = a{(i + 1) % 40}" for i in range(40)]
    error = error_of("\n".join(lines))
    wanted = "a0 needs a1 needs a2 needs a3 needs … needs a37 needs a38 needs a39 needs a0."
    assert error.message == f"These equations form a cycle: {wanted}"
