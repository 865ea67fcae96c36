"""Cells for tests of live modules."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

from durable_demo.live_modules import LiveModule, load_module

HEAD = """\
from dataclasses import dataclass
from datetime import timedelta
from temporalio import activity, workflow

@dataclass
class Guest:
    name: str

@activity.defn
async def greet(guest: Guest) -> str:
    return f"Hello {guest.name}"

@activity.defn
def write_down(guest: Guest) -> str:
    return f"noted: {guest.name}"

SOON = {"start_to_close_timeout": timedelta(seconds=5)}

@workflow.defn
class Greeting:
    def __init__(self) -> None:
        self.open = False

    @workflow.run
    async def run(self, guest: Guest) -> str:
"""
TAIL = """
    @workflow.signal
    def open_door(self) -> None:
        self.open = True
"""
GREET = "await workflow.execute_activity(greet, guest, **SOON)"
WRITE = "await workflow.execute_activity(write_down, guest, **SOON)"
WAIT = "await workflow.wait_condition(lambda: self.open, timeout=3600)"


def cell(*lines: str) -> str:
    """A cell with a workflow whose code is these lines."""
    return HEAD + indent("\n".join([*lines, 'return "done"']), " " * 8) + TAIL


def load_cell(folder: Path, name: str, *lines: str) -> LiveModule:
    """The module of such a cell, loaded into this process."""
    path = folder / f"{name}.py"
    path.write_text(cell(*lines))
    return load_module(path)
