from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from agents.scripted_model.body import LARGEST
from agents.scripted_model.script import load
from agents.scripted_model.server import serving
from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TWO = {
    "steps": [
        {"text": "Reading.", "thought": "hm", "tools": [{"name": "Read", "input": {"path": "a"}}]},
        {"text": "Done."},
    ],
    "usage": {"input": 100, "cached": 40, "output": 7},
}
WIRES = ("anthropic", "responses", "chat", "gemini")


def address(wire: str, *, stream: bool = False) -> str:
    action = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return {
        "anthropic": "/v1/messages?beta=true",
        "responses": "/v1/responses",
        "chat": "/v1/chat/completions",
        "gemini": f"/v1beta/models/m:{action}",
    }[wire]


def request(wire: str, *, answers: int = 0, stream: bool = False, opening: str = "Do it.") -> dict[str, Any]:
    """Build a request that carries so many answers already, each with the result of its tool."""
    tool = {"name": "Read", "type": "function", "function": {"name": "Read"}}
    if wire == "anthropic":
        messages: list[dict[str, Any]] = [{"role": "user", "content": opening}]
        for number in range(answers):
            use = {"type": "tool_use", "id": str(number), "name": "Read", "input": {}}
            result = {"type": "tool_result", "tool_use_id": str(number), "content": [{"type": "text", "text": "is a"}]}
            messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
        return {"model": "m", "messages": messages, "tools": [{"name": "Read"}], "stream": stream}
    if wire == "responses":
        items: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "input_text", "text": opening}]}]
        for number in range(answers):
            items += [
                {"type": "reasoning", "summary": []},
                {"type": "function_call", "call_id": str(number), "name": "Read", "arguments": "{}"},
                {"type": "function_call_output", "call_id": str(number), "output": "is a"},
            ]
        return {"model": "m", "input": items, "tools": [tool], "stream": stream}
    if wire == "chat":
        said: list[dict[str, Any]] = [{"role": "system", "content": "Be good."}, {"role": "user", "content": opening}]
        for number in range(answers):
            said += [
                {"role": "assistant", "content": None, "tool_calls": [{"id": str(number)}]},
                {"role": "tool", "tool_call_id": str(number), "content": "is a"},
            ]
        options = {"stream_options": {"include_usage": True}} if stream else {}
        return {"model": "m", "messages": said, "tools": [tool], "stream": stream, **options}
    contents: list[dict[str, Any]] = [{"role": "user", "parts": [{"text": opening}]}]
    for _ in range(answers):
        contents.append({"role": "model", "parts": [{"functionCall": {"name": "Read", "args": {}}}]})
        contents.append({"role": "user", "parts": [{"functionResponse": {"name": "Read", "response": {"is": "a"}}}]})
    return {"contents": contents, "tools": [{"functionDeclarations": [{"name": "Read"}]}]}


def events(text: str) -> list[dict[str, Any]]:
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"]


def heard(wire: str, answer: httpx.Response, *, stream: bool) -> tuple[str, str, str, str]:
    """Give thought, text, tool and arguments of an answer, as a client of that wire puts them together."""
    if not stream:
        return _plain(wire, answer.json())
    if wire == "gemini":
        return _plain(wire, events(answer.text)[-1])
    if wire == "responses":
        return _plain(wire, events(answer.text)[-1]["response"])
    return _anthropic(events(answer.text)) if wire == "anthropic" else _chat(events(answer.text))


def _plain(wire: str, said: dict[str, Any]) -> tuple[str, str, str, str]:
    if wire == "anthropic":
        blocks = {block["type"]: block for block in said["content"]}
        use = blocks.get("tool_use", {"name": "", "input": ""})
        thought = blocks.get("thinking", {"thinking": ""})["thinking"]
        return thought, blocks["text"]["text"], use["name"], json.dumps(use["input"])
    if wire == "responses":
        items = {item["type"]: item for item in said["output"]}
        call = items.get("function_call", {"name": "", "arguments": '""'})
        thought = items["reasoning"]["summary"][0]["text"] if "reasoning" in items else ""
        return thought, items["message"]["content"][0]["text"], call["name"], call["arguments"]
    if wire == "chat":
        message = said["choices"][0]["message"]
        function = message.get("tool_calls", [{"function": {"name": "", "arguments": '""'}}])[0]["function"]
        return message.get("reasoning_content", ""), message["content"], function["name"], function["arguments"]
    parts = said["candidates"][0]["content"]["parts"]
    calls = [part["functionCall"] for part in parts if "functionCall" in part] or [{"name": "", "args": ""}]
    thought = "".join(part["text"] for part in parts if part.get("thought"))
    words = "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
    return thought, words, calls[0]["name"], json.dumps(calls[0]["args"])


