from __future__ import annotations

import pytest

from tickets.errors import FileError
from tickets.policy import Policy, read_policy

HOOK = "[[hooks]]\non = ['landed']\n"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.window", 32),
        ("train.slots", 0),
        ("train.batch", 8),
        ("train.speculate", True),
        ("train.patience_s", 3600),
        ("landing.method", "merge"),
        ("landing.remote", ""),
        ("landing.pull_request", "never"),
        ("landing.protected", ()),
        ("landing.gh", ("gh",)),
        ("retention.archive_days", 90),
        ("retention.disk_mib", 20480),
        ("retention.keep_logs_days", 30),
        ("notify.urls_env", ""),
        ("notify.desktop", False),
        ("notify.on", ("refused", "failed", "waiting", "stopped", "ended")),
    ],
)
def test_the_defaults(key: str, value: object) -> None:
    section, name = key.split(".")
    assert getattr(getattr(Policy(), section), name) == value


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("[train]\nwindow = 0", 2, "train.window", "greater than or equal to 1"),
        ("[train]\nwindow = 65", 2, "train.window", "less than or equal to 64"),
        ("[train]\nslots = -1", 2, "train.slots", "greater than or equal to 0"),
        ("[train]\nbatch = 0", 2, "train.batch", "greater than or equal to 1"),
        ("[train]\nspeculate = 1", 2, "train.speculate", "boolean"),
        ("[train]\npatience_s = 0", 2, "train.patience_s", "greater than 0"),
        ("[train]\nbogus = 1", 2, "train.bogus", "no such key"),
        ("[landing]\nmethod = 'fast-forward'", 2, "landing.method", "'merge', 'squash' or 'rebase'"),
        ("[landing]\nremote = '--upload-pack=x'", 2, "landing.remote", "matches"),
        ("[landing]\npull_request = true", 2, "landing.pull_request", "'never', 'auto' or 'always'"),
        ("[landing]\nprotected = ['/main']", 2, "landing.protected.0", "relative"),
        ("[landing]\ngh = []", 2, "landing.gh", "at least 1"),
        ("[landing]\npull_request = 'always'", 1, "landing.remote", "the name of a git remote"),
        ("[landing]\nprotected = ['m*']", 1, "landing.pull_request", "the target 'main' is protected"),
        (
            "[project]\ntarget = 'release/1'\n[landing]\nprotected = ['release/*']\npull_request = 'auto'",
            3,
            "landing.remote",
            "'release/1' is landed on by pull requests",
        ),
        ("[retention]\narchive_days = 0", 2, "retention.archive_days", "greater than 0"),
        ("[retention]\ndisk_mib = 0", 2, "retention.disk_mib", "greater than 0"),
        (HOOK, 1, "hooks.0", "either `run` with a program or `url` with a webhook"),
        (f"{HOOK}run = ['x']\nurl = 'https://a.org'", 1, "hooks.0", "and not both"),
        (f"{HOOK}run = ['x']\nsecret_env = 'KEY'", 1, "hooks.0", "`secret_env` beside a `url`"),
        (f"{HOOK}url = 'https://a.org'\nenv = ['KEY']", 1, "hooks.0", "`env` beside a program"),
        (f"{HOOK}url = 'ftp://a.org'", 3, "hooks.0.url", "matches"),
        (f"{HOOK}run = 'x y'", 3, "hooks.0.run", "array"),
        (f"{HOOK}run = ['x']\ntimeout_s = 0", 4, "hooks.0.timeout_s", "greater than 0"),
        ("[[hooks]]\non = []\nrun = ['x']", 2, "hooks.0.on", "at least 1"),
        ("[[hooks]]\non = ['landed', 'landed']\nrun = ['x']", 2, "hooks.0.on", "each moment once"),
        ("[[hooks]]\non = ['moved']\nrun = ['x']", 2, "hooks.0.on.0", "'landed'"),
        (f"{HOOK}run = ['x']\n{HOOK}run = ['x']", 4, "hooks.1", "another place to tell than that of hooks.0"),
        ("[notify]\non = ['all']", 2, "notify.on.0", "'landed'"),
        ("[notify]\nurls_env = 'a b'", 2, "notify.urls_env", "not 'a b'"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_key(text: str, line: int, key: str, said: str) -> None:
    with pytest.raises(FileError) as caught:
        read_policy(text, "conf.toml")
    found = {problem.key: problem for problem in caught.value.problems}
    assert found[key].line == line
    assert said in found[key].expected


@pytest.mark.parametrize(
    ("text", "by_pull_request"),
    [
        ("[landing]\nprotected = ['release/*']", False),
        ("[landing]\nremote = 'origin'\nprotected = ['release/*']\npull_request = 'auto'", False),
        ("[landing]\nremote = 'origin'\nprotected = ['main']\npull_request = 'auto'", True),
        ("[landing]\nremote = 'origin'\npull_request = 'always'", True),
    ],
)
def test_landings_go_through_pull_requests_where_they_must(text: str, by_pull_request: bool) -> None:  # noqa: FBT001 - a column of the table
    assert read_policy(text).landing.by_pull_request("main") is by_pull_request


def test_a_hook_is_named_without_what_is_secret_in_it() -> None:
    hook = read_policy("[[hooks]]\non = ['landed']\nurl = 'https://me:key@example.org/T000/B000/token'").hooks[0]
    assert hook.said == "example.org"


def test_what_a_hook_was_told_is_remembered_although_its_moments_change() -> None:
    one, other = (read_policy(f"[[hooks]]\non = ['{on}']\nrun = ['x']").hooks[0] for on in ("landed", "ended"))
    assert one.identity == other.identity
    assert one.identity != read_policy(f"{HOOK}run = ['y']").hooks[0].identity
