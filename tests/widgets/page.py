"""A page in Chromium with our widgets on it: the real Feed at one end, the assembled module at the other.

The fake model stands for anywidget's: what the Python end publishes is delivered to the page, and what the page sends
is kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from durable_demo import events as e
from durable_demo.widgets import Panel, TraceView, assets
from durable_demo.widgets.break_channel import BreakChannel, ChatRecoveryChannel, RecoveryChannel
from durable_demo.widgets.channels import ChatChannel, PanelChannel, TraceChannel
from durable_demo.widgets.compare_channel import CompareChannel
from durable_demo.widgets.feed import Feed, FoldChannel, Message
from durable_demo.widgets.history_channel import HistoryChannel
from durable_demo.widgets.runs_channel import RunsChannel
from durable_demo.widgets.timeline_channel import TimelineChannel

ORIGIN = "http://panel.test"
THEMES = Path(sys.prefix, "share/jupyter/lab/themes/@jupyterlab")
WORKFLOW_ID = "monty-python-1a2b3c4d"
CHAT_ID = "chat-5e6f7a8b"
MODULES: dict[str, type[Panel] | type[TraceView]] = {"panel": Panel, "trace": TraceView}

HTML = """<!doctype html><html lang="en"><head><meta charset="utf-8"><style>{theme}</style>
<style>body {{ margin: 12px; background: var(--jp-layout-color0); }}</style>{head}</head>
<body data-jp-theme-light="{light}"></body></html>"""

START = """async ({esm, css, views, key}) => {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  const listeners = new Set();
  const jupyterView = {model: {comm_live: true}};
  const liveListeners = new Set();
  window.kernel = {
    sent: [],
    lose: (lost) => {
      jupyterView.model.comm_live = !lost;
      for (const listener of liveListeners) listener.call(jupyterView);
    },
    deliver: (messages) => {
      for (const message of messages) for (const listener of listeners) listener(structuredClone(message));
    },
  };
  const model = {
    get: (name) => ({key})[name],
    on: (name, listener) => { (name === "msg:custom" ? listeners : liveListeners).add(listener); },
    off: () => {},
    send: (message) => window.kernel.sent.push(structuredClone(message)),
  };
  const url = URL.createObjectURL(new Blob([esm], {type: "text/javascript"}));
  const widget = (await import(url)).default();
  await widget.initialize({model});
  window.views = [];
  for (let count = 0; count < views; count += 1) {
    const el = document.createElement("div");
    document.body.append(el);
    window.views.push({el, dispose: await widget.render({model, el})});
  }
}"""


VIEW = """
export default function oneView() {{
  let feed;
  return {{
    initialize({{ model }}) {{
      feed = feedOf(model, {channels});
    }},
    render({{ model, el }}) {{
      const notice = createNotice();
      const view = {create}(feed, notice, (tab) => window.kernel.sent.push({{ t: "go", tab }}));
      const actions = h("div", {{ class: "dd-actions" }}, ...view.actions);
      const bar = h("div", {{ class: "dd-bar" }}, actions);
      const body = h("div", {{ class: "dd-body" }}, view.el);
      const section = h("section", {{ class: "durable-demo", "aria-label": "One view" }}, bar, notice.el, body);
      view.show(true);
      return mount(model, el, feed, {{ el: section, setDisconnected: view.setDisconnected, dispose: view.dispose }});
    }},
  }};
}}
"""
"""Shows one view of the panel alone, as the panel does in its tab."""


class StillLoop:
    """Stands for the background loop where a test flushes by hand."""

    def spawn(self, work: Coroutine[Any, Any, object], *, name: str) -> None:
        work.close()


class WidgetPage:
    """One page with one model and its views.

    Attributes:
        feed: The Python end, with its channels `trace`, `panel` and `chat`.
        published: Messages that were not delivered yet.
        head: More HTML for the head of the page.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.published: list[Message] = []
        self.head = ""
        self.feed = Feed(self.published.append, StillLoop())  # type: ignore[arg-type]
        self.trace = TraceChannel(self.feed)
        self.panel = PanelChannel(self.feed)
        self.chat = ChatChannel(self.feed)
        self._clock = 0

    async def open(
        self, widget: str = "panel", *, theme: str = "light", views: int = 1, width: int = 900, height: int = 900
    ) -> None:
        """Loads the page; the views then wait for the kernel."""
        module = MODULES[widget]
        if widget == "panel":
            for channel in (TimelineChannel, HistoryChannel, RunsChannel, CompareChannel, BreakChannel):
                channel(self.feed)
            for channel in (RecoveryChannel, ChatRecoveryChannel):
                channel(self.feed)
        await self._open(module._esm, module._css, theme, views, width, height)

    async def open_view(
        self,
        create: str,
        *,
        scripts: Sequence[str],
        styles: Sequence[str],
        channels: Sequence[str],
        theme: str = "light",
        views: int = 1,
        width: int = 900,
        height: int = 900,
    ) -> None:
        """Loads a page with one view of the panel alone, made by the JavaScript function `create`.

        What the view hands to `go(tab)` is kept among the messages sent, as `{"t": "go", "tab": ...}`.
        """
        esm = assets.script(*scripts).replace("export default ", "") + VIEW.format(
            create=create, channels=json.dumps(list(channels))
        )
        await self._open(esm, assets.style(*styles), theme, views, width, height)

    async def _open(self, esm: str, css: str, theme: str, views: int, width: int, height: int) -> None:
        themed = (THEMES / f"theme-{theme}-extension/index.css").read_text(encoding="utf-8")
        html = HTML.format(theme=themed.replace("</", ""), head=self.head, light=str(theme == "light").lower())

        async def answer(route: Any) -> None:
            await route.fulfill(content_type="text/html; charset=utf-8", body=html)

        await self.page.route(f"{ORIGIN}/**", answer)
        await self.page.set_viewport_size({"width": width, "height": height})
        await self.page.goto(f"{ORIGIN}/")
        await self.page.evaluate(START, {"esm": esm, "css": css, "views": views, "key": "k1"})

    async def answer_hello(self) -> None:
        """Delivers a snapshot, as the kernel does after `hello`."""
        self.feed.snapshot()
        await self.deliver()

    async def deliver(self) -> None:
        """Delivers what was published, and waits until the page has drawn it."""
        messages = list(self.published)
        self.published.clear()
        await self.page.evaluate("(messages) => window.kernel.deliver(messages)", messages)
        await self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    async def show(self, *events: e.Event) -> None:
        """Folds events into the trace and delivers the delta."""
        await self.show_in(self.trace, *events)

    async def show_in(self, channel: FoldChannel[Any, Any], *events: e.Event) -> None:
        """Folds events into a channel and delivers the delta."""
        channel.apply(channel.fold, *events)
        self.feed.flush()
        await self.deliver()

    async def sent(self) -> list[Message]:
        """What the page has sent so far."""
        found: list[Message] = await self.page.evaluate("() => window.kernel.sent")
        return found

    async def commands(self) -> list[str]:
        """Names of the commands that the page has sent so far."""
        return [message["name"] for message in await self.sent() if message["t"] == "command"]

    # --- events ------------------------------------------------------------------------------------------------------

    def common(self, *, tick: bool = False) -> dict[str, Any]:
        """The fields that every event has, of the next event."""
        if not tick:
            self._clock += 1
        seconds = self._clock
        return {
            "timestamp": f"2025-01-19T10:{30 + seconds // 60 % 30:02}:{seconds % 60:02}.000Z",
            "workflow_id": WORKFLOW_ID,
            "run_id": "run",
            "offset": f"{self._clock:08}",
            "tick": tick,
        }

    def started(self) -> e.Event:
        return e.WorkflowStarted(workflow_type="MontyPythonWorkflow", input={}, **self.common())

    def sleeping(self, iteration: int, duration: float = 15.0) -> e.Event:
        return e.ProgressUpdate(
            progress=0,
            status=f"iteration_{iteration}_sleeping",
            iteration_count=iteration,
            total_quotes_delivered=iteration - 1,
            current_sleep_duration=duration,
            **self.common(),
        )

    def tick(self, iteration: int, progress: float, attempt: int = 1) -> e.Event:
        return e.ProgressUpdate(
            progress=progress,
            status=f"iteration_{iteration}_sleeping",
            iteration_count=iteration,
            total_quotes_delivered=iteration - 1,
            attempt=attempt,
            **self.common(tick=True),
        )

    def quote(self, iteration: int, words: str = "It's just a flesh wound.") -> e.Event:
        return e.ProgressUpdate(
            progress=100,
            status=f"iteration_{iteration}_delivered",
            current_quote=words,
            iteration_count=iteration,
            total_quotes_delivered=iteration,
            **self.common(),
        )

    def completed(self, iterations: int) -> e.Event:
        return e.WorkflowCompleted(
            result={}, iteration_count=iterations, total_quotes_delivered=iterations, **self.common()
        )

    # --- a conversation ----------------------------------------------------------------------------------------------

    def chat_begun(self, notice: str = "") -> list[e.Event]:
        """A conversation without messages; comes before all other events, whenever they were made."""
        first = {"timestamp": "2025-01-19T10:30:00.000Z", "workflow_id": CHAT_ID, "run_id": "run"}
        weather = "typical values, not a live reading"
        return [
            e.WorkflowStarted(workflow_type="ChatWorkflow", input={}, offset="00000000", **first),
            e.AgentIntroduced(
                model="offline brain (rules)", weather=weather, notice=notice, offset="00000000-1", **first
            ),
        ]

    def chat_common(self, *, tick: bool = False) -> dict[str, Any]:
        """The fields that every event has, of the next event of the conversation."""
        return {**self.common(tick=tick), "workflow_id": CHAT_ID}

    def message(self, number: int, text: str, retry_of: str = "") -> e.Event:
        return e.MessageReceived(message_id=f"m{number}", text=text, retry_of=retry_of, **self.chat_common())

    def asked(self, number: int, step: int = 1) -> e.Event:
        return e.ModelAsked(message_id=f"m{number}", step=step, **self.chat_common())

    def writing(self, number: int, text: str, *, step: int = 1, attempt: int = 1) -> e.Event:
        return e.TextUpdate(
            message_id=f"m{number}", step=step, text=text, attempt=attempt, **self.chat_common(tick=True)
        )

    def tool_called(self, number: int, city: str, call: int = 1) -> e.Event:
        return e.ToolCalled(
            message_id=f"m{number}",
            call_id=f"tool:m{number}:1:{call}",
            tool="get_weather",
            arguments={"city": city},
            **self.chat_common(),
        )

    def tool_answered(self, number: int, result: Any, call: int = 1, error: str = "", attempt: int = 1) -> e.Event:
        return e.ToolAnswered(
            message_id=f"m{number}",
            call_id=f"tool:m{number}:1:{call}",
            tool="get_weather",
            result=result,
            error=error,
            attempt=attempt,
            **self.chat_common(),
        )

    def using_tools(self, number: int, text: str = "Let me check the weather for you...") -> e.Event:
        return e.ModelAnswered(
            message_id=f"m{number}",
            step=1,
            text=text,
            tools=("get_weather",),
            model="offline brain (rules)",
            **self.chat_common(),
        )

    def answered(self, number: int, text: str) -> e.Event:
        return e.MessageAnswered(
            message_id=f"m{number}", text=text, model="offline brain (rules)", **self.chat_common()
        )

    def stopped(self, number: int, text: str) -> e.Event:
        return e.MessageStopped(message_id=f"m{number}", text=text, **self.chat_common())

    def failed(self, number: int, error: str) -> e.Event:
        return e.MessageFailed(message_id=f"m{number}", error=error, **self.chat_common())

    def quotes(self, count: int) -> list[e.Event]:
        """So many lines."""
        return [self.quote(number, f"Quote number {number}") for number in range(1, count + 1)]
