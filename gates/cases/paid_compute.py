"""Cases of the gate `paid-compute`."""

from __future__ import annotations

from gates.example import Example

JOB = "jobs/train.py"
TEXT = """import modal
import torch

app = modal.App("train")
volume = modal.Volume.from_name("results")


@app.function(gpu="H100", retries=2, timeout=3600, volumes={"/data": volume})
def train(rate):
    model = torch.nn.Linear(2, 2)
    print(rate, flush=True)
    torch.save(model.state_dict(), f"/data/{rate}.pt")
    volume.commit()
    return 0.5


@app.local_entrypoint()
def main():
    assert train.remote(0.1) < 1
"""
BASE = {JOB: TEXT}
CLASS = """

@app.cls(gpu="T4", retries=1, timeout=60)
class Model:
    @modal.method()
    def predict(self, text):
        return text
"""
LAUNCH = "    handles = [train.spawn(rate) for rate in (0.1, 0.2)]\n    return [one.get() for one in handles]\n"
MANY = f"@app.local_entrypoint()\ndef many():\n{LAUNCH}"


def edited(old: str, new: str) -> dict[str, str]:
    """Change one thing in the good file."""
    if old not in TEXT:
        raise ValueError(f"{old!r} is not in the text of the case")
    return {JOB: TEXT.replace(old, new)}


def added(code: str) -> dict[str, str]:
    """Add code below the good file."""
    return {JOB: f"{TEXT}\n\n{code}"}


