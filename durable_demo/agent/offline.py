"""The model that needs no key and no network: it says what the offline brain decides, word by word."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from durable_demo.agent.brain import NAME, plan
from durable_demo.agent.model import Message, ModelReply, Say


class OfflineModel:
    """Answers by rules (see `brain.plan`), in small pieces, so that text that comes into being can be seen and stopped.

    Guarantees: the pieces together are the text of the reply; the same conversation gives the same reply; it opens no
    connection. A cancellation ends it between two pieces.

    Args:
        think: Seconds before the first piece.
        pace: Seconds between two pieces of an answer; a line that goes with tool calls is said at once.
    """

    name = NAME

    def __init__(self, think: float = 0.25, pace: float = 0.03) -> None:
        self.think = think
        self.pace = pace

    async def reply(self, messages: Sequence[Message], say: Say) -> ModelReply:
        """Answers the last message, or asks for tools (see `Model.reply`); it never refuses."""
        await asyncio.sleep(self.think)
        decided = plan(messages)
        if decided.calls:
            say(decided.text)
            return decided
        for number, piece in enumerate(re.findall(r"\s*\S+|\s+$", decided.text)):
            if number:
                await asyncio.sleep(self.pace)
            say(piece)
        return decided
