from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from agents.catalogue import DRIVERS, driver
from tickets.agents import Agent, AgentKind
from tickets.policy import read_policy

TEXT = """
[agents.coder]
kind = "command"
command = ["my-agent", "--flag"]
[agents.actor]
kind = "scripted"
script = "play/script.yaml"
[agents.writer]
kind = "recipes"
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
        settings = {
            "command": ("x",),
            "script": "s.yaml",
            "recordings": "r",
            "base_url": "http://127.0.0.1:9",
            "model": "m",
        }
        made = make("x", Agent.model_validate({"kind": kind, **settings}), Path("/repository"))
        assert made.kind == kind
        assert callable(made.plan)
        assert callable(made.work)
        assert isinstance(made.probe().detail, str)


def test_every_kind_that_the_configuration_knows_has_a_driver() -> None:
    assert set(DRIVERS) == set(get_args(AgentKind))
