"""A sheet as a stand-alone source file: forward and backward, with the derivation in comments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backproof.calculus.model import Model
from backproof.engine.expressions import RULES, Dialect, plain
from backproof.engine.program import VALUE, Program, gradient_program
from backproof.engine.rewrites import Rewriter, Rule
from backproof.engine.source import Written, identifiers, write
from backproof.engine.torch_rules import HELPERS, TORCH_RULES
from backproof.errors import BackproofError, InternalContradiction, NotAvailable
from backproof.operators.dims import ONE, SCALAR, Shape, paper_shape
from backproof.operators.node import Node, postorder

TARGETS = ("numpy", "jax", "torch", "latex")
MOST_EQUATIONS = 60  # of a sheet whose gradients are still explained line by line
IMPORTS = {
    "np": "import numpy as np\n",
    "jnp": "import jax.numpy as jnp\n",
    "torch": "import torch\n",
}
TORCH_WORDS: dict[str, Any] = {"axis": "dim", "keep": "keepdim", "made": ", dtype=torch.float64",
               "truth": "{}.double()"}  # fmt: skip
READABLE = (  # the same to the last digits, and closer to what is written by hand
    Rule("(1/c)*a", "a/c"),
    Rule("(k/c)*a", "k*a/c", lambda r, b: b["k"].fill is not None and b["k"].is_number),
    Rule("c*(k*a)", "(k*c)*a", lambda r, b: (
        b["k"].fill is not None and b["k"].is_number and b["c"].is_number and b["c"].fill is None)),
    Rule("(A.T @ B).T", "B.T @ A", lambda r, b: _matrices(b)),
    Rule("(A @ B.T).T", "B @ A.T", lambda r, b: _matrices(b)),
)  # fmt: skip
SAFE = ("softplus", "logsumexp", "softmax", "sigmoid", "tanh", "exp", "relu")
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


def _matrices(bound: Mapping[str, Any]) -> bool:
    return len(bound["A"].shape) == len(bound["B"].shape) == 2


def _module(model: Model, target: str, wrt: Sequence[str], xp: str) -> str:
    program = _readable(gradient_program(model, target, wrt))
    rules = TORCH_RULES if xp == "torch" else RULES
    words = TORCH_WORDS if xp == "torch" else {}
    dialect = Dialect(xp, rules, model.number_sizes(), entry="{text}[0, 0]", digits=12)
    dialect = replace(dialect, **words)
    order, forward = _order(model, program, wrt)
    labels = {k: v for k, v in program.labels.items() if k not in forward or v in model.definitions}
    program = replace(program, labels={**labels, **_zeros(program, labels, wrt)})
    written = write(program, dialect, order)
    function = _function(model, program, written, dialect, target)
    code = [HELPERS[xp][name] for name in HELPERS[xp] if name in dialect.helpers]
    code.append(function)
    parts = [_title(model, target, wrt, xp), _imports(dialect, "".join(code)), *code]
    head = "\n".join(part.rstrip("\n") + "\n" for part in parts[:2])
    return "\n\n".join([head, *(part.rstrip("\n") + "\n" for part in parts[2:])])


def _readable(program: Program) -> Program:
    """The program with what has a simpler form for a reader in it."""
    rewriter = Rewriter(program.graph, READABLE, {}, {})
    outputs = {name: rewriter(node) for name, node in program.outputs.items()}
    below = {n.id for n in postorder(outputs.values())}
    labels: dict[int, str] = {}
    for node in program.order:
        new = rewriter(node)
        if node.id in program.labels and new.id in below and new.name is None:
            labels.setdefault(new.id, program.labels[node.id])
    return replace(program, outputs=outputs, labels=labels)


def _zeros(program: Program, labels: Mapping[int, str], wrt: Sequence[str]) -> dict[int, str]:
    """Names for gradients that are the same number everywhere."""
    taken = {*labels.values(), *program.inputs}
    found: dict[int, str] = {}
    for name in wrt:
        node = program.outputs[name]
        if node.fill is not None and not node.is_number and f"d{name}" not in taken:
            found.setdefault(node.id, f"d{name}")
    return found


def _order(model: Model, program: Program, wrt: Sequence[str]) -> tuple[list[Node], frozenset[int]]:
    """(the nodes as a person would write them, those of the forward part).

    Equations as in the sheet, then the gradients from the last equation back, each parameter's
    as soon as what it is made of is there.
    """
    by_label = {program.labels[n.id]: n for n in program.order if n.id in program.labels}
    order: list[Node] = []
    seen: set[int] = set()

    def visit(root: Node) -> None:
        for node in postorder([root]):
            if node.id not in seen:
                seen.add(node.id)
                order.append(node)

    for name in model.definitions:
        if name in by_label:
            visit(by_label[name])
    visit(program.outputs[VALUE])
    forward = frozenset(seen)
    left = [n for n in wrt if program.outputs[n].id not in seen]
    named = [f"d{name}" for name in reversed(model.definitions)]
    for label in [*(n for n in named if n in by_label and n[1:] not in wrt), ""]:
        if label:
            visit(by_label[label])
        for name in list(left):
            parts = postorder([program.outputs[name]])[:-1]
            if not label or all(n.id in seen for n in parts if n.id in program.labels):
                visit(program.outputs[name])
                left.remove(name)
    return order, forward


def _imports(dialect: Dialect, code: str) -> str:
    used = set(re.findall(r"\b(math|jax)\.", code))
    first = "import math\n\n" if "math" in used else ""
    return first + ("import jax\n" if "jax" in used else "") + IMPORTS[dialect.xp]


def _title(model: Model, target: str, wrt: Sequence[str], xp: str) -> str:
    title = model.sheet.title or "A network"
    lines = [f'"""{title.rstrip(".")}.', ""]
    by = f" and its gradients by {', '.join(wrt)}" if wrt else ""
    said = f"{target}{by}, in {NAMES[xp]}; written by backproof from this sheet:"
    lines += [*textwrap.wrap(said, 92), ""]
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
        shown = f"{shown} entries" if len(dims) == 1 else shown
        role = "given" if name in model.sheet.given else "learned"
        lines.append(f"    {word.ljust(width)}  {shown}, {role}")
    lines.append('    """')
    body = _entrance(program, written, dialect, wrt)
    body += _forward(model, program, written, target)
    body += _backward(model, program, written, target, wrt)
    body += _exit(program, written, xp, wrt)
    return "\n".join([*lines, *(f"    {line}".rstrip() for line in body)]) + "\n"


