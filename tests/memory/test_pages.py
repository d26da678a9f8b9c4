from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.pages import GRADES, Entry, add_dead_end, page, write

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = Entry(
    feature="F-0001",
    title="Add a",
    date="2026-01-02",
    grade="E3",
    result=("T-0001 landed in 1 attempt", "2 tests"),
    decision="landed",
    learnings=("it works",),
    next=(),
)
BODY = """\
## 2026-01-02 F-0001: Add a [E3]

**Result**

- T-0001 landed in 1 attempt
- 2 tests

**Decision**: landed

**Learnings**

- it works

**Next**

- none
"""


def test_a_page_begins_with_its_name_and_the_grades(tmp_path: Path) -> None:
    target = write(tmp_path, "demo", ENTRY)
    assert target == page(tmp_path, "demo") == tmp_path / "memory" / "demo.md"
    text = target.read_text(encoding="utf-8")
    assert text.startswith("# demo: what the project learned\n")
    assert all(f"{grade} {meaning}" in text for grade, meaning in GRADES.items())
    assert text.endswith(f"\n\n{BODY}")
    assert [path.name for path in target.parent.iterdir()] == ["demo.md"]


def test_writing_the_same_entry_again_changes_nothing(tmp_path: Path) -> None:
    target = write(tmp_path, "demo", ENTRY)
    write(tmp_path, "demo", replace(ENTRY, feature="F-0002"))
    before = target.read_bytes()
    for entry in (ENTRY, replace(ENTRY, feature="F-0002")):
        write(tmp_path, "demo", entry)
    assert target.read_bytes() == before


def test_an_entry_is_replaced_where_it_stands(tmp_path: Path) -> None:
    for feature in ("F-0001", "F-0002", "F-0003"):
        target = write(tmp_path, "demo", replace(ENTRY, feature=feature))
    before = target.read_text(encoding="utf-8")
    changed = replace(ENTRY, feature="F-0002", title="Other", date="2026-03-04", result=("x",))
    write(tmp_path, "demo", changed)
    assert target.read_text(encoding="utf-8") == before.replace(
        replace(ENTRY, feature="F-0002").render(), changed.render()
    )


@pytest.mark.parametrize(
    ("before", "between", "after"),
    [
        ("# Mine\r\n\r\nwindows  \r\n\r\n", "", "\r\n## Notes\r\nmine\r\n"),
        ("# Mine\n\n\n\n", "", "\n## Notes\n\nmine  \n\n\n"),
        ("text  \n", "", "no line end"),
        ("## Thoughts on F-0001: why\n\nmine\n\n", "", "\n## 2026 F-00011: other\n"),
        ("", "\nA note of a person below the entry.\n", "\n# Another part\n\n## Sub\n"),
        ("caf\udce9 \n\n", "", "\n## \udcff\n"),
        ("## 2026-01-01 F-0009: revert F-0001: bad [E3]\n\nx\n\n", "", ""),
        ("```\n## code, no heading\n```\n\n", "\n- a list of a person\n", "\n### deeper\n"),
        ("a\x0bb\x0cc\u2028d\x85e\n\n", "", "\nx\u2029y\n"),
    ],
)
def test_everything_else_on_the_page_stays_byte_for_byte(before: str, between: str, after: str, tmp_path: Path) -> None:
    target = page(tmp_path, "demo")
    target.parent.mkdir()
    target.write_bytes(f"{before}{BODY}{between}{after}".encode(errors="surrogateescape"))
    changed = replace(ENTRY, title="Other", result=("x", "y", "z"))
    write(tmp_path, "demo", changed)
    assert target.read_bytes() == f"{before}{changed.render()}{between}{after}".encode(errors="surrogateescape")


