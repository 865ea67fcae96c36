"""The figures of the chaos suite: what each scenario measured, held against its limit, in one table at the end.

A figure travels in the report of its test, so that the table is whole also where several processes run the tests.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich import box
from rich.console import Console
from rich.table import Table

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
PROPERTY = "chaos"
WIDTH = 150


class Figures:
    """What one scenario measures. Every `add_` is shown in the table; `check()` fails for what does not hold.

    Args:
        scenario: Its words in the table.
        record: Takes a property of the test, as pytest's fixture `record_property`.
        strict: Whether limits of times and memory count; numbers of what was lost or doubled count always.
    """

    def __init__(self, scenario: str, record: Callable[[str, object], None], *, strict: bool) -> None:
        self._scenario = scenario
        self._record = record
        self._strict = strict
        self._broken: list[str] = []

    def add(self, what: str, value: float | str, unit: str = "") -> None:
        """A figure without a limit."""
        self._keep(what, {"value": value}, f"{_number(value)} {unit}".strip())

    def add_exact(self, what: str, value: float, wanted: float = 0) -> None:
        """A number that must be this one."""
        self._keep(what, {"value": value}, _number(value), f"= {_number(wanted)}", holds=value == wanted, strict=True)

    def add_limited(self, what: str, value: float, *, most: float, unit: str = "s") -> None:
        """One value with a limit."""
        self._keep(what, {"value": value}, f"{_number(value)} {unit}", f"<= {most:g} {unit}", holds=value <= most)

    def add_spread(
        self, what: str, values: Sequence[float], *, p50: float = 0.0, p95: float = 0.0, most: float = 0.0
    ) -> None:
        """Times in seconds, with a limit for what is given."""
        measured = {"p50": percentile(values, 50), "p95": percentile(values, 95), "max": max(values, default=0.0)}
        limits = {name: limit for name, limit in (("p50", p50), ("p95", p95), ("max", most)) if limit}
        shown = ", ".join(f"{name} {value:.2f} s" for name, value in measured.items())
        self._keep(
            what,
            {**measured, "n": len(values)},
            f"{shown} (n={len(values)})",
            ", ".join(f"{name} <= {limit:g} s" for name, limit in limits.items()),
            holds=all(measured[name] <= limit for name, limit in limits.items()),
        )

    def check(self) -> None:
        """Fails if something does not hold."""
        assert not self._broken, "; ".join(self._broken)

    def _keep(
        self,
        what: str,
        numbers: dict[str, Any],
        shown: str,
        limit: str = "",
        *,
        holds: bool = True,
        strict: bool = False,
    ) -> None:
        if not holds and (strict or self._strict):
            self._broken.append(f"{what}: {shown}, not {limit}")
        told = {"scenario": self._scenario, "what": what, **numbers, "shown": shown, "limit": limit, "holds": holds}
        self._record(PROPERTY, told)


def percentile(values: Sequence[float], percent: int) -> float:
    """By nearest rank; 0 of no values."""
    return sorted(values)[max(0, -(-percent * len(values) // 100) - 1)] if values else 0.0


def growth(samples: Sequence[float]) -> float:
    """How much higher the median of the last third is than that of the second third, as a ratio; 1 is level."""
    third = len(samples) // 3
    assert third, "too few samples"
    return statistics.median(samples[-third:]) / statistics.median(samples[-2 * third : -third])


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.2f}".removesuffix(".00")


# --- hooks of pytest, which tests/conftest.py imports ----------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/chaos --chaos=long` is `make chaos`."""
    parser.addoption("--chaos", choices=("short", "long"), default="short", help="which form of the chaos suite")
    parser.addoption("--chaos-seed", type=int, help="repeat the chance of a run that failed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the table, and keeps that of the long form."""
    reports = [
        report
        for status in ("passed", "failed")
        for report in terminalreporter.stats.get(status, [])
        if report.when == "call"
    ]
    figures = [value for report in reports for name, value in report.user_properties if name == PROPERTY]
    if not figures:
        return
    form = config.getoption("--chaos")
    table = Table("scenario", "figure", "value", "holds", box=box.SIMPLE_HEAD, title=f"Chaos, {form} form")
    told = ""
    for figure in figures:
        mark = "" if figure["holds"] else " [NOT]"
        table.add_row(
            figure["scenario"] if figure["scenario"] != told else "", figure["what"], figure["shown"],
            f"{figure['limit']}{mark}",
        )  # fmt: skip
        told = figure["scenario"]
    console = Console(width=WIDTH, file=StringIO(), markup=False)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    terminalreporter.write_line(text)
    if form == "long":
        ARTIFACTS.mkdir(exist_ok=True)
        (ARTIFACTS / "chaos.txt").write_text(text, "utf-8")
        (ARTIFACTS / "chaos.json").write_text(json.dumps(figures, indent=1), "utf-8")
