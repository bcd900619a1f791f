"""The addresses of the local web app, and what stands behind each. Works nothing out itself."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backproof.errors import BackproofError
from backproof.language.functions import CONSTANTS, DERIVATIVES, FUNCTIONS, Signature
from backproof.language.sets import NAMED_SETS
from backproof.language.tokens import STATEMENT_WORDS
from backproof.web import worker
from backproof.web.gallery import examples
from backproof.web.guard import Guard
from backproof.web.limits import Limits
from backproof.web.papers_desk import FILES as PAPER_FILES
from backproof.web.pool import Pool, default_size
from backproof.web.uploads import Uploads, check_name

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

ASSETS = {
    "page.css": "text/css", "page.js": "text/javascript", "parts.js": "text/javascript",
    "paper.css": "text/css", "take.js": "text/javascript", "paper.js": "text/javascript",
    "editor.js": "text/javascript", "editor.LICENSE.txt": "text/plain", "icon.svg": "image/svg+xml",
}  # fmt: skip
ASKS = ("shapes", "forward", "value", "tree", "gradient", "step", "batch", "slow", "weights",
        "wrt", "rate", "rows", "blank", "samples", "shared")  # fmt: skip
FORMS = {"html": ("text/html", "html"), "tex": ("application/x-tex", "tex"),
         "pdf": ("application/pdf", "pdf"), "json": ("application/json", "json")}  # fmt: skip
_SESSION = re.compile(r"[A-Za-z0-9_-]{16,64}")
Start = dict[str, str]


class Turned(Exception):
    """A request that is turned down, with a status and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Site:
    """The app's state: the processes, the files, and who is at work on what."""

    def __init__(self, limits: Limits, size: int, start: Start, first: dict[str, bytes]) -> None:
        self.limits = limits
        self.start = start
        self.uploads = Uploads(limits, first)
        self.pool = Pool(
            worker.main, asdict(limits), size=size, seconds=limits.seconds,
            waiting=limits.waiting, preload="backproof.web.warm",
        )  # fmt: skip
        self.latest: dict[tuple[str, str], asyncio.Event] = {}

    def job(self, session: str, do: str, **more: Any) -> dict[str, Any]:
        """A job for a worker process, with the page's files."""
        names = self.uploads.names(session)
        folder = str(self.uploads.folder(session)) if names else ""
        return {"do": do, "folder": folder, "files": names, **more}

    def replace(self, session: str, kind: str) -> asyncio.Event:
        """Stops what the same page asked for before; gives what will stop this."""
        key = (session, kind)
        if key in self.latest:
            self.latest[key].set()
        mine = self.latest[key] = asyncio.Event()
        return mine

    def ended(self, session: str, kind: str, mine: asyncio.Event) -> None:
        """Forgets a request that has ended."""
        if self.latest.get((session, kind)) is mine:
            del self.latest[session, kind]


def make_app(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    limits: Limits | None = None,
    workers: int | None = None,
    start: Start | None = None,
    files: dict[str, bytes] | None = None,
) -> Starlette:
    """The app.

    host, port   what the server listens on; requests for another host are turned away
    start        {"name", "text"} of the sheet that the page opens with
    files        data files that every page has from the start
    """
    limits = limits or Limits()
    site = Site(limits, workers or default_size(), start or {"name": "", "text": ""}, files or {})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await site.pool.start()
        try:
            yield
        finally:
            await site.pool.close()
            site.uploads.close()

    def route(path: str, answer: Callable[[Site, Request], Awaitable[Any]], method: str) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                made: Response = await answer(site, request)
            except Turned as turned:
                made = JSONResponse({"message": turned.reason}, turned.status)
            except BackproofError as error:
                made = JSONResponse({"message": error.message, "hint": error.hint}, 422)
            return made

        return Route(path, endpoint, methods=[method])

    from backproof.web.papers_app import PATHS

    app = Starlette(
        routes=[
            *(route(*path) for path in PATHS),
            route("/", _page, "GET"),
            route("/assets/{name}", _asset, "GET"),
            route("/api/start", _start, "GET"),
            route("/api/examples/{name}", _example, "GET"),
            route("/api/work", _work, "POST"),
            route("/api/export", _export, "POST"),
            route("/api/files", _files, "GET"),
            route("/api/files/{name}", _upload, "POST"),
            route("/api/files/{name}", _remove, "DELETE"),
        ],
        lifespan=lifespan,
    )
    app.add_middleware(Guard, host=host, port=port)
    app.state.site = site
    return app


