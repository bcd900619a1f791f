"""What a request may be before anything looks at it, and what every reply says of itself.

Other web sites must not reach this server through somebody's browser: not by a host name that
was pointed at it (DNS rebinding), not by a form or a script (the Origin of what changes things).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
EVERYWHERE = ("0.0.0.0", "::", "")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
READING = ("GET", "HEAD")


class Guard:
    """Turns away wrong hosts and foreign origins; adds the headers to every reply.

    host   what the server was told to listen on; on all addresses, any address as a number will do
    port   the port, or 0 where it is not checked
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self.app = app
        self.anywhere = host in EVERYWHERE
        names = [*LOOPBACK, *([] if self.anywhere else [_bracketed(host)])]
        self.hosts = {f"{name}:{port}".lower() for name in names}
        if port in (0, 80):
            self.hosts |= {name.lower() for name in names}
        self.port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                have = {name.lower() for name, _ in message.get("headers", ())}
                more = [pair for pair in HEADERS if pair[0] not in have]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        fault = self._fault(scope)
        if fault is not None:
            status, text = fault
            await PlainTextResponse(text + "\n", status)(scope, receive, with_headers)
            return
        await self.app(scope, receive, with_headers)

    def _fault(self, scope: Scope) -> tuple[int, str] | None:
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name == b"host" and name in headers:
                return 400, "More than one host is named."
            headers[name] = value
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not self._is_ours(host):
            return 421, "This server does not answer to that host name."
        if scope["method"] in READING:
            return None
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() != f"http://{host}":
            return 403, "This request comes from another site."
        if headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none"):
            return 403, "This request comes from another site."
        return None

    def _is_ours(self, host: str) -> bool:
        if host in self.hosts:
            return True
        if not self.anywhere:
            return False
        name, _, port = host.rpartition(":")
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return port == str(self.port)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
