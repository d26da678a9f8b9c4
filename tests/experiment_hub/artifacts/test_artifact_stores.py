"""Stores that are not a folder in the home: through fsspec, S3, and somebody else's package."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped] # it ships no types
import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped] # the same

from experiment_hub.artifacts.catalog import Catalog, catalog
from experiment_hub.artifacts.inspection import damages
from experiment_hub.artifacts.retention import Amount, collect
from experiment_hub.errors import ConfigurationError, CorruptError, MissingExtraError, StoreGoneError

PACKAGE = """
from pathlib import Path
from experiment_hub.artifacts.stores.local import LocalStore

class Shelf:
    name = "shelf"
    schemes = frozenset({"shelf"})

    def open(self, url, home):
        return LocalStore(home.parent / url.removeprefix("shelf://"))

STORE = Shelf()
"""
PROGRAM = """
import sys
from pathlib import Path
from experiment_hub.artifacts.catalog import catalog

known = catalog(Path(sys.argv[1]))
print(known.open(known.log(("run", "r-1"), "x", b"by a package").digest).read())
"""


class Liar(MemoryFileSystem):  # type: ignore[misc] # it has no type
    """A place that says yes and keeps something else."""

    protocol = "liar"
    store: dict[str, Any] = {}  # noqa: RUF012 -- fsspec's own way
    pseudo_dirs = [""]  # noqa: RUF012 -- the same

    def put_file(self, lpath: str, rpath: str, **more: Any) -> None:
        super().put_file(lpath, rpath, **more)
        self.pipe_file(rpath, b"?" + self.cat_file(rpath)[1:])


class Broken(MemoryFileSystem):  # type: ignore[misc] # the same
    """A place whose every answer is an error that no standard names."""

    protocol = "broken"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        raise LookupError(f"token of {path} expired")


@pytest.fixture(scope="module", autouse=True)
def places() -> None:
    for kind in (Liar, Broken):
        fsspec.register_implementation(kind.protocol, kind, clobber=True)


def at(known: Catalog, url: str) -> Catalog:
    (known.home / "hub.yaml").write_text(f"artifacts: {url}\nretention: {{grace_hours: 0}}\n")
    return catalog(known.home)


@pytest.fixture
def memory(known: Catalog) -> Iterator[Catalog]:
    yield at(known, f"memory://bucket/{known.home.parent.name}")
    fsspec.filesystem("memory").rm(f"/bucket/{known.home.parent.name}", recursive=True)


def round_trip(known: Catalog, folder: Path) -> str:
    """Stores a folder, gets it back, collects what is given up; gives the digest of what stays."""
    made = folder / "made"
    (made / "sub").mkdir(parents=True)
    (made / "sub" / "weights").write_bytes(os.urandom(3_000_000))
    (made / "twin").write_bytes((made / "sub" / "weights").read_bytes())
    kept, lost = known.log(("run", "r-1"), "model", made).digest, known.log(("run", "r-1"), "x", b"lost").digest
    known.fetch(kept, folder / "copy")
    assert (folder / "copy" / "sub" / "weights").read_bytes() == (made / "twin").read_bytes()
    assert known.open(lost).read() == b"lost"
    known.unlink("run", "r-1", "x")
    collect(known, dry_run=False)
    assert collect(known, dry_run=False).removed == Amount(1, 4)
    assert {stored.digest for stored in known.content.store.listing()} == {
        kept,
        known.entries(kept)[0].digest,
    }
    assert list(damages(known)) == []
    assert list(known.content.store.staging.iterdir()) == []
    return kept


def test_a_distant_store_keeps_what_a_folder_keeps(memory: Catalog, tmp_path: Path) -> None:
    round_trip(memory, tmp_path)
    assert not (memory.home / "artifacts").exists()


def test_what_was_read_once_is_read_from_the_cache_and_checked_there(memory: Catalog) -> None:
    digest = memory.log(("run", "r-1"), "x", b"content" * 1000).digest
    path = f"/bucket/{memory.home.parent.name}/objects/{digest[7:9]}/{digest[7:]}"
    files = fsspec.filesystem("memory")
    assert memory.open(digest).read() == b"content" * 1000
    kept = files.cat_file(path)
    files.pipe_file(path, b"?" + kept[1:])
    assert memory.open(digest).read() == b"content" * 1000
    [cached] = [each for each in (memory.home / "cache" / "objects").rglob("*") if each.is_file()]
    cached.chmod(0o644)
    cached.write_bytes(b"!" + kept[1:])
    with pytest.raises(CorruptError, match="damaged"):
        memory.open(digest)
    files.pipe_file(path, kept)
    assert memory.open(digest).read() == kept


def test_a_cache_that_nobody_used_for_long_is_emptied(memory: Catalog) -> None:
    memory.open(memory.log(("run", "r-1"), "x", b"12345").digest).read()
    [cached] = [each for each in (memory.home / "cache" / "objects").rglob("*") if each.is_file()]
    assert collect(memory, dry_run=False).leftovers == 0
    os.utime(cached, (1, 1))
    assert collect(memory, dry_run=False).leftovers == 5
    assert not cached.exists()


def test_one_wrong_byte_in_a_distant_store_is_found(memory: Catalog, tmp_path: Path) -> None:
    digest = memory.log(("run", "r-1"), "x", b"content").digest
    fsspec.filesystem("memory").pipe_file(
        f"/bucket/{memory.home.parent.name}/objects/{digest[7:9]}/{digest[7:]}", b"Content"
    )
    assert [each.digest for each in damages(memory)] == [digest]
    with pytest.raises(CorruptError, match="damaged"):
        memory.fetch(digest, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_store_that_keeps_something_else_is_found_out_at_once(known: Catalog) -> None:
    lying = at(known, "liar://place")
    with pytest.raises(CorruptError, match="did not arrive in liar://place as it was sent"):
        lying.log(("run", "r-1"), "x", b"truth")
    assert lying.links() == []


def test_whatever_a_distant_store_raises_names_the_place(known: Catalog) -> None:
    with pytest.raises(StoreGoneError, match="artifact store broken://place cannot be used: LookupError: token"):
        at(known, "broken://place").log(("run", "r-1"), "x", b"x")
    assert known.links() == []


def test_an_address_that_means_nothing_is_refused_without_its_secret(known: Catalog) -> None:
    for url in ("nothing://user:secret@place", "just-a-name", "file://host/path", "file:relative"):
        with pytest.raises(ConfigurationError) as caught:
            at(known, url)
        assert "secret" not in str(caught.value)


def test_a_library_that_is_missing_is_named(known: Catalog) -> None:
    if "gcsfs" in sys.modules or (Path(fsspec.__file__).parent.parent / "gcsfs").exists():
        pytest.skip("gcsfs is installed")
    with pytest.raises(MissingExtraError, match=r"artifact store gs://bucket needs gcsfs.*signalbox\[gcs\]"):
        at(known, "gs://bucket")


@pytest.mark.slow
def test_another_package_brings_a_store_by_its_entry_point(
    known: Catalog, distribution: Callable[..., Path], tmp_path: Path
) -> None:
    site = distribution("shelf", module="shelf_store", source=PACKAGE, group="experiment_hub.artifact_stores")
    (known.home / "hub.yaml").write_text("artifacts: shelf://boards\n")
    path = os.pathsep.join([str(site), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(known.home)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "b'by a package'\n", done.stderr
    assert (tmp_path / "boards" / "objects").is_dir()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on a server in this process that speaks S3."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    fsspec.filesystem("s3").makedirs("bucket", exist_ok=True)
    yield "s3://bucket/hub"
    fsspec.filesystem("s3").clear_instance_cache()
    running.stop()


@pytest.mark.integrations
@pytest.mark.slow
def test_s3_keeps_what_a_folder_keeps(known: Catalog, s3: str, tmp_path: Path) -> None:
    distant = at(known, s3)
    kept = round_trip(distant, tmp_path)
    weights = distant.entries(kept)[0].digest
    files = fsspec.filesystem("s3")
    path = f"bucket/hub/objects/{weights[7:9]}/{weights[7:]}"
    content = files.cat_file(path)
    files.pipe_file(path, content[:-1])
    assert [each.digest for each in damages(distant)] == [weights]
    distant.log(("run", "r-1"), "model", tmp_path / "made")  # its size is another one, so it is stored again
    assert list(damages(distant)) == []


@pytest.mark.integrations
@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_said(known: Catalog, s3: str) -> None:
    with pytest.raises(StoreGoneError, match="s3://nowhere cannot be used"):
        at(known, s3.replace("bucket/hub", "nowhere")).log(("run", "r-1"), "x", b"x")