def _anthropic(sent: list[dict[str, Any]]) -> tuple[str, str, str, str]:
    assert [sent[0]["type"], sent[-1]["type"]] == ["message_start", "message_stop"]
    deltas = [event["delta"] for event in sent if event["type"] == "content_block_delta"]
    blocks = [event["content_block"] for event in sent if event["type"] == "content_block_start"]
    parts = ["".join(delta.get(key, "") for delta in deltas) for key in ("thinking", "text", "partial_json")]
    return parts[0], parts[1], "".join(block.get("name", "") for block in blocks), parts[2] or '""'


def _chat(sent: list[dict[str, Any]]) -> tuple[str, str, str, str]:
    deltas = [choice["delta"] for event in sent for choice in event["choices"]]
    calls = [call["function"] for delta in deltas for call in delta.get("tool_calls", ())]
    thought, text = ("".join(delta.get(key, "") for delta in deltas) for key in ("reasoning_content", "content"))
    name, given = ("".join(call.get(key, "") for call in calls) for key in ("name", "arguments"))
    return thought, text, name, given or '""'


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20, trust_env=False) as made:
        yield made


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_each_wire_says_the_steps_in_order(client: httpx.Client, wire: str, stream: bool) -> None:  # noqa: FBT001 - a table
    with serving(TWO) as server:
        for answers, wanted in enumerate([("hm", "Reading.", "Read", '{"path": "a"}'), ("", "Done.", "", '""')]):
            url = f"{server.url}{address(wire, stream=stream)}"
            answer = client.post(url, json=request(wire, answers=answers, stream=stream))
            assert heard(wire, answer, stream=stream) == wanted
        rows = server.requests()
    assert [(row["wire"], row["step"], row["model"], row["stream"]) for row in rows] == [
        (wire, 0, "m", stream),
        (wire, 1, "m", stream),
    ]
    assert (rows[0]["results"], len(rows[1]["results"]), rows[1]["tools"]) == ([], 1, ["Read"])


@pytest.mark.parametrize("wire", WIRES)
def test_each_answer_reports_what_the_script_says_it_used(client: httpx.Client, wire: str) -> None:
    with serving(TWO) as server:
        answer = client.post(f"{server.url}{address(wire)}", json=request(wire)).json()
    used = answer.get("usage") or answer["usageMetadata"]
    figures = {
        "anthropic": ("input_tokens", 60, "output_tokens"),
        "responses": ("input_tokens", 100, "output_tokens"),
        "chat": ("prompt_tokens", 100, "completion_tokens"),
        "gemini": ("promptTokenCount", 100, "candidatesTokenCount"),
    }[wire]
    assert (used[figures[0]], used[figures[2]]) == (figures[1], 7)


def test_a_stream_of_chat_reports_its_usage_only_where_that_is_asked_for(client: httpx.Client) -> None:
    asked = request("chat", stream=True)
    with serving(TWO) as server:
        url = f"{server.url}/v1/chat/completions"
        with_it = client.post(url, json=asked).text
        without = client.post(url, json={**asked, "stream_options": {}}).text
    assert ('"usage"' in with_it, '"usage"' in without) == (True, False)


@pytest.mark.parametrize("wire", WIRES)
def test_an_error_of_the_service_has_the_vendors_form(client: httpx.Client, wire: str) -> None:
    script = {"steps": [{"fault": "status", "status": 429, "retry_after": 2, "message": "slow down"}]}
    with serving(script) as server:
        answer = client.post(f"{server.url}{address(wire)}", json=request(wire))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    error = answer.json()["error"]
    assert error["message"] == "slow down"
    kind = {"anthropic": ("type", "rate_limit_error"), "gemini": ("status", "RESOURCE_EXHAUSTED")}
    key, value = kind.get(wire, ("code", "rate_limit_exceeded"))
    assert error[key] == value


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_a_cut_answer_breaks_off_for_the_client(client: httpx.Client, wire: str, stream: bool) -> None:  # noqa: FBT001 - a table
    with serving({"steps": [{"text": "x" * 500, "fault": "cut"}]}) as server:
        url = f"{server.url}{address(wire, stream=stream)}"
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(url, json=request(wire, stream=stream))


@pytest.mark.parametrize("stream", [False, True])
def test_garbage_is_no_answer_of_any_wire(client: httpx.Client, stream: bool) -> None:  # noqa: FBT001 - a table
    with serving({"steps": [{"fault": "garbage"}]}) as server:
        answer = client.post(f"{server.url}/v1/messages", json=request("anthropic", stream=stream))
    with pytest.raises(ValueError, match=r"Expecting|decode"):
        [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]


def test_a_reset_connection_gives_no_answer_at_all(client: httpx.Client) -> None:
    with (
        serving({"steps": [{"fault": "reset"}]}) as server,
        pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)),
    ):
        client.post(f"{server.url}/v1/messages", json=request("anthropic"))


