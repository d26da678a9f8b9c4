"""scikit-learn's estimators through the hub: outputs, passes, and files that hold data and nothing else."""

import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiment_hub.configuration.schema import TrainingSection
from experiment_hub.errors import BrokenExtensionError, ConfigurationError, CorruptError
from experiment_hub.training.runtimes.estimator import RUNTIME
from experiment_hub.training.runtimes.protocol import Blueprint, Hooks, Work

pytestmark = [pytest.mark.integrations, pytest.mark.slow]

WorkOf = Callable[..., Work]


@pytest.fixture(autouse=True)
def _installed() -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("skops")


@pytest.fixture
def work_with(work_of: WorkOf) -> Callable[..., Work]:
    """The forest's work, with another estimator in the forest's place."""

    def make(estimator: Callable[[], Any], *assignments: str) -> Work:
        work = work_of("forest", *assignments)

        class Plugin(type(work.blueprint.plugin)):  # type: ignore[misc] # a class that is only known here
            def build(self, _config: Any, _spec: Any) -> Any:
                return estimator()

        return replace(work, blueprint=replace(work.blueprint, plugin=Plugin()))

    return make


def fitted(work: Work) -> Any:
    model = RUNTIME.build(work)
    RUNTIME.fit(work, model, Hooks())
    return model


def test_the_softmax_of_the_outputs_is_what_the_estimator_says(work_of: WorkOf) -> None:
    work = work_of("forest")
    model = fitted(work)
    inputs = work.data["test"].inputs
    outputs = RUNTIME.outputs(work.blueprint, model, inputs)
    softmax = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    assert np.allclose(softmax, model.predict_proba(inputs), atol=1e-12)


def test_a_class_that_training_never_saw_comes_last_and_every_figure_is_finite(work_of: WorkOf) -> None:
    work = work_of("forest")
    train = work.data["train"]
    kept = train.targets != 1
    work = replace(
        work, data={**work.data, "train": train._replace(inputs=train.inputs[kept], targets=train.targets[kept])}
    )
    outputs = RUNTIME.outputs(work.blueprint, fitted(work), work.data["test"].inputs)
    assert np.isfinite(outputs).all()
    assert (outputs[:, 1] <= outputs.min(axis=1)).all()


def test_two_classes_and_a_decision_function_become_two_logits(work_with: Callable[..., Work]) -> None:
    from sklearn.svm import LinearSVC

    work = work_with(LinearSVC, "data.classes=2")
    model = fitted(work)
    inputs = work.data["test"].inputs
    outputs = RUNTIME.outputs(work.blueprint, model, inputs)
    assert outputs.shape == (len(inputs), 2)
    assert np.array_equal(outputs.argmax(axis=1), model.predict(inputs))


def test_partial_fit_makes_an_epoch_of_each_pass_and_repeats(work_with: Callable[..., Work]) -> None:
    from sklearn.linear_model import SGDClassifier

    def passes() -> list[tuple[int, int, dict[str, float]]]:
        work = work_with(lambda: SGDClassifier(loss="log_loss"), "training.epochs=3")
        seen: list[tuple[int, int, dict[str, float]]] = []
        RUNTIME.fit(work, RUNTIME.build(work), Hooks(on_epoch=lambda *each: seen.append(each)))
        return seen

    first = passes()
    assert [(epoch, step) for epoch, step, _ in first] == [(1, 4), (2, 8), (3, 12)]
    assert ["test.loss" in values for _, _, values in first] == [False, False, True]
    assert passes() == first


def test_the_seed_reaches_every_part_that_draws(work_with: Callable[..., Work]) -> None:
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    work = replace(work_with(lambda: make_pipeline(StandardScaler(), SGDClassifier())), seed=11)
    assert RUNTIME.build(work).get_params()["sgdclassifier__random_state"] == 11


def test_an_estimator_without_outputs_is_refused(work_with: Callable[..., Work]) -> None:
    from sklearn.linear_model import LinearRegression

    with pytest.raises(BrokenExtensionError, match="LinearRegression has neither predict_proba nor decision_function"):
        RUNTIME.build(work_with(LinearRegression))


