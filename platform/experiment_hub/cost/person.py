"""Who gives an approval: a person at a terminal, never a job."""

import os
import pwd

import psutil

from experiment_hub.errors import NotAllowedError

IN_A_JOB = "HUB_JOB"
"""In the environment of everything that the hub's workers start."""


def person(name: str | None = None) -> str:
    """The user of the operating system, with the name that was given; raises NotAllowedError inside a job."""
    if IN_A_JOB in os.environ or _started_by_a_job():
        raise NotAllowedError("an approval cannot be given from inside a job: a person has to give it outside of it")
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = f"uid {os.getuid()}"
    return f"{user} (as {name})" if name else user


def _started_by_a_job() -> bool:
    """Clearing the variable does not help: a parent still has it."""
    for parent in psutil.Process().parents():
        try:
            if IN_A_JOB in parent.environ():
                return True
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return False
