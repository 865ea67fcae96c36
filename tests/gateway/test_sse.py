"""The streams as they come over the wire, to readers that we did not write."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from durable_demo import Session
from tests.conftest import eventually
from tests.gateway.served import DEADLINE_S, Served, facts, read, read_all, serving
from tests.gateway.test_routes import LONG, QUICK, told

pytestmark = pytest.mark.slow

SOME = {**QUICK, "iterations": 12}


async def facts_of(demo: Session, workflow_id: str) -> list[dict[str, Any]]:
    return facts([event.to_dict() async for event in demo.attach(workflow_id).events(wait=False)])


# --- form ------------------------------------------------------------------------------------------------------------


async def test_each_event_is_named_has_its_offset_and_is_one_line_of_json(http: httpx.AsyncClient):
    response = await http.post("/monty/stream", json={**QUICK, "iterations": 1})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    blocks = response.text.split("\n\n")
    assert re.fullmatch(r"id: \d{16}-000000-[0-9a-f-]{36}\nretry: 1000", blocks[0])
    for block in filter(None, blocks[1:]):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        assert sorted(fields) == ["data", "event", "id"]
        event = json.loads(fields["data"])
        assert (event["event"], event["offset"]) == (fields["event"], fields["id"])


async def test_without_names_onmessage_gets_them_all(http: httpx.AsyncClient):
    response = await http.get("/monty/stream", params={**QUICK, "iterations": 1, "named": False})
    assert "event: " not in response.text
    assert '"event": "workflow_completed"' in response.text


async def test_texts_of_people_come_as_they_are(http: httpx.AsyncClient):
    quote = "<b>Ni!</b> \u2028 \U0001f40d data: x"
    events = await read_all(http, "/monty/stream", "POST", json={**QUICK, "iterations": 1, "quotes": [quote]})
    assert quote in [event.get("current_quote") for event in events]


async def test_comments_keep_a_quiet_connection_alive(http: httpx.AsyncClient, demo: Session, served: Served):
    chat = await demo.start_chat()  # nothing happens in it
    seen = ""
    async with asyncio.timeout(40), http.stream("GET", f"/workflow/{chat.id}/stream") as response:
        async for text in response.aiter_text():
            seen += text
            if ": keep-alive" in seen:
                break
    await chat.end()


# --- resuming --------------------------------------------------------------------------------------------------------


async def test_resumed_anywhere_no_fact_is_missing_or_told_twice(http: httpx.AsyncClient, demo: Session):
    events = await read_all(http, "/monty/stream", "POST", json={**QUICK, "iterations": 3})
    workflow_id = events[0]["workflow_id"]
    expected = facts(events)
    assert expected == await facts_of(demo, workflow_id)
    path = f"/workflow/{workflow_id}/stream"
    for place, event in enumerate(expected):
        for rest in (
            await read_all(http, path, last=event["offset"]),
            await read_all(http, path, params={"after": event["offset"]}),
            await read_all(http, path, params={"after": "", "wait": False}, last=event["offset"]),
        ):
            assert facts(rest) == expected[place + 1 :]


async def test_who_leaves_before_the_first_event_comes_back_to_the_same_workflow(
    http: httpx.AsyncClient, demo: Session
):
    async with http.stream("GET", "/monty/stream", params={**QUICK, "iterations": 2}) as response:
        async for line in response.aiter_lines():
            begin = line.removeprefix("id: ")
            break
        workflow_id = response.headers["content-location"].split("/")[2]
    events = await read_all(http, "/monty/stream", last=begin)
    assert {event["workflow_id"] for event in events} == {workflow_id}
    assert facts(events) == await facts_of(demo, workflow_id)


async def test_after_its_last_event_a_stream_is_over_for_good(http: httpx.AsyncClient):
    events = await read_all(http, "/monty/stream", "POST", json={**QUICK, "iterations": 1})
    for path in ("/monty/stream", f"/workflow/{events[0]['workflow_id']}/stream"):
        response = await http.get(path, headers={"Last-Event-ID": events[-1]["offset"]})
        assert (response.status_code, response.content) == (204, b"")  # an EventSource asks no more


async def test_an_offset_that_was_made_up_harms_nobody_else(http: httpx.AsyncClient, demo: Session):
    run = await demo.start_monty(**QUICK, iterations=6)
    path = f"/workflow/{run.id}/stream"
    run_id = (await run.status()).run_id
    made_up = [f"9999999999999999-000001-{run_id}", f"{1:016d}-999999999999-{run_id}", f"{9**15:016d}-000007-{uuid4()}"]
    liars = [asyncio.create_task(read_all(http, path, last=offset)) for offset in made_up]
    await asyncio.sleep(0)
    honest = await asyncio.gather(*(read_all(http, path) for _ in range(3)))
    await asyncio.gather(*liars)
    for events in honest:
        assert facts(events) == await facts_of(demo, run.id)


async def test_what_is_no_offset_is_refused(http: httpx.AsyncClient, demo: Session):
    run = await demo.start_monty(**LONG)
    for path in (f"/workflow/{run.id}/stream", "/monty/stream"):
        told(await http.get(path, headers={"Last-Event-ID": "yesterday"}), 422, "invalid-input")
        told(await http.get(path, params={"after": "1-2-3"}), 422, "invalid-input")
    await run.stop()


async def test_an_offset_whose_run_is_gone_is_a_gap_and_the_stream_goes_on(http: httpx.AsyncClient, demo: Session):
    run = await demo.start_monty(**QUICK, iterations=1)
    await run.result()
    gone = f"{9 * 10**15:016d}-000007-00000000-0000-7000-8000-000000000000"
    events = await read_all(http, f"/workflow/{run.id}/stream", last=gone)
    names = [event["event"] for event in events]
    assert names.index("gap") < names.index("workflow_started")
    assert facts(events) == await facts_of(demo, run.id)


async def test_without_waiting_a_stream_ends_with_what_there_is(http: httpx.AsyncClient, demo: Session):
    run = await demo.start_monty(**LONG)
    events = await read_all(http, f"/workflow/{run.id}/stream", params={"wait": False})
    assert facts(events)[0]["event"] == "workflow_started"
    assert not any(event["tick"] for event in events)
    await run.stop()


async def test_over_continue_as_new_the_stream_goes_on(http: httpx.AsyncClient, demo: Session):
    run = await demo.start_monty(**QUICK, iterations=8, history_limit=20)
    events = await read_all(http, f"/workflow/{run.id}/stream")
    assert len({event["run_id"] for event in facts(events)}) > 1
    assert facts(events) == await facts_of(demo, run.id)


# --- the gateway comes and goes --------------------------------------------------------------------------------------


async def test_a_killed_gateway_costs_a_reader_nothing(demo: Session, home: Path):
    async with serving(home) as gateway, httpx.AsyncClient(timeout=40) as client:
        path = "/monty/stream"
        seen: list[dict[str, Any]] = []
        kills = 0
        while not seen or seen[-1]["event"] != "workflow_completed":
            try:
                last = seen[-1]["offset"] if seen else ""
                async for event in read(client, gateway.url + path, params=SOME, last=last):
                    seen.append(event.json())
                    if kills < 2 and len(facts(seen)) >= 6 * (kills + 1):
                        kills += 1
                        await gateway.kill()
            except httpx.TransportError:
                await gateway.start()  # a new process, which knows nothing of the old one's readers
    assert kills == 2
    assert {event["workflow_id"] for event in seen} == {seen[0]["workflow_id"]}
    assert facts(seen) == await facts_of(demo, seen[0]["workflow_id"])


async def test_a_gateway_that_is_told_to_end_lets_its_readers_go(demo: Session, home: Path):
    async with serving(home) as gateway, httpx.AsyncClient(base_url=gateway.url, timeout=40) as client:
        run = await demo.start_monty(**LONG)
        streams = [asyncio.create_task(_read_until_the_end(client, run.id)) for _ in range(5)]
        await eventually(lambda: all(stream.get_name() == "reading" for stream in streams), "five readers")
        async with asyncio.timeout(DEADLINE_S):
            said = await gateway.stop()
            await asyncio.gather(*streams)
        assert gateway.status == 0
        # On a machine that is too busy uvicorn ends what it would not wait for, and says so.
        assert not said or re.match(r"ERROR: +Cancel \d+ running task\(s\), timeout graceful shutdown exceeded", said)
    assert (await run.status()).status == "RUNNING"
    await run.stop()


async def _read_until_the_end(client: httpx.AsyncClient, workflow_id: str) -> None:
    task = asyncio.current_task()
    assert task
    async for _ in read(client, f"/workflow/{workflow_id}/stream"):
        task.set_name("reading")
