"""The state directory: locks that die with their holder, a stack.json that is whole, logs that stay small."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest

from durable_demo import settings
from durable_demo.errors import StateDirError
from durable_demo.processes import environment
from durable_demo.statedir import ProcessInfo, StackInfo, StateDir
from durable_demo.web_ui import WebUi


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    directory = StateDir(tmp_path / "home")
    directory.prepare()
    return directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_user_can_enter_it(state: StateDir) -> None:
    state.give_back(state.take_lease())
    state.open_log("worker").close()
    assert mode(state.path) == 0o700
    assert mode(state.path / "leases") == 0o700
    assert mode(state.path / "worker.log") == 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_directory_of_ours_is_made_private_again(state: StateDir) -> None:
    state.remember_port(7233)
    state.open_log("server").close()
    state.path.chmod(0o755)
    state.prepare()
    assert mode(state.path) == 0o700


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_directory_of_others_keeps_its_mode_and_our_files_in_it_are_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.tex").touch()
    for _ in range(2):
        StateDir(tmp_path).prepare()
    assert mode(tmp_path) == 0o755
    assert mode(tmp_path / "leases") == 0o700


@pytest.mark.parametrize("place", ["file/home", "/proc/durable-demo"])
def test_a_place_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateDirError, match=settings.ENV_HOME) as caught:
        StateDir(tmp_path / place).prepare()
    assert place in str(caught.value)


def test_a_full_disk_is_noticed_beforehand(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    state.require_free_disk()
    monkeypatch.setattr(settings, "MINIMUM_FREE_DISK_MB", 10**9)
    with pytest.raises(StateDirError, match=r"full.*\n.*MB are free.*\n.*free some space"):
        state.require_free_disk()


def test_leases_are_counted_until_they_are_given_back(state: StateDir) -> None:
    first, second = state.take_lease(), state.take_lease()
    assert state.count_leases() == 2
    state.give_back(first)
    assert state.count_leases() == 1
    state.give_back(second)
    assert state.count_leases() == 0
    assert not list((state.path / "leases").iterdir())


def test_a_lease_ends_with_its_process_even_by_sigkill(state: StateDir) -> None:
    code = f"""
        import time
        from pathlib import Path
        from durable_demo.statedir import StateDir
        lease = StateDir(Path({str(state.path)!r})).take_lease()
        print("taken", flush=True)
        time.sleep(60)
    """
    holder = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, env=environment())
    assert holder.stdout
    with holder.stdout as output:
        output.readline()
    assert state.count_leases() == 1
    holder.kill()
    holder.wait(60)
    assert state.count_leases() == 0


def test_a_supervisor_lives_while_its_lock_is_held(state: StateDir) -> None:
    assert not state.is_supervised()
    lock = state.try_lock("supervisor")
    assert lock
    assert state.is_supervised()
    assert state.try_lock("supervisor") is None
    lock.release()
    assert not state.is_supervised()


def test_stack_json_comes_back_as_it_was_written(state: StateDir) -> None:
    me = ProcessInfo.of(os.getpid())
    web_ui = WebUi("http://127.0.0.1:6665", "/proxy/absolute/6665", "default")
    info = StackInfo("127.0.0.1:1", "default", "queue", embedded=True, home=state.path, supervisor=me, ready=False)
    for each in (info, dataclasses.replace(info, web_ui=web_ui)):
        state.write(each)
        assert state.read() == each
    assert info.processes == [me]
    state.clear()
    assert state.read() is None


def test_a_stack_json_of_an_earlier_version_is_understood(state: StateDir) -> None:
    info = StackInfo("127.0.0.1:1", "default", "queue", embedded=True, home=state.path)
    fields = json.loads(info.to_json())
    for name in ("web_ui", "workers", "faults", "live"):
        del fields[name]
    (state.path / "stack.json").write_text(json.dumps({**fields, "worker": {"pid": 7, "began": 1.0}}))
    assert state.read() == dataclasses.replace(info, workers=(ProcessInfo(7, 1.0),))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"server": {"pid": 1}}'])
def test_a_damaged_stack_json_counts_as_none(state: StateDir, text: str) -> None:
    (state.path / "stack.json").write_text(text)
    assert state.read() is None


@pytest.mark.parametrize("other", [{"began": 1.0}, {"boot": "the last one"}])
def test_a_process_is_told_from_a_later_one_with_its_pid(other: dict[str, Any]) -> None:
    me = ProcessInfo.of(os.getpid())
    assert me
    assert me.alive
    assert not dataclasses.replace(me, **other).alive
    assert not dataclasses.replace(me, **other).kill()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere create times are all there is")
def test_a_process_stays_the_same_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        before = ProcessInfo.of(process.pid)
        assert before
        create_time = psutil.Process.create_time
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: create_time(self) + 3600)
        assert ProcessInfo.of(process.pid) == before
        assert before.alive
        assert before.kill()


def test_a_pid_that_nobody_has_is_no_process() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert ProcessInfo.of(process.pid) is None


def test_the_port_outlives_stack_json(state: StateDir) -> None:
    assert state.last_port == 0
    state.remember_port(7233)
    state.clear()
    assert state.last_port == 7233


@pytest.mark.parametrize("text", ["", "http", "-1", "65536", "\xff"])
def test_a_damaged_port_counts_as_none(state: StateDir, text: str) -> None:
    (state.path / "port").write_text(text, "latin-1")
    assert state.last_port == 0


def test_killing_takes_the_descendants_along() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout
    parent.stdout.readline()
    info = ProcessInfo.of(parent.pid)
    assert info
    family = info.family()
    assert len(family) == 2
    assert info.kill()
    assert not info.alive
    assert not info.kill()
    parent.communicate(timeout=60)


def test_a_large_log_is_set_aside(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    with state.open_log("server") as log:
        log.write(b"old\n" * 1000)
    monkeypatch.setattr(settings, "MAXIMUM_LOG_MB", 0.001)
    with state.open_log("server") as log:
        log.write(b"new\n")
    assert state.tail("server", 10) == "new"
    assert (state.path / "server.log.1").stat().st_size == 4000


def test_the_tail_of_a_log_is_its_last_lines(state: StateDir) -> None:
    assert state.tail("worker", 3) == ""
    with state.open_log("worker") as log:
        log.write(b"".join(b"%d\n" % number for number in range(100_000)))
        begin = log.tell()
        log.write(b"later \xff\n")
    assert state.tail("worker", 2) == "99999\nlater �"
    assert state.tail("worker", 50, since=begin) == "later �"
