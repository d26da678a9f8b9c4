"""What an agent without a sandbox did beside its tree, and what the harness itself wrote meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory.pages import add_dead_end
from orchestrator.watch import Watch
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from demo_project import Demo


def test_what_the_harness_writes_itself_is_nobody_s_change(demo: Demo) -> None:
    workspace = Workspace.open(demo.root)
    workspace.prepare()
    before = Watch.take(workspace)
    add_dead_end(workspace.root, workspace.policy.project.name, "it led nowhere")
    (workspace.repository.common / "info/exclude").write_text("", encoding="utf-8")
    (workspace.state / "checkouts").mkdir()
    (workspace.state / "checkouts/T-0001-1.json").touch()
    later = Watch.take(workspace)
    assert later.files == before.files
    assert [one.path for one in before.differences(later)] == [".git"]


def test_a_file_beside_the_harness_s_own_page_is_a_change(demo: Demo) -> None:
    workspace = Workspace.open(demo.root)
    workspace.prepare()
    page = add_dead_end(workspace.root, workspace.policy.project.name, "it led nowhere")
    before = Watch.take(workspace)
    page.with_name("another.md").write_text("mine", encoding="utf-8")
    page.with_name(f"{page.name}.py").write_text("mine", encoding="utf-8")
    (workspace.root / "src/lib.py").write_text("changed = True\n", encoding="utf-8")
    found = {one.path for one in before.changes(workspace)}
    assert found == {"memory/another.md", f"memory/{page.name}.py", "src/lib.py"}


def test_hooks_and_configuration_of_the_repository_are_watched(demo: Demo) -> None:
    workspace = Workspace.open(demo.root)
    workspace.prepare()
    before = Watch.take(workspace)
    demo.git("config", "alias.evil", "!true")
    (change,) = before.changes(workspace)
    assert (change.path, change.kind) == (".git", "git")


def test_it_is_the_same_after_it_was_kept(demo: Demo) -> None:
    workspace = Workspace.open(demo.root)
    workspace.prepare()
    before = Watch.take(workspace)
    assert Watch.from_json(before.to_json()) == before
