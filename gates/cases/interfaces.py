"""Cases of the gate `interfaces`."""

from __future__ import annotations

from gates.example import Example

SHARED = {"scope": {"shared_interfaces": ["**/protocol.py", "hub/metrics/definitions/**", "hub/schema/*.sql"]}}
BASE = {
    "hub/protocol.py": "class Model:\n    def fit(self): ...\n",
    "hub/metrics/definitions/loss.py": "VERSION = 1\nNAME = 'loss'\n\ndef compute(x):\n    return sum(x)\n",
    "hub/schema/runs.sql": "create table runs (id integer);\n",
    "hub/train.py": "def train():\n    pass\n",
}
NEW_METRIC = {"scope": {"write": ["hub/**"], "new": ["hub/metrics/definitions/f1.py"]}}

CASES = (
    Example(
        name="a method added to a base class",
        base=BASE,
        change={"hub/protocol.py": "class Model:\n    def fit(self): ...\n    def score(self): ...\n"},
        policy=SHARED,
        expects=("interfaces.shared",),
    ),
    Example(
        name="only a comment in a shared file",
        base=BASE,
        change={"hub/protocol.py": "# see the wiki\n" + BASE["hub/protocol.py"]},
        policy=SHARED,
        expects=("interfaces.shared",),
    ),
    Example(
        name="a metric definition deleted",
        base=BASE,
        change={"hub/metrics/definitions/loss.py": None},
        policy=SHARED,
        expects=("interfaces.shared",),
    ),
    Example(
        name="a metric definition renamed away",
        base=BASE,
        change={
            "hub/metrics/definitions/loss.py": None,
            "hub/metrics/loss.py": BASE["hub/metrics/definitions/loss.py"],
        },
        policy=SHARED,
        expects=("interfaces.shared",),
    ),
    Example(
        name="a metric definition renamed within its folder",
        base=BASE,
        change={
            "hub/metrics/definitions/loss.py": None,
            "hub/metrics/definitions/nll.py": BASE["hub/metrics/definitions/loss.py"],
        },
        policy=SHARED,
        expects=("interfaces.shared", "interfaces.shared"),
    ),
    Example(
        name="the line ends of a shared file",
        base=BASE,
        change={"hub/schema/runs.sql": "create table runs (id integer);\r\n"},
        policy=SHARED,
        expects=("interfaces.shared",),
    ),
    Example(
        name="a shared file replaced by a link",
        base=BASE,
        change={"hub/protocol.py": None},
        links={"hub/protocol.py": "train.py"},
        policy=SHARED,
        expects=("interfaces.shared",),
    ),
    Example(
        name="a new metric that the ticket may write but does not create",
        base=BASE,
        change={"hub/metrics/definitions/f1.py": "VERSION = 1\n"},
        policy=SHARED,
        expects=("interfaces.shared",),
    ),
    Example(
        name="an old metric that the ticket wrongly says it creates",
        base=BASE,
        change={"hub/metrics/definitions/loss.py": "VERSION = 2\n"},
        ticket={"scope": {"new": ["hub/metrics/definitions/*.py"]}},
        policy=SHARED,
        expects=("interfaces.shared",),
    ),
    Example(
        name="a package that hides a shared module from imports",
        base=BASE,
        change={"hub/protocol/__init__.py": "class Model:\n    pass\n"},
        policy=SHARED,
        expects=("interfaces.shared",),
    ),
    Example(
        name="a compiled module that hides a shared one",
        base=BASE,
        change={"hub/protocol.cpython-311-x86_64-linux-gnu.so": b"\x7fELF\0"},
        policy=SHARED,
        expects=("interfaces.shared",),
    ),
    Example(
        name="a shared file changed where a person has yet to permit it",
        base=BASE,
        change={"hub/protocol.py": "class Model:\n    pass\n"},
        ticket={"requires": ["interface"]},
        policy=SHARED,
        expects=("interfaces.shared",),
    ),
    Example(
        name="a metric that the ticket creates",
        base=BASE,
        change={"hub/metrics/definitions/f1.py": "VERSION = 1\n"},
        ticket=NEW_METRIC,
        policy=SHARED,
    ),
    Example(
        name="a shared file changed by the lead",
        base=BASE,
        change={"hub/protocol.py": "class Model:\n    pass\n"},
        ticket={"role": "lead"},
        policy=SHARED,
    ),
    Example(name="another file", base=BASE, change={"hub/train.py": "def train():\n    return 1\n"}, policy=SHARED),
    Example(
        name="a name that only begins like a shared one",
        base=BASE,
        change={"hub/protocol.py.md": "# Notes\n", "hub/protocols.py": "A = 1\n", "hub/protocol/README.md": "x\n"},
        policy=SHARED,
    ),
    Example(
        name="a new package beside the shared module",
        base=BASE,
        change={"hub/models/__init__.py": ""},
        policy=SHARED,
    ),
    Example(
        name="anything where no interface is shared",
        base=BASE,
        change={"hub/protocol.py": "class Model:\n    pass\n"},
    ),
    Example(
        name="a new file of a shared name where no ticket was named",
        base=BASE,
        change={"lib/protocol.py": "class Other:\n    pass\n"},
        ticket=None,
        policy=SHARED,
    ),
)
