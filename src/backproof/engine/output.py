"""Where a sheet's prediction is, and what it is to be read as.

Knows sheets only: nothing of data, of runs or of engines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backproof.calculus.model import Model
from backproof.operators.node import Node, postorder


@dataclass(frozen=True)
class Output:
    """Where the sheet's prediction is.

    node    its node
    name    its name, or ""
    kind    classes (largest of a row) · half (above ½) · sign (above 0) · numbers · picture
    target  the data name that it is compared with
    """

    node: Node
    name: str
    kind: str
    target: str

    @property
    def measure(self) -> str:
        """What the number that says how good it is is called."""
        return {"numbers": "r2", "picture": "reconstruction"}.get(self.kind, "accuracy")


def find_output(model: Model, data: Iterable[str], target: str | None) -> Output | None:
    """The prediction of a sheet, or None where there is none to be found.

    data     the names that get data, the target among them
    target   the name that a prediction is compared with; None: the data themselves
    """
    names = list(data)
    inputs = {n for n in names if n != target}
    against = target or next(iter(names), None)
    if against is None:
        return None
    shape = model.shape(against)
    named = {model.definitions[n].id: n for n in model.sheet.order}
    nodes = [model.leaves[n] for n in model.sheet.order]
    nodes = [*postorder([model.definitions[n] for n in model.sheet.order]), *nodes]
    found: Node | None = None
    for node in nodes:
        if node.loops or node.name in model.declared:
            continue
        if model.graph.resolve_shape(node.shape) != shape:
            continue
        below = model.depends_on(node)
        if target is not None and target in below:
            continue
        if not below & inputs and target is not None:
            continue
        if not below & set(model.learned) or (target is None and against not in below):
            continue
        if target is None and node.name is None:
            continue  # an error such as A2 - X has the shape of X as well
        if target is None and _compares(model.definitions[node.name or ""], against):
            continue
        found = node
    if found is None:
        return None
    name = found.name or named.get(found.id, "")
    if target is None:
        return Output(found, name, "picture", against)
    fact = model.declared[target]
    if fact.kind in ("onehot", "range", "prob"):
        return Output(found, name, "classes", target)
    if fact.kind == "labels" and len(fact.bounds) == 2:
        promised = model.definitions.get(name, found).op.promises
        never_negative = bool(promised) and set(fact.bounds) == {0, 1}
        return Output(found, name, "half" if never_negative else "sign", target)
    return Output(found, name, "numbers", target)


def _compares(definition: Node, against: str) -> bool:
    """Whether an equation uses the data outside a product: an error, not an output."""
    pending = [definition]
    while pending:
        node = pending.pop()
        if node.name == against:
            return True
        if node.op.name not in ("matmul", "einsum", "name"):
            pending.extend(node.args)
    return False
