"""The workflows of a panel's tabs Runs and Compare: listed, acted on, started several at once, compared."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from durable_demo.background import LoopLock
from durable_demo.comparing import Comparing
from durable_demo.errors import DemoError, InvalidInput
from durable_demo.widgets.channels import PanelChannel
from durable_demo.widgets.compare_channel import CompareChannel
from durable_demo.widgets.live import Command, Reply, Work
from durable_demo.widgets.run_verbs import act_on
from durable_demo.widgets.runs_channel import MAX_SHOWN, RunsChannel

if TYPE_CHECKING:
    from durable_demo.client import Runs
    from durable_demo.comparison import Comparison
    from durable_demo.run import Run
    from durable_demo.session import Session
    from durable_demo.widgets.feed import Feed


class Listing:
    """The table of workflows and what is compared of it. Its coroutines run on the background loop.

    Args:
        demo: A started session.
        feed: What its channels belong to.
        panel: Is told where Temporal's Web UI is, which may move with a restart of the server.

    Attributes:
        table: Shows the workflows.
        comparison: Shows the comparison.
    """

    def __init__(self, demo: Session, feed: Feed, panel: PanelChannel) -> None:
        self._panel = panel
        self.table = RunsChannel(feed)
        self.comparison = CompareChannel(feed)
        self._demo = demo
        self._comparing = Comparing()
        self._one_look = LoopLock()
        self._one_comparison = LoopLock()

    async def refresh(self) -> Runs:
        """Lists the workflows and shows them.

        Raises:
            DemoError: They cannot be listed; the table says so, and keeps what it had.
        """
        async with self._one_look:
            try:
                runs = await self._demo.runs(limit=MAX_SHOWN + 1)
            except DemoError as error:
                self.table.fail(error.what)
                raise
            self._panel.show(web_ui=self._demo.web_ui)
            self.table.show(runs, more=len(runs) > MAX_SHOWN)
            return runs

    async def compare(self, runs: Sequence[Run]) -> Comparison:
        """Compares workflows and shows how.

        Raises:
            DemoError: They cannot be compared; the tab says so, and keeps what it had.
        """
        async with self._one_comparison:
            self.comparison.begin([run.id for run in runs])
            try:
                comparison = await self._comparing.look(runs)
            except DemoError as error:
                self.comparison.fail(error.what)
                raise
            self.comparison.show(comparison)
            return comparison

    def commands(self) -> dict[str, Command]:
        """What a browser may ask for, by name."""

        async def refresh() -> Reply:
            with suppress(DemoError):  # the table says it
                await self.refresh()
            return True, ""

        def act(workflow_id: str, verb: str) -> Work[Reply]:
            run = self._demo.attach(workflow_id)

            async def acting() -> Reply:
                answer = await act_on(run, verb)
                return answer.accepted, answer.message

            return acting

        def compare(workflow_ids: list[Any]) -> Work[Reply]:
            if not all(isinstance(workflow_id, str) for workflow_id in workflow_ids):
                raise InvalidInput("workflow_ids must be texts")
            runs = [self._demo.attach(workflow_id) for workflow_id in workflow_ids]

            async def comparing() -> Reply:
                if runs:
                    with suppress(DemoError):  # the tab says it
                        await self.compare(runs)
                else:
                    self.comparison.clear()
                return True, ""

            return comparing

        return {
            "list_runs": Command(lambda: refresh),
            "act_on": Command(act, {"workflow_id": str, "verb": str}),
            "compare": Command(compare, {"workflow_ids": list}),
        }
