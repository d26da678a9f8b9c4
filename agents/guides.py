"""Guide files that coding clients read by themselves, written from the same blocks as the briefs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.brief import report_form

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agents.roles.model import Role
    from tickets.policy import Policy

CLIENTS = {"claude": "CLAUDE.md", "codex": "AGENTS.md", "generic": ""}
"""The file that each client reads in a repository; a generic one has no name of its own."""
MARK = "<!-- Written by `orchestrate agents render"
"""How the first line of a guide begins that may be written again."""


@dataclass(frozen=True, kw_only=True)
class House:
    """What a guide says of the repository it is for."""

    policy: Policy
    protected: tuple[str, ...]
    gates: Mapping[str, str]
    """What each gate is about, in one sentence."""


def guide(role: Role, client: str, house: House) -> str:
    """Write the guide of a role for a client, ending in one line break."""
    again = f"{MARK} {role.name} --for {client}`. Change the role or orchestrate.toml, then write it again. -->"
    parts = [
        again,
        f"# Guide for the {role.name} of {house.policy.project.name}",
        f"The {role.name} {role.purpose[0].lower()}{role.purpose[1:]}",
        role.text,
        "\n".join(_repository(role, house)) if "repository" in {part.name for part in role.sees} else "",
        "\n".join(_gates(role, house)),
        report_form(role) if "report" in role.gates else "",
        "\n".join(_hand_overs(role)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def written_by_us(text: str) -> bool:
    return text.startswith(MARK)


def _repository(role: Role, house: House) -> Iterator[str]:
    policy, limits = house.policy, house.policy.limits
    yield "## This repository\n"
    tests = " ".join(policy.tests.run)
    yield f"- Tests: `{tests}`, within {policy.tests.timeout_s:g} s." if tests else "- Tests: no command is named."
    if policy.checks:
        checks = ", ".join(f"{check.name} (`{' '.join(check.run)}`)" for check in policy.checks)
        yield f"- Checks: {checks}."
    yield (
        f"- Limits: {limits.file_lines} lines a file, {limits.function_lines} a function, complexity {limits.complexity}, "
        f"nesting {limits.nesting}, {limits.parameters} parameters;"
    )
    yield f"  a change has at most {limits.changed_files} files and {limits.changed_lines} lines. A ticket may set tighter ones."
    yield f"- Protected from every ticket: {_globs(house.protected)}."
    if policy.scope.shared_interfaces:
        yield f"- Shared interfaces, the lead's alone: {_globs(policy.scope.shared_interfaces)}."
    yield f"- The target branch is `{policy.project.target}`; it moves by landings only."
    if "costs" in {part.name for part in role.sees}:
        yield from _money(policy)


def _money(policy: Policy) -> Iterator[str]:
    cost = policy.cost
    yield (
        f"- Money, by the rate card `{cost.rates}` (at most {cost.max_age_days} days old): below ${cost.auto_below_usd:g} it runs, from there on a "
        f"person is asked,"
    )
    yield f"  from ${cost.stop_from_usd:g} on with a reason and one verified variant; ${cost.day_cap_usd:g} a day in all."


def _globs(globs: tuple[str, ...]) -> str:
    return ", ".join(f"`{glob}`" for glob in globs)


def _gates(role: Role, house: House) -> Iterator[str]:
    if role.gates:
        yield "## What judges your work\n"
        yield from (f"- `{name}`: {house.gates[name]}" for name in role.gates)


def _hand_overs(role: Role) -> Iterator[str]:
    yield "## Hand-overs\n"
    yield from (f"- to the {one.to}: {one.what}, when {one.when}" for one in role.hands_over)
