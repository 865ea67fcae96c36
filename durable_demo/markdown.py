"""Markdown of models, read once for all who show it: as a tree of harmless elements, or as HTML.

Nothing in a text can bring markup of its own: raw HTML is text, images are their words, links go to web pages only.
"""

from __future__ import annotations

import html
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from durable_demo.wording import printable

Node = str | list["Node"] | dict[str, str]
"""Text, or an element as ``[name, attributes, child, ...]``; all of it JSON."""

MAX_CHARACTERS = 20_000
"""Of a longer text the rest is shown as it is."""

_ELEMENTS = frozenset(
    {"p", "strong", "em", "s", "code", "pre", "ul", "ol", "li", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6",
     "table", "thead", "tbody", "tr", "th", "td", "a", "br", "hr"}
)  # fmt: skip
_EMPTY = frozenset({"br", "hr"})

MAX_DEPTH = 40
"""A text that is nested deeper is shown as it is: what lies deeper would be lost."""

MAX_TOKENS = 5_000
"""A text with more parts is shown as it is: a page would take seconds to build them."""
MAX_CELLS = 5_000
"""Of a text that may have more, tables are shown as they are: short rows are filled up to the longest."""


def _parser(*extensions: str) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_DEPTH}).enable(["strikethrough", *extensions])
    return parser.disable(["html_block", "html_inline"])


_with_tables, _without_tables = _parser("table"), _parser()


def parse(text: str) -> list[Node]:
    """The elements of a text; control characters are made visible. Never fails."""
    shown = printable(text.replace("\r\n", "\n").expandtabs(4))
    lines = shown[:MAX_CHARACTERS].split("\n")
    cells = len(lines) * max(line.count("|") for line in lines)
    parser = _with_tables if cells <= MAX_CELLS else _without_tables
    tokens = list(_flat(parser.parse(shown[:MAX_CHARACTERS])))
    if len(tokens) > MAX_TOKENS or any(token.level >= MAX_DEPTH - 1 for token in tokens):
        return [["pre", {}, ["code", {}, shown]]]
    nodes = _children(iter(tokens))
    return [*nodes, ["p", {}, shown[MAX_CHARACTERS:]]] if len(shown) > MAX_CHARACTERS else nodes


def to_html(text: str) -> str:
    """The same as HTML, without classes and scripts."""
    return "".join(map(_html, parse(text)))


def _flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.children is None:
            yield token
        else:
            yield from _flat(token.children)


def _children(tokens: Iterator[Token]) -> list[Node]:
    """The nodes up to the end of the element that is open."""
    found: list[Node] = []
    for token in tokens:
        if token.nesting < 0:
            return found
        if token.nesting > 0:
            inner = _children(tokens)
            if token.hidden:
                found += inner
            else:
                found.append(_element(token, inner))
        elif token.type in {"fence", "code_block"}:
            found.append(["pre", {}, ["code", {}, printable(token.content)]])
        elif token.type == "softbreak":
            found.append("\n")
        elif token.tag in _ELEMENTS:
            found.append([token.tag, {}, *([] if token.tag in _EMPTY else [printable(token.content)])])
        elif token.content:
            found.append(printable(token.content))  # once more: an entity may stand for any character
    return found


def _element(token: Token, inner: list[Node]) -> Node:
    if token.tag not in _ELEMENTS:
        return ["p", {}, *inner]
    target = str(token.attrGet("href") or "")
    if token.tag != "a":
        return [token.tag, {}, *inner]
    if not target.startswith(("https://", "http://")):
        return ["code", {}, *inner]
    return ["a", {"href": target, "target": "_blank", "rel": "noopener noreferrer nofollow"}, *inner]


def _html(node: Node) -> str:
    if isinstance(node, str):
        return html.escape(node)
    name, attributes, *inner = node
    assert isinstance(attributes, dict)  # noqa: S101
    written = "".join(f' {key}="{html.escape(value)}"' for key, value in attributes.items())
    if name in _EMPTY:
        return f"<{name}>"
    return f"<{name}{written}>{''.join(map(_html, inner))}</{name}>"
