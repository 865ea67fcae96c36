"""The description of the routes: complete, with examples that are what really comes, and nothing breaks by it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_demo import Session
from durable_demo.gateway import models
from tests.gateway.served import DEADLINE_S, patiently, read_all, serving
from tests.gateway.test_routes import LONG

pytestmark = pytest.mark.slow

METHODS = ("get", "post")
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
async def described(http: httpx.AsyncClient) -> dict[str, Any]:
    response = await http.get("/openapi.json")
    found: dict[str, Any] = response.json()
    return found


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in described["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


async def test_all_calls_are_described_in_words_with_their_errors(described: dict[str, Any]):
    found = {f"{method} {path}" for method, path, _ in operations(described)}
    assert found == {
        "POST /monty/stream",
        "GET /monty/stream",
        "GET /workflow/{workflow_id}/stream",
        "POST /workflow/{workflow_id}/signal/{name}",
        "GET /workflow/{workflow_id}/status",
        "GET /workflow/{workflow_id}/query",
        "POST /chat",
        "POST /chat/{workflow_id}",
        "GET /workflow/{workflow_id}/history",
    }
    for method, path, operation in operations(described):
        assert operation["summary"], path
        assert operation["description"], path
        problems = {status for status in operation["responses"] if int(status) >= 400}
        assert {"400", "401", "403", "413", "421", "422", "429", "503"} <= problems, f"{method} {path}"
        if "{workflow_id}" in path:
            assert "404" in problems
        for status in problems:
            content = operation["responses"][status]["content"]
            assert list(content) == ["application/problem+json"], f"{method} {path} {status}"
    for name, schema in described["components"]["schemas"].items():
        for field, told in schema.get("properties", {}).items():
            assert told.get("description") or "$ref" in str(told) or "const" in told or "enum" in told, (name, field)


def example(model: type[models.BaseModel]) -> Any:
    (found,) = model.model_json_schema()["examples"]
    return found


def alike(real: Any, shown: Any) -> bool:
    """Whether both have the same fields of the same kinds; null stands for any."""
    if isinstance(shown, dict):
        return (
            isinstance(real, dict)
            and real.keys() == shown.keys()
            and all(alike(real[key], shown[key]) for key in shown)
        )
    if isinstance(shown, list):
        return isinstance(real, list) and (not shown or not real or alike(real[0], shown[0]))
    number = isinstance(shown, int | float) and isinstance(real, int | float)
    return shown is None or real is None or type(real) is type(shown) or number


async def test_the_examples_are_what_really_comes(http: httpx.AsyncClient, demo: Session, described: dict[str, Any]):
    shown = [
        dict(line.split(": ", 1) for line in block.split("\n"))
        for block in models.EXAMPLE_EVENTS.strip().split("\n\n")
        if block.startswith("event")
    ]
    monty = example(models.MontyOptions)
    real = await read_all(http, "/monty/stream", "POST", json={**monty, "iterations": 1})
    for block in shown:
        event = json.loads(block["data"])
        same = [each for each in real if each["event"] == event["event"] and each["tick"] == event["tick"]]
        assert event["offset"] == block["id"]
        assert any(event.keys() == each.keys() for each in same), (event, same)

    run = await demo.start_monty(**LONG)
    status = (await http.get(f"/workflow/{run.id}/status")).json()
    assert alike(status, example(models.WorkflowStatus))
    query = described["paths"]["/workflow/{workflow_id}/query"]["get"]["responses"]["200"]["content"]
    progress = (await patiently(http, "GET", f"/workflow/{run.id}/query")).json()
    assert alike(progress | {"attempt": 1, "progress": 0.0}, query["application/json"]["example"])
    sent = (await http.post(f"/workflow/{run.id}/signal/stop")).json()
    assert alike(sent, example(models.SignalSent))

    answer = (await patiently(http, "POST", "/chat", json=example(models.ChatMessage))).json()
    assert alike(answer, example(models.ChatAnswer))
    assert alike((await http.get(f"/workflow/{answer['workflow_id']}/history")).json(), example(models.ChatHistory))
    missing = (await http.get(f"/workflow/{models.EXAMPLE_ID}/status")).json()
    (problem,) = described["components"]["schemas"]["Problem"]["examples"]
    assert alike(missing, problem)


async def test_no_documentation_page_loads_scripts_from_elsewhere(http: httpx.AsyncClient):
    for path in ("/docs", "/redoc"):
        assert (await http.get(path)).status_code == 404


# --- schemathesis ----------------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
async def test_schemathesis_finds_nothing(tmp_path: Path):
    """Requests that fit the description and requests that do not: nothing fails, hangs, or is not documented.

    On a stack of its own: it starts a hundred workflows.
    """
    options = ["--phases", "examples,coverage,fuzzing", "--max-examples", "5"]
    options += ["--request-timeout", str(DEADLINE_S)]
    async with serving(tmp_path) as gateway:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
            *("run", f"{gateway.url}/openapi.json", *options, "--continue-on-failure", "--no-color"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
    print(said[-8_000:])
    assert process.returncode == 0
    assert "Tested: 9" in said
