"""docs/papers.md, executed: its files are written, its commands run, what they print compared.

A line `…` stands for any lines. A `cat` shows a file.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from backproof.cli import main

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
_FENCE = re.compile(r"^(`{3,4})(\w+)(?: ([^\n]+))?\n(.*?)^\1$", re.MULTILINE | re.DOTALL)


def commands(console: str) -> Iterator[tuple[str, list[str]]]:
    """(command, the lines expected) of each `$ …`."""
    parts = re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]
    for part in parts:
        command, _, expected = part.partition("\n")
        yield command, expected.splitlines()


def run(command: str) -> str:
    words = shlex.split(command)
    target = None
    if ">" in words:
        words, target = words[: words.index(">")], words[words.index(">") + 1]
    if words[0] == "cat":
        return Path(words[1]).read_text(encoding="utf-8")
    assert words[0] == "backproof"
    result = CliRunner().invoke(main, words[1:])
    assert result.exit_code == 0, f"{command}\n{result.output}"
    if target is not None:
        Path(target).write_text(result.output, encoding="utf-8")
        return ""
    return result.output


def agrees(expected: list[str], printed: str) -> bool:
    pattern = "".join("(?:.*\n)*?" if line == "…" else re.escape(line) + "\n" for line in expected)
    return re.fullmatch(pattern, printed if printed.endswith("\n") or not printed else
                        printed + "\n") is not None  # fmt: skip


def test_a_teachers_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = 0
    for _, language, name, body in _FENCE.findall(PAGE):
        if language == "console":
            for command, expected in commands(body):
                if "--pdf" in command:
                    pytest.importorskip("typst")
                printed = run(command)
                assert agrees(expected, printed), f"{command}\n{printed}"
                ran += 1
        elif name:
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(body, encoding="utf-8")
    assert ran == 10
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
    assert len(list((tmp_path / "variants").glob("variant-*.md"))) == 20
