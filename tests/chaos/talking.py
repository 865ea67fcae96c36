"""Somebody who goes on talking to the agent through the chaos, and knows which answers to expect."""

from __future__ import annotations

import asyncio

from durable_demo import Chat
from durable_demo.workflows.chat_data import ChatReply

CITIES = ["Rome", "Oslo", "Cairo", "Tokyo", "Lima", "Paris", "Berlin", "Madrid", "Nairobi", "Sydney", "Boston", "Delhi"]
BURST = 3
ANSWERED_WITHIN_S = 300.0


class Talker:
    """Sends a few messages at once, waits for their answers, and goes on until it is told to end.

    Attributes:
        replies: What became of the messages, in the order in which they were sent.
    """

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.replies: list[ChatReply] = []
        self._ends = False
        self._task = asyncio.create_task(self._talk())

    async def _talk(self) -> None:
        while not self._ends:
            first = len(self.replies)
            sending = [self._send(number) for number in range(first, first + BURST)]
            self.replies += await asyncio.gather(*sending)

    async def _send(self, number: int) -> ChatReply:
        question, answer = exchange(number)
        reply = await self.chat.send(question, message_id=f"m{number}", timeout=ANSWERED_WITHIN_S)
        assert answer in reply.text, f"{question} -> {reply.text}"
        return reply

    async def end(self) -> list[ChatReply]:
        """Lets what was sent be answered, and ends the conversation."""
        self._ends = True
        await self._task
        await self.chat.end()
        await self.chat.result(timeout=ANSWERED_WITHIN_S)
        return self.replies


def exchange(number: int) -> tuple[str, str]:
    """A question, and a word of its answer."""
    if number % 2:
        city = CITIES[number % len(CITIES)]
        return f"What's the weather in {city}?", city
    return f"What is {number} * 1000 + 7?", f"{number * 1000 + 7:,}"
