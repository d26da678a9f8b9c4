"""Interpreters and what stands in their arguments: scripts of a shell, and code in other languages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gates.live import inline
from gates.live.words import UNKNOWN, Word

if TYPE_CHECKING:
    from collections.abc import Iterator

Words = tuple[Word, ...]


@dataclass(frozen=True, kw_only=True)
class Inner:
    """What a program starts: a command as words, a script for a shell, or something that cannot be judged."""

    words: Words = ()
    script: str = ""
    problem: str = ""
    guessed: bool = False
    """Found in another language's strings: it may mean something else."""


SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "mksh", "fish", "rbash", "yash"})


PYTHON = re.compile(r"(?:python|pypy|ipython)[\d.]*w?")


OTHERS = {
    "perl": "eE",
    "ruby": "e",
    "node": "ep",
    "nodejs": "ep",
    "deno": "e",
    "bun": "e",
    "php": "r",
    "lua": "e",
    "luajit": "e",
    "Rscript": "e",
    "osascript": "e",
    "groovy": "e",
    "tclsh": "c",
    "expect": "c",
    "vim": "c",
    "vi": "c",
    "nvim": "c",
    "ex": "c",
    "emacs": "-eval",
    "pwsh": "c",
    "powershell": "c",
}
"""Interpreters of other languages, and the letters of the options that take code."""


_VARIABLE = "a variable of the code"


def shell(name: str, rest: Words, *, fed: str, piped: bool) -> Iterator[Inner]:
    for place, each in enumerate(rest):
        if re.fullmatch(r"-[A-Za-z]*c[A-Za-z]*", each.text):
            text = next((more for more in rest[place + 1 :] if not re.match(r"[-+][A-Za-z]", more.text)), None)
            yield from script(f"{name} {each.text}", text)
            return
        if not each.text.startswith(("-", "+")) and rest[place - 1].text not in {"-o", "-O", "+o", "+O"}:
            yield from sourced(name, each, fed=fed)
            return
    if fed:
        yield Inner(script=fed)
    elif piped:
        yield _printed_elsewhere(name)


def sourced(name: str, file: Word, *, fed: str) -> Iterator[Inner]:
    """Judge a script file: its lines are judged by what they leave behind, unless another program prints them."""
    if file.text in {"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "-"} and fed:
        yield Inner(script=fed)
    elif file.text.startswith(("/dev/", "/proc/")) or file.computed.startswith("<("):
        yield _printed_elsewhere(name)


def _printed_elsewhere(name: str) -> Inner:
    return Inner(problem=f"`{name}` would run what another program prints, which nobody can know beforehand")


def script(program: str, text: Word | None) -> Iterator[Inner]:
    if text is None:
        return
    if text.computed and text.text.strip("* ") == "":
        yield Inner(problem=f"the script of `{program}` is computed (`{text.computed}`); write it out")
    else:
        yield Inner(script=text.text)


def python(name: str, rest: Words, *, fed: str, piped: bool) -> Iterator[Inner]:
    for place, each in enumerate(rest):
        if re.fullmatch(r"-[A-Za-z]*c", each.text):
            code = rest[place + 1] if place + 1 < len(rest) else Word("")
            if code.computed and code.text.strip("* ") == "":
                yield Inner(problem=f"the code of `{name} -c` is computed (`{code.computed}`); write it out")
            yield from _code(inline.python(code.text))
            return
        if re.fullmatch(r"-[A-Za-z]*c.+", each.text, re.DOTALL) and "m" not in each.text.partition("c")[0]:
            yield from _code(inline.python(each.text.partition("c")[2]))
            return
        if each.text == "-m" or re.fullmatch(r"-[A-Za-z]*m\w*", each.text):
            yield from _module(rest[place:])
            return
        if not each.text.startswith("-") and rest[place - 1].text not in {"-X", "-W"}:
            return
    if fed:
        yield from _code(inline.python(fed))
    elif piped:
        yield _printed_elsewhere(name)


def _module(rest: Words) -> Iterator[Inner]:
    """Judge `python -m NAME` like the program of that name."""
    attached = rest[0].text.partition("m")[2]
    words = (Word(attached), *rest[1:]) if attached else rest[1:]
    if words:
        yield Inner(words=(Word(words[0].text.replace("_", "-"), words[0].computed), *words[1:]))


def _code(found: inline.Found) -> Iterator[Inner]:
    for command in found.commands:
        yield Inner(words=tuple(Word(part, computed=_VARIABLE if part == UNKNOWN else "") for part in command))
    for script in found.scripts:
        yield Inner(script=script, guessed=True)


def other(name: str, rest: Words, fed: str) -> Iterator[Inner]:
    letters = OTHERS[name]
    pattern = re.compile(rf"-(?:[A-Za-z]*[{letters}]|{letters}|-eval|-execute|-Command)", re.IGNORECASE)
    codes = [rest[place + 1].text for place, each in enumerate(rest[:-1]) if pattern.fullmatch(each.text)]
    codes += [each.text.partition("!")[2] for each in rest if each.text.startswith(("+!", "+:!", "+:r!"))]
    for code in [*codes, *([fed] if fed else [])]:
        for script in inline.other(code).scripts:
            yield Inner(script=script, guessed=True)
        if "!" in code and name in {"vim", "vi", "nvim", "ex"}:
            yield Inner(script=code.partition("!")[2], guessed=True)
        if code in codes and name not in {"perl", "ruby", "php", "node", "nodejs"}:
            yield Inner(script=code.lstrip(":!"), guessed=True)


def awk(_name: str, rest: Words) -> Iterator[Inner]:
    program = next((each for each in rest if not each.text.startswith("-")), None)
    if program is not None and re.search(r"\bsystem\s*\(|\|\s*getline|\|\s*\"|print[^;}]*\|", program.text):
        for script in inline.other(program.text).scripts:
            yield Inner(script=script, guessed=True)


def sed(_name: str, rest: Words) -> Iterator[Inner]:
    for each in rest:
        for match in re.finditer(r"(?:^|[;\n}\d$/])\s*e\s+([^\n]+)", each.text):
            yield Inner(script=match[1], guessed=True)


def debugger(_name: str, rest: Words) -> Iterator[Inner]:
    for place, each in enumerate(rest):
        if each.text in {"-ex", "-eval-command", "--eval-command"} and place + 1 < len(rest):
            yield Inner(script=re.sub(r"^(?:shell|!|pipe)\s*", "", rest[place + 1].text), guessed=True)
        if each.text == "--args" and rest[place + 1 :]:
            yield Inner(words=rest[place + 1 :])
