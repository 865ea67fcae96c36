"""What is broken on purpose: the file, what it takes, what it forgets."""

from __future__ import annotations

import json
import math
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from durable_demo.errors import InvalidInput
from durable_demo.faults import FaultFile, Faults, check_duration, check_whole


@pytest.fixture
def faults(tmp_path: Path) -> FaultFile:
    return FaultFile(tmp_path)


def test_without_a_file_nothing_is_broken(faults: FaultFile):
    assert faults.read() == Faults()
    assert faults.read().happy
    assert faults.incidents() == []


def test_what_is_changed_is_read_again_and_private(faults: FaultFile):
    faults.change("network", "slow")
    changed = faults.change("failures", 3)
    assert faults.read() == changed == Faults(network="slow", failures=3)
    assert not changed.happy
    assert stat.S_IMODE(faults.path.stat().st_mode) == 0o600


def test_more_workers_are_no_fault():
    assert Faults(workers=4).happy
    assert not Faults(workers=0).happy


def test_a_fault_ends_when_its_time_is_over(faults: FaultFile):
    faults.change("frozen", True, 5.0)
    faults.change("server", False, 60.0)
    faults.change("model_down", True)
    now = time.time()
    assert faults.expire(now) == faults.read()
    assert faults.read().frozen
    later = faults.expire(now + 10)
    assert not later.frozen
    assert not later.server
    assert later.model_down
    assert set(later.until) == {"server"}
    assert faults.read() == later


def test_a_fault_that_is_set_anew_forgets_when_it_was_to_end(faults: FaultFile):
    faults.change("network", "cut", 5.0)
    faults.change("network", "slow")
    assert faults.read() == Faults(network="slow")


def test_mending_all_leaves_nothing(faults: FaultFile):
    for name, value in {"workers": 3, "frozen": True, "network": "cut", "failures": 2, "slow_tools": 1.5}.items():
        faults.change(name, value, 5.0)
    assert faults.mend("network").network == "ok"
    assert faults.mend() == Faults() == faults.read()


def test_a_session_needs_server_worker_and_network_and_leaves_the_rest(faults: FaultFile):
    for name, value in {"workers": 0, "frozen": True, "server": False, "network": "cut", "model_down": True}.items():
        faults.change(name, value)
    assert faults.make_usable() == Faults(model_down=True) == faults.read()
    faults.change("workers", 3)
    assert faults.make_usable().workers == 3


def test_of_many_who_take_at_once_each_failure_is_taken_once(faults: FaultFile):
    faults.change("failures", 20)
    taken: list[int | None] = []

    def take() -> None:
        taken.extend(faults.take("failures") for _ in range(10))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(left for left in taken if left is not None) == [*range(20)]
    assert taken.count(None) == 20
    assert faults.read().failures == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "null",
        '{"network": "gone", "workers": "2", "failures": null, "until": 5}',
        '{"x": 1}',
        '{"workers": 99, "until": {"x": 1, "server": "soon", "frozen": null}}',
    ],
    ids=["empty", "text", "list", "null", "wrong types", "unknown", "wrong contents"],
)
def test_a_file_that_cannot_be_used_counts_as_not_broken(faults: FaultFile, text: str):
    faults.path.write_text(text)
    assert faults.read() == Faults()


def test_incidents_come_in_order_from_a_moment_on(faults: FaultFile):
    faults.record("worker", "started", 7)
    faults.record("network", "cut")
    first, second = faults.incidents()
    assert (first.process, first.what, first.pid) == ("worker", "started", 7)
    assert str(first) == "Worker 7: started"
    assert str(second) == "Network: cut"
    assert faults.incidents(since=second.timestamp)[-1] == second
    assert faults.incidents(since="2999-01-01T00:00:00.000Z") == []


def test_a_half_written_incident_hides_no_other(faults: FaultFile, tmp_path: Path):
    faults.record("worker", "started", 7)
    with (tmp_path / "incidents.jsonl").open("a") as file:
        file.write(json.dumps({"timestamp": "x"})[:-3])
    assert [incident.pid for incident in faults.incidents()] == [7]


def test_incidents_stay_few(faults: FaultFile, tmp_path: Path):
    for number in range(3_000):
        faults.record("worker", "started", number)
    assert (tmp_path / "incidents.jsonl").stat().st_size < 150_000
    assert faults.incidents()[-1].pid == 2_999


@pytest.mark.parametrize("value", [None, "", "3", True, 2.0, -1, 5, math.nan], ids=str)
def test_what_is_no_whole_number_within_limits_is_refused(value: Any):
    with pytest.raises(InvalidInput, match="whole number from 0 to 4"):
        check_whole("workers", value, 0, 4)


@pytest.mark.parametrize("value", [None, "3", True, 0, -1.0, 601, math.nan, math.inf], ids=str)
def test_what_is_no_duration_is_refused(value: Any):
    with pytest.raises(InvalidInput, match="above 0 and up to 600"):
        check_duration("seconds", value)
