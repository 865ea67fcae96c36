"""Records the histories that `test_replay.py` replays: `python -m tests.record_histories`.

Each version of the kit has a directory of its own. When a workflow gains a new path, add a scenario here; what is
recorded already stays as it is, since runs like it exist on people's servers.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import tempfile
from pathlib import Path

from temporalio import activity
from temporalio.exceptions import ApplicationError

from durable_demo import Session, __version__
from durable_demo.run import Run
from durable_demo.workflows import MontyPythonWorkflow
from durable_demo.workflows.monty_data import Step
from tests.chats import new_queue, on_queue, scripted_worker
from tests.test_monty import LONG, QUICK, activity_worker, reached, split_workers, until

DIRECTORY = Path(__file__).parent / "histories"
CURRENT = DIRECTORY / __version__
"""Where this version's histories belong."""


async def save(demo: Session, run: Run, name: str) -> None:
    """Writes the history of each run of a workflow, without what names this machine."""
    run_ids = dict.fromkeys([event.run_id async for event in run.events()])
    for number, run_id in enumerate(run_ids, 1):
        handle = demo.client.temporal.get_workflow_handle(run.id, run_id=run_id)
        text = (await demo.background.run(handle.fetch_history())).to_json()
        text = re.sub(r'durable-demo-worker@[^"]*', "durable-demo-worker@1@somewhere", text)
        text = re.sub(r'"(identity|workerControlTaskQueue)":\s*"[^"]*"', r'"\1": "somebody"', text)
        text = re.sub(r'"stackTrace":\s*"(?:[^"\\]|\\.)*"', '"stackTrace": ""', text)
        path = CURRENT / f"{name}-{number}.json"
        path.write_text(json.dumps(json.loads(text), indent=1) + "\n")
        print(path)


# --- Monty -----------------------------------------------------------------------------------------------------------


async def monty_completed(demo: Session) -> Run:
    run = await demo.start_monty(**QUICK, iterations=3)
    await run.result()
    return run


async def monty_seeded_continued(demo: Session) -> Run:
    run = await demo.start_monty(**QUICK, seed=7, iterations=5, history_limit=20, quotes=["one of mine"])
    await run.result()
    return run


async def monty_paused_resumed_stopped(demo: Session) -> Run:
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


async def monty_stopped_early(demo: Session) -> Run:
    run = await demo.start_monty(**LONG)
    await run.stop()
    await run.result()
    return run


async def monty_canceled(demo: Session) -> Run:
    run = await demo.start_monty(**LONG)
    await until(run, "progress_update", tick=True)
    await run.cancel()
    await until(run, "workflow_canceled")
    return run


async def monty_paused_canceled(demo: Session) -> Run:
    run = await demo.start_monty(**LONG)
    await until(run, "progress_update", tick=True)
    await run.pause()
    await run.cancel()
    await until(run, "workflow_canceled")
    return run


async def kill_worker(demo: Session) -> None:
    worker = demo.info.worker
    assert worker
    os.kill(worker.pid, signal.SIGKILL)  # the supervisor starts another one


async def monty_worker_killed(demo: Session) -> Run:
    run = await demo.start_monty(min_sleep=3, max_sleep=3, progress_interval=0.1, iterations=2)
    await reached(run, 20)
    await kill_worker(demo)
    await run.result()
    return run


async def monty_paused_between_attempts(demo: Session) -> Run:
    async with split_workers(demo) as (run, queue):
        with activity_worker(demo, queue):
            await reached(run, 30)
        await until(run, "activity_retry", tick=True)
        await run.pause()
        await until(run, "progress_update", status="iteration_1_paused")
        await run.resume()
        with activity_worker(demo, queue):
            await run.result()
    return run


@activity.defn(name="sleep_then_quote")
async def failing(step: Step) -> None:
    """Fails once, then for good."""
    raise ApplicationError("the quotes are on fire", non_retryable=activity.info().attempt > 1)


