"""Settings of the hub's own loop that another framework would not follow are refused, not passed over."""

from experiment_hub.configuration.schema import TrainingSection
from experiment_hub.errors import ConfigurationError
from experiment_hub.plugins.protocol import framework
from experiment_hub.training.runtimes.protocol import Work

BY_THE_HUB = frozenset({"device", "determinism"})


def refuse_unfollowed(work: Work, followed: frozenset[str] = frozenset()) -> None:
    """Raises ConfigurationError for an optional key of `training` that was given and that nothing would read."""
    for name, field in TrainingSection.model_fields.items():
        given = getattr(work.training, name)
        if field.is_required() or name in BY_THE_HUB | followed:
            continue
        if given != field.get_default(call_default_factory=True):
            plugin = work.blueprint.plugin
            raise ConfigurationError(
                f"training.{name}: model {plugin.name!r} is trained by its framework, {framework(plugin)}, which does "
                "not follow this setting; leave it out"
            )
