"""Quotes of Monty Python, short enough for a trace, and the rules for people's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from durable_demo.errors import InvalidInput

QUOTES: tuple[str, ...] = (
    "Nobody expects the Spanish Inquisition!",
    "It's just a flesh wound.",
    "We are the Knights who say... Ni!",
    "And now for something completely different.",
    "I'm not dead yet!",
    "Always look on the bright side of life.",
    "What is the airspeed velocity of an unladen swallow?",
    "Bring us a shrubbery!",
    "He's not the Messiah, he's a very naughty boy!",
    "This is an ex-parrot!",
    "Strange women lying in ponds distributing swords is no basis for a system of government.",
    "Your mother was a hamster and your father smelt of elderberries!",
    "What have the Romans ever done for us?",
    "Help, help, I'm being repressed!",
    "Run away! Run away!",
    "'Tis but a scratch.",
    "Blessed are the cheesemakers.",
    "She turned me into a newt! ... I got better.",
    "Spam, spam, spam, spam. Lovely spam! Wonderful spam!",
    "It is a silly place.",
    "None shall pass.",
    "I'd like to have an argument, please.",
    "My brain hurts!",
    "Wink wink, nudge nudge, say no more.",
    "I'm a lumberjack, and I'm okay.",
    "Four shalt thou not count, neither count thou two.",
    "One, two, five! ... Three, sir!",
    "Albatross!",
)

MAX_QUOTE_LENGTH = 280
MAX_OWN_QUOTES = 100


def check_quotes(new: object, existing: Sequence[str] = ()) -> list[str]:
    """Checks people's own quotes before they are taken.

    Args:
        new: What they gave: should be a list of texts.
        existing: Own quotes that were taken before.

    Returns:
        The quotes without surrounding white space.

    Raises:
        InvalidInput: Not a list of texts; none; a text that is empty, longer than MAX_QUOTE_LENGTH characters or holds
            control characters; a duplicate (ignoring case); or more than MAX_OWN_QUOTES together.
    """
    if isinstance(new, str | Mapping) or not isinstance(new, Iterable):
        raise InvalidInput(f"quotes must be a list of texts, not {type(new).__name__}", remedy='pass quotes=["..."]')
    taken = {quote.casefold() for quote in (*QUOTES, *existing)}
    checked: list[str] = []
    for number, quote in enumerate(new, 1):
        if not isinstance(quote, str):
            raise InvalidInput(f"quote {number} must be text, not {type(quote).__name__}")
        text = quote.strip()
        if not text:
            raise InvalidInput(f"quote {number} is empty")
        if len(text) > MAX_QUOTE_LENGTH:
            raise InvalidInput(f"quote {number} has {len(text)} characters, at most {MAX_QUOTE_LENGTH} are allowed")
        if any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in text):
            raise InvalidInput(
                f"quote {number} holds a control character or a line break", remedy="use one line of text"
            )
        if text.casefold() in taken:
            raise InvalidInput(f"quote {number} is a duplicate: {text!r}")
        taken.add(text.casefold())
        checked.append(text)
        if len(existing) + len(checked) > MAX_OWN_QUOTES:
            raise InvalidInput(f"at most {MAX_OWN_QUOTES} own quotes per workflow are allowed")
    if not checked:
        raise InvalidInput("no quote was given", remedy='pass at least one, as in add_quotes(["Ni!"])')
    return checked
