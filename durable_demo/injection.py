"""The Worker's end of what is broken on purpose: Activities that fail, slow tools, a model that is down or breaks off.

An interceptor stands before each Activity and looks into `faults.json`; workflows and Activities know nothing of it. An
injected failure is an ordinary one: Temporal retries it by the Activity's own retry policy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from durable_demo.faults import FaultFile
from durable_demo.wording import plural
from durable_demo.workflows.chat_activities import HEARTBEAT_INTERVAL_S, TOOL_ACTIVITIES, ask_model, breaks_off

CUT_AFTER_CHARACTERS = 40
"""How much of an answer comes before it breaks off."""
INJECTED = "InjectedFault"
"""Type of a failure that somebody asked for."""
_MODEL = ask_model.__name__


def injection(home: str) -> Sequence[Interceptor]:
    """The interceptors of a Worker that obeys the faults in this state directory; none without one."""
    return [_Injection(FaultFile(Path(home)))] if home else []


class _Injection(Interceptor):
    def __init__(self, faults: FaultFile) -> None:
        self._faults = faults

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Before(next, self._faults)


class _Before(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, faults: FaultFile) -> None:
        super().__init__(following)
        self._faults = faults

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        name = activity.info().activity_type
        faults = await asyncio.to_thread(self._faults.read)
        left = await asyncio.to_thread(self._faults.take, "failures") if faults.failures else None
        if left is not None:
            raise ApplicationError(f"made to fail on purpose ({plural(left, 'more attempt')} will be)", type=INJECTED)
        if name in TOOL_ACTIVITIES and faults.slow_tools:
            await _linger(faults.slow_tools)
        if name == _MODEL:
            if faults.model_down:
                raise ApplicationError("The model is down on purpose", type="ModelUnavailable")
            breaks_off.set(self._breaks_off)
        return await super().execute_activity(input)

    def _breaks_off(self, written: int) -> bool:
        """Whether an answer breaks off here; what is too short for that uses up none."""
        return written >= CUT_AFTER_CHARACTERS and self._faults.take("cut_answers") is not None


async def _linger(seconds: float) -> None:
    """Takes its time, and reports that it lives."""
    end = time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        activity.heartbeat({})
        await asyncio.sleep(min(rest, HEARTBEAT_INTERVAL_S))
