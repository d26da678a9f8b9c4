from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tickets.globs import is_literal, matches, matches_everything, normalise, overlap

LETTERS = "ab.[]-"
SEGMENTS = st.text(alphabet=LETTERS + "*?", min_size=1, max_size=5) | st.just("**")
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)
NAMES = st.text(alphabet=LETTERS, min_size=1, max_size=4).filter(lambda name: name not in {".", ".."})
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/sub/a.py", False),
        ("src/*.py", "src/.py", True),
        ("src/*", "src/.hidden", True),
        ("*", ".env", True),
        ("*", "src/a.py", False),
        ("src/**", "src/a/b/c.py", True),
        ("src/**", "src/.cache/.x", True),
        ("src/**", "src", False),
        ("src/**", "srcs/a.py", False),
        ("**/a.py", "a.py", True),
        ("**/a.py", "x/y/a.py", True),
        ("**/*.lock", ".hidden/x.lock", True),
        ("src/**/a.py", "src/a.py", True),
        ("src/**/a.py", "src/x/y/a.py", True),
        ("**", "any/thing/at.all", True),
        ("a**b", "a/b", False),
        ("a**b", "axxb", True),
        ("***", "a/b", False),
        ("src/a.py", "SRC/a.py", False),
        ("src/A.py", "src/a.py", False),
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "src/a.pyc", False),
        ("src/a.py", "src/aXpy", False),
        ("src/a.py", "x/src/a.py", False),
        ("src/a.py", "src/a.py\n", False),
        ("src/*.py", "src/a.py\n", False),
        ("src/*", "src/a\nb", True),
        ("src/*.py", "src/caf\udce9.py", True),
        ("{a,b}", "a", False),
        ("{a,b}", "{a,b}", True),
        ("!a", "b", False),
        ("-a", "b", False),
        ("a|b", "a", False),
        ("@(a)", "a", False),
        ("app/[id]/page.tsx", "app/[id]/page.tsx", True),
        ("app/[id]/*.tsx", "app/i/page.tsx", True),
    ],
)
def test_a_glob_fits_exactly_what_the_contract_says(pattern: str, path: str, fits: bool) -> None:  # noqa: FBT001 - a table
    assert (matches(path, (pattern,)) == pattern) is fits


def test_the_first_pattern_that_fits_is_named() -> None:
    assert matches("src/a.py", ("docs/**", "src/**", "src/a.py")) == "src/**"
    assert matches("src/a.py", ()) is None


@pytest.mark.parametrize(
    ("given_", "normal"),
    [
        ("src/a.py", "src/a.py"),
        ("./src//a.py", "src/a.py"),
        ("src/./a.py", "src/a.py"),
        ("src/", "src/**"),
        ("src/.gitignore", "src/.gitignore"),
        ("a..b/...", "a..b/..."),
        ("a b", "a b"),
        ("**", "**"),
    ],
)
def test_a_pattern_has_one_spelling(given_: str, normal: str) -> None:
    assert normalise(given_) == normal
    assert normalise(normal) == normal


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ("", "not an empty string"),
        ("  ", "not an empty string"),
        ("..", "has `..`"),
        ("../x", "has `..`"),
        ("a/../../x", "has `..`"),
        ("a/..", "has `..`"),
        ("/etc/passwd", "relative to the repository"),
        ("//x", "relative to the repository"),
        ("~/x", "relative to the repository"),
        ("~root/x", "relative to the repository"),
        ("C:/x", "relative to the repository"),
        ("c:x", "relative to the repository"),
        ("a\\b", "`/` between segments"),
        ("..\\x", "`/` between segments"),
        ("a\nb", "control characters"),
        ("a\0b", "control characters"),
        (".", "below the root"),
        ("./", "below the root"),
        (".git", "outside .git"),
        (".git/config", "outside .git"),
        ("sub/.GIT/hooks", "outside .git"),
    ],
)
def test_what_leaves_the_repository_is_refused(given_: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        normalise(given_)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab./*~\\:\n ", max_size=12))
def test_what_is_not_refused_stays_inside(text: str) -> None:
    try:
        normal = normalise(text)
    except ValueError:
        return
    segments = normal.split("/")
    assert normalise(normal) == normal
    assert not normal.startswith(("/", "~"))
    assert not {"", ".", ".."} & set(segments)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "src/b.py", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/*.md", False),
        ("src/**", "src/x/y.py", True),
        ("src/**", "docs/**", False),
        ("**/x.py", "src/**", True),
        ("a*/b", "*c/b", True),
        ("a?c", "abc", True),
        ("[]]", "]", True),
        ("[[:alpha:]]", "q", True),
        ("[!a]x", "bx", True),
        ("app/[id]/p", "app/[id]/p", True),
        ("app/[id]/p", "app/[*/p", True),
        ("a/**/b", "a/b", True),
        ("a", "a/b", False),
        ("***", "a/b", False),
    ],
)
def test_an_overlap_is_found_in_both_directions(one: str, other: str, meet: bool) -> None:  # noqa: FBT001 - a table
    assert (overlap((one,), (other,)) is not None) is meet
    assert (overlap((other,), (one,)) is not None) is meet


def test_an_overlap_names_the_two_patterns() -> None:
    assert overlap(("docs/**", "src/*.py"), ("x", "src/a.py")) == ("src/*.py", "src/a.py")
    assert overlap((), ("a",)) is None


@settings(max_examples=250, deadline=None)
@given(PATTERNS, PATTERNS, PATHS)
@example("[]]", "]", "]")
@example("**/**", "a/**", "a")
def test_two_patterns_that_fit_one_path_overlap(one: str, other: str, path: str) -> None:
    if matches(path, (one,)) and matches(path, (other,)):
        assert overlap((one,), (other,)) == (one, other)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_pattern_made_from_a_path_fits_it_and_overlaps_with_it(data: st.DataObject) -> None:
    path = data.draw(PATHS)
    segments = path.split("/")
    kept = [data.draw(st.sampled_from([segment, f"{segment[:1]}*", "*", "**"])) for segment in segments]
    pattern = "/".join(kept)
    plain = not set(path) & set("[]*?")
    if plain:
        assert matches(path, (pattern,))
    assert overlap((pattern,), (path,))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a" * 5000, "a" * 4999 + "b"),
        ("a" * 1500 + "*", "a" * 1500 + "b"),
        ("/".join("a" * 1500), "/".join("a" * 1499 + "b")),
        ("*a" * 60 + "b", "a*" * 60),
        ("**/a/" * 40 + "b", "**/c/" * 40 + "b"),
    ],
)
def test_long_and_hostile_patterns_are_answered_soon(one: str, other: str) -> None:
    begun = time.monotonic()
    overlap((one,), (other,))
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(("pattern", "literal"), [("src/a.py", True), ("src/*", False), ("a?b", False), ("[a]", False)])
def test_a_literal_is_told_from_a_pattern(pattern: str, literal: bool) -> None:  # noqa: FBT001 - a table
    assert is_literal(pattern) is literal


@pytest.mark.parametrize("pattern", ["**", "**/*", "**/**", "**/?*"])
def test_a_glob_of_everything_is_known(pattern: str) -> None:
    assert matches_everything(pattern)


@pytest.mark.parametrize("pattern", ["*", "src/**", "*.py", "**/*.py", "q", "**/q", "[a-p]**"])
def test_a_glob_that_leaves_something_out_is_not_everything(pattern: str) -> None:
    assert not matches_everything(pattern)
