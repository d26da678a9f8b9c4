from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from worktrees.git import Repository
from worktrees.torn import FOLDER, put_aside, refs_put_aside

if TYPE_CHECKING:
    from pathlib import Path

    from demo_project import Demo


def written(demo: Demo, text: str) -> tuple[str, Path]:
    """Write a blob; give its id and its file."""
    demo.write("note", text)
    name = demo.git("hash-object", "-w", "note")
    return name, demo.root / ".git/objects" / name[:2] / name[2:]


def tear(file: Path, data: bytes) -> None:
    file.chmod(0o600)
    file.write_bytes(data)


@pytest.mark.parametrize("kept", [0.0, 0.5, 1.5])
def test_what_a_power_cut_tore_is_put_aside_and_can_be_written_again(demo: Demo, kept: float) -> None:
    name, file = written(demo, "one line\n" * 9)
    whole = file.read_bytes()
    tear(file, (whole * 2)[: int(len(whole) * kept)] if kept <= 1 else bytes(len(whole)))
    assert put_aside(Repository.find(demo.root), since=time.time()) == [name]
    assert (demo.root / ".orchestrate" / FOLDER / name).is_file()
    assert written(demo, "one line\n" * 9)[1].read_bytes() == whole
    assert demo.git("fsck", "--no-dangling") == ""


def test_whole_objects_and_those_from_before_are_left_alone(demo: Demo) -> None:
    _, old = written(demo, "old")
    tear(old, b"")
    for path in (old, old.parent):
        os.utime(path, (1, 1))
    written(demo, "new")
    assert put_aside(Repository.find(demo.root), since=time.time()) == []
    assert old.is_file()


def test_objects_of_a_sha256_repository_are_known_by_their_own_hash(demo: Demo, tmp_path: Path) -> None:
    other = tmp_path / "other"
    demo.git("init", "-q", "--object-format=sha256", str(other))
    names = [
        demo.git("-C", str(other), "hash-object", "-w", str(demo.root / name)) for name in ("src/lib.py", "script.yaml")
    ]
    tear(other / ".git/objects" / names[0][:2] / names[0][2:], b"")
    assert put_aside(Repository.find(other), since=time.time()) == [names[0]]


@pytest.mark.parametrize("left", [b"", bytes(41), b"0123456789"])
def test_refs_of_ours_that_were_torn_can_be_made_again(demo: Demo, left: bytes) -> None:
    ref, head = "refs/orchestrate/starts/T-0001/1", demo.git("rev-parse", "HEAD")
    demo.git("update-ref", "refs/orchestrate/starts/T-0002/1", head)
    demo.git("update-ref", ref, head)
    tear(demo.root / ".git" / ref, left)
    assert demo.git("update-ref", ref, head, check=False) == ""
    assert refs_put_aside(Repository.find(demo.root), since=time.time()) == [ref]
    assert (demo.root / ".orchestrate" / FOLDER / ref).read_bytes() == left
    demo.git("update-ref", ref, head)
    assert demo.git("for-each-ref", "--format=%(refname)", "refs/orchestrate/starts").split() == [
        ref,
        "refs/orchestrate/starts/T-0002/1",
    ]
    assert refs_put_aside(Repository.find(demo.root), since=time.time()) == []
    assert demo.git("fsck", "--no-dangling") == ""
