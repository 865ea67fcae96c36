"""A conversation with the durable agent in a terminal, or as lines for another program."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import aclosing, contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import typer
from markdown_it import MarkdownIt
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from durable_demo import events as e
from durable_demo.chat import Chat
from durable_demo.conversation import Conversation
from durable_demo.errors import DemoError, InvalidInput, NotPossible, ServerUnreachable, WorkerUnavailable
from durable_demo.session import Session
from durable_demo.terminal import LEFT, interrupts, show_error
from durable_demo.vocabulary import CHAT
from durable_demo.wording import AWAY, Kind, line_key, line_kind, line_text, plural, printable
from durable_demo.workflows.chat_data import UserMessage

PROMPT = "User: "
RETRY_PAUSE_S = 1.0
BEGIN_DEADLINE = timedelta(seconds=30)
"""How long a Worker may take to say which model answers."""
HELP = """\
/history  show the whole conversation
/retry    send the last message again, for another answer
/new      leave this conversation and begin another
/end      end this conversation, and leave
/help     show this
Ctrl-C stops an answer; at the prompt it leaves, as Ctrl-D does: the conversation stays."""

_STYLES: Mapping[Kind, str] = {"retry": "yellow", "control": "cyan", "problem": "bold red"}
_SHOWN = (
    e.AgentIntroduced, e.MessageEvent, e.ActivityRetry, e.WorkflowEnded, e.WorkflowTaskFailed, e.Gap, e.Error,
    e.Reconnecting, e.Reconnected,
)  # fmt: skip
_GROWING = (e.ModelAsked, e.TextUpdate)  # they are in the live part, or in the progress

# Raw HTML and images are their own words; an entity could bring a character past `printable`.
_parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable(["image", "entity"])


class ChatScreen:
    """Writes a conversation as it comes: answers grow in place on a terminal; plain lines when piped, or JSON lines.

    Args:
        console: Where to.
        as_json: Each event as a line of JSON, and nothing else.

    Attributes:
        conversation: What has been seen of it.
        typed: Ids of messages that stand on the terminal already, since they were typed there.
    """

    def __init__(self, console: Console, *, as_json: bool = False) -> None:
        self.conversation = Conversation()
        self.typed: set[str] = set()
        self._console = console
        self._as_json = as_json
        self._live = console.is_terminal and not as_json
        self._spinner = Spinner("dots")
        self._progress = ""
        self._last_key = ""

    @contextmanager
    def open(self) -> Iterator[None]:
        """Shows what is under way below the lines, where there is a terminal."""
        growing = Live(get_renderable=self._growing, console=self._console, transient=True, refresh_per_second=8)
        with growing if self._live else nullcontext():
            yield

    def begin(self, conversation: Conversation) -> None:
        """Turns to another conversation, of which so much is known."""
        self.conversation = conversation

    def note(self, event: e.Event) -> None:
        """Takes one event in, and writes it as JSON if that is what is wanted."""
        self.conversation.apply(event)
        if self._as_json:
            typer.echo(event.to_json())

    def show(self, event: e.Event) -> None:
        """Takes one event in and writes it."""
        self.note(event)
        if self._as_json or not isinstance(event, _SHOWN):
            return
        if isinstance(event, e.MessageAnswered) and self._live:
            self._console.print(_spoken(event.text))
        elif not isinstance(event, _GROWING) and not self._is_known(event) and (words := line_text(event)):
            is_step = isinstance(event, e.ToolEvent)
            style = "dim" if is_step else _STYLES.get(line_kind(event), "")
            self._print(words, style, cut=is_step and self._live)  # all of it is in the history
        self._write_progress(event)

    def introduce(self) -> None:
        """Writes which conversation this is, and who answers."""
        summary = self.conversation.summary
        self.say(f"Conversation: {summary.workflow_id}\nModel: {summary.model}, weather: {summary.weather}")
        if summary.notice:
            self.say(summary.notice, style="yellow")

    def say(self, message: str, *, style: str = "italic") -> None:
        """Writes a remark of the program itself."""
        if self._as_json:
            typer.echo(printable(message), err=True)
        else:
            self._print(message, style)

    def _print(self, words: str, style: str, *, cut: bool = False) -> None:
        text = Text(printable(words), style=style)
        if cut:
            self._console.print(text, no_wrap=True, overflow="ellipsis")
        else:
            self._console.print(text, soft_wrap=True)

    def _is_known(self, event: e.Event) -> bool:
        """Whether it stands there already: typed, or told by the tick before."""
        key, self._last_key = self._last_key, line_key(event)
        if isinstance(event, e.MessageReceived):
            return event.message_id in self.typed
        return bool(key) and key == self._last_key and not isinstance(event, e.Reconnected)

    def _write_progress(self, event: e.Event) -> None:
        turn = self.conversation.turn(getattr(event, "message_id", None) or "")
        progress = turn.progress if turn else ""
        if progress and progress != self._progress and not self._live:
            self._print(f"[Progress: {progress}]", "dim")
        self._progress = progress

    def _growing(self) -> RenderableType:
        turn = next((turn for turn in self.conversation.turns if not turn.over), None)
        if not self.conversation.summary.connected:
            return Text(AWAY, style="bold red")
        self._spinner.update(text=Text(f"[Progress: {printable(turn.progress) if turn else 'Sending...'}]", "dim"))
        return Group(_spoken(turn.answer), self._spinner) if turn and turn.answer else self._spinner


def _spoken(text: str) -> RenderableType:
    """What the agent says, as Markdown that can neither control the terminal nor hide where a link leads."""
    said = Markdown("", hyperlinks=False)
    said.parsed = _parser.parse(printable(text.expandtabs(4)))
    line = Table.grid(padding=(0, 1))
    line.add_row("AI:", said)
    return line


class TerminalChat:
    """Talks to the agent for a person: sends what was typed, shows what comes of it.

    Args:
        session: A started session.
        screen: Where to show it.

    Attributes:
        chat: The conversation in hand; None before the first.
        all_answered: Whether every message that was sent has its answer.
    """

    def __init__(self, session: Session, screen: ChatScreen) -> None:
        self.chat: Chat | None = None
        self.all_answered = True
        self._session = session
        self._screen = screen

    async def begin(self) -> None:
        """Begins a conversation."""
        await self._open(await self._session.start_chat(), Conversation())

    async def attach(self, workflow_id: str | None) -> None:
        """Goes on with a conversation; what is under way there is shown to its end.

        Args:
            workflow_id: Its Workflow ID; None for the newest one that runs.

        Raises:
            InvalidInput: Not the Workflow ID of a conversation.
            NotPossible: It has ended, or none runs.
            WorkflowNotFound: There is no such conversation.
        """
        chat = await self._newest() if workflow_id is None else self._session.attach(workflow_id)
        if not isinstance(chat, Chat):
            raise InvalidInput(f"{chat.id} is not a conversation", remedy=f"watch it: durable-demo watch {chat.id}")
        known = await chat.history()
        if known.summary.ended:
            raise NotPossible(
                f"{chat.id} has already ended: {known.summary.status}",
                remedy=f"read it with `durable-demo watch {chat.id}`, or start another: durable-demo chat",
            )
        await self._open(chat, known)
        if known.turns:
            self._screen.say(f"{plural(len(known.turns), 'message')} so far: /history shows them")
        for turn in known.turns:
            if not turn.over:
                self._screen.say(f"{PROMPT}{turn.text}", style="")
                await self._ask(turn.text, turn.message_id)  # sent before, so this only waits

    async def take(self, line: str, *, typed: bool = False) -> bool:
        """Does what a line says: sends it, or runs it as a command. Errors of ours are told.

        Args:
            line: A message, or a command such as ``/history``.
            typed: Whether it stands on the screen already.

        Returns:
            Whether the conversation goes on.
        """
        try:
            if not line.startswith("/"):
                await self._send(line, typed=typed)
                return True
            command = self._commands().get(line.split()[0])
            if command is None:
                self.all_answered = False
                self._screen.say(f"There is no command {line.split()[0]}.\n{HELP}")
                return True
            return await command() is not False
        except DemoError as error:
            self.all_answered = False
            show_error(error)
            return True

    def _commands(self) -> dict[str, Callable[[], Coroutine[Any, Any, bool | None]]]:
        return {
            "/history": self._history,
            "/retry": self._retry,
            "/new": self.begin,
            "/end": self._end,
            "/help": self._help,
        }

    async def _history(self) -> None:
        self._screen.say(str(await self._current.history()), style="")

    async def _retry(self) -> None:
        turns = (await self._current.history()).turns
        if not turns:
            raise NotPossible("there is no message yet", remedy="type one")
        await self._send(turns[-1].text, retry_of=turns[-1].message_id)

    async def _end(self) -> bool:
        self._screen.say((await self._current.end()).message)
        self.chat = None
        return False

    async def _help(self) -> None:
        self._screen.say(HELP)

    # --- inside ------------------------------------------------------------------------------------------------------

    @property
    def _current(self) -> Chat:
        if self.chat is None:
            raise NotPossible("there is no conversation", remedy="/new begins one")
        return self.chat

    async def _newest(self) -> Chat:
        for item in await self._session.runs(workflow_type=CHAT, counted=False):
            if isinstance(item.run, Chat) and item.status == "RUNNING":
                return item.run
        raise NotPossible("no conversation runs", remedy="start one: durable-demo chat")

    async def _open(self, chat: Chat, known: Conversation) -> None:
        self.chat = chat
        self._screen.begin(known)
        try:
            async with asyncio.timeout(BEGIN_DEADLINE.total_seconds()):
                await self._follow(self._screen.note, lambda: bool(known.summary.model))
        except TimeoutError:
            raise WorkerUnavailable(
                f"{chat.id} has not begun within {BEGIN_DEADLINE.total_seconds():g} s",
                why="no Worker polls the Task Queue",
                remedy=f"run `durable-demo doctor`, then `durable-demo chat --attach {chat.id}`",
            ) from None
        self._screen.introduce()

    async def _send(self, text: str, *, retry_of: str = "", typed: bool = False) -> None:
        message_id = uuid4().hex
        if typed:
            self._screen.typed.add(message_id)
        await self._ask(text, message_id, retry_of)

    async def _ask(self, text: str, message_id: str, retry_of: str = "") -> None:
        """Sends a message and shows what comes of it. Ctrl-C stops the answer; once more, and the reader leaves."""
        chat, me = self._current, asyncio.current_task()

        def is_over() -> bool:
            turn = self._screen.conversation.turn(message_id)
            return turn is not None and turn.over

        stops: list[asyncio.Task[None]] = []

        def interrupted() -> None:
            if not stops:
                self._screen.say("stopping... (Ctrl-C again leaves)")
                stops.append(asyncio.create_task(self._stop(chat, message_id)))
            elif me is not None:
                me.cancel()

        sending = asyncio.create_task(chat.send(text, message_id=message_id, retry_of=retry_of))
        following = asyncio.create_task(self._follow_patiently(is_over))
        with self._screen.open(), interrupts(interrupted):
            try:
                reply = await sending
                await following
            except asyncio.CancelledError:
                if self._screen.conversation.turn(message_id) is None:
                    self._screen.say("the message was not taken, as far as can be seen")
                raise
            finally:
                for task in (sending, following, *stops):
                    task.cancel()
                await asyncio.gather(sending, following, *stops, return_exceptions=True)
        self.all_answered &= reply.status == "answered"

    async def _stop(self, chat: Chat, message_id: str) -> None:
        try:
            await chat.stop(message_id)
        except DemoError as error:
            self._screen.say(str(error))

    async def _follow_patiently(self, done: Callable[[], bool]) -> None:
        """Shows what is new, also when the server is away at first: the message that is being sent waits as well."""
        told = False
        while True:
            try:
                await self._follow(self._screen.show, done)
                return
            except ServerUnreachable as error:
                if not told:
                    self._screen.say(f"{error.what}; waiting for it...", style=_STYLES["problem"])
                told = True
            await asyncio.sleep(RETRY_PAUSE_S)

    async def _follow(self, take: Callable[[e.Event], None], done: Callable[[], bool]) -> None:
        """Hands over what is new, until it is enough or the conversation has ended."""
        if done():
            return
        after = self._screen.conversation.last_fact
        async with aclosing(self._current.events(after=after)) as events:  # type: ignore[type-var]  # a generator
            async for event in events:
                take(event)
                if done():
                    return


def converse(
    console: Console, *, message: str | None = None, attach: str | None = None, resume: bool = False, as_json: bool
) -> int:
    """Has a person at a terminal, or the lines of a pipe, talk to the agent.

    Args:
        console: Where to show it.
        message: The only message; None to read one from each line of stdin.
        attach: Workflow ID of the conversation to go on with; None for a new one.
        resume: Whether to go on with the newest conversation that runs.
        as_json: Each event as a line of JSON.

    Returns:
        Exit status: 130 if the reader left by Ctrl-C; 1 if a message that was not typed was not answered; else 0.

    Raises:
        InvalidInput: `attach` and `resume` together, `attach` is not the Workflow ID of a conversation, or `message`
            cannot be sent.
        NotPossible: The conversation to go on with has ended, or there is none.
    """
    if attach and resume:
        raise InvalidInput("--attach and --resume exclude each other", remedy="leave one of them out")
    if message is not None:
        UserMessage("only", message).checked()  # before a conversation is begun for it
    screen = ChatScreen(console, as_json=as_json)
    session = Session()
    talk = TerminalChat(session, screen)
    at_prompt = message is None and sys.stdin.isatty()
    status = 0
    # The prompt needs this thread to itself: for a line editor, and so that Ctrl-C interrupts it.
    with asyncio.Runner() as runner:
        try:
            runner.run(session.start())
            runner.run(talk.attach(attach) if attach or resume else talk.begin())
            if at_prompt:
                screen.say("/help shows the commands, Ctrl-D leaves")
            for line in [message] if message is not None else _lines("" if as_json else PROMPT, at_prompt):
                if not runner.run(talk.take(line, typed=at_prompt and console.is_terminal)):
                    break
            status = 0 if at_prompt or talk.all_answered else 1
        except (KeyboardInterrupt, asyncio.CancelledError):
            status = LEFT
        finally:
            if talk.chat is not None:
                screen.say(f"Go on with it: durable-demo chat --attach {talk.chat.id}")
            runner.run(session.close())
    return status


def _lines(prompt: str, at_prompt: bool) -> Iterator[str]:
    """What is typed or piped, line by line, without empty lines."""
    sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  # what is no text is refused later
    if not at_prompt:
        yield from filter(None, map(str.strip, sys.stdin))
        return
    with suppress(ImportError):  # not on Windows
        import readline  # noqa: F401  # gives `input` its arrow keys
    while True:
        try:
            line = input(prompt).strip()
        except (EOFError, KeyboardInterrupt) as left:
            typer.echo(nl=bool(prompt))  # ends the line of the prompt
            if isinstance(left, EOFError):
                return
            raise
        if line:
            yield line
