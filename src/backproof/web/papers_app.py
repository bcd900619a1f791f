"""The addresses of papers: the student's page, the jobs of papers as streams, files of a paper.

Works nothing out itself; `papers_desk` does, in a worker process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from backproof.web.app import Site, Stream, Turned, one, read_asset, read_json, session_of, text_of
from backproof.web.papers_desk import FILES

DOING = ("paper", "read", "mark", "solution", "author", "variant")
MOST_ANSWERS = 2_000
Answer = Callable[[Site, Request], Awaitable[Any]]


async def take(site: Site, request: Request) -> Response:
    """The page on which a student takes a paper."""
    return Response(read_asset("take.html"), media_type="text/html; charset=utf-8")


async def work(site: Site, request: Request) -> Response:
    """The events of a job about a paper."""
    session = session_of(request)
    body = await read_json(site, request)
    do = text_of(body, "do")
    if do not in DOING:
        raise Turned(400, f"Of a paper, the page asks for {', '.join(DOING)}.")
    more = {"text": text_of(body, "text"), "option": text_of(body, "option")[:200]}
    job = site.job(session, do, answers=answers_of(body), **more)
    return Stream(site, session, job, kind=f"paper {do}")


async def file(site: Site, request: Request) -> Response:
    """A paper as a file: PDF, key, form, a quiz."""
    session = session_of(request)
    body = await read_json(site, request)
    to = text_of(body, "to")
    if to not in FILES:
        raise Turned(400, f"A paper is written as {', '.join(FILES)}.")
    job = site.job(session, "paper-file", text=text_of(body, "text"), option=to)
    content = b""
    async for event in site.pool.run(job, session):
        content = one(event) or content
    media, name = FILES[to]
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media, headers=headers)


def answers_of(body: dict[str, Any]) -> dict[str, str]:
    """Item id -> what is written; a request that brings anything else is turned down."""
    found = body.get("answers", {})
    if not isinstance(found, dict) or len(found) > MOST_ANSWERS:
        raise Turned(400, f"'answers' must be an object of at most {MOST_ANSWERS:,} texts.")
    return {text_of({"answers": key}, "answers"): text_of(found, key) for key in found}


PATHS: tuple[tuple[str, Answer, str], ...] = (
    ("/take", take, "GET"), ("/api/paper", work, "POST"), ("/api/paper/file", file, "POST"),
)  # fmt: skip
