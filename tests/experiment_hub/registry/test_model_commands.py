"""The commands about artifacts and models, from the command line to the exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiment_hub.artifacts.catalog import catalog

pytestmark = pytest.mark.slow  # every call builds the whole command line
Hub = Callable[..., tuple[int, str, str]]


def said(hub: Hub, *arguments: object, code: int = 0) -> dict[str, Any]:
    """What the command says as JSON."""
    got, out, err = hub(*arguments, "--json")
    assert got == code, err
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "model.json").write_text('{"format": 1}')
    (folder / "weights").write_text("one")
    return folder


def test_an_artifact_is_stored_listed_explained_fetched_and_given_up(
    hub: Hub, home: Path, made: Path, tmp_path: Path
) -> None:
    digest = str(said(hub, "artifacts", "put", made, "--name", "new\nline\x1b[31m", "--role", "model")["digest"])
    code, out, _ = hub("artifacts", "ls")
    assert (code, digest[:19] in out, "new\\nline\\x1b[31m" in out) == (0, True, True)
    why = said(hub, "artifacts", "why", digest[7:20])
    assert (why["reason"], why["digest"]) == ("kept for ever", digest)
    assert "stays: kept for ever" in hub("artifacts", "why", digest)[1]
    assert said(hub, "artifacts", "get", digest, tmp_path / "copy")["digest"] == digest
    assert (tmp_path / "copy" / "weights").read_text() == "one"
    assert said(hub, "artifacts", "get", digest, tmp_path / "copy", code=2)["kind"] == "ConflictError"
    assert said(hub, "artifacts", "unlink", digest, "new\nline\x1b[31m")["dropped"] == 1
    assert "no name" in str(said(hub, "artifacts", "unlink", digest, "x", code=2)["error"])
    assert hub("artifacts", "why", digest)[1].splitlines()[1] == "nothing needs it"
    (home / "hub.yaml").write_text("retention: {grace_hours: 0}\n")
    assert "would be condemned: 2 files, 16 B" in hub("artifacts", "gc", "--dry-run")[1]
    said(hub, "artifacts", "gc")
    assert said(hub, "artifacts", "gc")["removed"] == {"count": 2, "bytes": 16}
    assert said(hub, "artifacts", "ls") == {"artifacts": []}


def test_damage_is_said_with_its_users_and_an_exit_code(hub: Hub, home: Path, made: Path) -> None:
    digest = str(said(hub, "artifacts", "put", made)["digest"])
    said(hub, "models", "register", "m", "--artifact", digest)
    assert said(hub, "artifacts", "verify") == {"damaged": []}
    weights = next(entry.digest for entry in catalog(home).entries(digest) if entry.path == "weights")
    path = home / "artifacts" / "objects" / weights[7:9] / weights[7:]
    path.chmod(0o644)
    path.write_text("two")
    code, out, _ = hub("artifacts", "verify", digest)
    assert code == 4
    assert "registered model 'm' version 1, stage none" in out
    promoted = hub("models", "promote", "m", 1, "--without-evaluation", "--reason", "x")
    assert (promoted[0], "damaged" in promoted[2]) == (4, True)


def test_a_model_is_registered_promoted_rolled_back_and_fetched(hub: Hub, made: Path, tmp_path: Path) -> None:
    digests = []
    for content in ("one", "two"):
        (made / "weights").write_text(content)
        digests.append(str(said(hub, "artifacts", "put", made)["digest"]))
        said(hub, "models", "register", "m", "--artifact", digests[-1], "--notes", content)
    trust = ("--without-evaluation", "--reason", "a test")
    assert said(hub, "models", "promote", "m", 1, code=2)["kind"] == "NotAllowedError"
    for version in (1, 2):
        assert said(hub, "models", "promote", "m", version, *trust)["digest"] == digests[version - 1]
    said(hub, "models", "alias", "m", 2, "champion")
    done = said(hub, "models", "rollback", "m", "--reason", "it was slow")
    assert (done["before"], done["after"], done["digest"]) == (2, 1, digests[0])
    assert said(hub, "models", "fetch", "m@production", tmp_path / "copy")["digest"] == digests[0]
    assert (tmp_path / "copy" / "weights").read_text() == "one"
    assert said(hub, "models", "rollback", "m", "--alias", "champion")["after"] is None
    said(hub, "models", "archive", "m", 2, "--reason", "slow")
    assert [row["stage"] for row in said(hub, "models", "list")["versions"]] == ["production", "archived"]
    shown = hub("models", "show", "m")[1]
    assert "it was slow" in shown
    assert said(hub, "models", "show", "m")["aliases"] == {}


def test_what_is_said_wrongly_is_bad_input(hub: Hub, made: Path) -> None:
    digest = said(hub, "artifacts", "put", made)["digest"]
    for arguments in (
        ("models", "register", "m"),
        ("models", "register", "m", "--artifact", digest, "--run", "r-1"),
        ("models", "register", "m", "--run", "r-none"),
        ("models", "promote", "m", 1, "--minimum", "accuracy"),
        ("models", "promote", "m", 1, "--minimum", "accuracy=nan"),
        ("models", "show", "m"),
        ("models", "fetch", "m", "x"),
        ("artifacts", "put", made, "--run", "r-none"),
        ("artifacts", "put", made, "--name", "../x"),
        ("artifacts", "get", "../../etc/passwd", "x"),
    ):
        assert "error" in said(hub, *arguments, code=2), arguments


def test_the_names_of_a_registered_model_are_not_given_up(hub: Hub, made: Path) -> None:
    digest = said(hub, "artifacts", "put", made)["digest"]
    said(hub, "models", "register", "m", "--artifact", digest)
    assert "models keep their artifacts" in str(said(hub, "artifacts", "unlink", digest, "version 1", code=2)["error"])
