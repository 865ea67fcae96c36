"""Runs something as if no Jupyter request had caused it.

ipykernel 7.4 sends all that a widget hears from the browser to the subshell of the request that the widget last *sent*
something for. A widget that a cell has made, or that a cell's follower updates, would hear clicks on the main shell
only: after the busy cell, not during it. Messages that belong to no request leave the choice to the browser, whose
JupyterLab gives each widget a subshell of its own.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

# ipykernel has no public name for "no request"; where the variable is missing, there is nothing to undo.
_REQUEST_VARIABLE = "shell_parent"


def run_detached(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls `call` outside of the current Jupyter request and returns what it returns."""
    context = contextvars.copy_context()
    for variable in list(context):
        if variable.name == _REQUEST_VARIABLE:
            context.run(variable.set, {})
    return context.run(call, *args, **kwargs)