def test_an_empty_answer_is_whole_and_says_nothing(client: httpx.Client) -> None:
    with serving({"steps": [{"text": "hidden", "fault": "empty"}]}) as server:
        assert client.post(f"{server.url}/v1/messages", json=request("anthropic")).json()["content"] == []


def test_a_slow_answer_comes_late_and_whole(client: httpx.Client) -> None:
    with serving({"steps": [{"text": "late", "fault": "slow", "seconds": 0.3}]}) as server:
        begun = time.monotonic()
        answer = client.post(f"{server.url}/v1/messages", json=request("anthropic"))
    assert time.monotonic() - begun >= 0.3
    assert answer.json()["content"][0]["text"] == "late"


def test_a_server_that_stops_wakes_the_clients_that_it_keeps_waiting() -> None:
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as pool, serving({"steps": [{"fault": "hang", "seconds": 600}]}) as server:
        url, body = f"{server.url}/v1/messages", request("anthropic")
        waiting = pool.submit(httpx.post, url, json=body, timeout=60, trust_env=False)
        while not server.requests():
            time.sleep(0.01)
    assert isinstance(waiting.exception(timeout=20), httpx.TransportError)
    assert time.monotonic() - begun < 20


def test_a_fault_with_times_passes_and_is_counted_for_each_step_of_the_script_by_itself(client: httpx.Client) -> None:
    steps = [{"text": "well", "fault": "status", "status": 529, "times": 2}]
    with serving({"conversations": [{"when": "one", "steps": steps}], "steps": steps}) as server:
        url = f"{server.url}/v1/messages"
        codes = {
            opening: [client.post(url, json=request("anthropic", opening=opening)).status_code for _ in range(4)]
            for opening in ("one", "two")
        }
    assert codes == {"one": [529, 529, 200, 200], "two": [529, 529, 200, 200]}


@pytest.mark.long
def test_five_hundred_parallel_requests_get_the_step_that_each_one_asks_for() -> None:
    steps = [{"text": f"answer {number}", "tools": [{"name": "Read"}]} for number in range(50)]
    with serving({"steps": steps}) as server, httpx.Client(timeout=60, trust_env=False) as client:

        def ask(number: int) -> tuple[str, str]:
            answer = client.post(f"{server.url}/v1/messages", json=request("anthropic", answers=number % 50))
            return f"answer {number % 50}", answer.json()["content"][0]["text"]

        with ThreadPoolExecutor(100) as pool:
            pairs = list(pool.map(ask, range(500)))
        assert len(server.requests()) == 500
    assert all(wanted == got for wanted, got in pairs)


def test_a_retry_is_answered_byte_for_byte_the_same(client: httpx.Client) -> None:
    with serving(TWO) as server:
        url = f"{server.url}/v1/responses"
        first, second = (client.post(url, json=request("responses", stream=True)).content for _ in range(2))
    assert first == second


def test_one_server_serves_several_conversations(client: httpx.Client) -> None:
    script = {
        "conversations": [
            {"when": "T-0001", "steps": [{"text": "first"}]},
            {"when": r"^# T-000[2-9]", "steps": [{"text": "second"}]},
            {"when": "audit (", "bare": True, "steps": [{"text": "third"}]},
        ],
        "side": "a title",
    }
    with serving(script) as server:
        url = f"{server.url}/v1/chat/completions"

        def said(opening: str, *, tools: bool = True) -> Any:
            asked = request("chat", opening=opening) | ({} if tools else {"tools": []})
            answer = client.post(url, json=asked).json()
            return answer["choices"][0]["message"]["content"] if "choices" in answer else answer["error"]["message"]

        assert [said("T-0001"), said("so\n# T-0003: x"), said("audit (", tools=False)] == ["first", "second", "third"]
        assert said("T-0001", tools=False) == "a title"
        assert said("nothing that is known") == "no conversation of the script fits this request"
        assert [row["conversation"] for row in server.requests()[:4]] == [0, 1, 2, -1]


