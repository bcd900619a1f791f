"""All that a worker process needs, loaded and tried once: imported where processes fork from.

A process that is forked after this module was imported works its first sheet at full speed.
"""

from __future__ import annotations

import gc
from functools import cache

from backproof.web import worker as worker  # sets the number of threads before numpy is loaded
from backproof.web.desk import Desk
from backproof.web.limits import Limits

SHEET = """given x in R[2]
learn W in R[2, 2]
y = W @ x
L = sumsq(y)
ask tree L
ask gradient L wrt W
claim grad(L, W) == 2*y @ x.T
claim grad(L, W) == y @ x.T
"""


@cache
def warmed() -> bool:
    """Works a small sheet in several ways; does nothing the second time."""
    desk = Desk(Limits())
    for view in ("working", "values", "batch", "slow"):
        desk.work({"do": "work", "text": SHEET, "view": view}, lambda _: None, lambda: None)
    return True


warmed()
gc.collect()
gc.freeze()  # what is loaded by now stays; collections look only at what jobs have made
gc.set_threshold(20_000, 10, 20)  # a job makes many small things that live as long as it does
