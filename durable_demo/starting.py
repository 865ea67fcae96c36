"""What is known of a workflow before it is started: its class, its Task Queue, and whether its arguments fit.

The server takes whatever it is given: a workflow of an unknown type, or with arguments that its code cannot take, is
started and then hangs. So all of it is checked first.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn
from uuid import uuid4

from temporalio.converter import PayloadConverter
from temporalio.workflow import _Definition

from durable_demo import live_modules, settings
from durable_demo.errors import InvalidInput
from durable_demo.wording import printable
from durable_demo.workflows import WORKFLOWS

MAX_INPUT_BYTES = 1_000_000
"""The server refuses an input of more than 2 MB, late and unclearly."""


@dataclass(frozen=True)
class KnownWorkflow:
    """A workflow that a Worker of the kit runs.

    Attributes:
        type_name: Name of its type.
        cls: Its class.
        module: Name of its live module; empty for a workflow of the kit.
    """

    type_name: str
    cls: type
    module: str = ""

    def new_id(self) -> str:
        """A Workflow ID that nobody has yet."""
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "-", self.type_name).strip("-").lower()
        return f"{words[:55] or 'workflow'}-{uuid4().hex[:8]}"

    def check(self, args: Sequence[object], converter: PayloadConverter) -> None:
        """Sees that its code can take these arguments.

        Raises:
            InvalidInput: It cannot: their number, a type, something that JSON cannot say, or their size.
        """
        definition = _Definition.must_from_class(self.cls)
        signature = inspect.signature(definition.run_fn)
        try:
            signature.bind(None, *args)
        except TypeError as error:
            self._refuse(str(error))
        try:
            payloads = converter.to_payloads(args)
            for payload in payloads:
                if payload.metadata.get("encoding", b"").startswith(b"json/"):
                    json.loads(payload.data, parse_constant=_refuse_constant)
            if definition.arg_types:
                converter.from_payloads(payloads, definition.arg_types[: len(args)])
        except Exception as error:  # converters raise what they like
            self._refuse(f"{error}; {error.__cause__}" if error.__cause__ else str(error))
        size = sum(payload.ByteSize() for payload in payloads)
        if size > MAX_INPUT_BYTES:
            self._refuse(f"they take {size} bytes, {MAX_INPUT_BYTES} at most")

    def _refuse(self, why: str) -> NoReturn:
        parameters = list(inspect.signature(_Definition.must_from_class(self.cls).run_fn).parameters)[1:]
        raise InvalidInput(
            f"{self.type_name} cannot take these arguments.",
            why=printable(why),
            remedy=f"`await demo.start_workflow({', '.join([self.cls.__name__, *parameters])})`",
        ) from None


def find_workflow(workflow: object, task_queue: str = "") -> KnownWorkflow:
    """The workflow of this class, or of this type's name, if a Worker of the kit runs it.

    Args:
        workflow: The class or the name.
        task_queue: Decides between live modules that have workflows of the same name.

    Raises:
        InvalidInput: None is known, or several are.
    """
    if isinstance(workflow, str):
        known = [each for each in _known() if each.type_name == workflow]
        known = [each for each in known if settings.live_task_queue(each.module) == task_queue] or known
        if len(known) > 1:
            raise InvalidInput(
                f"There are several workflows of type {workflow!r}.",
                why="modules: " + ", ".join(each.module or "the kit" for each in known),
                remedy="pass the class instead of its name",
            )
    else:
        known = [each for each in _known() if each.cls is workflow]
    if known:
        return known[0]
    name = workflow if isinstance(workflow, str) else getattr(workflow, "__name__", type(workflow).__name__)
    old = getattr(workflow, "__module__", "").startswith(live_modules.PREFIX)
    raise InvalidInput(
        f"No Worker of the kit runs the workflow {printable(str(name)[:80])!r}.",
        why="its cell has been changed since: this class is the one from before" if old else "",
        remedy="run its cell, which begins with `%%workflow NAME`, and pass the class that it defines",
    )


def _known() -> list[KnownWorkflow]:
    """Those of the kit first, then those of live modules; a class that a live module has from the kit is the kit's."""
    kit = [KnownWorkflow(_Definition.must_from_class(cls).name or "", cls) for cls in WORKFLOWS]
    live = [
        KnownWorkflow(type_name, cls, module.name)
        for module in live_modules.all_loaded()
        for type_name, cls in module.workflows.items()
        if cls not in WORKFLOWS
    ]
    return kit + live


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} cannot be said in JSON")
