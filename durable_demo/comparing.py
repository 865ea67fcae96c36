"""Reads the events of workflows and compares their figures. Needs no Worker: all of it stands in the Event History."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from durable_demo.comparison import Comparison
from durable_demo.errors import InvalidInput
from durable_demo.figures import Figures, Measured
from durable_demo.run import Run

MAX_RUNS = 8
"""Workflows of one comparison: as many as a plot can show."""
MAX_READ = 4
"""Workflows that are read at once: the server has other things to do."""
MAX_KNOWN = 64
"""Workflows whose figures are kept for the next look."""


class Comparing:
    """Compares workflows again and again: each look reads only what is new, and of what has ended nothing.

    A Workflow ID that was used again stands for its newest workflow.

    May be used from any thread and any event loop.
    """

    def __init__(self) -> None:
        self._known: dict[str, Figures] = {}

    async def look(self, runs: Sequence[Run]) -> Comparison:
        """How the workflows compare now.

        Args:
            runs: 1 to 8 workflows of any type, running or ended; one that is named twice counts once.

        Raises:
            InvalidInput: There are none or too many, or something else than workflows.
            WorkflowNotFound: One of them does not exist; the error names it.
            ServerUnreachable: The server does not answer; what was read is kept for the next look.
        """
        wrong = [run for run in runs if not isinstance(run, Run)]
        if wrong:
            raise InvalidInput(
                f"cannot compare a {type(wrong[0]).__name__}", remedy="pass what `demo.attach(...)` gives"
            )
        distinct = list(dict.fromkeys(runs))
        if not 1 <= len(distinct) <= MAX_RUNS:
            raise InvalidInput(
                f"1 to {MAX_RUNS} workflows can be compared, not {len(distinct)}",
                remedy="choose some from `await demo.runs()`",
            )
        gate = asyncio.Semaphore(MAX_READ)

        async def measured(run: Run) -> Measured:
            async with gate:
                return await self._measure(run)

        try:
            async with asyncio.TaskGroup() as reading:
                tasks = [reading.create_task(measured(run)) for run in distinct]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return Comparison(tuple(task.result() for task in tasks))

    async def _measure(self, run: Run) -> Measured:
        # Taken out while it changes: two looks at once may read a workflow twice, but never count anything twice.
        figures = self._known.pop(run.id, None) or Figures(run.id)
        try:
            if not figures.ended:
                await self._read(run, figures)
            if figures.ended and (await run.status()).run_id != figures.run_id:
                figures = Figures(run.id)  # its Workflow ID was used again
                await self._read(run, figures)
        finally:
            self._known[run.id] = figures
            for oldest in list(self._known)[:-MAX_KNOWN]:
                self._known.pop(oldest, None)
        return figures.measured(datetime.now(UTC))

    async def _read(self, run: Run, figures: Figures) -> None:
        async for event in run.events(after=figures.last_fact, wait=False):
            figures.apply(event)
