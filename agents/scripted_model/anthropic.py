"""Anthropic Messages: POST /v1/messages, plain and as a stream."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from agents.scripted_model.exchange import Asked, Body, Reply, Wire, arguments, frame, objects, text, text_of, turns

if TYPE_CHECKING:
    from collections.abc import Iterator

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def _read(body: Body) -> Asked:
    messages = objects(body.get("messages"))
    made = [message.get("role") == "assistant" for message in messages]
    before = [
        text_of(message.get("content")) for message in takewhile(lambda m: m.get("role") != "assistant", messages)
    ]
    last = objects(messages[-1].get("content")) if messages else []
    users = [message for message in messages if message.get("role") == "user"]
    return Asked(
        model=text(body.get("model")),
        opening="\n".join([text_of(body.get("system")), *before]),
        answers=turns(made),
        told=_words(users[-1].get("content")) if users else "",
        tools={text(tool.get("name")): text(tool.get("type")) or "custom" for tool in objects(body.get("tools"))},
        results=tuple(text_of(block.get("content")) for block in last if block.get("type") == "tool_result"),
        stream=body.get("stream") is True,
    )


def _words(content: Any) -> str:
    """Give what a person said: a result of a tool comes in a message of the user, too."""
    blocks = [block for block in objects(content) if block.get("type") == "text"]
    return text_of(blocks) if isinstance(content, list) else text_of(content)


def _blocks(reply: Reply) -> list[dict[str, Any]]:
    step = reply.step
    blocks: list[dict[str, Any]] = []
    if step.thought:
        blocks.append({"type": "thinking", "thinking": step.thought, "signature": "c2NyaXB0ZWQ="})
    if step.text:
        blocks.append({"type": "text", "text": step.text})
    uses = [{"type": "tool_use", "id": f"toolu_{key}", "name": use.name, "input": use.input} for key, use in reply.uses]
    return blocks + uses


def _message(reply: Reply) -> dict[str, Any]:
    used = reply.usage
    return {
        "id": f"msg_{reply.key}",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": _blocks(reply),
        "stop_reason": "tool_use" if reply.step.tools else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": max(0, used.input - used.cached),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": used.cached,
            "output_tokens": used.output,
        },
    }


def _plain(_asked: Asked, reply: Reply) -> dict[str, Any]:
    return _message(reply)


def _frames(_asked: Asked, reply: Reply) -> Iterator[bytes]:
    message = _message(reply)
    begun = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    yield _event("message_start", message=begun)
    inputs = {f"toolu_{key}": arguments(use) for key, use in reply.uses}
    for index, block in enumerate(message["content"]):
        empty, deltas = _pieces(block, inputs)
        yield _event("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=ended, usage={"output_tokens": message["usage"]["output_tokens"]})
    yield _event("message_stop")


def _pieces(block: dict[str, Any], inputs: dict[str, str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Give a block as it begins, and what is added to it."""
    if block["type"] == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": block["text"]}]
    if block["type"] == "thinking":
        signature = {"type": "signature_delta", "signature": block["signature"]}
        added = [{"type": "thinking_delta", "thinking": block["thinking"]}, signature]
        return {**block, "thinking": "", "signature": ""}, added
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": inputs[block["id"]]}]


def _event(kind: str, **values: Any) -> bytes:
    return frame({"type": kind, **values}, event=kind)


def _error(status: int, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": _ERRORS.get(status, "api_error"), "message": message}}


WIRE = Wire(name="anthropic", read=_read, plain=_plain, frames=_frames, error=_error)
