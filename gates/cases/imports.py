"""Cases of the gate `imports`."""

from __future__ import annotations

from gates.example import Example

CLI = "tool/cli.py"
TEXT = '"""Commands."""\nimport json\n\n\ndef main():\n    return json.dumps({})\n'
BASE = {"tool/__init__.py": "", CLI: TEXT, "tool/core.py": "def answer():\n    return 42\n"}
CORE = "import torch\n\n\ndef answer():\n    return torch.ones(1)\n"
LAZY = TEXT.replace("    return json", "    import torch\n\n    torch.ones(1)\n    return json")
TIMED = {"imports": {"startup": [{"run": ["python", "-m", "tool.cli"], "max_added_s": 0.25}]}}
RUNS = {**BASE, CLI: f"{TEXT}\n\nmain()\n"}


def first(statement: str) -> dict[str, str]:
    """Put a statement at the top of the command's file."""
    return {CLI: TEXT.replace("import json\n", f"import json\n{statement}\n")}


CASES = (
    Example(name="torch at module level", base=BASE, change=first("import torch"), expects=("imports.heavy",)),
    Example(
        name="torch under another name", base=BASE, change=first("import torch as json5"), expects=("imports.heavy",)
    ),
    Example(
        name="a part of torch", base=BASE, change=first("from torch.nn import functional"), expects=("imports.heavy",)
    ),
    Example(
        name="two heavy packages in one line",
        base=BASE,
        change=first("import os, jax.numpy, transformers"),
        expects=("imports.heavy", "imports.heavy"),
    ),
    Example(
        name="torch where it can be missing",
        base=BASE,
        change=first("try:\n    import torch\nexcept ImportError:\n    torch = None"),
        expects=("imports.heavy",),
    ),
    Example(
        name="torch behind a condition that is not the type checker's",
        base=BASE,
        change=first("if json:\n    import torch"),
        expects=("imports.heavy",),
    ),
    Example(
        name="torch whenever types are not being checked",
        base=BASE,
        change=first("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import os\nelse:\n    import torch"),
        expects=("imports.heavy",),
    ),
    Example(
        name="torch in the body of a class",
        base=BASE,
        change=first("class Backend:\n    import torch"),
        expects=("imports.heavy",),
    ),
    Example(
        name="torch by importlib",
        base=BASE,
        change=first('import importlib\ntorch = importlib.import_module("torch.nn")'),
        expects=("imports.heavy",),
    ),
    Example(
        name="torch by importlib under another name, in two pieces",
        base=BASE,
        change=first('from importlib import import_module as load\nbackend = load("to" + "rch")'),
        expects=("imports.heavy",),
    ),
    Example(
        name="torch by __import__",
        base=BASE,
        change=first('torch = __import__("torch")'),
        expects=("imports.heavy",),
    ),
    Example(
        name="torch in a default, which is computed at import",
        base=BASE,
        change=first('def run(backend=__import__("torch")):\n    return backend'),
        expects=("imports.heavy",),
    ),
    Example(
        name="torch moved from the function to the top",
        base={**BASE, CLI: LAZY},
        change={CLI: LAZY.replace("    import torch\n\n", "").replace("import json\n", "import json\nimport torch\n")},
        expects=("imports.heavy",),
    ),
    Example(
        name="a new command",
        base=BASE,
        change={"tool/commands/__init__.py": "", "tool/commands/train.py": "from transformers import AutoModel\n"},
        expects=("imports.heavy",),
    ),
    Example(
        name="a module that imports torch, newly imported",
        base={**BASE, "tool/core.py": CORE},
        change=first("from tool.core import answer"),
        expects=("imports.heavy",),
    ),
    Example(
        name="a module that imports torch, by two others and a relative import",
        base={
            **BASE,
            "tool/core.py": CORE,
            "tool/a.py": "from tool import b\n",
            "tool/b.py": "from .core import answer\n",
        },
        change=first("from . import a"),
        expects=("imports.heavy",),
    ),
    Example(
        name="a package whose __init__ imports torch",
        base={**BASE, "deep/__init__.py": "import torch\n", "deep/names.py": "NAMES = ()\n"},
        change=first("from deep.names import NAMES"),
        expects=("imports.heavy",),
    ),
    Example(
        name="torch in a module that the unchanged command imports",
        base={**BASE, **first("from tool.core import answer")},
        change={"tool/core.py": CORE},
        expects=("imports.heavy",),
    ),
    Example(
        name="torch in the package around the unchanged command",
        base=BASE,
        change={"tool/__init__.py": "import torch\n"},
        expects=("imports.heavy",),
    ),
    Example(
        name="torch hidden behind a package of that name that the change brings",
        base=BASE,
        change={**first("import torch"), "torch/__init__.py": "import sys\n"},
        expects=("imports.heavy",),
    ),
    Example(
        name="a package that the policy names",
        base=BASE,
        change=first("import pandas"),
        policy={"imports": {"heavy": ["pandas"]}},
        expects=("imports.heavy",),
    ),
    Example(
        name="a start that got slow",
        base=RUNS,
        change={CLI: RUNS[CLI].replace("import json\n", "import json\nimport time\n\ntime.sleep(0.6)\n")},
        policy=TIMED,
        expects=("imports.start-up",),
        runs=True,
    ),
    Example(
        name="a start that fails",
        base=RUNS,
        change={CLI: f"{RUNS[CLI]}\nraise SystemExit(3)\n"},
        policy=TIMED,
        expects=("imports.start-up",),
        runs=True,
    ),
    Example(
        name="a start that fails at the base already",
        base={**RUNS, CLI: f"{RUNS[CLI]}\nraise SystemExit(3)\n"},
        change={"tool/core.py": "def answer():\n    return 43\n"},
        policy=TIMED,
        undecided="on the base could not be judged",
        runs=True,
    ),
    Example(name="torch inside the function", base=BASE, change={CLI: LAZY}),
    Example(
        name="torch for types alone",
        base=BASE,
        change=first(
            "import typing\nif typing.TYPE_CHECKING:\n    import torch\n    from transformers import AutoModel"
        ),
    ),
    Example(
        name="torch inside a method and a lambda",
        base=BASE,
        change=first('class Backend:\n    def run(self):\n        import torch\n\nload = lambda: __import__("torch")'),
    ),
    Example(name="torch where no command is", base=BASE, change={"tool/core.py": CORE}),
    Example(
        name="torch moved down in a command that imports it",
        base={**BASE, **first("import torch")},
        change={CLI: f'"""Commands, and more."""\n\n\n{first("import torch")[CLI]}'},
    ),
    Example(
        name="a part of torch in a command that imports it all",
        base={**BASE, **first("import torch")},
        change=first("import torch\nfrom torch import nn"),
    ),
    Example(
        name="a command with torch renamed",
        base={**BASE, **first("import torch")},
        change={CLI: None, "tool/commands/__init__.py": "", "tool/commands/main.py": first("import torch")[CLI]},
    ),
    Example(
        name="torch in a module of a command that reaches it anyway",
        base={**BASE, "tool/core.py": CORE, "tool/b.py": "B = 1\n", **first("from tool import b, core")},
        change={"tool/b.py": "import torch\n\nB = torch\n"},
    ),
    Example(
        name="a package whose name only begins like a heavy one",
        base=BASE,
        change=first("import jaxtyping, torchless"),
    ),
    Example(
        name="a module of our own that is called like a heavy package",
        base={**BASE, "tool/torch.py": "FLAME = 1\n", "transformers/__init__.py": ""},
        change=first("from . import torch\nimport transformers"),
    ),
    Example(
        name="modules that import each other",
        base={**BASE, "tool/a.py": "import tool.b\n", "tool/b.py": "import tool.a\n"},
        change=first("import tool.a"),
    ),
    Example(
        name="a command that is no Python",
        base=BASE,
        change={CLI: "import torch\ndef (\n"},
    ),
    Example(
        name="a start that is as fast as before",
        base=RUNS,
        change={CLI: f"{RUNS[CLI]}\nmain()\n"},
        policy=TIMED,
        runs=True,
    ),
    Example(
        name="prose, where starts are timed",
        base=RUNS,
        change={"README.md": "# Tool\n"},
        policy=TIMED,
    ),
    Example(name="a repository without Python", base={"a.js": "1\n"}, change={"a.js": 'require("torch")\n'}),
)
