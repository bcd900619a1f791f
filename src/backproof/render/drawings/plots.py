"""Plots: what each factor leaves of a gradient, the gradient of every layer, and the trade-off that
the weights of a loss make. Read the data of the workings of `ask slow` and `ask weights`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from backproof.render.drawings import labels as say
from backproof.render.drawings.canvas import Drawing, Path, Rect
from backproof.render.drawings.line import Line, words
from backproof.render.drawings.routes import around

SIZE = 11.5
BAR, ROW = 14.0, 24.0
WIDE = 300.0


def slow_drawing(data: Mapping[str, Any]) -> Drawing | None:
    """Bars of the factors along the path and of the layers; None where there are no numbers."""
    numbers = data.get("numbers", {})
    loss, name = data.get("loss", "L"), data.get("wrt", "")
    out = Drawing(f"How the gradient of {loss} with respect to {name} shrinks on its way", "")
    told: list[str] = []
    y = 0.0
    for path in numbers.get("factors", ())[:2]:
        rows = [
            (
                say.expression_line(f["factor"], (), SIZE, 170.0),
                f["factor"], f.get("after"), _times(f),
            )
            for f in path if f.get("after")
        ]  # fmt: skip
        if rows:
            title = f"‖gradient‖ behind each factor, from {loss} down"
            y = _bars(out, title, rows, y) + 26
            told += [f"behind {said} {_short(value)}" for _, said, value, _ in rows]
    layers = [r for r in numbers.get("layers", ()) if r.get("gradient")]
    if len(layers) > 1:
        shown = [
            (say.name_line(r["name"], 13.0), r["name"], r["gradient"], _share(r)) for r in layers
        ]
        y = _bars(out, "‖gradient‖ of every parameter, from the input up", shown, y) + 26
        told += [f"{said} {_short(value)}" for _, said, value, _ in shown]
    depth = [r for r in data.get("depth", ()) if r["slopes_at_most"]]
    if not out.texts and len({r["slopes_at_most"] for r in depth}) > 1:
        rows = [(say.name_line(r["name"], 13.0), r["name"], r["slopes_at_most"], "") for r in depth]
        _bars(out, "What the slopes let through at most, layer by layer", rows, y)
        told += [f"{said} {_short(value)}" for _, said, value, _ in rows]
    out.about = "; ".join(told) + "."
    return out if out.texts else None


def _times(factor: Mapping[str, Any]) -> str:
    before, after = factor.get("before"), factor.get("after")
    if not before or not after or not math.isfinite(after / before):
        return ""
    return f"× {after / before:.3g}"


def _share(row: Mapping[str, Any]) -> str:
    share = row["gradient"] / row["parameter"] if row.get("parameter") else None
    return f"{100 * share:.2g} % of the parameter" if share is not None else ""


def _short(value: float) -> str:
    return f"{value:.3g}"


def _bars(
    out: Drawing, title: str, rows: Sequence[tuple[Line, str, float, str]], top: float
) -> float:
    """A list of bars; on a logarithmic scale where they differ a lot. Gives back its lower end."""
    values = [value for _, _, value, _ in rows]
    least, most = min(values), max(values)
    logarithmic = most > 30 * least
    if logarithmic:
        low = math.floor(math.log10(least) - 0.3)
        high = max(math.log10(most), low + 1.0)
        title += " (logarithmic)"
    left = max(line.width for line, _, _, _ in rows)
    out.write(words(title, SIZE, bold=True), 0.0, top + SIZE, SIZE, "", "start")
    y = top + ROW
    x = left + 10
    for line, _, value, note in rows:
        share = (math.log10(value) - low) / (high - low) if logarithmic else value / most
        wide = max(2.0, WIDE * share)
        out.write(line, left, y + BAR - 3, SIZE, "", "end")
        points = [(x, y), (x + wide, y), (x + wide, y + BAR), (x, y + BAR)]
        data = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points) + "z"
        out.paths.append(Path(data, "bar", around(points)))
        said = f"{_short(value)}  {note}".rstrip()
        out.write(words(said, SIZE), x + wide + 7, y + BAR - 3, SIZE, "soft", "start")
        y += ROW
    line_end = y - ROW + BAR
    out.paths.append(Path(f"M{x:.1f} {top + ROW - 4:.1f}V{line_end + 4:.1f}", "axis",
                          Rect(x, top + ROW - 4, x, line_end + 4)))  # fmt: skip
    return line_end


def weights_drawing(data: Mapping[str, Any]) -> Drawing | None:
    """What a network is made to answer, by the probability of label 1; None without numbers."""
    losses = [x for x in data.get("losses", ()) if x.get("alpha") and x.get("beta")]
    if not losses:
        return None
    alpha, beta = losses[0]["alpha"], losses[0]["beta"]
    edge = beta / (alpha + beta)
    out = Drawing(
        "The trade-off of a weighted loss",
        f"The answer of the network against the probability of label 1, with weights {alpha:g} and "
        f"{beta:g}. The curve passes one half at probability {edge:.3g}; with equal weights it is "
        "the diagonal.",
    )
    size = 280.0

    def at(p: float, s: float) -> tuple[float, float]:
        return p * size, (1 - s) * size

    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        for ends in ((at(share, 0), at(share, 1)), (at(0, share), at(1, share))):
            _line(out, ends, "grid" if share else "axis")
        x, y = at(share, 0)
        out.write(words(f"{share:g}", SIZE), x, y + 17, SIZE, "soft")
        x, y = at(0, share)
        out.write(words(f"{share:g}", SIZE), x - 8, y + 4, SIZE, "soft", "end")
    _line(out, (at(0, 0), at(1, 1)), "dashed")
    steps = [k / 60 for k in range(61)]
    curve = [at(p, alpha * p / (alpha * p + beta * (1 - p))) for p in steps]
    _line(out, curve, "curve")
    _line(out, (at(edge, 0), at(edge, 0.5), at(0, 0.5)), "back")
    x, y = at(edge, 0.5)
    out.marks.append(Path(f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", "dot",
                          Rect(x - 4, y - 4, x + 4, y + 4)))  # fmt: skip
    middle = size / 2
    out.write(words("probability of label 1", SIZE), middle, size + 38, SIZE)
    out.write(words("answer of the network", SIZE), -34, -14, SIZE, "", "start")
    y = size + 62
    for style, said in (
        ("curve", f"α = {alpha:g}, β = {beta:g}"),
        ("dashed", "equal weights: the answer is the probability"),
        ("back", f"deciding at 1/2 is deciding at {edge:.3g}"),
    ):
        _line(out, ((0.0, y - 4), (26.0, y - 4)), style)
        out.write(words(said, SIZE), 34.0, y, SIZE, "", "start")
        y += 18
    return out


def _line(out: Drawing, points: Sequence[tuple[float, float]], style: str) -> None:
    data = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
    out.paths.append(Path(data, style, around(points)))
