"""The artifact store that a home's settings name."""

from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from experiment_hub.artifacts.protocol import Store, StoreKind
from experiment_hub.configuration.settings import FILE, settings
from experiment_hub.discovery import Extension, ExtensionPoint, discover
from experiment_hub.errors import ConfigurationError

POINT = ExtensionPoint(
    kind="artifact store",
    package="experiment_hub.artifacts.stores",
    attribute="STORE",
    group="experiment_hub.artifact_stores",
    contract=StoreKind,
)


@cache
def kinds() -> dict[str, Extension[StoreKind]]:
    return discover(POINT)


def open_store(home: Path) -> Store:
    """A folder in the home, or what `artifacts:` in hub.yaml names; raises ConfigurationError."""
    url = settings(home).artifacts or (home / "artifacts").resolve().as_uri()
    scheme = urlsplit(url).scheme
    if not scheme:
        raise ConfigurationError(f"{home / FILE}: artifacts: expected a URL such as s3://bucket/folder, got {url!r}")
    claiming = [each.item for each in kinds().values() if scheme in each.item.schemes]
    others = [each.item for each in kinds().values() if not each.item.schemes]
    return (claiming or others)[0].open(url, home)
