"""Programs that start other programs: what stands behind `env`, `sudo`, `xargs`, `bash -c`, `python -c` and their like."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from gates.live import interpreters
from gates.live.interpreters import SHELLS, Inner
from gates.live.words import UNKNOWN, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Words = tuple[Word, ...]


_ASSIGNED = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_LOADER = re.compile(r"ld(?:-linux[\w.-]*|\.so[\w.]*|-musl[\w.-]*)")
_BEFORE: dict[str, tuple[str, int]] = {
    "sudo": ("ughpCrtTUDR", 0),
    "doas": ("uC", 0),
    "timeout": ("ks", 1),
    "gtimeout": ("ks", 1),
    "nice": ("n", 0),
    "ionice": ("cn", 0),
    "chrt": ("TPD", 1),
    "taskset": ("", 1),
    "nohup": ("", 0),
    "setsid": ("", 0),
    "stdbuf": ("ioe", 0),
    "unbuffer": ("", 0),
    "time": ("fo", 0),
    "builtin": ("", 0),
    "exec": ("a", 0),
    "coproc": ("", 0),
    "noglob": ("", 0),
    "busybox": ("", 0),
    "toybox": ("", 0),
    "strace": ("oePpsSaEuX", 0),
    "ltrace": ("oeppsSanluFxX", 0),
    "setarch": ("", 0),
    "linux32": ("", 0),
    "linux64": ("", 0),
    "chroot": ("", 1),
    "unshare": ("SGw", 0),
    "nsenter": ("tSGw", 0),
    "setpriv": ("", 0),
    "runuser": ("ugG", 0),
    "faketime": ("", 1),
    "proxychains": ("f", 0),
    "torsocks": ("", 0),
    "catchsegv": ("", 0),
    "dbus-run-session": ("", 0),
    "xvfb-run": ("nsfewp", 0),
    "caffeinate": ("tw", 0),
    "prlimit": ("", 0),
    "choom": ("n", 0),
    "systemd-run": ("puM", 0),
    "systemd-inhibit": ("", 0),
    "fakeroot": ("lsbi", 0),
    "winpty": ("", 0),
    "npx": ("p", 0),
    "bunx": ("", 0),
    "uvx": ("p", 0),
    "entr": ("", 0),
    "direnv": ("", 2),
    "valgrind": ("", 0),
    "perf": ("eoFp", 0),
}
"""Programs that run the rest of their line, the letters of options that take a value, and how many words come before it."""
_RUNS_ALONE = frozenset({"env", "sudo", "nohup", "timeout", "nice", "time", "exec", "command"})
_RUN_VERB: dict[str, tuple[tuple[str, ...], str]] = {
    "uv": (("run",), "p"),
    "poetry": (("run",), "C"),
    "pdm": (("run",), "p"),
    "pipenv": (("run",), ""),
    "hatch": (("run",), "e"),
    "rye": (("run",), ""),
    "pipx": (("run",), ""),
    "tox": (("exec",), "e"),
    "pixi": (("run",), "e"),
    "conda": (("run",), "np"),
    "mamba": (("run",), "np"),
    "micromamba": (("run",), "np"),
    "npm": (("exec", "x"), "c"),
    "pnpm": (("exec", "dlx"), ""),
    "yarn": (("exec", "dlx"), ""),
}
"""Programs that do so after one of these verbs."""
_AWK = frozenset({"awk", "gawk", "mawk", "nawk"})


def inside(words: Words, *, fed: str, piped: bool) -> Iterator[Inner]:
    """Give what a command starts; `fed` is its standard input where that is known, `piped` says that it has another's."""
    name, rest = posixpath.basename(words[0].text), words[1:]
    if name in SHELLS:
        yield from interpreters.shell(name, rest, fed=fed, piped=piped)
    elif interpreters.PYTHON.fullmatch(name):
        yield from interpreters.python(name, rest, fed=fed, piped=piped)
    elif name in interpreters.OTHERS:
        yield from interpreters.other(name, rest, fed)
    elif name in {"xargs", "parallel"}:
        yield from _from_list(name, rest, fed=fed)
    elif name in {"source", "."}:
        yield from interpreters.sourced(name, rest[0], fed=fed) if rest else ()
    elif name in _BY_NAME:
        yield from _BY_NAME[name](name, rest)
    elif name in _BEFORE:
        values, before = _BEFORE[name]
        yield from _words(_after_options(rest, values, before))
    elif name in _RUN_VERB:
        yield from _verb(name, rest)
    elif _LOADER.fullmatch(name):
        yield from _words(_after_options(rest, ""))


def _words(words: Words) -> Iterator[Inner]:
    if words:
        yield Inner(words=words)


def _after_options(rest: Words, values: str, before: int = 0) -> Words:
    """Give what follows the options, assignments and the first operands; `values` are letters of options with a value."""
    place = 0
    while place < len(rest):
        text = rest[place].text
        if text == "--":
            place += 1
            break
        if _ASSIGNED.fullmatch(text):
            place += 1
        elif text.startswith("-") and text != "-":
            place += 2 if len(text) == 2 and text[1] in values else 1  # noqa: PLR2004 - a dash and its letter
        else:
            break
    return rest[place + before :]


