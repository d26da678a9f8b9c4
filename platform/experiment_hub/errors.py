"""The package's errors.

HubError                          exit code 1
├── BadInputError                 exit code 2
│   ├── ConfigurationError        a key, a value or an override is wrong
│   ├── UnknownNameError          no such model, dataset, metric, config
│   ├── BrokenExtensionError      a plugin, dataset or metric module cannot be used
│   ├── DataError                 data is missing, malformed or not what was declared
│   │   └── LeakageError           two splits share content
│   ├── EmptySplitError           a split holds no samples
│   ├── UnknownRunError           no such run
│   ├── ResumeError               this run cannot be continued
│   ├── CheckpointError           a checkpoint is missing parts or damaged
│   ├── NewerSchemaError          the home was written by a newer hub
│   ├── MissingExtraError         a library that this feature needs is not installed
│   ├── NotAllowedError           a rule or a missing right says no
│   └── ConflictError             somebody else was faster, or the state does not permit it
├── DatabaseGoneError             the database cannot be reached, is full or stays locked: exit code 4
├── DiskFullError                 the disk has no room for what must be kept: exit code 4
├── StoreGoneError                the artifact store cannot be reached or written, or is full: exit code 4
├── OutOfReachError               a file cannot be read or written: exit code 4
├── CorruptError                  stored content is not what was stored: exit code 4
├── NotDeterministicError        two evaluations of the same thing differ: exit code 4
├── WaitsForPersonError           needs a person's word (an approval): exit code 3
├── RunFailedError                foreign code raised while a run was going on: state `failed`
├── NonFiniteError                a loss or metric is NaN or infinite: state `nan`
└── RunKilledError                SIGTERM or SIGINT arrived: state `killed`, exit code 128 + signal
"""


class HubError(Exception):
    exit_code: int = 1


class BadInputError(HubError):
    exit_code = 2


class ConfigurationError(BadInputError):
    pass


class UnknownNameError(BadInputError):
    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(sorted(known)) or 'none'}")


class BrokenExtensionError(BadInputError):
    pass


class DataError(BadInputError):
    pass


class LeakageError(DataError):
    pass


class EmptySplitError(BadInputError):
    pass


class UnknownRunError(BadInputError):
    pass


class ResumeError(BadInputError):
    pass


class CheckpointError(BadInputError):
    pass


class NewerSchemaError(BadInputError):
    pass


class MissingExtraError(BadInputError):
    def __init__(self, feature: str, module: str, extra: str) -> None:
        super().__init__(f"{feature} needs {module}, which is not installed: pip install 'signalbox[{extra}]'")


class NotAllowedError(BadInputError):
    pass


class ConflictError(BadInputError):
    pass


class DatabaseGoneError(HubError):
    exit_code = 4


class DiskFullError(HubError):
    exit_code = 4


class StoreGoneError(HubError):
    exit_code = 4


class OutOfReachError(HubError):
    exit_code = 4


class CorruptError(HubError):
    exit_code = 4


class NotDeterministicError(HubError):
    exit_code = 4


class WaitsForPersonError(HubError):
    exit_code = 3


class RunFailedError(HubError):
    pass


class NonFiniteError(HubError):
    pass


class RunKilledError(HubError):
    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.exit_code = 128 + signal_number
