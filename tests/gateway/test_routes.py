"""Each route, and each of its errors."""

from __future__ import annotations

import asyncio
import math
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from durable_demo import Session
from durable_demo.events import format_timestamp
from tests.gateway.served import DEADLINE_S, facts, patiently, read, read_all, serving
from tests.test_follow import handle, queue, start  # noqa: F401  # `queue` is a fixture
from tests.test_monty import LONG, until

pytestmark = pytest.mark.slow

QUICK = {"min_sleep": 0.1, "max_sleep": 0.2, "progress_interval": 0.05, "seed": 3}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UNKNOWN = "monty-python-ffffffff"


def told(response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem in a response."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["type"] == f"urn:durable-demo:{kind}"
    assert problem["instance"] == response.request.url.path
    assert problem["detail"]
    return problem


# --- Monty -----------------------------------------------------------------------------------------------------------


async def test_a_post_starts_monty_and_streams_its_events_to_the_end(http: httpx.AsyncClient, demo: Session):
    events = await read_all(http, "/monty/stream", "POST", json={**QUICK, "iterations": 2})
    first, last = facts(events)[0], events[-1]
    assert (first["event"], first["input"]["seed"]) == ("workflow_started", 3)
    assert (last["event"], last["result"]["total_quotes_delivered"], last["total_quotes_delivered"]) == (
        "workflow_completed", 2, 2,
    )  # fmt: skip
    run = demo.attach(first["workflow_id"])
    assert facts(events) == facts([event.to_dict() async for event in run.events(wait=False)])
    quotes = [event["current_quote"] for event in events if event.get("current_quote")]
    assert len(quotes) == 2


async def test_a_get_does_the_same_with_options_in_the_url(http: httpx.AsyncClient):
    events = await read_all(http, "/monty/stream", params={**QUICK, "iterations": 1, "quotes": ["Ni!", "Ni!!"]})
    assert facts(events)[0]["input"]["quotes"] == ["Ni!", "Ni!!"]
    assert next(event["current_quote"] for event in events if event.get("current_quote")) in ("Ni!", "Ni!!")


async def test_closing_a_stream_leaves_the_workflow_running(http: httpx.AsyncClient, demo: Session):
    async for event in read(http, "/monty/stream", "POST", json=LONG):
        workflow_id = event.json()["workflow_id"]
        break
    run = demo.attach(workflow_id)
    assert (await run.status()).status == "RUNNING"
    await run.stop()
    assert (await run.result()).final_status == "stopped"


async def test_a_reader_who_comes_back_to_monty_stream_starts_no_other(http: httpx.AsyncClient, demo: Session):
    seen = [
        event.json() async for event in _some(read(http, "/monty/stream", "GET", params={**QUICK, "iterations": 3}), 4)
    ]
    rest = await read_all(http, "/monty/stream", last=seen[-1]["offset"])
    assert {event["workflow_id"] for event in rest} == {seen[0]["workflow_id"]}
    run = demo.attach(seen[0]["workflow_id"])
    assert facts(seen) + facts(rest) == facts([event.to_dict() async for event in run.events(wait=False)])


async def test_an_offset_of_nobody_is_told(http: httpx.AsyncClient):
    offset = f"{1:016d}-000001-{uuid4()}"
    told(await http.get("/monty/stream", headers={"Last-Event-ID": offset}), 404, "workflow-not-found")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"min_sleep": 0}, "min_sleep"),
        ({"min_sleep": -1}, "min_sleep"),
        ({"min_sleep": "x"}, "min_sleep"),
        ({"min_sleep": True}, "min_sleep"),
        ({"max_sleep": 3601}, "max_sleep"),
        ({"min_sleep": 9, "max_sleep": 3}, "min_sleep"),
        ({"progress_interval": 0.001}, "progress_interval"),
        ({"seed": 2**70}, "seed"),
        ({"iterations": 0}, "iterations"),
        ({"quotes": "Ni!"}, "quotes"),
        ({"quotes": [""]}, "quote"),
        ({"quotes": ["a\u0000b"]}, "quote"),
        ({"quotes": ["Ni!", "Ni!"]}, "quote"),
        ({"surprise": 1}, "surprise"),
        ([], "body"),
    ],
)
async def test_what_monty_cannot_use_is_refused(http: httpx.AsyncClient, options: Any, named: str):
    problem = told(await http.post("/monty/stream", json=options), 422, "invalid-input")
    assert named in problem["detail"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
async def test_numbers_that_are_none_are_refused(http: httpx.AsyncClient, value: float):
    body = f'{{"min_sleep": {str(value).replace("nan", "NaN").replace("inf", "Infinity")}}}'
    response = await http.post("/monty/stream", content=body, headers={"content-type": "application/json"})
    told(response, 422, "invalid-input")
    told(await http.get("/monty/stream", params={"min_sleep": str(value)}), 422, "invalid-input")


# --- any workflow ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/workflow/{UNKNOWN}/stream"),
        ("GET", f"/workflow/{UNKNOWN}/status"),
        ("GET", f"/workflow/{UNKNOWN}/query"),
        ("GET", f"/workflow/{UNKNOWN}/history"),
        ("GET", "/workflow/chat-ffffffff/history"),
        ("POST", f"/workflow/{UNKNOWN}/signal/stop"),
        ("POST", "/chat/chat-ffffffff"),
    ],
)
async def test_an_unknown_workflow_is_not_found(http: httpx.AsyncClient, method: str, path: str):
    body = {"message": "hello"} if path.startswith("/chat") else None
    problem = told(await http.request(method, path, json=body), 404, "workflow-not-found")
    assert problem["remedy"]


