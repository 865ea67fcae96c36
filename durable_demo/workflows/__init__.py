"""The workflows of the kit. Each module holds one workflow; a Worker runs what is listed here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from durable_demo.workflows.chat import ChatWorkflow
from durable_demo.workflows.chat_activities import TOOL_ACTIVITIES, ask_model, introduce_agent
from durable_demo.workflows.monty import MontyPythonWorkflow, sleep_then_quote

WORKFLOWS: list[type] = [ChatWorkflow, MontyPythonWorkflow]
ACTIVITIES: list[Callable[..., Any]] = [sleep_then_quote, introduce_agent, ask_model, *TOOL_ACTIVITIES.values()]

__all__ = ["ACTIVITIES", "WORKFLOWS", "ChatWorkflow", "MontyPythonWorkflow", "sleep_then_quote"]
