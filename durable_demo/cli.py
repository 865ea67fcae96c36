"""The command line: `durable-demo`. Each command is a few lines; what it does is in a module of its own.

Those modules are imported by the commands that need them: together they take seconds to load.
"""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from durable_demo import __version__, settings
from durable_demo.errors import DemoError, InvalidInput, StackError
from durable_demo.processes import leave
from durable_demo.terminal import Screen, show_error
from durable_demo.terminal import watch as watch_run
from durable_demo.wording import printable

if TYPE_CHECKING:
    from durable_demo.doctor import Check
    from durable_demo.execute import Outcome, Parameter
    from durable_demo.stack import StackInfo


class LabByDefault(TyperGroup):
    """`durable-demo` and `durable-demo --no-browser` mean `durable-demo lab ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in {"--help", "--version"}):
            args = ["lab", *args]
        return super().parse_args(ctx, args)


class PairedParameters(TyperCommand):
    """Takes `-p NAME VALUE` as papermill does; Typer's options have one value each."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        joined: list[str] = []
        rest = iter(args)
        for arg in rest:
            joined.append(arg)
            if arg in {"-p", "--parameter"}:
                pair = list(islice(rest, 1))
                if pair and "=" not in pair[0]:
                    pair += islice(rest, 1)
                joined.append("=".join(pair))
        return super().parse_args(ctx, joined)


