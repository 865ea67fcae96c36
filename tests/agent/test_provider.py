"""Models of providers against a loopback server: one conversation in four wire formats, and everything that fails."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from durable_demo.agent.keys import MASK, MINIMUM_LENGTH, Redactor, redact
from durable_demo.agent.model import Message, ModelReply, ToolCall
from durable_demo.agent.provider import MAXIMUM_CALLS, MAXIMUM_RETRY_AFTER_S, MAXIMUM_TEXT, ProviderModel
from durable_demo.errors import DemoError, ModelRefused, ModelUnavailable
from tests.agent.llm_server import WORDS, LlmServer, Refuses, Says, llm_server

# The SDKs stop reading at the provider's last word and leave the HTTP library's generators to the garbage collector,
# which now and then complains; `sweep` sees to it that it does so here and not in the tests of somebody else.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

KEY = "sk-SECRET-0123456789"
SPECS = ("openai:mock-1", "openai-chat:mock-1", "anthropic:mock-1", "google:mock-1", "ollama:mock-1")
PATHS = {
    "openai": "/v1/responses",
    "openai-chat": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "google": "/v1beta/models/mock-1:streamGenerateContent?alt=sse",
    "ollama": "/v1/chat/completions",
}
QUESTION = Message("user", "What's the weather in London?")
WITHIN_S = 60


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with llm_server() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def sweep() -> AsyncIterator[None]:
    yield
    gc.collect()
    await asyncio.sleep(0.1)


def provider_of(spec: str) -> str:
    return spec.partition(":")[0]


def model(spec: str, server: LlmServer, *, first_piece_s: float = 30, idle_s: float = 30) -> ProviderModel:
    environ = {
        **dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"), f" {KEY}\n"),
        **dict.fromkeys(("OPENAI_BASE_URL", "OLLAMA_BASE_URL"), f"{server.url}/v1"),
        **dict.fromkeys(("ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"), server.url),
    }
    return ProviderModel(spec, environ, first_piece_s=first_piece_s, idle_s=idle_s)


async def ask(asked: ProviderModel, *messages: Message) -> tuple[ModelReply, list[str]]:
    said: list[str] = []
    async with asyncio.timeout(WITHIN_S):
        reply = await asked.reply(messages or [QUESTION], said.append)
    assert "".join(said) == reply.text
    return reply, said


async def failure(asked: ProviderModel, *messages: Message) -> DemoError:
    with pytest.raises(DemoError) as caught:
        await ask(asked, *messages)
    return caught.value


def everything_told_by(error: BaseException | None) -> str:
    """What a log, a history or a curious reader could get out of an error."""
    told = ""
    while error is not None:
        told += f"{error}\n{error!r}\n{vars(error)}\n{''.join(traceback.format_exception(error))}"
        error = error.__cause__ or error.__context__
    return told


# --- the conversation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS)
async def test_it_asks_for_a_tool_gets_the_result_and_streams_the_answer(spec: str, server: LlmServer) -> None:
    asked = model(spec, server)
    wish, _ = await ask(asked)
    assert wish == ModelReply(calls=[ToolCall("call_1", "get_weather", {"city": "London"})], model=spec)

    result = Message("tool", '{"temperature_c": 8}', call_id="call_1", tool="get_weather")
    answer, said = await ask(asked, QUESTION, Message("assistant", wish.text, calls=wish.calls), result)
    assert answer == ModelReply("".join(WORDS), model=spec)
    assert len(said) >= len(WORDS)

    assert [request.path for request in server.requests] == [PATHS[provider_of(spec)]] * 2
    assert {request.key for request in server.requests} == {"not-needed" if spec.startswith("ollama") else KEY}
    first, second = (json.dumps(request.body, ensure_ascii=False) for request in server.requests)
    assert "assistant of a demo" in first
    assert '"get_weather"' in first
    assert "What's the weather in London?" in second
    assert "temperature_c" in second


@pytest.mark.parametrize("spec", SPECS)
async def test_a_line_for_the_meantime_and_parallel_calls_arrive_together(spec: str, server: LlmServer) -> None:
    server.script.append(
        Says(("Let me ", "look..."), (("get_weather", '{"city": "Oslo"}'), ("get_weather", '{"city": "Cairo"}')))
    )
    reply, _ = await ask(model(spec, server))
    assert reply.text == "Let me look..."
    assert [(call.id, call.arguments["city"]) for call in reply.calls] == [("call_1", "Oslo"), ("call_2", "Cairo")]


@pytest.mark.parametrize("spec", SPECS)
async def test_a_conversation_that_was_stopped_midway_or_repeats_ids_is_sent_so_that_providers_take_it(
    spec: str, server: LlmServer
) -> None:
    def turn(city: str, *results: str) -> list[Message]:
        calls = [ToolCall("call_1", "get_weather", {"city": city}), ToolCall("call_2", "get_time", {"city": city})]
        answers = [Message("tool", f'"{city}"', call_id=each, tool="get_weather") for each in results]
        return [Message("user", city), Message("assistant", calls=calls), *answers]

    conversation = [
        *turn("Oslo", "call_1", "call_2"),
        Message("assistant", "Cold."),
        *turn("Cairo"),
        Message("assistant"),
        *turn("Rome", "call_1", "unknown"),
    ]
    await ask(model(spec, server), *conversation)
    sent = json.dumps(server.requests[0].body)
    assert [sent.count(city) for city in ("Oslo", "Cairo", "Rome")] == [5, 1, 3]
    ids = [sent.count(f'"call_{number}"') for number in range(1, 5)]
    assert ids == [2, 2, 2, 0]


# --- what fails ------------------------------------------------------------------------------------------------------

REFUSED = {
    "bad-request": (Refuses(400), "refused the request (400)"),
    "wrong-key": (Refuses(401), "refused the key (401)"),
    "out-of-credit": (Refuses(402), "used up (402)"),
    "forbidden": (Refuses(403), "refused the key (403)"),
    "unknown-model": (Refuses(404), "knows no model"),
    "too-large": (Refuses(413), "refused the request (413)"),
    "unprocessable": (Refuses(422), "refused the request (422)"),
    "filtered": (Says(ends="filtered"), "content filter"),
}
UNAVAILABLE = {
    "timeout": (Refuses(408), "cannot answer now (408)"),
    "too-many-requests": (Refuses(429), "too many requests (429)"),
    "server-error": (Refuses(500), "cannot answer now (500)"),
    "bad-gateway": (Refuses(502), "cannot answer now (502)"),
    "unavailable": (Refuses(503), "cannot answer now (503)"),
    "overloaded": (Refuses(529), "cannot answer now (529)"),
    "cut": (Says(WORDS, ends="cut"), ""),
    "ended-early": (Says(WORDS, ends="early"), "stopped in the middle"),
    "stalled": (Says(WORDS, ends="stalled"), "sent nothing for 0.4 s"),
    "silent": (Says(WORDS, ends="silent"), "sent nothing for 3 s"),
    "malformed-arguments": (Says(calls=(("get_weather", '{"city": '),)), ""),
    "no-object": (Says(calls=(("get_weather", '"London"'),)), "cannot be used"),
    "long-arguments": (Says(calls=(("get_weather", json.dumps({"city": "x" * 5000})),)), "cannot be used"),
    "empty": (Says(), "empty answer"),
    "only-space": (Says((" ", "\n")), "empty answer"),
}


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(("fault", "says"), REFUSED.values(), ids=REFUSED)
async def test_what_no_retry_can_mend_is_refused_at_once(
    spec: str, fault: Refuses | Says, says: str, server: LlmServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script.append(fault)
    error = await failure(model(spec, server))
    assert isinstance(error, ModelRefused)
    assert says in error.what
    assert error.remedy
    assert len(server.requests) == 1
    assert KEY not in everything_told_by(error) + caplog.text


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(("fault", "says"), UNAVAILABLE.values(), ids=UNAVAILABLE)
async def test_what_a_retry_may_mend_is_unavailable_after_one_request(
    spec: str, fault: Refuses | Says, says: str, server: LlmServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script.append(fault)
    first_piece_s = 3 if isinstance(fault, Says) and fault.ends == "silent" else 30  # it connects in that time, too
    idle_s = 0.4 if isinstance(fault, Says) and fault.ends == "stalled" else 30
    error = await failure(model(spec, server, first_piece_s=first_piece_s, idle_s=idle_s))
    assert isinstance(error, ModelUnavailable)
    assert says in error.what
    assert error.remedy
    assert len(server.requests) == 1
    assert KEY not in everything_told_by(error) + caplog.text


@pytest.mark.parametrize("spec", SPECS)
async def test_the_wrong_key_names_the_variable_that_holds_it(spec: str, server: LlmServer) -> None:
    variables = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "google": "GEMINI_API_KEY"}
    server.script.append(Refuses(401))
    error = await failure(model(spec, server))
    assert variables.get(spec.split(":")[0].removesuffix("-chat"), "OLLAMA_BASE_URL") in error.remedy
    assert "durable-demo down" in error.remedy


@pytest.mark.parametrize("spec", SPECS)
async def test_retry_after_is_honoured_in_seconds_and_as_a_date_up_to_a_minute(spec: str, server: LlmServer) -> None:
    asked = model(spec, server)
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.script += [
        Refuses(429, {"retry-after": "7"}),
        Refuses(429, {"retry-after": date}),
        Refuses(503, {"retry-after": "3600"}),
        Refuses(429, {"retry-after": "soon"}),
        Refuses(429),
    ]
    waits = [error.retry_after for _ in range(5) if isinstance(error := await failure(asked), ModelUnavailable)]
    assert waits[0] == 7
    assert waits[1] is not None
    assert 20 < waits[1] <= 30
    assert waits[2:] == [MAXIMUM_RETRY_AFTER_S, None, None]


async def test_a_quota_that_is_used_up_is_final_although_it_is_a_429(server: LlmServer) -> None:
    server.script.append(Refuses(429, {"retry-after": "1"}, code="insufficient_quota"))
    error = await failure(model("openai:mock-1", server))
    assert isinstance(error, ModelRefused)
    assert "used up" in error.what


@pytest.mark.parametrize("spec", SPECS)
async def test_a_provider_that_nobody_answers_for_is_unavailable(spec: str, server: LlmServer) -> None:
    with llm_server() as gone:
        asked = model(spec, gone)
    assert isinstance(await failure(asked), ModelUnavailable)


@pytest.mark.parametrize("spec", SPECS)
async def test_a_cancellation_ends_it_at_once_and_the_next_reply_works(spec: str, server: LlmServer) -> None:
    server.script.append(Says(WORDS * 5, ends="stalled"))
    asked = model(spec, server)
    began = asyncio.Event()
    running = asyncio.create_task(asked.reply([QUESTION], lambda _: began.set()))
    async with asyncio.timeout(WITHIN_S):
        await began.wait()
    running.cancel()
    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(asyncio.CancelledError):
            await running
    reply, _ = await ask(asked)
    assert reply.calls


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS)
async def test_a_reply_is_bounded_in_text_and_calls(spec: str, server: LlmServer) -> None:
    server.script += [
        Says(("x" * 9_000, "y" * 9_000, "z" * 9_000)),
        Says(calls=tuple(("get_weather", json.dumps({"city": str(number)})) for number in range(12))),
    ]
    asked = model(spec, server)
    long, _ = await ask(asked)
    assert len(long.text) == MAXIMUM_TEXT
    assert long.text.endswith("y...")
    many, _ = await ask(asked)
    assert [call.arguments["city"] for call in many.calls] == [str(number) for number in range(MAXIMUM_CALLS)]


async def test_half_a_character_becomes_something_that_can_be_stored(server: LlmServer) -> None:
    server.script.append(Says(("a \ud83d b",)))
    reply, _ = await ask(model("openai-chat:mock-1", server))
    assert reply.text == "a ? b"


# --- the key ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS)
async def test_a_key_that_the_model_repeats_is_never_shown(spec: str, server: LlmServer) -> None:
    arguments = {"city": f"key {KEY}", KEY: [KEY]}
    server.script.append(
        Says(("Your key is ", KEY[:5], KEY[5:12], KEY[12:] + ", ", "s", "k", "-y."), (("x", json.dumps(arguments)),))
    )
    reply, said = await ask(model(spec, server))
    assert reply.text == f"Your key is {MASK}, sk-y."
    assert reply.calls[0].arguments == {"city": f"key {MASK}", MASK: [MASK]}
    assert not any(part in piece for piece in said for part in (KEY[:5], KEY[5:12], KEY[12:]))


async def test_a_reply_that_ends_in_the_middle_of_the_key_does_not_show_that_half(server: LlmServer) -> None:
    server.script.append(Says(("It begins with ", KEY[:15])))
    reply, _ = await ask(model("anthropic:mock-1", server))
    assert reply.text == f"It begins with {MASK}"


LETTERS = st.text("abc", max_size=30)
SECRETS = st.lists(st.text("abc", min_size=MINIMUM_LENGTH, max_size=MINIMUM_LENGTH + 4), max_size=3)


@given(st.lists(LETTERS, max_size=6), SECRETS, st.data())
def test_redaction_lets_no_secret_through_however_the_text_is_cut(
    pieces: list[str], secrets: list[str], data: st.DataObject
) -> None:
    pieces = [each for piece in pieces for each in (piece, data.draw(st.sampled_from(["", *secrets])))]
    whole = redact("".join(pieces), secrets)
    assert not any(secret in whole for secret in secrets)
    redactor = Redactor(secrets)
    shown = ""
    for piece in pieces:
        shown += redactor.feed(piece)
        assert whole.startswith(shown)
    assert shown + redactor.flush() == whole


@given(st.text(), SECRETS)
def test_redaction_leaves_a_text_alone_that_holds_no_secret(text: str, secrets: list[str]) -> None:
    plain = text.replace("a", "")
    assert redact(plain, [f"a{each}" for each in secrets]) == plain


def test_a_value_too_short_for_a_secret_garbles_no_text() -> None:
    assert redact("Exit", ["x"]) == "Exit"
