"""Initial values of parameters, by what follows them in the sheet; said, and overridable.

A weight before a relu (or its kin) gets He's values, another weight Glorot's; what is added is a
bias and gets zeros; what scales entry by entry gets ones. He et al., "Delving deep into
rectifiers" (2015); Glorot and Bengio, "Understanding the difficulty of training deep feedforward
neural networks" (2010).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from backproof.calculus.model import Model
from backproof.errors import FileProblem, NameProblem, ShapeProblem, ValueProblem
from backproof.operators.node import Node, postorder

Array = Any
RECTIFIERS = frozenset(("relu", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "maximum"))
PASSES = frozenset(("add", "sub", "neg", "transpose", "name", "concat", "index", "reshape"))
RULES = ("he", "glorot", "zeros", "ones", "normal:0.1", "uniform:0.1", "FILE.npz")


@dataclass(frozen=True, slots=True)
class Use:
    """How a parameter is used: "weight", "bias", "scale" or "other", and what follows it."""

    kind: str
    follows: str = ""
    fan_in: int = 1
    fan_out: int = 1


def initial_values(
    model: Model,
    shapes: Mapping[str, tuple[int, ...]],
    sizes: Mapping[str, int],
    seed: int,
    asked: Mapping[str, str] | None = None,
) -> tuple[dict[str, Array], list[str]]:
    """(parameter -> its first value, how each was chosen).

    asked   parameter -> a rule of `RULES`, "he" for instance; "*" for all others
    """
    asked = asked or {}
    unknown = [n for n in asked if n != "*" and n not in model.learned]
    if unknown:
        raise NameProblem(f"'{unknown[0]}' is not a parameter, so it has no first value.",
                          hint=f"the parameters are {', '.join(model.learned)}")  # fmt: skip
    _check_room(model, shapes, sizes)
    given = model.given_values(exact=False)
    users = _users(model)
    values: dict[str, Array] = {}
    groups: dict[str, list[str]] = {}
    for k, name in enumerate(model.learned):
        rng = np.random.default_rng([seed, 5, k])
        shape = shapes[name]
        rule = asked.get(name, asked.get("*", ""))
        if rule:
            values[name] = _by_rule(name, rule, shape, _use(model, users, name, sizes), rng)
            groups.setdefault(f"{rule}, as asked", []).append(name)
        elif name in given:
            values[name] = np.array(given[name], np.float64).reshape(shape)
            groups.setdefault("the sheet's value", []).append(name)
        else:
            use = _use(model, users, name, sizes)
            values[name], said = _by_use(model, name, use, shape, rng)
            groups.setdefault(said, []).append(name)
    return values, [f"{', '.join(names)}: {said}." for said, names in groups.items()]


def _check_room(
    model: Model, shapes: Mapping[str, tuple[int, ...]], sizes: Mapping[str, int]
) -> None:
    """ValueProblem where the parameters with their gradients are more than the machine's memory."""
    counts = {name: math.prod(shape) for name, shape in shapes.items()}
    total, have = sum(counts.values()), memory()
    if 2 * 8 * total <= have:
        return
    most = max(counts, key=lambda name: counts[name])
    names = sorted({n for d in model.shape(most) for n in model.graph.resolve(d).names()})
    where = " and ".join(f"{n} is {_shown(sizes[n])}" for n in names if n in sizes)
    raise ValueProblem(
        f"{most} would hold {_shown(counts[most])} numbers" + (f", as {where}" if where else "")
        + f"; the parameters with their gradients need {_shown(2 * 8 * total // 2**30)} GB of "
        f"memory, and this machine has {_shown(have // 2**30)}.",
        hint="smaller sizes, in the sheet or with --set",
    )  # fmt: skip


def _shown(number: int) -> str:
    return f"{number:,}" if number < 10**15 else f"{number:.0e}"


