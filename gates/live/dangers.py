"""What no ticket asks for: destroying what is not the agent's, stopping jobs, and reading secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gates.live.footprint import is_recursive, narrowed, operands, removed, written
from gates.live.places import locate

if TYPE_CHECKING:
    from gates.live.places import Ground
    from gates.live.shell import Step
    from gates.live.words import Word

_DISKS = re.compile(r"mkfs(?:\..+)?|mke2fs|fdisk|sfdisk|parted|wipefs|blkdiscard|mkswap|hdparm")
_SQL_CLIENTS = frozenset(
    [
        "psql",
        "mysql",
        "mariadb",
        "sqlite3",
        "sqlite",
        "litecli",
        "pgcli",
        "mycli",
        "duckdb",
        "usql",
        "clickhouse-client",
        "clickhouse",
        "sqlcmd",
        "bq",
        "cockroach",
    ]
)
_DROPS = re.compile(
    r"\b(?:drop\s+(?:table|database|schema|index|view|user|role)|truncate(?:\s+table)?\s+\w)", re.IGNORECASE
)
_DELETES = re.compile(r"\bdelete\s+from\s+(?:(?!\bwhere\b)[^;])*(?:;|$)", re.IGNORECASE)
_STOPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "modal": (("app", "stop"), ("container", "stop"), ("volume", "delete"), ("volume", "rm")),
    "ray": (("stop",), ("down",), ("job", "stop")),
    "kubectl": (("delete",), ("drain",), ("scale",)),
    "helm": (("uninstall",), ("delete",)),
    "aws": (
        ("ec2", "terminate-instances"),
        ("ec2", "stop-instances"),
        ("batch", "terminate-job"),
        ("batch", "cancel-job"),
        ("sagemaker", "stop-training-job"),
        ("s3", "rm"),
        ("s3", "rb"),
    ),
    "gcloud": (("instances", "delete"), ("instances", "stop"), ("custom-jobs", "cancel"), ("clusters", "delete")),
    "az": (("vm", "delete"), ("vm", "deallocate"), ("vm", "stop")),
    "docker": (("stop",), ("kill",), ("rm",)),
    "podman": (("stop",), ("kill",), ("rm",)),
    "sky": (("down",), ("stop",), ("cancel",)),
    "runpodctl": (("stop",), ("remove",)),
    "vastai": (("destroy",), ("stop",)),
    "terraform": (("destroy",),),
    "systemctl": (("stop",), ("kill",), ("restart",)),
}
"""Programs with words that, in this order among their arguments, stop running work."""
_KILLERS = frozenset(
    [
        "kill",
        "pkill",
        "killall",
        "killall5",
        "skill",
        "slay",
        "xkill",
        "fuser",
        "scancel",
        "qdel",
        "bkill",
        "condor_rm",
        "shutdown",
        "reboot",
        "halt",
        "poweroff",
    ]
)
_OWN_JOB = re.compile(r"%[\w%+-]*|\$!")
_SECRET_FILES = re.compile(
    r"(?:.*/)?(?:\.ssh|\.aws|\.gnupg|\.kube|\.config/gcloud|\.azure|\.docker|\.config/gh)(?:/.*)?"
    r"|(?:.*/)?(?:\.netrc|\.pgpass|\.pypirc|\.npmrc|\.git-credentials|\.modal\.toml|\.vault-token|id_(?:rsa|dsa|ecdsa|ed25519))"
    r"|/proc/[^/]+/(?:environ|mem)|/etc/(?:shadow|gshadow|sudoers)(?:\.d/.*)?"
    r"|(?:.*/)?\.huggingface/token|(?:.*/)?\.cache/huggingface/token"
)
_PUBLIC = re.compile(r".*\.pub|.*/known_hosts|.*/\.docker/cli-plugins.*")
_DOT_ENV = re.compile(r"(?:.*/)?\.env(?:rc|\.[\w.*-]+)?")
_TEMPLATE = re.compile(r".*\.(?:example|sample|template|dist|md)")
_SECRET_NAMES = re.compile(
    r".*(?:SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL|_PAT$|_KEY$).*", re.IGNORECASE
)
_LISTS_NAMES = frozenset(
    [
        "ls",
        "test",
        "[",
        "stat",
        "find",
        "echo",
        "printf",
        "cd",
        "basename",
        "dirname",
        "realpath",
        "readlink",
        "mkdir",
        "which",
        "du",
    ]
)
_SHOWS = frozenset({"echo", "printf", "cat", "tee", "print", "curl", "wget", "logger", "write"})


def destroys(step: Step, ground: Ground) -> str:
    """Say what a step would destroy that is not the ticket's; "" where nothing."""
    if _DISKS.fullmatch(step.name):
        return f"`{step.name}` destroys what is on a disk"
    for each in [*written(step), *removed(step)]:
        if each.text.startswith("/dev/") and locate(each.text, ground, step.cwd).kind == "elsewhere":
            return f"{each.text} is a device: writing there destroys what is on it"
    if step.name in {"rm", "rimraf", "trash", "srm"} and is_recursive(step):
        return next(filter(None, (_removal(each, step, ground) for each in removed(step))), "")
    if step.name in {"find", "gfind"}:
        return next(filter(None, (_swept(each, step, ground) for each in removed(step))), "")
    return _sql(step)


