from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tickets.lint import lint

if TYPE_CHECKING:
    from collections.abc import Callable

    from tickets.model import Ticket

    MakeTicket = Callable[..., Ticket]

PATHS = ("src/a.py", "scripts/check", "tests/test_a.py")


def linted(ticket: Ticket, *links: str) -> list[str]:
    return lint(ticket, paths=PATHS, search_path=os.pathsep.join(("/usr/bin", "/bin")), known_links=links)


def run(command: object) -> dict[str, Any]:
    return {"acceptance": ({"run": command},)}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"scope": {"write": ("src/gone.py",)}}, "scope.write: 'src/gone.py' matches no file"),
        ({"scope": {"write": ("src/*.md",)}}, "scope.write: 'src/*.md' matches no file"),
        ({"scope": {"write": ("SRC/*",)}}, "scope.write: 'SRC/*' matches no file"),
        ({"scope": {"write": ("out/x",), "new": ("y",)}}, "leaves the repository through the symlink 'out'"),
        ({"scope": {"new": ("out",)}}, "leaves the repository through the symlink 'out'"),
        ({"non_goals": ()}, "non_goals: expected at least one"),
        ({"acceptance": ()}, "acceptance: expected at least one"),
        ({"tests": {"floor": 3}}, "tests.floor: a floor needs tests.select"),
        (run(("no-such-program",)), "acceptance.0: 'no-such-program' cannot be run"),
        (run(("scripts/gone",)), "acceptance.0: 'scripts/gone' cannot be run"),
        (run(("/no/such/program",)), "cannot be run"),
        (run("no-such-program --x"), "'no-such-program' cannot be run"),
        (run("echo 'unclosed"), "a shell line that parses"),
        (run("# nothing"), "not only a comment"),
        (run("sh -c x || true"), "can never fail"),
        (run("sh -c x  ||  :"), "can never fail"),
        (run("sh -c x; exit 0"), "can never fail"),
        (run(("sh", "-c", "x || true")), "can never fail: `|| true` swallows its exit code"),
        (run(("true",)), "can never fail"),
        ({"smoke": {"run": "echo fine"}}, "smoke: 'echo fine' can never fail"),
        ({"smoke": {"run": ("no-such-program",)}}, "smoke: 'no-such-program' cannot be run"),
    ],
)
def test_what_cannot_work_is_named(values: dict[str, Any], said: str, make_ticket: MakeTicket) -> None:
    base = {"acceptance": ({"run": ("sh", "-c", "x")},)}
    assert any(said in problem for problem in linted(make_ticket(**{**base, **values}), "out"))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"scope": {"write": ("src/*.py", "**/test_*.py")}},
        {"scope": {"new": ("not/there/yet.py",)}},
        {"scope": {"new": ("outside/x",)}},
        {"tests": {"select": ("tests/test_a.py",), "floor": 1}},
        run(("scripts/check",)),
        run(("./scripts/check", "--x")),
        run(("/bin/sh",)),
        run("sh -c x && echo done"),
        run("X=1 anything"),
        run("if true; then x; fi"),
        run("[ -f src/a.py ]"),
        {"smoke": {"run": "sh -c x"}},
        {"smoke": {"run": "echo x > src/a.py", "produces": ("src/a.py",)}},
    ],
)
def test_what_can_work_is_left_alone(values: dict[str, Any], make_ticket: MakeTicket) -> None:
    base = {"acceptance": ({"run": ("sh", "-c", "x")},)}
    assert linted(make_ticket(**{**base, **values}), "out") == []


def test_each_command_is_named_by_its_place(make_ticket: MakeTicket) -> None:
    ticket = make_ticket(acceptance=({"run": ("sh",)}, {"run": ("gone",)}))
    assert linted(ticket) == ["acceptance.1: 'gone' cannot be run: it is neither on the PATH nor a file at the base"]
