"""Checks of what people pass in, shared by the workflows' inputs."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from durable_demo.errors import InvalidInput

PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
"""What a Workflow ID or the id of a message may look like."""
PLAIN_ID_WORDS = "1 to 64 letters, digits, dots, underscores and hyphens"
LONGEST_TIMEOUT = timedelta(days=30)


def number(name: str, value: object, *, least: float = -math.inf, above: float = -math.inf, most: float) -> float:
    """A number of seconds within bounds, as a float.

    Raises:
        InvalidInput: It is none, or out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{name} must be a number of seconds, not {type(value).__name__}")
    # A huge int does not fit a float: compare first.
    if not (value >= least and value > above and value <= most):
        bound = f"more than {above:g}" if above > -math.inf else f"at least {least:g}"
        raise InvalidInput(f"{name} must be {bound} and at most {most:g} seconds, not {str(value)[:40]}")
    return float(value)


def patience(value: object) -> timedelta:
    """How long to wait: a `timeout` as people pass it, in seconds or as a timedelta.

    Raises:
        InvalidInput: It is neither, below 0 or above 30 days.
    """
    given = value.total_seconds() if isinstance(value, timedelta) else value
    return timedelta(seconds=number("timeout", given, least=0.0, most=LONGEST_TIMEOUT.total_seconds()))


def whole(name: str, value: object, least: int, most: int) -> None:
    """Checks that a value is a whole number within bounds.

    Raises:
        InvalidInput: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{name} must be a whole number, not {type(value).__name__}")
    if not least <= value <= most:
        raise InvalidInput(f"{name} must be {least} to {most}, not {str(value)[:40]}")
