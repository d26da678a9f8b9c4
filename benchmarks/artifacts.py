"""The artifact store against copying by hand, and against MLflow's local artifact folder.

By hand: read, hash with SHA-256 and write in 1 MiB pieces, then fsync; what any store that verifies must do. MLflow
copies without hashing and without fsync, so its figures are those of a store that cannot tell damage. Each round makes
new random content, and every side works on the same content; sides alternate in who goes first. Printed are medians,
least and greatest, and the ratio of each median to the first row of its table.

    python benchmarks/artifacts.py --rounds 5
"""

import argparse
import hashlib
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from _project import machine, timed
from experiment_hub.artifacts.catalog import Catalog, catalog

MIB = 1 << 20
LARGE_MIB = 64
SMALL_FILES = 300
SMALL_BYTES = 4096
Sides = dict[str, Callable[[Path], None]]


def by_hand(source: Path, target: Path) -> None:
    """Copy, hash, sync; a folder file by file."""
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    for path in files:
        place = target if path == source else target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        summed = hashlib.sha256()
        with path.open("rb", buffering=0) as read, place.open("wb", buffering=0) as write:
            while piece := read.read(MIB):
                summed.update(piece)
                write.write(piece)
            os.fsync(write.fileno())


def mlflow_side(folder: Path) -> Callable[[Path], None] | None:
    """None where MLflow is not installed."""
    try:
        from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    except ImportError:
        return None
    repository = LocalArtifactRepository(str(folder / "mlflow"))

    def log(source: Path) -> None:
        place = f"run-{source.name}-{os.urandom(4).hex()}"
        if source.is_dir():
            repository.log_artifacts(str(source), place)
        else:
            repository.log_artifact(str(source), place)

    return log


def storing(folder: Path, known: Catalog) -> Sides:
    sides: Sides = {
        "copied, hashed and synced by hand": lambda source: by_hand(source, folder / "hand" / os.urandom(4).hex()),
        "hub, new content": lambda source: _log(known, source),
        "hub, content that is there already": lambda source: _log(known, source),
    }
    peer = mlflow_side(folder)
    return sides | ({"MLflow, no hash, no sync": peer} if peer else {})


def _log(known: Catalog, source: Path) -> None:
    known.log(("run", os.urandom(4).hex()), "artifact", source)


def reading(folder: Path, known: Catalog) -> Sides:
    def fetch(source: Path) -> None:
        record = known.log(("run", "r"), "artifact", source)
        known.fetch(record.digest, folder / f"fetched-{os.urandom(4).hex()}")

    return {"hub, stored again and fetched with verification": fetch}


def large(folder: Path) -> Path:
    path = folder / "large"
    with path.open("wb") as file:
        for _ in range(LARGE_MIB):
            file.write(os.urandom(MIB))
    return path


def many(folder: Path) -> Path:
    made = folder / "many"
    for number in range(SMALL_FILES):
        path = made / f"{number % 10}" / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(SMALL_BYTES))
    return made


def measure(title: str, make: Callable[[Path], Path], rounds: int) -> None:
    seconds: dict[str, list[float]] = {}
    for round_ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            source, known = make(folder), catalog(folder / "home")
            sides = list((storing(folder, known) | reading(folder, known)).items())
            first, rest = sides[:1], sides[1:]
            for label, side in (first + rest) if round_ % 2 else (rest + first):
                os.sync()
                took = timed(lambda: side(source))  # noqa: B023 -- called at once
                seconds.setdefault(label, []).extend([took] if round_ else [])  # the first round warms up
            shutil.rmtree(folder / "home")
    rows(title, seconds)


def rows(title: str, seconds: dict[str, list[float]]) -> None:
    base = statistics.median(seconds["copied, hashed and synced by hand"])
    print(f"\n{title}\n\n| | median s | least | greatest | ratio |\n| --- | ---: | ---: | ---: | ---: |")
    for label, values in seconds.items():
        median = statistics.median(values)
        print(f"| {label} | {median:.3f} | {min(values):.3f} | {max(values):.3f} | {median / base:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = max(5, parser.parse_args().rounds)
    print(f"{machine()}, {rounds} rounds")
    measure(f"One file of {LARGE_MIB} MiB", large, rounds)
    measure(f"A folder of {SMALL_FILES} files of {SMALL_BYTES} bytes", many, rounds)


if __name__ == "__main__":
    main()
