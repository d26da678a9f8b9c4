"""Pieces that the tickets of several recipes have in common."""

from __future__ import annotations

from typing import Any

QUICK_S = 120.0  # several times what the commands take on an idle machine: importing torch is most of it
SMOKE_S = 90.0
HOME = ".hub"  # ignored by git, and gone with the tree


def command(*words: str, timeout_s: float = QUICK_S) -> dict[str, Any]:
    return {"run": list(words), "timeout_s": timeout_s}


def hub(*words: str, timeout_s: float = QUICK_S) -> dict[str, Any]:
    return command("python", "-m", "experiment_hub", *words, timeout_s=timeout_s)


def passes(test: str) -> dict[str, Any]:
    return command("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", test)


def program(*statements: str) -> dict[str, Any]:
    return command("python", "-c", "; ".join(statements))


def smoke(config: str) -> dict[str, Any]:
    run = hub("run", config, "--smoke", "--json", "--home", HOME, timeout_s=SMOKE_S)
    return {**run, "produces": [f"{HOME}/runs/*/metrics.json", f"{HOME}/hub.sqlite"]}


def risk(*, cost: str, perf: str = "none: nothing that exists changes") -> dict[str, str]:
    return {"cost": cost, "perf": perf, "security": "none: no input from outside, no network, no new dependency"}


def selection(tests: list[str], floor: int) -> dict[str, Any]:
    """Select tests that stand already or that the ticket adds; a repository without any selects nothing."""
    return {"select": tests, "floor": floor} if tests else {}