def stops(step: Step) -> str:
    """Say which running work a step would stop; "" where none."""
    texts = [each.text for each in step.arguments]
    if step.name in _KILLERS and not _only_asks(step.name, texts):
        if step.name == "kill" and _own_jobs([each.computed or each.text for each in step.arguments]):
            return ""
        return f"`{step.name}` stops processes, a paid job among them maybe; leave them running, a person stops them"
    for command in _STOPS.get(step.name, ()):
        if _in_order(command, texts):
            return (
                f"`{step.name} {' '.join(command)}` stops running work or deletes what it left; only a person may do so"
            )
    return ""


def reveals(step: Step, ground: Ground) -> str:
    """Say which secret a step would read or print; "" where none."""
    if _lists_environment(step):
        return f"`{step.name}` prints the whole environment, secrets included; ask for the one variable that you need"
    if step.name in _SHOWS and (named := next(filter(_SECRET_NAMES.fullmatch, _names(step)), "")):
        return f"`{step.name}` would show the variable {named}, which looks like a secret"
    for each in (*step.reads, *(() if step.name in _LISTS_NAMES else step.arguments)):
        text = each.text.partition("=")[2] if each.text.startswith("-") and "=" in each.text else each.text.lstrip("@<")
        if text and (each.text[:1] != "-" or "=" in each.text) and _is_secret(text, step, ground):
            return f"{text} holds secrets; nothing in this ticket needs them"
    return ""


def secret_file(path: str) -> bool:
    """Say whether a path (absolute, or relative to the tree) is one that holds secrets."""
    if _DOT_ENV.fullmatch(path):
        return not _TEMPLATE.fullmatch(path)
    return bool(_SECRET_FILES.fullmatch(path)) and not _PUBLIC.fullmatch(path)


def _is_secret(text: str, step: Step, ground: Ground) -> bool:
    if "/" not in text and "." not in text and "id_" not in text:
        return False  # nearly all arguments
    return secret_file(locate(text, ground, step.cwd).path)


def _own_jobs(given: list[str]) -> bool:
    """Say whether `kill` is given the shell's own jobs only, after a signal perhaps."""
    jobs = given[1:] if given and given[0].startswith("-") else given
    return bool(jobs) and all(map(_OWN_JOB.fullmatch, jobs))


def _only_asks(name: str, texts: list[str]) -> bool:
    asks = {"kill": {"-l", "-L", "--list", "-0"}, "fuser": {"-v", "-l", "-V"}}.get(name, {"--help", "--version"})
    return bool(texts) and texts[0] in asks and not any(text.startswith("-k") for text in texts)


def _in_order(wanted: tuple[str, ...], texts: list[str]) -> bool:
    rest = iter(texts)
    return all(each in rest for each in wanted)


def _removal(each: Word, step: Step, ground: Ground) -> str:
    if each.text.strip("/") == "*" and each.computed:
        return f"`rm -r {each.computed}` removes what nobody can know beforehand; write the path out"
    place = locate(each.text, ground, step.cwd)
    if place.kind == "unknown":
        return f"`rm -r {each.text}` removes from a folder that nobody can know beforehand; write the path out"
    if place.kind == "elsewhere":
        return f"`rm -r {each.text}` removes {place.path}, which is outside of your tree"
    if place.kind == "tree" and place.path in {".", "*", ".*", "**"}:
        return f"`rm -r {each.text}` removes the whole tree; name the files"
    if place.path in {ground.home, ground.temporary}:
        return f"`rm -r {each.text}` removes a folder that your own programs need; name what is in it"
    return ""


def _swept(each: Word, step: Step, ground: Ground) -> str:
    place = locate(each.text, ground, step.cwd)
    if place.kind in {"elsewhere", "unknown"}:
        return f"`find {each.text}` would delete in {place.path}, which is outside of your tree"
    if place.kind == "tree" and place.path == "." and not narrowed(step):
        return "`find` would delete the whole tree; name the files"
    return ""


def _sql(step: Step) -> str:
    if step.name not in _SQL_CLIENTS:
        return ""
    for text in (*(each.text for each in step.arguments), step.fed):
        plain = re.sub(r"--[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
        if found := _DROPS.search(plain) or _DELETES.search(plain):
            return f"`{' '.join(found[0].split())}` destroys data; only a person may do so, with a migration"
    return ""


def _lists_environment(step: Step) -> bool:
    texts = [each.text for each in step.arguments]
    if step.name == "printenv":
        return not [text for text in texts if not text.startswith("-")] or any(map(_SECRET_NAMES.fullmatch, texts))
    if step.name == "env":
        return not [text for text in operands(step, "uC") if "=" not in text.text]
    if step.name in {"export", "declare", "typeset"}:
        return not [text for text in texts if not text.startswith("-")] and "-f" not in texts and "-F" not in texts
    return step.name == "set" and not texts


def _names(step: Step) -> list[str]:
    return [name for each in step.arguments for name in each.names]
