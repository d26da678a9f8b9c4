"""OpenAI Responses: POST /v1/responses, plain and as a stream; function tools, custom tools, and tools within the input."""

from __future__ import annotations

from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

from agents.scripted_model.chat import error
from agents.scripted_model.exchange import Asked, Body, Reply, Wire, arguments, frame, objects, text, text_of, turns

if TYPE_CHECKING:
    from collections.abc import Iterator

_MADE = frozenset({"function_call", "custom_tool_call", "local_shell_call", "reasoning", "web_search_call"})


def _read(body: Body) -> Asked:
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else objects(given)
    before = [item for item in takewhile(lambda item: not _by_model(item), items) if "content" in item]
    since = [item for item in takewhile(lambda item: not _by_model(item), reversed(items)) if _is_result(item)]
    users = [item for item in items if item.get("role") == "user"]
    return Asked(
        model=text(body.get("model")),
        opening="\n".join([text(body.get("instructions")), *(text_of(item.get("content")) for item in before)]),
        answers=turns(map(_by_model, items)),
        told=text_of(users[-1].get("content")) if users else "",
        tools=dict(_tools(body, items)),
        results=tuple(reversed([text_of(item.get("output")) for item in since])),
        stream=body.get("stream") is True,
    )


def _by_model(item: dict[str, Any]) -> bool:
    return item.get("type") in _MADE or item.get("role") == "assistant"


def _is_result(item: dict[str, Any]) -> bool:
    return text(item.get("type")).endswith("_output")


def _tools(body: Body, items: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the tools of the request: some models have theirs within an item of the input, in a namespace."""
    groups = [body.get("tools"), *(item.get("tools") for item in items if item.get("type") == "additional_tools")]
    for tool in (tool for group in groups for tool in objects(group)):
        for one in objects(tool.get("tools")) if tool.get("type") == "namespace" else [tool]:
            yield text(one.get("name")) or text(one.get("type")), text(one.get("type"))


def _items(asked: Asked, reply: Reply) -> list[dict[str, Any]]:
    step, items = reply.step, list[dict[str, Any]]()
    if step.thought:
        summary = [{"type": "summary_text", "text": step.thought}]
        items.append({"type": "reasoning", "id": f"rs_{reply.key}", "summary": summary, "encrypted_content": None})
    if step.text:
        content = [{"type": "output_text", "text": step.text, "annotations": []}]
        items.append({"type": "message", "id": f"msg_{reply.key}", "role": "assistant", "content": content})
    for key, use in reply.uses:
        custom = use.custom or asked.tools.get(use.name) == "custom"
        kind = "custom_tool_call" if custom else "function_call"
        call = {"type": kind, "id": f"{'ctc' if custom else 'fc'}_{key}", "call_id": f"call_{key}", "name": use.name}
        given = {"input" if custom else "arguments": arguments(use)}
        items.append(call | given | ({"namespace": use.namespace} if use.namespace else {}))
    return [item if item["type"] == "reasoning" else {**item, "status": "completed"} for item in items]


def _plain(asked: Asked, reply: Reply) -> dict[str, Any]:
    used = reply.usage
    return {
        "id": f"resp_{reply.key}",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": reply.model,
        "output": _items(asked, reply),
        "usage": {
            "input_tokens": used.input,
            "input_tokens_details": {"cached_tokens": used.cached},
            "output_tokens": used.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": used.input + used.output,
        },
    }


def _frames(asked: Asked, reply: Reply) -> Iterator[bytes]:
    numbers = count()
    for kind, values in _events(_plain(asked, reply)):
        yield frame({"type": kind, "sequence_number": next(numbers), **values}, event=kind)


def _events(response: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(response["output"]):
        place = {"output_index": index}
        yield "response.output_item.added", {**place, "item": _beginning(item)}
        yield from _deltas(item, {**place, "item_id": item["id"]})
        yield "response.output_item.done", {**place, "item": item}
    yield "response.completed", {"response": response}


def _beginning(item: dict[str, Any]) -> dict[str, Any]:
    """Give an item as it is announced: without what its deltas bring."""
    empty = {"content": [], "summary": [], "arguments": "", "input": "", "status": "in_progress"}
    return {key: empty.get(key, value) for key, value in item.items()}


def _deltas(item: dict[str, Any], place: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if item["type"] == "message":
        part, words = {**place, "content_index": 0}, item["content"][0]
        yield "response.content_part.added", {**part, "part": {**words, "text": ""}}
        yield "response.output_text.delta", {**part, "delta": words["text"]}
        yield "response.output_text.done", {**part, "text": words["text"]}
        yield "response.content_part.done", {**part, "part": words}
    elif item["type"] == "reasoning":
        part, words = {**place, "summary_index": 0}, item["summary"][0]
        yield "response.reasoning_summary_part.added", {**part, "part": {**words, "text": ""}}
        yield "response.reasoning_summary_text.delta", {**part, "delta": words["text"]}
        yield "response.reasoning_summary_text.done", {**part, "text": words["text"]}
    elif item["type"] == "custom_tool_call":
        yield "response.custom_tool_call_input.delta", {**place, "delta": item["input"]}
    else:
        yield "response.function_call_arguments.delta", {**place, "delta": item["arguments"]}


WIRE = Wire(name="responses", read=_read, plain=_plain, frames=_frames, error=error)
