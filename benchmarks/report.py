"""What a run of the benchmarks leaves behind: a table, a plot, and the table of the docs.

build/benchmarks.md, .json, .svg        docs/performance.md, between its two marks
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.lines import Line, markdown, times
from benchmarks.timing import Row, table

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
DOCS = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- table: make bench-docs -->", "<!-- end of table -->"
LIBRARIES = ("numpy", "scipy", "jax", "numba", "torch", "scikit-learn", "sympy", "tensorgrad")


def conditions() -> str:
    """The machine and the versions, in a sentence or two."""
    found = []
    for library in LIBRARIES:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            found.append(f"{library} not installed")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    return (
        f"{day}, {os.cpu_count()} cores ({platform.machine()}), no GPU used, load {load:.1f} at "
        f"the end; Python {platform.python_version()}, {', '.join(found)}."
    )


def write(rows: Sequence[Row], lines: Sequence[Line], part: str = "") -> list[Path]:
    """The table and the plot of a run, or of a part of one; gives back where they are."""
    BUILD.mkdir(exist_ok=True)
    said = conditions()
    text = "\n".join([
        "# Benchmarks", "", said, "", "## Deriving, judging, the command line", "", "```text",
        table(rows), "```", "", "## Engines", "", markdown(lines), "",
    ])  # fmt: skip
    data = {"conditions": said, "rows": [{**asdict(r), "met": r.met} for r in rows],
            "lines": [{**asdict(x), "verdict": x.verdict} for x in lines]}  # fmt: skip
    files = {"md": text, "json": json.dumps(data, indent=1, ensure_ascii=False) + "\n",
             "svg": plot(lines)}  # fmt: skip
    stem = f"benchmarks-{part}" if part else "benchmarks"  # the docs take whole runs only
    for kind, content in files.items():
        (BUILD / f"{stem}.{kind}").write_text(content, encoding="utf-8")
    return [BUILD / f"{stem}.{kind}" for kind in files]


def plot(lines: Sequence[Line]) -> str:
    """The ratios as bars on a logarithmic scale, the goals as marks on them."""
    shown = [x for x in lines if x.ratio is not None]
    left, wide, high = 430, 420, 17
    most = max([10.0, *(x.ratio or 1 for x in shown), *(x.goal or 1 for x in shown)])
    top = math.ceil(math.log10(most))
    groups = list(dict.fromkeys(x.group for x in shown))
    total = 60 + high * len(shown) + 26 * len(groups)

    def at(ratio: float) -> float:
        return left + wide * (math.log10(max(ratio, 0.5)) + 0.3) / (top + 0.3)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + wide + 90} {total}" '
        f'width="{left + wide + 90}" role="img" aria-label="How many times faster than the peer">',
        "<title>How many times faster than the peer</title>",
        "<style>text{font:12px system-ui,sans-serif;fill:#222}.h{font-weight:600}"
        ".g{stroke:#999;stroke-width:.6}.m{fill:#3465a4}.x{fill:#c4572c}.n{fill:#8a8f98}"
        ".goal{stroke:#111;stroke-width:2}svg{background:#fff}"
        "@media(prefers-color-scheme:dark){svg{background:#181818}text{fill:#ddd}"
        ".goal{stroke:#fff}.g{stroke:#555}}</style>",
        '<text class="h" x="8" y="18">Times faster than the peer, same run (logarithmic); '
        "| is the goal</text>",
    ]  # fmt: skip
    for k in range(top + 1):
        x0 = at(10**k)
        out.append(
            f'<path class="g" d="M{x0:.1f} 44V{total - 6}"/>'
            f'<text x="{x0:.1f}" y="38" text-anchor="middle">{10**k}×</text>'
        )
    y = 48.0
    for group in groups:
        y += 20
        out.append(f'<text class="h" x="8" y="{y - 2:g}">{escape(group)}</text>')
        y += 6
        for x in (x for x in shown if x.group == group):
            ratio = x.ratio or 0.0
            kind = {"met": "m", "missed": "x"}.get(x.verdict, "n")
            length = max(1.0, at(ratio) - at(0.5))
            said = times(ratio) + (" missed" if x.verdict == "missed" else "")
            out.append(f'<text x="{left - 6}" y="{y + 11:g}" text-anchor="end">'
                       f'{escape(x.what.strip())}</text><rect class="{kind}" x="{at(0.5):.1f}" '
                       f'y="{y + 2:g}" width="{length:.1f}" height="{high - 5}"/>')  # fmt: skip
            if x.goal:
                out.append(f'<path class="goal" d="M{at(x.goal):.1f} {y:g}v{high - 1}"/>')
            end = max(at(ratio), at(x.goal) if x.goal and x.goal > ratio else 0) + 5
            out.append(f'<text x="{end:.1f}" y="{y + 11:g}">{said}</text>')
            y += high
    return "\n".join([*out, "</svg>"]) + "\n"


def refresh_docs() -> int:
    """Puts the table of the last run into the docs."""
    source = BUILD / "benchmarks.json"
    if not source.is_file():
        print(f"{source} is not there; run make bench first.", file=sys.stderr)
        return 2
    data = json.loads(source.read_text("utf-8"))
    lines = [Line(**{k: v for k, v in x.items() if k != "verdict"}) for x in data["lines"]]
    rows = [
        Row(**{k: tuple(v) if isinstance(v, list) else v for k, v in r.items() if k != "met"})
        for r in data["rows"]
    ]
    text = DOCS.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or not after:
        print(f"{DOCS} has no marks {BEGIN} … {END}.", file=sys.stderr)
        return 2
    table_of_rows = f"```text\n{table(rows)}\n```"
    middle = f"\n{data['conditions']}\n\n{markdown(lines)}\n\n{table_of_rows}\n"
    DOCS.write_text(f"{before}{BEGIN}{middle}{END}{after}", encoding="utf-8")
    print(f"The table of {DOCS.relative_to(ROOT)} is that of the last run.")
    return 0
