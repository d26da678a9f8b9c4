"""Randomness that nothing controls: generators without a seed, draws from global state, seeds from the clock, switches."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from gates.source.bindings import bindings, last_name
from gates.source.python_code import Seen
from gates.source.python_names import aliases, dotted, imported_name, nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNSEEDED = frozenset(
    {
        "random.Random",
        "random.seed",
        "numpy.random.default_rng",
        "numpy.random.RandomState",
        "numpy.random.SeedSequence",
    }
    | {"numpy.random.seed", "torch.seed", "torch.random.seed", "torch.cuda.seed", "torch.cuda.seed_all"}
)
"""Taken from the operating system when they are called without a seed."""
_DRAWS = frozenset(
    {"betavariate", "choice", "choices", "expovariate", "gauss", "getrandbits", "normalvariate", "randbytes"}
    | {"randint", "random", "randrange", "sample", "shuffle", "triangular", "uniform"}
)
_NUMPY_DRAWS = _DRAWS | frozenset(
    {
        "rand",
        "randn",
        "random_sample",
        "random_integers",
        "permutation",
        "normal",
        "standard_normal",
        "binomial",
        "beta",
    }
    | {"multinomial", "multivariate_normal", "dirichlet", "exponential", "gamma", "poisson", "laplace", "bytes", "ranf"}
)
_SOURCES = frozenset(
    {"time.time", "time.time_ns", "time.perf_counter", "time.perf_counter_ns", "time.monotonic", "time.monotonic_ns"}
    | {"datetime.datetime.now", "datetime.datetime.utcnow", "os.urandom", "os.getpid", "os.getrandom"}
    | {"uuid.uuid1", "uuid.uuid4", "secrets.randbits", "secrets.randbelow", "secrets.token_bytes", "secrets.token_hex"}
)
_SEED = re.compile(
    r"(?:\w*_)?seeds?|(?:\w+_)?random_state|manual_seed(?:_all)?|default_rng|RandomState|set_seed|seed_\w+|PRNGKey",
    re.IGNORECASE,
)
_FORBIDS = re.compile(r"(?:.*\.)?cudnn\.(?:benchmark|deterministic)")


def uncontrolled(tree: ast.Module) -> Iterator[Seen]:
    """Give what draws from randomness that no seed of the run reaches."""
    imported = aliases(tree)
    controlled = _seeds_globally(tree)
    for node in nodes(tree):
        if isinstance(node, ast.Call):
            name = imported_name(node.func, imported)
            drawn = _is_global_draw(name) and not controlled
            varies = _SEED.fullmatch(last_name(node)) and any(_varies(argument, imported) for argument in node.args)
            if drawn or varies or _is_unseeded(node, name):
                yield Seen(rule="randomness", shown=ast.unparse(node), node=node)
    for binding in bindings(tree):
        if _SEED.fullmatch(binding.name) and _varies(binding.value, imported):
            yield Seen(rule="randomness", shown=f"{binding.name} = {ast.unparse(binding.value)}", node=binding.value)


def _is_unseeded(call: ast.Call, name: str) -> bool:
    if name == "random.SystemRandom":
        return True
    given = [*call.args, *(one.value for one in call.keywords)]
    return name in _UNSEEDED and all(isinstance(value, ast.Constant) and value.value is None for value in given)


def _is_global_draw(name: str) -> bool:
    module, _, draw = name.rpartition(".")
    return (module == "random" and draw in _DRAWS) or (module == "numpy.random" and draw in _NUMPY_DRAWS)


def _seeds_globally(tree: ast.Module) -> bool:
    """Say whether the file itself gives the global generators a seed."""
    calls = (node for node in nodes(tree) if isinstance(node, ast.Call) and (node.args or node.keywords))
    return any(re.fullmatch(r"seed|set_seed|seed_\w+|set_random_seed", last_name(call)) for call in calls)


def _varies(value: ast.expr, imported: dict[str, str]) -> bool:
    """Say whether the value is another one in every process."""
    calls = (node for node in ast.walk(value) if isinstance(node, ast.Call))
    return any(imported_name(call.func, imported) in _SOURCES for call in calls)


def switches(tree: ast.Module) -> Iterator[Seen]:
    """Give what lets the same run compute something else the next time."""
    for node in nodes(tree):
        if isinstance(node, ast.Assign) and any(_loosens(target, node.value) for target in node.targets):
            yield Seen(rule="nondeterminism", shown=ast.unparse(node), node=node)
        elif isinstance(node, ast.Call) and last_name(node) in {"use_deterministic_algorithms", "set_deterministic"}:
            given = [*node.args[:1], *(one.value for one in node.keywords if one.arg in {"mode", "d"})]
            if any(isinstance(value, ast.Constant) and value.value is False for value in given):
                yield Seen(rule="nondeterminism", shown=ast.unparse(node), node=node)


def _loosens(target: ast.expr, value: ast.expr) -> bool:
    name = dotted(target)
    return (
        bool(_FORBIDS.fullmatch(name)) and isinstance(value, ast.Constant) and value.value is name.endswith("benchmark")
    )
