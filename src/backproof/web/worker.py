"""What runs in a worker process: it reads jobs from a socket, works them, sends events back.

Before the first job the process gives up what it does not need: memory beyond a limit, writing
files, core dumps. It is killed from outside when a job takes too long.
"""

from __future__ import annotations

import os

# One thread a process: many small matrices, and several processes beside each other.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import json  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

from backproof.web.desk import Desk, Stopped  # noqa: E402
from backproof.web.limits import Limits  # noqa: E402

RETIRE = 0.5  # of the memory limit: a process that has grown so large is replaced


def main(link: socket.socket, options: dict[str, Any]) -> None:
    """Works jobs until the other side goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limits = Limits(**options)
    import backproof.web.warm  # noqa: F401  (done already, where processes are forked)

    _bound(limits)
    link.setblocking(True)
    line = Line(link, limits.reply)
    desk = Desk(limits)
    line.send({"kind": "ready"})
    while True:
        try:
            job = line.receive()
            if job.get("do") == "cancel":  # it came after the job had ended
                continue
            _work(desk, line, job, limits)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _work(desk: Desk, line: Line, job: dict[str, Any], limits: Limits) -> None:
    started = time.perf_counter()
    line.sent = 0
    try:
        desk.work(job, line.say, line.check)
        end: dict[str, Any] = {}
    except Stopped as stopped:
        end = {"stopped": stopped.why}
    except MemoryError:
        desk.forget()
        end = {"stopped": "memory", "retire": True}
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        end = {"fault": f"{type(error).__name__}: {error}"[:500], "retire": True}
    end.setdefault("retire", _peak() > RETIRE * limits.memory)
    line.send({"kind": "done", "seconds": round(time.perf_counter() - started, 4), **end})


class Line:
    """Frames over a socket: four bytes that say how long, then JSON.

    most   bytes that may be said in one job
    """

    def __init__(self, link: socket.socket, most: int) -> None:
        self.link, self.most = link, most
        self.sent = 0

    def send(self, event: dict[str, Any]) -> None:
        """Sends a frame."""
        body = json.dumps(event, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        self.sent += len(body)
        self.link.sendall(len(body).to_bytes(4, "big") + body)

    def say(self, event: dict[str, Any]) -> None:
        """Sends an event of a job, within what one job may say."""
        if self.sent > self.most:
            raise Stopped("large")
        self.send(event)

    def receive(self) -> dict[str, Any]:
        """The next frame; waits for it."""
        job: dict[str, Any] = json.loads(self._exactly(int.from_bytes(self._exactly(4), "big")))
        return job

    def check(self) -> None:
        """Raises Stopped where the job was cancelled meanwhile."""
        ready, _, _ = select.select([self.link], [], [], 0)
        if ready:
            self.receive()  # during a job, nothing else is ever sent
            raise Stopped("cancelled")

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            part = self.link.recv(min(size, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def _bound(limits: Limits) -> None:
    """What the operating system holds this process to, where it has such limits."""
    try:
        import resource
    except ImportError:
        return
    for what, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 64 * 2**20),
        (resource.RLIMIT_NOFILE, 128),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def _peak() -> int:
    """The most bytes of memory that this process has had."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