# --- what stands still ---------------------------------------------------------------------------


def read_asset(name: str) -> bytes:
    """A file of the page."""
    return (files("backproof.web") / "assets" / name).read_bytes()


async def _page(site: Site, request: Request) -> Response:
    return Response(read_asset("page.html"), media_type="text/html; charset=utf-8")


async def _asset(site: Site, request: Request) -> Response:
    name = request.path_params["name"]
    if name == "working.css":
        from backproof.render.html import style

        return Response(style(page=True), media_type="text/css")
    if name not in ASSETS:
        raise Turned(404, "There is no such file.")
    return Response(read_asset(name), media_type=ASSETS[name])


async def _start(site: Site, request: Request) -> Response:
    return JSONResponse({
        "start": site.start,
        "examples": [{"name": e.name, "title": e.title, "group": e.group} for e in examples()],
        "words": {
            "statements": sorted({*STATEMENT_WORDS, "vary"}), "words": list(ASKS),
            "sets": sorted({"R", "Rpos", *NAMED_SETS}), "constants": list(CONSTANTS),
            "functions": [{"name": n, "detail": _detail(n, s)} for n, s in FUNCTIONS.items()],
        },
        "forms": [form for form in FORMS if form != "pdf" or _prints()],
        "paper_files": [
            to for to, (media, _) in PAPER_FILES.items() if "pdf" not in media or _prints()
        ],
        "limits": {"text": site.limits.text, "upload": site.limits.upload,
                   "seconds": site.limits.seconds},
    })  # fmt: skip


def _prints() -> bool:
    """Whether PDF can be written."""
    return find_spec("typst") is not None


def _detail(name: str, signature: Signature) -> str:
    if name in DERIVATIVES:
        return "of a, by b"
    options = "".join(f", {o}=…" for o in signature.options)
    return signature.counts() + options


async def _example(site: Site, request: Request) -> Response:
    for example in examples():
        if example.name == request.path_params["name"]:
            return JSONResponse({"name": example.name, "text": example.text})
    raise Turned(404, "There is no such example.")


# --- working -------------------------------------------------------------------------------------


async def _work(site: Site, request: Request) -> Response:
    session = session_of(request)
    body = await read_json(site, request)
    what = {key: text_of(body, key) for key in ("text", "view", "option")}
    kind = "local" if what["view"] == "local" else "work"
    return Stream(site, session, site.job(session, "work", at=_place(body), **what), kind)


class Stream(Response):
    """The events of a job as lines of JSON, as they come.

    The job is cancelled when the page goes away, or asks for something newer of the same kind.
    """

    media_type = "application/x-ndjson"

    def __init__(self, site: Site, session: str, job: dict[str, Any], kind: str) -> None:
        super().__init__()
        self.site, self.session, self.job, self.kind = site, session, job, kind
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        newer = self.site.replace(self.session, self.kind)
        gone = asyncio.create_task(_gone(receive))
        late = asyncio.create_task(newer.wait())
        events = self.site.pool.run(self.job, self.session)
        try:
            await send({
                "type": "http.response.start", "status": 200, "headers": self.raw_headers,
            })  # fmt: skip
            while True:
                step = asyncio.ensure_future(anext(events, None))
                await asyncio.wait({step, gone, late}, return_when=asyncio.FIRST_COMPLETED)
                if not step.done():
                    step.cancel()
                    with suppress(asyncio.CancelledError):
                        await step
                    event: dict[str, Any] | None = {"kind": "stopped", "why": "cancelled"}
                else:
                    event = step.result()
                if event is None:
                    break
                line = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
                await send({"type": "http.response.body", "body": line, "more_body": True})
                if event["kind"] in ("stopped", "done"):
                    break
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:
            pass  # the page has gone away
        finally:
            gone.cancel()
            late.cancel()
            self.site.ended(self.session, self.kind, newer)
            await events.aclose()  # type: ignore[attr-defined]


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _export(site: Site, request: Request) -> Response:
    session = session_of(request)
    body = await read_json(site, request)
    to = text_of(body, "to")
    if to not in FORMS:
        raise Turned(400, "The page writes html, tex, pdf and json.")
    job = site.job(session, "export", text=text_of(body, "text"), to=to, at=_place(body))
    content = b""
    async for event in site.pool.run(job, session):
        content = one(event) or content
    media, ending = FORMS[to]
    name = {"content-disposition": f'attachment; filename="sheet.{ending}"'}
    return Response(content, media_type=media, headers=name)


