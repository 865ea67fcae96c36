"""Fixtures: one gateway process on the stack of all tests, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio

from durable_demo import Session
from tests.gateway.served import Served, serving


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served(demo: Session, home: Path) -> AsyncIterator[Served]:
    """A gateway beside the session of the tests."""
    async with serving(home) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="session")
async def http(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    async with httpx.AsyncClient(base_url=served.url, timeout=40) as client:
        yield client
