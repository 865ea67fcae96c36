"""The live timeline of one workflow in a cell, without tabs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from durable_demo.timeline import Timeline
from durable_demo.widgets import assets
from durable_demo.widgets.feed import FoldChannel
from durable_demo.widgets.live import STATIC_LINES, LiveTrace
from durable_demo.widgets.timeline_channel import TimelineChannel

if TYPE_CHECKING:
    from durable_demo.run import Run
    from durable_demo.session import Session

TIMELINE_SCRIPTS = (
    "timeline_time.js",
    "timeline_words.js",
    "timeline_paint.js",
    "timeline_layout.js",
    "timeline_window.js",
    "timeline_bars.js",
    "timeline_drawing.js",
    "timeline_export.js",
    "timeline_details.js",
    "timeline_table.js",
    "timeline_chart.js",
    "timeline_view.js",
)
"""What the timeline needs beside what all views share."""
SCRIPTS = ("far_end.js", "dom.js", "channel.js", "feed.js", "actions.js", "alerts.js", *TIMELINE_SCRIPTS)
STYLES = ("base.css", "trace_view.css", "timeline_view.css")


class TimelineView(LiveTrace):
    """The live timeline of one workflow of any type, with buttons to stop, pause, resume and cancel it.

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

    @property
    def timeline(self) -> Timeline:
        """The timeline that is shown; another object when another workflow is."""
        self._watched.go_on()
        return self._timeline.fold

    def _more_channels(self) -> Sequence[FoldChannel[Any, Any]]:
        self._timeline = TimelineChannel(self._feed)
        return (self._timeline,)

    def _static(self) -> tuple[str, str]:
        return self._timeline.static(STATIC_LINES)
