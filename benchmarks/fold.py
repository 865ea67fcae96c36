"""What folding 10,000 events into a trace costs: one by one, against batches of 100."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from benchmarks.report import table
from durable_demo import events as e
from durable_demo.trace import Trace

EVENTS = 10_000
ROUNDS = 15


def measure() -> None:
    """Prints the time for all events."""
    start = datetime(2025, 1, 19, tzinfo=UTC)
    events = [
        e.ProgressUpdate(
            timestamp=e.format_timestamp(start + timedelta(seconds=number)),
            workflow_id="w",
            run_id="r",
            offset=f"{number:08d}",
            progress=100.0,
            status=f"iteration_{number}_delivered",
            iteration_count=number,
            current_quote="It's just a flesh wound.",
        )
        for number in range(EVENTS)
    ]
    single, batched = [], []
    for _ in range(ROUNDS):
        single.append(_timed(events, 1))
        batched.append(_timed(events, 100))
    table(f"{EVENTS:,} events folded in", "ms", batched, single, ("batches of 100", "one by one"))


def _timed(events: list[e.Event], batch: int) -> float:
    trace = Trace()
    began = time.perf_counter()
    for first in range(0, len(events), batch):
        trace.apply(*events[first : first + batch])
    return 1000 * (time.perf_counter() - began)
