"""The panel: the tabs Chat and Workflow Trace, and the buttons that start, stop and break a Monty workflow."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from durable_demo.errors import ServerUnreachable, WorkflowNotFound
from durable_demo.vocabulary import MONTY
from durable_demo.widgets import assets
from durable_demo.widgets.live import LiveTrace, Reply, Work
from durable_demo.widgets.trace_view import SCRIPTS, STYLES

if TYPE_CHECKING:
    from durable_demo.background import Pending
    from durable_demo.run import Run
    from durable_demo.session import Session

DEMO_PRESET = {"min_sleep": 2.0, "max_sleep": 5.0}
"""Sleeps that are short enough to watch, in seconds."""


class Panel(LiveTrace):
    """The tabs of "Durable AI Agent": end a cell with it and it shows itself, live.

    Its methods do what its buttons do, and return at once: await what they return, or leave it.

    Args:
        demo: A started session.
        attach: Whether to pick up the newest Monty workflow that runs already, as after a restart of the kernel.
    """

    _esm = assets.script(*SCRIPTS, "chat_view.js", "panel.js")
    _css = assets.style(*STYLES, "chat_view.css", "panel.css")

    def __init__(self, demo: Session, *, attach: bool = True) -> None:
        super().__init__(demo)
        # Of several starts, and an attach before them, each sees what the one before it has done.
        self._one_start = asyncio.Lock()
        if attach:
            self._hand_over("attach to a running workflow", self._attach)

    def start_monty(self, **options: Any) -> Pending[Run]:
        """Starts a Monty workflow and shows it; if a Monty is shown that still runs, that one stays and is returned.

        Args:
            options: Those of `DemoClient.start_monty`; here the sleeps are 2 to 5 seconds unless you say otherwise.
        """

        async def start() -> Run:
            run, _ = await self._start(options)
            return run

        return self._hand_over("start Monty", start)

    def watch(self, run: Run | str) -> Run:
        """Shows another workflow of any type, running or ended, from its beginning.

        Args:
            run: The workflow, or its Workflow ID.

        Raises:
            InvalidInput: Not a Workflow ID.
        """
        found = self._demo.attach(run) if isinstance(run, str) else run
        self._follow(found)
        return found

    async def _start(self, options: dict[str, Any]) -> tuple[Run, bool]:
        """The workflow that runs now, and whether it is a new one."""
        async with self._one_start:
            shown = self._run
            if shown is not None and await self._is_active_monty(shown):
                self._follow(shown)
                return shown, False
            self._feed.show(starting=True)
            try:
                run = await self._demo.start_monty(**{**DEMO_PRESET, **options})
                self._follow(run)
            finally:
                self._feed.show(starting=False)
            return run, True

    async def _is_active_monty(self, run: Run) -> bool:
        """Whether the workflow that is shown is a Monty that still runs; the trace may be behind the server."""
        summary = self._feed.trace.summary
        if summary.ended:
            return False
        try:
            status = await run.status()
        except WorkflowNotFound:
            return False
        except ServerUnreachable:
            # A start would fail as well: what the trace says holds until the server is back.
            return summary.workflow_type == MONTY or (self._following and not summary.workflow_type)
        return status.workflow_type == MONTY and not status.ended

    async def _attach(self) -> None:
        async with self._one_start:
            for item in await self._demo.runs():
                if item.workflow_type == MONTY and item.status == "RUNNING" and self._run is None:
                    self._follow(item.run)

    def _commands(self) -> dict[str, Work[Reply]]:
        async def start() -> Reply:
            run, new = await self._start({})
            return new, "" if new else f"Already running: {run.id}"

        return {"start_monty": start, **super()._commands()}