def memory() -> int:
    """The machine's memory in bytes; a terabyte where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**40


def _by_use(
    model: Model, name: str, use: Use, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[Array, str]:
    kind = model.declared[name].kind
    if kind in ("sym", "posdef", "diagonal", "orthogonal"):
        return np.eye(shape[0]), f"the identity (its set is {kind}; steps may leave the set)"
    if kind == "pos":
        return np.ones(shape), "ones (its set is positive numbers; steps may leave it)"
    if kind == "interval":
        low, high = (float(b) for b in model.declared[name].bounds)
        return np.full(shape, (low + high) / 2), "the middle of its interval"
    if use.kind == "bias":
        return np.zeros(shape), "zeros, as a bias"
    if use.kind == "scale":
        return np.ones(shape), "ones, as a scale"
    if use.kind == "weight" and use.follows in RECTIFIERS:
        said = f"He, as {use.follows} follows (normal, variance 2/fan-in)"
        return rng.normal(0, math.sqrt(2 / use.fan_in), shape), said
    limit = math.sqrt(6 / (use.fan_in + use.fan_out))
    after = f"as {use.follows} follows" if use.follows else "as nothing bent follows"
    return rng.uniform(-limit, limit, shape), f"Glorot, {after} (uniform, ±√(6/(in + out)))"


def _by_rule(
    name: str, rule: str, shape: tuple[int, ...], use: Use, rng: np.random.Generator
) -> Array:
    word, _, number = rule.partition(":")
    if word.endswith(".npz"):
        return _from_file(name, rule, shape)
    try:
        size = float(number) if number else 0.1
    except ValueError:
        size = math.nan
    if word not in ("he", "glorot", "zeros", "ones", "normal", "uniform") or not size > 0:
        raise ValueProblem(f"There is no initial value '{rule}'.",
                           hint=f"those are {', '.join(RULES)}")  # fmt: skip
    if word == "he":
        return rng.normal(0, math.sqrt(2 / use.fan_in), shape)
    if word == "glorot":
        limit = math.sqrt(6 / (use.fan_in + use.fan_out))
        return rng.uniform(-limit, limit, shape)
    if word in ("zeros", "ones"):
        return np.zeros(shape) if word == "zeros" else np.ones(shape)
    return rng.normal(0, size, shape) if word == "normal" else rng.uniform(-size, size, shape)


def _from_file(name: str, file: str, shape: tuple[int, ...]) -> Array:
    try:
        with Path(file).open("rb") as f, np.load(f, allow_pickle=False) as archive:
            if name not in archive.files:
                raise FileProblem(f"'{file}' has no {name}.",
                                  hint=f"it has {', '.join(archive.files)}")  # fmt: skip
            array = np.asarray(archive[name], np.float64)
    except (OSError, ValueError, BadZipFile) as error:
        raise FileProblem(f"'{file}' cannot be read: {error}.") from None
    if array.size != int(np.prod(shape)):
        raise ShapeProblem(f"{name} in '{file}' has shape {array.shape}, and the sheet needs "
                           f"{shape}.")  # fmt: skip
    return array.reshape(shape)


# --- how a parameter is used --------------------------------------------------------------------


def _users(model: Model) -> dict[int, list[Node]]:
    """node id -> the nodes that use it; the leaf of an equation's name counts as its user."""
    users: dict[int, list[Node]] = {}
    for name, definition in model.definitions.items():
        for node in postorder([definition]):
            if definition.is_number and node.op.name in RECTIFIERS:
                continue  # the margin of a hinge is no activation
            for arg in node.args:
                users.setdefault(arg.id, []).append(node)
        users.setdefault(definition.id, []).append(model.leaves[name])
    return users


def _use(
    model: Model, users: Mapping[int, Sequence[Node]], name: str, sizes: Mapping[str, int]
) -> Use:
    leaf = model.leaves[name]
    pending, turned = [(leaf, False)], dict[int, bool]()
    uses: list[Use] = []
    while pending:
        node, flipped = pending.pop()
        if turned.setdefault(node.id, flipped) != flipped:
            continue
        for user in users.get(node.id, ()):
            op = user.op.name
            if op == "transpose":
                pending.append((user, not flipped))
            elif op in ("name", "neg", "index", "concat"):
                pending.append((user, flipped))
            elif op in ("matmul", "einsum", "outer", "kron"):
                uses.append(_weight(model, users, user, node, sizes))
            elif op == "mul" and any(_reads_data(model, a) for a in user.args if a is not node):
                uses.append(Use("scale"))
            elif op in ("add", "sub"):
                uses.append(Use("bias"))
    for kind in ("weight", "scale", "bias"):  # a penalty such as sumsq(W) does not decide
        found = [u for u in uses if u.kind == kind]
        bent = [u for u in found if u.follows]
        if found:
            return (bent or found)[0]
    shape = [d.evaluate(sizes) for d in model.shape(name)]
    return Use("other", "", shape[-1], shape[0])


def _reads_data(model: Model, node: Node) -> bool:
    return any(model.sheet.kind_of(n) == "given" for n in model.depends_on(node))


def _weight(
    model: Model, users: Mapping[int, Sequence[Node]], product: Node, weight: Node,
    sizes: Mapping[str, int],
) -> Use:  # fmt: skip
    shape = [model.graph.resolve(d).evaluate(sizes) for d in weight.shape]
    left = product.args[0] is weight
    fan_in, fan_out = (shape[-1], shape[0]) if left else (shape[0], shape[-1])
    return Use("weight", _follows(users, product), max(1, fan_in), max(1, fan_out))


def _follows(users: Mapping[int, Sequence[Node]], node: Node) -> str:
    """The first function that the node goes into, through sums and names; "" for none."""
    pending, seen = [node], set[int]()
    found: list[str] = []
    while pending:
        current = pending.pop(0)
        for user in users.get(current.id, ()):
            if user.id in seen:
                continue
            seen.add(user.id)
            if user.op.name in PASSES:
                pending.append(user)
            elif user.op.name in BENT:
                found.append(user.op.name)
    for rectifier in found:
        if rectifier in RECTIFIERS:
            return rectifier
    return found[0] if found else ""


BENT = RECTIFIERS | {"sigmoid", "tanh", "softplus", "softmax", "log_softmax", "logsumexp", "sin",
                     "cos", "exp", "erf", "square", "abs"}  # fmt: skip
