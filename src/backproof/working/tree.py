"""`ask tree`: from a quantity down to its leaves through every named intermediate.

A name is drawn once; wherever it is reached again it is marked as the same one. Layers that
repeat are drawn once with their number. Paths are counted without listing them, so that deep and
wide networks cost no more than their equations. Needs no values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from backproof.calculus.model import Model
from backproof.errors import NameProblem
from backproof.language import syntax as ast
from backproof.working.repeats import Repeat, find_repeats
from backproof.working.steps import Step, Working
from backproof.working.writing import listed, role_of, shape_brief, step_shape, written

MOST_PATHS = 6  # paths that are listed
MOST_LEARNED = 12  # learned names whose paths are listed one by one
MOST_NAMES = 14  # names of a path that are written out
DEEPEST = 12  # levels of a drawing, below which it goes on at the left again


@dataclass(frozen=True)
class Net:
    """The names below a target.

    root      the target's name, or its text where it is an expression
    children  name -> the names that its equation uses, in the order written
    order     every name, each before those that it uses
    """

    root: str
    children: dict[str, tuple[str, ...]]
    order: tuple[str, ...]


def tree_working(model: Model, target: ast.Expr | str, wrt: Sequence[str] = ()) -> Working:
    """The tree of one quantity.

    wrt   the names whose paths are listed; left out: every learned name
    """
    expr = ast.Name(target) if isinstance(target, str) else target
    net = net_below(model, expr)
    repeats = find_repeats(model, net.order, net.children)
    counts = count_paths(net)
    steps = [
        Step(
            label=net.root,
            text="\n".join(_Drawing(model, net, repeats, counts, expr).lines()),
            shape=step_shape(model.graph.resolve_shape(model.node(expr).shape)),
            kind="tree",
        )
    ]
    wanted = [n for n in (wrt or model.learned) if n in model.leaves]
    listed_ones = wanted if wrt or len(wanted) <= MOST_LEARNED else []
    paths: dict[str, list[list[str]]] = {n: [] for n in wanted}
    for name in listed_ones:
        few = 0 < counts.get(name, 0) <= MOST_PATHS
        paths[name] = list(paths_to(net, name)) if few else []
        steps.extend(_path_steps(net, name, counts.get(name, 0), paths[name]))
    if not listed_ones:
        steps.extend(_summary(net, wanted, counts))
    return Working(
        f"tree {net.root}", tuple(steps), _data(model, net, expr, paths, counts, repeats)
    )


# --- the names and their order ---------------------------------------------------------------


def net_below(model: Model, expr: ast.Expr) -> Net:
    """The names that an expression depends on, with what each of them uses."""
    sheet = model.sheet
    root = written(expr)
    children: dict[str, tuple[str, ...]] = {}
    if not (isinstance(expr, ast.Name) and expr.id in model.leaves):
        model.node(expr)  # an unknown name is an error of its own
        used = (e.id for e in ast.walk(expr) if isinstance(e, ast.Name))
        children[root] = tuple(dict.fromkeys(n for n in used if n in model.leaves))
        if root in model.leaves or not children[root]:
            raise NameProblem(
                f"{root} depends on no quantity, so it has no tree.", place=sheet.place(expr.span)
            )
    pending = [root] if root in model.leaves else list(children[root])
    while pending:
        name = pending.pop()
        if name in children:
            continue
        children[name] = tuple(n for n in sheet.uses.get(name, ()) if n in model.leaves)
        pending.extend(children[name])
    place = {n: k for k, n in enumerate(sheet.order)}
    defined = sorted((n for n in children if n in place), key=lambda n: -place[n])
    leaves = [n for n in model.declared if n in children]
    own = [root] if root not in model.leaves else []
    return Net(root, children, (*own, *defined, *leaves))


def count_paths(net: Net) -> dict[str, int]:
    """How many paths lead from the root to every name."""
    counts = dict.fromkeys(net.order, 0)
    counts[net.root] = 1
    for name in net.order:
        for child in net.children[name]:
            counts[child] += counts[name]
    return counts


def paths_to(net: Net, name: str) -> Iterator[list[str]]:
    """Every path from the root to a name. Ask for few (see `count_paths`)."""
    leads = {name}
    for other in reversed(net.order):
        if any(c in leads for c in net.children[other]):
            leads.add(other)
    if net.root not in leads:
        return
    stack: list[list[str]] = [[net.root]]
    while stack:
        path = stack.pop()
        if path[-1] == name:
            yield path
            continue
        stack.extend([*path, c] for c in reversed(net.children[path[-1]]) if c in leads)


def _path_steps(net: Net, name: str, count: int, paths: list[list[str]]) -> Iterator[Step]:
    if name == net.root:
        return
    if not count:
        yield Step(name, f"{name} is not reached: {net.root} does not depend on it.", kind="note")
        return
    times = "1 path" if count == 1 else f"{count_text(count)} paths"
    text = f"{name} is reached along {times}"
    if count > 1:
        text += (
            f"; a gradient with respect to it sums over {'both' if count == 2 else 'all of them'}"
        )
    yield Step(name, text + ".", kind="note")
    for path in paths:
        yield Step(name, path_text(path), kind="path", depth=1)


def _summary(net: Net, names: Sequence[str], counts: dict[str, int]) -> Iterator[Step]:
    """Many learned names, by how many paths lead to them."""
    groups: dict[int, list[str]] = {}
    for name in names:
        groups.setdefault(counts.get(name, 0), []).append(name)
    for count, group in sorted(groups.items())[:MOST_LEARNED]:
        some = listed(group) if len(group) <= 6 else f"{', '.join(group[:4])}, … {group[-1]}"
        many = f" ({len(group)} names)" if len(group) > 6 else ""
        each = " each" if len(group) > 1 else ""
        are = "are" if len(group) > 1 else "is"
        times = "1 path" if count == 1 else f"{count_text(count)} paths"
        text = f"{some}{many} {are}{each} reached along {times}."
        if not count:
            text = f"{some}{many} {are} not reached: {net.root} does not depend on them."
        yield Step(", ".join(group[:4]), text, kind="note")
    if len(groups) > MOST_LEARNED:
        text = f"The other learned names are reached along up to {count_text(max(groups))} paths."
        yield Step("paths", text, kind="note")


def count_text(count: int) -> str:
    """A number of paths; a huge one by its power of ten."""
    return str(count) if count < 10**9 else f"about 10^{len(str(count)) - 1}"


def path_text(path: list[str]) -> str:
    """`L → a2 → z2 → W2`; a long path is cut in the middle."""
    if len(path) > MOST_NAMES:
        left = len(path) - 9
        return " → ".join([*path[:5], f"… {left} more …", *path[-4:]])
    return " → ".join(path)


# --- drawing ---------------------------------------------------------------------------------


@dataclass
class _Drawing:
    """Draws a net from the root down with box characters."""

    model: Model
    net: Net
    repeats: tuple[Repeat, ...]
    counts: dict[str, int]
    expr: ast.Expr
    drawn: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.uses: dict[str, int] = {}
        for name in self.net.order:
            for child in self.net.children[name]:
                self.uses[child] = self.uses.get(child, 0) + 1
        # A name inside a repeat, after the first time, is stood for by the repeat.
        self.inside = {n: r for r in self.repeats for n in r.hidden}
        self.later: list[str] = []
        self.stood: set[Repeat] = set()

    def lines(self) -> list[str]:
        """The lines of the drawing."""
        result = list(self._below(self.net.root))
        while self.later:
            name = self.later.pop(0)
            if name not in self.drawn:
                result.append("")
                result.extend(self._below(name))
        return result

    def _below(self, root: str) -> Iterator[str]:
        """A tree from one name, without recursion (networks are deep)."""
        stack: list[tuple[str, str, str, int]] = [(root, "", "", 0)]
        while stack:
            name, lead, below, depth = stack.pop()
            repeat = self.inside.get(name)
            if repeat is not None:
                again = repeat in self.stood
                yield f"{lead}{self._stands_for(repeat, name, again)}"
                children = () if again else self._leaving(repeat)
                self.stood.add(repeat)
            else:
                again = name in self.drawn
                children = () if again else self._children(name)
                cut = depth >= DEEPEST and bool(children)
                yield f"{lead}{self._name(name, again, cut)}"
                if cut:
                    self.later.append(name)
                    continue
                self.drawn.add(name)
            last = len(children) - 1
            for k in range(last, -1, -1):
                stack.append(
                    (
                        children[k],
                        f"{below}{'└─ ' if k == last else '├─ '}",
                        f"{below}{'   ' if k == last else '│  '}",
                        depth + 1,
                    )
                )

    def _children(self, name: str) -> tuple[str, ...]:
        """What a name uses, leaves first; what a repeat stands for is drawn as one, and last."""
        seen: set[Repeat] = set()
        result = []
        for child in self.net.children[name]:
            repeat = self.inside.get(child)
            if repeat is not None:
                if repeat in seen:
                    continue
                seen.add(repeat)
            result.append(child)
        defined = self.model.definitions
        return tuple(sorted(result, key=lambda c: (c in defined) + (c in self.inside)))

    def _leaving(self, repeat: Repeat) -> tuple[str, ...]:
        """What a repeat uses that does not belong to it."""
        own = {*repeat.names, *repeat.leaves}
        used = dict.fromkeys(c for n in repeat.hidden for c in self.net.children[n])
        return tuple(c for c in used if c not in own)

    def _stands_for(self, repeat: Repeat, name: str, again: bool) -> str:
        if again:
            return f"{name} (one of the ×{repeat.times}, see above)"
        equations = self.model.sheet.equations
        shown = [f"{n} = {written(equations[n].expr)}" for n in repeat.last]
        ends = ", ".join(shown if len(shown) <= 3 else repeat.last)
        return f"… ×{repeat.times} … the same layer {repeat.times} times in all, down to {ends}"

    def _name(self, name: str, again: bool, cut: bool) -> str:
        model = self.model
        expr = self.net.root == name and name not in model.leaves
        shape = model.graph.resolve_shape(
            model.node(self.expr).shape if expr else model.leaves[name].shape
        )
        role = "" if expr else role_of(model, name)
        shared = self.uses.get(name, 0) > 1
        if again:
            return (
                f"{name} (shared, see above)" if role != "intermediate" else f"{name} (see above)"
            )
        words = shape_brief(shape)
        if name in model.definitions:
            text = f"{name} = {written(model.sheet.equations[name].expr)}   [{words}]"
        else:
            text = f"{name}   [{role + ', ' if role else ''}{words}]"
        if cut:
            return f"{name} (goes on below)"
        if shared and role == "learned":
            text += f" shared: reached along {count_text(self.counts[name])} paths"
        return text


# --- data ------------------------------------------------------------------------------------


def graph_data(model: Model, expr: ast.Expr, name: str) -> dict[str, Any]:
    """The part of a tree that lies on paths to one name, as plain data for a drawing."""
    net = net_below(model, expr)
    leads = {name}
    for other in reversed(net.order):
        if any(child in leads for child in net.children[other]):
            leads.add(other)
    order = tuple(n for n in net.order if n in leads)
    children = {n: tuple(c for c in net.children[n] if c in leads) for n in order}
    part = Net(net.root, children, order)
    repeats = find_repeats(model, order, children)
    data = _data(model, part, expr, {}, {}, repeats)
    return {key: data[key] for key in ("root", "nodes", "edges", "repeats")}


def _data(
    model: Model,
    net: Net,
    expr: ast.Expr,
    paths: dict[str, list[list[str]]],
    counts: dict[str, int],
    repeats: Sequence[Repeat],
) -> dict[str, Any]:
    nodes = []
    for name in net.order:
        known = name in model.leaves
        shape = model.shape(name) if known else model.graph.resolve_shape(model.node(expr).shape)
        equation = model.sheet.equations.get(name)
        nodes.append(
            {
                "name": name,
                "role": role_of(model, name) if known else "intermediate",
                "shape": list(step_shape(shape)),
                "equation": None if equation is None else written(equation.expr),
            }
        )
    edges = [{"from": n, "to": c} for n in net.order for c in net.children[n]]
    return {
        "root": net.root,
        "nodes": nodes,
        "edges": edges,
        "paths": {n: {"count": counts.get(n, 0), "paths": p} for n, p in paths.items()},
        "repeats": [
            {"names": list(r.names), "period": r.period, "times": r.times} for r in repeats
        ],
    }
