"""The page of `status --watch` in words: a list of lines, each with the marks of rich, for every width of a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

STATES = {
    "waiting": "waits to be judged",
    "judging": "[cyan]judging[/]",
    "passed": "[green]passed[/]",
    "red": "[red]red[/]",
    "unclear": "[yellow]could not be judged[/]",
}
ALWAYS = 14
"""Lines that the page takes besides the train."""
NEVER_LESS = 6
"""Lines of the train that are shown on the smallest terminal."""


def lines(board: Mapping[str, Any], *, height: int | None = None) -> list[str]:
    """Lay the page out; `height` is how many lines there is room for, None for any number."""
    room = None if height is None else max(height - ALWAYS, NEVER_LESS)
    parts = [
        _target(board),
        *(_few(list(_train(board["train"], board["target"]["branch"])), room) if board["train"] else ()),
        *_at_work(board),
        *_section("waits for a person", (_person(one) for one in board["for_a_person"])),
        *_section("left the train", (_departed(one) for one in reversed(board["left"]))),
        *_section("landed", (_arrived(one) for one in reversed(board["landed"]))),
        *_section("not told", (f"{_e(one['hook'])}: {_e(one['reason'])}" for one in board["hooks"])),
        "",
        f"next: {_e(_next(board))}",
    ]
    return parts[:height]


def _e(text: object) -> str:
    from rich.markup import escape

    return escape(" ".join(str(text).split()))


def _target(board: Mapping[str, Any]) -> str:
    target, train = board["target"], board["train"]
    said = f"[bold]{_e(target['branch'])}[/] at {target['head'][:12] or 'no commit'}"
    if not train:
        return f"{said}, no train yet"
    figures = [f"judges up to {train['window']} ahead, {train['slots']} at once"]
    figures += [f"up to {train['batch']} in one run"] if (train["batch"] or 1) > 1 else []
    figures += [f"{train['rate']:.0%} were at fault so far"] if train["rate"] is not None else []
    return f"{said}, {', '.join(figures)}"


# the train


def _train(train: Mapping[str, Any], branch: str) -> Iterator[str]:
    if train["stopped"]:
        yield f"[red]the train stands still[/]: {_e(train['stopped'])}"
    if not train["order"] and not train["behind"]:
        yield "the train is empty"
        return
    if not train["led_by"]:
        yield "[yellow]nobody leads the train now[/]; what is below is how it was left"
    yield ""
    yield "[dim]the train, first to land first[/]"
    position = 1
    for car in train["order"]:
        yield from _car(position, car, branch)
        position += len(car["changes"])
    for one in train["behind"]:
        yield f"{position:>3} [bold]{one['ticket']}[/] {_e(one['title'])}"
        yield f"    {_e(one['reason'] or 'waits behind the window')}"
        position += 1


def _car(position: int, car: Mapping[str, Any], branch: str) -> Iterator[str]:
    together = list(zip(car["changes"], car["titles"], strict=True))
    for offset, (ticket, title) in enumerate(together):
        yield f"{position + offset:>3} [bold]{ticket}[/] {_e(title)}"
    ahead = [_e(branch), *map(_e, car["ahead"])]
    shared = f", {len(together)} in one run" if len(together) > 1 else ""
    yield f"    {_state(car)} on {_shortened(ahead)}{shared}{_gate(car)}"
    if car["reason"]:
        yield f"    [dim]{_e(car['reason'])}[/]"


def _state(car: Mapping[str, Any]) -> str:
    said = STATES.get(car["state"], _e(car["state"]))
    if car["seconds"] is None or car["state"] == "waiting":
        return said
    return f"{said} {'' if car['state'] == 'judging' else 'in '}{car['seconds']:.0f} s"


def _gate(car: Mapping[str, Any]) -> str:
    return f", gate {_e(car['gate'])}" if car["gate"] and car["state"] == "judging" else ""


def _shortened(ahead: Sequence[str]) -> str:
    """Name what a change is judged on: the target, and those that are to land before."""
    if len(ahead) <= 4:  # noqa: PLR2004 - what fits beside the state on a narrow terminal
        return " + ".join(ahead)
    return f"{ahead[0]} + {len(ahead) - 2} changes + {ahead[-1]}"


def _few(parts: list[str], room: int | None) -> list[str]:
    if room is None or len(parts) <= room:
        return parts
    left = sum(part[:3].strip().isdigit() for part in parts[room - 1 :])
    return [*parts[: room - 1], f"    [dim]and {left} more behind; a higher terminal shows them[/]"]


# all else


def _at_work(board: Mapping[str, Any]) -> Iterator[str]:
    for name, said in (("at_work", "at work"), ("to_come", "to come")):
        if board[name]:
            yield ""
            yield f"[dim]{said}:[/] " + ", ".join(f"{one['ticket']} {_e(one['title'])}" for one in board[name])


def _section(name: str, parts: Iterable[str]) -> Iterator[str]:
    found = list(parts)
    if found:
        yield ""
        yield f"[dim]{name}[/]"
        yield from (f"    {part}" for part in found)


def _person(one: Mapping[str, str]) -> str:
    return f"[yellow]{one['ticket']}[/] {_e(one['title'])}: {_e(one['reason'] or one['state'])}"


def _departed(one: Mapping[str, str]) -> str:
    return f"{one['at'][11:19]} {one['ticket']} {_e(one['title'])}: {_e(one['reason'] or 'no reason was kept')}"


def _arrived(one: Mapping[str, str]) -> str:
    return f"{one['at'][11:19]} {one['ticket']} {_e(one['title'])} [green]{one['commit'][:12]}[/]"


def _next(board: Mapping[str, Any]) -> str:
    """Name the one command that helps most now."""
    train = board["train"]
    if board["for_a_person"]:
        return str(board["for_a_person"][0]["next"])
    if train and not train["led_by"] and (train["order"] or train["behind"]):
        return "orchestrate resume"
    if board["left"]:
        return f"orchestrate report {board['left'][-1]['ticket']}"
    if board["landed"]:
        return f"orchestrate report {board['landed'][-1]['ticket']}"
    if board["at_work"] or board["to_come"] or (train and (train["order"] or train["behind"])):
        return "nothing to do; Ctrl-C ends this page and nothing else"
    return 'orchestrate feature "..."'
