"""Running notebooks headless: what is refused, what the results hold, what a failure leaves."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from durable_demo.errors import InvalidInput
from durable_demo.execute import Outcome, Parameter, execute_notebooks, make_static, parse_parameter, to_page

v4 = nbformat.v4


def write(path: Path, *sources: str, parameters: str = "") -> Path:
    """A notebook with these code cells, after a `parameters` cell if one is given."""
    cells = [v4.new_code_cell(source) for source in sources]
    if parameters:
        cells.insert(0, v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def execute(*notebooks: Path, out: Path, seconds: float = 60, **parameters: Parameter) -> list[Outcome]:
    timeout = timedelta(seconds=seconds)
    return list(execute_notebooks(notebooks, out, parameters=parameters, cell_timeout=timeout))


def outputs(executed: Path) -> list[list[nbformat.NotebookNode]]:
    return [cell.outputs for cell in nbformat.read(executed, as_version=4).cells if cell.cell_type == "code"]


def marked(executed: Path) -> list[str]:
    """Sources of the cells that follow papermill's error marker."""
    cells = nbformat.read(executed, as_version=4).cells
    return [after.source for cell, after in pairwise(cells) if 'id="papermill-error-cell"' in cell.source]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("True", True), ("False", False), ("None", None), ("7", 7), ("-2", -2), ("0.5", 0.5), ("1e3", 1000.0),
        ("seven", "seven"), ("true", "true"), ("", ""), ("1 2", "1 2"),
    ],
)  # fmt: skip
def test_a_parameter_is_typed_as_papermill_types_it(text: str, value: Parameter) -> None:
    parsed = parse_parameter(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.slow
def test_a_good_notebook_gives_an_executed_copy_and_a_page(tmp_path: Path) -> None:
    cells = ["print(n * 2, mode)", "import os; print(os.getcwd())"]
    source = write(tmp_path / "good.ipynb", *cells, parameters="n = 1\nmode = 'a'")
    before = source.read_bytes()
    [outcome] = execute(source, out=tmp_path / "out", n=21)
    assert outcome.ok
    assert outcome.executed == tmp_path / "out" / "good.ipynb"
    assert source.read_bytes() == before
    printed = [output.text for cell in outputs(outcome.executed) for output in cell]
    assert printed == ["42 a\n", f"{tmp_path}\n"]
    assert "42 a" in outcome.page.read_text("utf-8")


@pytest.mark.slow
def test_a_failing_cell_is_marked_and_the_next_notebook_still_runs(tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.ipynb", "1 + 1", "raise ValueError('broken')", "print('never')")
    good = write(tmp_path / "good.ipynb", "print('reached')")
    first, second = execute(bad, good, out=tmp_path / "out")
    assert (first.ok, first.error) == (False, "ValueError: broken")
    assert marked(first.executed) == ["raise ValueError('broken')"]
    assert outputs(first.executed)[2] == []
    assert "encountered an exception here" in first.page.read_text("utf-8")
    assert second.ok


LATE = """
import time
from IPython import get_ipython

kernel = get_ipython().kernel
publish = kernel._publish_status

def late(status, *args, **options):
    if status == "idle":
        kernel._publish_status = publish
        kernel.iopub_thread.schedule(lambda: time.sleep(6))
    publish(status, *args, **options)

kernel._publish_status = late
print("late, but whole")
"""
"""Its end is told 6 s after its reply."""


@pytest.mark.slow
def test_a_cell_whose_outputs_come_late_is_waited_for(tmp_path: Path) -> None:
    [outcome] = execute(write(tmp_path / "late.ipynb", LATE), out=tmp_path / "out", seconds=60)
    assert outcome.error == ""
    assert [output.text for output in outputs(outcome.executed)[0]] == ["late, but whole\n"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "error", "seconds"),
    [("import time; time.sleep(600)", "CellTimeoutError", 10), ("import os; os._exit(3)", "DeadKernelError", 60)],
)
def test_a_cell_that_hangs_or_kills_its_kernel_fails_and_is_marked(
    tmp_path: Path, source: str, error: str, seconds: float
) -> None:
    notebook = write(tmp_path / "bad.ipynb", "1 + 1", source, "print('never')")
    [outcome] = execute(notebook, out=tmp_path / "out", seconds=seconds)
    assert outcome.error.startswith(error)
    assert marked(outcome.executed) == [source]
    assert outputs(outcome.executed)[1][-1].ename == error


@pytest.mark.slow
def test_a_kernel_that_does_not_exist_fails_without_an_older_result_in_its_place(tmp_path: Path) -> None:
    notebook = write(tmp_path / "kernel.ipynb", "print('old result')")
    [outcome] = execute(notebook, out=tmp_path / "out")
    assert outcome.ok
    node = nbformat.read(notebook, as_version=4)
    node.metadata.kernelspec.name = "no-such-kernel"
    nbformat.write(node, notebook)
    [outcome] = execute(notebook, out=tmp_path / "out")
    assert outcome.error.startswith("NoSuchKernel")
    assert "text" not in outputs(outcome.executed)[0][0]
    assert "NoSuchKernel" in outcome.page.read_text("utf-8")


def test_an_unknown_parameter_is_refused_before_anything_runs(tmp_path: Path) -> None:
    first = write(tmp_path / "first.ipynb", "1", parameters="speed = 1\ncolour = 2")
    second = write(tmp_path / "second.ipynb", "1", parameters="speed = 1")
    with pytest.raises(InvalidInput, match=r"(?s)second\.ipynb has no parameter colour.*it has speed"):
        execute(first, second, out=tmp_path / "out", colour=3)
    assert not (tmp_path / "out").exists()


def test_a_notebook_without_a_parameters_cell_takes_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no cell tagged `parameters`"):
        execute(write(tmp_path / "plain.ipynb", "1"), out=tmp_path / "out", speed=3)


@pytest.mark.parametrize("text", [None, "", "hello", "{}", "[]", '{"nbformat": 4, "cells": 3}'])
def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "odd.ipynb"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidInput, match="cannot be read as a notebook"):
        execute(path, out=tmp_path / "out")


