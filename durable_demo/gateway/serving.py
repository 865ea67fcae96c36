"""`durable-demo serve`: a session and the gateway on top of it, until Ctrl-C."""

from __future__ import annotations

import ipaddress
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import quote

import uvicorn
from rich.console import Console
from rich.text import Text

from durable_demo.errors import InvalidInput, PortTaken
from durable_demo.gateway.app import guarded, make_app
from durable_demo.gateway.guard import Access, allowed_hosts, check_origin, check_token
from durable_demo.gateway.limits import IDLE_S, MAX_BODY, SEND_DEADLINE_S, SHUTDOWN_S, Limits
from durable_demo.session import Session
from durable_demo.terminal import interrupts


async def serve(
    console: Console,
    *,
    host: str,
    port: int,
    token: str = "",
    origins: Sequence[str] = (),
    hosts: Sequence[str] = (),
    allowed: Limits | None = None,
) -> int:
    """Serves the gateway until Ctrl-C or SIGTERM; workflows go on.

    Args:
        console: Where it says what it serves.
        host: Address to listen on.
        port: Its port; 0 for a free one.
        token: What each request must carry; needed on an address that other machines can reach.
        origins: Other web pages that may use it.
        hosts: Further names by which it may be asked for.
        allowed: Limits; default `Limits()`.

    Returns:
        The exit status.

    Raises:
        InvalidInput: A setting cannot be used.
        PortTaken: Another program listens there.
        StackError: Server or Worker cannot be started.
        ConnectionFailed: The configured server cannot be used.
    """
    allowed = allowed or Limits()
    access = Access(
        hosts=allowed_hosts(host, hosts),
        origins=tuple(check_origin(origin) for origin in origins),
        token=check_token(token, host),
        requests=allowed.requests,
    )
    with listen(host, port) as listening:
        async with Session() as demo:
            server = GatewayServer(
                uvicorn.Config(
                    guarded(make_app(demo, allowed), access),
                    log_level="warning",
                    access_log=False,  # it would show tokens
                    server_header=False,
                    proxy_headers=False,  # any local program could make up an address
                    timeout_keep_alive=IDLE_S,
                    timeout_graceful_shutdown=SHUTDOWN_S,
                    ws_max_size=MAX_BODY,
                )
            )
            _announce(console, listening, token)
            with interrupts(lambda: server.handle_exit(signal.SIGTERM, None), signal.SIGTERM):
                await server.serve(sockets=[listening])
    return 0 if server.started else 1


class GatewayServer(uvicorn.Server):
    """Ends without raising the signal a second time, which would end the process before its session."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        InvalidInput: Not an address.
        PortTaken: Another program listens there, or it is not this machine's.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=1_024)
        if sys.platform == "linux":  # what was given up is closed although it takes in nothing
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(2_000 * SEND_DEADLINE_S))
        return listening
    except socket.gaierror as error:
        raise InvalidInput(
            f"not an address: {host[:80]!r}", why=str(error), remedy="for example --host 127.0.0.1"
        ) from error
    except OSError as error:
        raise PortTaken(
            f"The gateway cannot listen on {host}, port {port}.",
            why=str(error),
            remedy="`--port` with another one, or `--port 0` for a free one",
        ) from error


def _announce(console: Console, listening: socket.socket, token: str) -> None:
    host, port = listening.getsockname()[:2]
    name = socket.gethostname() if ipaddress.ip_address(host).is_unspecified else f"[{host}]" if ":" in host else host
    address = f"http://{name}:{port}"
    secret = f"?token={quote(token)}" if token else ""
    bearer = " -H 'Authorization: Bearer ...'" if token else ""
    for line in (
        f"Panel:  {address}/{secret}",
        f"Events: curl -N -X POST{bearer} {address}/monty/stream",
        f"Routes: {address}/openapi.json",
        "Ctrl-C ends the gateway; workflows go on.",
    ):
        console.print(Text(line), soft_wrap=True)
