"""The command as a process of this machine."""

import shutil
from dataclasses import dataclass

from experiment_hub.worker.launchers import supervised
from experiment_hub.worker.launchers.protocol import Launch, Reference, Status


@dataclass(frozen=True)
class Local:
    name: str = "local"
    paid: bool = False
    on_this_machine: bool = True

    def check(self, launch: Launch) -> list[str]:
        return missing(launch, launch.argv[0])

    def start(self, launch: Launch) -> Reference:
        return supervised.start(launch, launch.argv)

    def poll(self, reference: Reference) -> Status:
        return supervised.poll(reference)

    def stop(self, reference: Reference, *, grace_s: float) -> None:
        supervised.stop(reference, grace_s=grace_s)

    def log(self, reference: Reference, offset: int) -> bytes:
        return supervised.log(reference, offset)


def missing(launch: Launch, program: str) -> list[str]:
    """What is not on this machine: the folder to work in, the program."""
    found = []
    if not launch.working_folder.is_dir():
        found.append(f"the folder {launch.working_folder} is not on this machine")
    elif shutil.which(program, path=launch.environment.get("PATH")) is None and not (
        "/" in program and (launch.working_folder / program).is_file()
    ):
        found.append(f"the program {program!r} is not on this machine, or not on its PATH")
    if launch.resources.get("nodes", 1) > 1:
        found.append("one process runs on one node; use the launcher slurm or ray for several")
    return found


LAUNCHER = Local()
