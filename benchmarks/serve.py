"""People typing into the live page, all at once, over loopback: `python -m benchmarks serve`.

Every client is one open page with a sheet of its own names. It types like a person, sends what the
page would send (after a pause of 60 ms, leaving what it waited for before), and measures how long
the first line of the answer and the whole answer take. The server is a process of its own.

Typing an ask or a claim leaves what was derived as it is. So one client also edits equations and
numbers, in every example and each time to something new: everything is derived afresh then.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.timing import Row

ROOT = Path(__file__).resolve().parent.parent
CLIENTS, SECONDS = 50, 30.0
PAUSE = 0.06  # of the page, after the last keystroke
SHEETS = ("logistic", "siamese", "mlp", "softmax", "svm", "q05-weighted-logistic", "q07-tree")
GOAL = 0.3
ROUNDS = 2  # how often every equation of every example is edited
EQUATION = re.compile(r"^(\w+)( *= *)([^=\n].*)$", re.MULTILINE)


@dataclass
class Seen:
    """What the clients saw: seconds to the first line, to the last, and what went wrong.

    judged   to the last answer or verdict; what would mend the refuted claims comes after that
    """

    first: list[float] = field(default_factory=list)
    judged: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    sent: int = 0
    left: int = 0
    faults: list[str] = field(default_factory=list)


def p95(times: list[float]) -> float:
    """The time that 95 of 100 stay below."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))] if ordered else 0.0


def own(text: str, number: int) -> str:
    """The sheet with a comment and a constant of its own, so that no two clients share work."""
    return f"{text.rstrip()}\nown{number} = {number}\n"


