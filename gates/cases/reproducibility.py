"""Cases of the gate `reproducibility`."""

from __future__ import annotations

from gates.example import Example

HEAD = "import random\n\nimport numpy as np\nimport torch\n\n"
REPORT = "## Summary\nDone.\n\n## Files Changed\n- conf/train.yaml\n\n"
YAML = "train:\n  lr: 0.001\n  name: adam\n  steps: [1, 2]\n"
FIELDS = (
    "from dataclasses import dataclass\n\n\n@dataclass\nclass Train:\n    lr: float = 0.001\n    name: str = 'adam'\n"
)


def training(body: str) -> dict[str, str]:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return {"hub/training/loop.py": f"{HEAD}def fit(model, config, data):\n{lines}"}


def adds(name: str, body: str, *rules: str) -> Example:
    expects = tuple(f"reproducibility.{rule}" for rule in rules)
    return Example(name=name, base=training("pass"), change=training(body), expects=expects)


REFUSED = (
    adds("a seed for torch", "torch.manual_seed(42)", "seed"),
    adds("a seed for everything else", "random.seed(1)\nnp.random.seed(0)", "seed", "seed"),
    adds("a generator with a seed of its own", "rng = np.random.default_rng(0)", "seed"),
    adds("a seed for a torch generator", "g = torch.Generator()\ng.manual_seed(7)", "seed"),
    adds("a seed as an argument", "split(data, random_state=1234)", "seed"),
    adds("a seed under another name", "n = 42\ntorch.manual_seed(n)", "seed"),
    adds("a seed that is computed from literals", "torch.manual_seed(6 * 7)", "seed"),
    adds("a seed with the rank added", "torch.manual_seed(42 + config.rank)", "seed"),
    adds("a seed to fall back to", "seed = config.seed or 42", "seed"),
    adds("a seed where the configuration has none", "seed = config.get('seed', 42)", "seed"),
    adds("a seed set on the configuration", "config.seed = 3", "seed"),
    adds("a learning rate as an argument", "opt = torch.optim.Adam(model.parameters(), lr=1e-3)", "hyperparameter"),
    adds("a learning rate by position", "opt = torch.optim.SGD(model.parameters(), 0.1)", "hyperparameter"),
    adds("a batch size", "loader = torch.utils.data.DataLoader(data, batch_size=32)", "hyperparameter"),
    adds("hyperparameters in one assignment", "lr, epochs = 0.1, 3", "hyperparameter", "hyperparameter"),
    adds(
        "hyperparameters in a dictionary",
        "make(**{'lr': 0.1, 'betas': (0.9, 0.99)})",
        "hyperparameter",
        "hyperparameter",
    ),
    adds("a number of epochs as a range", "for epoch in range(10):\n    step(model)", "hyperparameter"),
    adds("a dropout by position", "layer = torch.nn.Dropout(0.5)", "hyperparameter"),
    adds("a learning rate from text", "lr = float('1e-3')", "hyperparameter"),
    adds("a learning rate set on a group", "for group in config.groups:\n    group['lr'] = 0.01", "hyperparameter"),
    adds("an absolute path of data", "x = np.load('/data/train.npy')", "data-path"),
    adds("a path at home", "x = np.load('~/train.npy')", "data-path"),
    adds("a bucket", "x = load('s3://bucket/train')", "data-path"),
    adds("a download", "x = fetch('https://example.org/train.csv')", "data-path"),
    adds("a relative path of data", "x = np.loadtxt('data/train.csv')", "data-path"),
    adds("a path of data with a part put in", "x = np.load(f'/mnt/{config.name}/train.npy')", "data-path"),
    adds("a folder of data as an argument", "x = load(data_dir='../raw')", "data-path"),
    adds(
        "a generator without a seed", "rng = np.random.default_rng()\nr = random.Random()", "randomness", "randomness"
    ),
    adds("the randomness of the system", "r = random.SystemRandom()", "randomness"),
    adds("a draw from the global state", "x = random.random()\ny = np.random.rand(3)", "randomness", "randomness"),
    adds("a seed from the clock", "import time\ntorch.manual_seed(int(time.time()))", "randomness"),
    adds("a seed from a unique id", "import uuid\nseed = uuid.uuid4().int", "randomness"),
    adds("the benchmark of cudnn", "torch.backends.cudnn.benchmark = True", "nondeterminism"),
    adds("deterministic algorithms off", "torch.use_deterministic_algorithms(False)", "nondeterminism"),
    Example(
        name="hyperparameters as constants and defaults of a new file",
        change={
            "train.py": "LEARNING_RATE = 1e-3\n\n\ndef train(model, epochs=5, *, weight_decay: float = 0.1):\n    pass\n"
        },
        expects=("reproducibility.hyperparameter",) * 3,
    ),
    Example(
        name="a second seed beside the one that stood there",
        base=training("torch.manual_seed(42)"),
        change=training("torch.manual_seed(42)\nrandom.seed(42)"),
        expects=("reproducibility.seed",),
    ),
    Example(
        name="a literal that stood there, changed",
        base=training("step(model, lr=0.1)"),
        change=training("step(model, lr=0.2)"),
        expects=("reproducibility.hyperparameter",),
    ),
    Example(
        name="a default of YAML changed without a word",
        base={"conf/train.yaml": YAML},
        change={"conf/train.yaml": YAML.replace("0.001", "0.01")},
        report=REPORT,
        expects=("reproducibility.default",),
    ),
    Example(
        name="a default changed and only its new value told",
        base={"hub/config.py": FIELDS},
        change={"hub/config.py": FIELDS.replace("0.001", "0.01")},
        report=REPORT + "lr is 0.01 now.\n",
        expects=("reproducibility.default",),
    ),
    Example(
        name="two defaults changed and one declared",
        base={"hub/config.py": FIELDS},
        change={"hub/config.py": FIELDS.replace("0.001", "0.01").replace("adam", "sgd")},
        report=REPORT + "- `lr`: 0.001 -> 0.01, it learns faster\n",
        expects=("reproducibility.default",),
    ),
    Example(
        name="a default changed while its file is renamed",
        base={"conf/train.yaml": YAML + "a: 1\nb: 2\nc: 3\n"},
        change={"conf/train.yaml": None, "conf/fit.yaml": YAML.replace("adam", "sgd") + "a: 1\nb: 2\nc: 3\n"},
        report=REPORT,
        expects=("reproducibility.default",),
    ),
)

