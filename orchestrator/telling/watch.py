"""`status --watch`: the page again and again, until Ctrl-C; on a terminal in its place, elsewhere as blocks of text."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

from orchestrator.commands.output import say
from orchestrator.telling.board import Board
from orchestrator.telling.page import lines

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.workspace import Workspace

LIVE_S = 0.5
PLAIN_S = 0.3
INTERRUPTED = 130


def watch(workspace: Workspace, *, json: bool) -> int:
    """Show the page until somebody interrupts; with `json` its data, once."""
    board = Board(workspace)
    if json:
        say(board.look(), str, as_json=True)
        return 0
    from rich.console import Console

    console = Console(highlight=False)
    try:
        if console.is_terminal:
            _live(board, console)
        else:
            _plain(board)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # what is still in the buffer would fail once more when the process ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _live(board: Board, console: Console) -> NoReturn:
    """Write the page in the place of the one before; the size is asked for anew each time."""
    from rich.live import Live
    from rich.text import Text

    seen = board.look()
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                page = Text.from_markup("\n".join(lines(seen, height=console.height)), overflow="ellipsis")
                page.no_wrap = True
                live.update(page, refresh=True)
                time.sleep(LIVE_S)
                seen = board.look()
    finally:
        console.print("\n".join(lines(seen)))  # the last picture stays where the person reads on


def _plain(board: Board) -> NoReturn:
    """Write the page whenever something in it changed; seconds that pass are no change."""
    from rich.text import Text

    before: dict[str, Any] = {}
    while True:
        now = board.look()
        if (unchanged := _still(now)) != before:
            page = Text.from_markup("\n".join(lines(now))).plain
            sys.stdout.write(f"{now['at']}\n{page}\n\n")
            sys.stdout.flush()
            before = unchanged
        time.sleep(PLAIN_S)


def _still(board: dict[str, Any]) -> dict[str, Any]:
    train = board["train"]
    if train:
        order = [{name: value for name, value in car.items() if name != "seconds"} for car in train["order"]]
        train = {**train, "order": order}
    return {name: value for name, value in board.items() if name != "at"} | {"train": train}
