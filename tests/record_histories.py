"""Records the histories that `test_replay.py` replays: `python -m tests.record_histories`.

Run it when a workflow gains a new path; never to make a failing replay pass: runs like the recorded ones exist on
people's servers.
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


async def main() -> None:
    HISTORIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        async with Session(home) as demo:
            run = await demo.start_monty(**QUICK, iterations=3)
            await run.result()
            await save(demo, run, "completed")

            run = await demo.start_monty(**QUICK, seed=7, iterations=5, history_limit=20, quotes=["one of mine"])
            await run.result()
            await save(demo, run, "seeded-continued")

            run = await demo.start_monty(min_sleep=3, max_sleep=3, progress_interval=0.1)
            await until(run, "progress_update", tick=True)
            await run.pause()
            await until(run, "progress_update", status="iteration_1_paused")
            await run.add_quotes(["added while paused"])
            await run.resume()
            await until(run, "progress_update", status="iteration_2_sleeping")
            await run.stop()
            await run.result()
            await save(demo, run, "paused-resumed-stopped")

            run = await demo.start_monty(**LONG)
            await run.stop()
            await run.result()
            await save(demo, run, "stopped-early")

            run = await demo.start_monty(**LONG)
            await until(run, "progress_update", tick=True)
            await run.cancel()
            await until(run, "workflow_canceled")
            await save(demo, run, "canceled")


if __name__ == "__main__":
    asyncio.run(main())
