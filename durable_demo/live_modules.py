"""Workflows that people write in a notebook: the text of each cell is a module of its own.

A workflow class that is defined in a plain cell cannot run in Temporal's sandbox, which imports the module of a class
anew for each workflow. So the magic `%%workflow` (`magic.py`) writes its cell to a file, and both the Worker and the
notebook load that file with `load`.

``python -m durable_demo.live_modules --check PATH`` says in one line of JSON what a file holds, or what is wrong with
it: the text of a cell is tried in a process of its own, before it takes the place of what works.
"""

from __future__ import annotations

import argparse
import asyncio
import builtins
import contextlib
import dis
import hashlib
import importlib
import json
import keyword
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from temporalio import activity, workflow
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from durable_demo.errors import InvalidInput

PREFIX = "live_"
"""How the names of these modules begin in `sys.modules`."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")


@dataclass(frozen=True)
class LiveModule:
    """A module from a cell, loaded into this process.

    Attributes:
        name: The name that its cell gave it.
        module: The module.
        workflows: Workflow classes that it names, by their types' names.
        activities: Activity functions that it names, by their types' names.
    """

    name: str
    module: ModuleType
    workflows: dict[str, type]
    activities: dict[str, Callable[..., Any]]

    @property
    def public(self) -> dict[str, Any]:
        """What the cell has defined and imported."""
        return {name: value for name, value in vars(self.module).items() if not name.startswith("_")}


def check_name(name: object) -> str:
    """The name of a live module.

    Raises:
        InvalidInput: It is none.
    """
    if not isinstance(name, str) or not _NAME.match(name) or keyword.iskeyword(name):
        raise InvalidInput(
            f"not a name for a workflow's module: {str(name)[:60]!r}",
            why="it has 1 to 40 lower-case letters, digits and underscores, and begins with a letter",
            remedy="begin the cell with a line such as `%%workflow greeting`",
        )
    if name in sys.stdlib_module_names or name in {path.stem for path in Path(__file__).parent.iterdir()}:
        raise InvalidInput(
            f"{name!r} cannot be the name of your workflow's module.",
            why="Python or the kit has a module of this name, and you could not tell the two apart in an error",
            remedy=f"choose another one, such as `%%workflow my_{name}`",
        )
    return name


def digest(text: str) -> str:
    """Names a version of a module: SHA-256 of its text."""
    return hashlib.sha256(text.encode()).hexdigest()


def load(path: Path) -> tuple[list[type], list[Callable[..., Any]]]:
    """The workflow classes and the Activity functions of a live module, for its Worker; raises as its code does."""
    live = load_module(path)
    return list(live.workflows.values()), list(live.activities.values())


def load_module(path: Path) -> LiveModule:
    """Loads the module as its file is now; the same text is loaded once. Raises as its code does."""
    name, text = path.stem, path.read_text("utf-8")
    module_name = f"{PREFIX}{name}_{digest(text)[:12]}"
    before = _loaded.get(name)
    if before and before.module.__name__ == module_name:
        return before
    if _texts not in sys.meta_path:
        sys.meta_path.append(_texts)
    _texts.add(module_name, path, text)
    module = importlib.import_module(module_name)
    if before:
        sys.modules.pop(before.module.__name__, None)  # %autoreload would take it for a module to bring up to date
    live = LiveModule(name, module, *_registered(module))
    _loaded[name] = live
    return live


def loaded(name: str) -> LiveModule | None:
    """The module of this name, if this process has loaded it."""
    return _loaded.get(name)


def all_loaded() -> list[LiveModule]:
    """What this process has loaded, latest last."""
    return list(_loaded.values())


async def check(path: Path) -> dict[str, Any]:
    """Loads a module and sees whether a Worker with the sandbox on would take it.

    Returns:
        The names of its `workflows` and `activities`; or the `problem`, and the `line` if it is known.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the module prints is not the answer
            live = load_module(path)
            for line, name in _unknown_names(live):
                return {"problem": f"NameError: {name!r} is defined nowhere in this cell", "line": line}
            _require_workflows(live)
    except (Exception, SystemExit) as error:
        return {"problem": f"{type(error).__name__}: {error}", "line": _line_of(error, path)}
    return {"workflows": list(live.workflows), "activities": list(live.activities)}


