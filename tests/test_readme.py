"""The excerpt in the README is what the program really answers."""

from __future__ import annotations

import re
from pathlib import Path

from backproof.render.document import report_lines
from backproof.render.lines import plain
from backproof.working.report import work_file

ROOT = Path(__file__).resolve().parent.parent


def test_the_excerpt_is_real() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    excerpt = re.search(r"^```text\n(ask tree L\n.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert excerpt is not None
    real = plain(report_lines(work_file(ROOT / "examples" / "siamese.sheet")))
    at = 0
    for part in excerpt[1].split("\n…\n"):  # what is left out
        found = real.find(part.strip("\n"), at)
        assert found >= 0, f"`backproof work examples/siamese.sheet` does not say:\n{part}"
        at = found + len(part)
