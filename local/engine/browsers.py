"""MiniStack answers every web page: it allows any origin, and any name that resolves to loopback. A page open in the browser
of a developer could read tables and gate tokens, or reset it all. Programs are let in, and nobody who says that he is a page.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit


def install(app: ModuleType) -> None:
    """Stands before everything the application answers, its own control paths and web sockets included."""
    upstream = app.app

    async def guarded(scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        reason = refusal(scope) if scope["type"] in ("http", "websocket") else None
        if reason is None:
            await upstream(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            body = json.dumps({"message": reason}).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    app.app = guarded


def refusal(scope: Mapping[str, Any]) -> str | None:
    """Why this request is not answered."""
    headers = {bytes(name).lower(): bytes(value).decode("latin-1") for name, value in scope["headers"]}
    if not _is_here(f"http://{headers.get(b'host', '')}"):
        return "the Host is not this computer's loopback address: another name may be a web page's trick"
    origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site", "none")
    if (origin is not None and not _is_here(origin)) or site not in ("same-origin", "none"):
        return "this comes from a web page of another origin"
    return None


def _is_here(url: str) -> bool:
    try:
        name = urlsplit(url).hostname or ""
    except ValueError:
        return False
    # A browser resolves names below localhost to loopback itself (RFC 6761); services with host names of their own use them.
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
