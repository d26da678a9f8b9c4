import os
from pathlib import Path


def find_home(option: Path | None) -> Path:
    """Where runs live: `--home`, else HUB_HOME, else `.hub` in the current directory."""
    return (option or Path(os.environ.get("HUB_HOME") or ".hub")).expanduser().resolve()
