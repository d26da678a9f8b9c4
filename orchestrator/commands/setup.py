"""`init` and `doctor`: getting a repository ready, and finding out whether it can work here."""

from __future__ import annotations

import re
import shutil
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.commands.output import say, table
from orchestrator.workspace import FREE_BYTES, Workspace
from tickets.errors import InputError, SignalboxError
from tickets.policy import POLICY_FILE, read_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tickets.policy import Policy

GUIDES = {"claude": "lead", "codex": "executor"}
"""Who reads the guide of which client: the lead's in CLAUDE.md, the executor's in AGENTS.md."""
OLDEST_GIT = (2, 38)
"""`git merge-tree --write-tree` came with it."""

# init


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a repository says of itself."""

    name: str
    target: str
    tests: tuple[str, ...]
    checks: tuple[tuple[str, tuple[str, ...]], ...]


def init(repo: Path, *, force: bool, json: bool) -> int:
    workspace = _openable(repo, force=force)
    found = detect(workspace)
    configuration = policy_text(found)
    own = (workspace.root / POLICY_FILE).exists() and not force
    texts = {POLICY_FILE: configuration, **_guides(workspace.policy if own else read_policy(configuration))}
    written: list[str] = []
    kept: list[str] = []
    for name, text in texts.items():
        (kept if (workspace.root / name).exists() and not force else written).append(name)
        if name in written:
            (workspace.root / name).write_text(text, encoding="utf-8")
    if _ignore_state(workspace):
        written.append(".gitignore")
    say({"written": written, "kept": kept}, lambda: _init_text(written, kept), as_json=json)
    return 0


def _guides(policy: Policy) -> dict[str, str]:
    from agents import roles
    from agents.guides import CLIENTS, guide
    from orchestrator.commands.roles import house

    about = house(policy)
    return {CLIENTS[client]: guide(roles.named(role), client, about) for client, role in GUIDES.items()}


def _openable(repo: Path, *, force: bool) -> Workspace:
    """Open the workspace; with --force a broken configuration is about to be replaced and does not matter."""
    try:
        return Workspace.open(repo)
    except InputError:
        if not force:
            raise
    from worktrees.git import Repository

    broken = Repository.find(repo).root / POLICY_FILE
    broken.replace(broken.with_suffix(".toml.bak"))
    return Workspace.open(repo)


def _init_text(written: list[str], kept: list[str]) -> str:
    lines = [f"wrote {name}" for name in written] + [f"kept {name} as it is (--force overwrites)" for name in kept]
    return "\n".join([*lines, "", 'next: read orchestrate.toml, commit it, then orchestrate feature "..."'])


def detect(workspace: Workspace) -> Found:
    """Look for the test, lint and type commands that the repository already uses."""
    root = workspace.root
    pyproject = root / "pyproject.toml"
    try:
        tool = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {}) if pyproject.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        tool = {}
    python_tests = (
        "pytest" in tool
        or any((root / name).exists() for name in ("pytest.ini", "tox.ini", "tests", "test"))
        or any(root.glob("test_*.py"))
    )
    checks: list[tuple[str, tuple[str, ...]]] = []
    if "ruff" in tool or (root / "ruff.toml").is_file() or (root / ".ruff.toml").is_file():
        checks.append(("lint", ("ruff", "check", ".")))
    if "mypy" in tool or (root / "mypy.ini").is_file():
        checks.append(("types", ("mypy",)))
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", root.name).strip("-._") or "project"
    head = workspace.repository.ask("symbolic-ref", "--short", "HEAD").text
    return Found(
        name=name, target=head or "main", tests=("python", "-m", "pytest") if python_tests else (), checks=tuple(checks)
    )


def policy_text(found: Found) -> str:
    """Write the configuration; what is not written has the default of the contract."""
    tests = _array(found.tests)
    lines = [
        "# How Signalbox works on this repository. Gates read this file from the commit that a ticket starts from.",
        "version = 1",
        "",
        "[project]",
        f'name = "{found.name}"',
        f'target = "{found.target}"',
        "",
        "[planning]",
        'lead = "recipes"                # the embedded agent, or the name of an agent below',
        "",
        "[agents.recipes]",
        'kind = "recipes"',
        "",
        "# [agents.coder]                # or codex, acp, openai (a model of your own), command (any program)",
        '# kind = "claude"               # its key comes from ANTHROPIC_API_KEY; nothing else is handed on',
        "#",
        "# [roles]",
        '# executor = "coder"',
        '# auditor = "coder"             # reads each diff of three or more files before it may land; see [audit]',
        "#",
        "# [sandbox]",
        '# network = ["api.anthropic.com"] # all that an agent may reach; then: orchestrate agents probe',
        "",
        "[scope]",
        'deny = ["orchestrate.toml", ".github/**", ".ci/**", "**/*.lock"]',
        "",
        "[tests]",
        f"run = {tests}" + ("" if found.tests else "                        # none were found; say how they run"),
    ]
    for name, command in found.checks:
        lines += ["", "[[checks]]", f'name = "{name}"', f"run = {_array(command)}"]
    text = "\n".join([*lines, ""])
    read_policy(text)
    return text


def _array(words: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def _ignore_state(workspace: Workspace) -> bool:
    line = f"{workspace.policy.state.dir}/"
    file = workspace.root / ".gitignore"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if line in text.splitlines() or f"/{line}" in text.splitlines():
        return False
    separator = "" if not text or text.endswith("\n") else "\n"
    file.write_text(f"{text}{separator}{line}\n", encoding="utf-8")
    return True


# doctor


@dataclass(frozen=True, kw_only=True)
class Answer:
    ok: bool
    detail: str
    mend: str = ""


def doctor(repo: Path, *, json: bool) -> int:
    answers = {name: _asked(probe, repo) for name, probe in PROBES.items()}
    data = [
        {"probe": name, "ok": answer.ok, "detail": answer.detail, "mend": answer.mend}
        for name, answer in answers.items()
    ]
    say(data, lambda: "\n".join(_doctor_lines(answers)), as_json=json)
    return 0 if all(answer.ok for answer in answers.values()) else 4


def _asked(probe: Callable[[Path], Answer], repo: Path) -> Answer:
    try:
        return probe(repo)
    except SignalboxError as error:
        return Answer(ok=False, detail=str(error))


def _doctor_lines(answers: dict[str, Answer]) -> Iterator[str]:
    yield table([("ok" if answer.ok else "NO", name, answer.detail) for name, answer in answers.items()])
    yield from (f"    {name}: {answer.mend}" for name, answer in answers.items() if answer.mend)


def _git(_repo: Path) -> Answer:
    from worktrees.git import call, environment

    text = call(["--version"], cwd=Path.cwd(), env=environment()).text
    found = re.search(r"(\d+)\.(\d+)", text)
    version = tuple(int(part) for part in found.groups()) if found else (0, 0)
    return Answer(
        ok=version >= OLDEST_GIT,
        detail=text,
        mend="" if version >= OLDEST_GIT else "2.38 or newer is needed (merge-tree --write-tree)",
    )


def _repository(repo: Path) -> Answer:
    workspace = Workspace.open(repo)
    identity = workspace.repository.identity()
    return Answer(
        ok=True,
        detail=f"{workspace.root}, target {workspace.policy.project.target} at {workspace.head()[:12]}, author {identity.name}",
    )


def _policy(repo: Path) -> Answer:
    workspace = Workspace.open(repo)
    at_head = workspace.policy_at(workspace.head())
    if at_head.sha256 == workspace.policy.sha256:
        return Answer(ok=True, detail=f"{POLICY_FILE} as committed ({at_head.sha256[:12]})")
    return Answer(
        ok=True,
        detail=f"{POLICY_FILE} differs from the committed one; gates go by the committed one",
        mend="commit it when it is meant",
    )


def _sandbox(repo: Path) -> Answer:
    from worktrees.levels import gaps, trouble

    workspace = Workspace.open(repo)
    level = workspace.level
    missing = f"; open: {'; '.join(gaps(level))}" if gaps(level) else ""
    tree = (
        "" if level != "bubblewrap" or workspace.layered else "; trees are written out: no layers on this file system"
    )
    better = f"; bubblewrap: {trouble('bubblewrap')}" if level != "bubblewrap" and trouble("bubblewrap") else ""
    return Answer(ok=True, detail=f"{level}{tree}{missing}{better}")


def _agents(repo: Path) -> Answer:
    from orchestrator.readiness import readiness

    workspace = Workspace.open(repo)
    states = {name: readiness(workspace, name) for name in workspace.policy.agents}
    bad = [f"{name}: {probe.detail}" for name, probe in states.items() if not probe.ready]
    return Answer(ok=not bad, detail="; ".join(bad) or ", ".join(states) + " ready")


def _landing(repo: Path) -> Answer:
    from orchestrator.train.publishing import check

    workspace = Workspace.open(repo)
    landing, target = workspace.policy.landing, workspace.policy.project.target
    check(workspace)
    way = f"by pull requests on {landing.remote}" if landing.by_pull_request(target) else f"pushed to {landing.remote}"
    return Answer(ok=True, detail=f"{landing.method}, {way if landing.remote else 'here only'}")


def _disk(repo: Path) -> Answer:
    free = shutil.disk_usage(repo).free
    return Answer(ok=free > FREE_BYTES, detail=f"{free >> 30} GiB free")


def _clock(_repo: Path) -> Answer:
    year = time.gmtime().tm_year
    return Answer(ok=2024 < year < 2100, detail=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))  # noqa: PLR2004 - a clock that was never set


def _python(_repo: Path) -> Answer:
    return Answer(ok=sys.version_info >= (3, 11), detail=sys.version.split()[0])


PROBES: dict[str, Callable[[Path], Answer]] = {
    "python": _python,
    "git": _git,
    "repository": _repository,
    "policy": _policy,
    "sandbox": _sandbox,
    "agents": _agents,
    "landing": _landing,
    "disk": _disk,
    "clock": _clock,
}
