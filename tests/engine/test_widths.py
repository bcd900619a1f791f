"""Data of another width than a sheet says: which declarations would change, and the documented way
from the exam's autoencoder to a trained one."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tests.sheets import AUTOENCODER, SIAMESE, model_of

from backproof.cli import main
from backproof.engine.data import Wanted, task_for
from backproof.engine.datasets import Raw
from backproof.engine.widths import rewritten_for
from backproof.errors import ShapeProblem

ROOT = Path(__file__).resolve().parents[2]
DEEP = """given X in R[N, 7]
given Y in onehot[N, K]
let h = 7
learn V in R[7, h], W in R[h, K]
L = cross_entropy(softmax(tanh(X @ V) @ W), Y)
"""


@pytest.mark.parametrize(
    ("text", "name", "have", "says"),
    [
        (AUTOENCODER, "x", 4, "x in R[9], W1 in R[3, 9], W2 in R[9, 3], b2 in R[9]"),
        (SIAMESE, "xA", 4, "xA, xB in R[9], W1 in R[3, 9]"),
        (DEEP, "X", 7, "X in R[N, 9], V in R[9, h]"),  # the hidden 7 is another size
        (DEEP.replace("7]", "d]").replace("[7", "[d") + "let d = 7\n", "X", 7, "let d = 9"),
        (AUTOENCODER + "c = a2.T @ [1, 2, 3, 4]\n", "x", 4, ""),  # an equation has a 4 of its own
        ("given x in R[2 + 2]\nlearn w in R[4]\nL = (w.T @ x)**2\n", "x", 4, ""),
    ],
)
def test_declarations_that_change_together(text: str, name: str, have: int, says: str) -> None:
    assert rewritten_for(model_of(text), name, have, 9) == says


def test_what_is_proposed_fits() -> None:
    raw = Raw("nine", np.random.default_rng(0).normal(size=(40, 9)))
    with pytest.raises(ShapeProblem) as error:
        task_for(model_of(AUTOENCODER), raw, Wanted())
    assert "--map" not in error.value.hint  # there is no other part
    assert "for 9 numbers a sample, write x in R[9], W1 in R[3, 9]" in error.value.hint
    mended = AUTOENCODER.replace("R[4]", "R[9]").replace("4]", "9]").replace("[4", "[9")
    assert task_for(model_of(mended), raw, Wanted()).count() > 0


def test_the_documented_first_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    page = (ROOT / "docs" / "training.md").read_text("utf-8")
    install, command = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)[0].splitlines()
    assert install == 'pip install ".[sklearn]"'
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, shlex.split(command)[1:], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    folder = re.search(r"here\s+`(runs/[^`]*)`", page)
    assert folder is not None
    drawn = (tmp_path / folder[1] / "factors.svg").read_text("utf-8")
    assert "What each factor of the first layer" in drawn
    test = re.search(r"^test +\d+ +\S+ +(\S+)$", done.stdout, re.M)
    told = re.search(r"reconstructs (\d+) %", page)
    assert test is not None and told is not None
    assert float(test[1]) == pytest.approx(int(told[1]) / 100, abs=0.006)
