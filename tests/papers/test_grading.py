"""A class: one file of marks that survives being stopped, overrides, a summary, the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.papers.classroom import students

from backproof.cli import main
from backproof.errors import FileProblem
from backproof.papers.grading import mark_class

ROOT = Path(__file__).resolve().parent.parent.parent
PAPER = ROOT / "examples" / "paper.md"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    folder = tmp_path / "scripts"
    folder.mkdir()
    for student in students(12, seed=9):
        (folder / f"{student.name}.txt").write_text(student.text, encoding="utf-8")
    return folder


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "marks.csv").open(encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


class Stopped(Exception):
    pass


def test_stopped_half_way_it_goes_on_and_loses_nothing(tmp_path: Path, scripts: Path) -> None:
    whole = mark_class(PAPER, [scripts], tmp_path / "whole")
    extra = scripts.parent / "more"
    extra.mkdir()
    for student in students(30, seed=2):
        (extra / f"{student.name}.txt").write_text(student.text, encoding="utf-8")

    def stop(finished: int, total: int) -> None:
        if finished >= 20:
            raise Stopped

    out = tmp_path / "stopped"
    with pytest.raises(Stopped):
        mark_class(PAPER, [scripts, extra], out, progress=stop, workers=1)
    again = mark_class(PAPER, [scripts, extra], out, workers=1)
    assert again.scripts == 42 and again.marked_now == 22
    assert whole.marked_now == 12
    there, alone = table(out), table(tmp_path / "whole")
    assert len(there) == 42
    assert {s: there[s]["total"] for s in alone} == {s: r["total"] for s, r in alone.items()}


def test_a_changed_script_is_marked_again_and_overrides_stay(tmp_path: Path, scripts: Path) -> None:
    out = tmp_path / "marks"
    mark_class(PAPER, [scripts], out)
    name = sorted(table(out))[0]
    decided = (name, "svm.S", "1.5", "the copy was bad")
    mark_class(PAPER, [scripts], out, overrides=[decided])
    assert table(out)[name]["svm.S"] == "1.5"
    file = scripts / f"{name}.txt"
    file.write_text(file.read_text(encoding="utf-8") + "\n# seen\n", encoding="utf-8")
    again = mark_class(PAPER, [scripts], out)
    assert again.marked_now == 1
    assert table(out)[name]["svm.S"] == "1.5"
    told = (out / "feedback" / f"{name}.md").read_text(encoding="utf-8")
    assert "decided by the marker: the copy was bad" in told


@pytest.mark.parametrize(
    "decided",
    [("Ada", "svm.Q", "1", "x"), ("Ada", "svm.S", "99", "x"), ("Ada", "svm.S", "1", " "),
     ("Ada", "svm.S", "many", "x")],
)  # fmt: skip
def test_an_override_that_makes_no_sense_is_refused(
    tmp_path: Path, scripts: Path, decided: tuple[str, str, str, str]
) -> None:
    with pytest.raises(FileProblem):
        mark_class(PAPER, [scripts], tmp_path / "marks", overrides=[decided])


def test_a_decision_about_nobody_is_refused(tmp_path: Path, scripts: Path) -> None:
    name = next(p.stem for p in scripts.iterdir())
    decided = (name[:-1], "svm.S", "1", "oral")
    with pytest.raises(FileProblem) as caught:
        mark_class(PAPER, [scripts], tmp_path / "marks", overrides=[decided])
    assert name[:-1] in caught.value.message and name in str(caught.value.hint)


def test_every_mark_is_explained_and_the_class_summed_up(tmp_path: Path, scripts: Path) -> None:
    out = tmp_path / "marks"
    mark_class(PAPER, [scripts], out)
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["scripts"] == 12 and sum(summary["histogram"]) == 12
    assert summary["mistakes"] and summary["mistakes"][0]["count"] >= 1
    text = (out / "summary.md").read_text(encoding="utf-8")
    assert "most frequent mistakes" in text and "█" in text
    key = (out / "key.md").read_text(encoding="utf-8")
    assert "accepted" in key and "`grad(L, W1)`" in key
    assert len(list((out / "feedback").iterdir())) == 12


def test_a_class_as_csv_and_the_command(tmp_path: Path) -> None:
    rows = tmp_path / "class.csv"
    rows.write_text(
        "student,svm.L,network.a2,symbols.grad(L; W2)\n=cmd|x,1.07,0.5,\nBob,,0.001,\n",
        encoding="utf-8",
    )
    out = tmp_path / "marks"
    result = CliRunner().invoke(main, ["mark", str(PAPER), str(rows), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "2 scripts" in result.output
    found = table(out)
    assert set(found) == {"'=cmd|x", "Bob"}  # no spreadsheet takes a name for a formula
    assert found["'=cmd|x"]["svm.L"] == "1.6" and found["Bob"]["network.a2"] == "0"


@pytest.mark.parametrize("sign", [";", "\t"])
def test_a_csv_with_other_signs_between_its_columns(tmp_path: Path, sign: str) -> None:
    rows = tmp_path / "class.csv"
    columns = ["student", "svm.L", "grad(L, W1)", "network.a2"]
    cells = ["Zoë", "1,07", "", "0,537"]
    text = f"{sign.join(columns)}\n{sign.join(cells)}\n"
    rows.write_bytes(b"\xef\xbb\xbf" + text.encode())
    mark_class(PAPER, [rows], tmp_path / "marks")
    found = table(tmp_path / "marks")
    assert found["Zoë"]["svm.L"] == "1.6"


def test_a_csv_without_students_says_so(tmp_path: Path) -> None:
    rows = tmp_path / "class.csv"
    rows.write_text("a,b\n1,2\n", encoding="utf-8")
    result = CliRunner().invoke(main, ["mark", str(PAPER), str(rows), "--out", str(tmp_path / "m")])
    assert result.exit_code == 2 and "student" in result.output