def test_two_notebooks_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    same = [write(tmp_path / folder / "same.ipynb", "1") for folder in ("a", "b")]
    with pytest.raises(InvalidInput, match=r"Two notebooks are called same\.ipynb"):
        execute(*same, out=tmp_path / "out")


def test_the_notebooks_own_directory_is_refused_for_the_results(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="would overwrite it"):
        execute(write(tmp_path / "here.ipynb", "1"), out=tmp_path)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    notebook = write(tmp_path / "good.ipynb", "1")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidInput, match="cannot be written"):
        execute(notebook, out=tmp_path / "file")


def widget_notebook() -> nbformat.NotebookNode:
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "x", "version_major": 2, "version_minor": 0}}
    bundles = [{**view, "text/html": "<p>static trace</p>", "text/plain": "trace"}, {**view}, {"text/plain": "plain"}]
    cell = v4.new_code_cell("panel", outputs=[v4.new_output("display_data", data=data) for data in bundles])
    text = v4.new_markdown_cell("# Title\n\nA formula $x^2$, a [link](https://temporal.io).\n\n```mermaid\ngraph\n```")
    return v4.new_notebook(cells=[text, cell], metadata={"widgets": {"application/vnd.jupyter.widget-state+json": {}}})


def test_live_widgets_are_removed_and_their_static_form_stays() -> None:
    node = make_static(widget_notebook())
    assert "widgets" not in node.metadata
    kept = [dict(output.data) for output in node.cells[1].outputs]
    assert kept == [{"text/html": "<p>static trace</p>", "text/plain": "trace"}, {"text/plain": "plain"}]
    nbformat.validate(node)


def test_a_page_loads_nothing_and_shows_the_static_form(tmp_path: Path) -> None:
    page = to_page(make_static(widget_notebook()), title="demo", directory=tmp_path)
    assert "<title>demo</title>" in page
    assert "<p>static trace</p>" in page
    assert "<script" not in page
    assert not re.findall(r"""(?:src=|<link|@import|url\()\s*["']?\s*(?:https?:)?//""", page)


def test_local_images_are_inside_the_page_and_inline_tags_stay_whole(tmp_path: Path) -> None:
    (tmp_path / "a dot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    text = 'Press <kbd>Enter</kbd>. ![a dot](a%20dot.png) <img src="a dot.png"> ![lost](lost.png)'
    page = to_page(v4.new_notebook(cells=[v4.new_markdown_cell(text)]), title="demo", directory=tmp_path)
    assert page.count('src="data:image/png;base64,iVBORw0KGgo="') == 2
    assert 'src="lost.png"' in page
    assert "<kbd>Enter</kbd>" in page
