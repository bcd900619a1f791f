"""The cell magic, and the example notebook, executed cell by cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("IPython", reason="IPython is not installed (extra notebook)")
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "siamese.ipynb"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance()
    made.history_manager.enabled = False
    yield made
    made.history_manager.end_session()
    InteractiveShell.clear_instance()


def run(shell: InteractiveShell, source: str) -> Any:
    with capture_output():
        found = shell.run_cell(source, store_history=False)
    assert found.success, found.error_in_exec or found.error_before_exec
    return found.result


def test_the_example_runs(shell: InteractiveShell) -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    results = [run(shell, source) for source in sources]
    assert len(results) >= 5
    assert results[0] is None
    for result in results[1:]:
        assert result._repr_html_().startswith('<div class="backproof cell">')
    worked = results[1]
    assert [v.verdict for v in worked.verdicts] == ["proved"]
    assert "<svg" in worked._repr_html_()


def test_a_broken_sheet_is_told_in_a_sentence(shell: InteractiveShell) -> None:
    run(shell, "%load_ext backproof")
    with capture_output() as told:
        found = shell.run_cell("%%sheet\nz = W @ x\n", store_history=False)
    assert found.success
    assert "Unknown name" in told.stdout
    with capture_output() as told:
        shell.run_cell("%%sheet 1x\ngiven x in R\n", store_history=False)
    assert "is not a name" in told.stdout
