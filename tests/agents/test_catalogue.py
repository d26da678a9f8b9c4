from __future__ import annotations

from pathlib import Path

import pytest

from agents.catalogue import DRIVERS, driver
from tickets.errors import InputError
from tickets.policy import Agent, Policy, read_policy

TEXT = """
[agents.coder]
kind = "command"
command = ["my-agent", "--flag"]
[agents.actor]
kind = "scripted"
script = "play/script.yaml"
[agents.writer]
kind = "recipes"
[agents.later]
kind = "claude"
"""


@pytest.mark.parametrize(
    ("name", "kind", "foreign"),
    [
        ("coder", "command", True),
        ("actor", "scripted", True),
        ("writer", "recipes", False),
        ("recipes", "recipes", False),
    ],
)
def test_each_kind_has_its_driver(name: str, kind: str, foreign: bool) -> None:  # noqa: FBT001 - a table
    made = driver(read_policy(TEXT), name, Path("/repository"))
    assert (made.kind, made.runs_foreign_code) == (kind, foreign)


def test_every_driver_answers_what_the_protocol_asks() -> None:
    for kind, make in DRIVERS.items():
        made = make("x", Agent(kind=kind, command=("x",), script="s.yaml"), Path("/repository"))
        assert made.kind == kind
        assert callable(made.plan)
        assert callable(made.work)
        assert isinstance(made.probe().detail, str)


@pytest.mark.parametrize("kind", ["claude", "codex", "acp"])
def test_a_kind_without_a_driver_is_told_with_the_way_out(kind: str) -> None:
    policy = Policy(agents={"later": Agent(kind=kind)})
    if kind in DRIVERS:
        pytest.skip(f"{kind} has a driver by now")
    with pytest.raises(InputError, match=rf"agents\.later\.kind: '{kind}' has no driver.*command") as caught:
        driver(policy, "later", Path("/repository"))
    assert caught.value.exit_code == 2
