"""The door to the network, with real bare repositories on the other side."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tickets.errors import InputError
from worktrees.git import Repository, Result
from worktrees.remote import Done, Line, Overtaken, Refused, Unreachable, bounded, complaint

if TYPE_CHECKING:
    from pathlib import Path

    from demo_project import Demo

MAIN = "refs/heads/main"


def hub_of(demo: Demo, name: str = "hub.git") -> Path:
    """Make a bare repository that the demo knows as `origin` and has pushed to."""
    hub = demo.home / name
    demo.git("init", "-q", "--bare", "-b", "main", str(hub))
    demo.git("remote", "add", "origin", str(hub))
    demo.git("push", "-q", "origin", "main")
    return hub


def line_of(demo: Demo, monkeypatch: pytest.MonkeyPatch, **more: float) -> Line:
    monkeypatch.setenv("HOME", str(demo.home))
    return Line(repository=Repository.find(demo.root), remote="origin", **more)


def at(demo: Demo, hub: Path, ref: str = MAIN) -> str:
    return demo.git("--git-dir", str(hub), "rev-parse", "--verify", ref)


@pytest.mark.parametrize("name", ["hub.git", "a hub; $(touch x) 'ü'.git", "-hub:x.git"])
def test_a_push_with_its_lease_moves_the_remote_and_can_be_repeated(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    hub = hub_of(demo, name)
    line, old = line_of(demo, monkeypatch), demo.git("rev-parse", "main")
    new = demo.commit("more", **{"new.txt": "x\n"})
    for _ in range(2):
        assert line.push([f"{new}:{MAIN}"], leases={MAIN: old}) == Done()
        assert at(demo, hub) == new
    assert line.heads(MAIN, "refs/heads/none") == {MAIN: new}


def test_who_comes_second_is_told_where_the_remote_is_and_changes_nothing(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = hub_of(demo)
    line, old = line_of(demo, monkeypatch), demo.git("rev-parse", "main")
    theirs = demo.commit("theirs", **{"theirs.txt": "x\n"})
    demo.git("push", "-q", "origin", "main")
    mine = demo.commit("mine", **{"mine.txt": "x\n"})
    said = line.push([f"{mine}:{MAIN}", f"{mine}:refs/heads/other"], leases={MAIN: old, "refs/heads/other": ""})
    assert said == Overtaken(heads={MAIN: theirs})
    assert at(demo, hub) == theirs
    assert line.heads("refs/heads/other") == {}


def test_a_remote_that_says_no_is_quoted(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = hub_of(demo)
    hook = hub / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'this branch is closed on Fridays' >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    line, old = line_of(demo, monkeypatch), demo.git("rev-parse", "main")
    said = line.push([f"{demo.commit('more', x='x')}:{MAIN}"], leases={MAIN: old})
    assert isinstance(said, Refused)
    assert "pre-receive hook declined" in said.reason
    assert "closed on Fridays" in said.reason
    assert at(demo, hub) == old


def test_a_remote_that_is_gone_is_unreachable_and_says_why(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = hub_of(demo)
    hub.rename(hub.with_name("elsewhere"))
    line = line_of(demo, monkeypatch)
    for said in (line.heads(MAIN), line.fetch(f"+{MAIN}:refs/x"), line.push([f"main:{MAIN}"], leases={MAIN: ""})):
        assert isinstance(said, Unreachable)
        assert "hub.git" in said.reason


def test_a_name_that_is_no_remote_is_refused_before_anything(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    hub_of(demo)
    monkeypatch.setenv("HOME", str(demo.home))
    with pytest.raises(InputError, match=r"no git remote 'upstream' \(remotes: origin\)"):
        Line(repository=Repository.find(demo.root), remote="upstream").check()


def test_what_is_fetched_lands_under_the_name_that_was_asked_for(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = hub_of(demo)
    other = demo.home / "other"
    demo.git("clone", "-q", str(hub), str(other))
    demo.git("-C", str(other), "commit", "-q", "--allow-empty", "-m", "theirs")
    demo.git("-C", str(other), "push", "-q", "origin", "main")
    before = demo.git("for-each-ref", "refs/heads", "refs/tags")
    line = line_of(demo, monkeypatch)
    assert line.fetch(f"+{MAIN}:refs/orchestrate/remotes/origin/main") == Done()
    assert demo.git("rev-parse", "refs/orchestrate/remotes/origin/main") == at(demo, hub)
    assert demo.git("for-each-ref", "refs/heads", "refs/tags") == before
    assert not (demo.root / ".git" / "FETCH_HEAD").exists()


def test_hooks_of_the_repository_do_not_run(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    hub_of(demo)
    hook = demo.root / ".git" / "hooks" / "pre-push"
    hook.write_text(f"#!/bin/sh\ntouch {demo.home}/ran\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    line, old = line_of(demo, monkeypatch), demo.git("rev-parse", "main")
    assert line.push([f"{demo.commit('more', x='x')}:{MAIN}"], leases={MAIN: old}) == Done()
    assert not (demo.home / "ran").exists()


def test_the_persons_own_configuration_says_where_a_remote_is(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = hub_of(demo)
    demo.git("remote", "set-url", "origin", "short:hub.git")
    demo.git("config", "--global", f"url.{demo.home}/.insteadOf", "short:")
    line = line_of(demo, monkeypatch)
    assert line.heads(MAIN) == {MAIN: at(demo, hub)}
    assert line.address == str(hub)


def test_nothing_asks_at_the_terminal_and_nothing_outlives_the_time_out(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_of(demo)
    slow = demo.home / "ssh"
    slow.write_text(
        f"#!/bin/sh\n(: </dev/tty) 2>/dev/null && touch {demo.home}/asked\necho $$ >{demo.home}/pid\nsleep 60\n",
        encoding="utf-8",
    )
    slow.chmod(0o755)
    demo.git("remote", "set-url", "origin", "ssh://git@example.invalid/hub.git")
    monkeypatch.setenv("GIT_SSH", str(slow))
    line, begun = line_of(demo, monkeypatch, timeout_s=0.7), time.monotonic()
    assert line.heads(MAIN) == Unreachable(reason="no answer within 0.7 s")
    assert time.monotonic() - begun < 5
    assert not (demo.home / "asked").exists()
    pid = int((demo.home / "pid").read_text(encoding="utf-8"))
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no-such-gh could not be started"):
        bounded(["no-such-gh"], tmp_path, {}, timeout_s=1)


def test_a_complaint_never_holds_a_password() -> None:
    said = b"fatal: unable to access 'https://ada:s3cret@git.example.org/x.git/': no route\n"
    assert complaint(Result(code=128, out=b"", err=said)) == (
        "unable to access 'https://git.example.org/x.git/': no route"
    )
