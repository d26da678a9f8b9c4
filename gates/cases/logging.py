# noqa: A005 - cases are named as their gate; nobody imports them but by their full name
"""Cases of the gate `logging`."""

from __future__ import annotations

from gates.example import Example

HEAD = "import logging\nimport sys\n\nimport numpy as np\nimport torch\n\nlogger = logging.getLogger(__name__)\n\n"


def code(body: str, head: str = HEAD) -> dict[str, str]:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return {"hub/loop.py": f"{head}\ndef step(model, batch, loader, dataset, criterion):\n{lines}"}


def leaks(name: str, body: str) -> Example:
    return Example(name=name, base=code("pass"), change=code(body), expects=("logging.data",))


REFUSED = (
    leaks("a batch printed", "print(batch)"),
    leaks("a batch in an f-string", "logger.info(f'got {batch}')"),
    leaks("a batch in an f-string that names it", "print(f'{batch=}')"),
    leaks("a part of a batch", "logger.debug('ids %s', batch['input_ids'])"),
    leaks("logits by a percent format", "logits = model(batch)\nprint('logits: %s' % logits)"),
    leaks("logits by format", "logits = model(batch)\nprint('logits: {}'.format(logits))"),
    leaks("logits joined to text", "logits = model(batch)\nprint('logits: ' + str(logits))"),
    leaks("what a model gives, under a name that tells nothing", "z = model(batch)\nlogger.warning(z)"),
    leaks("what a model gives, at once", "print(model(batch))"),
    leaks("text made of a batch", "text = f'batch: {batch}'\nlogger.info(text)"),
    leaks("a tensor made here", "a = torch.stack([torch.zeros(3)])\nprint(a)"),
    leaks("an array as a list", "a = np.asarray(criterion)\nprint(a.tolist())"),
    leaks("a tensor brought to the processor", "h = model(batch)\nprint(h.detach().cpu().numpy())"),
    leaks("one sample of a data set", "print(dataset[0])"),
    leaks("one batch of a loader", "print(next(iter(loader)))"),
    leaks("every item of a loader", "for item in loader:\n    print(item)"),
    leaks("the second of a pair of a loader", "for i, (a, b) in enumerate(loader):\n    print(i, b)"),
    leaks("weights one after the other", "for name, p in model.named_parameters():\n    print(name, p)"),
    leaks("the data of a parameter", "for p in model.parameters():\n    logger.info('%s', p.data)"),
    leaks("gradients", "for name, w in model.named_parameters():\n    logger.debug('%s: %r', name, w.grad)"),
    leaks("a state dict", "print(model.state_dict())"),
    leaks("a batch spread out", "print(*batch)"),
    leaks("each element as a figure", "logits = model(batch)\nprint([x.item() for x in logits])"),
    leaks("a reduction along one dimension", "logits = model(batch)\nprint(logits.mean(dim=0))"),
    leaks("a batch to standard error", "sys.stderr.write(str(batch))"),
    leaks("print under another name", "say = print\nsay(batch)"),
    leaks("decoded text of a batch", "print(model.tokenizer.decode(batch['input_ids'][0]))"),
    leaks("a batch if it is there", "print(batch if batch is not None else 'none')"),
    leaks("an annotated parameter", "def show(a: torch.Tensor) -> None:\n    print(a)"),
    leaks("labels beside a figure", "labels = batch['labels']\nprint(f'loss {criterion:.3f} {labels}')"),
    Example(
        name="the head of a table",
        change={"a.py": "import pandas as pd\n\nframe = pd.read_csv('x.csv')\nprint(frame.head())\n"},
        expects=("logging.data",),
    ),
    Example(
        name="images to a tracker",
        change={
            "a.py": "import torch\nimport wandb\n\n\ndef f(images, writer):\n    wandb.log({'in': wandb.Image(images)})\n"
            "    writer.add_images('in', images)\n"
        },
        expects=("logging.data", "logging.data"),
    ),
    Example(
        name="an old harmless print that is given a batch",
        base=code("x = len(batch)\nprint(x)"),
        change=code("x = batch\nprint(x)"),
        expects=("logging.data",),
    ),
    Example(
        name="a second print beside an old one",
        base=code("print(batch)"),
        change=code("print(batch)\nif loader:\n    print(batch)"),
        expects=("logging.data",),
    ),
)

