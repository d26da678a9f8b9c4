"""Whether all that the configuration wants told can be told here; looked at before anything starts."""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import TYPE_CHECKING

from tickets.errors import InputError
from tickets.policy import POLICY_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.workspace import Workspace
    from tickets.notify import Hook


def check(workspace: Workspace) -> None:
    """Raise InputError that names every hook that could not be told anything here."""
    found = [f"{POLICY_FILE}: {problem}" for problem in _problems(workspace)]
    if found:
        raise InputError("\n".join(found))


def _problems(workspace: Workspace) -> Iterator[str]:
    for index, hook in enumerate(workspace.policy.hooks):
        yield from (f"hooks.{index}.{problem}" for problem in _of_hook(workspace, hook))
    yield from (f"notify.{problem}" for problem in _of_notify(workspace))


def _of_hook(workspace: Workspace, hook: Hook) -> Iterator[str]:
    if hook.run:
        name = hook.run[0]
        place = str(workspace.root / name) if "/" in name else name
        if shutil.which(place) is None:
            yield f"run: there is no program {name!r} that can be started"
    if hook.secret_env and not os.environ.get(hook.secret_env):
        yield f"secret_env: the environment variable {hook.secret_env} is not set"


def _of_notify(workspace: Workspace) -> Iterator[str]:
    notify = workspace.policy.notify
    if not notify.urls_env and not notify.desktop:
        return
    if importlib.util.find_spec("apprise") is None:
        yield "the library Apprise is not installed; pip install 'signalbox[notify]'"
        return
    if notify.urls_env and not os.environ.get(notify.urls_env, "").split():
        yield f"urls_env: the environment variable {notify.urls_env} is not set"
    yield from _of_addresses(notify.urls_env)
    from orchestrator.telling.ways import desktop

    if notify.desktop and desktop() is None:
        yield "desktop: Apprise cannot speak to this machine's desktop (on Linux it needs dbus-python and PyGObject)"


def _of_addresses(name: str) -> Iterator[str]:
    import apprise

    for number, url in enumerate(os.environ.get(name, "").split() if name else (), 1):
        if not apprise.Apprise.instantiate(url, suppress_exceptions=True):
            yield f"urls_env: Apprise does not know address {number} of {name} ({url.partition(':')[0]}:...)"
