"""A sheet as a stand-alone source file: forward and backward, with the derivation in comments."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backproof.calculus.model import Model
from backproof.engine.expressions import RULES, Dialect
from backproof.engine.program import VALUE, Program, gradient_program
from backproof.engine.source import Line, Written, ordered, write
from backproof.engine.torch_rules import HELPERS, TORCH_RULES
from backproof.errors import BackproofError, InternalContradiction, NotAvailable
from backproof.operators.dims import SCALAR, paper_shape

TARGETS = ("numpy", "jax", "torch", "latex")
MOST_EQUATIONS = 60  # of a sheet whose gradients are still explained line by line
IMPORTS = {
    "np": "import numpy as np\n",
    "jnp": "import jax\nimport jax.numpy as jnp\n",
    "torch": "import torch\n",
}
TORCH_WORDS: dict[str, Any] = {"axis": "dim", "keep": "keepdim", "made": ", dtype=torch.float64",
               "truth": "{}.double()"}  # fmt: skip
MODULES = {"numpy": "np", "jax": "jnp", "torch": "torch"}
NAMES = {"np": "NumPy", "jnp": "JAX", "torch": "PyTorch"}


def export(model: Model, to: str, target: str | None = None) -> str:
    """The text of a file that computes the loss and every gradient.

    to       "numpy", "jax", "torch" or "latex"
    target   what is differentiated; the loss, where left out
    """
    if to not in TARGETS:
        raise BackproofError(
            f"There is no export to '{to}'.", hint=f"exports are {', '.join(TARGETS)}"
        )
    if target is None:
        from backproof.working.answer import require_loss

        target = require_loss(model)
    wrt = _reached(model, target)
    if to == "latex":
        return _latex(model, target, wrt)
    return _module(model, target, wrt, MODULES[to])


def _reached(model: Model, target: str) -> tuple[str, ...]:
    """What is learned and has an influence on the target."""
    node = model.leaves.get(target)
    if node is None:
        return model.learned
    below = model.depends_on(node)
    return tuple(n for n in model.learned if n in below)


def _module(model: Model, target: str, wrt: Sequence[str], xp: str) -> str:
    program = gradient_program(model, target, wrt)
    rules = TORCH_RULES if xp == "torch" else RULES
    words = TORCH_WORDS if xp == "torch" else {}
    dialect = replace(Dialect(xp, rules, model.number_sizes()), **words)
    written = write(program, dialect)
    parts = [_title(model, target, wrt, xp), _imports(dialect)]
    parts += [HELPERS[xp][name] for name in HELPERS[xp] if name in dialect.helpers]
    parts.append(_function(model, program, written, dialect, target))
    head = "\n".join(part.rstrip("\n") + "\n" for part in parts[:2])
    return "\n\n".join([head, *(part.rstrip("\n") + "\n" for part in parts[2:])])


def _imports(dialect: Dialect) -> str:
    first = "import math\n\n" if "erf" in dialect.helpers and dialect.xp == "np" else ""
    return first + IMPORTS[dialect.xp]


def _title(model: Model, target: str, wrt: Sequence[str], xp: str) -> str:
    title = model.sheet.title or "A network"
    lines = [f'"""{title.rstrip(".")}: {target} and its gradients, in {NAMES[xp]}.', ""]
    lines += [f"Written by backproof from this sheet; gradients by {', '.join(wrt) or 'nothing'}."]
    lines.append("")
    text = model.sheet.source.slice(model.sheet.region).strip("\n")
    lines += [f"    {line}".rstrip() for line in text.split("\n")]
    return "\n".join(lines).replace("\\", "\\\\") + '\n"""\n'


def _function(
    model: Model, program: Program, written: Written, dialect: Dialect, target: str
) -> str:
    xp = dialect.xp
    given = ", ".join(written.arguments.values())
    lines = [f"def value_and_gradients({given}):"]
    wrt = [n for n in program.outputs if n != VALUE]
    lines.append(f'    """({target}, {{name: gradient}}), each gradient in the shape of its name.')
    lines.append("")
    shapes = program.shapes
    width = max((len(w) for w in written.arguments.values()), default=0)
    for name, word in written.arguments.items():
        dims = paper_shape(shapes[name])
        shown = "a number" if not dims else " × ".join(map(str, dims))
        role = "given" if name in model.sheet.given else "learned"
        lines.append(f"    {word.ljust(width)}  {shown}, {role}")
    lines.append('    """')
    body = _entrance(program, written, dialect, wrt)
    body += _forward(model, written, target)
    body += _backward(model, written, target, wrt)
    body += _exit(program, written, xp, wrt)
    return "\n".join([*lines, *(f"    {line}".rstrip() for line in body)]) + "\n"


