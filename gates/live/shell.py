"""Command lines as data: every program that a line starts, with what is fed to it and where it writes.

Parsed by tree-sitter's grammar of bash. Nothing is run and no file is looked at; a line that cannot be read to the end,
or that computes the name of a program, has a `problem`.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from gates.live import wrappers
from gates.live.words import UNKNOWN, Word, source, word

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tree_sitter import Language, Node

    from gates.live.interpreters import Inner

LONGEST = 512 * 1024
SHORT = 8 * 1024
DEEPEST = 100
MOST_STEPS = 2000
MOST_ROUNDS = 16
"""Values of a loop that are followed one by one."""
_CONTINUED = re.compile(r"(?<!\\)((?:\\\\)*)\\\n")
_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Step:
    """One program that is started, or one place that is written or read."""

    words: tuple[Word, ...] = ()
    """The program and its arguments; empty for a bare redirection."""
    writes: tuple[Word, ...] = ()
    """Files that redirections write."""
    reads: tuple[Word, ...] = ()
    fed: str = ""
    """What it reads on its standard input, where that stands in the line itself."""
    piped: bool = False
    """Its standard input is another program's output."""
    cwd: str | None = ""
    """Folder it starts in, relative to the line's own; None where that cannot be known."""
    guessed: bool = False
    """Read out of a string in another language: it may never be started."""
    name: str = field(init=False)
    """Of the program, without its folder."""

    def __post_init__(self) -> None:
        name = self.words[0].text.rpartition("/")[2] if self.words else ""
        object.__setattr__(self, "name", name)  # asked for at every turn

    @property
    def arguments(self) -> tuple[Word, ...]:
        return self.words[1:]


@dataclass(frozen=True, kw_only=True)
class Reading:
    steps: tuple[Step, ...]
    problem: str = ""
    """Why the line cannot be judged; empty where it can."""


def read(command: str) -> Reading:
    """Read a command line; the answer is kept for a while, as several gates ask for it."""
    return (_read_short if len(command) <= SHORT else _read_long)(command)


def _read(command: str) -> Reading:
    reader = _Reader()
    reader.script(command)
    return Reading(steps=tuple(reader.steps), problem=reader.problem)


_read_short, _read_long = lru_cache(maxsize=512)(_read), lru_cache(maxsize=4)(_read)


@cache
def _language() -> Language:
    import tree_sitter_bash
    from tree_sitter import Language

    return Language(tree_sitter_bash.language())


def _parse(text: str) -> Node:
    from tree_sitter import Parser

    if "\\\n" in text:
        text = _CONTINUED.sub(r"\1", text)
    return Parser(_language()).parse(text.encode(errors="replace")).root_node


def _trouble(node: Node) -> str:
    """Give the text at which the parser gave up."""
    while inner := next((child for child in node.children if child.has_error and not child.is_error), None):
        node = inner
    wrong = next((child for child in node.children if child.is_error or child.is_missing), node)
    text = source(wrong).strip() or source(node).strip()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _said(steps: Sequence[Step]) -> str:
    """Give what the last step prints, where that is known."""
    if len(steps) != 1:
        return ""
    step = steps[0]
    if step.name in {"echo", "printf"} and not any(each.computed for each in step.arguments):
        return " ".join(each.text for each in step.arguments if each.text not in {"-e", "-n", "%s", "%s\\n", "--"})
    return step.fed if step.name in {"cat", "tee"} else ""


