"""Durable Demo: see durable execution in Jupyter.

::

    from durable_demo import Session, Panel

    demo = await Session().start()
    Panel(demo)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durable_demo.client import Answer, Chat, ChatReply, Run, Runs
    from durable_demo.comparison import Comparison
    from durable_demo.conversation import Conversation
    from durable_demo.recovery import Recovery
    from durable_demo.replaying import Replay
    from durable_demo.session import Session, allow_asyncio_run
    from durable_demo.timeline import Timeline
    from durable_demo.trace import Trace
    from durable_demo.widgets import Panel, TimelineView, TraceView

__all__ = [
    "Answer",
    "Chat",
    "ChatReply",
    "Comparison",
    "Conversation",
    "Panel",
    "Recovery",
    "Replay",
    "Run",
    "Runs",
    "Session",
    "Timeline",
    "TimelineView",
    "Trace",
    "TraceView",
    "allow_asyncio_run",
]
__version__ = "0.1.0"

# Loaded on first use: a Worker's sandbox imports this package and must not meet ipywidgets.
_HOME = {
    "Answer": "durable_demo.client",
    "Chat": "durable_demo.client",
    "ChatReply": "durable_demo.client",
    "Comparison": "durable_demo.comparison",
    "Conversation": "durable_demo.conversation",
    "Panel": "durable_demo.widgets",
    "Recovery": "durable_demo.recovery",
    "Replay": "durable_demo.replaying",
    "Run": "durable_demo.client",
    "Runs": "durable_demo.client",
    "Session": "durable_demo.session",
    "Timeline": "durable_demo.timeline",
    "TimelineView": "durable_demo.widgets",
    "Trace": "durable_demo.trace",
    "TraceView": "durable_demo.widgets",
    "allow_asyncio_run": "durable_demo.session",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
