"""What models answer with: a document, or prose around one, or no document at all."""

from __future__ import annotations

import json

import pytest

from tickets.errors import FileError
from tickets.plans.answer import read_answer
from tickets.plans.objections import MOST, read_objections

OBJECTION = {"severity": "major", "claim": "it cannot fail", "ticket": "a", "suggestion": "assert something"}


def test_a_document_in_a_fence_is_read_and_its_lines_are_those_of_the_whole_text() -> None:
    text = "Here it is:\n\n```yaml\nrequest: r\ntickets: []\n```\n\nThat is all.\n"
    document = read_answer(text, "answer")
    assert document.data == {"request": "r", "tickets": []}
    assert document.line(("tickets",)) == 5


def test_of_several_fences_the_longest_is_meant() -> None:
    text = '```sh\nls\n```\nand\n```json\n{"a": [1, 2, 3]}\n```\n'
    assert read_answer(text, "answer").data == {"a": [1, 2, 3]}


def test_a_fence_within_a_document_stays_a_part_of_it() -> None:
    text = "context: |\n  ```\n  b: 1\n  ```\nc: 2\n"
    assert read_answer(text, "answer").data == {"context": "```\nb: 1\n```\n", "c": 2}


def test_words_are_words() -> None:
    assert read_answer("just words", "answer").data == "just words"
    assert read_answer("", "answer").data is None


@pytest.mark.parametrize("text", ["a: [", "```yaml\na: [\n```", "{", "a: b: c\n```\nd: [\n```"])
def test_what_is_broken_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(FileError, match=r"answer:[0-9]+: valid"):
        read_answer(text, "answer")


# objections


def test_objections_are_a_list_or_stand_under_findings() -> None:
    for text in (
        json.dumps([OBJECTION]),
        json.dumps({"findings": [OBJECTION]}),
        f"```\n{json.dumps([OBJECTION])}\n```",
    ):
        (one,) = read_objections(text, "findings")
        assert one.weighs
        assert str(one) == "major, a: it cannot fail -> assert something"


def test_minor_objections_do_not_send_a_plan_back() -> None:
    (one,) = read_objections("- {severity: minor, claim: a name}", "findings")
    assert not one.weighs
    assert str(one) == "minor, the plan: a name"


def test_nothing_to_object_is_an_answer_and_silence_is_none() -> None:
    assert read_objections("[]", "findings") == ()
    for text in ("", "It is fine.", "{}", "findings: fine"):
        with pytest.raises(FileError, match="findings:1"):
            read_objections(text, "findings")


def test_a_wrong_objection_names_its_line() -> None:
    with pytest.raises(FileError, match=r"findings:2: findings\.1\.severity"):
        read_objections("- {severity: major, claim: a}\n- {severity: dreadful, claim: b}", "findings")


def test_no_more_objections_are_taken_than_were_asked_for() -> None:
    assert len(read_objections(json.dumps([OBJECTION] * (MOST + 5)), "findings")) == MOST
