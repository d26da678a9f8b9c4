"""A run's points as one file, for the artifact store and other machines."""

import zipfile
from pathlib import Path

import numpy as np

from experiment_hub.errors import CorruptError
from experiment_hub.tracking.series.layout import NAMES, POINTS, point_files
from experiment_hub.tracking.series.reader import blocks, series_folder

EPOCH = (1980, 1, 1, 0, 0, 0)  # the same points give the same file, so that its hash says something


def pack(folder: Path, target: Path) -> Path:
    """Everything that was logged, superseded points included, without unused room."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in point_files(series_folder(folder)):
            with archive.open(_entry(path.name), "w", force_zip64=True) as file:
                for _, block in blocks(path):
                    file.write(block[np.flatnonzero(block["key"])].tobytes())
            names_file = path.with_suffix(NAMES)
            content = names_file.read_bytes() if names_file.exists() else b""
            archive.writestr(_entry(names_file.name), content)
    return target


def unpack(packed: Path, folder: Path) -> None:
    """Raises CorruptError for anything that `pack` does not write; only names that it writes are written here."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(packed) as archive:
            for name in archive.namelist():
                stem, dot, suffix = name.rpartition(".")
                if not stem.isdigit() or f"{dot}{suffix}" not in {POINTS, NAMES}:
                    raise CorruptError(f"{packed} is no file of points: it holds {name[:80]!r}")
                archive.extract(name, folder)
    except zipfile.BadZipFile as error:
        raise CorruptError(f"{packed} is no whole file of points: {error}") from error


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
