"""Commands at random over continue-as-new: the workflow does what a simple model of it says."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from durable_demo import Session
from durable_demo import events as e
from durable_demo.errors import NotPossible, WorkerUnavailable, WorkflowEndedBadly
from durable_demo.run import Answer, Run
from durable_demo.workflows.monty_data import MontyPythonResult
from tests.chaos.report import Figures
from tests.chaos.scale import Scale

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(1200)]

T = TypeVar("T")
WITHIN_S = 60.0
COMMANDS = (e.WorkflowPaused, e.WorkflowResumed, e.StopRequested, e.CancelRequested, e.QuotesAdded)


class Monty(RuleBasedStateMachine):
    """A workflow beside its model: what was asked for, in order, and what must be so after it."""

    demo: Session
    stories = 0
    commands = 0
    runs_continued = 0

    @initialize(limit=st.sampled_from([20, 25, 40]))
    def start(self, limit: int) -> None:
        quick = {"min_sleep": 0.05, "max_sleep": 0.3, "progress_interval": 0.05}
        self.run: Run = self.do(self.demo.start_monty(**quick, history_limit=limit))
        self.news: list[tuple[str, tuple[str, ...]]] = []
        self.own: list[str] = []
        self.paused = False
        self.ending = ""
        self.too_late = False

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.demo.background.spawn(work, name="command").result(WITHIN_S)

    def ask(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What a Worker answers; one that is too busy is asked again."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                return self.do(work())
            except WorkerUnavailable:
                if time.monotonic() > deadline:
                    raise

    def note(self, answer: Answer, name: str, *quotes: str, news: bool = True) -> None:
        """Before an end was asked for all is accepted; after it, anything may come too late, and then all does.

        What changes nothing is accepted, and is no news to those who follow.
        """
        assert answer.accepted or self.ending, str(answer)
        assert not (answer.accepted and self.too_late), "accepted after something else had come too late"
        if answer.accepted and news:
            self.news.append((name, quotes))
        self.too_late = not answer.accepted

    # --- rules -------------------------------------------------------------------------------------------------------

    @rule()
    def pause(self) -> None:
        self.note(self.do(self.run.pause()), "workflow_paused", news=not (self.paused or self.ending))
        self.paused = True

    @rule()
    def resume(self) -> None:
        self.note(self.do(self.run.resume()), "workflow_resumed", news=self.paused and not self.ending)
        self.paused = False

    @rule(count=st.integers(1, 3))
    def add_quotes(self, count: int) -> None:
        quotes = [f"My quote {len(self.own) + number}." for number in range(count)]
        try:
            answer = self.ask(lambda: self.run.add_quotes(quotes))
        except NotPossible as refused:
            if "duplicate" not in str(refused):
                assert self.ending
                return
            answer = Answer(True, "taken already: only its answer was late")
        self.note(answer, "quotes_added", *quotes)
        self.own += quotes

    @precondition(lambda self: self.own and not self.ending)
    @rule()
    def add_a_quote_again(self) -> None:
        with pytest.raises(NotPossible, match="duplicate"):
            self.ask(lambda: self.run.add_quotes(self.own[-1:]))

    @precondition(lambda self: not self.ending)
    @rule()
    def look(self) -> None:
        """The Query tells the model's state."""
        seen = self.ask(self.run.progress)
        assert (seen["paused"], seen["should_exit"], seen["own_quotes"]) == (self.paused, False, self.own)
        assert seen["total_quotes_delivered"] <= seen["iteration_count"] <= seen["total_quotes_delivered"] + 1

    @precondition(lambda self: not self.ending)
    @rule(count=st.integers(1, 5))
    def wait(self, count: int) -> None:
        """It delivers quotes, or none while it is paused."""
        before = self.delivered()
        if self.paused:
            time.sleep(0.5)
            assert self.delivered() <= before + 1  # what ended at the very moment of the pause
            return
        deadline = time.monotonic() + WITHIN_S
        while self.delivered() < before + count:
            assert time.monotonic() < deadline, f"no {count} quotes within {WITHIN_S:g} s"
            time.sleep(0.05)

    def delivered(self) -> int:
        return int(self.ask(self.run.progress)["total_quotes_delivered"])

    @rule()
    def stop(self) -> None:
        self.note(self.do(self.run.stop()), "stop_requested", news=not self.ending)
        self.ending = self.ending or "stop"

    @precondition(lambda self: self.ending or self.own)
    @rule()
    def cancel(self) -> None:
        self.note(self.do(self.run.cancel()), "cancel_requested", news="cancel" not in self.ending)
        self.ending += "" if "cancel" in self.ending else "cancel"

    # --- the end -----------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "run"):
            return
        if not self.ending:
            self.stop()
        result, status = self.do(self.ended())
        assert status in {"stop": ["stopped"], "cancel": ["CANCELED"]}.get(self.ending, ["stopped", "CANCELED"])
        facts = self.do(self.facts())
        assert self.told(facts) == self.news
        self.check_work(facts, result)
        Monty.stories += 1
        Monty.commands += len(self.news)
        Monty.runs_continued += sum(isinstance(event, e.WorkflowContinuedAsNew) for event in facts)

    async def ended(self) -> tuple[MontyPythonResult | None, str]:
        """Its result, and how it ended."""
        try:
            result: MontyPythonResult = await self.run.result(timeout=WITHIN_S)
        except WorkflowEndedBadly as error:
            return None, error.status
        return result, result.final_status

    async def facts(self) -> list[e.Event]:
        return [event async for event in self.run.events(wait=False) if not event.tick]

    @staticmethod
    def told(facts: list[e.Event]) -> list[tuple[str, tuple[str, ...]]]:
        """The commands that the history has, in order."""
        return [(event.event, getattr(event, "quotes", ())) for event in facts if isinstance(event, COMMANDS)]

    def check_work(self, facts: list[e.Event], result: MontyPythonResult | None) -> None:
        """Iterations and quotes once each; own quotes before all others, in whatever order; none while paused."""
        progress = [event for event in facts if isinstance(event, e.ProgressUpdate)]
        delivered = [event for event in progress if event.current_quote is not None]
        assert [event.iteration_count for event in delivered] == list(range(1, len(delivered) + 1))
        begun = [event.iteration_count or 0 for event in progress if event.status.endswith("_sleeping")]
        assert sorted(set(begun)) == list(range(1, len(set(begun)) + 1))
        assert begun == sorted(begun)
        assert 0 <= len(set(begun)) - len(delivered) <= 1
        if result is not None:
            assert (result.total_iterations, result.total_quotes_delivered) == (len(set(begun)), len(delivered))
        first = [event.current_quote for event in delivered if event.current_quote in self.own]
        assert set(first[: len(set(first))]) == set(first), "an own quote came twice before another came once"
        paused = 0
        for event in facts:
            match event:
                case e.WorkflowPaused():
                    paused = paused or 1
                case e.WorkflowResumed():
                    paused = 0
                case e.ProgressUpdate(current_quote=str()):
                    paused = paused and paused + 1
                    assert paused <= 2, "more than the quote that was under way came while it was paused"


def test_commands(demo: Session, dice: random.Random, scale: Scale, figures: Figures) -> None:
    """Stop, pause, resume, cancel, quotes at random over continue-as-new."""
    Monty.demo = demo
    Monty.stories = Monty.commands = Monty.runs_continued = 0
    run_state_machine_as_test(
        seed(dice.random())(Monty),
        settings=settings(
            max_examples=scale.examples,
            stateful_step_count=scale.story,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # what depends on moments cannot be made shorter by repeating it
            suppress_health_check=list(HealthCheck),
        ),
    )
    figures.add("stories that agree with the model", Monty.stories)
    figures.add("commands in them", Monty.commands)
    figures.add("runs continued as new in them", Monty.runs_continued)
    figures.check()
