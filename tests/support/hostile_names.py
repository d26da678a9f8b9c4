"""Behaviours that aim at whoever reads the tree: names that deceive, and things that are no files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hostile import family, py, sh

if TYPE_CHECKING:
    from hostile import Behaviour


def names(name: str, *paths: str | bytes) -> Behaviour:
    """A behaviour that writes a file at each of the paths."""
    return py(
        name,
        f"import os\nfor path in {paths!r}:\n"
        "    if os.path.dirname(path): os.makedirs(os.path.dirname(path), exist_ok=True)\n"
        "    open(path, 'w').write('x = 1\\n')",
    )


NAMES = family(
    "names",
    names("the fixed file in other letters", "src/App.py", "SRC/app.py"),
    names("letters and marks in pieces", "src/new/cafe\u0301.py"),
    names("a twin with a mark that cannot be seen", "src/app\u200b.py", "src/\u2060app.py"),
    names("a name read from right to left", "src/new/\u202eyp.ppa"),
    names("look-alike letters", "src/\u0430pp.py", "s\u0433c/app.py"),
    names("a line break", "src/new/x\ny.py", "src/other.py\nsrc/app.py"),
    names("control characters", "src/new/\x1b[2Jx.py", "src/\x07\x7f.py", "src/\r.py"),
    names("a name that is not UTF-8", b"src/new/\xff\xfe.py", b"src/a\x80b.py"),
    names("dots and blanks at the end", "src/app.py.", "src/app.py ", " src/app.py"),
    names("a backslash for a folder", "src\\app.py", "..\\outside\\x", "C:\\x"),
    names("names of devices", "src/CON", "src/nul.py", "src/aux.txt"),
    names("names that are options", "--help", "-rf", "src/--upload-pack=x"),
    names("quotes, globs and commands", 'src/"x" *[a-z]?.py', "$(touch x).py", "`id`"),
    names("the longest names there can be", "src/" + "x" * 255, "src/" + "\u00e9" * 127),
    py(
        "a path longer than any",
        "import os\nfor n in range(40): os.mkdir('d' * 120); os.chdir('d' * 120)\nopen('x', 'w').close()",
    ),
    py(
        "a thousand folders deep",
        "import os\nfor n in range(1000): os.mkdir('d'); os.chdir('d')\nopen('x', 'w').close()",
        slow=True,
    ),
    sh("a folder where a file stood", "rm src/other.py; mkdir src/other.py; echo x > src/other.py/inner.py"),
    sh("a file where a folder stood", "rm -r data/keep; echo x > data/keep"),
    sh("two files swapped", "mv README.md t; mv src/other.py README.md; mv t src/other.py"),
    sh("a rename into the scope", "mv src/other.py src/new/other.py"),
    sh("the denied by another spelling", "echo x > src/new/../other.py; echo x > ./src//new/.././../README.md"),
)
OBJECTS = family(
    "objects",
    sh("a pipe that nobody writes to", "mkfifo src/new/pipe src/pipe"),
    sh("a pipe in place of a file", "rm src/other.py; mkfifo src/other.py"),
    py("a socket", 'import os, socket; os.chdir("src/new"); socket.socket(socket.AF_UNIX).bind("s.sock")'),
    sh(
        "character devices",
        "mknod src/new/zero c 1 5; mknod src/new/tty c 5 0; mknod src/new/mem c 1 1 && cat src/new/mem > /dev/null && echo BREACH; true",
    ),
    sh("a whiteout by hand", "mknod src/new/gone c 0 0; rm -f data/keep/one.txt; mknod data/keep/one.txt c 0 0"),
    py(
        "an opaque folder by hand",
        """
        import os
        for place, name, value in (("data/keep", "user", b"y"), ("data/keep", "trusted", b"y"), ("data", "user", b"x")):
            try: os.setxattr(place, f"{name}.overlay.opaque", value)
            except OSError as error: print(error)
        """,
    ),
    py(
        "other attributes of an overlay by hand",
        """
        import os
        for name, value in (("redirect", b"/src"), ("metacopy", b""), ("origin", b"x"), ("whiteouts", b"y"), ("impure", b"y"), ("whiteout", b"y")):
            for place in ("data/keep", "src/new", "src/other.py"):
                try: os.setxattr(place, "user.overlay." + name, value)
                except OSError as error: print(error)
        """,
    ),
    sh("set-user-id bits", "cp /bin/true src/new/suid; chmod 6755 src/new/suid; chmod 4755 src/other.py"),
    sh("sticky and set-group folders", "mkdir src/new/d; chmod 3777 src/new/d src; echo x > src/extra.py"),
    sh("files of mode 000", "echo x > src/closed.py; chmod 000 src/closed.py src/app.py"),
    sh("folders of mode 000", "mkdir -p a/b/c; echo x > a/b/c/d; chmod 000 a/b/c a/b a src/new"),
    sh("its tree of mode 000", "chmod 000 ."),
    sh("its home of mode 000", 'chmod 000 "$TMPDIR" "$HOME"'),
    py(
        "attributes and capabilities on the fix",
        """
        import os
        os.setxattr("src/app.py", "user.note", b"x" * 1000)
        try: os.setxattr("src/app.py", "security.capability", b"\\x01\\0\\0\\2" + b"\\xff" * 16)
        except OSError as error: print(error)
        """,
    ),
    sh("empty folders in every place", "for n in $(seq 100); do mkdir -p empty/$n/$n; done; touch src/extra.py"),
    sh("files of another user", "echo x > src/theirs.py; chown 65534:65534 src/theirs.py src; chgrp 5 src/app.py"),
    py(
        "a file that is immutable and append-only",
        """
        import fcntl, os, struct
        try: fcntl.ioctl(os.open("src/other.py", os.O_RDONLY), 0x40086602, struct.pack("l", 0x30))
        except OSError as error: print(error)
        """,
    ),
    sh("a sparse file bigger than its disk", "truncate -s 80M src/new/big.bin", slow=True),
    sh("many sparse files", "for n in $(seq 5); do truncate -s 20M src/new/big$n.bin; done", slow=True),
    py(
        "locks and leases on every file",
        """
        import fcntl, os, time
        kept = [open(path, "r+") for path in ("src/app.py", "src/other.py", "README.md")]
        for file in kept:
            fcntl.lockf(file, fcntl.LOCK_EX)
            try: fcntl.fcntl(file, 1024, 1)
            except OSError as error: print(error)
        if os.fork() == 0: os.setsid(); time.sleep(60)
        """,
    ),
)
NAMES_AND_OBJECTS = (*NAMES, *OBJECTS)
