"""JSON and LaTeX: plain data, and articles that compile where a TeX is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof.errors import FileProblem
from backproof.render.json import dumps, plain_data, working_data
from backproof.render.latex import article, standalone, working_fragment
from backproof.render.save import save
from backproof.render.tex import escape, inline, markdown, math
from backproof.working.report import work_file
from backproof.working.steps import Step, Verified, Working

EXAM = Path(__file__).resolve().parents[2] / "examples" / "exam.md"
ENGINES = [engine for engine in ("pdflatex", "lualatex") if shutil.which(engine)]


# --- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (Decimal("1.07"), 1.07),
        (Fraction(1, 4), 0.25),
        (float("nan"), None),
        (Decimal("Infinity"), None),
        ((1, "m"), [1, "m"]),
        ({"a": (Decimal(2),)}, {"a": [2.0]}),
        (np.array([[1.5, 2.0]]), [[1.5, 2.0]]),
        (None, None),
        (True, True),
    ],
)
def test_plain_data(value: object, data: object) -> None:
    assert plain_data(value) == data


def test_a_step() -> None:
    step = Step("z", "z = λ", "z", (3, "m"), [Decimal("0.5")], "given", Verified("w", 2), "result")
    data = working_data(Working("forward", (step,), {"missing": ()}))
    assert json.loads(dumps(data)) == {
        "ask": "forward",
        "steps": [
            {
                "label": "z",
                "text": "z = λ",
                "latex": "z",
                "shape": [3, "m"],
                "value": [0.5],
                "because": "given",
                "verified": {"how": "w", "points": 2, "failed": 0},
            }
        ],
        "data": {"missing": []},
    }


# --- LaTeX ---------------------------------------------------------------------------------------


def test_escapes() -> None:
    assert escape("50% of $x_1 & {y}") == r"50\% of \$x\_1 \& \{y\}"
    assert escape("λ ≤ 2") == r"\ensuremath{\lambda} \ensuremath{\leq} 2"
    assert escape("中") == r"\unicodechar{4E2D}{中}"
    assert escape("\x07") == ""


def test_prose() -> None:
    assert inline("**b** and *i* and `a_b`, [link](http://x)") == (
        r"\textbf{b} and \emph{i} and \texttt{a\_b}, link"
    )
    assert inline("the units of x_A and W_1ᵀ") == (
        r"the units of \ensuremath{x_{A}} and \ensuremath{W_{1}}\ensuremath{^{\top}}"
    )
    assert inline("snake_case stays") == r"snake\_case stays"
    assert markdown("## Two\n\n1. one\n").startswith(r"\subsection*{Two}")


def test_signs_in_math() -> None:
    assert math("λ + x") == r"\lambda  + x"


def compiled(tex: str, folder: Path, engine: str) -> str:
    (folder / "a.tex").write_text(tex, encoding="utf-8")
    result = subprocess.run(
        [engine, "-interaction=nonstopmode", "-halt-on-error", "a.tex"],
        cwd=folder,
        capture_output=True,
        timeout=300,
    )
    log = (folder / "a.log").read_text(encoding="utf-8", errors="replace")
    assert result.returncode == 0, log[-3000:]
    assert (folder / "a.pdf").exists()
    return log


@pytest.mark.slow
@pytest.mark.skipif(not ENGINES, reason="neither pdflatex nor lualatex is installed")
@pytest.mark.parametrize("engine", ENGINES)
def test_the_exam_compiles(engine: str, tmp_path: Path) -> None:
    log = compiled(article(work_file(EXAM)), tmp_path, engine)
    assert "Undefined control sequence" not in log
    if engine == "pdflatex":  # a small lualatex comes without fonts for its own encoding
        assert "Missing character" not in log


HARD = [
    '# Titel mit Üml, 50% & λ_1 #$^~{}\\ 中 “quotes” – — … <>|"',
    "given λ, μ_1 in Rpos",
    "given x̂ in R[3]",
    "learn Wθ in R[2, 3]",
    "z_long_name = λ*Wθ @ x̂ + μ_1",
    "L = sumsq(z_long_name)",
    "ask gradient L wrt Wθ",
    "ask slow Wθ",
    "claim grad(L, Wθ) == Wθ",
]


@pytest.mark.slow
@pytest.mark.skipif(not ENGINES, reason="neither pdflatex nor lualatex is installed")
@pytest.mark.parametrize("engine", ENGINES)
def test_hard_names_compile(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "p_%&.md"
    lines = [row.replace("x̂", "xh") for row in HARD]
    path.write_text(
        "# 100% _hard_ & `co_de` λ\n\n* item & more\n\n| a_b | c |\n|---|---|\n\n"
        "```\n\\x %\n```\n\n"
        "```sheet one_two\n" + "\n".join(lines) + "\n```\n\n```sheet\nz = ñ\n```\n",
        encoding="utf-8",
    )
    compiled(article(work_file(path)), tmp_path, engine)


def test_fragment_and_article() -> None:
    working = Working("forward", (Step("z", "z = W @ x", "z = W x", (3,), kind="equation"),))
    fragment = working_fragment(working)
    assert r"$\displaystyle z = W x$" in fragment
    assert r"\documentclass" not in fragment
    assert standalone("T", fragment).startswith(r"\documentclass")


@given(st.text())
def test_escaped_text_has_no_open_braces(text: str) -> None:
    escaped = escape(text).replace(r"\{", "").replace(r"\}", "")
    assert escaped.count("{") == escaped.count("}")


# --- files ---------------------------------------------------------------------------------------


def test_save(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    save(path, "one")
    path.chmod(0o640)
    save(path, "zwei ✓")
    assert path.read_text(encoding="utf-8") == "zwei ✓"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


def test_save_through_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    save(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


@pytest.mark.parametrize("name", [".", "no/such/folder/a", "file/below", "a\0b", "x" * 300])
def test_what_cannot_be_saved(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(FileProblem):
        save(tmp_path / name, "text")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
