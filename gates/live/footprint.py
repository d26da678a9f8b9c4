"""Which files a program of a command line writes, removes and reads, as far as its arguments say so."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from gates.live.words import Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gates.live.shell import Step

_PATCHED = re.compile(
    r"^\*\*\* (?:Add File|Update File|Delete File|Move to): (.+?)\s*$|^\+\+\+ (?:b/)?([^\t\n]+)|^--- (?:a/)([^\t\n]+)",
    re.MULTILINE,
)
_READERS = frozenset(
    [
        "cat",
        "tac",
        "less",
        "more",
        "head",
        "tail",
        "nl",
        "od",
        "xxd",
        "hexdump",
        "strings",
        "base64",
        "base32",
        "sort",
        "uniq",
        "cut",
        "wc",
        "tr",
        "diff",
        "cmp",
        "comm",
        "paste",
        "column",
        "fold",
        "fmt",
        "jq",
        "yq",
        "bat",
        "view",
        "awk",
        "gawk",
        "mawk",
        "sed",
        "grep",
        "egrep",
        "fgrep",
        "rg",
        "zcat",
        "zgrep",
        "source",
        ".",
        "file",
        "md5sum",
        "sha256sum",
    ]
)
_SCRIPT_FIRST = frozenset({"grep", "egrep", "fgrep", "rg", "zgrep", "sed", "awk", "gawk", "mawk", "jq", "yq"})
_SCRIPT_OPTION = re.compile(r"-[A-Za-z]*[ef]|--(?:expression|file|regexp)(?:=.*)?")


def operands(step: Step, values: str = "") -> Iterator[Word]:
    """Give the arguments that are no options; `values` are letters of options whose value is a word of its own."""
    options, skip = True, False
    for each in step.arguments:
        if skip:
            skip = False
        elif options and each.text == "--":
            options = False
        elif options and each.text.startswith("-") and each.text != "-":
            skip = not each.text.startswith("--") and each.text[-1] in values
        else:
            yield each


def written(step: Step) -> Iterator[Word]:
    """Give the files that a step writes: by redirection, and by what its program is."""
    yield from step.writes
    if writer := _WRITERS.get(step.name):
        yield from writer(step)


def removed(step: Step) -> Iterator[Word]:
    """Give what a step removes."""
    if step.name in {"rm", "unlink", "shred", "srm", "trash", "rimraf"}:
        # `{}` is judged with the `find` around it
        yield from (each for each in operands(step, "ns" if step.name == "shred" else "") if each.text != "{}")
    elif step.name in {"find", "gfind"} and _sweeps(step):
        yield from searched(step)


def folders(step: Step) -> Iterator[Word]:
    """Give the folders that a step makes or removes while they are empty: no change of a tree, but of other places."""
    if step.name in {"mkdir", "rmdir"}:
        yield from operands(step, "m")


def read(step: Step) -> Iterator[Word]:
    """Give the files that a step reads."""
    yield from step.reads
    if step.name in _READERS:
        given = list(operands(step, "nmABCcdfFktse" if step.name not in {"cat", "less"} else ""))
        scripted = step.name in _SCRIPT_FIRST and not any(
            _SCRIPT_OPTION.fullmatch(each.text) for each in step.arguments
        )
        yield from given[1:] if scripted else given
    elif step.name in {"cp", "scp", "rsync", "mv", "ln", "install"}:
        yield from list(operands(step, "tSgmo"))[:-1]


def searched(step: Step) -> list[Word]:
    """Give the folders that `find` looks through."""
    found: list[Word] = []
    for each in step.arguments:
        if each.text in {"-H", "-L", "-P"}:
            continue
        if each.text.startswith(("-", "(", "!")):
            break
        found.append(each)
    return found or [Word(".")]


def narrowed(step: Step) -> bool:
    """Say whether `find` looks for some files only."""
    return any(re.fullmatch(r"-(?:i?name|i?path|i?regex|newer\w*|[acm]time|[acm]min)", x.text) for x in step.arguments)


def is_recursive(step: Step) -> bool:
    return any(
        each.text == "--recursive" or re.fullmatch(r"-[A-Za-z]*[rR][A-Za-z]*", each.text) for each in step.arguments
    )


def patched(text: str) -> list[str]:
    """Give the paths that a patch names, in the format of `diff -u` or of `apply_patch`."""
    paths = [next(filter(None, groups)).strip() for groups in _PATCHED.findall(text)]
    return [path for path in dict.fromkeys(paths) if path != "/dev/null"]


def _sweeps(step: Step) -> bool:
    texts = [each.text for each in step.arguments]
    starts = [texts[at + 1] for at, text in enumerate(texts[:-1]) if text in {"-exec", "-execdir", "-ok", "-okdir"}]
    return "-delete" in texts or any(posixpath.basename(start) in {"rm", "unlink", "shred"} for start in starts)


def _all(step: Step) -> Iterator[Word]:
    return operands(step, "sdrtno")


def _value(step: Step, *names: str) -> Word | None:
    """Give the value of an option, attached or as the next word."""
    for place, each in enumerate(step.arguments):
        if each.text in names:
            return next(iter(step.arguments[place + 1 :]), None)
        for name in names:
            if each.text.startswith(f"{name}=" if name.startswith("--") else name) and not each.text.startswith("---"):
                return Word(each.text.removeprefix(name).removeprefix("="), each.computed, each.names, each.pattern)
    return None


def _copied(step: Step) -> Iterator[Word]:
    given = list(operands(step, "tSgmoe"))
    folder = _value(step, "-t", "--target-directory")
    if folder is not None:
        yield from (_inside(folder, each) for each in given)
    elif len(given) > 1:
        *sources, target = given
        if len(sources) > 1 or target.text.endswith("/") or posixpath.basename(target.text) in {".", ".."}:
            yield from (_inside(target, each) for each in sources)
        elif step.name not in {"scp", "rsync"} or ":" not in target.text:
            yield target
    elif step.name == "ln" and given:
        yield _inside(Word("."), given[0])


def _inside(folder: Word, source: Word) -> Word:
    name = posixpath.basename(source.text.rstrip("/")) or "*"
    computed = folder.computed or source.computed
    return Word(
        posixpath.join(folder.text, name), computed, (*folder.names, *source.names), folder.pattern or source.pattern
    )


def _moved(step: Step) -> Iterator[Word]:
    given = list(operands(step, "tS"))
    yield from given[:-1] if _value(step, "-t", "--target-directory") is None else given
    yield from _copied(step)


def _in_place(step: Step) -> Iterator[Word]:
    if any(re.match(r"-[nErsuz]*i|--in-place", each.text) for each in step.arguments):
        given = list(operands(step, "efl"))
        scripted = any(_SCRIPT_OPTION.fullmatch(each.text) for each in step.arguments)
        yield from given if scripted else given[1:]


def _perl(step: Step) -> Iterator[Word]:
    if any(re.match(r"-[A-Za-z0]*i", each.text) for each in step.arguments):
        yield from operands(step, "eE")


def _dd(step: Step) -> Iterator[Word]:
    for each in step.arguments:
        if each.text.startswith("of="):
            yield Word(each.text.removeprefix("of="), each.computed, each.names, each.pattern)


def _saved(step: Step) -> Iterator[Word]:
    target = _value(step, *(("-O", "--output-document") if step.name == "wget" else ("-o", "--output")))
    if target is not None and target.text != "-":
        yield target


def _after_first(step: Step) -> Iterator[Word]:
    yield from list(operands(step))[1:]


def _patch(step: Step) -> Iterator[Word]:
    yield from map(Word, patched(step.fed))
    if step.name == "patch":
        yield from list(operands(step, "pdioBDFrVYz"))[:1]
    else:
        yield from (Word(path) for each in step.arguments for path in patched(each.text))


_WRITERS: dict[str, Callable[[Step], Iterator[Word]]] = {
    **dict.fromkeys(("tee", "touch", "truncate", "sponge", "mkfifo", "mknod", "fallocate", "ed", "ex"), _all),
    **dict.fromkeys(("cp", "install", "ln", "link", "rsync", "scp", "gcp"), _copied),
    **dict.fromkeys(("mv", "rename"), _moved),
    **dict.fromkeys(("sed", "gsed"), _in_place),
    **dict.fromkeys(("chmod", "chown", "chgrp"), _after_first),
    **dict.fromkeys(("patch", "apply_patch", "applypatch"), _patch),
    **dict.fromkeys(("curl", "wget", "sort"), _saved),
    "perl": _perl,
    "dd": _dd,
}
