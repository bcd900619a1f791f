"""The command line as a user meets it: exit codes, what is said where, and nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backproof.cli import main
from backproof.errors import InternalContradiction

ROOT = Path(__file__).resolve().parent.parent
SIAMESE = ROOT / "examples" / "siamese.sheet"
NET = """\
given x in R[4]
learn W in R[3, 4], b in R[3]
"""


def run(*args: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backproof", *args],
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **env},
    )


def invoke(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(args))
    return result.exit_code, result.stdout, result.stderr


def write(folder: Path, text: str, name: str = "net.sheet") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# --- bad input -----------------------------------------------------------------------------------

# text below NET -> line and column, and words of the message or of the hint
BAD = {
    "unknown name": ("z1 = W @ x + bb", "3:14", ["Unknown name 'bb'", "did you mean 'b'?"]),
    "defined twice": ("z = W @ x\nz = x", "4:1", ["'z' is defined twice", ":3:1:"]),
    "misfit": ("z = W.T @ x", "3:9", ["4 × 3", "4 × 1"]),
    "ragged": ("given X = [[1, 2], [3]]", "3:20", ["row 1 has 2 entries, row 2 has 1 entry"]),
    "value shape": ("x = [1, 2, 3]\nz = x", "3:5", ["3 × 1", "4 × 1", ":1:7:"]),
    "label": ("given y in {0, 1}[2]\ny = [0, 2]", "4:5", ["[2] is 2", "must be one of 0, 1"]),
    "unknown function": ("z = sigmod(x)", "3:5", ["'sigmod'", "did you mean 'sigmoid'?"]),
    "not a number": ("z = W @ x\nL = sum(grad(z, W))", "4:14", ["needs a number", "3 × 1"]),
    "bracket": ("z = (W @ x", "3:5", ["'(' is never closed", "expected ')'"]),
    "cycle": ("a = c + 1\nc = a*2", "3:5", ["cycle", "a needs c needs a"]),
    "not Python": ("z = __import__('os')", "3:5", ["'__import__' is not a function"]),
    "log": (
        "given p = [1, -2]\nq = log(p)\nask forward",
        "4:5",
        ["log(p)", "equation for q", "entry [2] of p is -2"],
    ),
    "zero": ("given u = 0\nq = 3/u\nask forward", "4:6", ["3/u", "u is 0", "divided by zero"]),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_sheet(kind: str, tmp_path: Path) -> None:
    text, place, words = BAD[kind]
    path = write(tmp_path, NET + text + "\n")
    code, _, err = invoke("work", str(path))
    assert code == 2
    assert err.startswith(f"{path}:{place}: ")
    assert "^" in err
    for word in words:
        assert word in err
    assert "Traceback" not in err


def test_gradient_of_what_is_not_a_number(tmp_path: Path) -> None:
    path = write(tmp_path, NET + "z = W @ x\nask gradient z wrt W\n")
    code, _, err = invoke("work", str(path))
    assert code == 2
    assert f"{path}:4:" in err
    assert "number" in err


def test_nested_too_deep(tmp_path: Path) -> None:
    path = write(tmp_path, "L = " + "(\n" * 10_000 + "1" + "\n)" * 10_000)
    code, _, err = invoke("work", str(path))
    assert code == 2
    assert "nested more than" in err


def test_ten_megabytes_in_one_line(tmp_path: Path) -> None:
    path = write(tmp_path, "L = 1" + " + 1" * 2_500_000)
    start = time.perf_counter()
    code, _, err = invoke("work", str(path))
    assert time.perf_counter() - start < 20
    assert code == 2
    assert f"{path}:1:1: Line 1 is longer than" in err
    assert max(map(len, err.splitlines())) < 300


FILES: dict[str, tuple[bytes | None, list[str]]] = {
    "missing.sheet": (None, ["There is no file"]),
    "empty.sheet": (b"", ["is empty", "given x in R[4]"]),
    "blank.sheet": (b"\n  \n", ["is empty"]),
    "latin.sheet": (b"given x in R\n# caf\xe9\n", ["is not UTF-8", "line 2", "save it as UTF-8"]),
    "utf16.sheet": ("given x in R".encode("utf-16"), ["UTF-16"]),
    "binary.sheet": (b"given\0x", ["is not text"]),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", ["work", "check", "forward"])
def test_bad_file(name: str, command: str, tmp_path: Path) -> None:
    content, words = FILES[name]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    code, _, err = invoke(command, str(path))
    assert code == 2
    for word in words:
        assert word in err
    assert "Traceback" not in err


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    code, _, err = invoke("work", str(tmp_path))
    assert code == 2
    assert "is a directory" in err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write(tmp_path, NET)
    path.chmod(0)
    code, _, err = invoke("work", str(path))
    assert code == 2
    assert "may not be read" in err


def test_a_missing_file_names_a_near_one(tmp_path: Path) -> None:
    write(tmp_path, NET, "siamese.sheet")
    code, _, err = invoke("work", str(tmp_path / "siamse.sheet"))
    assert code == 2
    assert "did you mean" in err
    assert "siamese.sheet" in err


# --- writing -------------------------------------------------------------------------------------


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, NET + "z = W @ x + b\n")
    code, _, err = invoke("work", str(path), "--json", str(tmp_path / "no" / "out.json"))
    assert code == 2
    assert "cannot be written" in err
    assert "no directory" in err
    assert [p.name for p in tmp_path.iterdir()] == ["net.sheet"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, NET + "z = W @ x + b\n")
    out = tmp_path / "out.json"
    out.write_text("old", encoding="utf-8")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = invoke("work", str(path), "--json", str(out))
    assert code == 2
    assert "No space left on device" in err
    assert out.read_text(encoding="utf-8") == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.sheet", "out.json"]


def test_files_written_beside_the_working(tmp_path: Path) -> None:
    path = write(tmp_path, NET + "z = W @ x + b\nask shapes\n")
    out, tex = tmp_path / "out.json", tmp_path / "out.tex"
    code, shown, err = invoke("work", str(path), "--json", str(out), "--tex", str(tex))
    assert (code, err) == (0, "")
    assert "ask shapes" in shown
    assert json.loads(out.read_text(encoding="utf-8"))["file"] == str(path)
    assert tex.read_text(encoding="utf-8").rstrip().endswith(r"\end{document}")


def test_json_with_no_file_goes_to_standard_output() -> None:
    first = invoke("work", str(SIAMESE), "--json")
    second = invoke("work", "--json", str(SIAMESE))
    assert first[0] == second[0] == 0
    assert json.loads(first[1]) == json.loads(second[1])


# --- JSON ----------------------------------------------------------------------------------------

CLAIM = {
    "line": int,
    "text": str,
    "verdict": str,
    "points": int,
    "why": str,
    "difference": str | None,
    "suggestion": str | None,
}
STEP = {
    "label": str,
    "text": str,
    "latex": str,
    "shape": list | None,
    "value": object,
    "because": str,
    "verified": dict | None,
}


def has_form(data: dict[str, Any], form: dict[str, Any]) -> None:
    assert data.keys() == form.keys()
    for key, kind in form.items():
        assert isinstance(data[key], kind), (key, data[key])


def test_form_of_work(tmp_path: Path) -> None:
    sheet = NET + "y = x\nz = W @ x + b\nL = sumsq(z)\nask gradient L wrt W\nclaim L >= 0\n"
    paper = f"# A paper\n\nProse.\n\n```sheet one\n{sheet}```\n\n```sheet two\nz = 1\nz = 2\n```\n"
    path = write(tmp_path, paper, "paper.md")
    code, out, _ = invoke("work", str(path), "--json")
    data = json.loads(out)
    assert code == 1
    assert data.keys() == {"file", "title", "sheets"}
    assert data["title"] == "A paper"
    one, two = data["sheets"]
    for one_sheet in (one, two):
        assert one_sheet.keys() == {"name", "title", "asks", "claims", "error"}
    assert (one["name"], two["name"]) == ("one", "two")
    assert one["error"] is None
    has_form(two["error"], {"line": int, "column": int, "message": str})
    assert two["asks"] == two["claims"] == []
    (ask,) = one["asks"]
    assert ask.keys() == {"ask", "steps", "data"}
    assert ask["ask"] == "gradient L wrt W"
    for step in ask["steps"]:
        has_form(step, STEP)
        if step["verified"] is not None:
            has_form(step["verified"], {"how": str, "points": int, "failed": int})
    has_form(one["claims"][0], CLAIM)


def test_form_of_check(tmp_path: Path) -> None:
    good = write(tmp_path, NET + "z = W @ x\nclaim shape(z) == (3,)\nclaim z == -z\n")
    bad = write(tmp_path, "z = y\n", "bad.sheet")
    missing = tmp_path / "missing.sheet"
    code, out, err = invoke("check", "--json", str(good), str(bad), str(missing))
    assert code == 2
    data = json.loads(out)
    assert data.keys() == {"files"}
    assert [f["file"] for f in data["files"]] == [str(good), str(bad), str(missing)]
    first, second, third = data["files"]
    for one in data["files"]:
        assert one.keys() == {"file", "error", "claims"}
    assert first["error"] is None
    for claim in first["claims"]:
        has_form(claim, CLAIM)
    assert [c["verdict"] for c in first["claims"]] == ["proved", "refuted"]
    assert [c["line"] for c in first["claims"]] == [4, 5]
    assert second["error"]["line"] == 1
    assert "Unknown name 'y'" in second["error"]["message"]
    assert third["error"]["line"] is None
    assert "Unknown name 'y'" in err


# --- exit codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "code"),
    [("claim shape(z) == (3,)", 0), ("claim z == 2*z", 1), ("claim log(-exp(z)) == 1", 1)],
)
def test_exit_code_of_claims(claims: str, code: int, tmp_path: Path) -> None:
    path = write(tmp_path, NET + f"z = W @ x + b\n{claims}\n")
    assert invoke("check", str(path))[0] == code
    assert invoke("work", str(path))[0] == code


def test_a_broken_sheet_in_a_paper_stops_nothing(tmp_path: Path) -> None:
    text = f"Before.\n\n```sheet bad\nz = q\n```\n\nAfter.\n\n```sheet good\n{NET}ask shapes\n```\n"
    code, out, err = invoke("work", str(write(tmp_path, text, "p.md")))
    assert (code, err) == (1, "")
    out = " ".join(out.split())
    order = ["Before.", "Unknown name 'q'", "After.", "ask shapes", "1 sheet with an error"]
    assert [out.index(part) for part in order] == sorted(out.index(part) for part in order)


def test_what_is_not_available_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backproof.working import answer

    monkeypatch.setattr(answer, "LATER", {"slow": "when a parameter learns slowly"})
    path = write(tmp_path, NET + "z = W @ x\nL = sumsq(z)\nask slow W\nask tree L\n")
    code, out, _ = invoke("work", str(path))
    assert code == 1
    assert "not available yet" in out
    assert "ask tree L" in out
    code, _, err = invoke("slow", str(path), "W")
    assert code == 2
    assert "not available yet" in err


def test_our_contradiction_is_loud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backproof.working import claims

    def broken(*_: object, **__: object) -> None:
        raise InternalContradiction("a witness disagrees")

    path = write(tmp_path, NET + "z = W @ x\nclaim z == z\nask shapes\n")
    monkeypatch.setattr(claims, "check_claims", broken)
    for command in ("work", "check"):
        code, _, err = invoke(command, str(path))
        assert code == 70
        assert "INTERNAL CONTRADICTION" in err
        assert "A witness disagrees" in err
        assert "report" in err


def test_an_internal_error_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backproof.working import report

    def broken(*_: object, **__: object) -> None:
        raise KeyError("lost")

    path = write(tmp_path, NET)
    monkeypatch.setattr(report, "work_file", broken)
    code, _, err = invoke("work", str(path))
    assert code == 70
    assert "internal error: KeyError" in err
    assert "report" in err
    assert "Traceback" not in err
    result = CliRunner().invoke(main, ["--debug", "work", str(path)])
    assert isinstance(result.exception, KeyError)


@pytest.mark.parametrize("error", [RecursionError, MemoryError])
def test_exhaustion_is_no_traceback(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backproof.calculus import model

    def broken(*_: object) -> None:
        raise error

    path = write(tmp_path, NET)
    monkeypatch.setattr(model, "build_model", broken)
    for command in ("work", "check", "forward"):
        code, _, err = invoke(command, str(path))
        assert code == 2
        assert "too" in err


# --- commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["shapes"], ["ask shapes", "3 × 4"]),
        (["shapes", "P", "W1 @ xA"], None),
        (["shapes", "zA1", "W1 @ xA"], ["ask shapes zA1, W1 @ xA"]),
        (["forward"], ["zA1 = W1 @ xA + b1"]),
        (["tree"], ["ask tree L", "shared"]),
        (["tree", "a1"], ["ask tree a1"]),
        (["gradient", "L", "W1"], ["ask gradient L wrt W1", "verified:"]),
        (["gradient", "--of", "L", "--wrt", "b2"], ["ask gradient L wrt b2"]),
        (["gradient"], ["wrt W1, b1, W2, b2"]),
        (["step", "W1", "--rate", "0.01"], ["ask step W1 rate 0.01"]),
    ],
)
def test_one_ask(args: list[str], words: list[str] | None) -> None:
    code, out, err = invoke(args[0], str(SIAMESE), *args[1:])
    if words is None:
        assert code == 2
        assert "Unknown name 'P'" in err
        return
    assert (code, err) == (0, "")
    for word in words:
        assert word in out


def test_one_ask_of_a_paper(tmp_path: Path) -> None:
    sheet = f"{NET}z = W @ x\n"
    text = f"```sheet one\n{sheet}```\n\n```sheet two\n{sheet}```\n"
    path = str(write(tmp_path, text, "p.md"))
    assert invoke("shapes", path, "--sheet", "two")[0] == 0
    code, _, err = invoke("shapes", path)
    assert code == 2
    assert "one, two" in err


def test_many_files_in_order(tmp_path: Path) -> None:
    names = []
    for n in range(7):
        claim = "claim z == z + 1" if n == 3 else "claim shape(z) == (3,)"
        names.append(str(write(tmp_path, NET + f"z = W @ x\n{claim}\n", f"n{n}.sheet")))
    result = run("check", *names)
    assert result.returncode == 1
    assert result.stderr == ""
    rows = [row for row in result.stdout.splitlines() if ".sheet" in row]
    assert [row.split(".sheet")[0][-2:] for row in rows[:7]] == [f"n{n}" for n in range(7)]
    assert "7 claims in 7 files: 6 proved, 1 refuted." in result.stdout
    data = json.loads(run("check", "--json", *names).stdout)
    assert [f["file"] for f in data["files"]] == names


COMMANDS = [
    "work",
    "check",
    "shapes",
    "forward",
    "value",
    "tree",
    "gradient",
    "step",
    "batch",
    "slow",
]


def test_help_names_every_command() -> None:
    out = invoke("--help")[1]
    for name in COMMANDS:
        assert name in out


def test_version() -> None:
    from importlib.metadata import version

    assert invoke("--version")[1] == f"main {version('backproof')}\n"
    assert run("--version").stdout == f"backproof {version('backproof')}\n"


# --- the process ---------------------------------------------------------------------------------


def test_piped_output_is_plain() -> None:
    result = run("work", str(SIAMESE))
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_an_encoding_without_our_signs() -> None:
    result = run("work", str(SIAMESE), PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert result.returncode == 0
    assert result.stdout.isascii()
    assert "3 x 4" in result.stdout
    assert result.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="a pipe of the shell")
def test_a_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m backproof work {SIAMESE} | head -n 1"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("args", "most"), [(["--help"], 0.3), (["check", str(SIAMESE)], 0.5)], ids=["help", "check"]
)
def test_starts_at_once(args: list[str], most: float) -> None:
    """The best of several, with room for a busy machine; `make bench` gives the figures."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run(*args)
        times.append(time.perf_counter() - start)
    assert min(times) < 8 * most  # benchmarks measure; this only notices a heavy import


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom backproof.cli import main\n"
        "CliRunner().invoke(main, ['--help'])\n"
        "print([m for m in ('numpy', 'rich', 'concurrent.futures') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n"
