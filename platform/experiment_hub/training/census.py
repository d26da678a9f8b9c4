"""Exact count of parameters, by module."""

from typing import Any

from torch import nn


def census(model: nn.Module) -> list[dict[str, Any]]:
    """One row for each module that owns parameters; one that two modules share counts where it is met first."""
    seen: set[nn.Parameter] = set()
    rows = []
    for name, module in model.named_modules():
        own = [each for each in module.parameters(recurse=False) if each not in seen]
        seen.update(own)
        if own:
            rows.append(
                {
                    "module": name or ".",
                    "kind": type(module).__name__,
                    "trainable": sum(each.numel() for each in own if each.requires_grad),
                    "total": sum(each.numel() for each in own),
                }
            )
    return rows
