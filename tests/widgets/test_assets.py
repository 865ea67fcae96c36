"""The one script and the one style that a notebook gets."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from anywidget import AnyWidget

from durable_demo.widgets import Panel, TimelineView, TraceView, assets


@pytest.mark.parametrize("widget", [Panel, TimelineView, TraceView])
def test_the_joined_script_imports_nothing_and_has_one_export(widget: type[AnyWidget]) -> None:
    assert not re.search(r"^import\b|\bimport\(", widget._esm, re.MULTILINE)
    assert len(re.findall(r"^export ", widget._esm, re.MULTILINE)) == 1


@pytest.mark.parametrize("widget", [Panel, TimelineView, TraceView])
def test_nothing_is_loaded_from_a_network(widget: type[AnyWidget]) -> None:
    without_namespace = (widget._esm + widget._css).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//\w+\.|@import|url\((?!#)|fetch\(", without_namespace)


@pytest.mark.parametrize("widget", [Panel, TimelineView, TraceView])
def test_no_name_means_two_things_in_the_joined_script(widget: type[AnyWidget]) -> None:
    names = re.findall(
        r"^(?:export )?(?:default )?(?:async )?(?:const|let|function|class) (\w+)", widget._esm, re.MULTILINE
    )
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_markup_is_never_parsed() -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", Panel._esm)


def test_a_file_that_stands_before_what_it_imports_is_refused() -> None:
    with pytest.raises(ValueError, match=r"actions\.js imports dom\.js, which must stand before it"):
        assets.script("actions.js", "dom.js")


def test_every_rule_is_scoped_to_our_own_elements() -> None:
    selectors = re.findall(
        r"^\s*([^@{}/*\s][^{}]*)\{", re.sub(r"/\*.*?\*/", "", Panel._css, flags=re.DOTALL), re.MULTILINE
    )
    ours = [selector for selector in selectors if not re.fullmatch(r"\d+%|from|to", selector.strip())]
    assert len(ours) > 50
    assert [selector for selector in ours if ".durable-demo" not in selector] == []
