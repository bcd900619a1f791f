"""Formulas by hand: LaTeX of ours as MathML, as words, as Typst; and nothing half-translated."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from tests.strategies import Network, networks

import backproof as bp
from backproof.render import formula as f
from backproof.render.aligned import aligned
from backproof.render.mathml import LONG, mathml, write
from backproof.render.spoken import spoken
from backproof.render.typst_math import typst_math
from backproof.working.report import work_file

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
X = "<mi>x</mi>"
EQ = '<mo form="infix" lspace=".28em" rspace=".28em" stretchy="false">=</mo>'


def op(sign: str) -> str:
    return f'<mo form="infix" lspace=".22em" rspace=".22em">{sign}</mo>'


def minus(sign: str = "−") -> str:
    return f'<mo form="prefix" lspace="0em" rspace="0em">{sign}</mo>'


def plain(sign: str) -> str:
    return f'<mo lspace="0em" rspace="0em" stretchy="false">{sign}</mo>'


def fenced(left: str, inner: str, right: str, grows: bool = False) -> str:
    ends = f'fence="true" stretchy="{str(grows).lower()}" lspace="0em" rspace="0em"'
    return (
        f'<mrow><mo form="prefix" {ends}>{left}</mo>{inner}'
        f'<mo form="postfix" {ends}>{right}</mo></mrow>'
    )  # fmt: skip


LAYER = f"<mrow>{plain('[')}<mn>1</mn>{plain(']')}</mrow>"
APPLY = '<mo lspace="0em" rspace="0em">&#x2061;</mo>'
SUM = '<mo largeop="true" movablelimits="false" stretchy="false">∑</mo>'

# LaTeX, MathML, words
BY_HAND = [
    ("x", X, "x"),
    ("1.07", "<mn>1.07</mn>", "1.07"),
    (r"\lambda", "<mi>λ</mi>", "lambda"),
    (r"\mathrm{Xb}", "<mi>Xb</mi>", "Xb"),
    ("x_{A}", f"<msub>{X}<mi>A</mi></msub>", "x sub A"),
    ("x^{2}", f"<msup>{X}<mn>2</mn></msup>", "x squared"),
    ("x^{[1]}", f"<msup>{X}{LAYER}</msup>", "x layer 1"),
    ("x^{[1]}_{A}", f"<msubsup>{X}<mi>A</mi>{LAYER}</msubsup>", "x layer 1 sub A"),
    (r"x^{\top}", f'<msup>{X}<mi mathvariant="normal">⊤</mi></msup>', "x transpose"),
    (
        r"{x^{[1]}}^{\top}",
        f'<msup><msup>{X}{LAYER}</msup><mi mathvariant="normal">⊤</mi></msup>',
        "x layer 1 transpose",
    ),
    ("x^{-1}", f"<msup>{X}<mrow>{minus()}<mn>1</mn></mrow></msup>", "x inverse"),
    ("x + y", f"{X}{op('+')}<mi>y</mi>", "x plus y"),
    ("-x", f"{minus()}{X}", "minus x"),
    ("x - y", f"{X}{op('−')}<mi>y</mi>", "x minus y"),
    (r"x \odot y", f"{X}{op('⊙')}<mi>y</mi>", "x elementwise times y"),
    (r"x \cdot 2", f"{X}{op('·')}<mn>2</mn>", "x times 2"),
    (r"x\, y", f'{X}<mspace width="0.17em"/><mi>y</mi>', "x y"),
    ("x = 1", f"{X}{EQ}<mn>1</mn>", "x equals 1"),
    (r"\frac{1}{x}", f"<mfrac><mn>1</mn>{X}</mfrac>", "1 over x"),
    (
        r"\frac{\partial L}{\partial x}",
        '<mfrac><mrow><mi mathvariant="normal">∂</mi><mi>L</mi></mrow>'
        f'<mrow><mi mathvariant="normal">∂</mi>{X}</mrow></mfrac>',
        "the derivative of L with respect to x",
    ),
    (r"\nabla_{x} L", f'<msub><mi mathvariant="normal">∇</mi>{X}</msub><mi>L</mi>',
     "gradient sub x L"),
    (r"\sqrt{x}", f"<msqrt>{X}</msqrt>", "the square root of x end of root"),
    (r"\left(x\right)", fenced("(", X, ")"), "open bracket x close bracket"),
    (
        r"\left\lVert x\right\rVert^{2}",
        f"<msup>{fenced('‖', X, '‖')}<mn>2</mn></msup>",
        "the norm of x end of norm squared",
    ),
    (r"\left|x\right|", fenced("|", X, "|"), "the absolute value of x end"),
    (
        r"\left(\frac{x}{2}\right)",
        fenced("(", f"<mfrac>{X}<mn>2</mn></mfrac>", ")", grows=True),
        "open bracket x over 2 close bracket",
    ),
    (r"\phantom{x} = 2", f"<mphantom>{X}</mphantom>{EQ}<mn>2</mn>", "equals 2"),
    (r"x^{[1]\top}", "<msup>" + X + "<mrow>" + plain("[") + "<mn>1</mn>" + plain("]")
     + '<mi mathvariant="normal">⊤</mi></mrow></msup>', "x layer 1 transpose"),
    (r"\log\left(x\right)", f"<mi>log</mi>{APPLY}{fenced('(', X, ')')}",
     "log open bracket x close bracket"),
    (
        r"\operatorname{ReLU}\left(x\right)",
        f"<mi>ReLU</mi>{APPLY}{fenced('(', X, ')')}",
        "ReLU open bracket x close bracket",
    ),
    (
        r"\begin{bmatrix} 1 & -2 \\ x & 0 \end{bmatrix}",
        fenced(
            "[",
            '<mtable class="matrix"><mtr><mtd><mn>1</mn></mtd>'
            f"<mtd>{minus()}<mn>2</mn></mtd></mtr><mtr><mtd>{X}</mtd>"
            f"<mtd><mrow><mphantom>{minus()}</mphantom><mn>0</mn></mrow></mtd></mtr></mtable>",
            "]",
            grows=True,
        ),
        "the 2 by 2 matrix with rows 1, minus 2; x, 0, end of matrix",
    ),
    (
        r"\sum_{i=1}^{N} x_{i}",
        f"<munderover>{SUM}<mrow><mi>i</mi>{EQ}<mn>1</mn></mrow><mi>N</mi></munderover>"
        f"<msub>{X}<mi>i</mi></msub>",
        "the sum over i equals 1 to N of x sub i",
    ),
    (r"\mathbf{1}", "<mn>𝟏</mn>", "the ones vector"),
    (r"\mathbb{1}", '<mi mathvariant="normal">𝟙</mi>', "indicator"),
    (r"\hat{y}", '<mover accent="true"><mi>y</mi><mo stretchy="false">^</mo></mover>', "y hat"),
    (r"\sigma'", "<msup><mi>σ</mi>" + plain("′") + "</msup>", "sigma prime"),
    (r"x \leftarrow y", f"{X}{EQ.replace('>=<', '>←<')}<mi>y</mi>", "x becomes y"),
    (r"\boxed{1}", '<mrow class="blank"><mspace width=".5em"/><mn>1</mn><mspace width=".5em"/>'
     "</mrow>", "blank number 1"),
]  # fmt: skip


@pytest.mark.parametrize(("latex", "made", "said"), BY_HAND, ids=[row[0] for row in BY_HAND])
def test_by_hand(latex: str, made: str, said: str) -> None:
    tree = f.parse(latex)
    assert write(tree) == made
    assert spoken(tree) == said
    assert typst_math(latex).startswith("#math.equation(")
    root = ElementTree.fromstring(f"<m>{mathml(latex).replace('<wbr>', '<wbr/>')}</m>")
    assert "".join(root.itertext())


@pytest.mark.parametrize(
    "latex",
    [r"\unknown x", r"\begin{align} x \end{align}", r"\frac{1}", r"\left(x", "x}", r"\mathbb{Q}",
     r"\operatorname{\foo}", "x^", r"\left a x\right)"],
)  # fmt: skip
def test_outside_the_subset(latex: str) -> None:
    with pytest.raises(f.FormulaError):
        f.parse(latex)


def test_everything_that_the_examples_write_is_read() -> None:
    seen = 0
    for path in [*EXAMPLES.glob("*.sheet"), EXAMPLES / "exam.md"]:
        if path.stem == "q06-as-printed":
            continue
        for sheet in work_file(path).sheets:
            told = [step.latex for working in sheet.asks for step in working.steps if step.latex]
            for latex in [*told, *sheet.formulas.values()]:
                assert ElementTree.fromstring(mathml(latex).replace("<wbr>", "<wbr/>")) is not None
                assert typst_math(latex)
                seen += 1
    assert seen > 400


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_whatever_a_network_writes_is_read(network: Network) -> None:
    sheet = bp.Sheet(network.text)
    answers = [sheet.shapes(), sheet.forward()]
    with suppress(Exception):  # whether a gradient can be derived is looked at elsewhere
        answers.append(sheet.gradient("L", network.learned[0]))
    for answer in answers:
        for step in answer.steps:
            if step.latex:
                assert f.parse(step.latex) is not None


def test_a_long_formula_is_cut_before_its_operators() -> None:
    latex = " + ".join(rf"W_{{{k}}}\, x_{{{k}}}" for k in range(1, 20))
    assert f.width(f.parse(latex)) > LONG
    shown = mathml(f"y = {latex}")
    assert shown.count("<math ") == shown.count("<wbr>") + 1 > 10
    assert shown.count("application/x-tex") == 1
    starts = re.findall(r'aria-hidden="true">(?:<semantics>)?<mrow><(\w+)', shown)
    assert starts[0] == "mi"
    assert set(starts[1:]) == {"mo"}


def test_a_very_long_product_is_cut_too() -> None:
    latex = r"\, ".join(rf"\left(a_{{{k}}} + b_{{{k}}}\right)" for k in range(12))
    assert mathml(latex).count("<math ") > 2


def test_every_math_has_words() -> None:
    for latex, *_ in BY_HAND:
        assert re.search(r'<math [^>]*alttext="[^"]+"', mathml(latex))


def widths(shown: str) -> list[list[float]]:
    """The widths of a matrix's cells in digits: all digits and signs of a font are equally wide."""
    root = ElementTree.fromstring(shown.replace("<wbr>", "<wbr/>"))
    rows = root.iter("{http://www.w3.org/1998/Math/MathML}mtr")
    return [[len("".join(cell.itertext())) for cell in row] for row in rows]


