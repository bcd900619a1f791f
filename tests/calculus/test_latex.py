"""How names and expressions are written: as a textbook would print them."""

from __future__ import annotations

import pytest

from backproof.calculus.latex import Latex, latex_name
from backproof.errors import Source
from backproof.language.statements import parse_expression
from backproof.working.writing import latex_array


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("zA1", "z^{[1]}_{A}"), ("ZA1", "Z^{[1]}_{A}"), ("XB", "X_{B}"), ("DA", "D_{A}"),
        ("Wb", "W_{b}"), ("Whh", "W_{hh}"), ("Ldata", r"L_{\mathrm{data}}"),
        ("Lreg", r"L_{\mathrm{reg}}"), ("bnew", r"b_{\mathrm{new}}"), ("xhat", r"\hat{x}"),
        ("Loss", r"\mathrm{Loss}"), ("Out", r"\mathrm{Out}"), ("CE", r"\mathrm{CE}"),
        ("MSE", r"\mathrm{MSE}"), ("Xi", r"\Xi"), ("lambda", r"\lambda"), ("min", r"\mathrm{min}"),
        ("W1", "W^{[1]}"), ("db", r"\mathrm{db}"), ("x_i", "x_{i}"),
    ],
)  # fmt: skip
def test_names(name: str, shown: str) -> None:
    assert latex_name(name) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("W2.T", r"W^{[2]\top}"),
        ("xA.T", r"x_{A}^{\top}"),
        ("norm(x)**2", r"\left\lVert x\right\rVert^{2}"),
        ("sse(a2, x)", r"\left\lVert a^{[2]} - x\right\rVert^{2}"),
        ("sse(a, x - y)", r"\left\lVert a - \left(x - y\right)\right\rVert^{2}"),
        ("-y/m", r"-\frac{y}{m}"),
        ("(-y + z)/m", r"\frac{-y + z}{m}"),
        ("sum(-A*B, axis=1)", r"\left(-A \odot B\right)\,\mathbf{1}"),
        ("P*(Q - sum(-A*B, axis=1))",
         r"P \odot \left(Q - \left(-A \odot B\right)\,\mathbf{1}\right)"),
        ("A/B*sum(C, axis=1)", r"\frac{A}{B} \odot \left(C\,\mathbf{1}\right)"),
        ("grad(L, W1)", r"\frac{\partial L}{\partial W^{[1]}}"),
        ("grad(L, W1)[1, 2]", r"\frac{\partial L}{\partial W^{[1]}_{1,2}}"),
        ("grad(sumsq(W), W)", r"\nabla_{W} \left\lVert W\right\rVert^{2}"),
        ("xA[2]", "x_{A,2}"),
        ("zA1[2]", "z^{[1]}_{A,2}"),
        ("mean(D, axis=0).T", r"\operatorname{mean}_{\text{axis 0}}\left(D\right)^{\top}"),
        ("log(x)**2", r"\left(\log\left(x\right)\right)^{2}"),
    ],
)  # fmt: skip
def test_expressions(text: str, shown: str) -> None:
    assert Latex({"L", "m", "y", "z"})(parse_expression(Source("test", text))) == shown


def test_powers_of_ten_in_values() -> None:
    assert latex_array("4.2e-12") == r"4.2 \cdot 10^{-12}"
    assert r"1.5 \cdot 10^{9} & -2" in latex_array("[[1.5e+09, -2]]")
