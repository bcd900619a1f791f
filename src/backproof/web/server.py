"""Starts the local web app: finds a free port, says where it is, opens a browser.

Needs the extra `web`: starlette and uvicorn.
"""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

from backproof.errors import BackproofError, FileProblem, MissingExtra

PORT = 8642
TRIED = 20  # ports after the usual one


def serve(
    file: Path | None,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    workers: int | None = None,
    seconds: float | None = None,
    browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serves until interrupted.

    port      None: the usual one, or the next that is free
    seconds   how long one request may be worked on
    """
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise MissingExtra((error.name or "starlette").split(".")[0], "web") from None
    from backproof.web.app import make_app
    from backproof.web.limits import Limits

    limits = Limits() if seconds is None else Limits(seconds=seconds)
    start, files = opened(file, limits) if file is not None else ({"name": "", "text": ""}, {})
    listening = bound(host, port)
    port = listening.getsockname()[1]
    app = make_app(host=host, port=port, limits=limits, workers=workers, start=start, files=files)
    shown = "localhost" if host in ("127.0.0.1", "::1", "0.0.0.0", "::") else host
    address = f"http://{shown}:{port}/"
    say(f"The page is at {address}  (Ctrl+C ends it)")
    if host not in ("127.0.0.1", "localhost", "::1"):
        say(f"It listens on {host}: everyone who can reach this machine can use it.")
    if browser:
        threading.Timer(0.6, webbrowser.open, [address]).start()
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_keep_alive=30, server_header=False,
        timeout_graceful_shutdown=2, limit_concurrency=1000, h11_max_incomplete_event_size=65_536,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listening])


def bound(host: str, port: int | None) -> socket.socket:
    """A socket that listens, or an error that says why there is none."""
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    ports = range(PORT, PORT + TRIED) if port is None else (port,)
    reason = ""
    for number in ports:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((bare, number))
            sock.listen(256)
            return sock
        except (OSError, OverflowError) as error:
            sock.close()
            reason = getattr(error, "strerror", None) or str(error)
    asked = f"port {port}" if port is not None else f"ports {PORT} to {PORT + TRIED - 1}"
    raise BackproofError(
        f"The page cannot be served on {host}, {asked}: {reason}.",
        hint="name another port with --port, or 0 for any that is free",
    )


def opened(file: Path, limits: object) -> tuple[dict[str, str], dict[str, bytes]]:
    """(name and text of a sheet or a paper, the data files beside it that it names)."""
    from backproof.language.files import MARKDOWN, read_source
    from backproof.web.limits import Limits
    from backproof.web.papers_desk import is_paper
    from backproof.web.uploads import check_name

    assert isinstance(limits, Limits)
    text = read_source(file).text
    if file.suffix.lower() in MARKDOWN and not is_paper(text):
        raise FileProblem(f"'{file}' has no sheet; expected a fence marked `sheet`.")
    files: dict[str, bytes] = {}
    for name in named_files(text):
        path = file.parent / check_name(name)
        if path.is_file() and path.stat().st_size <= limits.upload:
            files[name] = path.read_bytes()
    return {"name": file.name, "text": text}, files


def named_files(text: str) -> list[str]:
    """The data files that a sheet or the sheets of a paper name, as far as they can be read."""
    from backproof.errors import Source
    from backproof.language.markdown import parse_markdown
    from backproof.language.sheet import parse_sheet
    from backproof.web.papers_desk import is_paper

    source = Source("sheet", text)
    try:
        blocks = parse_markdown(source).sheets if is_paper(text) else ()
        sheets = [b.sheet for b in blocks] if blocks else [parse_sheet(source)]
    except BackproofError:
        return []
    declared = [d for sheet in sheets if sheet is not None for d in sheet.declarations.values()]
    return [d.file for d in declared if d.file is not None]
