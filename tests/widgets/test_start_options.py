"""What is typed into the form that starts workflows: read, or refused in the words of the form."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from durable_demo.errors import InvalidInput
from durable_demo.widgets.start_options import (
    MAX_ITERATIONS,
    MAX_SEED,
    MAX_TEXT,
    START_FIELDS,
    check_count,
    read_start_form,
    seeded,
)
from durable_demo.workflows.monty_data import MontyPythonInput
from durable_demo.workflows.quotes import MAX_OWN_QUOTES, MAX_QUOTE_LENGTH, QUOTES

FORM = {"count": "1", "min_sleep": "2", "max_sleep": "5", "seed": "", "iterations": "", "quotes": ""}
NUMBERS = ("count", "min_sleep", "max_sleep", "seed", "iterations")


def test_a_plain_form_gives_one_workflow_and_its_sleeps():
    assert read_start_form(FORM) == (1, {"min_sleep": 2.0, "max_sleep": 5.0})


def test_everything_that_is_given_becomes_an_option():
    fields = {
        "count": " 3 ",
        "min_sleep": "\t.5",
        "max_sleep": "2.50 ",
        "seed": "-7",
        "iterations": "12",
        "quotes": "\n  Ni! Ni! Ni!  \r\n\n \t\nIt's <b>only</b> a model.\n\n",
    }
    assert read_start_form(fields) == (
        3,
        {
            "min_sleep": 0.5,
            "max_sleep": 2.5,
            "seed": -7,
            "iterations": 12,
            "quotes": ["Ni! Ni! Ni!", "It's <b>only</b> a model."],
        },
    )


@pytest.mark.parametrize("blank", ["", " ", "\t\n \u2003"])
def test_seed_iterations_and_quotes_may_be_left_out(blank: str):
    assert read_start_form(FORM | dict.fromkeys(("seed", "iterations", "quotes"), blank)) == read_start_form(FORM)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "text",
    [
        "2,5",
        "two",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "1e3",
        "٣",
        "²",
        "0x10",
        "1_0",
        "--1",
        "1 2",
        "−1",
        "9" * 5000,
        "1\x00",
    ],
    ids=lambda text: ascii(text[:8]),
)
def test_what_is_no_number_is_refused_with_the_label_and_what_is_allowed(name: str, text: str):
    with pytest.raises(InvalidInput) as error:
        read_start_form(FORM | {name: text})
    assert error.value.what.startswith(f"{START_FIELDS[name]} must be a ")
    assert "seconds, more than 0 and at most 3600" in str(error.value) or "from " in str(error.value)
    assert len(str(error.value)) < 200
    assert str(error.value).isprintable() or "\nNext: " in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("count", "", "Number of workflows must be a whole number from 1 to 20, not nothing"),
        ("count", "2.5", 'Number of workflows must be a whole number from 1 to 20, not "2.5"'),
        ("count", "0", "Number of workflows must be 1 to 20, not 0"),
        ("count", "21", "Number of workflows must be 1 to 20, not 21"),
        ("min_sleep", "", "Shortest sleep must be a number of seconds, more than 0 and at most 3600, not nothing"),
        ("min_sleep", "0", "Shortest sleep must be more than 0 and at most 3600 seconds, not 0.0"),
        ("min_sleep", "-1", "Shortest sleep must be more than 0 and at most 3600 seconds, not -1.0"),
        ("max_sleep", "3600.1", "Longest sleep must be more than 0 and at most 3600 seconds, not 3600.1"),
        ("max_sleep", "1", "Shortest sleep (2 seconds) is longer than Longest sleep (1 seconds)"),
        ("seed", "99999999999999999999", "Seed must be -9223372036854775808 to 9223372036854775807"),
        ("seed", "1.0", "Seed must be a whole number from"),
        ("iterations", "0", "Iterations must be 1 to 1000000, not 0"),
        ("quotes", "Ni!\nni!\n", "Quotes: quote 2 is a duplicate: 'ni!'"),
        ("quotes", QUOTES[0], "Quotes: quote 1 is a duplicate"),
        ("quotes", "x\n" + "y" * (MAX_QUOTE_LENGTH + 1), "Quotes: quote 2 has 281 characters, at most 280 are allowed"),
        ("quotes", "bell\x07", "Quotes: quote 1 holds a control character"),
        ("quotes", "\n".join(f"mine {n}" for n in range(MAX_OWN_QUOTES + 1)), "Quotes: at most 100 own quotes"),
        ("quotes", "x" * (MAX_TEXT + 1), "Quotes: 40,001 characters are too many, 40,000 are the most"),
    ],
    ids=lambda value: ascii(value[:24]),
)
def test_what_is_not_allowed_is_refused_in_the_words_of_the_form(name: str, text: str, words: str):
    with pytest.raises(InvalidInput) as error:
        read_start_form(FORM | {name: text})
    assert error.value.what.startswith(words)


def test_a_comma_is_answered_with_a_point():
    with pytest.raises(InvalidInput, match=r'not "2,5"\nNext: write a point, as in 2\.5'):
        read_start_form(FORM | {"min_sleep": "2,5"})


@pytest.mark.parametrize("value", [-MAX_SEED - 2, -MAX_SEED - 1, MAX_SEED, MAX_SEED + 1])
def test_the_form_takes_the_seeds_that_the_workflow_takes(value: int):
    outcome = nullcontext() if -(2**63) <= value < 2**63 else pytest.raises(InvalidInput, match="eed must be")
    with outcome:
        MontyPythonInput(seed=value).checked()
    with outcome:
        read_start_form(FORM | {"seed": str(value)})


@pytest.mark.parametrize("value", [0, 1, MAX_ITERATIONS, MAX_ITERATIONS + 1])
def test_the_form_takes_the_iterations_that_the_workflow_takes(value: int):
    outcome = nullcontext() if 0 < value <= MAX_ITERATIONS else pytest.raises(InvalidInput, match="terations must be")
    with outcome:
        MontyPythonInput(iterations=value).checked()
    with outcome:
        read_start_form(FORM | {"iterations": str(value)})


def test_each_workflow_has_a_seed_of_its_own_and_they_repeat():
    assert seeded(3, {"seed": 7, "min_sleep": 1.0}) == [{"seed": seed, "min_sleep": 1.0} for seed in (7, 8, 9)]
    assert seeded(2, {"min_sleep": 1.0}) == [{"min_sleep": 1.0}] * 2
    assert seeded(2, {"seed": "seven"}) == [{"seed": "seven"}] * 2, (
        "the workflow's own check says what is wrong with it"
    )


def test_seeds_that_would_run_out_are_refused_before_anything_starts():
    for refused in (
        lambda: read_start_form(FORM | {"count": "2", "seed": str(MAX_SEED)}),
        lambda: seeded(2, {"seed": MAX_SEED}),
    ):
        with pytest.raises(InvalidInput, match=r"(?i)seed must be"):
            refused()
    assert read_start_form(FORM | {"count": "2", "seed": str(MAX_SEED - 1)})[1]["seed"] == MAX_SEED - 1


@pytest.mark.parametrize("bad", [0, 21, -1, True, 1.0, "3", None])
def test_a_wrong_count_is_told(bad: object):
    with pytest.raises(InvalidInput, match="count must be"):
        check_count(bad)
    check_count(1)
    check_count(20)
