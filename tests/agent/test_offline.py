"""The offline model: says what the brain decides, in pieces that can be seen and stopped."""

from __future__ import annotations

import asyncio

import pytest

from durable_demo.agent.brain import plan
from durable_demo.agent.model import Message, Model
from durable_demo.agent.offline import OfflineModel

QUICK = {"think": 0.0, "pace": 0.0}
WITHIN = 60.0


@pytest.mark.parametrize("question", ["hi", "help", "What's the weather in NYC?", "who won the match yesterday?"])
async def test_the_pieces_are_the_text_of_what_the_brain_decides(question: str) -> None:
    model: Model = OfflineModel(**QUICK)
    messages = [Message("user", question)]
    pieces: list[str] = []
    reply = await model.reply(messages, pieces.append)
    assert reply == plan(messages)
    assert "".join(pieces) == reply.text
    assert reply.model == model.name == "offline brain (rules)"


async def test_an_answer_comes_word_by_word_and_a_line_for_the_meantime_at_once() -> None:
    pieces: list[str] = []
    await OfflineModel(**QUICK).reply([Message("user", "help")], pieces.append)
    assert len(pieces) > 20
    assert all(len(piece.split()) == 1 for piece in pieces)
    pieces.clear()
    await OfflineModel(**QUICK).reply([Message("user", "weather in Oslo")], pieces.append)
    assert len(pieces) == 1


async def test_a_cancellation_ends_it_in_the_middle_of_its_text() -> None:
    begun = asyncio.Event()
    pieces: list[str] = []

    def say(piece: str) -> None:
        pieces.append(piece)
        begun.set()

    answering = asyncio.create_task(OfflineModel(think=0, pace=60).reply([Message("user", "help")], say))
    async with asyncio.timeout(WITHIN):
        await begun.wait()
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
    assert len(pieces) == 1


async def test_many_conversations_share_one_model() -> None:
    model = OfflineModel(**QUICK)
    questions = [f"{number} + {number}" for number in range(20)]
    replies = await asyncio.gather(*(model.reply([Message("user", asked)], lambda _: None) for asked in questions))
    assert [reply.calls[0].arguments["expression"] for reply in replies] == questions
