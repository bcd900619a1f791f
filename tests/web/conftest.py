"""What the tests of the live page share: the app with small limits, and a page in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("starlette", reason="the extra `web` is not installed")
pytest.importorskip("httpx2", reason="httpx2 is not installed")

from starlette.testclient import TestClient

from backproof.web.app import make_app
from backproof.web.limits import Limits

from .browser import FLAGS, PATIENCE, Seen, chromium, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGE = {"x-backproof-page": "a-page-for-the-tests"}
Event = dict[str, Any]
Work = Callable[..., list[Event]]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """A client of an app with two processes, each bounded to three seconds a job."""
    app = make_app(host="127.0.0.1", port=8642, limits=Limits(seconds=3.0), workers=2)
    with TestClient(app, base_url="http://127.0.0.1:8642", headers=PAGE) as client:
        yield client


@pytest.fixture
def work(client: TestClient) -> Work:
    """The events of one job."""

    def events(text: str, view: str = "working", option: str = "") -> list[Event]:
        body = {"text": text, "view": view, "option": option}
        reply = client.post("/api/work", json=body)
        assert reply.status_code == 200, reply.text
        return [json.loads(line) for line in reply.text.splitlines()]

    return events


# --- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a running server."""
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium that has patience with a busy machine."""
    from playwright.sync_api import expect, sync_playwright

    path = chromium()
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def seen() -> Seen:
    """What the page of a test asked for and complained about."""
    return Seen()


@pytest.fixture(params=[{}])
def blank(request: Any, browser: Browser, address: str, seen: Seen) -> Iterator[Page]:
    """A page that shows nothing yet; afterwards nothing may have gone wrong in it."""
    context = browser.new_context(**request.param)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    context.on("request", lambda r: seen.requests.append(r.url))
    page.on("pageerror", lambda e: seen.faults.append(str(e)))
    page.on("console", lambda m: seen.faults.append(m.text) if m.type == "error" else None)
    yield page
    context.close()
    assert seen.faults == []
    outside = [url for url in seen.requests if not url.startswith((address, "data:", "blob:"))]
    assert outside == [] and seen.requests


@pytest.fixture
def page(blank: Page, address: str) -> Page:
    """The page as it opens, with an example in it."""
    from playwright.sync_api import expect

    blank.goto(address)
    expect(blank.locator("#state")).to_contain_text("1 proved")
    return blank