def test_a_custom_tool_gets_text_and_tools_within_the_input_are_known(client: httpx.Client) -> None:
    patch = "*** Begin Patch\n*** End Patch\n"
    asked = request("responses") | {"tools": []}
    inner = {"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "apply_patch"}]}
    asked["input"] = [{"type": "additional_tools", "tools": [inner]}, *asked["input"]]
    with serving({"steps": [{"tools": [{"name": "apply_patch", "input": patch}, {"name": "other"}]}]}) as server:
        output = client.post(f"{server.url}/responses", json=asked).json()["output"]
        row = server.requests()[0]
    assert (output[0]["type"], output[0]["input"]) == ("custom_tool_call", patch)
    assert (row["tools"], row["reply"], row["unknown"]) == (["apply_patch"], ["apply_patch", "other"], ["other"])


def test_the_log_names_the_header_of_a_key_and_never_its_value(client: httpx.Client, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    headers = {"authorization": "Bearer sesame", "x-api-key": "sesame"}
    with serving(TWO, log=log) as server:
        client.post(f"{server.url}/v1/messages", json=request("anthropic"), headers=headers)
    text = log.read_text(encoding="utf-8")
    assert json.loads(text)["auth"] == ["authorization", "x-api-key"]
    assert "sesame" not in text


def test_chunked_and_packed_bodies_are_read(client: httpx.Client) -> None:
    data = json.dumps(request("anthropic")).encode()
    with serving(TWO) as server:
        url = f"{server.url}/v1/messages"
        chunked = client.post(url, content=iter([data[:10], data[10:]]))
        packed = client.post(url, content=gzip.compress(data), headers={"content-encoding": "gzip"})
        unknown = client.post(url, content=data, headers={"content-encoding": "zstd"})
    assert [one.status_code for one in (chunked, packed, unknown)] == [200, 200, 415]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{nope", {}, 400),
        (b"[1]", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"x", {"content-encoding": "gzip"}, 400),
        (gzip.compress(bytes(LARGEST + 1)), {"content-encoding": "gzip"}, 413),
    ],
)
def test_a_body_that_cannot_be_read_is_an_error_of_the_client(
    client: httpx.Client, content: bytes, headers: dict[str, str], status: int
) -> None:
    with serving(TWO) as server:
        answer = client.post(f"{server.url}/v1/messages", content=content, headers=headers)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
        assert client.get(f"{server.url}/v1/models").status_code == 200


@pytest.mark.parametrize("head", ["content-length: 99999999999", "content-length: -1", "transfer-encoding: chunked"])
def test_a_client_that_lies_about_its_body_or_goes_away_harms_nobody(client: httpx.Client, head: str) -> None:
    with serving(TWO) as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            raw.sendall(f"POST /v1/messages HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\nzz\r\n".encode())
            assert raw.recv(12).startswith(b"HTTP/1.1 4")
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
                raw.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n{")
        assert client.post(f"{server.url}/v1/messages", json=request("anthropic")).status_code == 200


def test_places_without_an_answer_say_so_and_the_rest_is_there(client: httpx.Client) -> None:
    with serving({**TWO, "model": "tiny"}) as server:
        assert client.head(server.url).status_code == 200
        assert client.get(f"{server.url}/v1/models").json()["data"][0]["id"] == "tiny"
        assert client.post(f"{server.url}/v1/messages", json=request("anthropic")).json()["model"] == "tiny"
        assert client.post(f"{server.url}/v1/messages/count_tokens", json={"a": "b" * 40}).json()["input_tokens"] > 10
        assert client.get(f"{server.url}/nothing").status_code == 404
        assert client.post(f"{server.url}/nothing", json={}).status_code == 404


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("s.yaml", "steps:\n  - text: x\n    tols: []\n", "s.yaml:3: steps.0.tols: no such key"),
        ("s.json", '{\n "steps": [\n  {"fault": "none"}]}', "s.json:3: steps.0.fault: expected"),
        ("s.yaml", "side: ok\n", "s.yaml:1: expected `steps` with at least one answer, or `conversations`"),
        ("s.yaml", "steps: [\n", "s.yaml:2: valid YAML"),
        ("s.yaml", "- 1\n", "s.yaml:1: "),
    ],
)
def test_a_wrong_script_is_told_with_its_line(tmp_path: Path, name: str, text: str, place: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load(tmp_path / name, {})
    assert place in str(caught.value)


def test_the_program_prints_its_address_first_and_fills_in_the_variables(client: httpx.Client, tmp_path: Path) -> None:
    script, log = tmp_path / "s.yaml", tmp_path / "log.jsonl"
    script.write_text('vars: {a: old, b: kept}\nsteps: [{text: "{{a}} {{b}} {{c}}"}]\n', encoding="utf-8")
    command = [sys.executable, "-m", "agents.scripted_model", str(script), "--log", str(log), "--var", "a=new"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            answer = client.post(f"{url}/v1/messages", json=request("anthropic")).json()
        finally:
            process.terminate()
    assert answer["content"][0]["text"] == "new kept {{c}}"
    assert json.loads(log.read_text(encoding="utf-8"))["step"] == 0


@pytest.mark.parametrize("words", [["nowhere.yaml"], ["s.yaml", "--var", "a"]])
def test_the_program_refuses_what_it_cannot_serve(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "s.yaml").write_text("steps: [{text: x}]\n", encoding="utf-8")
    command = [sys.executable, "-m", "agents.scripted_model", str(tmp_path / words[0]), *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
