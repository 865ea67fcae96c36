"""The Monty Python workflow: an endless loop that sleeps, delivers a quote, and survives whatever you do to it.

One iteration is one Activity: `sleep_then_quote`. The workflow decides how long to sleep and which quote to deliver, so
both are in the Event History before the sleep begins. The Activity's heartbeats carry the progress and are its
checkpoint at the same time: after a crash the next attempt goes on from the last heartbeat.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.exceptions import TimeoutError as ActivityTimeoutError

from durable_demo.errors import InvalidInput
from durable_demo.tuning import FIRST_RETRY, HEARTBEAT_TIMEOUT
from durable_demo.workflows.given import read_input, read_signal
from durable_demo.workflows.monty_data import (
    Checkpoint,
    MontyPythonInput,
    MontyPythonProgress,
    MontyPythonResult,
    MontyPythonState,
    Seen,
    Step,
    StepOutcome,
)
from durable_demo.workflows.quotes import QUOTES, check_quotes

HEARTBEAT_INTERVAL_S = 0.5
"""Heartbeats bring pause, stop and cancel to the Activity, so they come at least this often."""
SLEEP_MARGIN = timedelta(seconds=30)
"""An attempt may take this much longer than its sleep."""
RETRY = RetryPolicy(initial_interval=FIRST_RETRY, backoff_coefficient=1.5, maximum_interval=timedelta(seconds=2))


# --- workflow --------------------------------------------------------------------------------------------------------


@workflow.defn
class MontyPythonWorkflow:
    """Sleeps, delivers a quote, and begins again, until it is told to stop.

    Guarantees: each iteration is counted once and each quote is delivered once, over Worker crashes, retries and
    continue-as-new. Pause, resume, stop and cancel act within one heartbeat; sent early, late or twice they do no harm.
    """

    @workflow.init
    def __init__(self, *given: Any) -> None:
        monty, self._refusal = read_input(MontyPythonInput, given)
        self._input = monty
        self._state = monty.state or MontyPythonState(
            started_at=workflow.info().workflow_start_time.timestamp(),
            own_quotes=list(monty.quotes),
            undelivered=list(monty.quotes),
        )
        self._seen: Seen | None = None
        self._step_started_at: float | None = None
        self._final_status: str | None = None

    @workflow.run
    async def run(self, *_given: Any) -> MontyPythonResult:
        """Runs until it is stopped, or until its `iterations` are done.

        Args:
            _given: One `MontyPythonInput`; without it, the defaults.
        """
        if self._refusal:
            self._final_status = "failed"
            raise self._refusal
        try:
            await self._iterate()
        except asyncio.CancelledError:
            self._final_status = "canceled"
            raise
        self._final_status = "stopped" if self._state.should_exit else "completed"
        await workflow.wait_condition(workflow.all_handlers_finished)
        return MontyPythonResult(
            final_status=self._final_status,
            total_iterations=self._state.iteration_count,
            total_quotes_delivered=self._state.total_quotes_delivered,
            workflow_id=workflow.info().workflow_id,
            total_runtime=round(workflow.now().timestamp() - self._state.started_at, 3),
        )

    async def _iterate(self) -> None:
        """One iteration after another, until there is a reason to end."""
        while not self._done():
            await workflow.wait_condition(
                lambda: not self._state.paused or self._state.should_exit or self._must_hand_over()
            )
            if self._state.should_exit:
                return
            if self._should_hand_over():
                await workflow.wait_condition(workflow.all_handlers_finished)
                # The input is built only now, with everything that the handlers have left in the state.
                workflow.continue_as_new(replace(self._input, quotes=[], state=self._state))
            if self._state.step is None:
                self._state.step = self._next_step()
            outcome = await self._sleep_then_quote(self._state.step)
            self._take(self._state.step, outcome)

    async def _sleep_then_quote(self, step: Step) -> StepOutcome:
        """Runs the Activity of one iteration; an interruption by pause, stop or hand-over ends it early."""
        self._step_started_at = workflow.now().timestamp()
        work = workflow.start_activity(
            sleep_then_quote,
            step,
            start_to_close_timeout=timedelta(seconds=step.sleep - step.elapsed) + SLEEP_MARGIN,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        interrupted = False
        try:
            await workflow.wait_condition(
                lambda: work.done() or self._state.paused or self._state.should_exit or self._must_hand_over()
            )
            interrupted = not work.done()
            if interrupted:
                work.cancel()
                # Not `await work`: the Activity that is being canceled would swallow a cancellation of the workflow.
                await workflow.wait_condition(work.done)
        except asyncio.CancelledError:
            # An Activity that ends at this very moment ends first: canceled after it, it would lose its quote.
            await workflow.wait_condition(lambda: True)
            if not interrupted:
                work.cancel()
            with suppress(ActivityError, asyncio.CancelledError):
                self._take(step, await work)
            raise
        finally:
            self._step_started_at = None
        try:
            return await work
        except ActivityError as error:
            if not interrupted:
                raise
            return StepOutcome(elapsed=self._last_checkpoint(error, step))

    def _last_checkpoint(self, error: ActivityError, step: Step) -> float:
        """How far an interrupted Activity came that could not say so itself, because its Worker was dead."""
        known = [step.elapsed]
        if isinstance(error.cause, ActivityTimeoutError):
            known += [_elapsed(detail) for detail in error.cause.last_heartbeat_details]
        if self._seen is not None and self._seen.iteration == step.iteration:
            known.append(self._seen.elapsed)
        return min(max(known), step.sleep)

    def _take(self, step: Step, outcome: StepOutcome) -> None:
        if outcome.quote is None:
            self._state.step = replace(step, elapsed=outcome.elapsed)
            return
        self._state.step = None
        self._state.total_quotes_delivered += 1
        self._state.last_quote = outcome.quote
        if outcome.quote in self._state.undelivered:
            self._state.undelivered.remove(outcome.quote)

    def _next_step(self) -> Step:
        state = self._state
        state.iteration_count += 1
        # One generator per iteration, so that a seeded run is the same however it is cut into runs.
        seed = self._input.seed
        dice = workflow.random() if seed is None else random.Random(f"{seed}/{state.iteration_count}")
        sleep = round(dice.uniform(self._input.min_sleep, self._input.max_sleep), 3)
        pool = state.undelivered or [quote for quote in (*QUOTES, *state.own_quotes) if quote != state.last_quote]
        return Step(state.iteration_count, sleep, dice.choice(pool), progress_interval=self._input.progress_interval)

    def _done(self) -> bool:
        limit = self._input.iterations
        return limit is not None and self._state.step is None and self._state.iteration_count >= limit

    def _should_hand_over(self) -> bool:
        """Whether it is time to continue as new, at the end of an iteration."""
        info = workflow.info()
        return info.is_continue_as_new_suggested() or info.get_current_history_length() >= self._input.history_limit

    def _must_hand_over(self) -> bool:
        """Whether not even the end of the sleep or of the pause can be awaited (very many signals came)."""
        return workflow.info().get_current_history_length() >= 2 * self._input.history_limit

    # --- handlers ----------------------------------------------------------------------------------------------------

    @workflow.signal
    def stop_workflow(self, *_surplus: Any) -> None:
        """Stops gracefully: the running sleep ends at once, without its quote."""
        self._state.should_exit = True

    @workflow.signal
    def pause(self, *seen: Any) -> None:
        """Freezes the sleep and its progress; a `Seen` says how far the sender saw it come."""
        self._state.paused = True
        self._seen = read_signal(Seen, seen)

    @workflow.signal
    def resume(self, *_surplus: Any) -> None:
        """Goes on from where it was frozen."""
        self._state.paused = False

    @workflow.update
    def add_quotes(self, quotes: Any) -> int:
        """Takes people's own quotes; they are delivered next.

        Args:
            quotes: A list of texts; whatever else comes is refused by `check_quotes`, in words of ours.

        Returns:
            How many own quotes the workflow has now.
        """
        checked = check_quotes(quotes, self._state.own_quotes)
        self._state.own_quotes += checked
        self._state.undelivered += checked
        return len(self._state.own_quotes)

    @add_quotes.validator
    def _check_add_quotes(self, quotes: Any) -> None:
        if self._state.should_exit or self._final_status is not None:
            raise InvalidInput("the workflow is stopping and takes no more quotes")
        check_quotes(quotes, self._state.own_quotes)

    @workflow.query
    def get_progress(self) -> MontyPythonProgress:
        """What the workflow knows of itself; also after the end."""
        state, step = self._state, self._state.step
        if self._final_status is not None:
            status = self._final_status
        elif state.should_exit:
            status = "stopping"
        else:
            status = f"iteration_{state.iteration_count}_{'paused' if state.paused else 'sleeping'}"
        return MontyPythonProgress(
            status=status,
            iteration_count=state.iteration_count,
            total_quotes_delivered=state.total_quotes_delivered,
            last_quote=state.last_quote,
            current_sleep_duration=step.sleep if step else None,
            iteration_elapsed=step.elapsed if step else 0.0,
            iteration_started_at=self._step_started_at,
            started_at=state.started_at,
            own_quotes=list(state.own_quotes),
            paused=state.paused,
            should_exit=state.should_exit,
        )


# --- its Activity, inline beside it ----------------------------------------------------------------------------------


@activity.defn
async def sleep_then_quote(step: Step) -> StepOutcome:
    """Sleeps, reporting its progress, then delivers the quote.

    A further attempt goes on from the last heartbeat of the one before. When the workflow asks to end it early, it
    returns how far it came; when its Worker shuts down, it fails and the next attempt goes on elsewhere.
    """
    elapsed = max([step.elapsed, *(_elapsed(detail) for detail in activity.info().heartbeat_details)])
    began = time.monotonic() - elapsed
    report = Checkpoint.of(step, elapsed)
    try:
        while elapsed < step.sleep:
            if elapsed - report.elapsed >= step.progress_interval * 0.99:
                report = Checkpoint.of(step, elapsed)
            activity.heartbeat(report)
            await asyncio.sleep(min(HEARTBEAT_INTERVAL_S, step.progress_interval, step.sleep - elapsed))
            elapsed = min(time.monotonic() - began, step.sleep)
    except asyncio.CancelledError:
        report = Checkpoint.of(step, time.monotonic() - began)
        details = activity.cancellation_details()
        if details is not None and details.cancel_requested:
            return StepOutcome(elapsed=report.elapsed)
        activity.heartbeat(report)
        raise
    return StepOutcome(elapsed=step.sleep, quote=step.quote)


def _elapsed(detail: Any) -> float:
    """Seconds slept, from the decoded detail of a heartbeat."""
    return float(detail.get("elapsed", 0.0)) if isinstance(detail, dict) else 0.0
