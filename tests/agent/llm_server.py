"""A language model on the loopback: four wire formats, all streaming, and every way in which a provider can fail.

It speaks OpenAI responses, OpenAI chat completions (Ollama too), Anthropic messages and Gemini streamGenerateContent.
Unless a test scripts it, it asks for the weather of London first, and answers once it has got a result.
"""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

WORDS = ("It is 8 °C ", "and rainy ", "in London.")
HANG_LIMIT_S = 60.0


@dataclass(frozen=True)
class Says:
    """A streamed answer.

    Attributes:
        pieces: Its text.
        calls: The tools that it asks for: name and arguments as JSON, which need not be well-formed.
        ends: `well`; `filtered`: the content filter has the last word; `cut`: the connection breaks in the middle;
            `early`: it ends in the middle, politely; `stalled`: nothing comes after the first half; `silent`: nothing
            comes at all.
    """

    pieces: tuple[str, ...] = ()
    calls: tuple[tuple[str, str], ...] = ()
    ends: Literal["well", "filtered", "cut", "early", "stalled", "silent"] = "well"


@dataclass(frozen=True)
class Refuses:
    """An error status; its body repeats the key that came with the request, as real providers do."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str = "error"


@dataclass(frozen=True)
class Request:
    """What was asked."""

    path: str
    key: str
    body: dict[str, Any]


class LlmServer:
    """What a test sees of the server.

    Attributes:
        url: Without a path; OpenAI and Ollama want `/v1` behind it.
        script: What the next requests get, one each; the default once it is empty.
        requests: All requests so far.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.script: deque[Says | Refuses] = deque()
        self.requests: list[Request] = []
        self.closing = threading.Event()


