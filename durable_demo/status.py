"""`durable-demo status`: what runs and which workflows there are. Starts nothing and takes no lease."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from durable_demo import settings
from durable_demo.background import BackgroundLoop
from durable_demo.client import DemoClient, Runs
from durable_demo.connection import Connection, configured, connect
from durable_demo.stack import Stack, StackInfo
from durable_demo.wording import fault_words, printable

LISTED = 100


async def show(console: Console) -> None:
    """Prints the stack, then the newest workflows on its server.

    Raises:
        ConnectionFailed: The server does not answer; what runs is printed before.
    """
    stack = Stack()
    info = stack.info()
    connection = configured() or (Connection(info.address, info.namespace) if info else None)
    if connection is None:
        _print(console, f"Nothing runs in {stack.home}. Start it: durable-demo lab, or durable-demo monty")
        return
    for name, fact in _facts(connection, info, stack.sessions()).items():
        _print(console, f"{name:<12}{fact}")
    runs = await _listed(connection)
    _print(console, f"\n{runs}" if runs else "\nNo workflows yet: durable-demo monty")


def _print(console: Console, text: str) -> None:
    console.print(Text(printable(text)), soft_wrap=True)


def _facts(connection: Connection, info: StackInfo | None, sessions: int) -> dict[str, str]:
    facts = {
        "Server": f"{connection.address}, Namespace {connection.namespace}",
        "Worker": "none of ours",
        "Task Queue": settings.task_queue(),
        "Sessions": str(sessions),
    }
    if info:
        facts["State"] = str(info.home)
        if info.server:
            facts["Server"] += f", pid {info.server.pid}"
        if info.workers:
            facts["Worker"] = ", ".join(f"pid {worker.pid}" for worker in info.workers)
        if info.supervisor:
            facts["Supervisor"] = f"pid {info.supervisor.pid}"
        if info.web_ui:
            facts["Web UI"] = info.web_ui.root + (" on JupyterLab's address" if info.web_ui.path else "")
        for module in info.live:
            works = f"pid {module.process.pid}" if module.process else "no Worker"
            facts[f"%%{module.name}"] = works if module.ready else f"{works}, not ready"
        if broken := fault_words(info.faults):
            facts["Broken"] = f"{', '.join(broken.values())} (on purpose; `durable-demo reset` mends it)"
    return facts


async def _listed(connection: Connection) -> Runs:
    background = BackgroundLoop()
    background.start()
    try:
        temporal = await background.run(connect(connection), name="connect")
        return await DemoClient(temporal, background, task_queue=settings.task_queue()).runs(limit=LISTED)
    finally:
        background.close()