app = typer.Typer(
    cls=LabByDefault,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="See durable execution in Jupyter. Without a command: lab.",
)
console = Console(highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable: JSON on stdout, nothing else.")]


def main() -> None:
    """Entry point of `durable-demo`: an error of ours is told in words, any other keeps its traceback."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a workflow may send anything
    try:
        app(prog_name="durable-demo")
    except DemoError as error:
        show_error(error)
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"durable-demo {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def lab(
    extra: Annotated[list[str] | None, typer.Argument(help="Arguments for JupyterLab, after `--`.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the URL, open no browser.")] = False,
) -> None:
    """Open JupyterLab on the first notebook, with server and Worker ready beside it. Ctrl-C ends all of it."""
    from durable_demo.lab import serve

    raise typer.Exit(asyncio.run(serve(console, browser=not no_browser, extra=extra or [])))


@app.command()
def monty(
    min_sleep: Annotated[float, typer.Option(help="Shortest sleep in seconds.")] = 2.0,
    max_sleep: Annotated[float, typer.Option(help="Longest sleep in seconds.")] = 5.0,
    progress_interval: Annotated[float, typer.Option(help="Seconds between two reports of progress.")] = 0.5,
    seed: Annotated[int | None, typer.Option(help="Makes sleeps and quotes repeatable.")] = None,
    iterations: Annotated[int | None, typer.Option(help="End by itself after so many.")] = None,
    quote: Annotated[list[str] | None, typer.Option(help="A quote of your own; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Start a Monty Python workflow and watch it live. Ctrl-C stops it gracefully, a second Ctrl-C leaves it."""
    from durable_demo.session import Session

    async def start_and_watch() -> int:
        async with Session() as session:
            run = await session.start_monty(
                min_sleep=min_sleep,
                max_sleep=max_sleep,
                progress_interval=progress_interval,
                seed=seed,
                iterations=iterations,
                quotes=quote or None,
            )
            return await watch_run(run, Screen(console, as_json=as_json), stops=True)

    leave(asyncio.run(start_and_watch()))


@app.command()
def watch(
    workflow_id: Annotated[str, typer.Argument(help="Workflow ID, of any type of workflow.")],
    after: Annotated[str | None, typer.Option(help="Begin behind the event with this offset.")] = None,
    as_json: AsJson = False,
) -> None:
    """Watch any workflow live, running or ended. Ctrl-C leaves it; it goes on."""
    from durable_demo.session import Session

    async def attach_and_watch() -> int:
        async with Session() as session:
            return await watch_run(session.attach(workflow_id), Screen(console, as_json=as_json), after=after)

    leave(asyncio.run(attach_and_watch()))


@app.command()
def chat(
    message: Annotated[str | None, typer.Argument(help="The only message; without it, one from each line.")] = None,
    attach: Annotated[str | None, typer.Option(metavar="ID", help="Go on with this conversation.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest one that runs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Talk to the durable agent. Ctrl-C stops an answer; at the prompt it leaves, and the conversation stays."""
    from durable_demo.terminal_chat import converse

    leave(converse(console, message=message, attach=attach, resume=resume, as_json=as_json))


@app.command(cls=PairedParameters)
def run(
    notebooks: Annotated[list[Path], typer.Argument(help="Notebooks to run, one after another.")],
    out: Annotated[Path, typer.Option(help="Directory for executed notebooks and pages.")] = Path("executed"),
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "-p", "--parameter", metavar="NAME VALUE", help="Value for the `parameters` cell; may be repeated."
        ),
    ] = None,
    cell_timeout: Annotated[int, typer.Option(min=1, help="Seconds that one cell may take.")] = 300,
) -> None:
    """Run notebooks without a browser; keep executed copies and HTML pages that need no network."""
    from durable_demo.execute import execute_notebooks, parse_parameter

    parameters: dict[str, Parameter] = {}
    for text in parameter or []:
        name, sign, value = text.partition("=")
        if not (sign and name.isidentifier()):
            raise InvalidInput(f"-p takes a NAME and a VALUE, not {text!r}", remedy="for example: -p max_sleep 0.5")
        parameters[name] = parse_parameter(value)
    outcomes: list[Outcome] = []
    for outcome in execute_notebooks(
        notebooks,
        out,
        parameters=parameters,
        cell_timeout=timedelta(seconds=cell_timeout),
        progress_bar=sys.stderr.isatty(),
        on_start=lambda notebook: console.print(Text(f"Running {notebook} ..."), soft_wrap=True),
    ):
        outcomes.append(outcome)
    _print_outcomes(outcomes)
    raise typer.Exit(0 if all(outcome.ok for outcome in outcomes) else 1)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Look at what is installed and free, and whether server and Worker answer; each with a remedy."""
    from durable_demo.doctor import examine

    async def collect() -> list[Check]:
        checks = []
        async for check in examine():
            checks.append(check)
            if not as_json:
                _print_check(check)
        return checks

    checks = asyncio.run(collect())
    healthy = all(check.level != "fail" for check in checks)
    if as_json:
        typer.echo(json.dumps({"ok": healthy, "checks": [vars(check) for check in checks]}, indent=2))
    leave(0 if healthy else 1)


@app.command()
def status() -> None:
    """Show what runs: server, Worker, sessions and workflows. Starts nothing."""
    from durable_demo.status import show

    asyncio.run(show(console))


@app.command()
def reset() -> None:
    """Bring everything back to a known state: faults lifted, workflows terminated, server and Worker healthy."""
    from durable_demo.session import Session

    async def bring_back() -> str:
        session = Session()
        session.background.start()  # a start would wait for what is broken
        try:
            return str(await session.reset())
        finally:
            await session.close()

    said = asyncio.run(bring_back())
    console.print(Text(said), soft_wrap=True)
    leave(0)


@app.command()
def logs(
    name: Annotated[
        str, typer.Argument(help="Whose: server, worker, supervisor, or live-NAME of a workflow from a notebook.")
    ] = "worker",
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, help="How many of the last lines.")] = 50,
) -> None:
    """Show the last lines of a log."""
    from durable_demo.stack import Stack
    from durable_demo.statedir import LOG_NAME

    if not LOG_NAME.fullmatch(name):
        raise InvalidInput(
            f"there is no log named {name[:80]!r}", remedy="one of: server, worker, supervisor, live-NAME"
        )
    stack = Stack()
    said = stack.logs(name, lines)
    console.print(Text(printable(said) if said else f"{name} has logged nothing in {stack.home}"), soft_wrap=True)


@app.command()
def down() -> None:
    """Stop server and Worker now, whoever uses them. Workflows wait in the database and go on with the next start."""
    from durable_demo.stack import Stack

    async def stop() -> str:
        stack = Stack()
        before = stack.info()
        if not await stack.down():
            return f"Nothing ran in {stack.home}"
        what = f" ({_processes(before)})" if before else ""
        return f"Stopped{what}. Workflows go on with the next start."

    console.print(Text(asyncio.run(stop())), soft_wrap=True)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; another than loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")] = 8000,
    token: Annotated[
        str, typer.Option(envvar=settings.ENV_TOKEN, show_default=False, help="What each request must carry.")
    ] = "",
    allow_origin: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="Another web page that may use it; may be repeated.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A further name of this host; may be repeated.")
    ] = None,
    rate: Annotated[int, typer.Option(min=0, help="Requests in a minute from one address; 0 for no limit.")] = 1200,
) -> None:
    """Serve the HTTP gateway and the panel as a web page. Ctrl-C ends it; workflows go on."""
    try:
        from durable_demo.gateway.limits import Limits
        from durable_demo.gateway.serving import serve as run_gateway
    except ModuleNotFoundError as error:
        raise StackError(
            "The gateway is not installed.",
            why=f"the package {error.name!r} is missing",
            remedy="pip install 'durable-demo[gateway]'",
        ) from error
    serving = run_gateway(
        console,
        host=host,
        port=port,
        token=token,
        origins=allow_origin or [],
        hosts=allow_host or [],
        allowed=Limits(requests=rate),
    )
    leave(asyncio.run(serving))


@app.command()
def worker() -> None:
    """Run a Worker in the foreground, until Ctrl-C."""
    from durable_demo.worker import main as run_worker

    raise typer.Exit(run_worker())


def _processes(info: StackInfo) -> str:
    parts = [("server", info.server), *(("Worker", worker) for worker in info.workers), ("supervisor", info.supervisor)]
    return ", ".join(f"{name} {process.pid}" for name, process in parts if process)


def _print_outcomes(outcomes: list[Outcome]) -> None:
    width = max((len(outcome.notebook.name) for outcome in outcomes), default=0)
    for outcome in outcomes:
        seconds = outcome.duration.total_seconds()
        line = Text.assemble(
            ("ok      ", "green") if outcome.ok else ("failed  ", "bold red"),
            f"{outcome.notebook.name:<{width}}  {seconds:>6.1f} s  {outcome.page}",
        )
        if outcome.error:  # whole, and not in a column: it may have many lines
            line.append("\n" + textwrap.indent(printable(outcome.error), " " * 8))
        console.print(line, soft_wrap=True)


def _print_check(check: Check) -> None:
    style = {"ok": "green", "warn": "yellow", "fail": "bold red"}[check.level]
    line = Text.assemble((f"{check.level:<5}", style), (f"{check.name:<16}", "bold"), printable(check.found))
    if check.remedy:
        line.append(f"\n{'':21}Next: {printable(check.remedy)}")
    console.print(line, soft_wrap=True)


if __name__ == "__main__":
    main()
