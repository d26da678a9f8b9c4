"""OpenAI Chat Completions: POST /v1/chat/completions, plain and as a stream."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from agents.scripted_model.exchange import Asked, Body, Reply, Wire, arguments, frame, objects, text, text_of, turns

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
_TYPES = {401: "authentication_error", 429: "requests"}
PIECE = 24
"""Characters of arguments in one event: clients have to put them together."""
FIRST_SERVER_ERROR = 500


def _read(body: Body) -> Asked:
    messages = objects(body.get("messages"))
    roles = [text(message.get("role")) for message in messages]
    before = takewhile(lambda message: message.get("role") != "assistant", messages)
    since = takewhile(lambda message: message.get("role") == "tool", reversed(messages))
    users = [message for message in messages if message.get("role") == "user"]
    functions = [tool.get("function") for tool in objects(body.get("tools"))]
    options = body.get("stream_options")
    return Asked(
        model=text(body.get("model")),
        opening="\n".join(text_of(message.get("content")) for message in before),
        answers=turns(role == "assistant" for role in roles),
        told=text_of(users[-1].get("content")) if users else "",
        tools={text(function.get("name")): "function" for function in objects(functions)},
        results=tuple(reversed([text_of(message.get("content")) for message in since])),
        stream=body.get("stream") is True,
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _usage(reply: Reply) -> dict[str, Any]:
    used = reply.usage
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached},
    }


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {"id": f"call_{key}", "type": "function", "function": {"name": use.name, "arguments": arguments(use)}}
        for key, use in reply.uses
    ]


def _head(reply: Reply, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{reply.key}", "object": kind, "created": 1_700_000_000, "model": reply.model}


def _plain(_asked: Asked, reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.step.text or None}
    if reply.step.thought:
        message["reasoning_content"] = reply.step.thought
    if reply.step.tools:
        message["tool_calls"] = _calls(reply)
    choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
    return {**_head(reply, "chat.completion"), "choices": [choice], "usage": _usage(reply)}


def _frames(asked: Asked, reply: Reply) -> Iterator[bytes]:
    yield _chunk(reply, {"role": "assistant", "content": ""})
    if reply.step.thought:
        yield _chunk(reply, {"reasoning_content": reply.step.thought})
    if reply.step.text:
        yield _chunk(reply, {"content": reply.step.text})
    for index, call in enumerate(_calls(reply)):
        given = call["function"]["arguments"]
        begun = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        yield _chunk(reply, {"tool_calls": [begun]})
        for place in range(0, len(given), PIECE):
            piece = {"index": index, "function": {"arguments": given[place : place + PIECE]}}
            yield _chunk(reply, {"tool_calls": [piece]})
    yield _chunk(reply, {}, finish=_finish(reply))
    if asked.wants_usage:
        yield frame({**_head(reply, "chat.completion.chunk"), "choices": [], "usage": _usage(reply)})
    yield frame("[DONE]")


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.step.tools else "stop"


def _chunk(reply: Reply, delta: dict[str, Any], *, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return frame({**_head(reply, "chat.completion.chunk"), "choices": [choice]})


def error(status: int, message: str) -> dict[str, Any]:
    """Give an error in the form that both wires of OpenAI have."""
    kind = "server_error" if status >= FIRST_SERVER_ERROR else _TYPES.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": _CODES.get(status)}}


WIRE = Wire(name="chat", read=_read, plain=_plain, frames=_frames, error=error)
