"""The workflows of the kit. Each module holds one workflow with its Activities; a Worker runs what is listed here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from durable_demo.workflows.monty import MontyPythonWorkflow, sleep_then_quote

WORKFLOWS: list[type] = [MontyPythonWorkflow]
ACTIVITIES: list[Callable[..., Any]] = [sleep_then_quote]

__all__ = ["ACTIVITIES", "WORKFLOWS", "MontyPythonWorkflow", "sleep_then_quote"]