def test_the_points_of_a_column_stand_below_one_another() -> None:
    latex = r"\begin{bmatrix} -1.8 & 2 \\ 12.25 & 100 \\ 0.5 & y \end{bmatrix}"
    shown = mathml(latex)
    assert [row[0] for row in widths(shown)] == [6, 6, 6]  # sign, two digits, point, two digits
    assert [row[1] for row in widths(shown)] == [3, 3, 1]  # y is no number
    assert "<mphantom><mn>0</mn></mphantom><mrow>" not in shown.split("12.25")[0].split("-1.8")[-1]
    cell = shown.split("<mtd>")[1]
    assert cell.index("<mphantom><mn>0</mn></mphantom>") < cell.index("−")


def test_the_lines_of_an_equation_stand_below_its_equals_sign() -> None:
    steps = bp.Sheet("given x = 2\nlearn w = 3\nL = w*x + 1\n").forward().steps
    head, put, result = list(aligned(steps))[-3:]
    assert head.latex == r"L = w\, x + 1"
    assert put.latex.startswith(r"\phantom{L} = 3") and put.depth == head.depth == 0
    assert result.latex == r"\phantom{L} = 7" and result.shape is None
    assert "<mphantom><mi>L</mi></mphantom>" in mathml(result.latex)
    assert "#hide" in typst_math(result.latex)


