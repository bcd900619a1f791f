"""A program as the source text of one Python function, in a dialect of expressions.

Operations that are used once are written inside what uses them, as long as the line stays short;
the others get the reader's name, or t1, t2, …. The text is ours from end to end: a sheet only
gives names, which are identifiers.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backproof.engine.expressions import ATOM, Dialect, Text
from backproof.engine.program import VALUE, Program
from backproof.operators.node import Node, postorder

LONGEST = 46  # an expression of more characters than this gets a line of its own
LEAVES = ("fill", "literal", "dim", "constant", "name", "eye", "loop", "onehot")
OURS = frozenset(("np", "jnp", "jax", "torch", "math", "sigmoid", "softplus", "softmax", "erf",
                  "logsumexp", "relu", "out", "F", "backproof"))  # fmt: skip


def identifiers(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A Python identifier for every name, the name itself where that is possible."""
    used = set(taken) | OURS
    result: dict[str, str] = {}
    for name in names:
        plain = "".join(c if c.isalnum() else "_" for c in name)
        word = name if name.isidentifier() else f"_{plain}"
        while keyword.iskeyword(word) or hasattr(builtins, word) or word in used:
            word += "_"
        used.add(word)
        result[name] = word
    return result


@dataclass
class Line:
    """One assignment: the variable, what it is, and the node."""

    name: str
    text: str
    node: Node
    gradient: bool = False


@dataclass
class Written:
    """A program written down.

    arguments   input name -> parameter of the function
    lines       the assignments in order
    results     output name -> the expression of it
    """

    arguments: Mapping[str, str]
    lines: list[Line] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)


def uses_of(program: Program) -> dict[int, int]:
    """How many times each node is used, outputs included."""
    count: dict[int, int] = {}
    for node in program.order:
        for arg in node.args:
            count[arg.id] = count.get(arg.id, 0) + 1
    for node in program.outputs.values():
        count[node.id] = count.get(node.id, 0) + 1
    return count


def write(program: Program, dialect: Dialect, order: Sequence[Node] | None = None) -> Written:
    """The assignments of a program in a dialect; *order*: another one than the program's."""
    arguments = identifiers(program.inputs)
    labels = identifiers(program.labels.values(), arguments.values())
    written = Written(arguments)
    count, texts = uses_of(program), dict[int, Text]()
    roots = {n.id for n in program.outputs.values()}
    backward = _backward(program)
    fresh = _Fresh({*arguments.values(), *labels.values()})
    for node in order or program.order:
        if node.name is not None:
            texts[node.id] = Text(arguments[node.name])
            continue
        text = dialect.write(node, [texts[a.id] for a in node.args])
        label = program.labels.get(node.id)
        plain = node.op.name in ("fill", "dim", "constant") and node.id not in roots
        plain = plain or (node.fill is not None and node.is_number)
        plain = plain or (node.op.name == "transpose" and text.text[:-2].isidentifier()
                          and node.id not in roots)  # fmt: skip
        once = count[node.id] == 1 and len(text.text) <= LONGEST and node.id not in roots
        if label is None and (plain or once or (text.level == ATOM and text.text.isidentifier())):
            texts[node.id] = text
            continue
        name = labels[label] if label is not None else fresh()
        written.lines.append(Line(name, dialect.numeric(text).text, node, node.id in backward))
        texts[node.id] = Text(name)
    for name, node in program.outputs.items():
        written.results[name] = texts[node.id].text
    return written


def _backward(program: Program) -> set[int]:
    """The nodes that neither the value nor an equation needs."""
    value = program.outputs.get(VALUE)
    named = [n for n in program.order if program.labels.get(n.id) in program.equations]
    forward = {n.id for n in postorder([*named, *([value] if value is not None else [])])}
    return {n.id for n in program.order} - forward


class _Fresh:
    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.count = 0

    def __call__(self) -> str:
        while True:
            self.count += 1
            name = f"t{self.count}"
            if name not in self.taken:
                return name


def ordered(lines: Sequence[Line]) -> list[Line]:
    """Forward lines first, each part in its order."""
    return [*(x for x in lines if not x.gradient), *(x for x in lines if x.gradient)]
