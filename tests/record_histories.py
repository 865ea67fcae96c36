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
from tests.chats import new_queue, on_queue, scripted_worker
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
        text = re.sub(r'"stackTrace":\s*"(?:[^"\\]|\\.)*"', '"stackTrace": ""', text)
        path = HISTORIES / f"{name}-{number}.json"
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


SCENARIOS = {
    scenario.__name__.replace("_", "-"): scenario
    for scenario in (
        monty_completed,
        monty_seeded_continued,
        monty_paused_resumed_stopped,
        monty_stopped_early,
        monty_canceled,
        monty_paused_canceled,
        chat_tools_continued,
        chat_stopped_queued_ended,
        chat_retried_failed,
        chat_canceled,
    )
}


async def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        async with Session(home) as demo:
            for name, scenario in SCENARIOS.items():
                if not list(HISTORIES.glob(f"{name}-[0-9]*.json")):
                    await save(demo, await scenario(demo), name)


if __name__ == "__main__":
    asyncio.run(main())
