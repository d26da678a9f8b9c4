"""What a run should know about code and machine but must not wait for: collected in a thread."""

import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import Any

from experiment_hub.tracking.source import git_view


def facts(script: Path | None) -> dict[str, Any]:
    """The script's commit and content, the machine, and the versions of what is loaded by now."""
    place = script.parent if script else Path.cwd()
    return {
        **git_view(place),
        "source_hash": hashlib.sha256(script.read_bytes()).hexdigest() if script and script.is_file() else None,
        "environment": {
            "script": str(script) if script else None,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "processors": os.cpu_count(),
            "packages": versions(),
        },
    }


def versions() -> dict[str, str]:
    """Of the top-level modules that are loaded and say so themselves; asking the installer's records takes longer."""
    found = {}
    for name, module in sorted(sys.modules.items()):
        if "." in name or name.startswith("_") or name in sys.stdlib_module_names:
            continue
        said = getattr(module, "__dict__", {}).get("__version__")
        if isinstance(said, str):
            found[name] = said
    return found
