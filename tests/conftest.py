"""Fixtures: one real stack for the whole session of tests, with a state directory of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from durable_demo import Session, settings
from durable_demo.background import BackgroundLoop
from tests.chaos.report import pytest_addoption, pytest_terminal_summary  # noqa: F401  # hooks that pytest finds here

# How long an example takes is not what is tested: on a busy machine, any may take long.
hypothesis_settings.register_profile("durable-demo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("durable-demo")

# People are told after 4 s that no Worker answers; one that three other test processes leave no time may need longer.
settings.QUERY_DEADLINE = timedelta(seconds=30)

# What the developer has configured must not reach the tests.
for name in [*settings.VARIABLES, *(name for name in os.environ if name.startswith("TEMPORAL_"))]:
    os.environ.pop(name, None)

# Started in the background of a shell, the tests ignore Ctrl-C, and so would every process that they start.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first: then the processes that share them (`make test`) end at the same time."""
    costs: Counter[Path] = Counter()
    for item in items:
        slow, browser, chaos = (item.get_closest_marker(name) is not None for name in ("slow", "browser", "chaos"))
        # In tenths of a second: chaos and JupyterLab; with a stack or a kernel of its own; in Chromium alone; others.
        costs[item.path] += 150 if chaos or (slow and browser) else 80 if slow else 6 if browser else 1
    items.sort(key=lambda item: -costs[item.path])


@pytest.fixture(scope="session", autouse=True)
def ipython(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """IPython's directory of the tests of this process: kernels that share a history file wait for one another."""
    path = tmp_path_factory.mktemp("ipython")
    (path / "profile_default").mkdir()
    (path / "profile_default" / "ipython_config.py").write_text("get_config().HistoryManager.enabled = False\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(path))
        yield


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """State directory of the tests of this process."""
    path = tmp_path_factory.mktemp("home")
    os.environ[settings.ENV_HOME] = str(path)
    yield path
    os.environ.pop(settings.ENV_HOME, None)


@pytest_asyncio.fixture(scope="session")
async def demo(home: Path) -> AsyncIterator[Session]:
    """A started session: real server, real Worker process."""
    async with Session() as session:
        yield session


@pytest.fixture
def background() -> Iterator[BackgroundLoop]:
    """A background loop of its own for one test."""
    loop = BackgroundLoop()
    loop.start()
    yield loop
    loop.close()


async def eventually(holds: Callable[[], bool], what: str, *, within: float = 60.0) -> None:
    """Waits until a condition holds; fails with what it waited for."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"after {within:g} s still not: {what}"
        await asyncio.sleep(0.02)
