"""Times the deriving, the judging and the command line, with ratios to peers in the same run.

`python -m benchmarks` (or `make bench`). Ours and the peer's gradients are compared first, so that
the figures are about the same thing. `python -m benchmarks deriving` and `engine` run one half,
`serve` times the live page, `pages` pages, prints and drawings, and `docs` puts the last run's
table into docs/performance.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tests.strategies import dense_networks

from backproof.calculus.model import Model, build_model
from backproof.calculus.points import draw_points
from backproof.errors import Source
from backproof.language.sheet import Sheet, parse_sheet
from backproof.operators.node import Node
from benchmarks import peers
from benchmarks.lines import Line, markdown
from benchmarks.report import refresh_docs, write
from benchmarks.timing import Row, medians, prepared, seconds, table

ROOT = Path(__file__).resolve().parent.parent
SIAMESE = ROOT / "examples" / "siamese.sheet"
CASES = ROOT / "tests" / "cases"
RUNS = 9
CLASSIFIER = """
given x in R[50]
given y in onehot[10]
learn W1 in R[64, 50], b1 in R[64]
learn W2 in R[10, 64], b2 in R[10]
z1 = W1 @ x + b1
a1 = tanh(z1)
z2 = W2 @ a1 + b2
L = cross_entropy(softmax(z2), y)
"""


def sheet_of(text: str) -> Sheet:
    return parse_sheet(Source("benchmark.sheet", text))


def gradients(model: Model) -> dict[str, Node]:
    """Every parameter gradient of the sheet's L."""
    loss = model.leaves["L"]
    return {name: model.deriver.gradient(loss, name) for name in model.learned}


