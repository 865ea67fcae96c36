"""The one object that a notebook makes: it starts or finds the stack, connects, and closes what it started."""

from __future__ import annotations

import asyncio
import dataclasses
import html
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nest_asyncio

from durable_demo import magic, settings
from durable_demo.background import BackgroundLoop
from durable_demo.break_it import BreakIt, ResetReport
from durable_demo.client import Chat, DemoClient, Replay, Run, Runs
from durable_demo.comparison import Comparison
from durable_demo.connection import Connection, configured, connect, connect_patiently
from durable_demo.errors import NotPossible, SessionClosed, UncleanSession
from durable_demo.stack import Stack, StackInfo


class Session:
    """A connection to Temporal, with an embedded server and Worker unless another server is configured.

    The stack is shared by all notebooks of this user, and outlives a kernel restart: workflows go on where they were.
    Starting and closing twice are harmless. May be used from any thread and any event loop.

    Args:
        home: State directory; default `settings.home()`.

    Attributes:
        background: The loop that carries all traffic.
        stack: The embedded server and Worker.
        before_settle: Called and awaited on the background loop by `assert_clean()` before `on_settle`: the moment to
            read what a notebook shows.
        on_settle: Called on the caller's thread by `assert_clean()` before it looks, and by `close()` at its end: the
            moment to bring what a notebook shows up to date.
    """

    def __init__(self, home: Path | str | None = None) -> None:
        self.background = BackgroundLoop()
        self.stack = Stack(None if home is None else Path(home))
        self.before_settle: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.on_settle: list[Callable[[], None]] = []
        self._break_it = BreakIt(self.stack, self.background, self._start_again)
        self._client: DemoClient | None = None
        self._info: StackInfo | None = None

    async def start(self) -> Self:
        """Starts the stack, or finds the one that runs, and connects.

        Returns:
            This session.

        Raises:
            StackError: The embedded server or Worker cannot be started.
            ConnectionFailed: The configured server cannot be used.
        """
        self.background.start()
        try:
            await self.background.run(self._start_again(), name="start the session")
        except BaseException:
            if self._client is None:  # nothing is left behind by a start that failed
                await self.close()
            raise
        magic.register(lambda: self.info)
        return self

    async def _start_again(self) -> DemoClient:
        """Starts what does not run, on the background loop."""
        info = await self.stack.start()
        if self._client is None or self._info is None or self._info.address != info.address:
            connection = configured() or Connection(info.address, info.namespace)
            # The embedded one has answered; on a busy machine it may not answer at once.
            temporal = await (connect_patiently if info.embedded else connect)(connection)
            self._client = DemoClient(
                temporal, self.background, task_queue=settings.task_queue(), explain=self.stack.explain
            )
        self._info = info
        return self._client

    async def close(self) -> None:
        """Disconnects and gives the stack back; it ends when no other session uses it. Workflows stay."""
        if self.background.running:
            try:
                await self.background.run(self.stack.close(), name="close the session")
            finally:
                self._client = None
                await asyncio.to_thread(self.background.close)
        self._settle()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def started(self) -> bool:
        """Whether it can be used."""
        return self._client is not None

    @property
    def info(self) -> StackInfo:
        """Where the server is and which processes run.

        Raises:
            SessionClosed: Not started, or closed.
        """
        if self._info is None or self._client is None:
            raise self._not_started()
        return self.stack.info() or self._info  # the supervisor may have started a new Worker since

    @property
    def client(self) -> DemoClient:
        """The client that this session's verbs go to.

        Raises:
            SessionClosed: Not started, or closed.
        """
        if self._client is None:
            raise self._not_started()
        return self._client

    @property
    def break_it(self) -> BreakIt:
        """Kills, freezes, cuts and fails what runs, on purpose."""
        return self._break_it

    @property
    def web_ui(self) -> dict[str, str] | None:
        """Where Temporal's Web UI is, for the links of the panel (see `WebUi`); None if none is there or known.

        Raises:
            SessionClosed: Not started, or closed.
        """
        found = self.info.web_ui
        return dataclasses.asdict(found) if found else None

    def web_url(self, workflow_id: str = "", run_id: str = "") -> str:
        """The page of Temporal's Web UI with a workflow's Event History, or with the list of workflows.

        With the embedded server it is a path on the JupyterLab that shows the notebook, so that its token protects the
        UI; with a configured server it is an address.

        Args:
            workflow_id: Of the workflow; without it, the list.
            run_id: Of one of its runs; without it, the latest.

        Raises:
            NotPossible: There is no Web UI, or none is known.
            SessionClosed: Not started, or closed.
        """
        info = self.info
        if info.web_ui:
            return info.web_ui.url(workflow_id, run_id)
        if info.embedded:
            raise NotPossible(
                "The embedded server runs without its Web UI.",
                why="When it started, none of the ports for it was free, or an earlier version of the kit started it.",
                remedy="`durable-demo down`, then start again",
            )
        raise NotPossible(
            f"It is not known where the Web UI of the server at {info.address} is.",
            remedy=f"set {settings.ENV_WEB_UI} to its address, then restart the kernel",
        )

    async def start_monty(self, **options: Any) -> Run:
        """Starts a Monty Python workflow; see `DemoClient.start_monty` for the options."""
        return await self.client.start_monty(**options)

    async def start_chat(self, **options: Any) -> Chat:
        """Starts a conversation with the durable agent; see `DemoClient.start_chat` for the options."""
        return await self.client.start_chat(**options)

    async def start_workflow(self, workflow: type | str, *args: object, id: str | None = None) -> Run:  # noqa: A002
        """Starts a workflow of a `%%workflow` cell, or any of the kit's; see `DemoClient.start_workflow`."""
        return await self.client.start_workflow(workflow, *args, id=id)

    async def replay(self, run: Run | str, workflow: type | None = None) -> Replay:
        """How the history of a workflow goes with the code as it is now; see `DemoClient.replay`."""
        return await self.client.replay(run, workflow)

    def attach(self, workflow_id: str) -> Run:
        """The workflow with this Workflow ID, of whatever type, running or ended; see `DemoClient.attach`."""
        return self.client.attach(workflow_id)

    async def runs(self, *, limit: int = 100, workflow_type: str | None = None, counted: bool = True) -> Runs:
        """Workflows of this session's Task Queue, running and past, newest first; see `DemoClient.runs`."""
        return await self.client.runs(limit=limit, workflow_type=workflow_type, counted=counted)

    async def reset(self) -> ResetReport:
        """Brings everything back to a known state, from any mess; see `BreakIt.reset`."""
        return await self._break_it.reset()

    async def compare(self, *runs: Run | str) -> Comparison:
        """How the iterations of 1 to 8 workflows compare; see `DemoClient.compare`."""
        return await self.client.compare(*runs)

    async def assert_clean(self) -> None:
        """Ends a notebook: raises what went wrong in threads, callbacks and tasks, each once.

        Without it a background error would leave an executed notebook with exit status 0.

        Raises:
            UncleanSession: Something did.
        """
        failed = await self._prepare() if self.started and self.before_settle else []
        self._settle()
        if errors := [*self.background.unseen_errors(), *failed]:
            raise UncleanSession(errors)

    async def _prepare(self) -> list[BaseException]:
        """Calls all of `before_settle` at once; returns what went wrong."""

        async def prepare() -> list[BaseException | None]:
            return await asyncio.gather(*(call() for call in self.before_settle), return_exceptions=True)

        limit = settings.CALL_DEADLINE + timedelta(seconds=2)
        try:
            done = await self.background.run(prepare(), name="prepare the static form", timeout=limit)
        except (TimeoutError, SessionClosed) as error:
            return [error]
        return [error for error in done if error is not None]

    def _settle(self) -> None:
        for callback in self.on_settle:
            callback()

    def _not_started(self) -> SessionClosed:
        return SessionClosed(
            "this session is not started, or is closed", remedy="run `demo = await Session().start()` and use that one"
        )

    def __repr__(self) -> str:
        if self._info is None or self._client is None:
            return "Session(not started: `await demo.start()`)"
        return f"Session({self._server()}, {self._worker()})"

    def _repr_html_(self) -> str:
        if self._info is None or self._client is None:
            return "<p><strong>Durable Demo</strong>: not started. Run <code>await demo.start()</code>.</p>"
        return (
            f"<p><strong>Durable Demo</strong> is ready.<br>{html.escape(self._server())}<br>"
            f"{html.escape(self._worker())}<br>State and logs: <code>{html.escape(str(self._info.home))}</code></p>"
        )

    def _server(self) -> str:
        info = self.info
        kind = "embedded Temporal server" if info.embedded else "Temporal server"
        return f"{kind} at {info.address}, Namespace {info.namespace}"

    def _worker(self) -> str:
        worker = self.info.worker
        if not self.info.runs_workers:
            return "Worker: your own (external)"
        return f"Worker: process {worker.pid}" if worker else "Worker: none (broken on purpose: `await demo.reset()`)"


def allow_asyncio_run() -> None:
    """Lets pasted code that ends in `asyncio.run(main())` run in a notebook cell, by `nest_asyncio`.

    Cells need it for nothing else: they use top-level `await`. It patches the running loop of this kernel, so it is
    applied only when you ask for it.
    """
    nest_asyncio.apply()
