"""A server on a free port, and a headless Chromium to look at its page; or the reason why not."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from backproof.web.app import make_app
from backproof.web.limits import Limits
from backproof.web.server import bound

ROOT = Path(__file__).resolve().parent.parent.parent
EDITOR = ROOT / "src" / "backproof" / "web" / "assets" / "editor"
BUILD = ROOT / "build" / "editor"
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def chromium() -> str:
    """The browser's path; skips the test where there is none."""
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip("there is no Chromium on this machine: `make browser` installs one where it can")


def axe() -> str:
    """The source of axe-core, from the lock file of the editor; skips the test where npm fails."""
    source = BUILD / "node_modules" / "axe-core" / "axe.min.js"
    if not source.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("axe-core is not there and cannot be fetched: there is no npm")
        BUILD.mkdir(parents=True, exist_ok=True)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(EDITOR / file, BUILD / file)
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=BUILD, capture_output=True, timeout=120)
        if done.returncode or not source.exists():
            pytest.skip("axe-core could not be fetched through npm")
    return source.read_text(encoding="utf-8")


@contextmanager
def served(limits: Limits | None = None, workers: int = 2) -> Iterator[str]:
    """The address of a running server."""
    sock = bound("127.0.0.1", 0)
    port = sock.getsockname()[1]
    app = make_app(host="127.0.0.1", port=port, limits=limits, workers=workers)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
        sock.close()
