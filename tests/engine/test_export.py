"""Exported files are executed, against the engine."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from tests.calculus.test_gradients_jax import one
from tests.engine.common import SIAMESE, model_of, point_of, same
from tests.engine.test_engines import CALM
from tests.strategies import EXTRAS, HEADS, LAYERS, Network, networks

from backproof.cli import main
from backproof.engine.compiled import compile_gradient
from backproof.engine.export import export
from backproof.errors import BackproofError

SOFTMAX = """# Softmax regression
given X in R[N, d]
given Y in onehot[N, K]
learn W in R[d, K], b in R[1, K]
P = softmax(X @ W + b)
L = cross_entropy(P, Y) + 0.1*sumsq(W)
"""
LIBRARIES = ["numpy", *(
    pytest.param(n, marks=pytest.mark.skipif(find_spec(n) is None, reason=f"{n} is not installed"))
    for n in ("jax", "torch")
)]  # fmt: skip


def run(text: str, to: str) -> None:
    with np.errstate(all="ignore"):
        model = model_of(text)
        source = export(model, to, "L")
        module: dict[str, Any] = {}
        exec(compile(source, f"{to}.py", "exec"), module)
        point = point_of(model)
        f = compile_gradient(model, "L", engine="numpy")
        values = {n: point.floats[n] for n in f.names}
        want, gradients = f(**values)
        if to == "jax":
            import jax

            with jax.enable_x64(True):
                value, got = module["value_and_gradients"](**values)
        else:
            value, got = module["value_and_gradients"](**values)
    same(value, want, source)
    assert set(got) <= set(gradients)
    for name, g in got.items():
        same(g, gradients[name], f"{name}\n{source}")
        assert tuple(np.shape(g)) == values[name].shape


@pytest.mark.parametrize("to", LIBRARIES)
@pytest.mark.parametrize("text", [SIAMESE, SOFTMAX], ids=["siamese", "softmax"])
def test_exported_files_compute_what_the_engine_does(text: str, to: str) -> None:
    run(text, to)


@pytest.mark.parametrize("to", LIBRARIES)
@pytest.mark.parametrize("rows", [False, True], ids=["column", "rows"])
def test_every_layer_and_loss(rows: bool, to: str) -> None:
    for layer in sorted(set(LAYERS)):
        run(one(rows, layer).text, to)
    for head in HEADS:
        run(one(rows, head=head).text, to)
    for extra in EXTRAS:
        run(one(rows, extra=extra).text, to)


@CALM
@given(networks(max_layers=2))
def test_random_networks_as_numpy_files(network: Network) -> None:
    model = model_of(network.text)
    if model.open_dimensions(model.leaves["L"]) or "R[d" not in network.text:
        run(network.text, "numpy")


def test_torch_files_parse_also_without_torch() -> None:
    for text in (SIAMESE, SOFTMAX):
        source = export(model_of(text), "torch")
        ast.parse(source)
        assert "import torch" in source
        assert "numpy" not in source


def test_the_derivation_stands_in_comments() -> None:
    source = export(model_of(SOFTMAX), "numpy")
    assert source.startswith('"""Softmax regression.\n\nL and its gradients by W, b, in NumPy;')
    assert "# ∂L/∂W = X.T @ (P - Y)/N + W/5" in source
    assert "# L = cross_entropy(P, Y) + 0.1*sumsq(W), where nothing overflows\n    L = " in source
    assert max(map(len, source.splitlines())) <= 100


def test_columns_may_be_flat() -> None:
    module: dict[str, Any] = {}
    exec(export(model_of(SIAMESE), "numpy"), module)
    rng = np.random.default_rng(0)
    _, gradients = module["value_and_gradients"](
        rng.normal(size=4), rng.normal(size=4), 1.0, rng.normal(size=(3, 4)), np.zeros(3),
        rng.normal(size=(1, 3)), 0.0,
    )  # fmt: skip
    assert gradients["b1"].shape == (3,)
    assert gradients["W1"].shape == (3, 4)


def test_latex_is_the_working_of_every_gradient() -> None:
    text = export(model_of(SIAMESE), "latex")
    assert text.startswith(r"\documentclass")
    assert text.count(r"\begin{document}") == 1
    assert "W" in text


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    sheet, out = tmp_path / "softmax.sheet", tmp_path / "softmax.py"
    sheet.write_text(SOFTMAX, encoding="utf-8")
    shown = CliRunner().invoke(main, ["export", str(sheet), "--to", "jax"])
    assert shown.exit_code == 0
    ast.parse(shown.stdout)
    done = CliRunner().invoke(main, ["export", str(sheet), "--to", "numpy", "-o", str(out)])
    assert done.exit_code == 0
    assert out.read_text(encoding="utf-8") == export(model_of(SOFTMAX), "numpy")