@pytest.mark.parametrize("workflow_id", ["a b", "a%00b", "a%0Ab", "<b>", "é", "x" * 65, "..%2f", "'; DROP"])
async def test_what_is_no_workflow_id_is_refused(http: httpx.AsyncClient, workflow_id: str):
    response = await http.get(f"/workflow/{workflow_id}/status")
    assert response.status_code in (404, 422)  # 404: the slash makes it another path
    assert response.headers["content-type"] == "application/problem+json"


async def test_stop_answers_as_documented_and_the_stream_ends_with_the_totals(http: httpx.AsyncClient, demo: Session):
    run = await demo.start_monty(**LONG)
    await until(run, "progress_update")  # stopped before, it has no iteration
    answer = await http.post(f"/workflow/{run.id}/signal/stop")
    assert answer.status_code == 200
    sent = answer.json()
    assert TIMESTAMP.fullmatch(sent.pop("timestamp"))
    assert sent == {"status": "signal sent", "workflow_id": run.id, "signal": "stop_workflow"}
    last = (await read_all(http, f"/workflow/{run.id}/stream"))[-1]
    assert (last["event"], last["result"]["final_status"]) == ("workflow_completed", "stopped")
    assert last["result"]["total_iterations"] == last["iteration_count"] == 1

    again = told(await http.post(f"/workflow/{run.id}/signal/stop"), 409, "not-possible")
    assert "already ended" in again["detail"]
    assert (await patiently(http, "GET", f"/workflow/{run.id}/query")).json()["status"] == "stopped"


async def test_pause_and_resume_are_seen_in_the_status(http: httpx.AsyncClient, demo: Session):
    run = await demo.start_monty(**LONG)
    await until(run, "progress_update")  # paused before, it has no iteration
    await http.post(f"/workflow/{run.id}/signal/pause")
    async with asyncio.timeout(DEADLINE_S):
        while (found := (await http.get(f"/workflow/{run.id}/status")).json())["state"] != "PAUSED":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    status = await run.status()
    assert (found["execution_status"], found["workflow_type"]) == ("RUNNING", "MontyPythonWorkflow")
    assert found["start_time"] == format_timestamp(status.started)
    assert (found["close_time"], found["iterations"], found["problem"]) == (None, 1, "")
    await http.post(f"/workflow/{run.id}/signal/resume")
    await run.terminate()
    assert (await http.get(f"/workflow/{run.id}/status")).json()["state"] == "TERMINATED"


async def test_a_workflow_without_that_signal_or_query_says_so(
    http: httpx.AsyncClient,
    demo: Session,
    queue: str,  # noqa: F811
):
    run = await start(demo, queue, "Everything", "x")
    # Its Worker says in time what it handles once it has the workflow.
    assert await demo.background.run(handle(demo, run).execute_update("greet", "you")) == "hello you"
    told(await http.post(f"/workflow/{run.id}/signal/stop"), 409, "not-possible")
    nothing = await patiently(http, "GET", f"/workflow/{run.id}/query", params={"name": "nothing"})
    told(nothing, 409, "not-possible")
    told(await http.post(f"/workflow/{run.id}/signal/explode"), 422, "invalid-input")
    assert (await http.get(f"/workflow/{run.id}/status")).json()["workflow_type"] == "Everything"
    await run.cancel()