@pytest.mark.parametrize(
    "text", ["", "x", "x\n", "x\n\n", "x  \n\n\n", "x\r\n", "## 2026-01-01 F-0009: revert F-0001: bad [E3]\n"]
)
def test_a_new_entry_is_added_behind_all_there_is(text: str, tmp_path: Path) -> None:
    target = page(tmp_path, "demo")
    target.parent.mkdir()
    target.write_bytes(text.encode())
    write(tmp_path, "demo", ENTRY)
    now = target.read_bytes().decode()
    assert now.startswith(text)
    assert now.endswith(BODY)
    assert now.removesuffix(BODY).endswith("\n\n") or text == ""
    assert now.removeprefix(text).removesuffix(BODY) in {"", "\n", "\n\n"}


@pytest.mark.parametrize(
    "hostile",
    [
        "a\n## 2026-01-01 F-0002: fake [E1]\n",
        "a\r\nb",
        "a\u2028## b",
        "a\x0b\x0cb",
        "a\n\n**Next**\n\n- x",
        "# x",
        "[x](y) `z` <b> | * _",
        "  ",
    ],
)
def test_hostile_words_stay_on_their_line(hostile: str, tmp_path: Path) -> None:
    write(tmp_path, "demo", replace(ENTRY, feature="F-0002"))
    entry = replace(ENTRY, title=hostile, result=(hostile,), decision=hostile, learnings=(hostile,), next=(hostile,))
    target = write(tmp_path, "demo", entry)
    text = target.read_bytes().decode()
    assert len([line for line in text.splitlines() if line.startswith("## ")]) == 2
    assert len(entry.render().splitlines()) == len(replace(ENTRY, result=("x",), next=("x",)).render().splitlines())
    write(tmp_path, "demo", ENTRY)
    write(tmp_path, "demo", entry)
    assert target.read_bytes().decode() == text


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.text(max_size=12).filter(lambda text: text.isprintable())), max_size=8))
def test_a_page_holds_the_newest_entry_of_each_feature(entries: list[tuple[int, str]]) -> None:
    import tempfile
    from pathlib import Path

    newest: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, title in entries:
            entry = replace(ENTRY, feature=f"F-{number:04d}", title=title)
            newest[entry.feature] = entry.render()
            write(Path(folder), "demo", entry)
        text = page(Path(folder), "demo").read_text(encoding="utf-8") if entries else ""
    assert text.endswith("\n".join(newest.values()))
    assert text.count("\n## ") == len(newest)


def test_threads_lose_no_entry_of_each_other(tmp_path: Path) -> None:
    entries = [replace(ENTRY, feature=f"F-{number:04d}", title=f"title {number}") for number in range(12)]

    def work(mine: list[Entry]) -> None:
        for _ in range(3):
            for entry in mine:
                write(tmp_path, "demo", entry)

    threads = [threading.Thread(target=work, args=(entries[number::3],)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = page(tmp_path, "demo").read_text(encoding="utf-8")
    assert all(text.count(entry.render()) == 1 for entry in entries)
    assert text.count("\n## ") == 12


def test_dead_ends_stand_before_the_entries_and_once_each(tmp_path: Path) -> None:
    write(tmp_path, "demo", ENTRY)
    for text in ("one\n## led nowhere", "two", "two"):
        target = add_dead_end(tmp_path, "demo", text)
    text = target.read_text(encoding="utf-8")
    assert text.index("## Dead ends") < text.index("- one ## led nowhere") < text.index("- two") < text.index("## 2026")
    assert text.count("- two\n") == 1
    assert text.endswith(f"\n\n{BODY}")
    assert write(tmp_path, "demo", ENTRY).read_text(encoding="utf-8") == text


def test_a_page_may_begin_with_a_dead_end(tmp_path: Path) -> None:
    target = add_dead_end(tmp_path, "demo", "one")
    add_dead_end(tmp_path, "demo", "two")
    write(tmp_path, "demo", ENTRY)
    text = target.read_text(encoding="utf-8")
    assert text.startswith("# demo: what the project learned\n")
    assert "- one\n- two\n" in text
    assert text.endswith(BODY)
