"""Fixtures of the chaos suite: how much of it, a stack to attack, and where the figures go."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from durable_demo import Session
from tests.chaos.attack import DOWN_WITHIN, Attack
from tests.chaos.report import Figures
from tests.chaos.scale import LONG, SHORT, Scale


@pytest.fixture(scope="session")
def is_long(pytestconfig: pytest.Config) -> bool:
    """Whether this is `make chaos`."""
    return bool(pytestconfig.getoption("--chaos") == "long")


@pytest.fixture(scope="session")
def scale(is_long: bool) -> Scale:
    return LONG if is_long else SHORT


@pytest.fixture
def figures(request: pytest.FixtureRequest, record_property: Callable[[str, object], None], is_long: bool) -> Figures:
    """Of this test; its scenario is the first line of the test's docstring."""
    words = (request.function.__doc__ or request.node.name).strip().splitlines()[0].rstrip(".")
    return Figures(words, record_property, strict=is_long)


@pytest.fixture
def dice(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> random.Random:
    """Chance that a failure can be repeated with: the seed is printed."""
    given = pytestconfig.getoption("--chaos-seed")
    seed = random.SystemRandom().randrange(1_000_000) if given is None else given
    print(f"repeat with --chaos-seed={seed}")
    return random.Random(seed)


@pytest_asyncio.fixture(loop_scope="session")
async def arena(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with a stack of its own."""
    async with Session(tmp_path / "home") as session:
        yield session
        await session.stack.down(DOWN_WITHIN)


@pytest.fixture
def attack(arena: Session, dice: random.Random) -> Attack:
    """Kills in the arena."""
    return Attack(arena, dice)
