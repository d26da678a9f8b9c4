from __future__ import annotations

from typing import TYPE_CHECKING

from memory.lessons import fitting, lessons, telling
from memory.pages import Entry, add_dead_end, write

if TYPE_CHECKING:
    from pathlib import Path


def entry(feature: str, title: str) -> Entry:
    return Entry(
        feature=feature, title=title, date="2026-01-02", grade="E3", result=(), decision="d", learnings=(), next=()
    )


def test_a_project_without_a_page_has_learned_nothing(tmp_path: Path) -> None:
    assert lessons(tmp_path, "demo") == []
    assert fitting(tmp_path, "demo", "learning rate") == []


def test_entries_and_single_dead_ends_are_lessons(tmp_path: Path) -> None:
    write(tmp_path, "demo", entry("F-0001", "warm up the learning rate"))
    add_dead_end(tmp_path, "demo", "a bigger learning rate: diverged")
    add_dead_end(tmp_path, "demo", "dropout before the norm: no change")
    assert len(lessons(tmp_path, "demo")) == 3
    found = fitting(tmp_path, "demo", "try learning_rate 0.1, bigger")
    assert found[0] == "dead end: a bigger learning rate: diverged"
    assert found[1].startswith("## 2026-01-02 F-0001: warm up the learning rate")
    assert len(found) == 2


def test_among_equals_the_newer_one_comes_first(tmp_path: Path) -> None:
    for number in (1, 2):
        write(tmp_path, "demo", entry(f"F-000{number}", "warm up"))
    assert [lesson[14:20] for lesson in fitting(tmp_path, "demo", "warm")] == ["F-0002", "F-0001"]


def test_names_are_found_by_their_parts_and_common_words_by_nothing(tmp_path: Path) -> None:
    assert telling("Add the wide_mlp models") == {"wide", "mlp", "model"}
    write(tmp_path, "demo", entry("F-0001", "add it"))
    assert fitting(tmp_path, "demo", "add the ticket") == []
