"""The examples hold, the misprints in them are refuted, and the exam and its sheets agree."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backproof.cli import main

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
EXAM = EXAMPLES / "exam.md"
SHEETS = sorted(EXAMPLES.glob("*.sheet"))
FENCE = re.compile(r"^```sheet (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# The misprints of the paper: claims that must come out refuted, and the sheet that cannot be read.
REFUTED = {
    "q08-gradient": ["grad(L, W1) == (DA - DB) @ W2.T @ (a2 - y) @ (xA.T - xB.T)"],
    "q10b-update": ["D2[4, 4] == sigmoid(z2[3])*(1 - sigmoid(z2[3]))"],
}
UNREADABLE = {"q06-as-printed": (12, "z2")}


def check(path: Path) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(main, ["check", "--json", str(path)], catch_exceptions=False)
    (answer,) = json.loads(result.stdout)["files"]
    return result.exit_code, answer


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.stem)
def test_sheet(path: Path) -> None:
    code, answer = check(path)
    if path.stem in UNREADABLE:
        line, name = UNREADABLE[path.stem]
        assert code == 2
        assert answer["error"]["line"] == line
        assert name in answer["error"]["message"]
        return
    assert answer["error"] is None, answer["error"]
    expected = REFUTED.get(path.stem, [])
    assert [c["text"] for c in answer["claims"] if c["verdict"] == "refuted"] == expected
    assert [c for c in answer["claims"] if c["verdict"] == "undecided"] == []
    assert code == (1 if expected else 0)


def test_the_exam_contains_its_sheets_word_for_word() -> None:
    fences = dict(FENCE.findall(EXAM.read_text(encoding="utf-8")))
    on_their_own = {
        path.stem: path.read_text(encoding="utf-8") for path in EXAMPLES.glob("q*.sheet")
    }
    assert fences == on_their_own
