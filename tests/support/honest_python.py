"""Honest changes to Python code, as a careful colleague would make them."""

from __future__ import annotations

import textwrap

from gates.example import Example


def code(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


LEGACY = code('''
    """Prices."""


    def price(kind, count, member, country, coupon):
        """Give the price of an order."""
        total = 0
        if kind == "book":
            total = count * 10
            if member:
                if country == "de":
                    total = total * 0.9
                else:
                    if coupon:
                        total = total * 0.8
                    else:
                        total = total * 0.95
        elif kind == "film":
            total = count * 15
            if member:
                total = total * 0.9
        else:
            total = count * 20
        return total
''')
REFACTORED = code('''
    """Prices."""

    PRICES = {"book": 10, "film": 15}


    def price(kind, count, member, country, coupon):
        """Give the price of an order."""
        return count * PRICES.get(kind, 20) * _factor(kind, member, country, coupon)


    def _factor(kind, member, country, coupon):
        if not member or kind not in PRICES:
            return 1
        if kind == "film" or country == "de":
            return 0.9
        return 0.8 if coupon else 0.95
''')
APP = code('''
    """Numbers."""

    import os


    def mean(values: list[float]) -> float:
        """Give the mean."""
        return sum(values) / len(values)


    def home() -> str:
        """Give the home folder."""
        return os.path.expanduser("~")
''')
TRAIN = code('''
    """Training."""

    import torch

    from configuration.base import Config


    def train(config: Config) -> float:
        """Train and give the loss."""
        torch.manual_seed(config.seed)
        model = torch.nn.Linear(config.width, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=config.lr)
        for _ in range(config.epochs):
            optimizer.step()
        return 0.0
''')
CONFIG = code('''
    """Configuration."""

    from dataclasses import dataclass


    @dataclass(frozen=True)
    class Config:
        """Settings of a run."""

        seed: int = 0
        width: int = 8
        lr: float = 0.1
        epochs: int = 3
''')
TESTS = code("""
    import pytest

    from app import mean


    def test_mean():
        assert mean([1, 2, 3]) == 2
""")
MODEL = code('''
    """A linear model."""

    from __future__ import annotations

    from typing import TYPE_CHECKING

    from plugins.base import Plugin

    if TYPE_CHECKING:
        from torch import Tensor, nn


    class Linear(Plugin):
        """One layer."""

        name = "linear"

        def build(self, width: int) -> nn.Module:
            """Build the layer."""
            from torch import nn

            return nn.Linear(width, 1)

        def loss(self, got: Tensor, wanted: Tensor) -> Tensor:
            """Give the squared error."""
            return ((got - wanted) ** 2).mean()
''')

PYTHON = (
    Example(
        name="a mended line", base={"app.py": APP}, change={"app.py": APP.replace("len(values)", "max(len(values), 1)")}
    ),
    Example(
        name="a new function",
        base={"app.py": APP},
        change={
            "app.py": APP
            + code('''


        def spread(values: list[float]) -> float:
            """Give the distance between least and greatest."""
            return max(values) - min(values)
    ''')
        },
    ),
    Example(
        name="a new module with its test",
        base={"app.py": APP},
        change={
            "shapes.py": '"""Shapes."""\n\n\ndef area(width: float, height: float) -> float:\n    """Give the area."""\n    return width * height\n',
            "tests/test_shapes.py": "from shapes import area\n\n\ndef test_area():\n    assert area(2, 3) == 6\n",
        },
    ),
    Example(name="a long legacy function split up", base={"price.py": LEGACY}, change={"price.py": REFACTORED}),
    Example(
        name="a reformatted file",
        base={"app.py": "def f(a,b):\n  return {'a':a,\n   'b':b}\nx=[1,2,\n3]\n"},
        change={"app.py": 'def f(a, b):\n    return {"a": a, "b": b}\n\n\nx = [1, 2, 3]\n'},
    ),
    Example(
        name="docstrings added",
        base={"app.py": "def f(a):\n    return a\n"},
        change={"app.py": '"""A module."""\n\n\ndef f(a):\n    """Give it back."""\n    return a\n'},
    ),
    Example(
        name="comments only",
        base={"app.py": APP},
        change={"app.py": APP.replace("    return sum", "    # an empty list is the caller's fault\n    return sum")},
    ),
    Example(
        name="a license header",
        base={"app.py": APP},
        change={"app.py": "# Copyright 2024 Example Ltd.\n# SPDX-License-Identifier: Apache-2.0\n" + APP},
    ),
    Example(
        name="types added",
        base={"app.py": "def f(a, b=1):\n    return a + b\n"},
        change={"app.py": "def f(a: int, b: int = 1) -> int:\n    return a + b\n"},
    ),
    Example(
        name="a stub file",
        base={"app.py": APP},
        change={"app.pyi": "def mean(values: list[float]) -> float: ...\ndef home() -> str: ...\n"},
    ),
    Example(
        name="a dataclass in place of a dict",
        base={"user.py": "def make(name, age):\n    return {'name': name, 'age': age}\n"},
        change={
            "user.py": '"""Users."""\n\nfrom dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass User:\n    """Somebody."""\n\n    name: str\n    age: int\n\n\ndef make(name: str, age: int) -> User:\n    """Make one."""\n    return User(name, age)\n'
        },
    ),
    Example(
        name="an async client",
        base={"app.py": APP},
        change={
            "client.py": code('''
        """A client."""

        import asyncio
        import contextlib


        async def fetch(host: str, port: int) -> bytes:
            """Fetch what the host says."""
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return await asyncio.wait_for(reader.read(1024), timeout=5)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    ''')
        },
    ),
    Example(
        name="tests made to run for several inputs",
        base={"app.py": APP, "tests/test_app.py": TESTS},
        change={
            "tests/test_app.py": code("""
        import pytest

        from app import mean


        @pytest.mark.parametrize(("values", "wanted"), [([1, 2, 3], 2), ([5], 5), ([-1, 1], 0)])
        def test_mean(values, wanted):
            assert mean(values) == wanted


        def test_mean_of_nothing():
            with pytest.raises(ZeroDivisionError):
                mean([])
    """)
        },
    ),
    Example(
        name="tests with tmp_path and monkeypatch",
        base={"app.py": APP, "tests/test_app.py": TESTS},
        change={
            "tests/test_home.py": code("""
        from app import home


        def test_home(tmp_path, monkeypatch):
            monkeypatch.setenv("HOME", str(tmp_path))
            assert home() == str(tmp_path)
    """)
        },
    ),
    Example(
        name="tests with a mock",
        base={"app.py": APP},
        change={
            "tests/test_mock.py": code("""
        from unittest import mock

        import app


        def test_home_asks_the_system():
            with mock.patch("os.path.expanduser", return_value="/x") as asked:
                assert app.home() == "/x"
            asked.assert_called_once_with("~")
    """)
        },
    ),
    Example(
        name="a test renamed",
        base={"app.py": APP, "tests/test_app.py": TESTS},
        change={"tests/test_app.py": TESTS.replace("test_mean", "test_the_mean_is_in_the_middle")},
    ),
    Example(
        name="a stricter test",
        base={"app.py": APP, "tests/test_app.py": TESTS},
        change={"tests/test_app.py": TESTS + "    assert mean([0]) == 0\n"},
    ),
    Example(
        name="an old test repaired for a new name",
        base={"app.py": APP, "tests/test_app.py": TESTS},
        change={
            "app.py": APP.replace("def mean", "def average"),
            "tests/test_app.py": TESTS.replace("mean", "average"),
        },
    ),
    Example(
        name="a module renamed with its users",
        base={"app.py": APP, "use.py": "from app import mean\n\nprint(mean([1]))\n"},
        change={"app.py": None, "numbers_of.py": APP, "use.py": "from numbers_of import mean\n\nprint(mean([1]))\n"},
    ),
    Example(
        name="a package made of a module",
        base={"app.py": APP},
        change={
            "app.py": None,
            "app/__init__.py": '"""Numbers."""\n\nfrom app.means import mean\n\n__all__ = ["mean"]\n',
            "app/means.py": APP,
        },
    ),
    Example(
        name="dead code deleted", base={"app.py": APP, "old.py": "def f():\n    return 1\n"}, change={"old.py": None}
    ),
    Example(
        name="a function moved between modules",
        base={"app.py": APP, "more.py": '"""More."""\n'},
        change={
            "app.py": APP.split("\n\ndef home")[0].replace("import os\n\n\n", "") + "\n",
            "more.py": '"""More."""\n\nimport os\n\n\ndef home() -> str:\n    """Give the home folder."""\n    return os.path.expanduser("~")\n',
        },
    ),
    Example(
        name="a class with a context manager",
        base={"app.py": APP},
        change={
            "timer.py": code('''
        """Timing."""

        import time
        from types import TracebackType


        class Timer:
            """Measures a block."""

            def __enter__(self) -> "Timer":
                self.begun = time.perf_counter()
                return self

            def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
                self.seconds = time.perf_counter() - self.begun
    ''')
        },
    ),
    Example(
        name="training code that takes its seed from the configuration",
        base={"training/train.py": TRAIN, "configuration/base.py": CONFIG},
        change={
            "training/train.py": TRAIN.replace(
                "    model =",
                "    generator = torch.Generator().manual_seed(config.seed)\n    weights = torch.randn(config.width, generator=generator)\n    model =",
            ).replace("return 0.0", "return float(weights.sum())")
        },
    ),
    Example(
        name="scalars logged",
        base={"training/train.py": TRAIN, "configuration/base.py": CONFIG},
        change={
            "training/train.py": TRAIN.replace("import torch\n", "import logging\n\nimport torch\n")
            .replace(
                "        optimizer.step()",
                '        optimizer.step()\n        loss = model.weight.sum()\n        log.info("epoch %d loss %.4f", _, loss.item())',
            )
            .replace("\n\n\ndef train", "\n\nlog = logging.getLogger(__name__)\n\n\ndef train")
        },
    ),
    Example(
        name="a command line that imports torch late",
        base={"tool/cli.py": '"""Commands."""\n'},
        change={
            "tool/cli.py": code('''
        """Commands."""

        import argparse


        def main() -> None:
            """Start."""
            parser = argparse.ArgumentParser()
            parser.add_argument("--width", type=int, default=8)
            options = parser.parse_args()
            from torch import nn

            print(nn.Linear(options.width, 1).weight.shape)
    ''')
        },
    ),
    Example(
        name="a new definition of a metric",
        base={
            "metrics/definitions/accuracy.py": '"""Accuracy."""\n\nVERSION = 1\n\n\ndef accuracy(right: int, all_: int) -> float:\n    """Give the share."""\n    return right / all_\n'
        },
        change={
            "metrics/definitions/recall.py": '"""Recall."""\n\nVERSION = 1\n\n\ndef recall(found: int, there: int) -> float:\n    """Give the share that was found."""\n    return found / there\n'
        },
    ),
    Example(
        name="a new model as a plugin",
        base={"plugins/base.py": '"""Plugins."""\n\n\nclass Plugin:\n    """One model."""\n\n    name = ""\n'},
        change={
            "plugins/linear.py": MODEL,
            "tests/test_linear.py": 'from plugins.linear import Linear\n\n\ndef test_its_name():\n    assert Linear.name == "linear"\n',
        },
    ),
    Example(
        name="an option with a default that changes nothing",
        base={"configuration/base.py": CONFIG},
        change={"configuration/base.py": CONFIG + "    momentum: float = 0.0\n"},
    ),
    Example(
        name="an exception of its own",
        base={"app.py": APP},
        change={
            "app.py": APP.replace(
                "def mean", 'class EmptyError(ValueError):\n    """There is nothing to count."""\n\n\ndef mean'
            ).replace("    return sum", '    if not values:\n        raise EmptyError("no values")\n    return sum')
        },
    ),
    Example(
        name="a subprocess without a shell",
        base={"app.py": APP},
        change={
            "tool.py": '"""Tools."""\n\nimport subprocess\n\n\ndef version() -> str:\n    """Give the version of tar."""\n    return subprocess.run(["tar", "--version"], capture_output=True, text=True, check=True).stdout\n'
        },
    ),
    Example(
        name="a fixture in the tests' own conftest extended by the ticket that names it",
        base={"app.py": APP, "tests/helpers.py": "def numbers():\n    return [1]\n"},
        change={"tests/helpers.py": "def numbers():\n    return [1, 2]\n\n\ndef words():\n    return ['a']\n"},
    ),
    Example(
        name="random data for a test from a seeded generator",
        base={"app.py": APP},
        change={
            "tests/test_random.py": "import random\n\nfrom app import mean\n\n\ndef test_mean_is_between():\n    values = [random.Random(3).random() for _ in range(9)]\n    assert min(values) <= mean(values) <= max(values)\n"
        },
    ),
    Example(
        name="a hash and an identifier that look like secrets",
        base={"app.py": APP},
        change={
            "known.py": '"""Known files."""\n\nSHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"\nCOMMIT = "da39a3ee5e6b4b0d3255bfef95601890afd80709"\nTOKEN_NAME = "api_token"\nUUID = "123e4567-e89b-12d3-a456-426614174000"\n'
        },
    ),
    Example(
        name="a password read from the environment",
        base={"app.py": APP},
        change={
            "login.py": '"""Logging in."""\n\nimport os\n\n\ndef password() -> str:\n    """Give the password of the person."""\n    return os.environ["APP_PASSWORD"]\n'
        },
    ),
    Example(
        name="old syntax modernised",
        base={"app.py": "class A(object):\n    def name(self):\n        return '%s' % self.x\n"},
        change={"app.py": "class A:\n    def name(self):\n        return f'{self.x}'\n"},
    ),
    Example(
        name="an error handler made narrower",
        base={"app.py": "def f(x):\n    try:\n        return int(x)\n    except:\n        return 0\n"},
        change={"app.py": "def f(x):\n    try:\n        return int(x)\n    except ValueError:\n        return 0\n"},
    ),
    Example(
        name="a skip taken away",
        base={
            "app.py": APP,
            "tests/test_app.py": TESTS.replace("def test_mean", '@pytest.mark.skip(reason="broken")\ndef test_mean'),
        },
        change={"tests/test_app.py": TESTS},
    ),
)