def _flat(shape: Shape) -> str:
    """The shape that a number, a column or a row is brought to; nothing else is reshaped."""
    if shape == SCALAR:
        return "()"
    if len(shape) != 2 or ONE not in shape:
        return ""
    known = [d.as_int() for d in shape]
    return ", ".join("-1" if k is None else str(k) for k in known)


def _entrance(
    program: Program, written: Written, dialect: Dialect, wrt: Sequence[str]
) -> list[str]:
    """Arrays in double precision and in their shapes; sizes that are used below."""
    xp, shapes = dialect.xp, program.shapes
    cast = {"np": "np.asarray({}, dtype=float)", "jnp": "jnp.asarray({}, dtype=float)",
            "torch": "torch.as_tensor({}, dtype=torch.float64)"}[xp]  # fmt: skip
    learned = [n for n in wrt if n in written.arguments and _flat(shapes[n])]
    lines = []
    if learned:
        size = {"np": "np.shape({})", "jnp": "jnp.shape({})",
                "torch": "torch.as_tensor({}).shape"}[xp]  # fmt: skip
        lines += [
            "shapes = {  # a column may come flat; its gradient goes out as it came",
            *(f'    "{n}": {size.format(written.arguments[n])},' for n in learned),
            "}",
        ]
    found: dict[str, str] = {}
    for name, word in written.arguments.items():
        shape = shapes[name]
        where = _flat(shape)
        text = cast.format(word)
        lines.append(f"{word} = {text}{f'.reshape({where})' if where else ''}")
        for axis, d in enumerate(shape):
            size_name = d.as_name()
            if size_name is not None:
                found.setdefault(size_name, f"{word}.shape[{axis}]")
    used = set(re.findall(r"\w+", "\n".join(line.text for line in written.lines)))
    for size_name in dialect.dims:
        if size_name not in used:
            continue
        if size_name not in found:
            raise NotAvailable(
                f"the size {size_name} is no axis of an argument, so the file cannot tell it.",
                hint=f"give it a number in the sheet: let {size_name} = …",
            )
        lines.append(f"{size_name} = {found[size_name]}")
    return lines


def _forward(model: Model, program: Program, written: Written, target: str) -> list[str]:
    lines = ["", "# Forward"]
    for line in written.lines:
        if not line.gradient:
            label = program.labels.get(line.node.id, "")
            lines += _rewritten(model, program, line.node, label)
            lines += _wrapped(f"{line.name} = {line.text}")
    if written.results[VALUE] != target:
        lines += _wrapped(f"value = {written.results[VALUE]}")
        written.results[VALUE] = "value"
    return lines