FIGURES = """logits = model(batch)
loss = criterion(logits, batch['labels'])
print(loss.item(), float(loss), loss)
logger.info('loss %.3f at %d', loss, len(batch))
logger.info(f'{loss:.3f} {logits.shape} {logits.dtype} {batch["input_ids"].size()}')
print('mean %.2f' % logits.mean(), logits.mean().item(), logits.numel(), type(batch), logits.device)
print(f'{logits.abs().max():.2e}', {k: v.shape for k, v in batch.items()}, batch.keys())
accuracy = (logits.argmax(-1) == batch['labels']).float().mean()
metrics = {'loss': loss.item(), 'accuracy': accuracy.item()}
print(metrics, accuracy, model, dataset, len(dataset))
for epoch, rows in enumerate(loader):
    print(epoch, len(rows))
for name, p in model.named_parameters():
    print(name, p.shape, p.grad.norm().item(), p.requires_grad)
num_tokens = batch['input_ids'].numel()
tokens = len(batch)
print(num_tokens, tokens, f'{tokens} tokens')
logger.warning('no labels in %s', model.config.labels)
print(torch.__version__, torch.cuda.is_available(), np.mean([1, 2]), torch.cuda.memory_allocated())
print('batch', 'inputs', "labels")
logger.exception('bad batch')
checkpoint = torch.load(model.path)
print(checkpoint['epoch'], file=sys.stderr)
model.log('loss', loss)
"""
NAMES = """for key in batch:
    print(key, batch[key].shape)
logits, loss = model(batch)
print(f'loss {loss}', loss)
losses = torch.zeros(3)
logger.info({'train': losses['train'], 'step_time': model.time})
print('Epoch: {} [{}/{}] Loss: {:.6f}'.format(1, len(batch), len(loader.dataset), loss.item()))
for name in model.state_dict():
    print(name)
model.samples = 0
model.samples += len(batch)
print(model.samples, losses)
"""
TUTORIAL = """for batch, (X, y) in enumerate(loader):
    pred = model(X)
    loss = criterion(pred, y)
    if batch % 100 == 0:
        loss, current = loss.item(), (batch + 1) * len(X)
        print(f'loss: {loss:>7f}  [{current:>5d}/{len(dataset):>5d}] {batch}')
"""

ALLOWED = (
    Example(name="figures, shapes, types, counts and names", base=code("pass"), change=code(FIGURES)),
    Example(name="names of what a batch holds, and losses that are tensors", base=code("pass"), change=code(NAMES)),
    Example(name="a training loop of the tutorials", base=code("pass"), change=code(TUTORIAL)),
    Example(
        name="labels and tokens where nothing is learned",
        change={"cli.py": "import sys\n\n\ndef show(labels, tokens, batch):\n    print(labels, tokens, batch)\n"},
    ),
    Example(
        name="labels that are names",
        base=code("pass"),
        change=code("labels = ['cat', 'dog']\nprint(labels)\nfor batch in range(3):\n    print(batch)"),
    ),
    Example(
        name="a parameter that is a figure",
        change={
            "a.py": "import torch\n\n\ndef show(tokens: int, batch: str, samples: int | None = None):\n"
            "    print(tokens, batch, samples)\n"
        },
    ),
    Example(
        name="prints that stood there, moved, indented and formatted",
        base=code("print('batch', batch)\nlogger.info(batch)"),
        change=code("if loader:\n    print(\n        'batch',\n        batch,\n    )")
        | {"hub/other.py": HEAD + "\ndef other(batch):\n    logger.info(batch)\n"},
    ),
    Example(
        name="an old print in a file that learns to import torch",
        base={"a.py": "def f(batch):\n    print(batch)\n"},
        change={"a.py": "import torch\n\n\ndef f(batch):\n    print(batch)\n    return torch.zeros(1)\n"},
    ),
    Example(
        name="tests and examples",
        change={
            "tests/test_a.py": "import torch\n\nprint(torch.zeros(3))\n",
            "examples/a.py": "import torch\n\nprint(torch.ones(3))\n",
        },
    ),
    Example(name="a file that is no Python", change={"a.py": "import torch\nprint batch\n", "b.txt": "print(batch)\n"}),
    Example(
        name="logs of something else than numbers",
        change={
            "a.py": "import numpy as np\nimport subprocess\n\n\ndef run(args, request):\n"
            "    done = subprocess.run(args.labels, capture_output=True)\n"
            "    print(done.stdout, args.batch, request.data, np.__version__)\n"
            "    parts = 'a b'.split()\n    print(parts, sorted(vars(args)))\n"
        },
    ),
)

CASES = (*REFUSED, *ALLOWED)
