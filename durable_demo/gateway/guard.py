"""Who may ask a gateway for what: names of the host, other web pages, the token, sizes and rates.

It stands before all routes, as plain ASGI, so that nothing of a request that is refused reaches them.
"""

from __future__ import annotations

import ipaddress
import math
import secrets
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import psutil
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from durable_demo import settings
from durable_demo.errors import InvalidInput
from durable_demo.gateway.limits import MAX_BODY
from durable_demo.gateway.problems import Refusal

COOKIE = "durable-demo-token"
MINIMUM_TOKEN = 16
"""Characters: what is shorter can be guessed."""
PAGE = "/"
STREAM = "/stream"
ASSETS = "/assets/"
"""A page has dozens of them, which cost nothing."""
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_LOGIN = (
    "This page needs its token: open the address that `durable-demo serve` has printed. It ends in ?token= and the "
    "token.\n"
)


@dataclass(frozen=True)
class Access:
    """Who may use a gateway.

    Attributes:
        hosts: Names by which it may be asked for, without port, in small letters.
        origins: Other web pages that may use it, such as `https://example.org:3000`.
        token: What each request must carry; empty for none.
        requests: Requests in a minute, from one address; 0 for no limit.
    """

    hosts: frozenset[str]
    origins: tuple[str, ...] = ()
    token: str = ""
    requests: int = 0


