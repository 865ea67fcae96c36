"""Where the key of a provider comes from, and how no key gets into a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

KEY_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "openai-chat": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "google": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "ollama": (),
}
"""The providers, and the environment variables that may hold the key of each; the first one that is set counts."""

RESTART = "stop the stack with `durable-demo down` and start it again: the Worker reads its environment when it starts"
"""Ends the remedy of whatever an environment variable is the cause of."""

MASK = "[key]"
MINIMUM_LENGTH = 8
"""Shorter values are no secrets (people set `x` where a key must not be empty), and would garble ordinary text."""


def find_key(provider: str, environ: Mapping[str, str]) -> str:
    """The key of a provider, without the space around it; empty if no variable holds one."""
    return next((key for name in KEY_VARIABLES[provider] if (key := environ.get(name, "").strip())), "")


def all_keys(environ: Mapping[str, str]) -> frozenset[str]:
    """Every value of a key variable, whichever provider is asked: what must not appear in any text."""
    return frozenset(environ.get(name, "").strip() for names in KEY_VARIABLES.values() for name in names) - {""}


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text with `[key]` in the place of each secret, also of a beginning of a secret at its very end."""
    redactor = Redactor(secrets)
    return redactor.feed(text) + redactor.flush()


class Redactor:
    """Redacts a text that comes in pieces.

    Guarantees: what `feed` returns holds no part of a secret that later pieces complete, and all that it returns,
    with `flush` at the end, is the same however the text was cut.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted((each for each in secrets if len(each) >= MINIMUM_LENGTH), key=len, reverse=True)
        # The longest one first, so that a secret that another one begins with leaves no rest of it.
        self._pattern = re.compile("|".join(map(re.escape, self._secrets)) or r"(?!)")
        self._held = ""

    def feed(self, piece: str) -> str:
        """Takes the next piece.

        Returns:
            What can be shown now: all but a trailing part that could be the beginning of a secret.
        """
        self._held += piece
        shown = ""
        while True:
            maybe = self._start_of_a_beginning()
            match = self._pattern.search(self._held)
            if match is None or match.start() >= maybe:
                shown += self._held[:maybe]
                self._held = self._held[maybe:]
                return shown
            shown += self._held[: match.start()] + MASK
            self._held = self._held[match.end() :]

    def flush(self) -> str:
        """What is left at the end of the text; a long beginning of a secret is not let out."""
        left, self._held = self._held, ""
        return left if len(left) < MINIMUM_LENGTH else MASK

    def _start_of_a_beginning(self) -> int:
        """Where the longest trailing part starts that a secret could begin with; the end, if there is none."""
        longest = len(self._secrets[0]) - 1 if self._secrets else 0
        for start in range(max(0, len(self._held) - longest), len(self._held)):
            tail = self._held[start:]
            if any(len(secret) > len(tail) and secret.startswith(tail) for secret in self._secrets):
                return start
        return len(self._held)
