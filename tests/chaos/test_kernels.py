"""Kernels start at once, act on the same run at once, and are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import psutil
import pytest

from durable_demo import settings
from durable_demo.stack import Stack
from tests.chaos.attack import DOWN_WITHIN, processes_of
from tests.chaos.report import Figures
from tests.chaos.scale import Scale
from tests.test_kernels import START, Browser, Kernel, started

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(600)]

GONE_S = 5.0
"""After the grace time of the stack."""
PANEL = "panel = Panel(demo)"
PRINT_FACTS = """
of_the_moment = "Reconnected", "A Worker is there again"  # as retries and problems are: no other session has them
lines = [line for line in panel.trace.lines if line.kind not in ("progress", "retry", "problem")]
print(*[line.text for line in lines if not line.text.startswith(of_the_moment)], sep="\\n")
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A state directory in which nothing runs."""
    yield tmp_path
    asyncio.run(Stack(tmp_path).down(DOWN_WITHIN))


def test_kernel_killed(home: Path, scale: Scale, figures: Figures) -> None:
    """Kernel killed, the next session attaches."""
    orphaned: list[float] = []
    facts, workflow_id = "", ""
    for _ in range(scale.kernel_kills):
        with closing(Kernel(home)) as kernel:
            kernel.run(f"{START}\n{PANEL}")
            browser = Browser(kernel)
            browser.send({"t": "hello"})
            workflow_id = workflow_id or started(kernel)
            before = facts.count(': "')
            seen = browser.sees("further quotes", lambda summary, _, n=before: (summary["quotes"] or 0) >= n + 2)
            assert seen["summary"]["workflow_id"] == workflow_id
            told = kernel.run(PRINT_FACTS)
            assert told.startswith(facts), "the trace is not what the session before has seen"
            facts = told
            process = int(kernel.run("import os\nprint(os.getpid())"))
            os.kill(process, signal.SIGKILL)
            orphaned.append(gone_after(home) - settings.LEASE_GRACE.total_seconds())
    with closing(Kernel(home)) as kernel:
        kernel.run(f"{START}\n{PANEL}")
        browser = Browser(kernel)
        browser.send({"t": "hello"})
        quotes = facts.count(': "')
        seen = browser.sees("further quotes", lambda summary, _: (summary["quotes"] or 0) >= quotes + 2)
        assert seen["summary"]["workflow_id"] == workflow_id
        assert kernel.run(PRINT_FACTS).startswith(facts)
        kernel.run("run = panel.run\nawait run.stop()\nawait run.result()\nawait demo.assert_clean()")
    figures.add_exact("kernels killed (SIGKILL)", len(orphaned), scale.kernel_kills)
    figures.add_spread("until no process was left, after the grace time", orphaned, most=GONE_S)
    figures.check()


def gone_after(home: Path) -> float:
    """Seconds until no process of this state directory is left."""
    began = time.monotonic()
    while left := processes_of(home):
        assert time.monotonic() - began < 60, f"60 s after the kernel was killed there are still {left}"
        time.sleep(0.1)
    return time.monotonic() - began


STOP = """
import asyncio, time
run = demo.attach({workflow_id!r})
await run.status()
await asyncio.sleep({moment} - time.time())
print(await run.stop())
"""


def test_kernels_at_once(tmp_path: Path, scale: Scale, figures: Figures) -> None:
    """Kernels starting at once, two sessions stopping the same run."""
    times: list[float] = []
    for number in range(scale.kernel_rounds):
        home = tmp_path / str(number)
        with ExitStack() as stack:
            stack.callback(lambda home=home: asyncio.run(Stack(home).down(DOWN_WITHIN)))
            kernels = [stack.enter_context(closing(Kernel(home))) for _ in range(scale.kernels)]
            began = time.monotonic()
            starting = [kernel.begin(f"{START}\nprint(demo.info.to_json())") for kernel in kernels]
            answers = [kernel.finish(request) for kernel, request in zip(kernels, starting, strict=True)]
            times.append(time.monotonic() - began)
            assert len(set(answers)) == 1, "one stack"
            assert processes(home, "start-dev") == 1
            assert processes(home, "durable_demo.worker") == 1
            assert processes(home, "durable_demo.supervisor") == 1

            kernels[0].run("panel = Panel(demo, attach=False)")
            workflow_id = started(kernels[0])
            stop = STOP.format(workflow_id=workflow_id, moment=time.time() + 1)
            stopping = [kernel.begin(stop) for kernel in kernels[:2]]
            said = [kernel.finish(request) for kernel, request in zip(kernels, stopping, strict=False)]
            clear = {f"{workflow_id}: stop requested", f"{workflow_id} has already ended: COMPLETED"}
            assert set(said) <= clear, said
            assert f"{workflow_id}: stop requested" in said
            for kernel in kernels[:2]:
                ended = kernel.run(f"print((await demo.attach({workflow_id!r}).result()).final_status)")
                assert ended == "stopped"
            for kernel in kernels:
                kernel.run("await demo.assert_clean()")
    figures.add_exact(f"rounds of {scale.kernels} kernels, each with one stack", len(times), scale.kernel_rounds)
    figures.add_spread("until all of them could go on", times)
    figures.check()


def processes(home: Path, word: str) -> int:
    found = 0
    for process in processes_of(home):
        with suppress(psutil.Error):  # it has ended since
            found += any(word in part for part in process.cmdline())
    return found
