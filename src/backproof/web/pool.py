"""A few worker processes, kept warm; each does one job at a time and is bounded in time.

A process that does not end in time, or dies, is killed and replaced while the server goes on. A
job that nobody waits for any longer is cancelled. Knows frames and processes, not sheets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from multiprocessing.process import BaseProcess
from typing import Any

Event = dict[str, Any]
GRACE = 0.4  # seconds that a cancelled job has to stop by itself
START = 60.0  # seconds that a process may take to be ready
LARGEST = 64 * 2**20  # bytes of one frame


class Worker:
    """One process, and the socket to it."""

    def __init__(self, process: BaseProcess, ours: socket.socket) -> None:
        self.process = process
        self._socket = ours
        self.session = ""  # the open page that it worked for last
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def connect(self) -> None:
        """Waits until the process says that it is ready."""
        self._socket.setblocking(False)
        self.reader, self.writer = await asyncio.open_connection(sock=self._socket)
        await asyncio.wait_for(self.read(), START)

    async def read(self) -> Event:
        """The next frame; EOFError when the process is gone."""
        try:
            size = int.from_bytes(await self.reader.readexactly(4), "big")
            if size > LARGEST:
                raise EOFError
            event: Event = json.loads(await self.reader.readexactly(size))
        except (asyncio.IncompleteReadError, OSError):
            raise EOFError from None
        return event

    async def send(self, message: Event) -> None:
        """Sends one frame; EOFError when the process is gone."""
        body = json.dumps(message).encode()
        try:
            self.writer.write(len(body).to_bytes(4, "big") + body)
            await self.writer.drain()
        except OSError:
            raise EOFError from None

    def kill(self) -> None:
        """Ends the process at once."""
        self.process.kill()
        self._close()

    def _close(self) -> None:
        if hasattr(self, "writer"):
            self.writer.close()
        else:
            self._socket.close()


class Busy(Exception):
    """Too many jobs are waiting already."""


class Pool:
    """The processes and who waits for one.

    main      what a process runs: called with its socket and with *options*
    size      how many processes
    seconds   how long one job may take
    waiting   how many jobs may wait
    """

    def __init__(
        self,
        main: Callable[..., None],
        options: Event,
        *,
        size: int = 2,
        seconds: float = 20.0,
        waiting: int = 200,
        preload: str | None = None,
    ) -> None:
        self.main, self.options = main, options
        self.size, self.seconds, self.most_waiting = size, seconds, waiting
        methods = multiprocessing.get_all_start_methods()
        self.context: Any = multiprocessing.get_context(
            "forkserver" if "forkserver" in methods else "spawn"
        )
        if preload is not None and "forkserver" in methods:
            self.context.set_forkserver_preload([preload])
        self.replaced = 0  # processes that had to be replaced
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._waiters: deque[tuple[str, asyncio.Future[Worker]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    # --- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts the processes without waiting for them."""
        for _ in range(self.size):
            self._spawn(self._add())

    async def close(self) -> None:
        """Ends every process."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        workers = list(self._all)
        for worker in workers:
            worker.kill()
        for _, future in self._waiters:
            future.cancel()
        await asyncio.to_thread(_join, [w.process for w in workers])

    def _spawn(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _add(self) -> None:
        """One more process; tried again where it does not come up."""
        delay = 0.1
        while not self._closed:
            worker = await self._begun()
            self._all.add(worker)
            try:
                await worker.connect()
            except (EOFError, TimeoutError):
                self._drop(worker)
                await asyncio.sleep(delay)
                delay = min(5.0, 2 * delay)
                continue
            self._release(worker)
            return

    async def _begun(self) -> Worker:
        """A started process; one that starts while the pool is closed is ended again."""
        starting = asyncio.ensure_future(asyncio.to_thread(self._begin))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            (await starting).kill()
            raise

    def _begin(self) -> Worker:
        ours, theirs = socket.socketpair()
        process = self.context.Process(
            target=self.main, args=(theirs, self.options), daemon=True, name="backproof-worker"
        )
        process.start()
        theirs.close()
        return Worker(process, ours)

    def _drop(self, worker: Worker) -> None:
        self._all.discard(worker)
        worker.kill()
        if not self._closed:
            self._spawn(_reaped(worker.process))

    def _replace(self, worker: Worker) -> None:
        self.replaced += 1
        self._drop(worker)
        if not self._closed:
            self._spawn(self._add())

    # --- waiting -----------------------------------------------------------------------------

    async def _acquire(self, session: str) -> Worker:
        if self._idle:
            own = [w for w in self._idle if w.session == session]
            worker = (own or self._idle)[-1]
            self._idle.remove(worker)
            return worker
        if len(self._waiters) >= self.most_waiting:
            raise Busy
        future: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        waiter = (session, future)
        self._waiters.append(waiter)
        try:
            return await future
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            if future.done() and not future.cancelled():
                self._release(future.result())
            raise

    def _release(self, worker: Worker) -> None:
        while self._waiters:
            at = next((k for k, (s, _) in enumerate(self._waiters) if s == worker.session), 0)
            _, future = self._waiters[at]
            del self._waiters[at]
            if not future.done():
                future.set_result(worker)
                return
        self._idle.append(worker)

    # --- jobs --------------------------------------------------------------------------------

    async def run(self, job: Event, session: str = "") -> AsyncIterator[Event]:
        """The events of one job; the last one is of kind `done` or `stopped`.

        Closing the iterator cancels the job.
        """
        try:
            worker = await self._acquire(session)
        except Busy:
            yield {"kind": "stopped", "why": "busy"}
            return
        worker.session = session
        ended = False
        try:
            try:
                deadline = asyncio.get_running_loop().time() + self.seconds
                await worker.send(job)
                while not ended:
                    async with asyncio.timeout_at(deadline):
                        event = await worker.read()
                    ended = event["kind"] == "done"
                    retire = ended and event.pop("retire", False)
                    if not ended:
                        yield event
                if retire:
                    self._replace(worker)
                else:
                    self._release(worker)
                yield event
            except (TimeoutError, EOFError) as error:
                ended = True
                self._replace(worker)
                why = "time" if isinstance(error, TimeoutError) else "died"
                yield {"kind": "stopped", "why": why, "seconds": self.seconds}
        finally:
            if not ended:
                self._spawn(self._settle(worker))

    async def _settle(self, worker: Worker) -> None:
        """Has a cancelled job stop; a process that does not is replaced."""
        try:
            async with asyncio.timeout(GRACE):
                await worker.send({"do": "cancel"})
                while (await worker.read())["kind"] != "done":
                    pass
        except (TimeoutError, EOFError):
            self._replace(worker)
        except asyncio.CancelledError:
            self._drop(worker)
            raise
        else:
            self._release(worker)


def _join(processes: list[BaseProcess]) -> None:
    for process in processes:
        process.join(2.0)


async def _reaped(process: BaseProcess) -> None:
    await asyncio.to_thread(process.join, 5.0)
    with contextlib.suppress(ValueError):
        process.close()


def default_size() -> int:
    """As many processes as processors, between two and four."""
    return max(2, min(4, os.cpu_count() or 2))
