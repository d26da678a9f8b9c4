"""Where an attempt lives: `HOME/jobs/JOB/ATTEMPT/`."""

from pathlib import Path

LOG = "output.log"
HEALTH = "health.json"
FAILURE = "failure.json"


def attempt_folder(home: Path, job: str, attempt: int) -> Path:
    return home / "jobs" / job / str(attempt)