@contextmanager
def llm_server() -> Iterator[LlmServer]:
    """Runs the server in threads of this process, on a free port."""
    http = _Http(("127.0.0.1", 0), _Handler)
    server = http.llm
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        http.shutdown()
        thread.join(timeout=10)
        http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def server_activate(self) -> None:
        super().server_activate()
        self.llm = LlmServer(self.server_port)

    def handle_error(self, *_: Any) -> None:
        """Keeps quiet: clients that hang up are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def log_message(self, *_: Any) -> None:
        """Keeps quiet."""

    def do_POST(self) -> None:
        server = self.server.llm
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        bearer = (self.headers["authorization"] or "").removeprefix("Bearer ")
        key = self.headers["x-api-key"] or self.headers["x-goog-api-key"] or bearer
        server.requests.append(Request(self.path, key, body))
        answer = server.script.popleft() if server.script else _by_default(body)
        if isinstance(answer, Refuses):
            self._refuse(answer, key)
        else:
            self._stream(answer, list(_events(self.path, body, answer)))

    def _refuse(self, answer: Refuses, key: str) -> None:
        error: dict[str, Any] = {
            "message": f"Incorrect API key provided: {key}",
            "type": answer.code,
            "code": answer.code,
        }
        if "GenerateContent" in self.path:
            error |= {"code": answer.status, "status": answer.code}
        content = json.dumps({"type": "error", "error": error}).encode()
        self.send_response(answer.status)
        for name, value in {"content-type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, answer: Says, events: list[str]) -> None:
        closing = self.server.llm.closing
        if answer.ends == "silent":
            closing.wait(HANG_LIMIT_S)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events if answer.ends in ("well", "filtered") else events[: len(events) // 2]:
            self._chunk(event.encode())
        if answer.ends == "stalled":
            closing.wait(HANG_LIMIT_S)
        if answer.ends == "cut":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        try:
            self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
            self.wfile.flush()
        except OSError:  # the client has given up, as it should
            self.close_connection = True


def _by_default(body: dict[str, Any]) -> Says:
    results = ("tool_call_id", "function_call_output", "tool_result", "functionResponse")
    if any(f'"{each}"' in json.dumps(body) for each in results):
        return Says(pieces=WORDS)
    return Says(calls=(("get_weather", '{"city": "London"}'),))


# --- the wire formats ------------------------------------------------------------------------------------------------


def _events(path: str, body: dict[str, Any], answer: Says) -> Iterator[str]:
    if path.endswith("/responses"):
        yield from _responses(body["model"], answer)
    elif path.endswith("/chat/completions"):
        yield from _chat_completions(body["model"], answer)
    elif path.endswith("/messages"):
        yield from _anthropic(body["model"], answer)
    else:
        yield from _gemini(answer)


def _sse(data: dict[str, Any]) -> str:
    name = f"event: {data['type']}\n" if "type" in data else ""
    return f"{name}data: {json.dumps(data)}\n\n"


def _responses(model: str, answer: Says) -> Iterator[str]:
    response: dict[str, Any] = {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress", "model": model, "output": [],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }  # fmt: skip
    yield _sse({"type": "response.created", "sequence_number": 0, "response": response})
    output: list[dict[str, Any]] = []
    if answer.pieces:
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
        yield _sse({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item})
        at = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "sequence_number": 2}
        part = {"type": "output_text", "text": "", "annotations": []}
        yield _sse({"type": "response.content_part.added", **at, "part": part})
        for piece in answer.pieces:
            yield _sse({"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []})
        text = "".join(answer.pieces)
        yield _sse({"type": "response.output_text.done", **at, "text": text, "logprobs": []})
        output.append({**item, "status": "completed", "content": [{**part, "text": text}]})
        yield _sse({"type": "response.output_item.done", "sequence_number": 3, "output_index": 0, "item": output[-1]})
    for number, (name, arguments) in enumerate(answer.calls):
        at = {"output_index": len(output), "sequence_number": 4}
        item = {"type": "function_call", "id": f"fc_{number}", "call_id": f"c_{number}", "name": name, "arguments": ""}
        yield _sse({"type": "response.output_item.added", **at, "item": item})
        delta = {"type": "response.function_call_arguments.delta", **at, "item_id": item["id"], "delta": arguments}
        yield _sse(delta)
        output.append({**item, "arguments": arguments, "status": "completed"})
        yield _sse({"type": "response.output_item.done", **at, "item": output[-1]})
    usage = {
        "input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2,
    }  # fmt: skip
    response = {**response, "status": "completed", "output": output, "usage": usage}
    if answer.ends == "filtered":
        response |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    yield _sse({"type": f"response.{response['status']}", "sequence_number": 5, "response": response})


def _chat_completions(model: str, answer: Says) -> Iterator[str]:
    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _sse({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    for piece in answer.pieces:
        yield chunk({"content": piece})
    for number, (name, arguments) in enumerate(answer.calls):
        begun = {"index": number, "id": f"c_{number}", "type": "function", "function": {"name": name, "arguments": ""}}
        yield chunk({"tool_calls": [begun]})
        yield chunk({"tool_calls": [{"index": number, "function": {"arguments": arguments}}]})
    yield chunk({}, "content_filter" if answer.ends == "filtered" else "tool_calls" if answer.calls else "stop")
    yield "data: [DONE]\n\n"


def _anthropic(model: str, answer: Says) -> Iterator[str]:
    message = {
        "id": "m", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    yield _sse({"type": "message_start", "message": message})
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if answer.pieces:
        deltas = [{"type": "text_delta", "text": piece} for piece in answer.pieces]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for number, (name, arguments) in enumerate(answer.calls):
        begun = {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {}}
        blocks.append((begun, [{"type": "input_json_delta", "partial_json": arguments}]))
    for index, (begun, deltas) in enumerate(blocks):
        yield _sse({"type": "content_block_start", "index": index, "content_block": begun})
        for delta in deltas:
            yield _sse({"type": "content_block_delta", "index": index, "delta": delta})
        yield _sse({"type": "content_block_stop", "index": index})
    reason = "refusal" if answer.ends == "filtered" else "tool_use" if answer.calls else "end_turn"
    end = {"stop_reason": reason, "stop_sequence": None}
    yield _sse({"type": "message_delta", "delta": end, "usage": {"output_tokens": 9}})
    yield _sse({"type": "message_stop"})


def _gemini(answer: Says) -> Iterator[str]:
    def chunk(parts: list[dict[str, Any]], **end: str) -> str:
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **end}
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
        return _sse({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "mock", "responseId": "r"})

    for piece in answer.pieces:
        yield chunk([{"text": piece}])
    for name, arguments in answer.calls:
        try:
            parsed = json.loads(arguments)
        except ValueError:  # it would not even send these
            yield chunk([], finishReason="MALFORMED_FUNCTION_CALL")
            return
        yield chunk([{"functionCall": {"name": name, "args": parsed}}])
    yield chunk([], finishReason="SAFETY" if answer.ends == "filtered" else "STOP")
