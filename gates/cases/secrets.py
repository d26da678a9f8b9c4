"""Cases of the gate `secrets`. Every key is put together here: no line of this file holds one."""  # noqa: A005 - it is named after its gate

from __future__ import annotations

from gates.example import Example


def joined(*parts: str) -> str:
    return "".join(parts)


TAIL = joined("Zk3vQ9", "bT7mXw2Rf8LdY5nHc1Jp6", "GsA4uEoKi0BtVrM")
HEX = joined("9f3a61", "c07be2d84f15a9", "3c6e0b7d218f4a5c90d7")
APPLE: dict[str, str | bytes] = {"src/app.py": "x = 1\n"}
LINE = "MIIEpAIBAAKCAQEAwJ3vQ9bT7mXw2Rf8LdY5nHc1Jp6GsA4uEoKi0BtVrMZk3v\n"
PEM = joined("-----BEGIN RSA PRIVATE ", "KEY-----\n", LINE * 3, "-----END RSA PRIVATE ", "KEY-----\n")
JWT = joined("eyJhbGciOiJIUzI1NiJ9.", "eyJ1aWQiOjQ4MjEsInIiOiJvcHMifQ.", "Q9bT7mXw2Rf8LdY5nHc1Jp6GsA4uEoKi0")
CLAUDE = joined("sk-", "ant-api03-", TAIL)
OPENAI = joined("sk-", "proj-", TAIL)
GOOGLE = joined("AI", "za", TAIL[:35])
GITHUB = joined("gh", "p_", TAIL[:36])


def found(name: str, kind: str, *parts: str) -> Example:
    change = {"src/app.py": f'x = 1\nKEY = "{"".join(parts)}"\n'}
    return Example(name=name, base=APPLE, change=change, expects=(f"secrets.{kind}",))


NOTEBOOK = '{"cells": [{"outputs": [{"data": {"image/png": "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg=="}}]}]}\n'
LOCK = "\n".join(
    [
        '[[package]]\nname = "anyio"\nversion = "4.4.0"',
        f'files = [{{file = "anyio.whl", hash = "sha256:{HEX}{HEX[:24]}"}}]',
        f'integrity "sha512-{TAIL}{TAIL[::-1]}=="',
        f'_token = "{HEX}"\n',
    ]
)

