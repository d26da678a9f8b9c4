"""The script of a scripted model: what it answers to which request.

    vars: {tree: /work}                       # {{tree}} in any text below
    side: ok                                  # to requests that offer no tools (titles, summaries)
    usage: {input: 1000, output: 50}          # tokens that each answer reports
    model: other-model                        # answers under this name; default: the one asked for
    steps:                                    # the first answer of a conversation, the second, ...; the last one repeats
      - {text: Reading., tools: [{name: Read, input: {file_path: "{{tree}}/a.py"}}]}
      - {fault: status, status: 429, retry_after: 2, times: 1, text: Done.}
    conversations:                            # one server for many: the first that fits; `steps` above where none does
      - {when: "# T-0001", steps: [...]}      # text or regular expression found in what was said before the first answer
      - {when: Audit, bare: true, steps: [...]}     # takes requests that offer no tools, too

A step without `tools` ends the turn. Faults: `status` (an error of the service, in the vendor's own form), `slow` (`seconds`, then the step), `cut` (the stream
breaks off within an event), `garbage`, `hang` (`seconds`, then nothing), `reset` (the connection is closed without an answer), `empty` (an answer
without content). With `times` only the first so many requests of the step meet the fault, whoever makes them; after that the step itself is given.

The step is picked from the REQUEST: it is the number of answers that the request carries already. So retries, resumed sessions and parallel
clients are deterministic. A session that is taken up again counts on: with two attempts of three answers each, the second attempt of the same session
begins at the fourth step. A client that begins a new session instead begins at the first step: give that session a conversation of its own
(`when` finds the words that only the second brief has, and stands before the other).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from tickets.documents import Document, Strict, read_json, read_yaml, validate
from tickets.errors import InputError
from tickets.model import FilledLine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Fault = Literal["status", "slow", "cut", "garbage", "hang", "reset", "empty"]
NO_ERROR = 400
"""Status codes below say that all is well."""


class ToolUse(Strict):
    name: FilledLine
    input: dict[str, Any] | str = Field(default_factory=dict)
    """Text is given as it is: to custom tools, or as arguments that are no JSON."""
    custom: bool = False
    """A tool that takes text (Responses)."""
    namespace: str = ""
    """Of a tool that is offered within one (Responses)."""


class Tokens(Strict):
    input: int = Field(default=1000, ge=0)
    cached: int = Field(default=0, ge=0)
    """Of the input."""
    output: int = Field(default=50, ge=0)


class Step(Strict):
    text: str = ""
    thought: str = ""
    tools: tuple[ToolUse, ...] = ()
    fault: Fault | None = None
    times: PositiveInt | None = None
    status: int = Field(default=500, ge=NO_ERROR, le=599)
    retry_after: float | None = Field(default=None, ge=0)
    body: dict[str, Any] | None = None
    """Of the error, instead of the vendor's usual one."""
    message: str = "the script says so"
    """Of the error."""
    seconds: float = Field(default=3.0, ge=0)


class Conversation(Strict):
    when: str = ""
    """Empty: always."""
    steps: tuple[Step, ...] = Field(min_length=1)
    bare: bool = False
    """Takes requests that offer no tools, too."""

    def fits(self, opening: str, *, tools: bool) -> bool:
        return (tools or self.bare) and (self.when in opening or _found(self.when, opening))


class Script(Strict):
    steps: tuple[Step, ...] = ()
    conversations: tuple[Conversation, ...] = ()
    side: str = "ok"
    usage: Tokens = Field(default_factory=Tokens)
    model: str = ""
    vars: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.steps and not self.conversations:
            raise ValueError("`steps` with at least one answer, or `conversations`")
        return self

    def conversation(self, opening: str, *, tools: bool) -> tuple[int, tuple[Step, ...]] | None:
        """Give the number and the steps of the conversation that fits; -1 is the script's own. None where there is none."""
        for number, one in enumerate(self.conversations):
            if one.fits(opening, tools=tools):
                return number, one.steps
        if not tools:
            return -1, (Step(text=self.side),)
        return (-1, self.steps) if self.steps else None


def load(path: Path, variables: Mapping[str, str]) -> Script:
    """Read a script; raise InputError that names file, line and what was expected. `variables` go before the script's own."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the script cannot be read ({error})") from error
    read = read_json if path.suffix == ".json" else read_yaml
    return _script(read(text, str(path)), variables)


def script_of(data: Mapping[str, Any]) -> Script:
    """Take a script that a program made."""
    return _script(read_json(json.dumps(data), "script"), {})


def _script(document: Document, variables: Mapping[str, str]) -> Script:
    own = document.data.get("vars") if isinstance(document.data, dict) else None
    known = {**(own if isinstance(own, dict) else {}), **variables}
    data = _filled(document.data, {name: value for name, value in known.items() if isinstance(value, str)})
    return validate(Script, Document(name=document.name, data=data, lines=document.lines))


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, text in variables.items():
            value = value.replace(f"{{{{{name}}}}}", text)
        return value
    if isinstance(value, dict):
        return {key: _filled(each, variables) for key, each in value.items()}
    return [_filled(each, variables) for each in value] if isinstance(value, list) else value


def _found(when: str, opening: str) -> bool:
    try:
        return re.search(when, opening, re.MULTILINE) is not None
    except re.error:  # plain text need not be a regular expression
        return False
