"""The closed set of operators, in one table."""

from __future__ import annotations

from dataclasses import replace

from backproof.operators import elementwise, linear, reductions, structure
from backproof.operators.base import Operator
from backproof.operators.batching import batch_rule
from backproof.operators.intervals import interval_rule
from backproof.operators.node import Graph

TABLE: dict[str, Operator] = {
    o.name: replace(o, batch=batch_rule(o), interval=interval_rule(o))
    for family in (elementwise, linear, reductions, structure)
    for o in family.OPERATORS
}


def new_graph() -> Graph:
    """An empty graph over the closed set."""
    return Graph(TABLE)
