"""What people type into the form that starts workflows, as options of `start_monty`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from durable_demo.errors import InvalidInput
from durable_demo.wording import one_line
from durable_demo.workflows.checks import number, whole
from durable_demo.workflows.monty_data import MAX_SLEEP_S
from durable_demo.workflows.quotes import check_quotes

MAX_COUNT = 20
"""Workflows that are started at once."""
MAX_TEXT = 40_000
"""Characters of one field: more than all the quotes that a workflow takes."""
MAX_SEED = 2**63 - 1
MAX_ITERATIONS = 1_000_000

START_FIELDS: Mapping[str, str] = {
    "count": "Number of workflows",
    "min_sleep": "Shortest sleep",
    "max_sleep": "Longest sleep",
    "seed": "Seed",
    "iterations": "Iterations",
    "quotes": "Quotes",
}
"""Names of the form's fields, with their labels."""

DECIMAL = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})\Z")
WHOLE = re.compile(r"[+-]?[0-9]{1,20}\Z")


def read_start_form(fields: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Reads the form.

    Args:
        fields: What was typed, by the names in START_FIELDS. `seed`, `iterations` and `quotes` (one per line) may be
            empty.

    Returns:
        How many workflows, and the options of `DemoClient.start_monty` that were given.

    Raises:
        InvalidInput: A field cannot be used; the message begins with its label and says what is allowed.
    """
    given = {name: fields.get(name, "").strip() for name in START_FIELDS}
    for name, text in given.items():
        if len(text) > MAX_TEXT:
            raise InvalidInput(
                f"{START_FIELDS[name]}: {len(text):,} characters are too many, {MAX_TEXT:,} are the most"
            )
    count = _whole(given, "count", 1, MAX_COUNT)
    options: dict[str, Any] = {name: _sleep(given, name) for name in ("min_sleep", "max_sleep")}
    if options["min_sleep"] > options["max_sleep"]:
        low, high = START_FIELDS["min_sleep"], START_FIELDS["max_sleep"]
        raise InvalidInput(
            f"{low} ({options['min_sleep']:g} seconds) is longer than {high} ({options['max_sleep']:g} seconds)",
            remedy=f"make {high} at least as long",
        )
    if given["seed"]:
        options["seed"] = _whole(given, "seed", -MAX_SEED - 1, MAX_SEED - count + 1)
    if given["iterations"]:
        options["iterations"] = _whole(given, "iterations", 1, MAX_ITERATIONS)
    if given["quotes"]:
        options["quotes"] = _quotes(given["quotes"])
    return count, options


def check_count(count: object) -> None:
    """Checks a number of workflows.

    Raises:
        InvalidInput: It is not 1 to MAX_COUNT.
    """
    whole("count", count, 1, MAX_COUNT)


def seeded(count: int, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options of each of so many workflows: with a seed each has the next one, so they differ, but repeat.

    Raises:
        InvalidInput: There are not so many seeds from the given one on.
    """
    seed = options.get("seed")
    if isinstance(seed, bool) or not isinstance(seed, int):
        return [dict(options) for _ in range(count)]
    whole("seed", seed, -MAX_SEED - 1, MAX_SEED - count + 1)
    return [{**options, "seed": seed + place} for place in range(count)]


def _whole(given: Mapping[str, str], name: str, least: int, most: int) -> int:
    text, label = given[name], START_FIELDS[name]
    if not WHOLE.match(text):
        raise InvalidInput(f"{label} must be a whole number from {least} to {most}, not {_shown(text)}")
    value = int(text)
    whole(label, value, least, most)
    return value


def _sleep(given: Mapping[str, str], name: str) -> float:
    text, label = given[name], START_FIELDS[name]
    if not DECIMAL.match(text):
        raise InvalidInput(
            f"{label} must be a number of seconds, more than 0 and at most {MAX_SLEEP_S:g}, not {_shown(text)}",
            remedy="write a point, as in 2.5" if "," in text else "write it in digits, as in 2.5",
        )
    return number(label, float(text), above=0.0, most=MAX_SLEEP_S)


def _quotes(text: str) -> list[str]:
    lines = re.split(r"\r\n?|\n", text)
    try:
        return check_quotes([line for line in lines if line.strip()])
    except InvalidInput as error:
        raise InvalidInput(f"{START_FIELDS['quotes']}: {error.what}", why=error.why, remedy=error.remedy) from error


def _shown(text: str) -> str:
    return f'"{one_line(text[:40])}{"..." if len(text) > 40 else ""}"' if text else "nothing"
