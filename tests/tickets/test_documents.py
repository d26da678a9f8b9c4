from __future__ import annotations

import json
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

from tickets.documents import MAX_NODES, Document, Strict, read_json, read_toml, read_yaml, validate
from tickets.errors import FileError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

LAUGHS = "\n".join(
    ["a: &a [x, x, x, x, x, x, x, x, x]"]
    + [
        f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]"
        for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    ]
)
YAML = """\
top: 1
# a comment
list:
  - one
  - key: two
    other: [3,
            4]
block: |
  text: no key
  more
after: {x: 1,
        y: 2}
"""
TOML = """\
version = 1
[project]
name = "x"  # [not.a.table]
"quoted key" = 1

[agents.coder]
command = [
  "a",
  ["b", "c"]
]
text = '''
[fake]
key = 1
'''
kind = "command"

[[checks]]
name = "one"
[[checks]]
name = "two"
run = { argv = ["x"], more = 1 }
[checks.sub]
deep = 1
[a.b.c]
d.e = 1
"""


class Record(Strict):
    number: int = 0
    ratio: float = 0.0
    words: tuple[str, ...] = ()


def refused(reader: Callable[[str, str], Document], text: str) -> Problem:
    with pytest.raises(FileError) as caught:
        reader(text, "the file")
    assert caught.value.exit_code == 2
    (problem,) = caught.value.problems
    assert problem.file == "the file"
    assert len(str(problem)) < 1000
    return problem


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("top",), 1),
        (("list",), 3),
        (("list", 0), 4),
        (("list", 1), 5),
        (("list", 1, "other"), 6),
        (("list", 1, "other", 1), 7),
        (("block",), 8),
        (("after",), 11),
        (("after", "y"), 12),
        (("list", 1, "missing"), 5),
        (("nowhere",), 1),
        ((), 1),
    ],
)
def test_yaml_keys_have_their_lines(key: tuple[str | int, ...], line: int) -> None:
    assert read_yaml(YAML, "x").line(key) == line
    assert read_yaml(YAML, "x", first_line=11).line(key) == (line + 10 if key not in {("nowhere",), ()} else 1)


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("version",), 1),
        (("project",), 2),
        (("project", "name"), 3),
        (("project", "quoted key"), 4),
        (("agents",), 6),
        (("agents", "coder"), 6),
        (("agents", "coder", "command", 1), 7),
        (("agents", "coder", "text"), 11),
        (("agents", "coder", "kind"), 15),
        (("checks", 0, "name"), 18),
        (("checks", 1), 19),
        (("checks", 1, "name"), 20),
        (("checks", 1, "run", "more"), 21),
        (("checks", 1, "sub", "deep"), 23),
        (("a",), 24),
        (("a", "b", "c", "d", "e"), 25),
    ],
)
def test_toml_keys_have_their_lines(key: tuple[str | int, ...], line: int) -> None:
    assert read_toml(TOML, "x").line(key) == line


