"""A finished run as text and pictures: results, losses, what slows each layer, reconstructions."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backproof.engine.charts import line_chart, pictures_svg, pictures_text, spark

if TYPE_CHECKING:
    from backproof.engine.runs import RunFolder
    from backproof.engine.training import Trained

Array = Any
Series = dict[str, list[tuple[float, float]]]
SHOWN = 8  # pictures of a row
WORDS = {"accuracy": "accuracy", "r2": "R²", "reconstruction": "variance reconstructed"}


def result_lines(trained: Trained, pictures: bool = False) -> list[str]:
    """The report: what was reached on every split, and how the epochs went."""
    options = trained.options
    taken = trained.history[-1]["epoch"] if trained.history else 0
    many = "iterations" if options.optimizer in ("lbfgs", "newton") else "epochs"
    batches = many == "epochs" and trained.task.samples is not None
    lines = [
        f"{options.optimizer}, rate {options.rate:g}"
        + (f" ({options.schedule})" if options.schedule != "constant" else "")
        + (f", batch {options.batch}" if batches else ", all samples a step")
        + f", seed {options.seed}, {options.dtype}; "
        f"{taken} {many} in {trained.seconds:.2f} s",
        f"engine {trained.engine} ({trained.why})",
        trained.stopped + ".",
        "",
    ]
    measure = trained.measure
    head = f"{'split':<12}{'samples':>8}  {'loss':>10}"
    more = [k for k in next(iter(trained.results.values())) if k in ("recall", "precision")]
    lines.append(head + "".join(f"  {w}" for w in [WORDS.get(measure, ""), *more] if w))
    for part, found in trained.results.items():
        line = f"{part:<12}{trained.task.count(part):>8}  {found['loss']:>10.5g}"
        line += f"  {found[measure]:<{len(WORDS[measure])}.4f}" if measure else ""
        lines.append((line + "".join(f"  {found[k]:<{len(k)}.3f}" for k in more)).rstrip())
    losses = [r["loss"] for r in trained.history]
    if len(losses) > 1:
        lines += ["", f"loss        {spark(losses)}  {losses[0]:.4g} → {losses[-1]:.4g}"]
        values = [r["validation_loss"] for r in trained.history if "validation_loss" in r]
        if values:
            lines.append(f"validation  {spark(values)}  {values[0]:.4g} → {values[-1]:.4g}")
    lines += slow_lines(trained)
    return lines


def slow_lines(trained: Trained) -> list[str]:
    """Which layer's gradient is small, and which factor on the way to the input makes it so."""
    records = [r for r in trained.history if "gradients" in r]
    if not records:
        return []
    lines = ["", "norm of the gradient of every parameter, over the epochs (logarithmic)"]
    wide = max(len(n) for n in records[0]["gradients"])
    for name in records[0]["gradients"]:
        values = [r["gradients"][name] for r in records]
        own = records[-1]["parameters"].get(name, 0.0)
        share = f", {_percent(values[-1] / own)} of ‖{name}‖" if own else ""
        lines.append(f"  {name:<{wide}}  {spark(values, 32, True):<32}  {values[0]:.3g} → "
                     f"{values[-1]:.3g}{share}")  # fmt: skip
    factors = {k: v for k, v in records[-1].get("factors", {}).items() if not k.startswith("error")}
    if len(factors) > 1:
        lines += ["", "what each factor lets through, from the loss down to the first layer"]
        wide = max(len(n) for n in factors)
        for name, last in factors.items():
            values = [r["factors"][name] for r in records if name in r.get("factors", {})]
            lines.append(f"  {name:<{wide}}  {spark(values, 32, True):<32}  × {values[0]:.3g} → × "
                         f"{last:.3g}")  # fmt: skip
        least = min(factors, key=lambda n: factors[n])
        lines.append(f"  The least gets through {least}: × {factors[least]:.3g}.")
    return lines