def _rewritten(model: Model, program: Program, node: Node, name: str) -> list[str]:
    """The sheet's words for an equation that is computed in a stable form."""
    if name not in model.definitions or name not in model.sheet.equations:
        return []
    meant = {n.op.name for n in postorder([model.definitions[name]])}
    stack, used = [node], set()
    while stack:
        part = stack.pop()
        used.add(part.op.name)
        stack += [a for a in part.args if program.labels.get(a.id) not in model.definitions]
    if not (used - meant) & set(SAFE):
        return []
    sheet = model.sheet
    text = " ".join(sheet.source.slice(sheet.equations[name].span).split())
    return [f"# {row}" for row in textwrap.wrap(f"{text}, where nothing overflows", 92)]


def _backward(
    model: Model, program: Program, written: Written, target: str, wrt: Sequence[str]
) -> list[str]:
    if not wrt:
        return []
    said = derivation(model, target, wrt)
    lines = ["", "# Backward"]
    own = {line.name: line.node for line in written.lines if line.gradient}
    labels = {f"d{name}": name for name in model.leaves}
    taken = {*written.arguments.values(), *(line.name for line in written.lines)}
    alias = identifiers([f"d{n}" for n in wrt], taken)
    waiting = [n for n in wrt if program.labels.get(program.outputs[n].id) != f"d{n}"]

    def named(computed: str) -> None:
        for name in list(waiting):
            text = written.results[name]
            if text != computed and (computed or text in own):
                continue
            waiting.remove(name)
            lines.extend(_comment(said, name))
            word, node = alias[f"d{name}"], program.outputs[name]
            if node.fill is not None and node.is_number:
                text = repr(float(node.fill))
            lines.extend(_wrapped(f"{word} = {text}"))
            written.results[name] = word

    named("")
    for line in written.lines:
        if line.gradient:
            lines += _comment(said, labels.get(line.name, ""))
            lines += _wrapped(f"{line.name} = {line.text}")
            named(line.name)
    return lines


def _comment(said: Mapping[str, str], name: str) -> list[str]:
    return [f"# {row}" for row in textwrap.wrap(said.get(name, ""), 92)]


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
                    right = step.text.removeprefix(f"{step.label} = ")
                    if re.search(r"[^\W\d_]", right) and right != f"grad({target}, {of})":
                        said[of] = step.text
    return said


def _exit(program: Program, written: Written, xp: str, wrt: Sequence[str]) -> list[str]:
    lines = [""]
    if not wrt:
        return [*lines, f"return {written.results[VALUE]}, {{}}"]
    lines.append("gradients = {")
    for name in wrt:
        text = written.results[name]
        if name in written.arguments and _flat(program.shapes[name]):
            if plain(program.outputs[name]) and xp == "torch":
                text = f"torch.as_tensor({text}, dtype=torch.float64)"
            text = f'{xp}.reshape({text}, shapes["{name}"])'
        lines.append(f'    "{name}": {text},')
    return [*lines, "}", f"return {written.results[VALUE]}, gradients"]


def _wrapped(text: str, width: int = 96) -> list[str]:
    """A statement over lines of its own where it is long, broken as far out as it can be."""
    if len(text) <= width or " = " not in text:
        return [text]
    name, _, rest = text.partition(" = ")
    pieces, depth, begin = [], 0, 0
    for k, c in enumerate(rest):
        depth += (c in "([{") - (c in ")]}")
        if c == " " and (rest[k - 1] == "," or rest[k + 1] in "+-*@/"):
            pieces.append((rest[begin:k], depth))
            begin = k + 1
    pieces.append((rest[begin:], 0))
    rows: list[str] = []
    for most in range(max(d for _, d in pieces) + 1):
        groups = [""]
        for piece, after in pieces:
            groups[-1] += piece
            groups += [""] if after <= most else []
            groups[-1] += " " if after > most else ""
        rows = [groups[0]]
        for group in groups[1:-1]:
            if len(rows[-1]) + 1 + len(group) > width - 8:
                rows.append(group)
            else:
                rows[-1] += f" {group}"
        if max(map(len, rows)) <= width - 8:
            break
    return [f"{name} = (", *(f"    {row}" for row in rows), ")"]


def _latex(model: Model, target: str, wrt: Sequence[str]) -> str:
    from backproof.render.latex import standalone, working_fragment
    from backproof.working.answer import answer_question

    asked = ["forward", *(f"gradient {target} wrt {name}" for name in wrt)]
    parts = [working_fragment(answer_question(model, question)) for question in asked]
    return standalone(model.sheet.title, "\n\n".join(parts))