CASES = (
    found("a key of Anthropic", "anthropic-key", CLAUDE),
    found("a project key of OpenAI", "openai-key", OPENAI),
    found("a token of Hugging Face", "hugging-face-token", "hf", "_QbTmXwRfLdYnHcJpGsAuEoKiBtVrMZkvqP"),
    found("a token of Modal", "modal-token", "ak", "-", TAIL[:22]),
    found("a fine-grained token of GitHub", "github-token", "github", "_pat_11ABCDE0Q0", TAIL, TAIL[:20]),
    found("a key of Google", "google-key", GOOGLE),
    found("a token of Slack", "slack-token", "xo", "xb-2048120-4096240-", TAIL[:24]),
    found("a key of AWS that is none of its manual", "aws-key", "AK", "IAQ3VX7ZK2MWTB5RND"),
    found("a signed web token", "jwt", JWT),
    found("a data base with its password", "url-password", "postgresql:", "//app:vR7x2kQ9mT@db.prod.acme.io:5432/app"),
    found("a web address with its password", "url-password", "https:", "//deploy:vR7x2kQ9mT@git.acme.io/app.git"),
    found("a live key of Stripe", "stripe-key", "sk", "_live_", TAIL[:28]),
    Example(
        name="a password that is assigned",
        base=APPLE,
        change={"src/app.py": joined("x = 1\ndb_password = ", '"q7Rt2vX9', 'mK4w"\n')},
        expects=("secrets.assigned",),
    ),
    Example(
        name="a key of Weights and Biases in a shell script",
        base={"run.sh": "true\n"},
        change={"run.sh": f"export WANDB_API_KEY={HEX[:40]}\n"},
        expects=("secrets.wandb-key",),
    ),
    Example(name="a private key", base=APPLE, change={"deploy/key.pem": PEM}, expects=("secrets.private-key",)),
    Example(
        name="a private key in one line of code",
        base=APPLE,
        change={"src/app.py": "KEY = '{}'\n".format(PEM.replace("\n", "\\n"))},
        expects=("secrets.private-key",),
    ),
    Example(
        name="an environment file",
        base=APPLE,
        change={".env.production": joined("DEBUG=0\nAPP_SECRET=", "correct-horse-battery\n")},
        expects=("secrets.env-file",),
    ),
    Example(
        name="a .netrc",
        base=APPLE,
        change={"ci/.netrc": joined("machine git.acme.io login bot ", "password q7Rt2vX9mK\n")},
        expects=("secrets.netrc",),
    ),
    Example(
        name="in the middle of a binary file",
        base=APPLE,
        change={"data.bin": b"\x00\x01\x02" + CLAUDE.encode() + b"\x00\xff"},
        expects=("secrets.anthropic-key",),
    ),
    Example(
        name="in two bytes a character",
        base=APPLE,
        change={"notes.txt": f"key: {CLAUDE}\n".encode("utf-16")},
        expects=("secrets.anthropic-key",),
    ),
    Example(
        name="in a file that is renamed as well",
        base={"src/old.py": "a = 1\nb = 2\nc = 3\nd = 4\n"},
        change={"src/old.py": None, "src/new.py": f'a = 1\nb = 2\nc = 3\nd = 4\nk = "{CLAUDE}"\n'},
        expects=("secrets.anthropic-key",),
    ),
    Example(
        name="in a test",
        base=APPLE,
        change={"tests/test_app.py": f'K = "{OPENAI}"\n'},
        expects=("secrets.openai-key",),
    ),
    Example(
        name="in the report only",
        base=APPLE,
        change={"src/app.py": "x = 2\n"},
        report=f"## Summary\nI used {CLAUDE} for it.\n",
        expects=("secrets.anthropic-key",),
    ),
    Example(
        name="in the transcript only",
        base=APPLE,
        change={"src/app.py": "x = 2\n"},
        transcript=f"$ env\nGH_TOKEN={GITHUB}\n",
        expects=("secrets.github-token",),
    ),
    Example(
        name="two in one file",
        base=APPLE,
        change={"src/app.py": f'a = "{CLAUDE}"\nb = "{GOOGLE}"\n'},
        expects=("secrets.anthropic-key", "secrets.google-key"),
    ),
    # honest
    Example(
        name="the example keys of manuals",
        base=APPLE,
        change={
            "docs/setup.md": 'aws_access_key_id = "AKIAIOSFODNN7EXAMPLE"\nOPENAI_API_KEY=sk-proj-your-key-goes-here-0000000\n'
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"
        },
    ),
    Example(name="hashes of a lock file", base=APPLE, change={"poetry.lock": LOCK, "package-lock.json": LOCK}),
    Example(name="a picture in a notebook", base=APPLE, change={"look.ipynb": NOTEBOOK}),
    Example(
        name="commit ids, uuids and test ids",
        base=APPLE,
        change={
            "src/app.py": f'COMMIT = "{HEX[:40]}"\nUID = "123e4567-e89b-42d3-a456-426614174000"\nID = "tests/test_x.py::test_token[secret-1]"\n'
        },
    ),
    Example(
        name="names, templates and look-ups beside the word password",
        base=APPLE,
        change={
            "src/app.py": 'password = os.environ["DB_PASSWORD_MAIN2"]\nTOKEN_URL = "https://acme.io/oauth2/token"\npassword_field = "user_password_field_2"\n'
            'secret_name = "projects/1234/secrets/app"\napi_key = "${API_KEY_V2_PROD}"\ntoken = "{{ token_2_of_user }}"\nPASSWORD_RESET_TOKEN = "password-reset-v2"\n'
        },
    ),
    Example(
        name="a data base on this machine",
        base=APPLE,
        change={
            "compose.yaml": "url: postgres://postgres:postgres@localhost:5432/app\nredis: redis://:password@redis:6379/0\n"
        },
    ),
    Example(
        name="a made-up password in a test",
        base=APPLE,
        change={"tests/test_login.py": 'password = "tr0ub4dor-and-3"\n'},
    ),
    Example(
        name="code that looks for private keys",
        base=APPLE,
        change={
            "src/app.py": 'if text.startswith("-----BEGIN PRIVATE KEY-----"):\n    raise ValueError("a private key")\n'
        },
    ),
    Example(
        name="a secret of the base that is moved",
        base={"src/app.py": f'k = "{CLAUDE}"\n', "src/b.py": "b = 1\n"},
        change={"src/app.py": "k = None\n", "src/b.py": f'b = 1\nk = "{CLAUDE}"\n'},
    ),
    Example(
        name="a secret of the base that the transcript quotes",
        base={"src/app.py": f'k = "{GOOGLE}"\n'},
        change={"src/b.py": "b = 1\n"},
        transcript=f"$ cat src/app.py\nk = {GOOGLE}\n",
    ),
    Example(
        name="a file that the policy exempts",
        base=APPLE,
        change={"tests/keys/test.pem": PEM},
        policy={"secrets": {"exempt": ["tests/keys/**"]}},
    ),
    Example(
        name="a template of an environment file",
        base=APPLE,
        change={".env.example": "API_TOKEN=replace-me-please\n", ".env": "DEBUG=1\nPORT=8000\n"},
    ),
    Example(name="a file that goes away", base={"key.pem": PEM}, change={"key.pem": None}),
)
