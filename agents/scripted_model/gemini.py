"""Gemini: POST /v1beta/models/NAME:generateContent and :streamGenerateContent."""

from __future__ import annotations

import json
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from agents.scripted_model.exchange import Asked, Body, Reply, Wire, frame, objects, text, text_of, turns

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def _read(body: Body) -> Asked:
    """Read the request; the model and the wish for a stream stand in its address, and the server puts them into the body."""
    contents = objects(body.get("contents"))
    before = takewhile(lambda content: content.get("role") != "model", contents)
    last = objects(contents[-1].get("parts")) if contents else []
    users = [content for content in contents if content.get("role") != "model"]
    declared = [tool.get("functionDeclarations") for tool in objects(body.get("tools"))]
    responses = [part["functionResponse"] for part in last if isinstance(part.get("functionResponse"), dict)]
    return Asked(
        model=text(body.get("model")),
        opening="\n".join([text_of(body.get("systemInstruction")), *map(text_of, before)]),
        answers=turns(content.get("role") == "model" for content in contents),
        told=text_of(users[-1]) if users else "",
        tools={text(function.get("name")): "function" for group in declared for function in objects(group)},
        results=tuple(json.dumps(response.get("response"), ensure_ascii=False) for response in responses),
        stream=body.get("stream") is True,
    )


def _plain(_asked: Asked, reply: Reply) -> dict[str, Any]:
    step, used = reply.step, reply.usage
    parts: list[dict[str, Any]] = [{"text": step.thought, "thought": True}] if step.thought else []
    parts += [{"text": step.text}] if step.text else []
    parts += [{"functionCall": {"name": use.name, "args": use.input}} for _, use in reply.uses]
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": used.input,
            "cachedContentTokenCount": used.cached,
            "candidatesTokenCount": used.output,
            "totalTokenCount": used.input + used.output,
        },
        "modelVersion": reply.model,
        "responseId": reply.key,
    }


def _frames(asked: Asked, reply: Reply) -> Iterator[bytes]:
    yield frame(_plain(asked, reply))


def _error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": _STATES.get(status, "INTERNAL")}}


WIRE = Wire(name="gemini", read=_read, plain=_plain, frames=_frames, error=_error)
