"""Commands about datasets; none of them loads torch or shows a sample."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiment_hub.configuration.document import differences, from_record, load
from experiment_hub.datasets.declared import Declared, declared
from experiment_hub.datasets.manifest import manifest
from experiment_hub.datasets.protocol import Validated
from experiment_hub.datasets.splits import fingerprint
from experiment_hub.datasets.versions import register as add_version
from experiment_hub.datasets.versions import version, versions
from experiment_hub.errors import BadInputError, CorruptError, HubError
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import DatasetVersion
from experiment_hub.output import emit, table
from experiment_hub.tracking.home import find_home
from experiment_hub.tracking.source import module_hash, source

LISTED = ("name", "version", "samples", "groups", "train", "val", "test", "fingerprint", "created_at")
UNCHANGED = "unchanged"


def check(config: str, assignments: Sequence[str], *, as_json: bool) -> None:
    """Exit code 2 and every problem where the data cannot be used."""
    found = declared(load(config, assignments=assignments))
    if isinstance(found.dataset.item, Validated):
        problems = found.dataset.item.validate(found.config)
        if problems:
            lines = list(map(str, problems))
            emit({"problems": [asdict(each) for each in problems]}, lines, as_json=as_json)
            raise SystemExit(BadInputError.exit_code)
    document = _manifest(found)
    emit({"problems": [], "manifest": document}, ["no problems", *_summary(document)], as_json=as_json)


def register(config: str, assignments: Sequence[str], name: str | None, home: Path | None, *, as_json: bool) -> None:
    found = declared(load(config, assignments=assignments))
    document = {**_manifest(found), "lineage": _lineage(found)}
    engine = MetadataStore(find_home(home)).engine
    made, is_new = add_version(engine, name or found.section.name, document)
    told = "registered" if is_new else "already registered, with the same content and splits"
    lines = [f"{made.name}@{made.version}: {told}", *_summary(made.manifest)]
    emit({"new": is_new, **_row(made), "manifest": made.manifest}, lines, as_json=as_json)


def show_all(home: Path | None, *, as_json: bool) -> None:
    rows = [_row(each) for each in versions(MetadataStore(find_home(home)).engine)]
    emit({"datasets": rows}, table(LISTED, ([row[key] for key in LISTED] for row in rows)), as_json=as_json)


def show(reference: str, home: Path | None, *, as_json: bool) -> None:
    found = version(MetadataStore(find_home(home)).engine, reference)
    lines = [f"{found.name}@{found.version}  {found.hash}", *_summary(found.manifest)]
    lines += [f"config.{key}: {value}" for key, value in found.manifest["config"].items()]
    lines += [f"lineage.{key}: {value}" for key, value in found.manifest["lineage"].items()]
    emit({**_row(found), "manifest": found.manifest}, lines, as_json=as_json)


def diff(one: str, other: str, home: Path | None, *, as_json: bool) -> None:
    engine = MetadataStore(find_home(home)).engine
    left, right = (version(engine, reference) for reference in (one, other))
    changed = differences(left.manifest, right.manifest)
    labels = tuple(f"{each.name}@{each.version}" for each in (left, right))
    lines = table(("", *labels), ((key, *pair) for key, pair in changed.items()))
    same = left.fingerprint == right.fingerprint
    document = {"a": labels[0], "b": labels[1], "same_content": same, "changed": changed}
    emit(document, lines if changed else ["no difference"], as_json=as_json)


def verify(references: Sequence[str], home: Path | None, *, as_json: bool) -> None:
    """Read registered data again, all of it without REFERENCE; raises CorruptError where something changed."""
    engine = MetadataStore(find_home(home)).engine
    chosen = [version(engine, each) for each in references] or versions(engine)
    rows = [{"dataset": f"{each.name}@{each.version}", "state": _state(each)} for each in chosen]
    emit({"datasets": rows}, table(("dataset", "state"), (tuple(row.values()) for row in rows)), as_json=as_json)
    wrong = [row["dataset"] for row in rows if row["state"] != UNCHANGED]
    if wrong:
        raise SystemExit(CorruptError.exit_code)


def _state(registered: DatasetVersion) -> str:
    name = f"{registered.name}@{registered.version}"
    try:
        found = declared(from_record({"data": registered.manifest["config"]}, f"manifest of {name}"))
        now = fingerprint(found.samples())
    except HubError as error:
        return f"cannot be read: {' '.join(str(error).split())}"
    return UNCHANGED if now == registered.fingerprint else f"changed: its content is now {now}"


def _manifest(found: Declared) -> dict[str, Any]:
    made = manifest(found.samples(), found.section.splits.model_dump())
    section = found.section.model_dump(mode="json")
    section["splits"] = found.section.splits.model_dump(exclude_none=True)
    return {**made, "task": found.dataset.item.task, "config": section}


def _lineage(found: Declared) -> dict[str, Any]:
    code = source()
    return {
        "module": found.dataset.module,
        "module_sha256": module_hash(found.dataset.module),
        "git_commit": code.git_commit,
        "source_hash": code.source_hash,
    }


def _row(registered: DatasetVersion) -> dict[str, Any]:
    made = registered.manifest
    return {
        "name": registered.name,
        "version": registered.version,
        "samples": registered.samples,
        "groups": made["groups"] and made["groups"]["count"],
        **{split: each["samples"] for split, each in made["splits"].items()},
        "fingerprint": registered.fingerprint,
        "hash": registered.hash,
        "parent_hash": registered.parent_hash,
        "created_at": registered.created_at,
    }


def _summary(document: dict[str, Any]) -> list[str]:
    groups = document["groups"]
    grouped = "none" if groups is None else f"{groups['count']}, the largest of {groups['largest']} samples"
    rows = [("all", document), *document["splits"].items()]
    return [
        f"fingerprint: {document['fingerprint']}",
        f"groups: {grouped}",
        *table(("split", "samples", "classes"), ((name, each["samples"], _counts(each)) for name, each in rows)),
    ]


def _counts(part: dict[str, Any]) -> str | None:
    return None if part["classes"] is None else " ".join(map(str, part["classes"]))
