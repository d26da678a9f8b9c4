"""Which samples are the same, or nearly: hashes of rows, and groups of near-duplicates."""

import hashlib
import re
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiment_hub.datasets.splits import CHUNK_ROWS
from experiment_hub.datasets.streams import stream

SHINGLE_WORDS = 3
BANDS, BAND_ROWS = 16, 4  # texts of similarity 0.8 meet in some band with probability 0.9998, of 0.7 with 0.99
BUCKET = 50  # members of one bucket that are compared with all others in it
IMAGE_RANK = 2


def row_hashes(array: NDArray[Any]) -> list[bytes]:
    """BLAKE2b of each row's bytes, 16 of them."""
    hashes = []
    for start in range(0, len(array), CHUNK_ROWS):
        part = array[start : start + CHUNK_ROWS]
        raw, width = memoryview(part.tobytes()), part.nbytes // len(part)  # slices of an array cost far more
        hashes += [hashlib.blake2b(raw[row * width :][:width], digest_size=16).digest() for row in range(len(part))]
    return hashes


def by_content(ids: Sequence[str], inputs: NDArray[Any]) -> tuple[str, ...]:
    """Groups of samples whose inputs are the same bit for bit."""
    return merged(ids, [row_hashes(inputs)])


def by_value(ids: Sequence[str], inputs: NDArray[Any], tolerance: float) -> tuple[str, ...]:
    """Groups of samples whose values all fall into the same cells, `2 * tolerance` wide, of one of two grids.

    The second grid is shifted by half a cell: a pair at a border of one lies in the middle of a cell of the other.
    """
    cells = np.asarray(inputs, dtype=np.float64) / (2 * tolerance)
    grids = (np.floor(cells), np.floor(cells + 0.5))
    return merged(ids, [row_hashes(inputs), *(row_hashes(grid.astype(np.int64)) for grid in grids)])


def by_look(ids: Sequence[str], inputs: NDArray[Any]) -> tuple[str, ...]:
    """Groups of images [samples, ..., height, width] with the same difference hash (Krawetz: Kind of Like That, 2013)."""
    images = np.asarray(inputs, dtype=np.float64)
    images = images.reshape(len(images), -1, *images.shape[-IMAGE_RANK:]).mean(axis=1)
    small = _shrunk(_shrunk(images, 1, 8), 2, 9)
    bits = np.packbits((small[:, :, 1:] > small[:, :, :-1]).reshape(len(images), -1), axis=1)
    return merged(ids, [row_hashes(inputs), row_hashes(bits)])


def by_text(ids: Sequence[str], texts: Sequence[str], inputs: NDArray[Any], similarity: float) -> tuple[str, ...]:
    """Groups of texts whose sets of three-word shingles have a Jaccard similarity of at least `similarity`.

    Texts that are the same to the model, because `inputs` ends before they differ, are one group as well.

    Candidates come from MinHash with banding (Broder 1997; Leskovec, Rajaraman, Ullman: Mining of Massive Datasets,
    section 3.4), and the similarity of each pair of candidates is then computed exactly.
    """
    shingles = [_shingles(text) for text in texts]
    signatures = np.stack([_signature(each) for each in shingles]) if texts else np.empty((0, BANDS * BAND_ROWS))
    known: set[tuple[int, int]] = set()
    pairs = []
    for band in np.split(signatures, BANDS, axis=1):
        for one, other in set(_candidates(row_hashes(band))) - known:
            known.add((one, other))
            if _jaccard(shingles[one], shingles[other]) >= similarity:
                pairs.append((one, other))
    return merged(ids, [[normalised(text) for text in texts], row_hashes(inputs)], pairs)


def normalised(text: str) -> str:
    """Without case, accents of compatibility, punctuation and runs of white space."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def merged(
    ids: Sequence[str], keys: Iterable[Sequence[Hashable]], pairs: Iterable[tuple[int, int]] = ()
) -> tuple[str, ...]:
    """The group of each sample: samples with an equal key, or paired, are together; its name is its first member's id.

    Named after the first member, so that samples added behind never move a group to another split.
    """
    parents = list(range(len(ids)))
    for column in keys:
        first: dict[Hashable, int] = {}
        for row, key in enumerate(column):
            earlier = first.setdefault(key, row)
            if earlier != row:
                _join(parents, earlier, row)
    for one, other in pairs:
        _join(parents, one, other)
    return tuple(ids[_root(parents, row)] for row in range(len(ids)))


def _root(parents: list[int], row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


def _join(parents: list[int], one: int, other: int) -> None:
    low, high = sorted((_root(parents, one), _root(parents, other)))
    parents[high] = low


def _shrunk(images: NDArray[np.float64], axis: int, size: int) -> NDArray[np.float64]:
    """Means of `size` blocks along an axis; an axis that is shorter stays as it is."""
    length = images.shape[axis]
    if length <= size:
        return images
    starts = np.arange(size) * length // size
    counts = np.diff([*starts, length])
    shape = [1] * images.ndim
    shape[axis] = size
    means: NDArray[np.float64] = np.add.reduceat(images, starts, axis=axis) / counts.reshape(shape)
    return means


def _shingles(text: str) -> frozenset[int]:
    words = normalised(text).split()
    spans = range(max(len(words) - SHINGLE_WORDS + 1, 1))
    return frozenset(zlib.crc32(" ".join(words[start : start + SHINGLE_WORDS]).encode()) for start in spans)


def _signature(shingles: frozenset[int]) -> NDArray[np.uint64]:
    """Smallest value of each of 64 multiply-shift hashes (Dietzfelbinger 1997) over the shingles."""
    generator = stream("near-duplicates", "minhash")
    factors, offsets = generator.integers(0, 2**63, (2, BANDS * BAND_ROWS, 1), dtype=np.uint64)
    values = np.fromiter(shingles, dtype=np.uint64, count=len(shingles))
    smallest: NDArray[np.uint64] = (((factors | np.uint64(1)) * values + offsets) >> np.uint64(32)).min(axis=1)
    return smallest


def _candidates(keys: Sequence[bytes]) -> Iterable[tuple[int, int]]:
    buckets = defaultdict(list)
    for row, key in enumerate(keys):
        buckets[key].append(row)
    for members in buckets.values():
        yield from combinations(members[:BUCKET], 2)
        yield from ((one, other) for one in members[:BUCKET] for other in members[BUCKET:])


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other)
