"""Artifacts over the API: whole, in ranges, and nothing that is not one."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiment_hub.artifacts.catalog import catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi.testclient import TestClient

    Serve = Callable[..., TestClient]

CONTENT = bytes(range(256)) * 4096  # a mebibyte


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    (made / "deep").mkdir(parents=True)
    (made / "deep" / "weights.bin").write_bytes(CONTENT)
    (made / "page.html").write_text("<script>alert(1)</script>", encoding="utf-8")
    return made


def test_a_file_comes_whole_or_in_ranges(serve: "Serve", home: Path) -> None:
    client = serve("viewer")
    digest = catalog(home).log(("user", "ada"), "weights", CONTENT).digest
    address = f"/api/v1/artifacts/{digest}/content"
    whole = client.get(address)
    assert (whole.content, whole.headers["content-length"]) == (CONTENT, str(len(CONTENT)))
    for asked, expected in {
        "bytes=0-0": CONTENT[:1],
        "bytes=5-9": CONTENT[5:10],
        "bytes=1048570-": CONTENT[1048570:],
        "bytes=-3": CONTENT[-3:],
        "bytes=0-99999999": CONTENT,
    }.items():
        part = client.get(address, headers={"Range": asked})
        assert (part.status_code, part.content) == (206, expected), asked
    assert client.get(address, headers={"Range": "bytes=1048576-"}).status_code == 416
    for nonsense in (
        "bytes=",
        "bytes=9-5",
        "bytes=a-b",
        "lines=1-2",
        "bytes=0-1,3-4",
        "bytes=-",
        "bytes=" + "9" * 400 + "-",
    ):
        assert client.get(address, headers={"Range": nonsense}).status_code == 200, nonsense


OUTSIDE = ["../../hub.sqlite", "/etc/passwd", "deep/../../../hub.yaml", "deep", "", ".", "deep//weights.bin"]
OUTSIDE += ["%2e%2e/hub.sqlite", "deep\\weights.bin"]
NO_DIGESTS = ["nonsense", "sha256:" + "0" * 64, "..%2f..%2fhub.sqlite", "sha256:xyz", "a"]


def test_no_path_leads_out_of_a_folder(serve: "Serve", home: Path, folder: Path) -> None:
    digest, client = catalog(home).log(("user", "ada"), "model", folder).digest, serve("viewer")
    for path in OUTSIDE:
        answer = client.get(f"/api/v1/artifacts/{digest}/content", params={"path": path})
        assert (answer.status_code, b"SQLite" in answer.content) == (404, False), path


def test_a_folders_files_are_listed_and_sent_as_downloads(serve: "Serve", home: Path, folder: Path) -> None:
    client = serve("viewer")
    digest = catalog(home).log(("user", "ada"), "model", folder).digest
    listed = client.get(f"/api/v1/artifacts/{digest[:20]}").json()
    assert [file["path"] for file in listed["files"]] == ["deep/weights.bin", "page.html"]
    answer = client.get(f"/api/v1/artifacts/{digest}/content", params={"path": "page.html"})
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert client.get(f"/api/v1/artifacts/{digest}/content").status_code == 422


def test_what_is_no_digest_is_refused(serve: "Serve") -> None:
    client = serve("viewer")
    for digest in NO_DIGESTS:
        assert client.get(f"/api/v1/artifacts/{digest}/content").status_code in {404, 422}, digest


def test_damaged_content_breaks_off(serve: "Serve", home: Path) -> None:
    client = serve("viewer")
    digest = catalog(home).log(("user", "ada"), "weights", CONTENT).digest
    (stored,) = (
        path for path in (home / "artifacts").rglob("*") if path.is_file() and path.stat().st_size == len(CONTENT)
    )
    stored.chmod(0o644)
    stored.write_bytes(CONTENT[:500] + b"?" + CONTENT[501:])
    received = client.get(f"/api/v1/artifacts/{digest}/content")
    assert len(received.content) < len(CONTENT) == int(received.headers["content-length"])


@pytest.mark.slow
def test_names_of_a_run_are_listed_page_by_page(serve: "Serve", home: Path) -> None:
    client, store = serve("viewer"), catalog(home)
    for number in range(5):
        store.log(("user", "ada"), f"<b>{number}</b>", b"same")
    first = client.get("/api/v1/artifacts", params={"limit": 3}).json()
    rest = client.get("/api/v1/artifacts", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [item["name"] for item in (*first["items"], *rest["items"])] == [f"<b>{number}</b>" for number in range(5)]