async def monty_failed(demo: Session) -> Run:
    queue = new_queue()
    async with scripted_worker(demo, queue, workflows=[MontyPythonWorkflow], activities=[failing]):
        run = await on_queue(demo, queue).start_monty(**QUICK)
        await until(run, "workflow_failed")
    return run


async def monty_sent_anything(demo: Session) -> Run:
    run = await demo.start_monty(**LONG)
    handle = demo.client.temporal.get_workflow_handle(run.id)
    for name, args in (("pause", ["x", 7]), ("resume", [None]), ("no_such", []), ("stop_workflow", [{"a": 1}])):
        await demo.background.run(handle.signal(name, args=args))
    await run.result()
    return run


# --- chat ------------------------------------------------------------------------------------------------------------


async def chat_tools_continued(demo: Session) -> Run:
    chat = await demo.start_chat(history_limit=40)
    for text in (
        "What's the weather in NYC?",
        "How about London?",
        "Which is warmer, Cairo or Oslo?",
        "What is 6 * 7?",
    ):
        await chat.send(text)
    await chat.end()
    await chat.result()
    return chat


async def chat_stopped_queued_ended(demo: Session) -> Run:
    chat = await demo.start_chat()
    sending = [asyncio.create_task(chat.send("What can you do?", message_id=f"m{number}")) for number in range(3)]
    await until(chat, "text_update", step=1)
    await until(chat, "message_received", message_id="m2")
    await chat.stop("m1")
    await chat.stop()
    await chat.end()
    await asyncio.gather(*sending)
    await chat.result()
    return chat


async def chat_retried_failed(demo: Session) -> Run:
    queue = new_queue()
    async with scripted_worker(demo, queue):
        chat = await on_queue(demo, queue).start_chat()
        for text in ("fail 1", "refuse", "loop", 'call [["no_such", {}], ["get_weather", {"city": "Atlantis"}]]'):
            await chat.send(text)
        await chat.retry()
        await chat.end()
        await chat.result()
    return chat


async def chat_canceled(demo: Session) -> Run:
    chat = await demo.start_chat()
    sending = asyncio.create_task(chat.send("What can you do?"))
    await until(chat, "text_update")
    await chat.cancel()
    await sending
    await until(chat, "workflow_canceled")
    return chat


async def chat_worker_killed(demo: Session) -> Run:
    chat = await demo.start_chat()
    sending = asyncio.create_task(chat.send("Which is warmer, Cairo or Oslo?"))
    await until(chat, "text_update")
    await kill_worker(demo)
    await sending
    await chat.end()
    await chat.result()
    return chat


async def chat_sent_anything(demo: Session) -> Run:
    chat = await demo.start_chat()
    handle = demo.client.temporal.get_workflow_handle(chat.id)
    for name, args in (("stop_answer", [7]), ("stop_answer", ["m", "n"]), ("no_such", []), ("end_conversation", [1])):
        await demo.background.run(handle.signal(name, args=args))
    await chat.result()
    return chat


SCENARIOS = {
    scenario.__name__.replace("_", "-"): scenario
    for scenario in (
        monty_completed,
        monty_seeded_continued,
        monty_paused_resumed_stopped,
        monty_stopped_early,
        monty_canceled,
        monty_paused_canceled,
        monty_worker_killed,
        monty_paused_between_attempts,
        monty_failed,
        monty_sent_anything,
        chat_tools_continued,
        chat_stopped_queued_ended,
        chat_retried_failed,
        chat_canceled,
        chat_worker_killed,
        chat_sent_anything,
    )
}


async def main() -> None:
    CURRENT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        async with Session(home) as demo:
            for name, scenario in SCENARIOS.items():
                if not list(CURRENT.glob(f"{name}-[0-9]*.json")):
                    await save(demo, await scenario(demo), name)


if __name__ == "__main__":
    asyncio.run(main())
