"""A server on a free port, and a headless Chromium to look at its page; or the reason why not."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from backproof.web.app import make_app
from backproof.web.limits import Limits
from backproof.web.server import bound

if TYPE_CHECKING:
    from playwright.sync_api import Page

PATIENCE = 30_000  # milliseconds that a busy machine may take for anything
STILL: dict[str, Any] = {"reduced_motion": "reduce"}  # contrast is judged when nothing fades
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


class Seen:
    """What a page asked for and complained about."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.faults: list[str] = []

    def refused(self, count: int) -> None:
        """Takes so many complaints about refused requests away, which must be there."""
        refused = [fault for fault in self.faults if "the server responded with a status" in fault]
        assert len(refused) == count, self.faults
        self.faults = [fault for fault in self.faults if fault not in refused]


def write(page: Page, text: str) -> None:
    """Puts a text in place of the whole sheet, as pasting does."""
    page.locator(".cm-content").focus()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(text)


def saved(page: Page, form: str, name: str = "") -> bytes:
    """What the page downloads in a form of its menu, under the name expected."""
    page.locator("#download summary").click()
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name=form, exact=True).click()
    assert not name or download.value.suggested_filename == name
    return download.value.path().read_bytes()


def faults(page: Page, source: str) -> list[str]:
    """What axe-core finds serious or critical."""
    page.evaluate(f"() => {{ if (!window.axe) {{ {source} }} }}")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{v['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for v in found
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"][:3]
    ]
