"""Fixtures: one real stack for the whole session of tests, with a state directory of its own."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from durable_demo import Session, settings
from durable_demo.background import BackgroundLoop

# What the developer has configured must not reach the tests.
for name in [*settings.VARIABLES, *(name for name in os.environ if name.startswith("TEMPORAL_"))]:
    os.environ.pop(name, None)


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


async def eventually(holds: Callable[[], bool], what: str, *, within: float = 15.0) -> None:
    """Waits until a condition holds; fails with what it waited for."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"after {within:g} s still not: {what}"
        await asyncio.sleep(0.02)