@pytest.mark.parametrize(
    ("key", "value"), [("precision", "bf16"), ("clip", {"norm": 1.0}), ("log", {"every_steps": 5})]
)
def test_a_setting_that_only_the_hubs_loop_follows_is_refused(work_of: WorkOf, key: str, value: Any) -> None:
    work = work_of("forest")
    changed = {**work.training.model_dump(mode="json"), key: value}
    work = replace(work, training=TrainingSection.model_validate_json(json.dumps(changed)))
    with pytest.raises(ConfigurationError, match=rf"training\.{key}: .*does not follow this setting"):
        RUNTIME.build(work)


def saved(work: Work, folder: Path) -> tuple[Blueprint, Any]:
    model = fitted(work)
    RUNTIME.save(work.blueprint, model, folder)
    return work.blueprint, model


@pytest.mark.parametrize("kind", ["forest", "pipeline", "boosting", "bayes"])
def test_what_is_saved_comes_back_with_the_same_outputs(
    work_with: Callable[..., Work], tmp_path: Path, kind: str
) -> None:
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    makers: dict[str, Callable[[], Any]] = {
        "forest": lambda: RandomForestClassifier(3),
        "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
        "boosting": lambda: GradientBoostingClassifier(n_estimators=2),
        "bayes": GaussianNB,
    }
    work = work_with(makers[kind])
    blueprint, model = saved(work, tmp_path)
    inputs = work.data["val"].inputs
    again = RUNTIME.load(blueprint, tmp_path)
    assert np.array_equal(RUNTIME.outputs(blueprint, again, inputs), RUNTIME.outputs(blueprint, model, inputs))


def test_an_estimator_that_cannot_be_kept_as_data_is_refused_when_it_is_saved(
    work_with: Callable[..., Work], tmp_path: Path
) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    with pytest.raises(BrokenExtensionError, match=r"the hub never loads a pickle: .*TreePredictor"):
        saved(work_with(lambda: HistGradientBoostingClassifier(max_iter=2)), tmp_path)


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.witness,)


def test_a_pickle_is_never_run(work_of: WorkOf, tmp_path: Path) -> None:
    blueprint, _ = saved(work_of("forest"), tmp_path)
    (tmp_path / "model.skops").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    with pytest.raises(CorruptError, match="not an estimator that the hub saved"):
        RUNTIME.load(blueprint, tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "missing", "foreign type", "bomb"])
def test_a_damaged_file_is_refused(work_of: WorkOf, tmp_path: Path, damage: str) -> None:
    blueprint, _ = saved(work_of("forest"), tmp_path)
    path = tmp_path / "model.skops"
    content = path.read_bytes()
    path.unlink()
    if damage in {"cut", "empty", "text"}:
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"hello"}[damage])
    if damage == "foreign type":
        rewrite(content, path, lambda text: text.replace("RandomForestClassifier", "Nothing"))
    if damage == "bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("schema.json", b"0" * 10_000_000)
    with pytest.raises(CorruptError, match=r"model\.skops: not an estimator"):
        RUNTIME.load(blueprint, tmp_path)


def rewrite(content: bytes, path: Path, change: Callable[[str], str]) -> None:
    import io

    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(path, "w") as after:
        for name in before.namelist():
            text = before.read(name)
            after.writestr(name, change(text.decode()) if name == "schema.json" else text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left_child", 10**6),
        ("left_child", -7),
        ("left_child", 0),
        ("right_child", 10**6),
        ("right_child", -7),
        ("right_child", 0),
        ("feature", 10**6),
        ("feature", -7),
    ],
)
def test_a_tree_that_points_outside_itself_is_refused_before_anything_walks_it(
    work_of: WorkOf, tmp_path: Path, field: str, value: int
) -> None:
    """scikit-learn checks no bounds there: such a file would read foreign memory, or never come to an end."""
    import skops.io

    work = work_of("forest")
    model = fitted(work)
    tree = model.estimators_[1].tree_
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    nodes[field][0] = value
    state["nodes"] = nodes
    tree.__setstate__(state)
    skops.io.dump(model, tmp_path / "model.skops")
    with pytest.raises(CorruptError, match="a tree points outside itself or its samples"):
        RUNTIME.load(work.blueprint, tmp_path)


def test_an_estimator_of_another_class_is_refused(
    work_of: WorkOf, work_with: Callable[..., Work], tmp_path: Path
) -> None:
    from sklearn.naive_bayes import GaussianNB

    saved(work_with(GaussianNB), tmp_path)
    with pytest.raises(CorruptError, match="expected RandomForestClassifier, found GaussianNB"):
        RUNTIME.load(work_of("forest").blueprint, tmp_path)