async def test_the_query_of_monty_has_the_live_heartbeat(http: httpx.AsyncClient, demo: Session):
    run = await demo.start_monty(**LONG)
    async with asyncio.timeout(DEADLINE_S):
        while "attempt" not in (found := (await http.get(f"/workflow/{run.id}/query")).json()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (found["iteration_count"], found["attempt"]) == (1, 1)
    named = await patiently(http, "GET", f"/workflow/{run.id}/query", params={"name": "get_progress"})
    assert named.status_code == 200
    await run.stop()


async def test_without_a_worker_a_query_is_answered_in_seconds(http: httpx.AsyncClient, demo: Session):
    run = await start(demo, f"nobody-{uuid4().hex[:8]}", "MontyPythonWorkflow", {"min_sleep": 1, "max_sleep": 1})
    response = await http.get(f"/workflow/{run.id}/query", timeout=DEADLINE_S)  # raises when it takes longer
    problem = told(response, 503, "worker-unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert "doctor" in problem["remedy"]
    assert (await http.get(f"/workflow/{run.id}/status")).json()["execution_status"] == "RUNNING"
    await run.terminate()


# --- chat ------------------------------------------------------------------------------------------------------------


async def test_a_conversation_goes_on_and_its_history_has_all_of_it(http: httpx.AsyncClient):
    first = (await patiently(http, "POST", "/chat", json={"message": "What's the weather in NYC?"})).json()
    assert (first["status"], first["workflow_id"][:5]) == ("answered", "chat-")
    assert "humidity" in first["reply"]
    london = {"message": "How about London?", "message_id": "m-2"}
    second = await patiently(http, "POST", f"/chat/{first['workflow_id']}", json=london)
    assert "London" in second.json()["reply"]
    again = await patiently(http, "POST", f"/chat/{first['workflow_id']}", json=london)
    assert again.json() == second.json()

    history = (await http.get(f"/workflow/{first['workflow_id']}/history")).json()
    assert [(message["role"], message["status"]) for message in history["messages"]] == [
        ("user", "answered"), ("assistant", "answered"), ("user", "answered"), ("assistant", "answered"),
    ]  # fmt: skip
    assert history["messages"][3]["content"] == second.json()["reply"]
    assert history["execution_status"] == "RUNNING"
    query = await patiently(http, "GET", f"/workflow/{first['workflow_id']}/query")
    assert query.json()["total_messages"] == 2


async def test_a_conversation_can_be_streamed(http: httpx.AsyncClient):
    chat = (await patiently(http, "POST", "/chat", json={"message": "What is 17 * 23?"})).json()
    seen = []
    async for event in read(http, f"/workflow/{chat['workflow_id']}/stream"):
        seen.append(event.json())
        if event.event == "message_answered":
            break
    names = [event["event"] for event in facts(seen)]
    assert names[0] == "workflow_started"
    assert "message_received" in names


@pytest.mark.parametrize(
    "body", [{}, {"message": ""}, {"message": "  "}, {"message": 3}, {"message": "x" * 4_001}, {"message": "a\u0000b"},
             {"message": "hi", "message_id": "no spaces"}, {"message": None}, "hello"],
)  # fmt: skip
async def test_what_is_no_message_is_refused(http: httpx.AsyncClient, body: Any):
    told(await http.post("/chat", json=body), 422, "invalid-input")


async def test_a_workflow_that_is_no_conversation_has_no_messages(http: httpx.AsyncClient, demo: Session):
    run = await demo.start_monty(**LONG)
    told(await http.post(f"/chat/{run.id}", json={"message": "hello"}), 409, "not-possible")
    told(await http.get(f"/workflow/{run.id}/history"), 409, "not-possible")
    await run.terminate()


async def test_a_conversation_has_no_signal_to_stop_it(http: httpx.AsyncClient, demo: Session):
    chat = await demo.start_chat()
    await until(chat, "agent_introduced")  # its Worker has it, and says in time what it handles
    told(await http.post(f"/workflow/{chat.id}/signal/stop"), 409, "not-possible")
    await chat.end()


async def test_a_conversation_that_has_ended_takes_no_message(http: httpx.AsyncClient, demo: Session):
    chat = await demo.start_chat()
    await chat.end()
    await chat.result()
    told(await http.post(f"/chat/{chat.id}", json={"message": "hello"}), 409, "not-possible")
    assert (await http.get(f"/workflow/{chat.id}/history")).json()["messages"] == []


# --- the server is away ----------------------------------------------------------------------------------------------


async def test_without_the_server_each_call_says_so_and_who_comes_back_waits_for_it(tmp_path: Path):
    async with (
        serving(tmp_path) as gateway,
        Session(tmp_path) as demo,
        httpx.AsyncClient(base_url=gateway.url, timeout=60) as http,
    ):
        run = await demo.start_monty(**LONG)
        (first,) = await read_some(http, f"/workflow/{run.id}/stream", 1)
        await demo.break_it.kill_server(seconds=120)
        calls = [
            http.post("/monty/stream"), http.get("/monty/stream"), http.get(f"/workflow/{run.id}/stream"),
            http.post(f"/workflow/{run.id}/signal/stop"), http.get(f"/workflow/{run.id}/status"),
            http.get(f"/workflow/{run.id}/query"), http.get("/workflow/chat-1/history"),
            http.post("/chat", json={"message": "hello"}), http.post("/chat/chat-1", json={"message": "hello"}),
        ]  # fmt: skip
        for response in await asyncio.gather(*calls):
            told(response, 503, "server-unreachable")
            assert int(response.headers["retry-after"]) > 0
        waiting = asyncio.create_task(read_all(http, f"/workflow/{run.id}/stream", last=first["offset"]))
        await demo.break_it.start_server()
        await run.stop()
        assert (await waiting)[-1]["event"] == "workflow_completed"


async def read_some(http: httpx.AsyncClient, path: str, count: int) -> list[dict[str, Any]]:
    return [event.json() async for event in _some(read(http, path), count)]


# --- all -------------------------------------------------------------------------------------------------------------


async def test_what_there_is_not_is_a_problem_too(http: httpx.AsyncClient):
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/chat", 405), ("DELETE", "/monty/stream", 405)):
        response = await http.request(method, path)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")


async def _some(events: Any, count: int) -> Any:
    async for event in events:
        yield event
        count -= 1
        if not count:
            return