HONEST = """torch.manual_seed(config.seed)
rng = np.random.default_rng([config.seed, 3])
random.seed(config.seed + 1)
generator = torch.Generator().manual_seed(config.seed)
order = rng.permutation(len(data))
noise = torch.rand(3, generator=generator) + torch.randn(3)
opt = torch.optim.AdamW(model.parameters(), lr=config.lr, betas=(config.beta1, config.beta2))
lr = config.lr * 0.5
best, step, total_epochs, dropout = 1e9, 0, 0, 0.0
for epoch in range(config.epochs):
    loader = torch.utils.data.DataLoader(data, batch_size=config.batch_size, num_workers=2, seed=None)
x = np.load(config.data_dir / 'train.npy')
if str(x).startswith('s3://'):
    raise ValueError('expected something like s3://bucket/train.csv')
torch.save(model.state_dict(), config.out / 'model.pt')
with open('metrics.csv', 'w') as file:
    file.write('/dev/null')
torch.use_deterministic_algorithms(True)
torch.backends.cudnn.benchmark = False
"""

ALLOWED = (
    adds("training that takes everything from its configuration", HONEST),
    Example(
        name="literals that stood there, moved, indented and formatted",
        base=training("torch.manual_seed(42)\nstep(model, lr=0.1, batch_size=8)\nx = np.load('/data/x.npy')"),
        change=training(
            "if model:\n    step(\n        model,\n        lr=0.1,\n        batch_size=8,\n    )\ntorch.manual_seed(42)"
        )
        | {
            "hub/training/data.py": "import numpy as np\n\n\ndef load():\n    x = np.load('/data/x.npy')\n    return x\n"
        },
    ),
    Example(
        name="training code renamed with its literals",
        base={"hub/fit.py": HEAD + "torch.manual_seed(42)\nrandom.random()\n"},
        change={"hub/fit.py": None, "hub/training/fit.py": HEAD + "torch.manual_seed(42)\nrandom.random()\n"},
    ),
    Example(
        name="literals in tests and benchmarks, in files of defaults and outside of training code",
        change={
            "tests/training/test_loop.py": "import torch\n\ntorch.manual_seed(0)\n",
            "benchmarks/training_loop.py": "import torch\n\ntorch.manual_seed(0)\n",
            "hub/training/config.py": "SEED = 1\nlr = 0.1\n",
            "hub/report.py": "import random\n\nrandom.seed(0)\nrandom.random()\nlr = 0.1\n",
        },
    ),
    Example(
        name="a command line and a class that declare defaults",
        change={
            "train.py": "import argparse\nfrom dataclasses import dataclass\n\n\n"
            "@dataclass\nclass Train:\n    lr: float = 0.1\n    seed: int = 0\n\n\n"
            "parser = argparse.ArgumentParser()\nparser.add_argument('--lr', type=float, default=0.1)\n"
            "parser.add_argument('--seed', default=42)\n"
        },
    ),
    Example(
        name="trains of a railway",
        change={
            "trains.py": "import random\n\nTIMETABLE = '/var/lib/railway/times.csv'\n\n\n"
            "def next_train(station):\n    return random.choice(station.trains)\n"
        },
    ),
    Example(
        name="a changed default that the report declares",
        base={"conf/train.yaml": YAML, "hub/config.py": FIELDS},
        change={"conf/train.yaml": YAML.replace("0.001", "1e-2"), "hub/config.py": FIELDS.replace("'adam'", "'sgd'")},
        report=REPORT + "Changed defaults:\n- `lr`: 1e-3 -> 0.01, it learns faster\n- Train.name: adam → sgd.\n",
    ),
    Example(
        name="new defaults, comments and order",
        base={"conf/train.yaml": YAML, "hub/config.py": FIELDS},
        change={
            "conf/train.yaml": "# how to train\ntrain:\n  name: 'adam'\n  lr: 1.0e-3\n"
            "  steps:\n  - 1\n  - 2\n  new: 3\n",
            "hub/config.py": FIELDS.replace("0.001", "1e-3") + "    new: int = 3\n",
        },
        report=REPORT,
    ),
    Example(
        name="a changed default where no agent was at work",
        base={"conf/train.yaml": YAML},
        change={"conf/train.yaml": YAML.replace("0.001", "0.01")},
        ticket=None,
    ),
    Example(
        name="a template that is no YAML, and a file that is no Python",
        base={"conf/train.yaml": "a: {{ b }}\n", "train.py": "print 'x'\n"},
        change={"conf/train.yaml": "a: {{ c }} {\n", "train.py": "print 'y'\nseed = 1\n"},
        report=REPORT,
    ),
    Example(name="a repository without training", base={"a.txt": "a\n"}, change={"a.txt": "b\n"}),
)

CASES = (*REFUSED, *ALLOWED)
