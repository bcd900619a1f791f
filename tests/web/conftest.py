"""What the tests of the live page share: the app with small limits, and one without a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra `web` is not installed")
pytest.importorskip("httpx2", reason="httpx2 is not installed")

from starlette.testclient import TestClient

from backproof.web.app import make_app
from backproof.web.limits import Limits

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
