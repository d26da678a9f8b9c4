"""Commits between clones, by one git remote: the target, and what was done on tickets.

What a clone did on a ticket stands on the remote before the records, which all clones share, speak of it.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tickets.errors import EnvironmentFailure, InputError, WaitingError
from tickets.policy import POLICY_FILE
from worktrees.checkout import ARCHIVE
from worktrees.remote import Line, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.workspace import Workspace
    from worktrees.remote import Done, Overtaken

WAITS_S = (0.2, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Between tries to reach the remote."""
AGAIN_S = 0.5
LOOKS = 3
"""At a target that is not where it should be: it may be on its way."""
_FETCHING = threading.Lock()
"""Two threads that fetch the same ref would be in each other's way."""


def join(workspace: Workspace) -> None:
    """Make sure that this clone can share its work, and bring its target up to date; raise InputError where it cannot."""
    if not workspace.database.shared:
        return
    if not workspace.policy.landing.remote:
        raise InputError(
            f"{POLICY_FILE}: [state] database_url is for several clones, and they exchange commits by a git remote: "
            "set remote under [landing]"
        )
    from orchestrator.train.publishing import check

    check(workspace)
    try:
        follow(workspace)
    except WaitingError as error:
        raise InputError(str(error)) from error


def follow(workspace: Workspace) -> None:
    """Let the local target follow the remote's; raise WaitingError where a person has to do something first."""
    from orchestrator.train.publishing import Publisher

    publisher = Publisher(workspace)
    for look in range(LOOKS):
        # a landing may be between the remote and here: it is looked at again before anybody is troubled
        time.sleep(look * AGAIN_S)
        with _FETCHING:
            publisher.follow(now=True)
        if not publisher.trouble:
            return
    raise WaitingError(publisher.trouble)


def publish(workspace: Workspace, ticket: str, attempt: int) -> None:
    """Have an attempt's work on the remote, where any clone finds it; a clone that is alone has nothing to do."""
    if not workspace.database.shared:
        return
    ref = f"{ARCHIVE}/{ticket}/{attempt}"
    answer = _reached(lambda: _line(workspace).push([f"+{ref}:{ref}"], leases={}))
    if isinstance(answer, Refused):
        remote = workspace.policy.landing.remote
        raise EnvironmentFailure(f"{remote} does not take the work of {ticket} attempt {attempt}: {answer.reason}")


def gather(workspace: Workspace, ticket: str, commit: str) -> bool:
    """Bring the work of the ticket's attempts here where this commit is missing; say whether it is here now."""
    if not workspace.database.shared or workspace.repository.commit(commit) is not None:
        return True
    refs = f"{ARCHIVE}/{ticket}/*"
    with _FETCHING:
        _reached(lambda: _line(workspace).fetch(f"+{refs}:{refs}"))
    return workspace.repository.commit(commit) is not None


def _line(workspace: Workspace) -> Line:
    return Line(repository=workspace.repository, remote=workspace.policy.landing.remote)


def _reached(ask: Callable[[], Done | Overtaken | Refused | Unreachable]) -> Done | Overtaken | Refused:
    """Ask until the remote answers; raise EnvironmentFailure where it does not for too long."""
    for wait in WAITS_S:
        answer = ask()
        if not isinstance(answer, Unreachable):
            return answer
        time.sleep(wait)
    answer = ask()
    if isinstance(answer, Unreachable):
        raise EnvironmentFailure(f"the git remote cannot be reached: {answer.reason}")
    return answer
