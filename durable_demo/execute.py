"""Runs notebooks without a browser: papermill executes them, nbconvert makes pages of them that need no network."""

from __future__ import annotations

import base64
import mimetypes
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import papermill
from nbconvert import HTMLExporter
from nbformat import NotebookNode, from_dict
from papermill.exceptions import PapermillExecutionError
from papermill.execute import raise_for_execution_errors
from papermill.iorw import load_notebook_node, write_ipynb

from durable_demo.errors import InvalidInput

Parameter = bool | int | float | str | None
"""A value for a notebook's `parameters` cell."""

CELL_TIMEOUT = timedelta(minutes=5)
"""A cell that takes longer has failed: nbclient itself would wait for ever."""
OUTPUT_TIMEOUT = timedelta(minutes=1)
"""How late the outputs of a cell may come that has ended. By itself nbclient gives up after 4 s."""

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

PAGE_TEMPLATE = """\
{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_css %}
<style>.jp-OutputArea-output pre { font-family: var(--jp-code-font-family); }</style>
{% endblock %}
"""
"""nbconvert's page without the scripts that it loads from the network (require.js, MathJax, Mermaid), and with the
monospace for preformatted output that its own style takes away."""


@dataclass(frozen=True)
class Outcome:
    """How the run of one notebook ended.

    Attributes:
        notebook: The notebook that was run; unchanged.
        executed: The executed copy.
        page: The executed copy as HTML.
        duration: How long the run took.
        error: What stopped it; empty if nothing did.
    """

    notebook: Path
    executed: Path
    page: Path
    duration: timedelta
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether every cell ran."""
        return not self.error


def execute_notebooks(
    notebooks: Sequence[Path],
    out: Path,
    *,
    parameters: Mapping[str, Parameter],
    cell_timeout: timedelta = CELL_TIMEOUT,
    progress_bar: bool = False,
    on_start: Callable[[Path], None] = lambda _: None,
) -> Iterator[Outcome]:
    """Runs notebooks one after another, each in its own kernel and in its own directory, as JupyterLab would.

    A notebook that fails does not keep the ones after it from running; its failing cell is marked in both files.

    Args:
        notebooks: What to run.
        out: Directory for the executed notebooks and the pages; made if it is missing.
        parameters: Values for the `parameters` cell of every notebook.
        cell_timeout: A cell that takes longer has failed.
        progress_bar: Whether papermill draws its progress bar on stderr.
        on_start: Called before each notebook.

    Yields:
        The outcome of each notebook, in the order given.

    Raises:
        InvalidInput: Before anything is run: a notebook cannot be read or lacks a parameter, two have the same name,
            or `out` cannot be written or is where a notebook lies.
    """
    _check(notebooks, out, parameters)
    for notebook in notebooks:
        on_start(notebook)
        executed, page = out / notebook.name, out / f"{notebook.stem}.html"
        # papermill writes nothing if the kernel cannot start, and an older copy must not pass for this run's.
        shutil.copyfile(notebook, executed)
        begun = time.monotonic()
        error = _execute(notebook, executed, parameters, cell_timeout, progress_bar)
        node = make_static(load_notebook_node(str(executed)))
        write_ipynb(node, str(executed))
        page.write_text(to_page(node, title=notebook.stem, directory=notebook.parent), encoding="utf-8")
        yield Outcome(notebook, executed, page, timedelta(seconds=time.monotonic() - begun), error)


def parse_parameter(text: str) -> Parameter:
    """A value as papermill's `-p` takes it: `True`, `False`, `None`, an integer, a number, else text."""
    constants: dict[str, Parameter] = {"True": True, "False": False, "None": None}
    if text in constants:
        return constants[text]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def make_static(node: NotebookNode) -> NotebookNode:
    """The notebook without live widgets, so that the static form of each output shows.

    papermill saves widget state always. A view without a kernel is an error message in JupyterLab and nothing at all on
    a page, where the HTML that stands beside it would be readable.
    """
    node.metadata.pop("widgets", None)
    for cell in node.cells:
        kept = []
        for output in cell.get("outputs", []):
            if WIDGET_VIEW in output.get("data", {}):
                del output.data[WIDGET_VIEW]
                output.get("metadata", {}).pop(WIDGET_VIEW, None)
                if not output.data:
                    continue
            kept.append(output)
        if "outputs" in cell:
            cell.outputs = kept
    return node


