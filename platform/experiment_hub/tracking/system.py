"""How busy the machine and the process are, as curves of the run."""

import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from experiment_hub.errors import HubError
from experiment_hub.tracking.series.layout import TIMED
from experiment_hub.tracking.series.writer import SeriesWriter

if TYPE_CHECKING:
    import psutil

MIB = 1024 * 1024
EVERY_SECONDS = 10.0


def watch(series: SeriesWriter, stop: threading.Event, seconds: float) -> None:
    """In a thread that ends with `stop`."""
    threading.Thread(target=_watch, args=(series, stop, seconds), daemon=True, name="hub-system").start()


def _watch(series: SeriesWriter, stop: threading.Event, seconds: float) -> None:
    first = min(seconds, 1.0)
    if stop.wait(first):  # not before the run is on its way
        return
    import psutil

    process = psutil.Process()
    for measured in (psutil, process):
        measured.cpu_percent()  # the next one is since this one
    if stop.wait(first):
        return
    while True:
        try:
            series.log(dict(look(process)), int(time.time()))
        except (psutil.Error, HubError):
            return  # the disk is full or the process is being taken down: training goes on
        if stop.wait(seconds):
            return


def look(process: "psutil.Process") -> Iterator[tuple[str, float]]:
    import psutil

    yield f"{TIMED}cpu_percent", psutil.cpu_percent()
    yield f"{TIMED}memory_percent", psutil.virtual_memory().percent
    yield f"{TIMED}process_cpu_percent", process.cpu_percent()
    yield f"{TIMED}process_memory_mib", process.memory_info().rss / MIB
    yield f"{TIMED}process_threads", process.num_threads()
    disk = psutil.disk_io_counters()
    if disk:
        yield f"{TIMED}disk_read_mib", disk.read_bytes / MIB
        yield f"{TIMED}disk_written_mib", disk.write_bytes / MIB
    network = psutil.net_io_counters()
    yield f"{TIMED}network_received_mib", network.bytes_recv / MIB
    yield f"{TIMED}network_sent_mib", network.bytes_sent / MIB
    yield from _gpus()


def _gpus() -> Iterator[tuple[str, float]]:
    """Only where the script itself uses them: loading torch or a driver is not ours to decide."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    initialized = getattr(cuda, "is_initialized", None)  # torch may be half loaded at this moment
    if cuda is None or initialized is None or not initialized():
        return
    for index in range(cuda.device_count()):
        free, total = cuda.mem_get_info(index)
        yield f"{TIMED}gpu{index}_memory_mib", (total - free) / MIB
        yield f"{TIMED}gpu{index}_memory_allocated_mib", cuda.memory_allocated(index) / MIB