# --- loading ---------------------------------------------------------------------------------------------------------


class _Texts(MetaPathFinder, ExecutionLoader):
    """Imports modules from their texts, so that one version stays itself when its file has become another.

    A sandbox imports a module again for each workflow; and Python's cache of compiled files takes two edits within one
    second for the same.
    """

    def __init__(self) -> None:
        self._texts: dict[str, tuple[Path, str]] = {}

    def add(self, module_name: str, path: Path, text: str) -> None:
        self._texts[module_name] = path, text

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        return spec_from_file_location(fullname, loader=self) if fullname in self._texts else None

    def is_package(self, fullname: str) -> bool:
        return fullname not in self._texts

    def get_filename(self, fullname: str) -> str:
        return str(self._texts[fullname][0])

    def get_source(self, fullname: str) -> str:
        return self._texts[fullname][1]


_texts = _Texts()
_loaded: dict[str, LiveModule] = {}


def _registered(module: ModuleType) -> tuple[dict[str, type], dict[str, Callable[..., Any]]]:
    """What a Worker of this module registers.

    Raises:
        ValueError: Two have the same name.
    """
    workflows: dict[str, type] = {}
    activities: dict[str, Callable[..., Any]] = {}
    for value in dict.fromkeys(value for value in vars(module).values() if callable(value) and _hashable(value)):
        if isinstance(value, type):
            definition = workflow._Definition.from_class(value)
            if definition:
                _add(workflows, definition.name, value)
        else:
            described = activity._Definition.from_callable(value)
            if described:
                _add(activities, described.name, value)
    return workflows, activities


def _hashable(value: object) -> bool:
    return type(value).__hash__ is not None


def _add(registered: dict[str, Any], name: str | None, value: Any) -> None:
    if name is None:
        raise ValueError("dynamic workflows and Activities cannot be used here: give each a name of its own")
    if name in registered:
        raise ValueError(f"two workflows or two Activities are named {name!r}")
    registered[name] = value


# --- checking --------------------------------------------------------------------------------------------------------


def _require_workflows(live: LiveModule) -> None:
    """Raises as a Worker does when it cannot use the module's workflows."""
    if not live.workflows:
        raise ValueError("it holds no workflow: a class with @workflow.defn, and in it a method with @workflow.run")
    runner = SandboxedWorkflowRunner()
    for cls in live.workflows.values():
        definition = workflow._Definition.must_from_class(cls)
        if definition.sandboxed:
            runner.prepare_workflow(definition)


def _unknown_names(live: LiveModule) -> Iterator[tuple[int, str]]:
    """The lines and names in functions that would fail only when the workflow runs, such as what another cell has."""
    known = vars(live.module).keys() | vars(builtins).keys()
    code = compile(_texts.get_source(live.module.__name__), "", "exec", dont_inherit=True)
    return ((line, name) for line, name in _global_names(code) if name not in known)


def _global_names(code: CodeType) -> Iterator[tuple[int, str]]:
    """The lines and names of what functions read from their module."""
    line = code.co_firstlineno
    for instruction in dis.get_instructions(code):
        line = instruction.positions.lineno or line if instruction.positions else line
        if instruction.opname == "LOAD_GLOBAL":
            yield line, instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def _line_of(error: BaseException, path: Path) -> int | None:
    """The line of the file at which it happened; the innermost one."""
    line, traceback = None, error.__traceback__
    while traceback:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def main(arguments: Sequence[str]) -> int:
    """Run the check; returns the exit status."""
    parser = argparse.ArgumentParser(prog="durable_demo.live_modules")
    parser.add_argument("--check", type=Path, required=True, metavar="PATH")
    found = asyncio.run(check(parser.parse_args(arguments).check))
    print(json.dumps(found))  # noqa: T201
    return 1 if "problem" in found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