@pytest.mark.parametrize("gap", ["", "\n", "\r\n\r\n"])
@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("request",), 1),
        (("tickets",), 2),
        (("tickets", 0), 2),
        (("tickets", 1), 3),
        (("tickets", 1, 'a]}\\"{'), 4),
        (("tickets", 1, "n", 1), 5),
        (("tickets", 1, "n", 2, "deep"), 6),
        (("last",), 7),
    ],
)
def test_json_keys_have_their_lines(key: tuple[str | int, ...], line: int, gap: str) -> None:
    text = '{"request": "r, [",\n"tickets": [{},\n{\n"a]}\\\\\\"{": null,\n"n": [true, -1.5e3,\n{"deep": "x"}]}],\n"last": {}}'
    assert read_json(gap + text, "x").line(key) == line + gap.count("\n")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: 2\na: 3", 3, "duplicate key"),
        ("x:\n  a: 1\n  a: 2", 3, "duplicate key"),
        ("a:\n\t- b", 2, "\\t"),
        ("a: b: c", 1, "mapping values"),
        ("a: 1\n---\nb: 2", 2, "another document"),
        ("a: [1, 2", 1, "expected"),
        ("ok: 1\nx: *gone", 2, "undefined alias"),
        ('ok: 1\nx: "\x01"', 2, "unacceptable character"),
        ("a: 2020-99-99", 1, "month"),
        ("a: " + "[" * 800, 1, ""),
        ("a: " + "{a: " * 5_000, 1, ""),
        ("&a [*a]", 1, "none inside itself"),
        (LAUGHS, 1, f"at most {MAX_NODES} values"),
        ("a: &a " + "x" * 1_000_000 + "\nb: [" + ", ".join(["*a"] * 2_000) + "]", 1, f"at most {MAX_NODES} values"),
    ],
)
def test_bad_yaml_is_refused_with_its_line_and_soon(text: str, line: int, said: str) -> None:
    begun = time.monotonic()
    problem = refused(read_yaml, text)
    assert said in problem.expected
    assert abs(problem.line - line) <= (1 if text.endswith("2") and "[" in text else 0)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a = 1\nb = ", 2, "TOML"),
        ("a = 1\n\na = 2", 3, "TOML"),
        ("[a]\n[b]\n[a]", 3, "TOML"),
        ('a = "x', 1, "TOML"),
        ("a = " + "[" * 5000 + "]" * 5000, 1, "recursion"),
        ("a = " + "9" * 5000, 1, "digits"),
    ],
)
def test_bad_toml_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    problem = refused(read_toml, text)
    assert said in problem.expected
    assert problem.line == line


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{"a": 1,\n"b"}', 2, "JSON"),
        ('{\n"a": 1,\n"a": 2}', 3, "each key once"),
        ('{"x": {"a": 1,\n"b": {"a": 1, "a": 1}}}', 2, "each key once"),
        ('{"a":' * 100_000, 1, "recursion"),
        ("[" * 100_000, 1, "recursion"),
        ('{"a": ' + "9" * 5000 + "}", 1, "digits"),
        ("", 1, "JSON"),
    ],
)
def test_bad_json_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    problem = refused(read_json, text)
    assert said in problem.expected
    assert problem.line == line


def test_the_same_key_in_two_objects_is_no_duplicate() -> None:
    assert read_json('{"a": {"x": 1}, "b": [{"x": 1}, {"x": 1}]}', "x").data["b"][1] == {"x": 1}


def test_a_yaml_tag_starts_nothing() -> None:
    data = read_yaml("a: !!python/object/apply:os.system ['false']", "x").data
    assert data == {"a": ["false"]}


def test_aliases_within_bounds_are_values_of_their_own() -> None:
    data = read_yaml("a: &a {x: [1]}\nb: *a\nc: &t true\nd: &n 7", "x").data
    assert data == {"a": {"x": [1]}, "b": {"x": [1]}, "c": True, "d": 7}
    assert data["c"] is True
    assert type(data["d"]) is int


@pytest.mark.parametrize(
    ("values", "key", "said"),
    [
        ({"number": "1"}, "number", "a valid integer, not '1'"),
        ({"number": True}, "number", "a valid integer, not True"),
        ({"number": 1.0}, "number", "a valid integer, not 1.0"),
        ({"ratio": "1"}, "ratio", "a valid number, not '1'"),
        ({"ratio": True}, "ratio", "a valid number, not True"),
        ({"ratio": float("nan")}, "ratio", "a finite number"),
        ({"ratio": float("inf")}, "ratio", "a finite number"),
        ({"words": "abc"}, "words", "a valid array"),
        ({"words": ["a", 1]}, "words.1", "a valid string, not 1"),
        ({"words": ["a", None]}, "words.1", "a valid string"),
        ({"odd": 1}, "odd", "no such key"),
        ({"number": 10**5000}, "", "bearable size"),
        ({"number": "x" * 10_000}, "number", "xxx..."),
    ],
)
def test_a_wrong_type_is_refused_by_name(values: dict[str, object], key: str, said: str) -> None:
    with pytest.raises(FileError) as caught:
        validate(Record, Document(name="x", data=values, lines={}))
    (problem,) = caught.value.problems
    assert problem.key == key
    assert said in problem.expected
    assert len(problem.expected) < 500


def test_an_integer_is_a_number_and_a_list_a_tuple() -> None:
    record = validate(Record, read_json(json.dumps({"ratio": 2, "words": ["a"]}), "x"))
    assert (record.ratio, record.words) == (2.0, ("a",))


def test_every_problem_is_told_at_once_in_one_line_each() -> None:
    text = textwrap.dedent("""\
        number: x
        ratio: y
        odd: z
        """)
    with pytest.raises(FileError) as caught:
        validate(Record, read_yaml(text, "r.yaml"))
    assert sorted(str(caught.value).splitlines()) == [
        "r.yaml:1: number: expected a valid integer, not 'x'",
        "r.yaml:2: ratio: expected a valid number, not 'y'",
        "r.yaml:3: odd: no such key",
    ]
