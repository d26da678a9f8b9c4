"""A hosting service in one file: speaks gh's command line, keeps its pull requests as JSON, and merges in a bare repository.

It stands beside its bare repository `hub.git`, as it gets no environment to speak of. There, `requests.json` holds the requests,
`calls.jsonl` every call, `trouble.json` what is to go wrong ({"pr merge": "words of the service"}), `others` a commit that the target
moves to right before a merge, and `die-after-merge` ends whoever asked once it is done.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

HUB = Path(__file__).with_name("hub.git")
REQUESTS, CALLS, TROUBLE = (HUB.parent / name for name in ("requests.json", "calls.jsonl", "trouble.json"))


def git(*words: str, text: str = "") -> str:
    person = {f"GIT_{role}_{what}": "hub@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {"PATH": os.environ["PATH"], "GIT_DIR": str(HUB), **person}
    done = subprocess.run(["git", *words], env=env, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout.strip()


def stored() -> list[dict[str, Any]]:
    return list(json.loads(REQUESTS.read_text("utf-8"))) if REQUESTS.exists() else []


def store(requests: list[dict[str, Any]]) -> None:
    REQUESTS.write_text(json.dumps(requests), "utf-8")


def find(number: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    requests = stored()
    return requests, requests[int(number) - 1]


def auth_status(_said: argparse.Namespace) -> None:
    """Somebody is signed in, unless trouble says otherwise."""


def pr_list(said: argparse.Namespace) -> None:
    wanted = {"head": said.head, "base": said.base, "state": said.state.upper()}
    found = [one for one in stored() if all(one[key] == value for key, value in wanted.items())]
    print(json.dumps([{key: one[key] for key in said.json.split(",")} for one in found]))  # noqa: T201


def pr_create(said: argparse.Namespace) -> None:
    requests = stored()
    number = len(requests) + 1
    url = f"https://hub.example/pull/{number}"
    fields = {"number": number, "url": url, "state": "OPEN", "head": said.head, "base": said.base}
    store([*requests, {**fields, "title": said.title, "body": said.body}])
    print(url)  # noqa: T201


def pr_merge(said: argparse.Namespace) -> None:
    requests, request = find(said.number)
    if (others := HUB.parent / "others").exists():
        git("update-ref", f"refs/heads/{request['base']}", others.read_text("utf-8"))
    theirs, ours = git("rev-parse", f"refs/heads/{request['head']}"), git("rev-parse", f"refs/heads/{request['base']}")
    if said.match_head_commit != theirs:
        sys.exit("GraphQL: Head branch was modified. Review and try the merge again.")
    tree = git("merge-tree", "--write-tree", ours, theirs)
    message = (
        f"{said.subject} (#{request['number']})\n\n{said.body}"
        if said.subject
        else git("log", "-1", "--format=%B", theirs)
    )
    parents = ["-p", ours, *(["-p", theirs] if said.merge else [])]
    commit = git("commit-tree", tree, *parents, text=message)
    git("update-ref", f"refs/heads/{request['base']}", commit, ours)
    request |= {"state": "MERGED", "commit": commit}
    store(requests)
    if (die := HUB.parent / "die-after-merge").exists():
        die.unlink()
        os.kill(os.getppid(), signal.SIGKILL)


def api(said: argparse.Namespace) -> None:
    path, fields = said.path, dict(field.split("=", 1) for field in said.f)
    if said.method == "PATCH":
        requests, request = find(path.removeprefix("repos/{owner}/{repo}/pulls/"))
        request |= fields
        store(requests)
        return
    commit = path.rpartition("/")[2]
    assert path == f"repos/{{owner}}/{{repo}}/statuses/{commit}", path
    assert git("cat-file", "-t", commit) == "commit"
    with (HUB.parent / "statuses.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"commit": commit, **fields}) + "\n")


def speaker() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gh", allow_abbrev=False)
    groups = parser.add_subparsers(required=True)
    words = groups.add_parser("auth").add_subparsers(required=True).add_parser("status")
    words.add_argument("--hostname")
    words.set_defaults(run=auth_status)
    asked = groups.add_parser("api")
    asked.add_argument("path")
    asked.add_argument("--silent", action="store_true")
    asked.add_argument("--method", default="POST")
    asked.add_argument("-f", action="append", default=[])
    asked.set_defaults(run=api)
    pr = groups.add_parser("pr").add_subparsers(required=True)
    for name, run, options in (
        ("list", pr_list, ("head", "base", "state", "json", "limit")),
        ("create", pr_create, ("head", "base", "title", "body")),
        ("merge", pr_merge, ("match-head-commit", "subject", "body")),
    ):
        one = pr.add_parser(name, allow_abbrev=False)
        one.set_defaults(run=run)
        for option in options:
            one.add_argument(f"--{option}", default="")
        if name == "merge":
            one.add_argument("number")
            for method in ("merge", "squash", "rebase"):
                one.add_argument(f"--{method}", action="store_true")
    return parser


def main() -> None:
    words = sys.argv[1:]
    with CALLS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"words": words, "repository": os.environ.get("GH_REPO", "")}) + "\n")
    said = speaker().parse_args(words)
    trouble = json.loads(TROUBLE.read_text("utf-8")) if TROUBLE.exists() else {}
    if no := trouble.get(" ".join(words[:2])) or trouble.get(words[0]):
        sys.exit(no)
    said.run(said)


if __name__ == "__main__":
    main()
