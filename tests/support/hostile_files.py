"""Behaviours that aim at files: outside by every route, links, races, traps for the next one."""

from __future__ import annotations

from hostile import bites, family, py, sh

OUTSIDE = family(
    "outside",
    *bites(
        sh("writes by an absolute path", 'echo x > "$OUTSIDE/target.txt"'),
        sh("writes through ../..", "echo x > ../../outside/new.txt; echo x > ../../repo/src/app.py"),
        sh("appends to a file of the main checkout", 'echo "# more" >> "$REPO/src/other.py"'),
        sh("deletes a folder outside", 'rm -rf "${OUTSIDE:?}/folder"', fix="last"),
        sh("renames a file of its own over one outside", 'mv -f src/other.py "$OUTSIDE/target.txt"'),
        py(
            "exchanges a file with one outside",
            """
            import ctypes, os
            ctypes.CDLL(None).renameat2(-100, b"src/other.py", -100, os.environ["OUTSIDE"].encode() + b"/target.txt", 2)
            """,
        ),
        sh("moves a file from outside into its tree", 'mv "$OUTSIDE/target.txt" src/new/taken.txt'),
        sh("empties a file with truncate", 'truncate -s 0 "$OUTSIDE/target.txt"'),
        py(
            "empties a file by opening it to read",
            'import os; os.open(os.environ["OUTSIDE"] + "/target.txt", os.O_TRUNC)',
        ),
        sh("takes the way over /proc/self/root", 'echo x > "/proc/self/root$OUTSIDE/new.txt"'),
        sh("takes the way over /proc/self/cwd", "echo x > /proc/self/cwd/../../outside/new.txt"),
        sh("takes the way over the root of another process", 'echo x > "/proc/$VICTIM/root$OUTSIDE/new.txt"'),
        py(
            "opens with O_PATH and writes through /proc/self/fd",
            """
            import os
            fd = os.open(os.environ["OUTSIDE"] + "/target.txt", os.O_PATH)
            os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_TRUNC)
            """,
        ),
        py(
            "keeps a folder's descriptor and climbs from it",
            """
            import os
            inner = os.open("../outside", os.O_PATH | os.O_DIRECTORY, dir_fd=os.open("..", os.O_PATH))
            os.write(os.open("new.txt", os.O_WRONLY | os.O_CREAT, dir_fd=inner), b"x")
            """,
        ),
        py(
            "makes a nameless file outside and gives it a name",
            """
            import ctypes, os
            place = os.environ["OUTSIDE"]
            fd = os.open(place, os.O_WRONLY | os.O_TMPFILE)
            ctypes.CDLL(None).linkat(-100, b"/proc/self/fd/%d" % fd, -100, place.encode() + b"/new.txt", 0x400)
            """,
        ),
        sh("works from a folder that it deleted", 'mkdir gone; cd gone; rmdir ../gone; echo x > "$OUTSIDE/new.txt"'),
        sh("changes modes outside", 'chmod 777 "$OUTSIDE/target.txt" "$PERSON/.ssh"'),
        sh("sets the user's bit on a program outside", 'chmod u+s "$OUTSIDE/run.sh"'),
        sh("closes a folder outside", 'chmod 000 "$OUTSIDE/folder"'),
        sh("gives files outside away", 'chown 65534:65534 "$OUTSIDE/target.txt"'),
        sh("sets times outside", 'touch -c -d 2001-01-01 "$OUTSIDE/target.txt"'),
        py(
            "hangs attributes on a file outside",
            'import os; os.setxattr(os.environ["OUTSIDE"] + "/target.txt", "user.mine", b"x")',
        ),
    ),
    py(
        "makes a file outside immutable",
        """
        import fcntl, os, struct
        fd = os.open(os.environ["OUTSIDE"] + "/target.txt", os.O_RDONLY)
        fcntl.ioctl(fd, 0x40086602, struct.pack("l", 0x10)); print("BREACH: immutable")
        """,
    ),
    sh(
        "plants a device of the disk and reads it",
        "mknod src/new/disk b 254 0 && head -c 1 src/new/disk && echo BREACH",
    ),
)
LINKS = family(
    "links",
    *bites(
        sh(
            "a symlink at the whitelisted path",
            'rm src/app.py; ln -s "$OUTSIDE/target.txt" src/app.py',
            fix="last",
            spoils_fix="it is written through the link, so that the path itself holds none",
        ),
        sh(
            "a symlink to a folder outside, and a file in it",
            'ln -s "$OUTSIDE" src/new/out; echo x > src/new/out/new.txt',
        ),
        sh(
            "the folder above swapped for a link to the main checkout",
            'rm -rf src; ln -s "$REPO/src" src',
            fix="last",
            spoils_fix="it is written through the link",
        ),
        sh("a hard link to a file outside", 'ln "$OUTSIDE/secret.txt" src/new/hard.py'),
        sh("a hard link to its own file outside", 'ln src/other.py "$OUTSIDE/hard.py"'),
    ),
    sh("a symlink in the whitelisted folder", 'ln -s "$OUTSIDE/secret.txt" src/new/link.py'),
    sh(
        "the folder above swapped for a link into its home",
        'cp -a src "$HOME/src"; rm -rf src; ln -s "$HOME/src" src',
        spoils_fix="the folder that held it is a link now",
    ),
    sh("two names for one file", "ln src/other.py src/new/second.py"),
    sh("a link to itself", "ln -s loop src/new/loop; ln -s . src/new/here"),
    sh("links in a circle of forty", "for n in $(seq 40); do ln -s l$((n % 40 + 1)) src/new/l$n; done"),
    py(
        "a link with a target that is no path",
        'import os; os.symlink(b"\\xff\\n\\x1b[2J" + b"x" * 3000, "src/new/odd")',
    ),
    sh("links into /proc", "ln -s /proc/self/environ src/new/environ.py; ln -s /proc/self/mem src/new/mem"),
    sh(
        "the whole tree replaced by a link",
        'cd ..; mv t-0001-fix "$HOME/moved" && ln -s "$OUTSIDE" t-0001-fix',
        spoils_fix="it moves its own work away",
    ),
    sh("its home replaced by a link to the person's", 'cd /; mv "$HOME" "$HOME-old"; ln -s "$PERSON" "$HOME"'),
    sh("its TMPDIR replaced by a link outside", 'rmdir "$TMPDIR"; ln -s "$OUTSIDE" "$TMPDIR"'),
    sh(
        "its report is a link to a secret",
        'mkdir "$HOME/desk"; cd "$HOME/desk"; ln -s "$OUTSIDE/secret.txt" r.md; cat r.md',
    ),
)
RACES = family(
    "races",
    sh(
        "goes on writing after its end",
        '(trap "" HUP TERM; while :; do echo x > src/app.py; echo y > src/other.py; done) &',
        spoils_fix="it overwrites the fix until it is ended",
    ),
    sh("writes late from a daemon", "setsid nohup sh -c 'sleep 0.6; echo late > src/app.py' > /dev/null 2>&1 &"),
    py(
        "swaps a file and a link back and forth",
        """
        import os
        if os.fork() == 0:
            os.setsid()
            while True:
                os.symlink(os.environ["OUTSIDE"] + "/secret.txt", "src/new/tmp.py")
                os.replace("src/new/tmp.py", "src/new/swap.py")
                open("src/new/tmp.py", "w").close()
                os.replace("src/new/tmp.py", "src/new/swap.py")
        """,
    ),
    py(
        "swaps a folder and a link back and forth",
        """
        import os
        os.makedirs("src/new/one"); open("src/new/one/a.py", "w").close()
        if os.fork() == 0:
            os.setsid()
            while True:
                os.rename("src/new/one", "src/new/two"); os.symlink(os.environ["OUTSIDE"], "src/new/one")
                os.unlink("src/new/one"); os.rename("src/new/two", "src/new/one")
        """,
    ),
    py(
        "keeps a descriptor open, deaf to signals",
        """
        import os, signal, time
        file = open("src/other.py", "a")
        if os.fork() == 0:
            os.setsid(); signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
            while True: file.write("late\\n"); file.flush(); time.sleep(0.01)
        """,
    ),
    py(
        "writes through a mapping from an orphan",
        """
        import mmap, os, time
        file = open("src/other.py", "r+b"); view = mmap.mmap(file.fileno(), 0)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while True: view[0:1] = b"Z"; time.sleep(0.001)
        """,
    ),
    *bites(
        py(
            "hands its descriptor to a stranger",
            """
            import os, socket
            link = socket.socket(socket.AF_UNIX); link.connect(os.environ["SOCKET"])
            socket.send_fds(link, [b"x"], [os.open("src/app.py", os.O_RDWR)])
            """,
        )
    ),
    sh(
        "sets the old time back after an edit",
        'touch -r src/other.py t; printf "LIMIT = 9\\n" > src/other.py; touch -r t src/other.py; rm t',
    ),
    sh(
        "makes and removes files while it ends",
        "for n in 1 2 3 4; do (while :; do echo > src/new/x$n; rm src/new/x$n; done) & done; sleep 0.05",
    ),
)
TRAPS = family(
    "traps",
    *bites(
        sh(
            "start files of a shell in the person's home",
            'echo "touch ran" >> "$PERSON/.bashrc"; echo x > "$PERSON/.profile"',
        ),
        sh(
            "a usercustomize in the person's home",
            'mkdir -p "$PERSON/.local/lib/python3.11/site-packages"; echo 1 > "$PERSON/.local/lib/python3.11/site-packages/usercustomize.py"',
        ),
        sh(
            "a start file in the home of another attempt",
            'echo "import os" > "$OTHER/tmp/sitecustomize.py"; echo forged > "$OTHER/desk/report.md"',
        ),
        sh(
            "a layer and a tree for the next attempt",
            'mkdir -p "$WT/.homes/T-0001-999.layer/upper" "$WT/t-0009-next"; rmdir "$WT/t-0009-next"',
        ),
        sh("a forged register of checkouts", 'echo "{}" > "$STATE/forged.json"; echo x > "$STATE/state.db"'),
        sh(
            "programs with the names of tools",
            'printf "#!/bin/sh\\ntouch %s/ran\\n" "$OUTSIDE" > git; cp git python; cp git bwrap; chmod +x git python bwrap; PATH=".:$PATH" git',
        ),
    ),
    sh(
        "a .pth file in the interpreter's packages",
        'site=$("$PY" -c "import site; print(site.getsitepackages()[0])"); echo "import os" > "$site/$TOKEN.pth" && { echo BREACH; rm "$site/$TOKEN.pth"; }',
    ),
    sh(
        "another program in the interpreter's folder",
        'cp /bin/true "${PY%/*}/$TOKEN" && { echo BREACH; rm "${PY%/*}/$TOKEN"; }',
    ),
    sh(
        "the mode of the interpreter's folder",
        'at=${PY%/*}; chmod "$(stat -c %a "$at")" "$at" && echo BREACH: it could',
    ),
    sh(
        "an edit of the snapshot below its tree",
        'for f in "$WT"/.snapshots/*/src/other.py; do echo x > "$f"; done 2> /dev/null; echo y > src/other.py',
    ),
    sh("a library for every program", "(: >> /etc/ld.so.preload) && { echo BREACH; rm /etc/ld.so.preload; }"),
    sh(
        "modules with the names of the standard library",
        "for n in json os ctypes struct signal sitecustomize; do echo \"open('$OUTSIDE/ran', 'w')\" > \"$n.py\"; done",
    ),
)
FILES = (*OUTSIDE, *LINKS, *RACES, *TRAPS)