def allowed_hosts(host: str, more: Iterable[str] = ()) -> frozenset[str]:
    """The names by which a gateway that listens on this address may be asked for.

    Raises:
        InvalidInput: One of `more` is no name.
    """
    for name in more:
        if _host_name(f"[{name}]" if name.count(":") > 1 else name) != name.lower():
            raise InvalidInput(f"not the name of a host: {name[:80]!r}", remedy="such as demo.example, without a port")
    names = {"localhost", "127.0.0.1", "::1", host, *more}
    if not is_loopback(host):
        names |= {socket.gethostname(), socket.getfqdn()}
        for addresses in psutil.net_if_addrs().values():
            names |= {address.address.partition("%")[0] for address in addresses}
    return frozenset(name.lower() for name in names)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_token(token: str, host: str) -> str:
    """A token as it is to be used.

    Raises:
        InvalidInput: There is none, and other machines could reach the address; or it can be guessed, or not be sent.
    """
    if not token and not is_loopback(host):
        raise InvalidInput(
            f"{host} can be reached from other machines, and no token is set.",
            remedy=f"`--token`, best by the environment variable {settings.ENV_TOKEN}; or serve on 127.0.0.1",
        )
    if token and not (len(token) >= MINIMUM_TOKEN and token.isascii() and token.isprintable() and " " not in token):
        raise InvalidInput(
            f"a token has at least {MINIMUM_TOKEN} printable ASCII characters and no space",
            remedy="make one: python3 -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    return token


def check_origin(origin: str) -> str:
    """An origin as browsers send it.

    Raises:
        InvalidInput: It is none.
    """
    parts = urlsplit(origin.lower())
    usual = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    plain = f"{parts.scheme}://{parts.netloc}" == origin.lower() and "@" not in parts.netloc
    if not (usual and parts.hostname and plain):
        raise InvalidInput(f"not an origin: {origin[:80]!r}", remedy="such as http://localhost:3000, and nothing else")
    return origin.lower().removesuffix(usual)


class Guard:
    """Refuses what is not allowed, with its problem.

    Args:
        app: What is guarded.
        access: Who may use it.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._rate = RateLimitItemPerMinute(access.requests) if access.requests else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        guarded = _with_headers(send)
        try:
            answer = self._check(scope, Headers(scope=scope))
        except Refusal as refusal:
            if scope["type"] == "websocket":
                # Before it is accepted, a page would be told nothing of the reason.
                await send({"type": "websocket.accept"})
                await send({"type": "websocket.close", "code": 4000 + refusal.status, "reason": refusal.detail})
            else:
                await refusal.response(scope["path"])(scope, receive, guarded)
        else:
            await (answer(scope, receive, guarded) if answer else self._app(scope, _bounded(receive), guarded))

    def _check(self, scope: Scope, headers: Headers) -> Response | None:
        """An answer that needs no route; None for a request that is let in.

        Raises:
            Refusal: It is not.
        """
        if _host_name(headers.get("host", "")) not in self._access.hosts:
            raise Refusal(
                421,
                "This is not the host that was asked for.",
                kind="unknown-host",
                remedy="serve it by this name too: `durable-demo serve --allow-host NAME`",
            )
        if not self._own_or_allowed(scope, headers):
            raise Refusal(
                403,
                "The request comes from another web page.",
                kind="foreign-origin",
                remedy="allow that page: `durable-demo serve --allow-origin ORIGIN`",
            )
        self._count(scope)
        answer = self._identify(scope, headers)
        if _length(headers) > MAX_BODY:
            raise Refusal(413, f"The body has more than {MAX_BODY} bytes.", kind="too-large", remedy="send less")
        return answer

    def _count(self, scope: Scope) -> None:
        address = _address(scope)
        if not self._rate or scope["path"].startswith(ASSETS) or self._limiter.hit(self._rate, address):
            return
        wait = math.ceil(max(1.0, self._limiter.get_window_stats(self._rate, address).reset_time - time.time()))
        raise Refusal(
            429,
            f"More than {self._access.requests} requests in a minute.",
            kind="too-many-requests",
            remedy="wait a little; `durable-demo serve --rate` sets the limit",
            headers={"Retry-After": str(wait)},
        )

    def _own_or_allowed(self, scope: Scope, headers: Headers) -> bool:
        """Whether a request comes from no web page, from one of ours, or from one that is allowed.

        A page anywhere may have a browser send simple requests, which start workflows; it could not read the answers.
        """
        origin = headers.get("origin")
        if origin is not None:
            own = urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
            return own or origin in self._access.origins
        if scope["type"] == "websocket":
            return True  # browsers always send it
        site = headers.get("sec-fetch-site", "none")
        opened = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        return site in ("none", "same-origin") or (opened and scope["path"] == PAGE and scope["method"] == "GET")

    def _identify(self, scope: Scope, headers: Headers) -> Response | None:
        """Looks for the token; who opens the page by a link with it is signed in."""
        token, path = self._access.token, scope["path"]
        if not token:
            return None
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(bearer.strip(), token):
            return None
        if _same(cookie_parser(headers.get("cookie", "")).get(_cookie_name(scope), ""), token):
            return None
        # EventSource can send no header, and nobody types one into the address bar.
        asked = parse_qs(scope["query_string"].decode("latin-1"))
        if scope.get("method") == "GET" and _same(asked.get("token", [""])[0], token):
            if path.endswith(STREAM):
                return None
            if path == PAGE:
                return _signed_in(scope, token)
        if path == PAGE and "text/html" in headers.get("accept", ""):
            return PlainTextResponse(_LOGIN, 401)
        raise Refusal(
            401,
            "The token is missing or wrong.",
            kind="unauthorized",
            remedy="send `Authorization: Bearer ...`; an EventSource adds `?token=...`",
            headers={"WWW-Authenticate": 'Bearer realm="durable-demo"'},
        )


def _signed_in(scope: Scope, token: str) -> Response:
    """Keeps the token in a cookie, and takes it out of the address bar."""
    others = [part for part in scope["query_string"].decode("latin-1").split("&") if not part.startswith("token=")]
    response = RedirectResponse("./" + ("?" + "&".join(others) if others else ""), 303)
    # Lax: with Strict, a link on another page would lead here and leave the cookie behind. What changes anything is
    # protected by its origin.
    response.set_cookie(
        _cookie_name(scope), token, httponly=True, samesite="lax", secure=scope.get("scheme") == "https"
    )
    return response


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())


def _cookie_name(scope: Scope) -> str:
    """Cookies are for all ports of a host: another gateway there has another name for its own."""
    return f"{COOKIE}-{(scope.get('server') or ('', 0))[1]}"


def _host_name(host: str) -> str:
    """The name in a `Host` header, without port and brackets."""
    try:
        return "" if set(host) & set("@/?#\\") else (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isdecimal() else 0


def _bounded(receive: Receive) -> Receive:
    """Breaks off a body without a length that becomes too large."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise HTTPException(413, f"The body has more than {MAX_BODY} bytes.")
        return message

    return bounded


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            names: Sequence[bytes] = [name.lower() for name, _ in message.get("headers", [])]
            message = {
                **message,
                "headers": [*message.get("headers", []), *(pair for pair in _HEADERS if pair[0] not in names)],
            }
        await send(message)

    return with_headers