def plots(trained: Trained) -> dict[str, str]:
    """File name -> SVG."""
    history, measure = trained.history, trained.measure
    found = {"loss.svg": line_chart("Loss", _series(history, {
        "training (mean of the steps)": "loss", "validation": "validation_loss"}))}  # fmt: skip
    if measure:
        found["quality.svg"] = line_chart(
            WORDS[measure].capitalize(),
            _series(history, {"training": measure, "validation": f"validation_{measure}"}),
        )
    records = [r for r in history if "gradients" in r]
    if records:
        loss = trained.task.loss
        series = {f"‖∂{loss}/∂{n}‖": [(float(r["epoch"]), r["gradients"][n]) for r in records]
                  for n in records[0]["gradients"]}  # fmt: skip
        series |= {f"‖∂{loss}/∂{n}‖ (layer)": [(float(r["epoch"]), r["layers"][n]) for r in records]
                   for n in records[0]["layers"]}  # fmt: skip
        found["gradients.svg"] = line_chart("Norm of the gradient, layer by layer", series,
                                            logarithmic=True)  # fmt: skip
        factors = [k for k in records[-1].get("factors", {}) if not k.startswith("error")]
        if factors:
            lines = {k: [(float(r["epoch"]), r["factors"][k]) for r in records
                         if k in r.get("factors", {})] for k in factors}  # fmt: skip
            found["factors.svg"] = line_chart(
                "What each factor of the first layer's gradient lets through", lines,
                logarithmic=True,
            )  # fmt: skip
    return found


def _series(history: list[dict[str, Any]], names: Mapping[str, str]) -> Series:
    found = {
        said: [(float(r["epoch"]), float(r[key])) for r in history if key in r]
        for said, key in names.items()
    }
    return {said: points for said, points in found.items() if points}


def reconstructions(trained: Trained) -> list[tuple[str, Array]]:
    """Pictures of the last split and what the network makes of them, black as 1."""
    task = trained.task
    if trained.measure != "reconstruction" or task.image is None or trained.output is None:
        return []
    part = list(task.parts)[-1] if "test" not in task.parts else "test"
    name = trained.output.target
    seen, made = task.parts[part][name][:SHOWN], trained.outputs(part)[:SHOWN]
    middle, spread = task.scalers.get(name, (0.0, 1.0))
    both = [np.asarray(a).reshape(len(a), -1) * spread + middle for a in (seen, made)]
    most = float(both[0].max()) or 1.0
    return [("picture", both[0] / most), ("reconstructed", both[1] / most)]


def write_report(trained: Trained, folder: RunFolder) -> None:
    """Everything that a finished run leaves in its folder."""
    for name, svg in plots(trained).items():
        folder.write(name, svg)
    lines = result_lines(trained)
    rows = reconstructions(trained)
    if rows and trained.task.image is not None:
        shape = trained.task.image
        text = pictures_text(rows, shape)
        folder.write("reconstructions.svg", pictures_svg(
            f"Reconstructions: {trained.results[list(trained.results)[-1]]['reconstruction']:.1%} "
            "of the variance", rows, shape))  # fmt: skip
        folder.write("reconstructions.txt", text)
        lines += ["", pictures_text([(n, a[:4]) for n, a in rows], shape).rstrip()]
    folder.write("report.txt", "\n".join([*trained.said, "", *lines]) + "\n")
    out = io.BytesIO()
    np.savez(out, **trained.parameters)
    folder.write("parameters.npz", out.getvalue())
    result = {
        "stopped": trained.stopped, "results": trained.results, "engine": trained.engine,
        "seconds": trained.seconds, "epochs": len(trained.history), "lines": lines,
        "said": trained.said,
    }  # fmt: skip
    folder.write("result.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def _percent(share: float) -> str:
    """A share in two digits, written out up to a million: 0.43 %, 9 %, 910 %."""
    value = 100 * share
    short = f"{value:.2g}"
    return f"{float(short):.0f} %" if 99 <= value < 1e6 else f"{short} %"
