"""Reads arithmetic and unit conversions in words: "12% of 250", "how many km is 26.2 miles". It computes nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from durable_demo.agent.units import find_unit

LONGEST_EXPRESSION = 200
"""Characters that `calculate` takes at most."""

_LEAD = re.compile(
    r"(?:(?:please|hey|ok|so|and|can you|could you|what is|what's|whats|how much is|how much are|calculate|compute|"
    r"work out|solve|evaluate|the|a|result of|value of) )+"
)
_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGIT_WORD = re.compile(rf"\b(?:{'|'.join(_DIGIT_WORDS)})\b")
_WORDS = (
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
    (re.compile(r"\*\*|\bto the power of\b"), "^"),
    (re.compile(r"(?<=\d) ?(?:%|percent) (?:tip )?(?:of|on) (?=\d)"), " / 100 * "),
    (re.compile(r"\bplus\b"), "+"),
    (re.compile(r"\bminus\b|−"), "-"),
    (re.compile(r"\btimes\b|\bmultiplied by\b|×|(?<=[\d )])x(?=[\d (])"), "*"),
    (re.compile(r"\bdivided by\b|\bover\b|÷"), "/"),
    (re.compile(r" ?\bsquared\b"), "^2"),
    (re.compile(r" ?\bcubed\b"), "^3"),
    (re.compile(r"(?:square root(?: of)?|root of|sqrt(?: of)?|√) ?(\d+(?:\.\d+)?)"), r"sqrt(\1)"),
)
_EXPRESSION = re.compile(r"(?:sqrt(?=\()|[\d .+\-*/^%()])+")
_WORK = re.compile(r"\d[ )]*[-+*/^%][ (]*-?[ (]*(?:\d|\.|sqrt)|sqrt ?\(|[+*/^] ?\d|^- \d")

_NUMBER = r"(-?(?:\d{1,15}(?:\.\d{1,10})?|\.\d{1,10}))"
_UNIT = (
    r"((?:(?:square|cubic|sq|imperial|us|uk|fl|fluid|metric|nautical) )?"
    r"°?[a-z]{1,20}(?:/[a-z]{1,10}|\^?[23]|²|³| per [a-z]{1,10})?)"
)
_INTO = re.compile(rf"(?:^| ){_NUMBER} ?{_UNIT} (?:is )?(?:in|to|into|as|=) (?:how many )?{_UNIT}(?![\w/])")
_HOW_MANY = re.compile(rf"\bhow (?:many|much) {_UNIT} ")
_QUANTITY = re.compile(rf" {_NUMBER} ?{_UNIT}(?![\w/])")
_ONE = re.compile(rf" (?:a|an|one) {_UNIT}(?![\w/])")
_OTHER_UNIT = re.compile(
    rf"(?:and |what about |how about |ok |now )?(?:in |to |into ){_UNIT}(?: please| then| instead)?"
)


@dataclass(frozen=True)
class Conversion:
    """A wish to convert: `value` in `from_unit`, as written, to `to_unit`."""

    value: float
    from_unit: str
    to_unit: str


def read_expression(line: str) -> str:
    """The arithmetic that a line asks for, as `calculate` takes it.

    Args:
        line: What a person wrote: lower case, single spaces, no punctuation at its end.

    Returns:
        The expression; one that begins with an operator goes on from the one before; empty if it is no arithmetic.
    """
    lead = _LEAD.match(line)
    line = line[lead.end() :] if lead else line
    if len(line) > LONGEST_EXPRESSION:
        return ""
    line = _DIGIT_WORD.sub(lambda word: str(_DIGIT_WORDS.index(word[0])), line)
    for pattern, symbol in _WORDS:
        line = pattern.sub(symbol, line)
    line = " ".join(line.rstrip(" =").split())
    return line if _EXPRESSION.fullmatch(line) and _WORK.search(line) else ""


def read_conversion(line: str) -> Conversion | None:
    """The conversion that a line asks for (see `read_expression`); None if it is none."""
    line = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", line).replace(" degrees", "").replace(" deg ", " ")
    if into := _INTO.search(line):
        # Whoever says "convert" means it: the tool knows more units, and tells what it lacks.
        return _known(float(into[1]), into[2], into[3], needed=1 if line.startswith("convert ") else 2)
    wanted = _HOW_MANY.search(line)
    if wanted is None:
        return None
    rest = " " + line[wanted.end() :]
    if quantity := _QUANTITY.search(rest):
        return _known(float(quantity[1]), quantity[2], wanted[1])
    if (one := _ONE.search(rest)) and find_unit(one[1]):
        return _known(1, one[1], wanted[1])
    return None


def read_unit(line: str) -> str:
    """The unit of a follow-up such as "and in miles?"; empty if the line is none."""
    found = _OTHER_UNIT.fullmatch(line)
    return found[1] if found and find_unit(found[1]) else ""


def _known(value: float, from_unit: str, to_unit: str, needed: int = 2) -> Conversion | None:
    """The conversion, if so many of its units are known: "the next 3 days in Madrid" is none."""
    known = [find_unit(from_unit), find_unit(to_unit)]
    return Conversion(value, from_unit, to_unit) if sum(unit is not None for unit in known) >= needed else None
