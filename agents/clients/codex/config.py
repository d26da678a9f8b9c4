"""Codex's own home: found program, settings that no earlier attempt and no repository can have changed, and its environment."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.endings import EndedError
from agents.programs import dotted, found, mark
from worktrees.process import Launch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.programs import Mark, Version
    from agents.protocol import Bench
    from tickets.agents import Agent

OLDEST = (0, 166, 0)
PROVIDER = "signalbox"
OPENAI = "https://api.openai.com/v1"
LONGEST_IDLE_S = 300.0
HOOK_S, HOOK_ANSWER_S = 60, 15
"""The client lets a call through when a hook takes too long: ours gives up, and refuses, long before that."""
_KEPT = re.compile(r"sessions|archived_sessions|session_index\.jsonl|installation_id|[a-z_0-9]+\.sqlite(-shm|-wal)?")
_OFF = (
    "apps",
    "browser_use",
    "computer_use",
    "goals",
    "image_generation",
    "memories",
    "plugins",
    "shell_snapshot",
    "unbounded_connection_retries",  # it would try for ever
    "unified_exec_tty",  # what is typed into a shell that runs already is asked about nowhere
    "view_image",  # asked about nowhere, either
)
# each way in which a hook can fail is made a refusal: the client takes all of them but exit code 2 with a reason for a yes
_CLOSED = r"""answer=$("$@") || answer=
case $answer in
'{'*'"permissionDecision": "allow"'* | '{'*'"permissionDecision":"allow"'*) exit 0 ;;
esac
reason=$(printf '%s' "$answer" | sed -n 's/.*"permissionDecisionReason": *"\(\([^"\\]\|\\.\)*\)".*/\1/p')
printf '%s\n' "${reason:-the live gate gave no answer, so this call is refused: go on with something else}" >&2
exit 2"""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A Codex that is ready to start on one bench."""

    program: Path
    arguments: tuple[str, ...]
    """Before the subcommand, as the configuration gives them."""
    home: Path
    bench: Bench
    environment: Mapping[str, str]

    def launch(self, *words: str) -> Launch:
        confinement = self.bench.confinement
        readable = (*confinement.read, *_parts(self.program))
        return Launch(
            command=(str(self.program), *self.arguments, *words),
            cwd=self.bench.tree,
            env=self.environment,
            confinement=replace(confinement, read=readable),
        )

    def stamp(self) -> Mark:
        return mark((str(self.program), *self.arguments))


def find(settings: Agent, root: Path) -> Path | None:
    """Find the client; where npm left its small starter only, the binary that belongs to it."""
    place = found(settings.command or ("codex",), root)
    if place is None:
        return None
    path = Path(place)
    return _binary(path.resolve()) if path.resolve().suffix == ".js" else path


def _binary(starter: Path) -> Path:
    folders = [parent / "node_modules" for parent in starter.parents] + list(starter.parents)
    hits = (hit for one in folders for hit in sorted(one.glob("@openai/codex-*/vendor/*/bin/codex")))
    return next(hits, starter)


def _parts(program: Path) -> tuple[Path, ...]:
    """Give what the program needs beside itself: its own helpers lie in the same package."""
    real = program.resolve()
    return (real.parent.parent,) if "vendor" in real.parts else (real,)


def too_old(version: Version) -> str:
    """Give a sentence where this version is older than what the driver knows; "" where it is not."""
    if version >= OLDEST:
        return ""
    return f"Codex {dotted(version)} is too old: version {dotted(OLDEST)} or newer is needed (npm install -g @openai/codex)"


def furnish(bench: Bench, settings: Agent, program: Path, *, plain: bool, account: bool) -> Client:
    """Lay out the client's home; what earlier attempts may have planted there is gone, but its sessions."""
    home = bench.session / "codex"
    _tidy(home)
    temporary = Path(bench.variables.get("TMPDIR", "/tmp"))  # noqa: S108 - where the client looks without it
    if home.is_relative_to(temporary):
        raise EndedError(
            Cause.MISSING,
            f"the client's home {home} lies below TMPDIR ({temporary}), where Codex installs no helpers and fails in "
            "silence: set `worktrees` in [state] to a folder outside of it",
        )
    secret = {} if account else {settings.key_name: "none"}
    environment = {**bench.variables, **secret, "CODEX_HOME": str(home), "RUST_LOG": "error", "NO_COLOR": "1"}
    keyed = not settings.base_url or settings.key_name in environment
    text = _config(settings, bench, plain=plain, keyed=keyed)
    with (home / "config.toml").open("x", encoding="utf-8") as stream:
        stream.write(text)
    return Client(program=program, arguments=settings.command[1:], home=home, bench=bench, environment=environment)


def _tidy(home: Path) -> None:
    if home.is_symlink() or home.is_file():
        home.unlink()
    home.mkdir(parents=True, exist_ok=True)
    for entry in home.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            if not _KEPT.fullmatch(entry.name):
                shutil.rmtree(entry)
        elif entry.is_symlink() or not _KEPT.fullmatch(entry.name):
            entry.unlink()


def _config(settings: Agent, bench: Bench, *, plain: bool, keyed: bool) -> str:
    top: dict[str, Any] = {
        "model_provider": PROVIDER,
        "web_search": "disabled",
        "check_for_update_on_startup": False,
        "allow_login_shell": False,  # a login shell would set PATH anew, and lose the tree's interpreter
        # the client's own sandbox cannot start within ours; in the strict form each call is asked about all the same
        "sandbox_mode": "danger-full-access",
        "approval_policy": "never" if plain else "on-request",
        **({"model": settings.model} if settings.model else {}),
    }
    sections: dict[str, dict[str, Any]] = {
        f"model_providers.{PROVIDER}": _provider(settings, keyed=keyed),
        "analytics": {"enabled": False},
        "agents": {"enabled": False},
        "features": dict.fromkeys(_OFF, False) | {"hooks": plain},
        "shell_environment_policy": {
            "inherit": "all",
            "ignore_default_excludes": False,
            "exclude": [settings.key_name],
        },
        f"projects.{_toml(str(bench.tree))}": {"trust_level": "untrusted"},
    }
    lines = [_pairs(top), *(f"[{name}]\n{_pairs(values)}" for name, values in sections.items())]
    return "\n".join([*lines, *([_hook(bench.hook)] if plain else [])])


def _provider(settings: Agent, *, keyed: bool) -> dict[str, Any]:
    idle_s = min(settings.silence_s, LONGEST_IDLE_S)
    return {
        "name": PROVIDER,
        "base_url": settings.base_url or OPENAI,
        "wire_api": "responses",
        "request_max_retries": 2,
        "stream_max_retries": 2,
        "stream_idle_timeout_ms": int(idle_s * 1000),
        **({"env_key": settings.key_name} if keyed else {}),
    }


def hook_command(hook: tuple[str, ...]) -> str:
    """Give the command line that asks the gate, and refuses where there is no answer of it."""
    bounded = ("timeout", "-k", "5", str(HOOK_ANSWER_S)) if shutil.which("timeout") else ()
    return shlex.join(["/bin/sh", "-c", _CLOSED, "gate", *bounded, *hook])


def _hook(hook: tuple[str, ...]) -> str:
    handler = {"type": "command", "command": hook_command(hook), "timeout": HOOK_S}
    return f'[[hooks.PreToolUse]]\nmatcher = "*"\n[[hooks.PreToolUse.hooks]]\n{_pairs(handler)}'


def _pairs(values: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {_toml(value)}\n" for name, value in values.items())


def _toml(value: Any) -> str:
    """Write text, numbers, truth values and lists of them: JSON and TOML agree on these, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
