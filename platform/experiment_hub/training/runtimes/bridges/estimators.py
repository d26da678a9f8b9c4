"""Fitted estimators as files of data: skops, never pickle.

skops rebuilds only types that it knows to be harmless. One more is admitted: the node arrays of trees, which
scikit-learn walks without checking bounds; they are checked here before anything walks them.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiment_hub.errors import BrokenExtensionError, CorruptError, MissingExtraError
from experiment_hub.training.runtimes.protocol import Blueprint

FILE = "model.skops"
TREE = "sklearn.tree._tree.Tree"


def save(model: Any, folder: Path) -> None:
    """Write and read back: what could not be loaded later is refused now."""
    skops = _skops()
    skops.dump(model, folder / FILE)
    refused = sorted({*skops.get_untrusted_types(file=folder / FILE)} - {TREE})
    if refused:
        raise BrokenExtensionError(
            f"{type(model).__name__} cannot be kept as plain data, and the hub never loads a pickle: "
            f"{', '.join(refused)} is not among the types that skops trusts; choose another estimator"
        )
    _checked(skops, folder / FILE)


def load(blueprint: Blueprint, folder: Path) -> Any:
    """Raises CorruptError for anything but an estimator of the class that the plugin builds."""
    path = folder / FILE
    model = _checked(_skops(), path)
    expected = type(blueprint.plugin.build(blueprint.config, blueprint.spec))
    if type(model) is not expected:
        raise CorruptError(f"{path}: expected {expected.__name__}, found {type(model).__name__}")
    return model


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise MissingExtraError("keeping a scikit-learn model", "skops", "sklearn") from error
    return skops.io


def _checked(skops: Any, path: Path) -> Any:
    from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

    foreign = (UnsupportedTypeException, UntrustedTypesFoundException)
    broken = (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, IndexError, zipfile.BadZipFile)
    try:
        _refuse_bombs(path)
        model = skops.load(path, trusted=[TREE])
        _check_trees(model)
    except (*foreign, *broken) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorruptError(f"{path}: not an estimator that the hub saved: {reason}") from error
    return model


def _refuse_bombs(path: Path) -> None:
    """The hub stores its archives uncompressed, so none can grow while it is read."""
    with zipfile.ZipFile(path) as archive:
        grown = [each.filename for each in archive.infolist() if each.file_size > each.compress_size]
    if grown:
        raise ValueError(f"{grown[0]} is compressed")


def _check_trees(model: Any) -> None:
    for owner in _parts(model, set()):
        inside = [part.tree_ for part in _parts(owner, set()) if "tree_" in vars(part)]
        if inside and {"tree_", "estimators_"} & set(vars(owner)):
            for tree in inside:
                _check_tree(tree, owner.n_features_in_)


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Every estimator inside a value, itself included; containers are looked into."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        inner = list(np.ravel(value)) if isinstance(value, np.ndarray) else list(value)
    elif isinstance(value, dict):
        inner = list(value.values())
    elif hasattr(value, "get_params") and hasattr(value, "__dict__"):
        yield value
        inner = list(vars(value).values())
    else:
        return
    for each in inner:
        yield from _parts(each, seen)


def _check_tree(tree: Any, features: int) -> None:
    """Children come after their parent and inside the tree; inner nodes ask for a feature that a sample has."""
    nodes = np.arange(tree.node_count)
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    leaves = (left == -1) & (right == -1)
    inside = (left > nodes) & (right > nodes) & (left < tree.node_count) & (right < tree.node_count)
    asked = (feature >= 0) & (feature < features)
    if tree.n_features != features or tree.node_count < 1 or not (leaves | (inside & asked)).all():
        raise ValueError("a tree points outside itself or its samples")