def same_gradients(model: Model, loss: peers.Loss) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters, data) at a random point, after checking that both derive the same there."""
    import jax

    (point,) = draw_points(model, 1)
    params = {n: point.floats[n] for n in model.learned}
    data = {n: a for n, a in point.floats.items() if n not in params}
    run = point.evaluator(model, exact=False)
    theirs = jax.grad(lambda p: loss(p, data))(params)  # compiling 1000 layers takes a minute
    for name, node in gradients(model).items():
        np.testing.assert_allclose(run.value(node), theirs[name], rtol=1e-6, atol=1e-9)
    return params, data


def against_jax(what: str, text: str, loss: peers.Loss, goal: float, runs: int = RUNS) -> Row:
    """Deriving every parameter gradient, against JAX tracing them."""
    sheet = sheet_of(text)
    params, data = same_gradients(build_model(sheet), loss)
    ours, theirs = medians(
        [
            prepared(lambda: build_model(sheet), gradients, runs),
            lambda: peers.trace_gradients(loss, params, data),
        ],
        runs,
    )
    return Row(what, ours, goal, ("jax.make_jaxpr(grad)", theirs))


def against_sympy(ours: float) -> Row:
    what = "  the same, against SymPy on scalar entries"
    derive = peers.sympy_siamese()
    if derive is None:
        return Row(what, ours, None, "SymPy is not installed")
    return Row(what, ours, None, ("sympy.diff", seconds(derive)))


def against_tensorgrad(ours: float) -> Row:
    what = "  the same, against tensorgrad (goal ≥ 50×)"
    derive = peers.tensorgrad_siamese()
    if derive is None:
        return Row(what, ours, None, "tensorgrad is not installed")
    theirs = seconds(derive)
    return Row(what, ours, theirs / 50, ("tensorgrad", theirs))


def deriving() -> list[Row]:
    siamese = against_jax(
        "derive all gradients: Siamese", SIAMESE.read_text(), peers.siamese, 0.005
    )
    rows = [siamese, against_sympy(siamese.ours), against_tensorgrad(siamese.ours)]
    deep = [
        against_jax(
            f"derive all gradients: MLP of {n} layers", dense_networks(n), peers.dense(n), g, r
        )
        for n, g, r in ((100, 0.1, RUNS), (1000, 1.0, 3))
    ]
    ratio = deep[1].ours / deep[0].ours
    return [*rows, *deep, Row("  time(1000)/time(100)", ratio, 12, unit="×"), hessian()]


def hessian() -> Row:
    sheet = sheet_of(CLASSIFIER)
    params, data = same_gradients(build_model(sheet), peers.classifier)
    ours, theirs = medians(
        [
            prepared(
                lambda: build_model(sheet),
                lambda m: m.deriver.hessian(m.leaves["L"], "W1"),
                RUNS,
            ),
            lambda: peers.trace_hessian(peers.classifier, params, "W1", data),
        ],
        RUNS,
    )
    what = "derive the Hessian of a 50-64-10 MLP's loss in W1"
    return Row(what, ours, 1.0, ("jax.make_jaxpr(hessian)", theirs))


def reading() -> list[Row]:
    text, deep = SIAMESE.read_text(), dense_networks(1000)
    parsed = medians([lambda: sheet_of(text), lambda: sheet_of(deep)], RUNS)
    small, large = sheet_of(text), sheet_of(deep)
    built = medians([lambda: build_model(small), lambda: build_model(large)], RUNS)
    return [
        Row("parse: Siamese sheet", parsed[0]),
        Row("parse: MLP of 1000 layers", parsed[1]),
        Row("shapes of everything: Siamese sheet", built[0]),
        Row("shapes of everything: MLP of 1000 layers", built[1]),
    ]


def judging() -> list[Row]:
    """Claims of the test cases, in process and on one core."""
    from backproof.working.claims import Judge

    if not (CASES / "manifest.json").exists():
        return []
    sheets = json.loads((CASES / "manifest.json").read_text())["sheets"]
    texts = [(CASES / s["file"]).read_text() for s in sheets]
    times: list[float] = []
    start = time.perf_counter()
    for text in texts:
        model = build_model(sheet_of(text))
        judge = Judge(model)
        for claim in model.sheet.claims:
            times.append(seconds_of(judge, claim))
    total = time.perf_counter() - start
    return [
        Row(f"median claim of {len(times)} in tests/cases", median(times), 0.02),
        Row("claims a second, one core", len(times) / total, 50, unit="/s", at_least=True),
    ]


def seconds_of(judge: Any, claim: Any) -> float:
    start = time.perf_counter()
    judge.claim(claim)
    return time.perf_counter() - start


def processes() -> list[Row]:
    """Whole processes, from the start of Python to the exit."""

    def run(*args: str) -> Any:
        return lambda: subprocess.run(args, check=True, capture_output=True, cwd=ROOT)

    script = Path(sys.executable).with_name("backproof")
    ours = [str(script)] if script.exists() else [sys.executable, "-m", "backproof"]
    tasks = [
        run(*ours, "check", str(SIAMESE)),
        run(*ours, "--help"),
        run(sys.executable, "-c", "import numpy"),
        run(sys.executable, "-c", "import jax"),
    ]
    try:
        tasks[0](), tasks[1]()
    except subprocess.CalledProcessError as error:
        print(f"The command line was not measured: {error.stderr.decode()[-300:].strip()}")
        return []
    check, usage, numpy, jax = medians(tasks, 5)
    return [
        Row("backproof check examples/siamese.sheet", check, 0.5, ("import jax", jax)),
        Row("backproof --help", usage, 0.3, ("import numpy", numpy)),
    ]


def main() -> int:
    """Prints the tables and writes them with a plot; 1 when a goal was missed."""
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    if part == "docs":
        return refresh_docs()
    if part in ("serve", "pages"):
        if part == "serve":
            from benchmarks.serve import rows as measured
        else:
            from benchmarks.pages import rows as measured
        served = measured()
        print(table(served))
        return 0 if all(r.met for r in served) else 1
    begun = time.perf_counter()
    rows: list[Row] = []
    engines: list[Line] = []
    if part != "engine":
        for measure in (deriving, reading, judging, processes):
            rows += measure()
        print(table(rows), end="\n\n", flush=True)
    if part != "deriving":
        from benchmarks.engines import lines

        engines = lines()
        print(markdown(engines), end="\n\n", flush=True)
    files = write(rows, engines, part)
    missed = [x.what for x in engines if x.verdict == "missed"] + [
        r.what for r in rows if not r.met
    ]
    print(f"{len(missed)} goals were missed: {'; '.join(missed)}" if missed else "All goals met.")
    print(f"Written in {time.perf_counter() - begun:.0f} s: {', '.join(map(str, files))}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
