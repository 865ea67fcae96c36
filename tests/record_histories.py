"""Records the histories that `test_replay.py` replays: `python -m tests.record_histories`.

When a workflow gains a new path, add a scenario here; what is recorded already stays as it is, since runs like it exist
on people's servers.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from pathlib import Path

from durable_demo import Session
from durable_demo.run import Run
from tests.test_monty import LONG, QUICK, until

HISTORIES = Path(__file__).parent / "histories"


async def save(demo: Session, run: Run, name: str) -> None:
    """Writes the history of each run of a workflow, without what names this machine."""
    run_ids = dict.fromkeys([event.run_id async for event in run.events()])
    for number, run_id in enumerate(run_ids, 1):
        handle = demo.client.temporal.get_workflow_handle(run.id, run_id=run_id)
        text = (await demo.background.run(handle.fetch_history())).to_json()
        text = re.sub(r'durable-demo-worker@[^"]*', "durable-demo-worker@1@somewhere", text)
        text = re.sub(r'"(identity|workerControlTaskQueue)":\s*"[^"]*"', r'"\1": "somebody"', text)
        path = HISTORIES / f"monty-{name}-{number}.json"
        path.write_text(json.dumps(json.loads(text), indent=1) + "\n")
        print(path)


async def completed(demo: Session) -> Run:
    run = await demo.start_monty(**QUICK, iterations=3)
    await run.result()
    return run


async def seeded_continued(demo: Session) -> Run:
    run = await demo.start_monty(**QUICK, seed=7, iterations=5, history_limit=20, quotes=["one of mine"])
    await run.result()
    return run


async def paused_resumed_stopped(demo: Session) -> Run:
    run = await demo.start_monty(min_sleep=3, max_sleep=3, progress_interval=0.1)
    await until(run, "progress_update", tick=True)
    await run.pause()
    await until(run, "progress_update", status="iteration_1_paused")
    await run.add_quotes(["added while paused"])
    await run.resume()
    await until(run, "progress_update", status="iteration_2_sleeping")
    await run.stop()
    await run.result()
    return run


async def stopped_early(demo: Session) -> Run:
    run = await demo.start_monty(**LONG)
    await run.stop()
    await run.result()
    return run


async def canceled(demo: Session) -> Run:
    run = await demo.start_monty(**LONG)
    await until(run, "progress_update", tick=True)
    await run.cancel()
    await until(run, "workflow_canceled")
    return run


async def paused_canceled(demo: Session) -> Run:
    run = await demo.start_monty(**LONG)
    await until(run, "progress_update", tick=True)
    await run.pause()
    await run.cancel()
    await until(run, "workflow_canceled")
    return run


SCENARIOS = {
    scenario.__name__.replace("_", "-"): scenario
    for scenario in (completed, seeded_continued, paused_resumed_stopped, stopped_early, canceled, paused_canceled)
}


async def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        async with Session(home) as demo:
            for name, scenario in SCENARIOS.items():
                if not list(HISTORIES.glob(f"monty-{name}-[0-9]*.json")):
                    await save(demo, await scenario(demo), name)


if __name__ == "__main__":
    asyncio.run(main())
