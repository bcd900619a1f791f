"""The documentation is executed: every sheet in it is checked, every Python example is run.

A fence marked ```sheet must hold. ```sheet refuted must contain a refuted claim, and a sheet in
```sheet unreadable must be turned down at a place. ```csv NAME is a file beside the sheets.
"""

from __future__ import annotations

import doctest
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from backproof.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([a-z]+)([^\n]*)\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Fence:
    page: Path
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def fences() -> list[Fence]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            language, words, body = match.groups()
            found.append(Fence(page, line, language, tuple(words.split()), body))
    return found


FENCES = fences()
SHEETS = [fence for fence in FENCES if fence.language == "sheet"]
PYTHON = [fence for fence in FENCES if fence.language == "python"]


def files_beside(sheet: Fence) -> list[Fence]:
    return [
        fence
        for fence in FENCES
        if fence.language == "csv" and fence.words and fence.page == sheet.page
    ]


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda fence: fence.place)
def test_sheet(sheet: Fence, tmp_path: Path) -> None:
    for fence in files_beside(sheet):
        (tmp_path / fence.words[0]).write_text(fence.text, encoding="utf-8")
    path = tmp_path / "page.sheet"
    path.write_text(sheet.text, encoding="utf-8")

    result = CliRunner().invoke(main, ["check", "--json", str(path)], catch_exceptions=False)
    (answer,) = json.loads(result.stdout)["files"]
    verdicts = [(claim["text"], claim["verdict"], claim["why"]) for claim in answer["claims"]]

    if "unreadable" in sheet.words:
        assert answer["error"] is not None
        assert answer["error"]["line"] >= 1
        assert result.exit_code == 2
    elif "refuted" in sheet.words:
        assert answer["error"] is None
        assert [verdict for _, verdict, _ in verdicts if verdict == "refuted"], verdicts
        assert [v for v in verdicts if v[1] == "undecided"] == []
        assert result.exit_code == 1
    else:
        assert answer["error"] is None, answer["error"]
        assert [v for v in verdicts if v[1] in ("refuted", "undecided")] == []
        assert result.exit_code == 0


@pytest.mark.parametrize("example", PYTHON, ids=lambda fence: fence.place)
def test_python(
    example: Fence, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    if ">>>" not in example.text:
        exec(compile(example.text, example.place, "exec"), {"__name__": "example"})
        return
    test = doctest.DocTestParser().get_doctest(
        example.text, {}, example.place, str(example.page), example.line
    )
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    results = doctest.DocTestRunner(optionflags=flags).run(test)
    assert results.failed == 0, capsys.readouterr().out


def test_there_is_documentation_to_execute() -> None:
    assert len(SHEETS) > 20
