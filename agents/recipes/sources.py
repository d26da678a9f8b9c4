"""What the hub's Python files say, read without importing them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

PLUGINS = "experiment_hub.plugins."


@dataclass(frozen=True, kw_only=True)
class Field:
    """One hyperparameter of a Config."""

    name: str
    type: str
    meaning: str


def parsed(text: str, name: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise InputError(f"{name}:{error.lineno}: is no valid Python: {error.msg}") from error


def assigned(module: ast.Module, name: str) -> ast.expr | None:
    """Give what a module-level name is set to."""
    for node in module.body:
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets):
            return node.value
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            return node.value
    return None


def instance_class(module: ast.Module, name: str) -> str | None:
    """Give `Mlp` for `PLUGIN = Mlp()`."""
    value = assigned(module, name)
    return value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else None


def text_argument(module: ast.Module, name: str, argument: str) -> str | None:
    """Give `fraction` for `METRIC = MetricDefinition(unit="fraction")`."""
    value = assigned(module, name)
    for word in value.keywords if isinstance(value, ast.Call) else []:
        if word.arg == argument and isinstance(word.value, ast.Constant) and isinstance(word.value.value, str):
            return word.value.value
    return None


@dataclass(frozen=True, kw_only=True)
class Plugins:
    """Plugin modules, followed along their base classes."""

    read: Callable[[str], str]
    """Gives the source of a plugin module by its name."""

    def module(self, name: str) -> ast.Module:
        return parsed(self.read(name), name)

    def fields(self, plugin: str) -> dict[str, Field]:
        """Give the hyperparameters that can be found, by name; those of a base come first."""
        module = self.module(plugin)
        return self._fields(module, instance_class(module, "PLUGIN") or "")

    def _fields(self, module: ast.Module, class_name: str) -> dict[str, Field]:
        found = _class(module.body, class_name)
        if found is None:
            return self._imported(module, class_name)
        config = _class(found.body, "Config")
        inherited: dict[str, Field] = {}
        for base in found.bases if config is None else config.bases:
            inherited |= self._fields(module, _outermost(base))
        return inherited | ({} if config is None else dict(_own_fields(config)))

    def _imported(self, module: ast.Module, class_name: str) -> dict[str, Field]:
        for node in module.body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PLUGINS):
                for alias in node.names:
                    if (alias.asname or alias.name) == class_name:
                        return self._fields(self.module((node.module or "").removeprefix(PLUGINS)), alias.name)
        return {}


def _class(body: list[ast.stmt], name: str) -> ast.ClassDef | None:
    return next((node for node in body if isinstance(node, ast.ClassDef) and node.name == name), None)


def _outermost(node: ast.expr) -> str:
    """`Mlp` for `Mlp` and for `Mlp.Config`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _own_fields(config: ast.ClassDef) -> list[tuple[str, Field]]:
    found = []
    for node, following in zip(config.body, [*config.body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            found.append((name, Field(name=name, type=ast.unparse(node.annotation), meaning=_text(following))))
    return found


def _text(node: ast.stmt) -> str:
    value = node.value if isinstance(node, ast.Expr) else None
    return " ".join(value.value.split()) if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
