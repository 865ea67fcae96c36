"""A conversation with a provider's model: faults are retried or told, and the key is nowhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from durable_demo import Session, settings
from durable_demo import events as e
from durable_demo.processes import environment
from tests.agent.llm_server import Refuses, Says, llm_server
from tests.chats import new_queue, on_queue
from tests.workers import timed_out

KEY = "sk-ant-SECRET-0123456789abcdef"


@contextmanager
def worker(demo: Session, queue: str, log: Path, **variables: str) -> Iterator[None]:
    """The kit's own Worker with these variables in its environment."""
    addressed = {"TEMPORAL_ADDRESS": demo.info.address, settings.ENV_TASK_QUEUE: queue}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "durable_demo.worker"],
            env=environment(**addressed, **variables),
            stdout=stream,
            stderr=stream,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
async def test_a_conversation_survives_what_a_provider_does_and_the_key_is_nowhere(demo: Session, tmp_path: Path):
    queue, log = new_queue(), tmp_path / "worker.log"
    anthropic = {settings.ENV_MODEL: "anthropic:some-model", "ANTHROPIC_API_KEY": KEY}
    with llm_server() as server, worker(demo, queue, log, **anthropic, ANTHROPIC_BASE_URL=server.url):
        chat = await on_queue(demo, queue).start_chat()
        server.script.extend(
            [
                Refuses(500),
                Refuses(429, {"retry-after": "1"}),
                Says(calls=(("get_weather", '{"city": "London"}'),)),
                Says(pieces=("It is ", "mild in"), ends="cut"),
                Says(pieces=("It is ", "mild in London, says ", KEY[:9], KEY[9:], ".")),
            ]
        )
        reply = await chat.send("What's the weather in London?")
        assert (reply.status, reply.text, reply.model) == (
            "answered",
            "It is mild in London, says [key].",
            "anthropic:some-model",
        )
        asked = len(server.requests)
        server.script.append(Refuses(401))
        refused = await chat.send("And in Rome?")
        assert refused.status == "failed"
        assert "ANTHROPIC_API_KEY" in refused.text
        assert len(server.requests) == asked + 1
        server.script.append(Says(pieces=("I am back.",)))
        assert (await chat.send("Are you there?")).text == "I am back."
        await chat.end()
        events = [event async for event in chat.events()]
        handle = demo.client.temporal.get_workflow_handle(chat.id)
        history = (await demo.background.run(handle.fetch_history())).to_json()

    retries = [event for event in events if isinstance(event, e.ActivityRetry) and not event.tick]
    if not any(timed_out(retry) for retry in retries):  # else it was asked once more
        assert asked == 5  # Temporal retries, the SDK does not
        assert [retry.attempt for retry in retries] == [3, 2]
    introduced = next(event for event in events if isinstance(event, e.AgentIntroduced))
    assert (introduced.model, introduced.notice) == ("anthropic:some-model", "")
    said = "".join(event.to_json() for event in events) + history + log.read_text()
    assert "some-model" in said
    for part in (KEY, KEY[:16], KEY[-10:]):
        assert part not in said


@pytest.mark.slow
async def test_without_its_key_a_provider_is_replaced_by_the_offline_brain_and_a_notice(demo: Session, tmp_path: Path):
    queue = new_queue()
    with worker(demo, queue, tmp_path / "worker.log", **{settings.ENV_MODEL: "openai:some-model"}):
        chat = await on_queue(demo, queue).start_chat()
        reply = await chat.send("What is 6 * 7?")
        assert (reply.model, "42" in reply.text) == ("offline brain (rules)", True)
        notice = (await chat.history()).summary.notice
        assert "OPENAI_API_KEY is not set" in notice
        assert "durable-demo down" in notice
        await chat.end()
