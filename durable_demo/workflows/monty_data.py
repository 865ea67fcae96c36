"""What the Monty Python workflow takes, keeps, tells and returns. All of it ends up in an Event History as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from durable_demo.errors import InvalidInput
from durable_demo.workflows.checks import number, whole
from durable_demo.workflows.quotes import check_quotes

MAX_SLEEP_S = 3600.0
HISTORY_LIMIT = 2_000
"""Events of one run after which the workflow continues as new (the server's own limit is 51,200)."""


@dataclass(frozen=True)
class Step:
    """One iteration, as the Activity gets it.

    Attributes:
        iteration: Its number, from 1.
        sleep: Seconds to sleep.
        quote: The quote to deliver after it.
        elapsed: Seconds that were slept before (after a pause or a continue-as-new).
        progress_interval: Seconds between two reports of progress.
    """

    iteration: int
    sleep: float
    quote: str
    elapsed: float = 0.0
    progress_interval: float = 0.5


@dataclass(frozen=True)
class Checkpoint:
    """What a heartbeat carries.

    Attributes:
        iteration: Number of the iteration.
        progress: Percent of the sleep, 0 to 100.
        elapsed: Seconds slept.
    """

    iteration: int
    progress: float
    elapsed: float

    @classmethod
    def of(cls, step: Step, elapsed: float) -> Checkpoint:
        """The checkpoint of a step after so many seconds."""
        percent = round(min(100.0, 100.0 * elapsed / step.sleep), 1)
        return cls(step.iteration, percent, round(min(elapsed, step.sleep), 3))


@dataclass(frozen=True)
class Seen:
    """How far somebody saw an iteration before they paused it.

    An Activity that waits for its next attempt is canceled without its last heartbeat, which nobody could know then.

    Attributes:
        iteration: Its number.
        elapsed: Seconds slept, from the last heartbeat.
    """

    iteration: int
    elapsed: float


@dataclass(frozen=True)
class StepOutcome:
    """How an iteration's Activity ended.

    Attributes:
        elapsed: Seconds slept.
        quote: The quote that was delivered; None if the sleep was interrupted.
    """

    elapsed: float
    quote: str | None = None


@dataclass
class MontyPythonState:
    """Everything that a run hands over to the next one.

    Attributes:
        started_at: When the first run began, Unix time in seconds.
        iteration_count: Iterations begun.
        total_quotes_delivered: Quotes delivered.
        last_quote: The last one.
        own_quotes: People's own quotes, in the order in which they came.
        undelivered: Those of them that were not delivered yet; they come before all others.
        paused: Whether it is paused.
        should_exit: Whether a stop was requested.
        step: The iteration in hand, if its quote was not delivered yet.
    """

    started_at: float
    iteration_count: int = 0
    total_quotes_delivered: int = 0
    last_quote: str | None = None
    own_quotes: list[str] = field(default_factory=list)
    undelivered: list[str] = field(default_factory=list)
    paused: bool = False
    should_exit: bool = False
    step: Step | None = None


@dataclass(frozen=True)
class MontyPythonInput:
    """Input of `MontyPythonWorkflow`.

    Attributes:
        min_sleep: Shortest sleep in seconds; 0 < min_sleep <= max_sleep.
        max_sleep: Longest sleep in seconds; at most 3600.
        progress_interval: Seconds between two reports of progress; 0.05 to 60.
        seed: Makes sleeps and quotes repeatable; None for random ones.
        quotes: People's own quotes, delivered first.
        iterations: Ends by itself after so many; None for never.
        history_limit: Events of a run after which it continues as new; 20 to 10,000.
        state: Handed over by the run before; leave it out.
    """

    min_sleep: float = 5.0
    max_sleep: float = 30.0
    progress_interval: float = 0.5
    seed: int | None = None
    quotes: list[str] = field(default_factory=list)
    iterations: int | None = None
    history_limit: int = HISTORY_LIMIT
    state: MontyPythonState | None = None

    def checked(self) -> MontyPythonInput:
        """This input with its quotes stripped.

        Raises:
            InvalidInput: Something in it cannot be used; the message names it.
        """
        low = number("min_sleep", self.min_sleep, above=0.0, most=MAX_SLEEP_S)
        high = number("max_sleep", self.max_sleep, above=0.0, most=MAX_SLEEP_S)
        if low > high:
            raise InvalidInput(
                f"min_sleep ({low:g} s) is longer than max_sleep ({high:g} s)", remedy="pass min_sleep <= max_sleep"
            )
        number("progress_interval", self.progress_interval, least=0.05, most=60.0)
        if self.seed is not None:
            whole("seed", self.seed, -(2**63), 2**63 - 1)
        if self.iterations is not None:
            whole("iterations", self.iterations, 1, 1_000_000)
        whole("history_limit", self.history_limit, 20, 10_000)
        if self.state is not None and (step := self.state.step) is not None:
            number("sleep", step.sleep, least=0.0, most=MAX_SLEEP_S)
            number("elapsed", step.elapsed, least=0.0, most=step.sleep)
            number("progress_interval", step.progress_interval, least=0.05, most=60.0)
        return replace(self, quotes=check_quotes(self.quotes) if self.quotes != [] else [])


@dataclass(frozen=True)
class MontyPythonResult:
    """Result of `MontyPythonWorkflow`.

    Attributes:
        final_status: `stopped` after a stop, `completed` when all `iterations` were done.
        total_iterations: Iterations begun, over all runs.
        total_quotes_delivered: Quotes delivered, over all runs.
        workflow_id: Workflow ID.
        total_runtime: Seconds from the first run's start to the end.
    """

    final_status: str
    total_iterations: int
    total_quotes_delivered: int
    workflow_id: str
    total_runtime: float


@dataclass(frozen=True)
class MontyPythonProgress:
    """Answer of the Query `get_progress`: what the workflow knows itself; the rest is in the heartbeat.

    Attributes:
        status: `iteration_2_sleeping`, `iteration_2_paused`, `stopping`; at the end `stopped`, `completed`, `canceled`
            or `failed`.
        iteration_count: Iterations begun.
        total_quotes_delivered: Quotes delivered.
        last_quote: The last one.
        current_sleep_duration: Seconds that the current iteration sleeps; None between two iterations.
        iteration_elapsed: Seconds of it that were slept before the running Activity began.
        iteration_started_at: When the running Activity was scheduled, Unix time; None between two.
        started_at: When the first run began, Unix time.
        own_quotes: People's own quotes.
        paused: Whether it is paused.
        should_exit: Whether a stop was requested.
    """

    status: str
    iteration_count: int
    total_quotes_delivered: int
    last_quote: str | None
    current_sleep_duration: float | None
    iteration_elapsed: float
    iteration_started_at: float | None
    started_at: float
    own_quotes: list[str]
    paused: bool
    should_exit: bool
