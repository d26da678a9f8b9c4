"""The process that holds one attempt's agent: its gateway, its live permission, its driver and its money. It outlives the harness.

It is forked where no second thread is, in a session of its own, and ends with the attempt: with an outcome left at its post, or
without one where it was told to end, or where the repository is gone. Should somebody kill it, its agent dies with it.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import threading
import time
import traceback
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from agents.brief import Rule, for_ticket
from gates.catalogue import catalogue
from gates.live.decision import Bounds, Ground, decide
from gates.protocol import Call
from orchestrator.bench import at_work
from orchestrator.money.purse import taken_over
from orchestrator.posts import PATIENCE_S
from tickets.errors import CancelledError, InconclusiveError, SignalboxError
from tickets.model import Command, Scope, Ticket
from tickets.policy import Policy
from worktrees.durable import sync

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from memory.amounts import Booking
    from orchestrator.bench import Task
    from orchestrator.money.purse import Fund
    from orchestrator.posts import Post

LOOK_S = 1.0
"""How often it looks whether its post is still there."""
AGAIN_S = 0.5
"""Between two tries to keep an outcome: a disk that is full may get room again."""


def rehearse() -> None:
    """Load what each attempt loads: keepers that are forked afterwards share it, and need not wait for it."""
    for name in _NEEDED:
        importlib.import_module(name)
    done = Command(run=("true",), timeout_s=1)
    ticket = Ticket(id="T-0000", title="a", objective="a", non_goals=("a",), scope=Scope(), acceptance=(done,))
    policy, ground = Policy(), Ground(root="/", home="/", temporary="/")
    decide(Call(kind="run", command="true"), bounds=Bounds(ticket=ticket, policy=policy, ground=ground))
    for_ticket(ticket, rules=[Rule(name=gate.name, text=gate.rule(ticket, policy)) for gate in catalogue().values()])


_NEEDED = (
    "importlib.resources.readers",
    "memory.embedded",
    "orchestrator.feedback",
    "orchestrator.workspace",
    "worktrees.bubblewrap",
    "worktrees.provision",
)
"""Imported by what is unpickled, or inside functions."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a keeper is sent."""

    task: Task
    fund: Fund
    post: Post


def keep(lock: int, words: int) -> None:
    """Carry out the order that comes through `words`; one that is cut off, because its sender is gone, is not begun."""
    end = _End()
    signal.signal(signal.SIGTERM, end)
    try:
        with os.fdopen(words, "rb") as stream:
            order: Order = pickle.load(stream)  # noqa: S301 - from the harness, which is the same Python
        _stay_while_there(order.post, lock)
        order.post.sign(lock)
        with ExitStack() as stack:
            _work(order, stack, end)
    except (KeyboardInterrupt, CancelledError, EOFError, pickle.UnpicklingError):
        return  # whoever waits finds no outcome


def _work(order: Order, stack: ExitStack, end: _End) -> None:
    booking: Booking | None = None
    try:
        money = stack.enter_context(taken_over(order.task.workspace, order.fund))
        done = at_work(order.task, money)
        booking = done.booking
        left: dict[str, Any] = {"outcome": done.outcome.to_json(), **_booking(order.fund, booking)}
    except CancelledError:
        raise
    except SignalboxError as error:
        left = {"error": error.exit_code, "said": str(error)}
    except OSError as error:
        left = {"error": InconclusiveError.exit_code, "said": f"{type(error).__name__}: {error}"}
    except Exception:  # noqa: BLE001 - the edge of a process: the harness keeps it as a defect
        left = {"defect": traceback.format_exc()}
    end.keeping = True
    _persist(order.post, end, lambda: _leave(order, left))
    if booking is not None:
        _persist(order.post, end, lambda: money.book(booking))


def _booking(fund: Fund, booking: Booking | None) -> dict[str, Any]:
    """Keep it beside the outcome: should this process be killed before it is booked, others book the same."""
    if fund.reservation is None or booking is None:
        return {}
    return {"booking": {"run": fund.reservation.id, **asdict(booking)}}


def _leave(order: Order, left: dict[str, Any]) -> None:
    sync(order.task.workspace.worktrees)  # an outcome must not speak of work that a power cut takes away
    order.post.leave(left)


def _persist(post: Post, end: _End, write: Callable[[], None]) -> None:
    """Try until it is kept, or until there is no place for it any more: the work is paid for."""
    while post.folder.is_dir():
        try:
            write()
        except (OSError, SignalboxError):
            if end.told:
                return
            time.sleep(AGAIN_S)
        else:
            return


@dataclass(kw_only=True)
class _End:
    """Handles the signal that tells this process to end."""

    told: bool = False
    keeping: bool = False
    """Whether the agent has ended, and its outcome is being kept."""

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.told = True
        # a driver that does not end in time is left behind: its agent dies with this process
        timer = threading.Timer(PATIENCE_S / 2, os._exit, (1,))
        timer.daemon = True
        timer.start()
        if not self.keeping:
            raise KeyboardInterrupt


def _stay_while_there(post: Post, lock: int) -> None:
    def look() -> None:
        while post.holds(lock):
            time.sleep(LOOK_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look, name="post", daemon=True).start()
