"""Small talk, help, and polite refusals of the offline brain: everything that it says without a tool."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from durable_demo.agent.understanding import cleaned, lowered

LONGEST_QUOTE = 80
"""Characters of what somebody else wrote that are quoted at most."""

EXAMPLES = (
    "What's the weather in NYC?",
    "Which is warmer, Cairo or Oslo?",
    "Will it rain in Rome tomorrow?",
    "What time is it in Tokyo?",
    "What is 12% of 250?",
    "How big is Lima?",
    "Convert 5 kg to pounds",
)
_HELP = (
    "I can tell you about the weather (now and up to a week ahead), the local time and the main facts of well over a "
    "thousand cities, compare them, do arithmetic and convert units."
)
_SHORT_HELP = "I can look up the weather, the time and cities, do arithmetic and convert units."

_REPLIES: dict[str, tuple[str, ...]] = {
    "hello": (
        "Hello! Ask me about the weather, the time or a city, or give me something to calculate.",
        "Hi there! I can look up the weather, the time and cities, and I like a sum now and then.",
        "Hey! What would you like to know: weather, time, a city, a sum?",
    ),
    "how are you": (
        "I'm fine, thank you! Rules don't get tired.",
        "Very well, thanks: all my rules are in order.",
    ),
    "thanks": ("You're welcome!", "My pleasure!", "Glad to help!"),
    "bye": (
        "Goodbye, and see you soon!",
        "Bye! This conversation stays here if you want to come back.",
        "Take care, bye!",
    ),
    "ok": ("Good! What's next?", "All right. Is there anything else?"),
    "sorry": ("No harm done!", "No problem at all."),
    "praise": ("That's kind of you, thank you!", "Thank you, that's nice to hear!"),
    "name": ("I'm the Durable AI Agent of this demo. My answers come from the offline brain, a set of rules.",),
    "self": ("I'm the Durable AI Agent of this demo, on its offline brain: a set of rules, no language model.",),
    "instructions": ("There is nothing hidden to show: I'm a set of rules, with no prompt, no keys and no secrets.",),
    "joke": (
        "Why did the workflow never worry? It knew that it could always continue as new.",
        "Why do meteorologists love workflows? They know what a retry is for.",
        "How does a durable agent take bad news? It sleeps on it, and wakes up exactly where it was.",
    ),
}
_WITH_EXAMPLES = ("hello", "self", "instructions")

_ASKED = {
    "instructions": re.compile(
        r"\b(?:system prompt|(?:ignore|forget|disregard|override) .{0,40}\b(?:instructions?|rules|prompt)|"
        r"your (?:instructions|prompt)|api keys?|passwords?|secrets?|jailbreak)\b"
    ),
    "recap": re.compile(
        r"\b(?:what|which)\b.{0,30}\b(?:did|have) (?:i|we) (?:just )?(?:ask|say|said|talk|discuss)|"
        r"\bmy (?:first|last|previous) (?:question|message)|\bsummari[sz]e\b"
    ),
    "how are you": re.compile(
        r"\bhow (?:are you|is it going|do you do|are things)|\bhow's (?:it going|life)|\bwhat's up$"
    ),
    "name": re.compile(r"\byour name\b|\bwhat should i call you\b"),
    "self": re.compile(
        r"\b(?:who|what) are you\b|\bwho (?:made|built|wrote|created) you\b|\b(?:what|which) (?:language )?model\b|"
        r"\bare you (?:an? )?(?:ai|bot|robot|human|real|person|alive|llm|language model|chatgpt|gpt|claude|machine|"
        r"computer)\b"
    ),
    "joke": re.compile(r"\bjokes?\b|\bmake me laugh\b|\bsomething funny\b"),
    "help": re.compile(
        r"^(?:please )?help(?: me)?$|\bwhat (?:else )?(?:can|do) you (?:do|know)$|\bwhat can i ask\b|"
        r"\bhow (?:do|does) (?:you|this) work\b|\bcan you help\b"
    ),
}
_COURTESY = {
    "thanks": re.compile(r"\b(?:thanks|thank|thx|cheers|ta|merci|danke)\b"),
    "bye": re.compile(r"\b(?:bye|goodbye|see you|cu|good night|ciao|farewell|that's all)\b"),
    "hello": re.compile(
        r"^(?:hi+|hello|hey|hiya|howdy|yo|greetings|moin|hola|good (?:morning|afternoon|evening|day))\b"
    ),
    "sorry": re.compile(r"\bsorry\b"),
    "praise": re.compile(
        r"\b(?:well done|good (?:job|bot)|i love you|you're (?:great|good|nice|smart|the best|awesome)|impressive)\b"
    ),
    "ok": re.compile(
        r"^(?:ok|okay|good|great|fine|cool|nice|yes|no|yep|nope|alright|all right|perfect|wow|super|got it|never mind)$"
    ),
}


def small_talk(question: str, earlier: Sequence[str], variant: int) -> str:
    """The reply to what is about the agent itself, or about the conversation; empty if the question is neither.

    Args:
        question: What the person wrote.
        earlier: What the person wrote before, oldest first.
        variant: Which of several wordings to take.
    """
    line = lowered(cleaned(question))
    for name, pattern in _ASKED.items():
        if pattern.search(line):
            if name == "recap":
                return _recap(earlier, first_only="first" in line)
            return f"{_HELP} {examples(variant)}" if name == "help" else _reply(name, variant)
    return ""


def courtesy(question: str, variant: int) -> str:
    """The reply to a greeting, a thank-you and the like; empty if the question is none."""
    line = lowered(cleaned(question))
    found = next((name for name, pattern in _COURTESY.items() if pattern.search(line)), "")
    return _reply(found, variant) if found else ""


def refusal(variant: int) -> str:
    """What it says to a wish that no tool can fulfil."""
    sorry = (
        "I'm afraid that is beyond me.",
        "Sorry, I can't help with that.",
        "I don't know how to answer that, sorry.",
    )
    return f"{_pick(sorry, variant)} {_SHORT_HELP} {examples(variant)}"


def examples(variant: int, count: int = 2) -> str:
    """A line with questions to try."""
    chosen = [EXAMPLES[(variant + step) % len(EXAMPLES)] for step in range(count)]
    return "For example: " + " or ".join(f"“{example}”" for example in chosen)


def plain(text: str, limit: int) -> str:
    """Words of somebody else as plain text: nothing in it is markup, a link or a control character."""
    shown = "".join(char if char.isprintable() else " " for char in text[: 4 * limit])
    shown = " ".join(_MARKUP.sub(" ", shown).split())
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


_MARKUP = re.compile(r"[<>\[\]{}`*_~#|\\&]|\w{1,20}://|\bwww\.|\b(?:javascript|data|mailto):")


def quoted(text: str, limit: int = LONGEST_QUOTE) -> str:
    """Words of somebody else, to be quoted: in a code span if they could be taken for markup."""
    shown = "".join(
        char if char.isprintable() and unicodedata.category(char) not in ("Cf", "Cs") else " "
        for char in text[: 4 * limit]
    )
    shown = " ".join(shown.split())
    shown = shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"
    return f"`{shown.replace('`', ' ')}`" if _MARKUP.search(shown) else f"“{shown}”"


def _recap(earlier: Sequence[str], *, first_only: bool) -> str:
    if not earlier:
        return "Nothing yet: this is the first message that I have of this conversation."
    if first_only:
        return f"The first message that I have of this conversation is {quoted(earlier[0])}."
    if len(earlier) == 1:
        return f"You said {quoted(earlier[0])}."
    listed = "\n".join(f"- {quoted(question)}" for question in earlier[-5:])
    return f"These were your last messages:\n\n{listed}"


def _reply(name: str, variant: int) -> str:
    reply = _pick(_REPLIES[name], variant)
    return f"{reply} {examples(variant)}" if name in _WITH_EXAMPLES else reply


def _pick(wordings: Sequence[str], variant: int) -> str:
    return wordings[variant % len(wordings)]
