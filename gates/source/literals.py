"""What belongs in the configuration of a training run and stands in its code: seeds, hyperparameters, data paths."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from gates.source.bindings import bindings, constants, last_name, numbers
from gates.source.python_code import Seen
from gates.source.python_names import aliases, dotted, nodes, resolved

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEED = re.compile(r"(?!(?:max|min|num|n|count)_)(?:\w*_)?(?:seeds?|random_state)$", re.IGNORECASE)
_SEEDING = frozenset(
    {"seed", "manual_seed", "manual_seed_all", "set_seed", "seed_everything", "seed_all", "set_random_seed", "PRNGKey"}
    | {"default_rng", "RandomState", "SeedSequence", "PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"}
)
_SEEDED_CLASSES = frozenset({"random.Random", "jax.random.key"})
_COUNTER = re.compile(r"(?:\w+_)?(?:rank|offset|worker_id|process_id|fold|epoch|index|idx|i|j|k)")
_HYPERPARAMETER = re.compile(
    r"_*(?:default_)?(?:(?:base_|max_|min_|initial_|peak_)?(?:lr|learning_rate)|weight_decay|momentum|(?:\w+_)?batch_size"
    r"|(?:num_|n_|max_)?epochs|(?:\w+_)?dropout(?:_(?:rate|p|prob))?|(?:num_)?warmup(?:_(?:steps|ratio|epochs))?|betas|beta_?[12]"
    r"|label_smoothing|grad(?:ient)?_clip(?:_norm|_val)?|max_grad_norm|(?:gradient_accumulation|max|num_train)_steps|lr_decay)",
    re.IGNORECASE,
)
_OPTIMISERS = frozenset(
    {"SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "LBFGS", "Lion"}
)
_DROPOUTS = frozenset({"Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout"})


def seeds(tree: ast.Module) -> Iterator[Seen]:
    """Give the seeds that are written out."""
    known, imported = constants(tree), aliases(tree)
    for binding in bindings(tree):
        if _SEED.fullmatch(binding.name) and _is_seed(binding.value, known):
            yield _seen("seed", f"{binding.name} = {ast.unparse(binding.value)}", binding.value)
    for node in nodes(tree):
        if isinstance(node, ast.Call) and _seeds_something(node, imported) and _is_seed(node.args[0], known):
            yield _seen("seed", ast.unparse(node), node)


def _seeds_something(call: ast.Call, imported: dict[str, str]) -> bool:
    return bool(call.args) and (last_name(call) in _SEEDING or resolved(call.func, imported) in _SEEDED_CLASSES)


def _is_seed(value: ast.expr, known: dict[str, ast.expr]) -> bool:
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        sides = (value.left, value.right)
        if any(_COUNTER.fullmatch(dotted(side).rpartition(".")[2]) for side in sides):
            return any(_is_seed(side, known) for side in sides)
    if isinstance(value, ast.Name) and _SEED.fullmatch(value.id):
        return False  # seen where it was assigned
    return any(number >= 0 for number in numbers(value, known))  # a negative one stands for "none was given"


def hyperparameters(tree: ast.Module) -> Iterator[Seen]:
    """Give the hyperparameters that are written out."""
    known = {name: value for name, value in constants(tree).items() if not _HYPERPARAMETER.fullmatch(name)}
    for binding in bindings(tree):
        if _HYPERPARAMETER.fullmatch(binding.name) and _is_tuned(binding.value, known):
            yield _seen("hyperparameter", f"{binding.name} = {ast.unparse(binding.value)}", binding.value)
    for node in nodes(tree):
        if isinstance(node, ast.Call) and any(_is_tuned(value, known) for value in _tuned(node)):
            yield _seen("hyperparameter", ast.unparse(node), node)
        elif isinstance(node, ast.For) and _is_epoch(node.target) and _counts_to_literal(node.iter, known):
            yield _seen("hyperparameter", f"for {dotted(node.target)} in {ast.unparse(node.iter)}", node.iter)


def _is_tuned(value: ast.expr, known: dict[str, ast.expr]) -> bool:
    return any(numbers(value, known))  # 0 switches something off


def _is_epoch(target: ast.expr) -> bool:
    return dotted(target) in {"epoch", "_epoch"}


def _tuned(call: ast.Call) -> list[ast.expr]:
    """Give the positional arguments that are hyperparameters."""
    name = last_name(call)
    return call.args[1:2] if name in _OPTIMISERS else call.args[:1] if name in _DROPOUTS else []


def _counts_to_literal(node: ast.expr, known: dict[str, ast.expr]) -> bool:
    if not isinstance(node, ast.Call) or not node.args:
        return False
    if last_name(node) in {"range", "trange"}:
        return all(numbers(argument, known) for argument in node.args)
    return last_name(node) == "tqdm" and _counts_to_literal(node.args[0], known)


def _seen(rule: str, shown: str, node: ast.AST) -> Seen:
    return Seen(rule=rule, shown=shown, node=node)


# data paths

_ENDS = r"\.(?:csv|tsv|parquet|arrow|feather|jsonl|ndjson|npy|npz|h5|hdf5|pt|pth|ckpt|safetensors|pkl|pickle|zip|tar|tgz|gz|zst|tfrecord)"
_REMOTE = re.compile(r"(?:s3|s3a|gs|gcs|hdfs|abfss?|az|wasbs?|hf|dbfs)://?[^\s{/][^\s]*")
_DOWNLOAD = re.compile(rf"(?:https?|ftp)://\S+{_ENDS}(?:[?#]\S*)?", re.IGNORECASE)
_ABSOLUTE = re.compile(
    r"(?:/(?:data|datasets?|home|mnt|media|scratch|root|srv|opt|var|tmp|nfs|gpfs|lustre|workspace|content|kaggle|Users|Volumes)/"
    r"|~[\w.-]*/|[A-Za-z]:[\\/]|\\\\)\S+"
)
_FOLDER = re.compile(r"(?:\.{1,2}/)*(?:data|datasets?|corpus|corpora)(?:/\S*)?")
_RELATIVE = re.compile(rf"{_FOLDER.pattern}|\S+{_ENDS}")
_PLACE = re.compile(r"[\w.~/\\{}*-]*[/\\.][\w.~/\\{}*-]*|data|datasets?")
_JOINS = frozenset({"Path", "PurePath", "PosixPath", "join"})
_NAMED = re.compile(
    r"(?:\w+_)?(?:data|dataset|train|val|valid|test|corpus|csv)(?:set)?_?(?:dir|path|file|root|folder|url)",
    re.IGNORECASE,
)
_LOADERS = re.compile(
    r"open|ImageFolder|DatasetFolder|load|loadtxt|genfromtxt|fromfile|memmap|load_from_disk|read_\w+|scan_\w+"
    r"|from_(?:csv|parquet|json|file)|\w*Dataset|\w*MNIST|CIFAR\d+|ImageNet|Coco\w+|glob|iglob|listdir|scandir|urlopen|urlretrieve"
)


def data_paths(tree: ast.Module) -> Iterator[Seen]:
    """Give the places of data that are written out: places elsewhere anywhere, relative ones where something is loaded."""
    told = _told(tree)
    for node in nodes(tree):
        text = _pattern(node)
        if id(node) not in told and any(pattern.fullmatch(text) for pattern in (_REMOTE, _DOWNLOAD, _ABSOLUTE)):
            yield _seen("data-path", text, node)
            told |= {id(part) for part in ast.walk(node)}
    for value in (*_named(tree), *_loaded(tree)):
        if id(value) not in told:
            yield _seen("data-path", _pattern(value), value)
            told.add(id(value))


def _named(tree: ast.Module) -> Iterator[ast.expr]:
    """Give the strings that a name like `data_dir` gets."""
    for binding in bindings(tree):
        wanted = _PLACE if _NAMED.fullmatch(binding.name) else _RELATIVE if binding.name == "root" else None
        if wanted and wanted.fullmatch(_pattern(binding.value)):
            yield binding.value


def _loaded(tree: ast.Module) -> Iterator[ast.expr]:
    """Give the strings that something is loaded from."""
    for node in nodes(tree):
        if isinstance(node, ast.Call) and node.args and not _writes(node):
            name = last_name(node)
            wanted = _FOLDER if name in _JOINS else _RELATIVE if _LOADERS.fullmatch(name) else None
            if wanted and wanted.fullmatch(_pattern(node.args[0])):
                yield node.args[0]


def _writes(call: ast.Call) -> bool:
    mode = [*call.args[1:2], *(one.value for one in call.keywords if one.arg == "mode")]
    return last_name(call) == "open" and any(set(_pattern(one)) & set("wax") for one in mode)


def _pattern(node: ast.AST) -> str:
    """Give a string, or an f-string with `{}` for what is put in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_pattern(value) or "{}" for value in node.values)
    return ""


def _told(tree: ast.Module) -> set[int]:
    """Give the strings that only say something: docstrings, help, messages of errors."""
    found: set[int] = set()
    for node in nodes(tree):
        alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant | ast.JoinedStr)
        explains = isinstance(node, ast.keyword) and node.arg in {"help", "description", "metavar", "example"}
        if alone or explains or isinstance(node, ast.Raise):
            found |= {id(part) for part in ast.walk(node)}
    return found
