"""Joins the views' scripts and styles into the two strings that anywidget sends to the browser.

The files are plain ES modules and style sheets: a web page can use them as they are. In a notebook there is no place to
load them from, and no network, so here they become one module, without any build step.
"""

from __future__ import annotations

import re
from importlib import resources

_IMPORT = re.compile(r'^import [^;]*? from "\./(?P<name>\w+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:default )?", re.MULTILINE)
_NAMED_EXPORT = re.compile(r"^export (?!default )", re.MULTILINE)


def script(*names: str) -> str:
    """One ES module of several: only the default export of the last one is left.

    Args:
        names: File names beside this module, each after those that it imports.

    Raises:
        ValueError: A file imports one that does not stand before it.
    """
    joined = []
    for place, name in enumerate(names):
        source = _read(name)
        for found in _IMPORT.finditer(source):
            if found["name"] not in names[:place]:
                raise ValueError(f"{name} imports {found['name']}, which must stand before it")
        source = _IMPORT.sub("", source)
        joined.append((_NAMED_EXPORT if place == len(names) - 1 else _EXPORT).sub("", source))
    return "\n".join(joined)


def style(*names: str) -> str:
    """One style sheet of several.

    Args:
        names: File names beside this module.
    """
    return "\n".join(_read(name) for name in names)


def modules() -> dict[str, str]:
    """The scripts as they are, by file name: for a web page that loads them from beside each other."""
    files = resources.files(__package__).iterdir()
    return {file.name: file.read_text(encoding="utf-8") for file in files if file.name.endswith(".js")}


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
