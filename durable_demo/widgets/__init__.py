"""What a notebook shows: the panel with its tabs, and the trace or the timeline of one workflow in a cell."""

from __future__ import annotations

from durable_demo.widgets.panel import Panel
from durable_demo.widgets.timeline_view import TimelineView
from durable_demo.widgets.trace_view import TraceView

__all__ = ["Panel", "TimelineView", "TraceView"]
