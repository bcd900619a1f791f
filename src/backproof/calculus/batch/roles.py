"""Which quantities of a per-sample sheet differ from sample to sample, and why; and new names.

Data does; parameters never do; constants of the training (a positive number, whatever has a value)
do not. Says no in full sentences where a sheet is a batch already or has nothing to be batched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backproof.calculus.model import Model
from backproof.errors import NameProblem, ShapeProblem
from backproof.language import syntax as ast
from backproof.language.functions import CONSTANTS, FUNCTIONS
from backproof.language.sets import NAMED_SETS
from backproof.language.tokens import KEYWORDS
from backproof.operators.dims import ONE, SCALAR
from backproof.operators.node import Node, postorder, quantities

_OWN_MATRICES = ("sym", "posdef", "diagonal", "orthogonal")
# Greek letters whose capital looks like a Latin one.
_LOOKS_LATIN = frozenset("αβεζηικμνορτυχµ")


@dataclass(frozen=True, slots=True)
class Role:
    """What became of one quantity.

    name      in the per-sample sheet
    renamed   in the batch sheet; "" where it has no place of its own there
    kind      data | parameter | constant | computed | loss
    batched   whether it has the batch axis
    why       the reason, in a few words
    """

    name: str
    renamed: str
    kind: str
    batched: bool
    why: str


def check_size(model: Model, size: str) -> None:
    """The number of samples needs a name that is free, or is a number of two or more."""
    sheet = model.sheet
    if size.isdecimal():
        if int(size) < 2:
            raise ShapeProblem(
                f"A batch has two samples or more; found {size}.",
                hint="the sheet itself is the batch of one sample",
            )
        return
    free = next(n for n in ("m", "N", "B", "bs", "batch") if sheet.kind_of(n) == "unknown")
    hint = f"ask batch {free}"
    kind = sheet.kind_of(size)
    words = {"given": "a given", "learn": "a parameter", "equation": "a quantity"}
    if kind in words:
        raise NameProblem(
            f"'{size}' is {words[kind]} of this sheet and cannot be the number of samples too.",
            hint=hint,
        )
    if kind == "dimension":
        raise NameProblem(
            f"'{size}' is already a dimension of this sheet and cannot be the number of samples.",
            hint=hint,
        )
    taken = {*FUNCTIONS, *KEYWORDS, *NAMED_SETS, *CONSTANTS, *_loop_names(model)}
    if not size.isidentifier() or size in taken:
        raise NameProblem(f"'{size}' cannot be a name for the number of samples.", hint=hint)


def given_roles(model: Model, shared: Iterable[str] = ()) -> dict[str, tuple[bool, str, str]]:
    """declared name -> (whether it has the batch axis, kind, why)."""
    shared = set(shared)
    for name in shared:
        if name not in model.declared:
            raise NameProblem(
                f"'{name}' is named as shared, and is not a declared name of this sheet.",
                hint="name givens, such as the keys that every query meets",
            )
    _not_yet_a_batch(model, shared)
    roles = {name: _given_role(model, name, shared) for name in model.declared}
    if not any(batched for batched, _, _ in roles.values()):
        given = [n for n in model.sheet.given if n not in shared]
        valued = next((n for n in given if model.has_value(n)), None)
        matrix = next((n for n in given if _may_hold_samples(model, n)), None)
        if matrix is not None:
            raise _already(model, matrix, 0)
        if valued is None:
            raise ShapeProblem(
                "This sheet has no data, so there is nothing that differs from sample to sample.",
                hint="declare the data of one sample, such as given x in R[4]",
            )
        raise ShapeProblem(
            f"Every given of this sheet is a constant, so nothing differs from sample to sample; "
            f"'{valued}' has a value.",
            hint=f"declare '{valued}' by a set, such as given x in R[4], and give no value",
        )
    return roles


def _may_hold_samples(model: Model, name: str) -> bool:
    shape = model.shape(name)
    return len(shape) == 2 and ONE not in shape and model.declared[name].kind not in _OWN_MATRICES


def _given_role(model: Model, name: str, shared: set[str]) -> tuple[bool, str, str]:
    fact, shape = model.declared[name], model.shape(name)
    if model.sheet.kind_of(name) == "learn":
        return False, "parameter", "learned: shared by all samples"
    if name in shared:
        return False, "constant", "named as shared: the same for every sample"
    if model.has_value(name):
        return False, "constant", "has a value: the same for every sample"
    if shape == SCALAR and fact.kind in ("pos", "interval"):
        kind = "a positive number" if fact.kind == "pos" else "a number from an interval"
        return False, "constant", f"{kind}: a constant of the training, not of a sample"
    if fact.kind in _OWN_MATRICES or (ONE not in shape and len(shape) == 2) or len(shape) > 2:
        return False, "constant", "a matrix: taken as the same for every sample"
    words = {"labels": "a label", "onehot": "a one-hot label", "range": "a class"}
    what = words.get(fact.kind, "data")
    return True, "data", f"{what}: each sample has its own"


# --- a batch already ----------------------------------------------------------------------------


def _not_yet_a_batch(model: Model, shared: set[str]) -> None:
    """Complains about a given matrix whose rows or columns are samples."""
    for definition in model.definitions.values():
        for node in postorder([definition]):
            if node.matrices:
                found = _samples_met(model, node, shared)
                if found is not None:
                    raise _already(model, *found)
    for name in model.sheet.given:
        shape = model.shape(name)
        if name in shared or len(shape) != 2:
            continue
        if model.declared[name].kind in ("onehot", "prob") and ONE not in shape:
            raise _already(model, name, 0)


def _samples_met(model: Model, node: Node, shared: set[str]) -> tuple[str, int] | None:
    """(a given matrix, its axis of samples) where parameters are multiplied with data."""
    if any(len(a.shape) != 2 for a in node.args):
        return None
    for side, (data, parameters) in enumerate((node.args, reversed(node.args))):
        below = model.depends_on(data)
        if not below or any(model.sheet.kind_of(n) != "given" for n in below):
            continue
        if any(model.sheet.kind_of(n) != "learn" for n in model.depends_on(parameters)):
            continue
        if not model.depends_on(parameters):
            continue
        axis = side  # what survives the product: rows of a left factor, columns of a right one
        length = model.graph.resolve(data.shape[axis])
        if length == ONE:
            continue
        for name in sorted(below - shared):
            if _may_hold_samples(model, name):
                for k, d in enumerate(model.shape(name)):
                    if d == length:
                        return name, k
    return None


def _already(model: Model, name: str, axis: int) -> ShapeProblem:
    declaration = model.sheet.declarations[name]
    size = model.shape(name)[axis]
    return ShapeProblem(
        f"'{name}' is already a batch of {size} samples (its {'columns' if axis else 'rows'}), "
        "so the sheet cannot be batched again.",
        place=model.sheet.place(declaration.name_span),
        hint="write the sheet for one sample, such as given x in R[4]; or say that "
        f"'{name}' is shared by all samples",
    )


# --- names --------------------------------------------------------------------------------------


def _loop_names(model: Model) -> Iterator[str]:
    for equation in model.sheet.equations.values():
        for node in ast.walk(equation.expr):
            if isinstance(node, ast.Comprehension):
                yield from (loop.name for loop in node.loops)


class NewNames:
    """Names for the batch: x -> X, z1 -> Z1, and the loss of each sample as a row of its own."""

    def __init__(self, model: Model, size: str) -> None:
        sheet = model.sheet
        self.taken = {
            size, "R", *FUNCTIONS, *KEYWORDS, *NAMED_SETS, *CONSTANTS, *sheet.dimensions,
            *model.leaves, *_loop_names(model),
        }  # fmt: skip

    def capital(self, name: str) -> str:
        """The name for all samples: with a capital; the same where it has one already."""
        first = name[0]
        upper = first.upper()
        if first.isupper():
            return name
        plain = len(upper) == 1 and upper != first and upper.isalpha() and first not in _LOOKS_LATIN
        return self._free(upper + name[1:] if plain else f"{name}_b", f"{name}_b")

    def classes(self, name: str) -> str:
        """The name for the one-hot columns of a class."""
        return self._free(f"{name}_onehot")

    def row_of(self, name: str) -> str:
        """The name of the row of losses whose mean is *name*."""
        first = name[0]
        wanted = first.lower() + name[1:] if first.isupper() else f"{name}es"
        if not first.isupper() and len(name) > 1:
            wanted = f"{name}es" if name.endswith("s") else f"{name}s"
        return self._free(wanted, f"{name}_each")

    def free(self, name: str) -> str:
        """This name, or one like it that is free."""
        return self._free(name, f"{name}_b")

    def _free(self, *wanted: str) -> str:
        choices = [*wanted, *(f"{wanted[-1]}{k}" for k in range(2, 1000))]
        found = next(n for n in choices if n not in self.taken)
        self.taken.add(found)
        return found


def find_loss(model: Model, named: str | None = None) -> str:
    """The name of the loss: the one *named*, else what is asked about, else the last of `losses`.

    Of several final numbers, those that depend on the most parameters come first, and among these
    those that depend on what is given: a penalty alone is no loss.
    """
    numbers = [n for n in model.sheet.order if model.shape(n) == SCALAR]
    if named is not None:
        if named in numbers:
            return named
        what = "its shape is no number's" if named in model.leaves else "it is not in the sheet"
        if named in model.declared:
            what = "it has no equation"
        raise NameProblem(
            f"'{named}' cannot be the loss: {what}.",
            hint=f"the numbers with an equation are {', '.join(numbers) or 'none'}",
        )
    for what in ("gradient", "step", "tree", "value"):
        for asked in model.sheet.asks:
            if asked.what == what and asked.targets and isinstance(asked.targets[0], ast.Name):
                name = asked.targets[0].id
                if name in numbers:
                    return name
    if not numbers:
        raise ShapeProblem(
            "This sheet has no number that could be the loss, so there is nothing to average.",
            hint="define the loss of one sample, such as L = bce(a, y)",
        )
    ends = losses(model) or numbers
    learned, given = set(model.learned), set(model.sheet.given)
    below = {n: model.depends_on(model.leaves[n]) for n in ends}
    return max(ends, key=lambda n: (len(below[n] & learned), bool(below[n] & given),
                                    numbers.index(n)))  # fmt: skip


def losses(model: Model) -> list[str]:
    """The final numbers, in the order of the sheet: those that no other equation uses."""
    used = {n for d in model.definitions.values() for n in quantities([d])}
    return [n for n in model.sheet.order if model.shape(n) == SCALAR and n not in used]