async def answered(port: int, page: str, text: str, seen: Seen) -> None:
    """Sends a sheet and reads the answer to its end."""
    body = json.dumps({"text": text, "view": "working"}).encode()
    head = (
        f"POST /api/work HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        f"Origin: http://127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"X-Backproof-Page: {page}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    start = time.perf_counter()
    seen.sent += 1
    writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        writer.write(head.encode() + body)
        got, first, arrived = b"", 0.0, list[tuple[int, float]]()
        while part := await reader.read(2**20):
            got += part
            arrived.append((len(got), time.perf_counter() - start))
            if not first and b'"kind"' in got:
                first = time.perf_counter() - start
        if not got.startswith(b"HTTP/1.1 200"):
            seen.faults.append(got[:60].decode("latin-1"))
        elif b'"kind": "done"' in got:
            seen.first.append(first)
            seen.judged.append(_judged(got, arrived))
            seen.whole.append(time.perf_counter() - start)
        else:
            seen.faults.append(got[-200:].decode("utf-8", "replace"))
        if b'"fault"' in got:
            seen.faults.append(got[-300:].decode("utf-8", "replace"))
    except OSError as error:
        seen.faults.append(f"{type(error).__name__}: {error}")
    finally:
        if writer is not None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def _judged(got: bytes, arrived: list[tuple[int, float]]) -> float:
    """When the last answer or first verdict on a claim had come."""
    last, at, known = 0, 0, set[int]()
    for line in got.splitlines(keepends=True):
        at += len(line)
        if not line.startswith(b'{"kind"'):
            continue
        event = json.loads(line)
        again = event["kind"] == "verdict" and event["index"] in known
        if event["kind"] == "verdict":
            known.add(event["index"])
        if event["kind"] in ("read", "part", "note", "verdict", "error") and not again:
            last = at
    return next((seconds for size, seconds in arrived if size >= last), 0.0)


def edits(text: str, number: int) -> Iterator[str]:
    """The sheet with one equation or value changed, for each of them; another *number*, others.

    An equation gets a factor or a term, so that most claims about it fail: the slowest case, as
    what would mend them is looked for.
    """
    for k, found in enumerate(EQUATION.finditer(text), 1):
        new = f"{k}{number:03}1"
        for right in (f"1.{new}*({found[3]})", f"{found[3]} + 0.{new}"):
            yield text[: found.start(3)] + right + text[found.end(3) :]
    yield f"{text.rstrip()}\nown = {number}.5\n"


async def editing(port: int, rounds: int, seen: Seen) -> None:
    """One client that edits every equation of every example and waits for each answer."""
    for number in range(rounds):
        for file in sorted((ROOT / "examples").glob("*.sheet")):
            for text in edits(file.read_text(encoding="utf-8"), number):
                await answered(port, "load-client-editing", text, seen)


async def typing(port: int, number: int, until: float, seen: Seen) -> None:
    """One client: it takes the last lines of a sheet away and types them again, and again."""
    rng = random.Random(number)
    name = SHEETS[number % len(SHEETS)]
    text = own((ROOT / "examples" / f"{name}.sheet").read_text(encoding="utf-8"), number)
    lines = text.splitlines(keepends=True)
    page = f"load-client-{number:08d}"
    asking: asyncio.Task[None] | None = None
    await asyncio.sleep(rng.random() * 0.5)
    while time.perf_counter() < until:
        keep = len(lines) - rng.randrange(1, 4)
        typed, rest = "".join(lines[:keep]), "".join(lines[keep:])
        for letter in rest:
            typed += letter
            pause = rng.expovariate(1 / 0.2) + (0.8 if letter == "\n" else 0.0)
            if pause <= PAUSE:
                await asyncio.sleep(pause)
                continue
            await asyncio.sleep(PAUSE)
            if asking is not None and not asking.done():
                seen.left += 1
                asking.cancel()
            asking = asyncio.create_task(answered(port, page, typed, seen))
            await asyncio.sleep(pause - PAUSE)
            if time.perf_counter() > until:
                break
    if asking is not None:
        await asyncio.gather(asking, return_exceptions=True)


async def crowd(port: int, clients: int, seconds: float) -> Seen:
    """Everyone at once."""
    seen = Seen()
    until = time.perf_counter() + seconds
    await asyncio.gather(*(typing(port, k, until, seen) for k in range(clients)))
    return seen


def run(clients: int = CLIENTS, seconds: float = SECONDS, rounds: int = 0) -> Seen:
    """A server in a process of its own, and clients that type for so long.

    rounds   instead, one client edits every equation of every example so often
    """
    command = [sys.executable, "-m", "backproof", "serve", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            found = re.search(r":(\d+)/", server.stderr.readline())
            assert found is not None, "the server did not start"
            port = int(found[1])
            asyncio.run(answered(port, "load-client-warm-up", "given x in R\ny = x", Seen()))
            if rounds:
                seen = Seen()
                asyncio.run(editing(port, rounds, seen))
                return seen
            return asyncio.run(crowd(port, clients, seconds))
        finally:
            server.terminate()
            server.wait(10)


def rows(clients: int = CLIENTS, seconds: float = SECONDS) -> list[Row]:
    """The figures as lines of the table."""
    alone = run(1, min(seconds, 10.0))
    edited = run(rounds=ROUNDS)
    many = run(clients, seconds)
    faults = [*alone.faults, *edited.faults, *many.faults]
    for fault in faults[:5]:
        print(f"fault: {fault}")
    what = f"{clients} clients, {seconds:g} s"
    print(
        f"{what}: {len(many.whole)} answers read to the end; {many.left} times a client typed on "
        "before the answer was there, and it was cancelled."
    )
    what_edited = f"one client editing equations, {len(edited.whole)} edits"
    return [
        Row("one client typing, p95 of the whole answer", p95(alone.whole), GOAL),
        Row(f"{what_edited}, p95 of answers and verdicts", p95(edited.judged), GOAL),
        Row("  the same, median", median(edited.judged)),
        Row("  the same, p95 with what would mend refuted claims", p95(edited.whole)),
        Row(f"{what}, p95 of the first line", p95(many.first)),
        Row(f"{what}, p95 of the whole answer", p95(many.whole)),
        Row("errors", len(faults), 0, unit=""),
    ]
