"""What a model writes becomes harmless elements: no markup, no image, no link of another kind than a web page."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_demo.markdown import parse, to_html


def test_it_reads_what_models_write() -> None:
    assert parse("**45°F** and *windy*\n\n- one\n- `two`\n\n```py\nx < 1\n```\n\n|a|\n|-|\n|1|") == [
        ["p", {}, ["strong", {}, "45°F"], " and ", ["em", {}, "windy"]],
        ["ul", {}, ["li", {}, "one"], ["li", {}, ["code", {}, "two"]]],
        ["pre", {}, ["code", {}, "x < 1\n"]],
        ["table", {}, ["thead", {}, ["tr", {}, ["th", {}, "a"]]], ["tbody", {}, ["tr", {}, ["td", {}, "1"]]]],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <b onclick=x>b</b>",
        "<!-- comment -->",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>)",
        "[x](vbscript:x)",
        "[x](file:///etc/passwd)",
        "![x](https://evil.example/pixel.png)",
        "<javascript:alert(1)>",
    ],
)
def test_nothing_can_bring_markup_images_or_scripts(text: str) -> None:
    page = to_html(text)
    names = {name.split(" ")[0].strip("/<>") for name in page.split("<")[1:] for name in [name.split(">")[0]]}
    assert names <= {"p", "a", "code"}
    assert "href" not in page


def test_a_link_goes_to_a_web_page_in_a_tab_of_its_own() -> None:
    (paragraph,) = parse('[here](https://temporal.io/?a="><script>)')
    assert paragraph[2][0] == "a"
    assert paragraph[2][1]["href"].startswith("https://temporal.io/")
    assert "noopener" in paragraph[2][1]["rel"]
    assert "<script>" not in to_html('[here](https://temporal.io/?a="><script>)')


def test_control_characters_are_made_visible_and_tabs_kept() -> None:
    assert parse("a\x00b\x1b[31m\u202ec") == [["p", {}, "a\\x00b\\x1b[31m\\u202ec"]]
    assert "\u202e" not in to_html("a&#8238;b")
    ordinary = "12\u202f°C caf\xa0é می\u200cخواهم 👩\u200d💻 \u3000"
    assert to_html(ordinary) == f"<p>{ordinary.rstrip()}</p>"
    assert parse("```\n\tx\n```") == [["pre", {}, ["code", {}, "    x\n"]]]


def test_an_image_is_its_words_and_what_lies_too_deep_is_not_lost() -> None:
    assert parse("see ![the sky](https://evil.example/pixel.png)") == [["p", {}, "see ", "the sky"]]
    assert "secret text" in to_html(">" * 60 + " secret text")
    assert "secret text" in to_html(">" * 30 + " secret text")
    assert parse("a\r\nb") == [["p", {}, "a", "\n", "b"]]


@given(st.text(max_size=400))
def test_any_text_becomes_json_and_html(text: str) -> None:
    json.dumps(parse(text))
    assert "<script" not in to_html(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        ">" * 3000 + "x",
        "*a " * 8000,
        "x" * 30_000,
        "|" * 12 + "\n" + "-|" * 12 + "\nx" * 6000,
        "*a*" * 6000,
    ],
    ids=["[", ">", "*", "x", "|", "many"],
)
def test_a_text_made_to_be_slow_or_deep_is_shown(text: str) -> None:
    assert len(json.dumps(parse(text))) < 300_000