def to_page(node: NotebookNode, *, title: str, directory: Path) -> str:
    """The notebook as one HTML page that loads nothing: formulas stay in TeX, local images are inside.

    Args:
        node: The notebook.
        title: Title of the page.
        directory: Where the notebook's local images are.
    """

    def embedded(match: re.Match[str]) -> str:
        path = directory / unquote(match["source"])
        if not path.is_file():
            return match[0]
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        return f'{match["tag"]}data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"'

    exporter = HTMLExporter(raw_template=PAGE_TEMPLATE)  # type: ignore[no-untyped-call]
    page, _ = exporter.from_notebook_node(node, resources={"metadata": {"name": title}})
    # nbconvert's own `embed_images` closes every inline tag at once: <kbd>Enter</kbd> becomes <kbd></kbd>Enter.
    return re.sub(r'(?P<tag><img\b[^>]*\bsrc=")(?P<source>[^":]+)"', embedded, page)


def _execute(
    notebook: Path, executed: Path, parameters: Mapping[str, Parameter], cell_timeout: timedelta, progress_bar: bool
) -> str:
    """Runs one notebook and leaves the executed copy, with the failing cell marked; returns what went wrong."""
    try:
        papermill.execute_notebook(
            notebook.absolute(),
            executed.absolute(),
            parameters=dict(parameters),
            cwd=notebook.parent.absolute(),
            execution_timeout=int(cell_timeout.total_seconds()),
            iopub_timeout=int(OUTPUT_TIMEOUT.total_seconds()),
            progress_bar=progress_bar,
        )
    except PapermillExecutionError as error:
        return f"{error.ename}: {error.evalue}"
    except Exception as error:  # a cell's timeout, a dead kernel, a kernel that does not start: nbclient has many
        what = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        _mark_failure(executed, type(error).__name__, str(error))
        return what
    return ""


def _mark_failure(executed: Path, name: str, message: str) -> None:
    """Marks the cell that was being run as the failed one; papermill itself marks only what raised in the kernel."""
    node = load_notebook_node(str(executed))
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    begun = [cell for cell in code if cell.metadata.get("papermill", {}).get("start_time")]
    if code:
        shown = f"{name}: {message}".splitlines()
        failure = {"output_type": "error", "ename": name, "evalue": message, "traceback": shown}
        cell = begun[-1] if begun else code[0]
        cell.outputs.append(from_dict(failure))  # type: ignore[no-untyped-call]
    try:
        raise_for_execution_errors(node, str(executed))
    except PapermillExecutionError:
        return


def _check(notebooks: Sequence[Path], out: Path, parameters: Mapping[str, Parameter]) -> None:
    names = [notebook.name for notebook in notebooks]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(
                f"Two notebooks are called {name}",
                why=f"their results would overwrite each other in {out}",
                remedy="run them one at a time, each with its own --out",
            )
    for notebook in notebooks:
        known = _parameters_of(notebook)
        for name in parameters:
            if name not in known:
                raise InvalidInput(
                    f"{notebook} has no parameter {name}",
                    why=f"it has {', '.join(known)}" if known else "it has no cell tagged `parameters`",
                    remedy="correct the name after -p; nothing was run",
                )
        if notebook.parent.resolve() == out.resolve():
            raise InvalidInput(
                f"{out} is where {notebook.name} lies",
                why="its executed copy would overwrite it",
                remedy="choose another directory with --out",
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise InvalidInput(
            f"{out} cannot be written", why=str(error), remedy="choose another directory with --out"
        ) from error


def _parameters_of(notebook: Path) -> list[str]:
    try:
        found: dict[str, Any] = papermill.inspect_notebook(str(notebook.absolute()))
    except Exception as error:  # nbformat has no one class for what is no notebook: a KeyError, a TypeError ...
        raise InvalidInput(
            f"{notebook} cannot be read as a notebook",
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            remedy="check the path, or open it in JupyterLab and save it again",
        ) from error
    return list(found)
