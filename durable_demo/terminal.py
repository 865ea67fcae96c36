"""A workflow's live trace in a terminal, or as lines for another program."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from durable_demo.errors import DemoError
from durable_demo.events import Event, Reconnected
from durable_demo.trace import Summary, Trace
from durable_demo.wording import AWAY, Kind, printable

if TYPE_CHECKING:
    from durable_demo.run import Run

LEFT = 130
"""Exit status after Ctrl-C, as shells have it."""
SENT_WITHIN_S = 3.0
"""How long leaving waits for a stop that is being asked for."""

_STYLES: Mapping[Kind, str] = {
    "progress": "dim",
    "quote": "bold green",
    "control": "cyan",
    "retry": "yellow",
    "problem": "bold red",
    "end": "bold",
    "detail": "dim",
}
_KEPT_LINES = 1_000  # what is printed is the terminal's to keep


def show_error(error: DemoError) -> None:
    """Writes an error of ours to stderr: what, why and what to do; in red on a terminal."""
    Console(stderr=True).print(Text(printable(str(error)), style="red"), soft_wrap=True)


class Screen:
    """Writes events as they come: lines above one live line on a terminal, plain lines when piped, or JSON lines.

    Args:
        console: Where to.
        as_json: Each event as a line of JSON, and nothing else.
    """

    def __init__(self, console: Console, *, as_json: bool = False) -> None:
        self._console = console
        self._as_json = as_json
        self._live = console.is_terminal and not as_json
        self._trace = Trace(max_lines=_KEPT_LINES)
        self._printed = 0

    @property
    def summary(self) -> Summary:
        """What is known of the workflow."""
        return self._trace.summary

    @contextmanager
    def open(self) -> Iterator[None]:
        """Keeps the live line up to date, where there is one; the totals are written at the end."""
        line = Live(get_renderable=self._live_line, console=self._console, transient=True, refresh_per_second=8)
        with line if self._live else nullcontext():
            yield
        if self.summary.workflow_id and not self._as_json:
            self._console.print(Text(f"Status: {self.summary.status}\n{self.summary.footer}"), soft_wrap=True)

    def show(self, event: Event) -> None:
        """Writes one event."""
        delta = self._trace.apply(event)
        if self._as_json:
            typer.echo(event.to_json())
            return
        for line in delta.lines:
            is_new = line.number >= self._printed
            self._printed = max(self._printed, line.number + 1)
            if self._live and line.kind == "progress":
                continue
            if is_new or isinstance(event, Reconnected):
                self._console.print(Text(str(line), style=_STYLES.get(line.kind, "")), soft_wrap=True)

    def say(self, message: str) -> None:
        """Writes a remark of the program itself."""
        if self._as_json:
            typer.echo(message, err=True)
        else:
            self._console.print(Text(printable(message), style="italic"), soft_wrap=True)

    def _live_line(self) -> RenderableType:
        summary = self.summary
        footer = Text(summary.footer, style="dim", no_wrap=True, overflow="ellipsis")
        line = Table.grid(padding=(0, 1))
        if not summary.connected:
            line.add_row(Text(AWAY, style="bold red"))
        elif summary.progress is None:
            line.add_row(Text(summary.status, style="bold"), footer)
        else:
            doing = summary.activity.replace("_", " ") + (f", attempt {summary.attempt}" if summary.attempt > 1 else "")
            bar = ProgressBar(total=100, completed=summary.progress, width=24)
            line.add_row(Text(doing), bar, Text(f"{summary.progress:3.0f}%"), footer)
        return line


async def watch(run: Run, screen: Screen, *, after: str | None = None, stops: bool = False) -> int:
    """Shows a run until it ends or the reader leaves.

    Args:
        run: What to show.
        screen: Where.
        after: Offset behind which to begin.
        stops: Whether the first Ctrl-C asks the workflow for a graceful end; the next one leaves.

    Returns:
        Exit status: 0 if the workflow completed, 130 if the reader left, else 1.
    """
    following = asyncio.create_task(_follow(run, screen, after))
    requests: list[asyncio.Task[None]] = []

    def interrupted() -> None:
        if stops and not requests:
            screen.say("stopping... (Ctrl-C again leaves)")
            requests.append(asyncio.create_task(_stop(run, screen)))
        else:
            following.cancel()

    with screen.open(), interrupts(interrupted):
        try:
            await asyncio.wait({following})
        finally:
            following.cancel()
            if requests:  # who leaves in a hurry has still asked for the end
                await asyncio.wait(requests, timeout=SENT_WITHIN_S)
            for task in requests:
                task.cancel()
            await asyncio.gather(following, *requests, return_exceptions=True)
    if following.cancelled():
        screen.say(f"{run.id} is left to itself. Watch it again: durable-demo watch {run.id}")
        return LEFT
    following.result()
    return 0 if screen.summary.status == "COMPLETED" else 1


async def _follow(run: Run, screen: Screen, after: str | None) -> None:
    async for event in run.events(after=after):
        screen.show(event)


async def _stop(run: Run, screen: Screen) -> None:
    try:
        answer = await run.stop()
    except DemoError as error:
        screen.say(str(error))
        return
    if not answer.accepted:
        screen.say(answer.message)


@contextmanager
def interrupts(handle: Callable[[], None], *also: signal.Signals) -> Iterator[None]:
    """Has Ctrl-C, and the other signals named, call `handle` on the running event loop.

    `loop.add_signal_handler` would do the same, but not on Windows.
    """
    loop = asyncio.get_running_loop()
    before = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(handle)) for number in (signal.SIGINT, *also)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
