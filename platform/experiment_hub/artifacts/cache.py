"""Local copies of what a distant store holds; each is checked before it is used, and dropped when damaged."""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from experiment_hub.artifacts.digests import PREFIX, damaged, digits
from experiment_hub.artifacts.protocol import Store
from experiment_hub.artifacts.staging import DAY_SECONDS, staging, writing_to


class Cache:
    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder

    def path(self, digest: str) -> Path:
        """A verified file; raises CorruptError when the store's own content is damaged."""
        name = digits(digest)
        path = self._folder / name[:2] / name
        if path.is_file():
            if _sum(path) == digest:
                os.utime(path)
                return path
            path.unlink(missing_ok=True)
        self._download(digest, path)
        return path

    def _download(self, digest: str, path: Path) -> None:
        with self._store.open(digest) as source, staging(self._store.staging) as stage:
            staged = stage.take(source, digest, manifest=True)
            if staged.digest != digest:
                raise damaged(digest, self._store.place)
            with writing_to(self._folder):
                path.parent.mkdir(parents=True, exist_ok=True)
                staged.path.replace(path)

    def trim(self, days: int) -> int:
        """Drop what nobody used for so long; gives bytes."""
        limit, freed = time.time() - days * DAY_SECONDS, 0
        for path in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):  # another collection was faster
                facts = path.stat()
                if facts.st_mtime < limit:
                    path.unlink()
                    freed += facts.st_size
        return freed


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return PREFIX + hashlib.file_digest(file, "sha256").hexdigest()
