"""What all our widgets share: they follow workflows, take commands from the browser, and have a static form."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import anywidget
import traitlets
from IPython.display import display, update_display

from durable_demo import settings
from durable_demo.errors import DemoError, InvalidInput, NotPossible
from durable_demo.run import Run
from durable_demo.trace import Trace
from durable_demo.widgets.channels import PanelChannel, TraceChannel
from durable_demo.widgets.detached import run_detached
from durable_demo.widgets.feed import Feed, FoldChannel, Message
from durable_demo.widgets.following import Following, run_of
from durable_demo.widgets.run_verbs import act_on

if TYPE_CHECKING:
    from durable_demo.background import Pending
    from durable_demo.run import Answer
    from durable_demo.session import Session

T = TypeVar("T")
log = logging.getLogger(__name__)

STATIC_LINES = 200
"""Lines of the static form: what a page of an executed notebook shows."""

Work = Callable[[], Coroutine[Any, Any, T]]
"""What is handed over to the background loop, which may be closed: so the coroutine is made there."""
Reply = tuple[bool, str]
"""Whether a command was carried out, and words for the person who clicked."""


@dataclass(frozen=True)
class Command:
    """What a browser may ask for.

    Attributes:
        begin: Called with the arguments at once, on the thread that received them; returns what is to be awaited.
        arguments: Their types by name; all of them must be there, and no other.
        alerts: Whether an error is shown among the panel's alerts; else the browser shows it where it was caused.
    """

    begin: Callable[..., Work[Reply]]
    arguments: Mapping[str, type] = field(default_factory=dict)
    alerts: bool = True

    def fits(self, args: Mapping[str, object]) -> bool:
        """Whether these are its arguments."""
        return args.keys() == self.arguments.keys() and all(
            type(args[name]) is kind for name, kind in self.arguments.items()
        )


class LiveTrace(anywidget.AnyWidget):
    """Follows one workflow at a time and shows it in the browser, live.

    Everything that touches Temporal runs on the session's background loop: a method, a click or a comm message only
    hands over, on whatever thread it comes.

    Args:
        demo: A started session.
    """

    key = traitlets.Unicode(help="Tells this widget from all others, also after a reload of the page").tag(sync=True)

    def __init__(self, demo: Session) -> None:
        self._demo = demo
        self._feed = Feed(self._publish, demo.background)
        self._trace = TraceChannel(self._feed)
        self._panel = PanelChannel(self._feed)
        self._watched: Following[Run, Trace] = Following(demo.background, self._trace, *self._more_channels())
        self._followings: list[Following[Any, Any]] = [self._watched]
        self._pages: set[str] = set()
        self._one_look = threading.Lock()
        self._display_id = uuid4().hex
        self._displayed = ""
        run_detached(super().__init__, key=uuid4().hex)
        self.on_msg(self._receive)
        demo.on_settle.append(self._settle)

    # --- for people --------------------------------------------------------------------------------------------------

    @property
    def trace(self) -> Trace:
        """The trace that is shown; another object when another workflow is."""
        return self._watched.fold

    @property
    def run(self) -> Run | None:
        """The workflow that is shown; None before the first."""
        return self._watched.run

    def stop(self) -> Pending[Answer]:
        """Asks the workflow to end gracefully; see `Run.stop`."""
        return self._hand_over("stop the workflow", lambda: self._ask("stop"))

    def pause(self) -> Pending[Answer]:
        """Freezes the workflow's sleep; see `Run.pause`."""
        return self._hand_over("pause the workflow", lambda: self._ask("pause"))

    def resume(self) -> Pending[Answer]:
        """Lets it go on; see `Run.resume`."""
        return self._hand_over("resume the workflow", lambda: self._ask("resume"))

    def cancel(self) -> Pending[Answer]:
        """Cancels the workflow; see `Run.cancel`."""
        return self._hand_over("cancel the workflow", lambda: self._ask("cancel"))

    def clear(self) -> None:
        """Empties the view; the workflow goes on."""
        self._trace.clear()

    async def until(
        self, predicate: Callable[[Trace], object], timeout: float | timedelta = settings.UNTIL_DEADLINE
    ) -> Trace:
        """Waits until the trace is as you want it: ``await panel.until(lambda trace: trace.summary.ended)``.

        Args:
            predicate: Called with the trace after each change; what it raises is raised here.
            timeout: How long to wait, in seconds or as a timedelta.

        Returns:
            The trace.

        Raises:
            StillRunning: It did not come to that in time; the message shows the last lines.
        """
        return await self._watched.until(predicate, timeout)

    def close(self) -> None:
        """Takes the widget away and follows no more; the workflows go on."""
        for following in self._followings:
            following.close()
        if self._settle in self._demo.on_settle:
            self._demo.on_settle.remove(self._settle)
        super().close()

    def _more_channels(self) -> Sequence[FoldChannel[Any, Any]]:
        """Makes the channels that show the workflow in other ways than its trace."""
        return ()

    # --- commands ----------------------------------------------------------------------------------------------------

    def _commands(self) -> dict[str, Command]:
        """What a browser may ask for, beside `clear` and `dismiss`, by name."""

        def asking(verb: str) -> Command:
            async def ask() -> Reply:
                answer = await self._ask(verb)
                return answer.accepted, answer.message

            return Command(lambda: ask)

        return {verb: asking(verb) for verb in ("stop", "pause", "resume", "cancel")}

    def _see(self, page: str, shown: bool) -> None:
        """A page shows this widget now, or shows it no more.

        With its last page a widget rests until it is shown again or Python asks for what it shows: a cell that is run
        again leaves the widget of its last run behind, and nothing else tells that nobody needs that one. A widget
        that no browser ever showed, as under papermill, does not rest.
        """
        with self._one_look:
            if shown:
                self._pages.add(page)
            else:
                self._pages.discard(page)
            for following in self._followings:
                if shown:
                    following.go_on()
                elif not self._pages:
                    following.rest()

    def _receive(self, _widget: object, content: object, _buffers: object) -> None:
        """A message from a browser, on a thread of the kernel's choice."""
        match content:
            case {"t": "hello"}:
                self._feed.snapshot()
            case {"t": "shown", "page": str(page), "shown": bool(shown)}:
                self._see(page, shown)
            case {"t": "command", "id": str(command), "name": str(name), "args": dict(args)}:
                self._obey(command, name, args)
            case {"id": str(command)}:
                self._feed.answer(command, ok=False, message="This message cannot be understood; reload the page.")
            case _:
                self._feed.answer("", ok=False, message="This message cannot be understood; reload the page.")

    def _obey(self, command: str, name: str, args: Mapping[str, object]) -> None:
        match name, args:
            case "clear", {**rest} if not rest:
                self.clear()
                self._feed.answer(command, ok=True, message="")
            case "dismiss", {"alert": int(alert), **rest} if not rest:
                self._panel.dismiss(alert)
                self._feed.answer(command, ok=True, message="")
            case _:
                wanted = self._commands().get(name)
                if wanted is None or not wanted.fits(args):
                    message = f"There is no command {name[:40]!r} with these arguments; reload the page."
                    self._feed.answer(command, ok=False, message=message)
                    return
                try:
                    work = wanted.begin(**args)
                    self._demo.background.spawn(self._carry_out(command, work, alerts=wanted.alerts), name=name)
                except DemoError as error:
                    self._refuse(command, error, alerts=wanted.alerts)

    async def _carry_out(self, command: str, work: Work[Reply], *, alerts: bool) -> None:
        """A browser's command: what is expected to go wrong is told there; all else also reaches `assert_clean()`."""
        try:
            ok, message = await work()
        except DemoError as error:
            self._refuse(command, error, alerts=alerts)
        except Exception as error:
            self._refuse(command, error, alerts=True)
            raise
        else:
            self._feed.answer(command, ok=ok, message=message)

    def _refuse(self, command: str, error: Exception, *, alerts: bool) -> None:
        if alerts:
            self._panel.alert(error)
        invalid = isinstance(error, InvalidInput)
        message = str(error)
        if isinstance(error, DemoError) and not alerts and not invalid:
            # Where it is shown, a button is the next step.
            message = f"{error.what} ({error.why})" if error.why else error.what
        self._feed.answer(command, ok=False, message=message, alert=alerts, invalid=invalid)

    def _hand_over(self, name: str, work: Work[T]) -> Pending[T]:
        """A command from Python: its error is shown in the browser and raised for whoever awaits it."""

        async def carry_out() -> T:
            try:
                return await work()
            except Exception as error:
                self._panel.alert(error)
                raise

        return self._demo.background.spawn(carry_out(), name=name)

    async def _ask(self, verb: str) -> Answer:
        if self.run is None:
            raise NotPossible("no workflow is shown here", remedy="start one: `panel.start_monty()`, or Start Monty")
        return await act_on(self.run, verb)

    def _show(self, run: Run | str) -> None:
        """Shows the one workflow that this widget is for; without it there is no widget."""
        try:
            self._watched.follow(run_of(self._demo, run))
        except DemoError:
            self.close()
            raise

    # --- showing -----------------------------------------------------------------------------------------------------

    def _publish(self, message: Message) -> None:
        try:
            run_detached(super().send, message)
        except Exception as error:
            # A browser that misses this asks again; a follower must not end because nobody looks.
            log.warning("cannot send to the browser: %s", error)

    def _static(self) -> tuple[str, str]:
        """What is shown as HTML and as text."""
        return self._trace.static(STATIC_LINES)

    def _bundle(self) -> dict[str, Any]:
        page, text = self._static()
        bundle = {"text/html": page, "text/plain": text}
        if not self._demo.started:
            return bundle  # a widget of a closed session could only refuse; its static form can be read
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"application/vnd.jupyter.widget-view+json": view, **bundle}

    def _repr_mimebundle_(self, **_kwargs: object) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._bundle(), {}

    def _ipython_display_(self) -> None:
        bundle = self._bundle()
        self._displayed = bundle["text/html"]
        display(bundle, raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]

    def _settle(self) -> None:
        """Brings the static form in the notebook up to date; nbclient takes that from a cell's own thread only."""
        self._feed.flush()
        bundle = self._bundle()
        if self._displayed and (self._displayed != bundle["text/html"] or not self._demo.started):
            self._displayed = bundle["text/html"]
            update_display(bundle, raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]

    def __repr__(self) -> str:
        shown = [str(following) for following in self._followings if following.run is not None]
        return f"{type(self).__name__}({', '.join(shown) or 'nothing yet'})"