def _from_list(name: str, rest: Words, *, fed: str) -> Iterator[Inner]:
    """Judge what `xargs` starts: the words that it adds are known only where they stand in the line."""
    command = _after_options(rest, "adEILnPs" if name == "xargs" else "jnNIa")
    if command and command[0].text in {":::", "::::"}:
        yield from (Inner(script=each.text) for each in command[1:])
        return
    more = tuple(Word(text) for text in fed.split()) or (Word(UNKNOWN, f"what `{name}` reads"),)
    given = tuple(each for each in command if each.text != ":::")
    program = posixpath.basename(given[0].text) if given else ""
    if not fed and (program in {*SHELLS, *_RUNS_ALONE} if len(given) == 1 else not given and name == "parallel"):
        problem = f"`{name} {program}` would run what another program prints, which nobody can know beforehand"
        yield Inner(problem=problem)
    elif any(each.text == "{}" for each in given):
        yield Inner(words=tuple(part for each in given for part in (more if each.text == "{}" else (each,))))
    elif fed or (program == "rm" and any(re.match(r"-\w*[rR]|--rec", each.text) for each in given)):
        yield Inner(words=(*(given or (Word("echo"),)), *more))
    else:  # many a harmless command changes the files of a list: they are judged by what is left behind
        yield from _words(given)


def _environment(_name: str, rest: Words) -> Iterator[Inner]:
    for place, each in enumerate(rest):
        if each.text in {"-S", "--split-string"} and place + 1 < len(rest):
            yield Inner(script=" ".join(more.text for more in rest[place + 1 :]))
            return
        if re.match(r"(?:-[a-zA-Z]*S|--split-string=)", each.text):
            first = re.sub(r"^(?:-[a-zA-Z]*S|--split-string=)", "", each.text)
            yield Inner(script=" ".join([first, *(more.text for more in rest[place + 1 :])]))
            return
    yield from _words(_after_options(rest, "uC"))


def _command(_name: str, rest: Words) -> Iterator[Inner]:
    if not any(re.fullmatch(r"-[pvV]*[vV][pvV]*", each.text) for each in rest):  # these only ask where it is
        yield from _words(_after_options(rest, ""))


def _evaluated(name: str, rest: Words) -> Iterator[Inner]:
    if any(each.computed for each in rest):
        problem = f"the words of `{name}` are computed; write the command out"
        yield Inner(problem=problem)
    elif rest:
        yield Inner(script=" ".join(each.text for each in rest))


def _trap(_name: str, rest: Words) -> Iterator[Inner]:
    words = _after_options(rest, "")
    if len(words) > 1 and words[0].text not in {"", "-"}:
        yield Inner(script=words[0].text)


def _alias(_name: str, rest: Words) -> Iterator[Inner]:
    for each in rest:
        if "=" in each.text:
            yield Inner(script=each.text.partition("=")[2], guessed=True)


def _as_user(_name: str, rest: Words) -> Iterator[Inner]:
    for place, each in enumerate(rest[:-1]):
        if each.text in {"-c", "--command"}:
            yield from interpreters.script("su -c", rest[place + 1])


def _with_option_or_rest(name: str, rest: Words) -> Iterator[Inner]:
    """Judge `flock FILE command`, `script -c 'command'` and `watch command`."""
    for place, each in enumerate(rest[:-1]):
        if re.fullmatch(r"-[A-Za-z]*c|--command", each.text):
            yield from interpreters.script(f"{name} -c", rest[place + 1])
            return
    if name == "flock":
        yield from _words(_after_options(rest, "wE", 1))
    elif name == "watch" and (words := _after_options(rest, "n")):
        yield Inner(script=" ".join(each.text for each in words))


def _found_files(name: str, rest: Words) -> Iterator[Inner]:
    starters = {"-exec", "-execdir", "-ok", "-okdir"} if name == "find" else {"-x", "-X", "--exec", "--exec-batch"}
    for place, each in enumerate(rest):
        if each.text in starters:
            words = rest[place + 1 :]
            end = next((at for at, more in enumerate(words) if more.text in {";", "+"}), len(words))
            # what it finds is judged with the folder that it looks through
            yield from _words(tuple(Word(more.text) for more in words[:end]))


def _remote(_name: str, rest: Words) -> Iterator[Inner]:
    words = _after_options(rest, "bcDEeFIiJLlmOopQRSWw", 1)
    if words:
        yield Inner(script=" ".join(each.text for each in words))


def _archive(_name: str, rest: Words) -> Iterator[Inner]:
    """Judge the commands that `tar`, `rsync`, `sort` and others take in an option."""
    pattern = r"--(?:checkpoint-action=exec=|to-command=|use-compress-program=|rsh=|compress-program=|rsync-path=)(.*)"
    for place, each in enumerate(rest):
        if match := re.fullmatch(pattern, each.text, re.DOTALL):
            yield Inner(script=match[1])
        elif each.text in {"-I", "-e", "--to-command", "--use-compress-program", "--rsh"} and place + 1 < len(rest):
            yield Inner(script=rest[place + 1].text, guessed=True)


def _verb(name: str, rest: Words) -> Iterator[Inner]:
    verbs, values = _RUN_VERB[name]
    after = _after_options(rest, values)
    if after and after[0].text in verbs:
        words = _after_options(after[1:], values)
        yield from _words(words)


_BY_NAME: dict[str, Callable[[str, Words], Iterator[Inner]]] = {
    "env": _environment,
    "command": _command,
    "eval": _evaluated,
    "trap": _trap,
    "alias": _alias,
    "su": _as_user,
    "flock": _with_option_or_rest,
    "script": _with_option_or_rest,
    "watch": _with_option_or_rest,
    "find": _found_files,
    "gfind": _found_files,
    "fd": _found_files,
    "fdfind": _found_files,
    "ssh": _remote,
    "tar": _archive,
    "rsync": _archive,
    "sort": _archive,
    "sed": interpreters.sed,
    "gsed": interpreters.sed,
    "gdb": interpreters.debugger,
    **dict.fromkeys(_AWK, interpreters.awk),
}