def test_a_line_about_something_else_is_not_moved() -> None:
    sheet = bp.Sheet("given P = [[0.5, 0.5]]\ngiven Y = [[1, 0]]\nL = cross_entropy(P, Y)\n")
    moved = [s for s in aligned(sheet.forward().steps) if "phantom" in s.latex]
    assert not moved


def test_a_wide_fraction_is_taken_apart_so_that_lines_can_be_broken() -> None:
    """(A + … + A)/m is one over m times the sum: no piece is wider than a line of a phone."""
    terms = " + ".join([r"W^{[2]\top}\, \left(a - y\right)"] * 8)
    shown = mathml(rf"g = \frac{{{terms}}}{{m}}")
    assert shown.count("<math ") > 8
    assert "<mfrac><mn>1</mn><mi>m</mi></mfrac>" in shown
    assert shown.count(">(<") == shown.count(">)<") == 8 + 1
    for piece in f.pieces(f.parse(rf"g = \frac{{{terms}}}{{m}}"), 20.0):
        assert f.width(piece) < 20.0
    assert "frac(1, m)" in typst_math(rf"g = \frac{{{terms}}}{{m}}")


def test_what_is_raised_stands_clear_of_a_slanted_letter() -> None:
    assert write(f.parse(r"V^{\top}")) == (
        '<msup><mi>V</mi><mrow><mspace width=".2em"/><mi mathvariant="normal">⊤</mi></mrow></msup>'
    )
    assert "mspace" not in write(f.parse(r"A^{\top}"))
    below, above = ElementTree.fromstring(write(f.parse("W_{i}^{2}")))[1:]
    assert below.tag == "mi"  # only what is raised is moved
    assert [e.tag for e in above] == ["mspace", "mn"]


def test_a_number_above_a_wide_fraction_stays_above() -> None:
    product = r"\, ".join(rf"a_{{{k}}}" for k in range(12))
    loose = f.loosened(f.parse(rf"\frac{{2\, {product}}}{{n}}"), 8.0).items
    assert loose[0] == f.parse(r"\frac{2}{n}")
    assert loose[2:] == f.items_of(f.parse(product))
    loose = f.loosened(f.parse(rf"\frac{{{product}}}{{n}}"), 8.0).items
    assert loose[0] == f.parse(r"\frac{1}{n}")
    assert loose[2:] == f.items_of(f.parse(product))


def test_what_is_raised_above_a_wide_bracket_goes_to_its_end() -> None:
    inside = " + ".join(f"a_{{{k}}}" for k in range(30))
    cut = f.pieces(f.parse(rf"x = \left({inside}\right)^{{\top}}"), 12.0)
    assert len(cut) > 3
    assert all(f.width(piece) <= 16 for piece in cut)
    assert write(cut[-1]).endswith(
        '<msup><mo form="postfix" fence="true" stretchy="true" minsize="1.5em" lspace="0em" '
        'rspace="0em">)</mo><mi mathvariant="normal">⊤</mi></msup>'
    )


def test_pi_scales_like_any_number() -> None:
    sheet = bp.Sheet("given x in R[3]\nlearn w in R[3]\ny = pi*w\nL = sum(y*x)\nask forward\n")
    (line,) = [s for s in sheet.forward().steps if s.label == "y"]
    assert line.latex == r"y = \pi\, w"
