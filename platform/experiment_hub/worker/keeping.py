"""What a job leaves on its machine, for the others: where several share a database, logs and series become artifacts."""

from pathlib import Path

from experiment_hub.artifacts.catalog import catalog
from experiment_hub.errors import CorruptError, HubError
from experiment_hub.metadata.tables import Job
from experiment_hub.tracking.layout import RUNS
from experiment_hub.tracking.series.layout import FOLDER
from experiment_hub.worker.attempt import Attempt
from experiment_hub.worker.folders import LOG
from experiment_hub.worker.post import Post


def keep(post: Post, attempt: Attempt, run_ids: tuple[str, ...]) -> None:
    """Before the end is recorded, so that who sees the end finds them; a store that fails does not hold up the end."""
    if post.engine.dialect.name != "postgresql":
        return
    log = attempt.launch.folder / LOG
    try:
        kept = catalog(post.home)
        if log.is_file():
            kept.log(("job", attempt.claim.id), log_name(attempt.claim.attempt), log, role="log", keep="transient")
        for run in run_ids:
            series = post.home / RUNS / run / FOLDER
            if series.is_dir():
                kept.log(("run", run), "series", series, role="curves")
    except HubError as error:
        post.say(f"{attempt.claim.id} {attempt.claim.name}: its log and series stay on this machine only: {error}")


def fetch_log(home: Path, job: Job, path: Path) -> bool:
    """Whether an artifact had the log; it is put where the job's own machine has it."""
    kept = catalog(home)
    name = log_name(int(path.parent.name))
    digests = [link.digest for link in kept.links("job", job.id) if link.name == name]
    if not digests:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        kept.fetch(digests[0], path)
    except CorruptError:
        return False  # a store that only the other machine has
    return True


def log_name(attempt: int) -> str:
    return f"output-{attempt}.log"