def test_an_unknown_target_is_told() -> None:
    with pytest.raises(BackproofError, match="There is no export to 'fortran'"):
        export(model_of(SIAMESE), "fortran")


def body(text: str, to: str = "numpy") -> list[str]:
    """The statements of an exported file, without its comments and head."""
    source = export(model_of(text), to)
    rows = source[source.index("# Forward") :].splitlines()
    return [row.strip() for row in rows if row.strip() and not row.strip().startswith("#")]


def test_equations_come_in_the_order_of_the_sheet_and_gradients_from_the_last_one_back() -> None:
    names = [row.split(" = ")[0] for row in body(SIAMESE)]
    assert names[:8] == ["zA1", "aA1", "zB1", "aB1", "a1", "z2", "a2", "L"]
    assert names[8:11] == ["dz2", "db2", "dW2"]
    assert names.index("da1") < names.index("dzA1") < names.index("dW1")


def test_every_gradient_has_its_name_and_only_a_gradient_does() -> None:
    rows = body("given c in R\nlearn W in R[2, 3], b in R\nL = c*sumsq(W) + b")
    assert [r for r in rows if r.startswith("d")] == ["db = 1.0", "dW = 2 * c * W"]
    assert "L = c * np.sum(W**2) + b" in rows  # and not dc = …


@pytest.mark.parametrize(
    ("loss", "row"),
    [
        ("sum(x - w)/3 + sumsq(w)/N", "dw = 2 * w / N - 1 / 3"),
        ("sumsq(x - w)/sqrt(2*pi)", "t1 = np.sqrt(2 * np.pi)"),
        ("sum(exp(w))*log(2)", "t2 = np.log(2)"),
        ("sum(x*exp(-w**2))", "t1 = x * np.exp(-(w**2))"),
    ],
)
def test_numbers_are_written_as_a_person_would(loss: str, row: str) -> None:
    text = f"given x in R[N]\nlearn w in R[N]\nL = {loss}"
    rows = body(text)
    assert row in rows, rows
    for to in ("numpy", "jax", "torch"):
        assert "0000000" not in "".join(body(text, to))
        assert "333333" not in "".join(body(text, to))


def test_a_turned_matrix_is_refused_and_not_read_in_another_order() -> None:
    module: dict[str, Any] = {}
    exec(export(model_of(SIAMESE), "numpy"), module)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="matmul"):
        module["value_and_gradients"](
            rng.normal(size=4), rng.normal(size=4), 1.0, rng.normal(size=(4, 3)), np.zeros(3),
            rng.normal(size=(1, 3)), 0.0,
        )  # fmt: skip


def test_torch_meets_no_plain_number_where_it_wants_a_tensor() -> None:
    hinge = "given x in R[2]\nlearn w in R[2]\nL = max(0, 1 - w[1]*x[1])/2 + w[2]"
    text = "\n".join(body(hinge, "torch"))
    assert ".double()" in text  # 0.5 * a mask would be of torch's default kind, float32
    padded = "learn w in R[2]\nT = [[w[1], 0], [1, w[2]]]\nL = sumsq(T)"
    assert "torch.zeros((1, 1), dtype=torch.float64)" in "\n".join(body(padded, "torch"))
    assert "math.sqrt(N)" in "\n".join(
        body("given x in R[N]\nlearn w in R[N]\nL = sum(w*x)/sqrt(N)", "torch")
    )


def test_files_have_no_line_that_nothing_uses(tmp_path: Path) -> None:
    import subprocess
    import sys

    sheets = [SIAMESE, SOFTMAX, "given x in R[N]\nlearn w in R[N]\nL = sum(w + 1)/2"]
    for k, text in enumerate(sheets):
        for to in ("numpy", "jax", "torch"):
            (tmp_path / f"{to}{k}.py").write_text(export(model_of(text), to), encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,W",
               "--line-length", "100", str(tmp_path)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_long_lines_break_between_the_parts_of_a_call_and_not_inside_them() -> None:
    text = "learn w in R[3]\nT = [[w[1], w[2], w[3], 0, 1, w[1], w[2]]]\nL = sumsq(T)"
    for to in ("numpy", "torch"):
        source = export(model_of(text), to)
        assert max(map(len, source.splitlines())) <= 100
        rows = [row for row in source.splitlines() if ".reshape(w" in row or ".reshape(t" in row]
        assert rows
        assert all(row.count("(") - row.count(")") in (0, 1, -1) for row in rows), rows
    ast.parse(source)
