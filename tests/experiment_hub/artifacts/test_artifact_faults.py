"""Writers and collectors that are killed, race each other, or find the disk full."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiment_hub.artifacts.catalog import Catalog, catalog
from experiment_hub.artifacts.inspection import damages
from experiment_hub.artifacts.retention import collect
from experiment_hub.errors import HubError, StoreGoneError

pytestmark = pytest.mark.slow

RACERS = Path(__file__).with_name("artifact_racers.py")
FULL = """
import sys
from pathlib import Path
from experiment_hub.artifacts.catalog import catalog
from experiment_hub.errors import HubError

try:
    catalog(Path(sys.argv[1])).log(("run", "r-1"), "big", Path(sys.argv[2]))
except HubError as error:
    print(f"{type(error).__name__}: {error}")
"""


def race(home: Path, how: str) -> str:
    """Prepares a home, lets writers and collectors race in real processes, and gives what they say."""
    home.mkdir(exist_ok=True)
    with (home / "hub.yaml").open("a") as file:
        file.write("retention: {grace_hours: 0, checkpoints_days: 0}\n")
    for number in range(6):
        folder = home.parent / "made" / str(number)
        folder.mkdir(parents=True)
        (folder / "own").write_bytes(bytes([number]) * 5000)
        (folder / "shared").write_bytes(bytes([number % 2]) * 7000)
    done = subprocess.run([sys.executable, RACERS, home, how], capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout


def whole(known: Catalog) -> None:
    """Every name leads to complete content, and two collections later nothing else is left."""
    for link in known.links():
        known.verify(link.digest)
    assert list(damages(known)) == []
    for _ in range(2):
        collect(known, dry_run=False)
    needed = {link.digest for link in known.links()}
    needed |= {entry.digest for digest in needed for entry in known.entries(digest)}
    assert {stored.digest for stored in known.content.store.listing()} == needed


@pytest.mark.long
def test_no_name_ever_leads_to_removed_content_while_many_store_and_collect(any_home: Path) -> None:
    stored, removed = map(int, race(any_home, "race").split())
    assert min(stored, removed) > 0  # they did meet
    whole(catalog(any_home))


@pytest.mark.long
def test_killed_at_any_moment_nothing_named_is_lost_and_nothing_else_stays(any_home: Path) -> None:
    assert int(race(any_home, "kill").split()[0]) > 0
    known = catalog(any_home)
    whole(known)
    for path in (any_home / "artifacts" / "staging").iterdir():
        os.utime(path, (1, 1))
    collect(known, dry_run=False)
    assert not list((any_home / "artifacts" / "staging").iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs more rights")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_nothing_of_it_stays(home: Path, small_disk: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / "hub.yaml").write_text(f"artifacts: {(small_disk / 'store').as_uri()}\n")
    known = catalog(home)
    kept = known.log(("run", "r-1"), "small", b"s" * 1_000_000).digest
    (tmp_path / "made").mkdir()
    for number in range(3):
        (tmp_path / "made" / str(number)).write_bytes(os.urandom(3_000_000))
    for source in (tmp_path / "made", os.urandom(9_000_000)):
        with pytest.raises(StoreGoneError, match="No space left on device"):
            known.log(("run", "r-1"), "big", source)
    assert [link.name for link in known.links()] == ["small"]
    known.verify(kept)
    assert list((small_disk / "store" / "staging").iterdir()) == []
    known.log(("run", "r-1"), "fits", os.urandom(3_000_000))  # there is room again


def test_a_copy_that_does_not_fit_leaves_nothing(home: Path, small_disk: Path, tmp_path: Path) -> None:
    known = catalog(home)
    for number in range(3):
        (tmp_path / "made").mkdir(exist_ok=True)
        (tmp_path / "made" / str(number)).write_bytes(os.urandom(3_000_000))
    for digest in (
        known.log(("run", "r"), "m", tmp_path / "made").digest,
        known.log(("run", "r"), "x", bytes(9_000_000)).digest,
    ):
        with pytest.raises(HubError, match="No space left on device"):
            known.fetch(digest, small_disk / "copy")
        assert list(small_disk.iterdir()) == []


def test_a_limit_on_file_sizes_is_said_as_well(home: Path, tmp_path: Path) -> None:
    known = catalog(home)
    (tmp_path / "big").write_bytes(bytes(20_000_000))
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(home), str(tmp_path / "big")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, 10_000_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("StoreGoneError: the artifact store"), done.stderr
    assert "File too large" in done.stdout
    assert known.links() == []
    assert not list((home / "artifacts" / "staging").iterdir())
