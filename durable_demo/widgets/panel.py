"""The panel: its tabs, and what starts, shows and stops workflows from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from durable_demo import settings
from durable_demo.background import LoopLock
from durable_demo.chat import Chat
from durable_demo.client import MAX_LISTED
from durable_demo.conversation import Conversation
from durable_demo.errors import DemoError, ServerUnreachable, SessionClosed, WorkflowNotFound
from durable_demo.vocabulary import CHAT, MONTY
from durable_demo.widgets import assets
from durable_demo.widgets.break_channel import ChatRecoveryChannel, RecoveryChannel
from durable_demo.widgets.breaking import Breaking
from durable_demo.widgets.chatting import Chatting
from durable_demo.widgets.feed import FoldChannel
from durable_demo.widgets.following import run_of
from durable_demo.widgets.history_channel import HistoryChannel
from durable_demo.widgets.listing import Listing
from durable_demo.widgets.live import Command, LiveTrace, Reply, Work
from durable_demo.widgets.start_options import START_FIELDS, check_count, read_start_form, seeded
from durable_demo.widgets.timeline_channel import TimelineChannel
from durable_demo.widgets.timeline_view import TIMELINE_SCRIPTS
from durable_demo.widgets.trace_view import SCRIPTS, STYLES
from durable_demo.wording import plural
from durable_demo.workflows.chat_data import ChatReply, UserMessage

if TYPE_CHECKING:
    from durable_demo.background import Pending
    from durable_demo.client import Runs
    from durable_demo.comparison import Comparison
    from durable_demo.recovery import Recovery
    from durable_demo.run import Answer, Run
    from durable_demo.session import Session
    from durable_demo.timeline import Timeline

DEMO_PRESET = {"min_sleep": 2.0, "max_sleep": 5.0}
"""Sleeps that are short enough to watch, in seconds."""
STATIC_TURNS = 50
"""Turns of a conversation in the static form."""
STATIC_BARS = 60
"""Bars of a timeline in the static form."""
STATIC_RUNS = 20
"""Workflows of the table in the static form."""
STATIC_INCIDENTS = 40
"""Lines of the stopwatch in the static form."""
RUN_SCRIPTS = (
    "subject.js", *TIMELINE_SCRIPTS, "history_filter.js", "history_json.js", "web_link.js", "history_view.js",
    "runs_row.js", "runs_view.js", "start_form.js", "compare_plot.js", "compare_table.js", "compare_view.js",
    "break_poll.js", "break_cards.js", "break_stopwatch.js", "break_view.js", "break_banner.js",
)  # fmt: skip
RUN_STYLES = (
    "timeline_view.css", "history_view.css", "runs_view.css", "start_form.css", "compare_view.css", "break_view.css",
)  # fmt: skip
CHAT_SCRIPTS = (
    "markdown.js", "outbox.js", "turn_view.js", "transcript.js", "composer.js", "chat_bar.js", "chat_view.js",
)  # fmt: skip


PANEL_STYLES = (*STYLES, "chat_view.css", "turn_view.css", *RUN_STYLES, "panel.css")
"""Style sheets of the panel, in their order."""


class Panel(LiveTrace):
    """The tabs of "Durable AI Agent": end a cell with it and it shows itself, live.

    Its methods do what its buttons do, and return at once: await what they return, or leave it.

    Args:
        demo: A started session.
        attach: Whether to pick up the newest Monty workflow and the newest conversation that run already, as after a
            restart of the kernel.
    """

    _esm = assets.script(*SCRIPTS, *CHAT_SCRIPTS, *RUN_SCRIPTS, "panel.js")
    _css = assets.style(*PANEL_STYLES)

    def __init__(self, demo: Session, *, attach: bool = True) -> None:
        super().__init__(demo)
        self._chat_recovery = ChatRecoveryChannel(self._feed)
        self._breaking = Breaking(demo, self._feed, self._recovery, self._chat_recovery)
        try:
            web_ui = demo.web_ui
        except SessionClosed:
            self.close()
            raise
        self._chatting = Chatting(demo, self._feed, self._panel, self._chat_recovery)
        self._followings.append(self._chatting.following)
        self._listing = Listing(demo, self._feed, self._panel)
        self._panel.show(web_ui=web_ui)
        demo.before_settle.append(self._prepare)
        # Of several starts, and an attach before them, each sees what the one before it has done.
        self._one_start = LoopLock()
        demo.background.spawn(self._breaking.look(), name="look at the stack")
        if attach:
            self._hand_over("attach to running workflows", self._attach)

    # --- Monty -------------------------------------------------------------------------------------------------------

    def start_monty(self, **options: Any) -> Pending[Run]:
        """Starts a Monty workflow and shows it; if a Monty is shown that still runs, that one stays and is returned.

        Args:
            options: Those of `DemoClient.start_monty`; here the sleeps are 2 to 5 seconds unless you say otherwise.
        """

        async def start() -> Run:
            run, _ = await self._start(options)
            return run

        return self._hand_over("start Monty", start)

    def start_many(self, count: int, **options: Any) -> Pending[list[Run]]:
        """Starts several Monty workflows at once, whatever runs already; the first is shown unless one that runs is.

        Args:
            count: How many, 1 to 20.
            options: Those of `DemoClient.start_monty`; here the sleeps are 2 to 5 seconds unless you say otherwise.
                With a `seed`, each workflow after the first has the next one.
        """
        return self._hand_over("start several", lambda: self._start_many(count, options))

    def list_runs(self) -> Pending[Runs]:
        """Brings the table of the tab Runs up to date; while that tab is open, this happens by itself."""
        return self._hand_over("list the workflows", self._listing.refresh)

    def compare(self, *runs: Run | str) -> Pending[Comparison]:
        """Shows how the iterations of 1 to 8 workflows compare, in the tab Compare.

        Args:
            runs: Workflows, or their Workflow IDs; running or ended.

        Raises:
            InvalidInput: Not a Workflow ID.
        """
        found = [run_of(self._demo, run) for run in runs]
        return self._hand_over("compare workflows", lambda: self._listing.compare(found))

    def watch(self, run: Run | str) -> Run:
        """Shows another workflow of any type, running or ended, from its beginning: trace, timeline and history.

        Args:
            run: The workflow, or its Workflow ID.

        Raises:
            InvalidInput: Not a Workflow ID.
        """
        found = run_of(self._demo, run)
        self._watched.follow(found)
        return found

    async def _start(self, options: dict[str, Any]) -> tuple[Run, bool]:
        """The workflow that runs now, and whether it is a new one."""
        async with self._one_start:
            shown = self.run
            if shown is not None and await self._is_active_monty(shown):
                self._watched.follow(shown)
                return shown, False
            self._panel.show(starting=True)
            try:
                run = await self._demo.start_monty(**{**DEMO_PRESET, **options})
                self._watched.follow(run)
            finally:
                self._panel.show(starting=False)
            return run, True

    async def _start_many(self, count: int, options: dict[str, Any]) -> list[Run]:
        check_count(count)
        async with self._one_start:
            runs = []
            for each in seeded(count, {**DEMO_PRESET, **options}):
                runs.append(await self._demo.start_monty(**each))
                if len(runs) == 1 and (self._trace.fold.summary.ended or not self._trace.fold.summary.status):
                    self._watched.follow(runs[0])
            return runs

    async def _is_active_monty(self, run: Run) -> bool:
        """Whether the workflow that is shown is a Monty that still runs; the trace may be behind the server."""
        summary = self._trace.fold.summary
        if summary.ended:
            return False
        try:
            status = await run.status()
        except WorkflowNotFound:
            return False
        except ServerUnreachable:
            # A start would fail as well: what the trace says holds until the server is back.
            return summary.workflow_type == MONTY or (self._watched.active and not summary.workflow_type)
        return status.workflow_type == MONTY and not status.ended

    @property
    def timeline(self) -> Timeline:
        """The timeline of the workflow in the trace; another object when another workflow is."""
        self._watched.go_on()
        return self._timeline.fold

    # --- chat --------------------------------------------------------------------------------------------------------

    @property
    def chat(self) -> Chat | None:
        """The conversation that is shown; None before its first message."""
        return self._chatting.talk.chat

    @property
    def conversation(self) -> Conversation:
        """The newest 100 messages of the conversation that is shown; `chat.history()` has more."""
        return self._chatting.following.fold

    def send(self, text: str) -> Pending[ChatReply]:
        """Sends a message: to the conversation that is shown, else to a new one. Await it for the answer.

        Args:
            text: 1 to 4,000 characters.
        """
        return self._hand_over("send a message", self._chatting.sending(UserMessage(uuid4().hex, text)))

    def stop_answer(self) -> Pending[Answer]:
        """Stops the answer in hand; see `Chat.stop`."""
        return self._hand_over("stop the answer", self._chatting.stop)

    def new_chat(self) -> None:
        """Leaves the conversation: the next message begins another. The one that was left goes on."""
        self._chatting.new()

    def open_chat(self, chat: Chat | str) -> Chat:
        """Shows another conversation, running or ended.

        Args:
            chat: The conversation, or its Workflow ID.

        Raises:
            InvalidInput: Not the Workflow ID of a conversation.
        """
        return self._chatting.open(chat)

    async def until_chat(
        self, predicate: Callable[[Conversation], object], timeout: float | timedelta = settings.UNTIL_DEADLINE
    ) -> Conversation:
        """Waits until the conversation is as you want it: ``await panel.until_chat(lambda c: not c.answering)``.

        Args:
            predicate: Called with the conversation after each change; what it raises is raised here.
            timeout: How long to wait, in seconds or as a timedelta.

        Returns:
            The conversation.

        Raises:
            StillRunning: It did not come to that in time; the message shows the last turns.
        """
        return await self._chatting.following.until(predicate, timeout)

    # --- what is broken ----------------------------------------------------------------------------------------------

    @property
    def recovery(self) -> Recovery:
        """What became of the workflow in the trace since something was broken; another object for another workflow."""
        self._watched.go_on()
        return self._recovery.fold

    @property
    def chat_recovery(self) -> Recovery:
        """The same of the conversation."""
        self._chatting.following.go_on()
        return self._chat_recovery.fold

    # --- inside ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Takes the widget away and follows no more; the workflows go on."""
        if self._prepare in self._demo.before_settle:
            self._demo.before_settle.remove(self._prepare)
        self._breaking.close()
        super().close()

    async def _prepare(self) -> None:
        """Reads what the static form shows: nothing else asks for it where there is no browser."""
        with suppress(DemoError):  # the table says it
            await self._listing.refresh()
        await self._breaking.look()

    async def _attach(self) -> None:
        async with self._one_start:
            monty, chat = await self._newest(MONTY), await self._newest(CHAT)
            if monty is not None and self.run is None:
                self._watched.follow(monty)
            if isinstance(chat, Chat) and not self._chatting.talk.begun:
                self._chatting.open(chat)

    async def _newest(self, workflow_type: str) -> Run | None:
        """The newest workflow of a type that runs."""
        runs = await self._demo.runs(workflow_type=workflow_type, limit=MAX_LISTED, counted=False)
        return next((item.run for item in runs if item.status == "RUNNING"), None)

    def _more_channels(self) -> Sequence[FoldChannel[Any, Any]]:
        self._timeline, self._entries = TimelineChannel(self._feed), HistoryChannel(self._feed)
        self._recovery = RecoveryChannel(self._feed)
        return self._timeline, self._entries, self._recovery

    def _commands(self) -> dict[str, Command]:
        async def start() -> Reply:
            run, new = await self._start({})
            return new, "" if new else f"Already running: {run.id}"

        def start_many(**fields: str) -> Work[Reply]:
            count, options = read_start_form(fields)

            async def starting() -> Reply:
                runs = await self._start_many(count, options)
                return True, f"{plural(len(runs), 'workflow')} started"

            return starting

        def watch(workflow_id: str) -> Work[Reply]:
            self.watch(workflow_id)

            async def done() -> Reply:
                return True, ""

            return done

        def read_entry(number: int) -> Work[Reply]:
            async def read() -> Reply:
                return True, self._entries.read(number)

            return read

        return {
            **super()._commands(),
            **self._chatting.commands(),
            **self._listing.commands(),
            **self._breaking.commands(),
            "start_monty": Command(lambda: start),
            "start_many": Command(start_many, dict.fromkeys(START_FIELDS, str), alerts=False),
            "watch": Command(watch, {"workflow_id": str}),
            "read_entry": Command(read_entry, {"number": int}, alerts=False),
        }

    def _static(self) -> tuple[str, str]:
        shown = []
        if self._chatting.following.run:
            shown.append(self._chatting.channel.static(STATIC_TURNS))
        if self.run or not shown:
            shown.append(super()._static())
        if self.run:
            shown.append(self._timeline.static(STATIC_BARS))
        if self._listing.table.listed:
            shown.append(self._listing.table.static(STATIC_RUNS))
        if self._listing.comparison.compared:
            shown.append(self._listing.comparison.static())
        for stopwatch, followed in ((self._recovery, self.run), (self._chat_recovery, self._chatting.following.run)):
            if followed and stopwatch.fold.status:
                shown.append(stopwatch.static(STATIC_INCIDENTS))
        pages, texts = zip(*shown, strict=True)
        return "\n<hr>\n".join(pages), "\n\n".join(texts)