CASES = (
    Example(
        name="inputs fanned out by map",
        base=BASE,
        change=added("def all_of():\n    return list(train.map([0.1, 0.2]))\n"),
        expects=("paid-compute.map",),
    ),
    Example(
        name="starmap, kept in a variable first",
        base=BASE,
        change=added("def all_of():\n    go = train.starmap\n    return list(go([(0.1,), (0.2,)]))\n"),
        expects=("paid-compute.map",),
    ),
    Example(
        name="for_each on another name of the function",
        base=BASE,
        change=added("def all_of():\n    again = train.with_options(gpu='T4')\n    again.for_each([0.1])\n"),
        expects=("paid-compute.map",),
    ),
    Example(
        name="map by getattr",
        base=BASE,
        change=added('def all_of():\n    return getattr(train, "map")([0.1])\n'),
        expects=("paid-compute.map",),
    ),
    Example(
        name="map on a method of a remote class",
        base=BASE,
        change=added(f"{CLASS.strip()}\n\n\ndef all_of():\n    return list(Model().predict.map(['a']))\n"),
        expects=("paid-compute.map",),
    ),
    Example(
        name="map on a function that is looked up",
        base=BASE,
        change=added('def all_of():\n    return modal.Function.from_name("train", "train").map([0.1])\n'),
        expects=("paid-compute.map",),
    ),
    Example(name="retries taken away", base=BASE, change=edited(" retries=2,", ""), expects=("paid-compute.retries",)),
    Example(
        name="retries of 0 behind a name",
        base=BASE,
        change={
            JOB: edited("retries=2", "retries=TRIES")[JOB].replace(
                "\n\n\n@app.function", "\nTRIES = 0\n\n\n@app.function"
            )
        },
        expects=("paid-compute.retries",),
    ),
    Example(
        name="modal.Retries of none",
        base=BASE,
        change=edited("retries=2", "retries=modal.Retries(max_retries=0)"),
        expects=("paid-compute.retries",),
    ),
    Example(name="no time-out", base=BASE, change=edited(" timeout=3600,", ""), expects=("paid-compute.timeout",)),
    Example(
        name="options unpacked from a dict without either",
        base=BASE,
        change=added('GPU = {"gpu": "T4"}\n\n\n@app.function(**GPU)\ndef other():\n    return 1\n'),
        expects=("paid-compute.retries", "paid-compute.timeout"),
    ),
    Example(
        name="a bare decorator of a renamed app",
        base=BASE,
        change=added('work = modal.App("work")\n\n\n@work.function\ndef other():\n    return 1\n'),
        expects=("paid-compute.retries", "paid-compute.timeout"),
    ),
    Example(
        name="a new file for an app that another one makes",
        base=BASE,
        change={
            "jobs/more.py": "import modal\n\nfrom jobs.train import app\n\n\n@app.cls(gpu='T4')\nclass Model:\n    pass\n"
        },
        expects=("paid-compute.retries", "paid-compute.timeout"),
    ),
    Example(
        name="the commit taken away",
        base=BASE,
        change=edited("    volume.commit()\n", ""),
        expects=("paid-compute.commit",),
    ),
    Example(
        name="the commit before the write",
        base=BASE,
        change={
            JOB: TEXT.replace("    volume.commit()\n", "").replace(
                "    print(rate", "    volume.commit()\n    print(rate"
            )
        },
        expects=("paid-compute.commit",),
    ),
    Example(
        name="a commit of another volume",
        base=BASE,
        change={
            JOB: TEXT.replace("    volume.commit", "    logs.commit").replace(
                "\n\n\n@app.f", '\nlogs = modal.Volume.from_name("logs")\n\n\n@app.f'
            )
        },
        expects=("paid-compute.commit",),
    ),
    Example(
        name="a later write by a path in pieces",
        base=BASE,
        change=edited(
            "    return 0.5",
            '    from pathlib import Path\n\n    place = Path("/data") / "notes"\n    (place / "a.txt").write_text("done")\n    return 0.5',
        ),
        expects=("paid-compute.commit",),
    ),
    Example(
        name="print without flush",
        base=BASE,
        change=edited("print(rate, flush=True)", "print(rate)"),
        expects=("paid-compute.flush",),
    ),
    Example(
        name="print with flush=False in a method",
        base=BASE,
        change=added(
            CLASS.replace("        return text", "        print(text, flush=False)\n        return text").strip()
        ),
        expects=("paid-compute.flush",),
    ),
    Example(
        name="the whole model saved",
        base=BASE,
        change=edited("model.state_dict()", "model"),
        expects=("paid-compute.checkpoint",),
    ),
    Example(
        name="the whole model in a dict with its state beside it",
        base=BASE,
        change=edited("model.state_dict()", '{"state": model.state_dict(), "model": model}'),
        expects=("paid-compute.checkpoint",),
    ),
    Example(
        name="the model pickled under another name",
        base=BASE,
        change=edited("    return 0.5", "    import pickle\n\n    best = model.cpu()\n    return pickle.dumps(best)"),
        expects=("paid-compute.checkpoint",),
    ),
    Example(
        name="several variants at once, none verified",
        base=BASE,
        change=added(MANY),
        expects=("paid-compute.variants",),
    ),
    Example(
        name="several variants one below the other",
        base=BASE,
        change=added("def many():\n    return [train.spawn(0.1), train.spawn(0.2)]\n"),
        expects=("paid-compute.variants",),
    ),
    Example(
        name="several variants by the threads of a pool",
        base=BASE,
        change=added("def many(pool):\n    return list(pool.map(train.remote, [0.1, 0.2]))\n"),
        expects=("paid-compute.variants",),
    ),
    Example(
        name="several variants, and the single one afterwards",
        base=BASE,
        change=added(MANY.replace("    return [", "    train.remote(0.1)\n    return [")),
        expects=("paid-compute.variants",),
    ),
    Example(
        name="an app stopped by its object",
        base=BASE,
        change=added("def end():\n    app.stop()\n"),
        expects=("paid-compute.stop",),
    ),
    Example(
        name="spawned calls cancelled",
        base=BASE,
        change=added(
            "def end():\n    calls = []\n    calls.append(train.spawn(0.1))\n    for call in calls:\n        call.cancel()\n"
        ),
        expects=("paid-compute.stop",),
    ),
    Example(
        name="a sandbox terminated",
        base=BASE,
        change=added("def end(name):\n    box = modal.Sandbox.from_id(name)\n    box.terminate()\n"),
        expects=("paid-compute.stop",),
    ),
    Example(
        name="an app stopped by a command, in a file without Modal",
        base=BASE,
        change={
            "tidy.py": 'import subprocess\n\nWORDS = ["modal", "app", "stop"]\nsubprocess.run([*WORDS, "ap-1"], check=True)\n'
        },
        expects=("paid-compute.stop",),
    ),
    Example(
        name="an app stopped by a Makefile and by CI",
        base={**BASE, "Makefile": "all:\n\tpython -m jobs.train\n"},
        change={
            "Makefile": "all:\n\tpython -m jobs.train\n\nclean:\n\t@modal app stop train\n",
            "ci.yml": 'steps:\n  - run: echo done && modal container stop ta-1\n  - command: ["modal", "app", "stop", "x"]\n',
        },
        expects=("paid-compute.stop",) * 3,
    ),
    Example(name="a good file", change={JOB: TEXT}),
    Example(
        name="plain map, and the map of a pool and of a data set",
        base=BASE,
        change=added("def shown(pool, data):\n    return [*map(str, data), *pool.map(str, data), *data.map(str)]\n"),
    ),
    Example(
        name="map where the policy allows it",
        base=BASE,
        change=added("def all_of():\n    return list(train.map([0.1, 0.2]))\n"),
        policy={"paid_compute": {"fan_out": "any"}},
    ),
    Example(
        name="several variants after one that was verified",
        base=BASE,
        change=added(MANY.replace("():\n", "():\n    assert train.remote(0.1) < 1\n")),
    ),
    Example(
        name="several variants after a function that verifies one",
        base=BASE,
        change=added(
            f"def try_one():\n    return train.spawn(0.1).get()\n\n\n{MANY.replace('():', '():' + chr(10) + '    try_one()', 1)}"
        ),
    ),
    Example(
        name="the same variant tried again",
        base=BASE,
        change=added("def patient():\n    for _ in range(3):\n        value = train.remote(0.1)\n    return value\n"),
    ),
    Example(
        name="a web function and a generator, which Modal cannot try again",
        base=BASE,
        change=added(
            "@app.function(timeout=60)\n@modal.fastapi_endpoint()\ndef page():\n    return {}\n\n\n"
            "@app.function(timeout=60)\ndef steps():\n    yield 1\n"
        ),
    ),
    Example(
        name="options that come from elsewhere",
        base=BASE,
        change=added("from jobs.options import COMMON\n\n\n@app.function(**COMMON)\ndef other():\n    print(1)\n"),
    ),
    Example(
        name="print in an image without buffers, and by the person's own machine",
        base=BASE,
        change={
            JOB: edited("print(rate, flush=True)", "print(rate)")[JOB].replace(
                'gpu="H100"', 'gpu="H100", image=modal.Image.debian_slim().env({"PYTHONUNBUFFERED": "1"})'
            )
            + '    print("done")\n'
        },
    ),
    Example(
        name="a write outside the volume, and a commit by a helper",
        base=BASE,
        change={
            JOB: TEXT.replace("    volume.commit()\n", '    open("/tmp/notes", "w").close()\n    keep()\n')
            + "\n\ndef keep():\n    volume.commit()\n"
        },
    ),
    Example(
        name="states, tensors and figures saved",
        base=BASE,
        change=edited("model.state_dict()", '{"weights": model.state_dict(), "epoch": 3, "curve": torch.ones(3)}'),
    ),
    Example(
        name="code without retries moved and explained, not written",
        base={JOB: TEXT.replace(" retries=2,", "")},
        change={JOB: None, "work/train.py": f'"""Training."""\n{TEXT.replace(" retries=2,", "")}'},
    ),
    Example(
        name="tasks cancelled, processes terminated and servers stopped that are not Modal's",
        base=BASE,
        change=added(
            "def end(server, process, loop):\n    task = loop.create_task(server())\n    task.cancel()\n    process.terminate()\n    server.stop()\n"
        ),
    ),
    Example(
        name="words about stopping, which run nothing",
        base=BASE,
        change={
            "help.py": 'HELP = "only a person runs `modal app stop`"\nprint(HELP)\n',
            "run.sh": '# modal app stop x\necho "a person stops it: modal app stop x"\n',
            "README.md": "`modal app stop train` stops it.\n",
        },
    ),
    Example(
        name="tests of Modal code",
        change={"tests/test_train.py": TEXT.replace(" retries=2,", "").replace(", flush=True", "")},
    ),
    Example(
        name="a decorator called function that is not Modal's",
        base=BASE,
        change=added("import tensorflow as tf\n\n\n@tf.function\ndef step(x):\n    print(x)\n    return x\n"),
    ),
)
