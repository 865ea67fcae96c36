"""README says what there is: every event, setting, command and name of the API, and nothing that does not exist."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
from pathlib import Path

import typer.main

import durable_demo
from durable_demo.events import EVENTS, Counted, Event
from durable_demo.settings import VARIABLES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```\w*\n(.*?)^```", README, re.DOTALL | re.MULTILINE) + re.findall(r"`([^`\n]+)`", README)


def table(heading: str) -> list[list[str]]:
    """Cells of the body rows of the table below a heading."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def field_names(event: type[Event]) -> set[str]:
    return {field.name for field in dataclasses.fields(event)}


def commands() -> set[str]:
    app = importlib.import_module("durable_demo.cli").app
    return set(typer.main.get_group(app).commands)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_readme_lists_every_event_with_its_fields() -> None:
    listed: dict[str, set[str]] = {}
    for name, fields, _ in table("Events"):
        counters = field_names(Counted) - field_names(Event) if "counters" in fields else set()
        listed[name.strip("`")] = {*re.findall(r"`(\w+)`", fields), *counters}

    assert listed == {name: field_names(event) - field_names(Event) for name, event in EVENTS.items()}


def test_readme_lists_every_setting() -> None:
    assert {name.strip("`"): meaning for name, meaning in table("Settings")} == dict(VARIABLES)


def test_readme_lists_every_command() -> None:
    assert {command.strip("`").removeprefix("durable-demo ") for command, _ in table("Commands")} == commands()


def test_readme_lists_every_route() -> None:
    routes = importlib.import_module("durable_demo.gateway.routes").router.routes
    described = {f"{method} {route.path}" for route in routes for method in route.methods}
    assert {route.strip("`") for route, _ in table("Over HTTP")} == described


def test_readme_names_no_command_that_does_not_exist() -> None:
    assert {name for code in CODE for name in re.findall(r"\bdurable-demo ([a-z]+)", code)} <= commands()
    assert {name for code in CODE for name in re.findall(r"\bmake ([a-z]+)", code)} <= make_targets()


def test_readme_links_to_no_file_that_does_not_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    headings = {f"#{heading.lower().replace(' ', '-')}" for heading in re.findall(r"^##+ (.+)$", README, re.MULTILINE)}

    assert links
    assert [link for link in links if not ((ROOT / link).is_file() or link in headings)] == []


def test_readme_notebook_code_uses_the_api_as_it_is() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    code = compile("\n".join(blocks), "README.md", "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    owners = {
        "chat": durable_demo.Chat,
        "demo": durable_demo.Session,
        "panel": durable_demo.Panel,
        "run": durable_demo.Run,
    }
    used = {
        (node.value.id, node.attr)
        for node in ast.walk(code)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in owners
    }

    assert {alias.name for node in ast.walk(code) if isinstance(node, ast.ImportFrom) for alias in node.names} <= set(
        durable_demo.__all__
    )
    assert used
    assert [f"{name}.{attr}" for name, attr in used if not hasattr(owners[name], attr)] == []


def test_public_names_are_these() -> None:
    assert durable_demo.__all__ == [
        "Answer",
        "Chat",
        "ChatReply",
        "Comparison",
        "Conversation",
        "Panel",
        "Recovery",
        "Replay",
        "Run",
        "Runs",
        "Session",
        "Timeline",
        "TimelineView",
        "Trace",
        "TraceView",
        "allow_asyncio_run",
    ]


def test_every_public_name_can_be_used_and_is_documented() -> None:
    for name in durable_demo.__all__:
        assert getattr(durable_demo, name).__doc__, name


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)

    assert set(phony.split()) == make_targets() == set(re.findall(r"^([a-z]+):.*  ## \S", makefile, re.MULTILINE))