def _entrance(
    program: Program, written: Written, dialect: Dialect, wrt: Sequence[str]
) -> list[str]:
    """Arrays in double precision and in their shapes; sizes that are used below."""
    xp, shapes = dialect.xp, program.shapes
    cast = {"np": "np.asarray({}, dtype=float)", "jnp": "jnp.asarray({}, dtype=float)",
            "torch": "torch.as_tensor({}, dtype=torch.float64)"}[xp]  # fmt: skip
    learned = [n for n in wrt if n in written.arguments]
    lines = []
    if learned:
        size = {"np": "np.shape({})", "jnp": "jnp.shape({})",
                "torch": "torch.as_tensor({}).shape"}[xp]  # fmt: skip
        lines += [
            "shapes = {",
            *(f'    "{n}": {size.format(written.arguments[n])},' for n in learned),
            "}",
        ]
    found: dict[str, str] = {}
    for name, word in written.arguments.items():
        shape = shapes[name]
        known = [d.as_int() for d in shape]
        if shape == SCALAR:
            where = "()"
        elif sum(k is None for k in known) <= 1:
            where = "(" + ", ".join("-1" if k is None else str(k) for k in known) + ")"
        else:
            where = ""
        text = cast.format(word)
        lines.append(f"{word} = {text}{f'.reshape({where[1:-1] or where})' if where else ''}")
        for axis, d in enumerate(shape):
            size_name = d.as_name()
            if size_name is not None:
                found.setdefault(size_name, f"{word}.shape[{axis}]")
    for size_name in dialect.dims:
        if size_name not in found:
            raise NotAvailable(
                f"the size {size_name} is no axis of an argument, so the file cannot tell it.",
                hint=f"give it a number in the sheet: let {size_name} = …",
            )
        lines.append(f"{size_name} = {found[size_name]}")
    return lines


def _forward(model: Model, written: Written, target: str) -> list[str]:
    lines = ["", "# Forward"]
    for line in ordered(written.lines):
        if not line.gradient:
            lines += _wrapped(f"{line.name} = {line.text}")
    if written.results[VALUE] != target:
        lines += _wrapped(f"value = {written.results[VALUE]}")
        written.results[VALUE] = "value"
    return lines


def _backward(model: Model, written: Written, target: str, wrt: Sequence[str]) -> list[str]:
    if not wrt:
        return []
    said = derivation(model, target, wrt)
    lines = ["", "# Backward"]
    labels = {f"d{name}": name for name in model.leaves}
    for line in written.lines:
        if line.gradient:
            name = labels.get(line.name, "")
            lines += _comment(said, target, name, line)
            lines += _wrapped(f"{line.name} = {line.text}")
    return lines


def _comment(said: Mapping[str, str], target: str, name: str, line: Line) -> list[str]:
    text = said.get(name, "")
    if not text:
        return []
    return [f"# {row}" for row in textwrap.wrap(text, 92)]


def derivation(model: Model, target: str, wrt: Sequence[str]) -> dict[str, str]:
    """Name -> the line of the gradient working that its gradient ends in."""
    if len(model.definitions) > MOST_EQUATIONS:
        return {}
    from backproof.working.gradient import gradient_working

    said: dict[str, str] = {}
    for name in wrt:
        if name not in model.declared:
            continue
        try:
            working = gradient_working(model, target, name)
        except InternalContradiction:
            raise
        except BackproofError:  # a gradient that cannot be told in words has no comment
            continue
        for step in working.steps:
            prefix = f"∂{target}/∂"
            if step.label.startswith(prefix) and step.text.startswith(f"{step.label} = "):
                of = step.label.removeprefix(prefix)
                if step.kind in ("local", "result", "equation") and of in model.leaves:
                    said[of] = step.text
    return said


def _exit(program: Program, written: Written, xp: str, wrt: Sequence[str]) -> list[str]:
    lines = [""]
    if not wrt:
        return [*lines, f"return {written.results[VALUE]}, {{}}"]
    lines.append("gradients = {")
    for name in wrt:
        text = written.results[name]
        if name in written.arguments:
            if program.outputs[name].fill is not None and xp == "torch":
                text = f"torch.as_tensor({text})"
            text = f'{xp}.reshape({text}, shapes["{name}"])'
        lines.append(f'    "{name}": {text},')
    return [*lines, "}", f"return {written.results[VALUE]}, gradients"]


def _wrapped(text: str, width: int = 96) -> list[str]:
    """A statement over lines of its own where it is long and has brackets to break in."""
    if len(text) <= width or " = " not in text:
        return [text]
    name, _, rest = text.partition(" = ")
    rows = textwrap.wrap(rest, width - 8, break_long_words=False, break_on_hyphens=False)
    return [f"{name} = (", *(f"    {row}" for row in rows), ")"]


def _latex(model: Model, target: str, wrt: Sequence[str]) -> str:
    from backproof.render.latex import standalone, working_fragment
    from backproof.working.answer import answer_question

    asked = ["forward", *(f"gradient {target} wrt {name}" for name in wrt)]
    parts = [working_fragment(answer_question(model, question)) for question in asked]
    return standalone(model.sheet.title, "\n\n".join(parts))