def one(event: dict[str, Any]) -> bytes:
    """The content of a file event; what went wrong as a reason to turn the request down."""
    if event["kind"] == "file":
        return base64.b64decode(event["content"])
    if event["kind"] == "error":
        raise Turned(422, event["message"] + (f" Hint: {event['hint']}." if event["hint"] else ""))
    if event["kind"] == "stopped":
        raise Turned(503, f"This was stopped: {event['why']}.")
    if event.get("fault") or event.get("stopped"):
        raise Turned(500, event.get("fault") or f"This was stopped: {event['stopped']}.")
    return b""


# --- data files ----------------------------------------------------------------------------------


async def _files(site: Site, request: Request) -> Response:
    return JSONResponse({"files": site.uploads.names(session_of(request))})


async def _upload(site: Site, request: Request) -> Response:
    session = session_of(request)
    name = check_name(request.path_params["name"])
    content = await _body(request, site.limits.upload)
    path = site.uploads.add(session, name, content)
    held: dict[str, Any] = {}
    try:
        async for event in site.pool.run(site.job(session, "file", name=name), session):
            one(event)
            held = event if event["kind"] == "held" else held
    except (Turned, asyncio.CancelledError):
        path.unlink(missing_ok=True)
        raise
    return JSONResponse({"name": name, "arrays": held["arrays"]})


async def _remove(site: Site, request: Request) -> Response:
    session = session_of(request)
    if site.uploads.has(session):
        site.uploads.remove(session, request.path_params["name"])
    return JSONResponse({"files": site.uploads.names(session)})


# --- what a request brings -----------------------------------------------------------------------


def session_of(request: Request) -> str:
    """The open page that a request comes from."""
    session = request.headers.get("x-backproof-page", "")
    if not _SESSION.fullmatch(session):
        raise Turned(400, "The request does not say which open page it comes from.")
    return session


async def _body(request: Request, most: int) -> bytes:
    if int(request.headers.get("content-length") or 0) > most:
        raise Turned(413, f"At most {most:,} bytes are taken.")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Turned(413, f"At most {most:,} bytes are taken.")
        parts.append(part)
    return b"".join(parts)


async def read_json(site: Site, request: Request) -> dict[str, Any]:
    """The JSON object that a request brings."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise Turned(415, "Expected JSON.")
    try:
        body = json.loads(await _body(request, site.limits.body))
    except (ValueError, RecursionError):
        raise Turned(400, "The request is not JSON that can be read.") from None
    if not isinstance(body, dict):
        raise Turned(400, "Expected a JSON object.")
    return body


def text_of(body: dict[str, Any], key: str) -> str:
    """A text of a request, or "" where it has none."""
    value = body.get(key, "")
    if not isinstance(value, str):
        raise Turned(400, f"'{key}' must be text.")
    return value.encode("utf-8", "replace").decode()


def _place(body: dict[str, Any]) -> int:
    """Where the cursor is, in UTF-16 units."""
    at = body.get("at", 0)
    if type(at) is not int or not 0 <= at < 2**31:
        raise Turned(400, "'at' must be a place in the text.")
    return at
