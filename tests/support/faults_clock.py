"""A clock on the wall that somebody has set: what waits are measured by goes on as before. (libfaketime moves both, and sleeps go wrong.)"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long jump(void) { const char *text = getenv("FAULTS_JUMP_S"); return text ? atol(text) : 0; }
int clock_gettime(clockid_t id, struct timespec *out) {
    int code = syscall(SYS_clock_gettime, id, out);
    if (code == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) out->tv_sec += jump();
    return code;
}
int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
"""


@cache
def trouble() -> str:
    """Say why the clock cannot be set here; empty where it can."""
    if not shutil.which("cc"):
        return "there is no C compiler"
    done = subprocess.run([*set_by(86400), "date", "+%s"], capture_output=True, text=True, check=False)
    now = subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True)
    return (
        ""
        if done.returncode == 0 and int(done.stdout) - int(now.stdout) > 86000
        else "the clock of a program cannot be set here"
    )


def set_by(seconds: int) -> tuple[str, ...]:
    """Give the words before a command that show it, and what it starts, a clock that is so far ahead."""
    return ("env", f"LD_PRELOAD={_library()}", f"FAULTS_JUMP_S={seconds}")


@cache
def _library() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="faults-clock-"))
    source, made = folder / "clock.c", folder / "clock.so"
    source.write_text(SOURCE, encoding="utf-8")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(source)], check=True, capture_output=True)
    return made
