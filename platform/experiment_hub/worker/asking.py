"""From what somebody typed to requests for the queue."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiment_hub.configuration.document import Document, load
from experiment_hub.configuration.reading import read
from experiment_hub.errors import BadInputError, ConfigurationError
from experiment_hub.scheduler.requests import JobRequest, parse, usual_retries
from experiment_hub.scheduler.submission import new_id

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
CONFIG_FILE = "config.yaml"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One call of `hub jobs submit`."""

    argv: tuple[str, ...] = ()
    config: str | None = None
    assignments: tuple[str, ...] = ()
    seed: int | None = None
    smoke: bool = False
    halve: tuple[str, ...] = ()
    file: Path | None = None
    common: Mapping[str, Any]
    """What the other options say, as keys of a request."""


def build(asked: Asked) -> tuple[list[str], list[JobRequest]]:
    """Ids and requests; raises BadInputError."""
    given = [bool(asked.argv), asked.config is not None, asked.file is not None]
    if sum(given) != 1:
        raise BadInputError("what shall run? give one of: -- COMMAND, --config CONFIG, --file JOBS.yaml")
    if asked.config is None and (asked.assignments or asked.halve or asked.smoke or asked.seed is not None):
        raise BadInputError("--set, --seed, --smoke and --halve belong to --config")
    if asked.file is not None:
        return _from_file(asked.file)
    jobs = _trainings(asked, asked.config) if asked.config is not None else [_command(asked)]
    return [new_id() for _ in jobs], [parse(job) for job in jobs]


def _command(asked: Asked) -> dict[str, Any]:
    return {"argv": list(asked.argv), "folder": str(Path.cwd()), "name": Path(asked.argv[0]).name, **asked.common}


def _trainings(asked: Asked, config: str) -> list[dict[str, Any]]:
    """One job for each seed, each with the whole configuration, so that it runs on any machine."""
    document = load(config, assignments=asked.assignments)
    text = yaml.safe_dump(document.data, sort_keys=False, allow_unicode=True)
    seeds = [asked.seed] if asked.seed is not None else _seeds(document, smoke=asked.smoke)
    return [_training(asked, document, text, seed) for seed in seeds]


def _training(asked: Asked, document: Document, text: str, seed: int) -> dict[str, Any]:
    argv = ["hub", "run", CONFIG_FILE, "--seed", str(seed), *(["--smoke"] if asked.smoke else [])]
    job = {
        "argv": argv,
        "again": ["hub", "run", "--resume", "{run}"],
        "files": {CONFIG_FILE: text},
        "name": f"{document.data['name']}, seed {seed}",
        **asked.common,
    }
    if asked.halve:
        halved = [f"{key}={_half(document, key)}" for key in asked.halve]
        again = {"times": 1, "argv": [*argv, *(part for each in halved for part in ("--set", each))]}
        job["retries"] = {**job.get("retries", _usual_retries()), "out_of_memory": again}
    return job


def _seeds(document: Document, *, smoke: bool) -> list[int]:
    seeds = document.data.get("seeds")
    if not isinstance(seeds, list) or not seeds or not all(isinstance(seed, int) for seed in seeds):
        raise ConfigurationError(f"{document.source}: seeds: expected a list of integers; or give --seed")
    return seeds[:1] if smoke else seeds


def _half(document: Document, key: str) -> int:
    value: Any = document.data
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or value < 2:  # noqa: PLR2004 -- half of one is nothing
        raise BadInputError(
            f"--halve {key}: expected the name of an integer of at least 2, such as training.batch_size"
        )
    return value // 2


def _usual_retries() -> dict[str, Any]:
    return {kind: retry.model_dump() for kind, retry in usual_retries().items()}


def _from_file(path: Path) -> tuple[list[str], list[JobRequest]]:
    """A file with `jobs:`, a list of requests; `key` names one for the `needs` of others."""
    data, _ = read(path)
    jobs = data.get("jobs")
    if not isinstance(jobs, list) or not jobs or not all(isinstance(job, dict) for job in jobs):
        raise BadInputError(f"{path}: jobs: expected a list of jobs with at least one")
    keys = [job.get("key") for job in jobs if job.get("key") is not None]
    if len(set(map(json.dumps, keys))) < len(keys):
        raise BadInputError(f"{path}: key: two jobs have the same one")
    ids = [new_id() for _ in jobs]
    by_key = {job["key"]: id_ for job, id_ in zip(jobs, ids, strict=True) if isinstance(job.get("key"), str)}
    return ids, [_one(path, number, job, by_key) for number, job in enumerate(jobs, start=1)]


def _one(path: Path, number: int, job: dict[str, Any], by_key: Mapping[str, str]) -> JobRequest:
    needs = job.get("needs", [])
    known = (
        [by_key.get(each, each) if isinstance(each, str) else each for each in needs]
        if isinstance(needs, list)
        else needs
    )
    rest = {key: value for key, value in job.items() if key != "key"}
    try:
        return parse({"folder": str(path.resolve().parent), **rest, "needs": known})
    except BadInputError as error:
        raise BadInputError(f"{path}: job {number}: {error}") from error


def seconds(text: str) -> float:
    """`90`, `90s`, `45m`, `2h` or `1.5d`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if found is None:
        raise BadInputError(f"expected a time such as 90, 45m, 2h or 1.5d, got {text!r}")
    return float(found[1]) * UNITS[found[2] or "s"]


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """`KEY=VALUE` each."""
    split = [text.partition("=") for text in texts]
    wrong = [text for text, (key, sign, _) in zip(texts, split, strict=True) if not (key and sign)]
    if wrong:
        raise BadInputError(f"{option} {wrong[0]}: expected KEY=VALUE")
    return {key: value for key, _, value in split}


def retries(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`CLASS=TIMES` each."""
    found = pairs(texts, "--retry")
    wrong = [value for value in found.values() if not value.isdecimal()]
    if wrong:
        raise BadInputError(f"--retry: expected CLASS=TIMES such as lost=2, got {wrong[0]!r} as TIMES")
    return {kind: {"times": int(value)} for kind, value in found.items()}


def launcher_options(texts: Sequence[str]) -> dict[str, Any]:
    """Values are JSON where they can be, else text; dots go deeper: `slurm.partition=gpu`."""
    document: dict[str, Any] = {}
    for dotted, text in pairs(texts, "--option").items():
        *folders, last = dotted.split(".")
        place = document
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise BadInputError(f"--option {dotted}: {folder} is a value already")
        place[last] = _value(text)
    return document


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
