"""The live trace of one workflow in a cell, without tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_demo.widgets import assets
from durable_demo.widgets.live import LiveTrace

if TYPE_CHECKING:
    from durable_demo.run import Run
    from durable_demo.session import Session

SCRIPTS = (
    "far_end.js", "dom.js", "channel.js", "feed.js", "voice.js", "log_end.js", "actions.js", "alerts.js",
    "trace_view.js",
)  # fmt: skip
STYLES = ("base.css", "trace_view.css")


class TraceView(LiveTrace):
    """The live trace of one workflow of any type, with buttons to stop, pause, resume and cancel it.

    Args:
        demo: A started session.
        run: The workflow, or its Workflow ID; running or ended.

    Raises:
        InvalidInput: Not a Workflow ID.
    """

    _esm = assets.script(*SCRIPTS)
    _css = assets.style(*STYLES)

    def __init__(self, demo: Session, run: Run | str) -> None:
        super().__init__(demo)
        self._show(run)
