"""What goes into the store comes out as it was, or not at all."""

import hashlib
import io
import os
import socket
from pathlib import Path

import pytest

from experiment_hub.artifacts.catalog import Catalog, Link, catalog
from experiment_hub.artifacts.folders import MAGIC, Entry, Manifest, decode, encode, open_below
from experiment_hub.artifacts.inspection import damages
from experiment_hub.errors import BadInputError, ConflictError, CorruptError, NotAllowedError

NAMES = ("plain", "sub/dir/deep", "ünïcode ✓", "new\nline", "<script>", "-rf", "a b'\"$;", ".hidden", "x" * 200)
HOSTILE = ("", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "./a", "a/", "nul\0", "\udcff", "x" * 5000)


def stored(known: Catalog, digest: str) -> Path:
    name = digest.removeprefix("sha256:")
    return known.home / "artifacts" / "objects" / name[:2] / name


def count(known: Catalog) -> int:
    """Of the files in the store."""
    return sum(path.is_file() for path in (known.home / "artifacts" / "objects").rglob("*"))


def damage(path: Path, *, at: int = 0) -> None:
    """One bit of the stored file is another one."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(content))


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    for index, name in enumerate(NAMES):
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(index * 1000))
    (made / "plain").chmod(0o755)
    (made / "empty" / "inner").mkdir(parents=True)
    return made


def test_a_file_bytes_and_a_stream_of_the_same_content_are_one_artifact(known: Catalog, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(content)
    made = [
        known.log(("run", "r-1"), "file", tmp_path / "file"),
        known.log(("run", "r-1"), "bytes", content),
        known.log(("run", "r-1"), "stream", io.BytesIO(content)),
    ]
    assert {each.digest for each in made} == {f"sha256:{hashlib.sha256(content).hexdigest()}"}
    assert {(each.size, each.kind) for each in made} == {(3_000_000, "file")}
    assert count(known) == 1
    assert known.open(made[0].digest).read() == content
    assert len(known.links("run", "r-1")) == 3


def test_a_folder_comes_back_as_it_was_with_every_kind_of_name(known: Catalog, folder: Path, tmp_path: Path) -> None:
    made = known.log(("run", "r-1"), "model", folder, role="model")
    target = tmp_path / "deep" / "er" / "copy"
    assert known.fetch(made.digest, target) == made
    assert tree(target) == tree(folder)
    assert (target / "plain").stat().st_mode & 0o777 == 0o755
    assert (target / "<script>").stat().st_mode & 0o777 == 0o644
    assert {entry.path for entry in known.entries(made.digest)} == set(NAMES)
    assert made.size == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_folders_digest_does_not_depend_on_times_rights_or_order(known: Catalog, tmp_path: Path) -> None:
    for name, order in (("one", "ab"), ("two", "ba")):
        (tmp_path / name).mkdir()
        for letter in order:
            (tmp_path / name / letter).write_text(letter)
    os.utime(tmp_path / "two" / "a", (1, 1))
    (tmp_path / "two" / "a").chmod(0o600)
    assert (
        known.log(("run", "1"), "x", tmp_path / "one").digest == known.log(("run", "2"), "x", tmp_path / "two").digest
    )
    (tmp_path / "two" / "a").chmod(0o700)
    assert (
        known.log(("run", "1"), "x", tmp_path / "one").digest != known.log(("run", "3"), "x", tmp_path / "two").digest
    )


def test_files_that_folders_share_are_stored_once(known: Catalog, tmp_path: Path) -> None:
    for number in range(3):
        part = tmp_path / str(number)
        part.mkdir()
        (part / "weights").write_bytes(b"w" * 1000)
        (part / "note").write_text(str(number))
        known.log(("run", f"r-{number}"), "model", part)
    assert count(known) == 3 + 3 + 1  # manifests, notes, and one file of weights


def test_one_wrong_bit_is_found_before_the_last_bytes_are_handed_out(known: Catalog, tmp_path: Path) -> None:
    for at in (0, 1_500_000, 1_999_999):
        digest, got = known.log(("run", "r-1"), "weights", os.urandom(2_000_000)).digest, 0
        damage(stored(known, digest), at=at)
        with pytest.raises(CorruptError, match="damaged"), known.open(digest) as stream:  # noqa: PT012 -- in pieces
            while piece := stream.read(65_536):
                got += len(piece)
        assert got < 2_000_000
        with pytest.raises(CorruptError, match="damaged"):
            known.fetch(digest, tmp_path / "copy")
        assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_cut_extended_and_missing_content_is_found(known: Catalog, tmp_path: Path) -> None:
    cut, longer, gone = (
        known.log(("run", "r-1"), name, name.encode() * 9).digest for name in ("cut", "longer", "gone")
    )
    for digest, content in ((cut, b"cutcut"), (longer, b"longer" * 9 + b"x")):
        stored(known, digest).chmod(0o644)
        stored(known, digest).write_bytes(content)
    stored(known, gone).unlink()
    for digest in (cut, longer, gone):
        with pytest.raises(CorruptError):
            known.open(digest).read()
        with pytest.raises(CorruptError):
            known.fetch(digest, tmp_path / "copy")
    assert {each.digest for each in damages(known)} == {cut, longer, gone}


def test_damage_in_a_folders_file_names_everybody_who_uses_it(known: Catalog, folder: Path, tmp_path: Path) -> None:
    made = known.log(("run", "r-1"), "model", folder)
    known.link(made.digest, Link("baseline", "best", "so far"))
    part = next(entry.digest for entry in known.entries(made.digest) if entry.path == "ünïcode ✓")
    damage(stored(known, part))
    [found] = damages(known, made.digest)
    assert (found.digest, len(found.users)) == (part, 2)
    assert "run 'r-1' names it 'model'" in found.users[0]
    assert "baseline 'best' names it 'so far'" in found.users[1]
    with pytest.raises(CorruptError):
        known.verify(made.digest)
    with pytest.raises(CorruptError):
        known.fetch(made.digest, tmp_path / "copy")
    assert not [path for path in tmp_path.iterdir() if "copy" in path.name]


def test_storing_the_same_again_heals_damaged_content(known: Catalog) -> None:
    digest = known.log(("run", "r-1"), "x", b"good").digest
    damage(stored(known, digest))
    known.log(("run", "r-2"), "x", b"good")
    assert known.open(digest).read() == b"good"
    stored(known, digest).unlink()
    known.log(("run", "r-2"), "x", b"good")
    assert known.open(digest).read() == b"good"


def test_a_target_that_is_in_use_is_not_touched(known: Catalog, folder: Path, tmp_path: Path) -> None:
    made, file = known.log(("run", "r-1"), "model", folder), known.log(("run", "r-1"), "x", b"new")
    (tmp_path / "taken").write_text("mine")
    for digest in (made.digest, file.digest):
        with pytest.raises(ConflictError, match="exists already"):
            known.fetch(digest, tmp_path / "taken")
        with pytest.raises(ConflictError):
            known.fetch(digest, folder)
    assert (tmp_path / "taken").read_text() == "mine"
    (tmp_path / "ready").mkdir()
    known.fetch(made.digest, tmp_path / "ready")
    assert tree(tmp_path / "ready") == tree(folder)


def test_what_is_neither_file_nor_folder_is_refused_by_its_name(
    known: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / "made" / "sub"
    part.mkdir(parents=True)
    (part / "fine").write_text("x")
    monkeypatch.chdir(part)  # the name of a socket is short
    (part / "odd link out").symlink_to("/etc/hostname")
    (part / "odd link in").symlink_to("fine")
    (part / "odd link to a folder").symlink_to("..")
    os.mkfifo(part / "odd pipe")
    (part / os.fsdecode(b"odd bytes\xff")).write_text("x")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("odd socket")
    for odd in sorted(part.glob("odd*")):
        with pytest.raises(BadInputError, match="sub/odd"):
            known.log(("run", "r-1"), "model", tmp_path / "made")
        odd.unlink()
    assert known.links() == []
    assert list((known.home / "artifacts" / "staging").iterdir()) == []
    known.log(("run", "r-1"), "model", tmp_path / "made")


def test_a_pipe_a_device_and_nothing_are_refused_without_waiting(known: Catalog, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path / "missing"):
        with pytest.raises(BadInputError, match=path.name):
            known.log(("run", "r-1"), "x", path)


def test_a_folder_swapped_for_a_link_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "sub").symlink_to("/etc")
    root = os.open(tmp_path / "root", os.O_RDONLY)
    try:
        with pytest.raises(BadInputError, match="cannot be read"):
            open_below(root, ["sub", "hostname"])
    finally:
        os.close(root)


def test_a_name_that_leads_elsewhere_is_refused(known: Catalog) -> None:
    for name in HOSTILE:
        with pytest.raises(BadInputError, match="name"):
            known.log(("run", "r-1"), name, b"x")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_manifest_that_leads_elsewhere_is_damage(name: str) -> None:
    entry = Entry(path="fine", digest=f"sha256:{'0' * 64}", size=1, executable=False)
    hostile = Manifest.model_construct(format=1, entries=(entry.model_copy(update={"path": name}),), empty=())
    with pytest.raises(CorruptError, match="no usable folder"):
        decode(encode(hostile), "sha256:x")
    with pytest.raises(CorruptError, match="no usable folder"):
        decode(encode(Manifest.model_construct(format=1, entries=(), empty=(name,))), "sha256:x")


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_a_manifest_with_one_name_for_two_things_is_damage(paths: tuple[str, str]) -> None:
    entries = tuple(Entry(path=path, digest=f"sha256:{'0' * 64}", size=1, executable=False) for path in paths)
    with pytest.raises(CorruptError, match="twice"):
        decode(encode(Manifest.model_construct(format=1, entries=entries, empty=())), "sha256:x")


@pytest.mark.parametrize(
    "rest", [b"", b"[]", b"{}", b'{"format":2,"entries":[]}', b"\xff", b'{"format":1,"entries":1}']
)
def test_a_broken_manifest_is_damage(rest: bytes) -> None:
    with pytest.raises(CorruptError, match="no usable folder"):
        decode(MAGIC + rest, "sha256:x")


def test_a_file_that_pretends_to_be_a_folder_is_refused(known: Catalog, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "trap").write_bytes(encode(Manifest(entries=())))
    for source in (tmp_path / "made", tmp_path / "made" / "trap", MAGIC):
        with pytest.raises(BadInputError, match="not stored"):
            known.log(("run", "r-1"), "x", source)


def test_no_text_but_a_digest_reaches_the_store(known: Catalog) -> None:
    for digest in ("sha256:", "abc", "zz" * 32, "sha256:../../etc", f"sha256:{'0' * 63}/", f"{'0' * 65}"):
        with pytest.raises(BadInputError, match="digest"):
            known.open(digest)


def test_a_digest_may_be_said_by_its_start(known: Catalog) -> None:
    digest = known.log(("run", "r-1"), "x", b"x").digest
    assert known.record(digest[:20]).digest == known.record(digest[7:15]).digest == digest
    with pytest.raises(BadInputError, match="not in this home"):
        known.record("0" * 12)


def test_what_is_no_folder_has_no_files_and_a_folder_is_not_opened(known: Catalog, folder: Path) -> None:
    assert known.entries(known.log(("run", "r-1"), "x", b"x").digest) == ()
    with pytest.raises(BadInputError, match="is a folder"):
        known.open(known.log(("run", "r-1"), "model", folder).digest)


def test_a_name_means_the_last_thing_stored_under_it(any_home: Path) -> None:
    known = catalog(any_home)
    first, second = (known.log(("run", "r-1"), "new\nline ✓", content).digest for content in (b"1", b"2"))
    assert [(link.name, link.digest) for link in known.links("run", "r-1")] == [("new\nline ✓", second)]
    known.link(first, Link("run", "r-2", "old", "input", "transient"))
    assert [link.digest for link in known.links()] == [second, first]
    assert known.unlink("run", "r-2", "old")
    assert not known.unlink("run", "r-2", "old")
    assert known.links("run", "r-2") == []


def test_unknown_owners_and_unknown_content_are_refused(known: Catalog) -> None:
    with pytest.raises(BadInputError, match="'cat' cannot own"):
        known.log(("cat", "r-1"), "x", b"x")
    with pytest.raises(BadInputError, match="not in this home"):
        known.link(f"sha256:{'0' * 64}", Link("run", "r-1", "x"))


def test_naming_content_that_is_gone_from_the_store_is_refused(known: Catalog) -> None:
    digest = known.log(("run", "r-1"), "x", b"x").digest
    stored(known, digest).unlink()
    with pytest.raises(CorruptError, match="not in the artifact store"):
        known.link(digest, Link("run", "r-2", "x"))
    assert known.links("run", "r-2") == []


def test_two_databases_never_share_a_store(home: Path, tmp_path: Path) -> None:
    shared = (tmp_path / "shared").as_uri()
    for place in (home, tmp_path / "other"):
        place.mkdir()
        (place / "hub.yaml").write_text(f"artifacts: {shared}\n")
    digest = catalog(home).log(("run", "r-1"), "x", b"x").digest
    with pytest.raises(NotAllowedError, match="belongs to another hub's database"):
        catalog(tmp_path / "other").log(("run", "r-1"), "x", b"x")
    assert Catalog(home).open(digest).read() == b"x"
