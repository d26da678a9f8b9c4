"""Behaviours that aim at processes: left-over daemons, signals and ptrace at the harness, bombs."""

from __future__ import annotations

from hostile import bites, family, py, sh

LIBC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nvictim = int(os.environ['VICTIM'])\n"
DAEMONS = family(
    "daemons",
    sh("nohup in the background", "nohup sleep 300 > /dev/null 2>&1 &"),
    sh("setsid", "setsid sleep 300 > /dev/null 2>&1 < /dev/null &"),
    sh("disown", "sleep 300 & disown -a"),
    py(
        "a double fork with an empty environment",
        """
        import os
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.chdir("/"); os.closerange(0, 64)
                os.execve("/bin/sleep", ["[kworker/0:1]", "301"], {})
            os._exit(0)
        """,
    ),
    py(
        "a chain that forks faster than it is ended",
        """
        import os, time
        begun = time.time()
        if os.fork() == 0:
            while time.time() - begun < 20:
                os.setsid() if os.getpgid(0) != os.getpid() else None
                if os.fork(): os._exit(0)
        """,
    ),
    py(
        "a daemon deaf to every signal",
        "import os, signal, time\nif os.fork() == 0: os.setsid(); signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64)); time.sleep(300)",
    ),
    sh("a stopped process", "sleep 300 & kill -STOP $!"),
    py(
        "a reaper of its own",
        LIBC
        + "if os.fork() == 0:\n    libc.prctl(36, 1, 0, 0, 0); os.setsid()\n    os.spawnvp(os.P_NOWAIT, 'sleep', ['sleep', '300']); os.execvp('sleep', ['sleep', '300'])",
    ),
    sh(
        "at, cron and systemd",
        'echo "touch $OUTSIDE/ran" | at now; echo "* * * * * true" > "/var/spool/cron/crontabs/$TOKEN"; echo "# x" > "/etc/cron.d/$TOKEN"; timeout 1 systemd-run --user sleep 3; true',
    ),
    sh(
        "a terminal of its own",
        "script -qfc 'sleep 300' /dev/null > /dev/null 2>&1 & (coproc sleep 300); trap '' TERM; sleep 300 &",
    ),
    py(
        "a child that is its parent's sibling",
        LIBC + "if libc.syscall(56, 0x8000 | 17, 0, 0, 0, 0) == 0: os.setsid(); os.execvp('sleep', ['sleep', '300'])",
    ),
)
SIGNALS = family(
    "signals",
    *bites(
        sh("kill -9 at a process of the person", 'kill -9 "$VICTIM"'),
        sh("kill -STOP at a process of the person", 'kill -STOP "$VICTIM"'),
        py(
            "a signal through a pidfd",
            "import os, signal; signal.pidfd_send_signal(os.pidfd_open(int(os.environ['VICTIM'])), 9)",
        ),
        py("a signal to one thread", LIBC + "libc.syscall(234, victim, victim, 9); libc.syscall(200, victim, 9)"),
        py(
            "a signal with a message",
            LIBC
            + "info = ctypes.create_string_buffer(128)\nctypes.c_int.from_buffer(info, 8).value = -1\nlibc.syscall(129, victim, 9, info)",
        ),
        py(
            "a signal by the owner of a descriptor",
            """
            import fcntl, os, socket, time
            one, other = socket.socketpair()
            fcntl.fcntl(one, 10, 9); fcntl.fcntl(one, fcntl.F_SETOWN, int(os.environ["VICTIM"]))
            fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK); other.send(b"x"); time.sleep(0.05)
            """,
        ),
        py(
            "ptrace at a process of the person",
            LIBC + "if libc.ptrace(16, victim, 0, 0) == 0: print('BREACH: attached')",
        ),
        sh(
            "memory of a process of the person",
            'head -c 1 "/proc/$VICTIM/maps" | grep -q . && echo BREACH; (: > "/proc/$VICTIM/mem") && echo BREACH',
        ),
        py(
            "process_vm_readv",
            LIBC + "import struct\nhere = ctypes.create_string_buffer(struct.pack('QQ', 8, 8))\n"
            "if libc.process_vm_readv(victim, here, 1, here, 1, 0) >= 0 or ctypes.get_errno() == 14: print('BREACH')",
        ),
        py(
            "descriptors of another process",
            LIBC
            + "print('BREACH' if libc.syscall(438, os.pidfd_open(victim), 0, 0) >= 0 else 'refused')\nos.open(f'/proc/{victim}/fd/0', 0); print('BREACH')",
        ),
        py(
            "limits of a process of the person",
            "import os, resource; resource.prlimit(int(os.environ['VICTIM']), resource.RLIMIT_NOFILE, (9, 9))",
        ),
        py(
            "priority of a process of the person",
            "import os; os.setpriority(os.PRIO_PROCESS, int(os.environ['VICTIM']), 19)",
        ),
        py("processors of a process of the person", "import os; os.sched_setaffinity(int(os.environ['VICTIM']), {0})"),
        py(
            "scheduling of a process of the person",
            "import os; os.sched_setscheduler(int(os.environ['VICTIM']), os.SCHED_IDLE, os.sched_param(0))",
        ),
        py("disk priority of a process of the person", LIBC + "libc.syscall(251, 1, victim, 3 << 13)"),
        sh("the choice of the memory killer", 'echo 1000 > "/proc/$VICTIM/oom_score_adj"'),
    ),
    sh("kill -9 at its parents", "kill -9 1; kill -9 $(awk '{print $4}' /proc/$PPID/stat); kill -9 $PPID"),
    sh("kill at everybody", "trap '' TERM HUP; kill -TERM -1; kill -HUP 0", spoils_fix=""),
    py(
        "keystrokes into the terminal",
        "import fcntl, os\nfor place in ('/dev/tty', '/dev/pts/0', '/dev/console', '/dev/tty1'):\n    try: fcntl.ioctl(os.open(place, os.O_RDWR), 0x5412, b'x'); print('BREACH', place)\n    except OSError as error: print(error)",
    ),
    py("closes what the harness listens to", "import os; os.closerange(0, 64); os.kill(os.getpid(), 9)"),
    sh(
        "an end by every signal",
        'for s in SEGV ABRT BUS QUIT XCPU TRAP; do sh -c "kill -$s \\$\\$"; done; kill -SEGV $$',
    ),
    sh(
        "a core dump",
        'ulimit -c unlimited && echo BREACH; cd "$TMPDIR"; sh -c "kill -ABRT \\$\\$"; ls core* && echo BREACH; true',
    ),
)
BOMBS = family(
    "bombs",
    py("a fork bomb", "import os, time\nfor n in range(9):\n    os.fork()\ntime.sleep(9)", slow=True),
    py(
        "threads without end",
        "import threading, time\nfor n in range(2000):\n    try: threading.Thread(target=time.sleep, args=(1,), daemon=True).start()\n    except RuntimeError: break",
        slow=True,
    ),
    py(
        "memory without end",
        "import time\nheld = []\nwhile True: held.append(bytearray(b'x') * (8 << 20)); time.sleep(0.01)",
        slow=True,
    ),
    py(
        "memory in files without names",
        "import os, time\nfds = []\nfor n in range(48):\n    fds.append(os.memfd_create('x')); os.write(fds[-1], b'x' * (8 << 20)); time.sleep(0.005)",
        slow=True,
    ),
    sh(
        "the disk in big files",
        'head -c 300M /dev/zero > "$TMPDIR/fill"; head -c 300M /dev/zero > src/fill; sleep 3',
        slow=True,
    ),
    py(
        "the disk in files without names",
        "import os, time\nfd = os.open(os.environ['TMPDIR'], os.O_TMPFILE | os.O_RDWR)\nfor n in range(30): os.write(fd, b'x' * (4 << 20)); time.sleep(0.02)",
        slow=True,
    ),
    sh("hundreds of small files", "mkdir -p src/new/many; cd src/new/many; seq 300 | xargs touch", slow=True),
    sh("output without end", "head -c 40M /dev/zero | tr '\\0' 'A'; yes | head -c 9M >&2", slow=True),
    py("every descriptor", "import os\nwhile True:\n    try: os.open('/dev/null', 0)\n    except OSError: break"),
    py(
        "every watch of the kernel",
        "import ctypes\nlibc = ctypes.CDLL(None)\nfor n in range(300):\n    if libc.inotify_add_watch(libc.inotify_init(), b'.', 0xfff) < 0: break",
    ),
    sh("an endless run, deaf to the polite signal", "trap '' TERM INT HUP; while :; do sleep 1; done", slow=True),
    py("an endless loop", "while True: pass", slow=True),
    py(
        "locked memory",
        "import ctypes\nlibc = ctypes.CDLL(None)\nprint('BREACH' if libc.mlock(ctypes.create_string_buffer(128 << 20), 128 << 20) == 0 else 'refused')",
    ),
    sh(
        "a text for the gates to choke on",
        "head -c 3000000 /dev/zero | tr '\\0' '(' > src/new/deep.py; head -c 300000 /dev/zero | tr '\\0' 'a' > src/new/long.py",
    ),
)
PROCESSES = (*DAEMONS, *SIGNALS, *BOMBS)