class _Reader:
    """Walks over one line and whatever lines are hidden in its words."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.problem = ""
        self.cwd: str | None = ""
        self.depth = 0
        self.values: dict[str, Word] = {}
        self.visitors: dict[str, Callable[[Node, Step], None]] = {
            "command": self.command,
            "declaration_command": self.declaration,
            "redirected_statement": self.redirected,
            "pipeline": self.pipeline,
            "function_definition": self.function,
            "variable_assignment": self.assignment,
            "for_statement": self.loop,
            "subshell": self.apart,
            "command_substitution": self.apart,
            "process_substitution": self.apart,
        }

    def script(self, text: str) -> None:
        """Read a whole line, with whatever it is nested in."""
        if len(text) > LONGEST:
            self.refuse(f"the command is longer than {LONGEST >> 10} KiB; write the data to a file with your edit tool")
            return
        root = _parse(text)
        if root.has_error:
            self.refuse(f"the command cannot be parsed near `{_trouble(root)}`; write it in a simpler way")
        self.visit(root, Step())

    def refuse(self, why: str) -> None:
        self.problem = self.problem or why

    def visit(self, node: Node, feed: Step) -> None:
        if self.depth >= DEEPEST or len(self.steps) > MOST_STEPS:
            self.refuse("the command is nested too deeply to be judged; split it into several")
            return
        self.depth += 1
        try:
            self.visitors.get(node.type, self.block)(node, feed)
        finally:
            self.depth -= 1

    def block(self, node: Node, feed: Step) -> None:
        for child in node.named_children:
            self.visit(child, feed)

    def apart(self, node: Node, feed: Step) -> None:
        """Visit what has a working folder and variables of its own."""
        cwd, values = self.cwd, dict(self.values)
        self.block(node, feed)
        self.cwd, self.values = cwd, values

    def pipeline(self, node: Node, feed: Step, redirects: list[Node] | None = None) -> None:
        *before, last = node.named_children
        for child in before:
            begin = len(self.steps)
            self.visit(child, feed)
            feed = Step(piped=True, fed=_said(self.steps[begin:]))
        self.redirect_last(last, feed, redirects or [])

    def function(self, node: Node, feed: Step) -> None:
        name, begin = source(node.named_children[0]), len(self.steps)
        self.apart(node, feed)
        if sum(step.name == name for step in self.steps[begin:]) > 1:
            self.refuse(f"the function `{name}` starts itself several times over; write a loop")

    def assignment(self, node: Node, _feed: Step) -> None:
        self.nested(node)
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is not None:
            key = source(name)
            given = Word("") if value is None else word(value, self.values)
            same = key not in self.values or self.values[key] == given
            # assigned twice, maybe in a branch or a loop: it can hold either
            self.values[key] = given if same else Word(UNKNOWN, f"${key}", (key,))

    def loop(self, node: Node, feed: Step) -> None:
        name, body = node.child_by_field_name("variable"), node.child_by_field_name("body")
        if name is None or body is None:
            self.block(node, feed)
            return
        self.nested_in(node.children_by_field_name("value"))
        values = [word(value, self.values) for value in node.children_by_field_name("value")]
        key, unknown = source(name), Word(UNKNOWN, f"${source(name)}", (source(name),))
        clear = 0 < len(values) <= MOST_ROUNDS and not any(value.computed for value in values)
        for value in values if clear else [unknown]:
            self.values[key] = value
            self.visit(body, feed)
        self.values[key] = unknown

    def redirected(self, node: Node, feed: Step) -> None:
        body = node.child_by_field_name("body")
        redirects = node.children_by_field_name("redirect")
        if body is None:
            self.around(node, feed, redirects)
        else:
            self.redirect_last(body, feed, redirects)

    def redirect_last(self, node: Node, feed: Step, redirects: list[Node]) -> None:
        """Visit with redirections; the parser hangs them on `a && b`, where a shell gives them to `b` alone."""
        if not redirects:
            self.visit(node, feed)
        elif node.type == "command":
            self.command(node, feed, redirects)
        elif node.type == "pipeline":
            self.pipeline(node, feed, redirects)
        elif node.type in {"list", "negated_command"}:
            *before, last = node.named_children
            for child in before:
                self.visit(child, feed)
            self.redirect_last(last, feed, redirects)
        else:
            self.around(node, feed, redirects)

    def around(self, node: Node, feed: Step, redirects: list[Node]) -> None:
        """Visit a whole block with redirections."""
        step = self.redirect(redirects, feed)
        if step.writes or step.reads:
            self.steps.append(replace(step, cwd=self.cwd))
        if node.type != "redirected_statement":
            self.visit(node, replace(step, writes=(), reads=()))
        self.after(redirects, step)

    def command(self, node: Node, feed: Step, redirects: list[Node] | None = None) -> None:
        parts = [child for child in node.named_children if child.type != "variable_assignment"]
        around = [*(redirects or []), *(part for part in parts if part.type.endswith("_redirect"))]
        words = [part for part in parts if not part.type.endswith("_redirect")]
        if around:
            words += [more for one in around for more in one.children_by_field_name("argument")]
            feed = self.redirect(around, feed)
        self.nested(node)
        given = tuple(word(part, self.values) for part in words)
        before = len(self.steps)
        self.add(Step(words=given, writes=feed.writes, reads=feed.reads, fed=feed.fed, piped=feed.piped, cwd=self.cwd))
        if around:
            self.after(around, self.steps[before])

    def declaration(self, node: Node, feed: Step) -> None:
        self.block(node, feed)
        self.add(Step(words=tuple(map(Word, source(node).split())), cwd=self.cwd))

    def nested(self, node: Node) -> None:
        """Visit the substitutions in the words of a node."""
        text = node.text or b""
        if b"(" in text or b"`" in text:
            self.nested_in(node.children)

    def nested_in(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            text = node.text or b""
            if b"(" not in text and b"`" not in text:
                continue
            if node.type in {"command_substitution", "process_substitution"}:
                self.visit(node, Step())
            else:
                self.nested_in(node.children)

    def redirect(self, redirects: list[Node], feed: Step) -> Step:
        for node in redirects:
            if node.type == "heredoc_redirect":
                bodies = [child for child in node.named_children if child.type == "heredoc_body"]
                self.nested_in(bodies)
                feed = replace(feed, fed="".join(map(source, bodies)), piped=False)
                feed = self.redirect(node.children_by_field_name("redirect"), feed)
            elif node.type == "herestring_redirect":
                self.nested(node)
                given = word(node.named_children[-1], self.values)
                feed = replace(feed, fed="" if given.computed else given.text, piped=bool(given.computed))
            elif (place := node.child_by_field_name("destination")) is not None:
                self.nested(node)
                feed = self.file(node, place, feed)
        return feed

    def file(self, node: Node, place: Node, feed: Step) -> Step:
        operator = next((child.type for child in node.children if not child.is_named), ">")
        if operator in {">&", "<&", ">&-", "<&-"} and re.fullmatch(r"[\d-]+", source(place)):
            return feed
        target = word(place, self.values)
        if operator.startswith("<") and operator != "<>":
            fed_by_program = place.type == "process_substitution"
            return replace(feed, reads=(*feed.reads, target), piped=fed_by_program, fed="")
        return replace(feed, writes=(*feed.writes, target))

    def after(self, redirects: list[Node], step: Step) -> None:
        """Visit what the parser hangs below a heredoc: the rest of its line."""
        for node in redirects:
            for child in node.named_children if node.type == "heredoc_redirect" else ():
                if child.type == "pipeline":
                    self.visit(child, Step(piped=True, fed=_said([step])))
                elif child.type in {"list", "command", "redirected_statement"}:
                    self.visit(child, Step())

    def add(self, step: Step) -> None:
        """Keep a step, and whatever it starts in its turn."""
        self.steps.append(step)
        if not step.words:
            return
        if step.words[0].unclear:
            shown = step.words[0].computed or step.words[0].text
            self.refuse(f"the name of the program is computed (`{shown[:_SHOWN]}`); write it out")
            return
        if self.depth >= DEEPEST:
            self.refuse("the command is nested too deeply to be judged; split it into several")
            return
        self.moved(step)
        self.depth += 1
        for inner in wrappers.inside(step.words, fed=step.fed, piped=step.piped):
            self.unwrap(step, inner)
        self.depth -= 1

    def moved(self, step: Step) -> None:
        if step.name in {"cd", "pushd"}:
            target = next((each for each in step.arguments if not re.fullmatch(r"-[LPe@n]+|--", each.text)), None)
            known = target is not None and not target.unclear and target.text != "-" and self.cwd is not None
            self.cwd = posixpath.join(self.cwd or "", target.text) if target is not None and known else None
            if target is None:
                self.cwd = "$HOME"
        elif step.name == "popd":
            self.cwd = None
        elif step.name in {"read", "mapfile", "readarray", "printf", "getopts"}:
            for each in step.arguments:
                self.values.pop(each.text, None)

    def unwrap(self, step: Step, inner: Inner) -> None:
        if inner.problem:
            self.refuse(inner.problem)
        elif inner.guessed:
            other = _Reader()
            other.depth, other.cwd = self.depth, self.cwd
            other.steps_from(step, inner)
            self.steps += [replace(each, guessed=True) for each in other.steps]
        else:
            self.steps_from(step, inner)

    def steps_from(self, step: Step, inner: Inner) -> None:
        if inner.words:
            self.add(replace(step, words=inner.words, writes=(), reads=()))
        if inner.script:
            cwd = self.cwd
            self.script(inner.script)
            self.cwd = self.cwd if step.name == "eval" else cwd
