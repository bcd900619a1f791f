"""Worker processes: bounded, cancelled, replaced, while the server goes on."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

from backproof.web.app import make_app
from backproof.web.limits import Limits
from backproof.web.pool import Pool

from .conftest import PAGE, Work


def stub(link: socket.socket, options: dict[str, Any]) -> None:
    """A worker that does what it is told, and nothing of ours."""

    def send(event: dict[str, Any]) -> None:
        body = json.dumps(event).encode()
        link.sendall(len(body).to_bytes(4, "big") + body)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    send({"kind": "ready"})
    while head := link.recv(4):
        job = json.loads(link.recv(int.from_bytes(head, "big")))
        if job["do"] == "cancel":
            continue
        if job["do"] == "die":
            os._exit(9)
        if job["do"] == "hang":
            time.sleep(60)
        if job["do"] == "wait":
            link.recv(1000)  # ends when it is told to
        send({"kind": "part", "pid": os.getpid()})
        send({"kind": "done", "retire": job["do"] == "grow"})


def with_pool(test: Callable[[Pool], Any], **options: Any) -> Any:
    async def run() -> Any:
        pool = Pool(stub, {}, **{"size": 1, "seconds": 0.5, **options})
        await pool.start()
        try:
            return await test(pool)
        finally:
            await pool.close()

    return asyncio.run(run())


async def everything(pool: Pool, do: str) -> list[dict[str, Any]]:
    return [event async for event in pool.run({"do": do})]


def test_a_process_past_its_limit_is_killed_and_replaced() -> None:
    async def test(pool: Pool) -> None:
        first = (await everything(pool, "say"))[0]["pid"]
        (stopped,) = await everything(pool, "hang")
        assert stopped["why"] == "time" and pool.replaced == 1
        assert (await everything(pool, "say"))[0]["pid"] != first

    with_pool(test)


def test_a_process_that_dies_is_replaced() -> None:
    async def test(pool: Pool) -> None:
        assert [e["why"] for e in await everything(pool, "die")] == ["died"]
        assert [e["kind"] for e in await everything(pool, "say")] == ["part", "done"]

    with_pool(test)


def test_a_process_that_has_grown_is_replaced() -> None:
    async def test(pool: Pool) -> None:
        first = (await everything(pool, "grow"))[0]["pid"]
        assert (await everything(pool, "say"))[0]["pid"] != first

    with_pool(test)


def test_a_job_that_nobody_waits_for_is_cancelled() -> None:
    async def test(pool: Pool) -> None:
        pid = (await everything(pool, "say"))[0]["pid"]
        for do, same in (("wait", True), ("hang", False)):
            job = asyncio.create_task(everything(pool, do))
            await asyncio.sleep(0.1)
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
            assert ((await everything(pool, "say"))[0]["pid"] == pid) is same

    with_pool(test, seconds=5.0)


def test_too_many_jobs_are_turned_down_and_the_rest_is_done() -> None:
    async def test(pool: Pool) -> None:
        await everything(pool, "say")
        jobs = [asyncio.create_task(everything(pool, "say")) for _ in range(6)]
        ends = [(await job)[-1] for job in jobs]
        assert sorted(e["kind"] for e in ends) == ["done"] * 4 + ["stopped"] * 2

    with_pool(test, waiting=3)


def test_who_gives_up_waiting_takes_no_place() -> None:
    async def test(pool: Pool) -> None:
        await everything(pool, "say")
        busy = asyncio.create_task(everything(pool, "wait"))
        await asyncio.sleep(0.05)
        for _ in range(10):
            job = asyncio.create_task(everything(pool, "say"))
            await asyncio.sleep(0.01)
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
        last = asyncio.create_task(everything(pool, "say"))
        await asyncio.sleep(0.05)
        busy.cancel()
        assert (await last)[-1]["kind"] == "done"

    with_pool(test, waiting=2, seconds=5.0)


def test_an_idle_process_that_is_gone_does_no_harm() -> None:
    async def test(pool: Pool) -> None:
        pid = (await everything(pool, "say"))[0]["pid"]
        os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.1)
        await everything(pool, "say")
        assert (await everything(pool, "say"))[-1]["kind"] == "done"

    with_pool(test)


# --- with real sheets ----------------------------------------------------------------------------

HEAVY = "\n".join([
    "given x in R[1200]", "learn W in R[1200, 1200]", "z = W @ x", "a = tanh(z)",
    *(f"z{k} = W @ a\na{k} = tanh(z{k})" for k in range(6)), "L = sumsq(a5)",
    "claim grad(L, W) == a @ x.T",
    *(f"claim inv(W) @ W @ W == {k}*W @ W @ inv(W)" for k in range(1, 12)),
])  # fmt: skip


def test_a_heavy_sheet_is_stopped_while_others_are_answered() -> None:
    app = make_app(host="127.0.0.1", port=8642, limits=Limits(seconds=4), workers=2)
    with TestClient(app, base_url="http://127.0.0.1:8642", headers=PAGE) as client:
        ends: list[dict[str, Any]] = []

        def heavy() -> None:
            other = {"x-backproof-page": "the-page-with-the-heavy-sheet"}
            reply = client.post("/api/work", json={"text": HEAVY}, headers=other)
            ends.append(json.loads(reply.text.splitlines()[-1]))

        thread = threading.Thread(target=heavy)
        thread.start()
        time.sleep(0.3)
        reply = client.post("/api/work", json={"text": "given x in R\ny = 2*x\nask shapes"})
        assert json.loads(reply.text.splitlines()[-1])["kind"] == "done"
        assert thread.is_alive(), "the heavy sheet ended too early to show anything"
        thread.join(30)
        assert ends[0]["kind"] == "stopped" or ends[0].get("stopped")


def test_a_sheet_that_needs_too_much_memory_is_an_error(work: Work) -> None:
    events = work("given x in R[60000]\nA = x @ x.T\nclaim A @ A == A\n")
    end = events[-1]
    assert end["kind"] in ("done", "stopped")
    assert work("given x in R\ny = x")[-1]["kind"] == "done"


# --- hostile inputs ------------------------------------------------------------------------------

WORDS = "given learn claim ask x W R[ 3 ] [ ( ) { } = == @ * ** + - / .T , σ ℝ ∈ ᵀ ± e # in for"
PIECES = [
    *WORDS.split(), "\n", "\r", "\t", " ", "grad(", "jac(", "hess(", "sum(", "for i in 1..",
    "999999999", "1e308", "-0.0", "😀", "\u202e", "\x00", "\ud800", 'file("', "/x.csv", '"', "'",
    "<script>", "</script>", "&", "\\", "__import__", "lambda", "inv(", "det(", "softmax(",
    'einsum("ij,jk->ik",', "round 2 each", "let n = ", "assume ", "given ", "claim ", "ask tree ",
]  # fmt: skip


def hostile(rng: random.Random) -> str:
    kind = rng.randrange(5)
    if kind == 0:
        return "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 60)))
    if kind == 1:
        return "y = " + rng.choice("([-") * rng.randrange(1, 3000) + "1"
    if kind == 2:
        return "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randrange(1, 200)))
    if kind == 3:
        size = rng.choice((1, 2, 30, 4000, 10**7))
        body = rng.choice(("x @ x.T", "exp(exp(exp(x)))", "x**x", "kron(x, x)", "eye(9999999)"))
        return f"given x in R[{size}]\ny = {body}\nL = sum(y)\nask gradient L wrt x"
    lines = ["given x in R[3]", "learn W in R[3, 3]", "z = W @ x", "L = sumsq(z)", "claim L == 0"]
    text = "\n".join(lines)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(PIECES) + text[at + rng.randrange(3) :]
    return text


def test_a_thousand_hostile_inputs_and_the_server_still_answers() -> None:
    rng = random.Random(6)
    limits = Limits(seconds=0.6)
    app = make_app(host="127.0.0.1", port=8642, limits=limits, workers=2)
    ends: dict[str, int] = {}
    with TestClient(app, base_url="http://127.0.0.1:8642", headers=PAGE) as client:
        for _ in range(1000):
            view = rng.choice(("working", "working", "tree", "gradient", "shapes", "local", "?"))
            option = rng.choice(("", "x", hostile(rng)[:300]))
            body = json.dumps({"text": hostile(rng), "view": view, "option": option})
            sent = {"content-type": "application/json"}
            reply = client.post("/api/work", content=body.encode(), headers=sent)
            assert reply.status_code in (200, 400), reply.text
            if reply.status_code == 400:
                continue
            events = [json.loads(line) for line in reply.text.splitlines()]
            assert events, body
            end = events[-1]
            assert "fault" not in end, (body, end)
            word = end.get("why") or end.get("stopped") or end["kind"]
            ends[word] = ends.get(word, 0) + 1
        good = client.post("/api/work", json={"text": "given x in R\nL = x**2\nclaim L >= 0"})
        verdict = json.loads(good.text.splitlines()[1 + good.text.count('"part"')])
        assert verdict["kind"] in ("verdict", "part")
    assert ends["done"] > 800, ends
