"""An agent asks before it acts: from inside each sandbox, through the command that the harness names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from demo_project import POLICY, ticket
from worktrees.levels import trouble

if TYPE_CHECKING:
    from demo_project import Demo

pytestmark = pytest.mark.e2e
AGENT = """set -u
ask() { printf '%s' "$1" | sh -c "$ORCHESTRATE_GUARD_CLIENT" | grep -q '"permissionDecision": *"allow"' && echo yes || echo no; }
allowed=$(ask '{"tool_name":"Write","tool_input":{"file_path":"src/a.py"}}')
outside=$(ask '{"tool_name":"Write","tool_input":{"file_path":"src/b.py"}}')
git=$(ask '{"tool_name":"Bash","tool_input":{"command":"cd src && /usr/bin/git status"}}')
echo "ANSWERS = '$allowed $outside $git'" > src/a.py
printf '## Summary\\nx\\n## Files Changed\\n- src/a.py\\n## Verification\\nnone\\n## Risks / Edge Cases\\nnone\\n## Out-of-Scope Issues Found\\nnone\\n' > "$ORCHESTRATE_REPORT"
"""


@pytest.mark.parametrize(
    "level",
    [
        pytest.param(level, marks=[pytest.mark.skipif(bool(trouble(level)), reason=trouble(level)), *more])
        for level, more in (("bubblewrap", []), ("landlock", [pytest.mark.long]))
    ],
)
def test_an_agent_asks_and_is_answered(demo: Demo, level: str) -> None:
    policy = POLICY.replace(
        'kind = "scripted"\nscript = "script.yaml"', 'kind = "command"\ncommand = ["sh", "agent.sh"]'
    )
    plan = json.dumps({"request": "x", "tickets": [ticket("a", new="src/a.py", accept="import a")]})
    demo.commit(**{"orchestrate.toml": f'{policy}[sandbox]\nmode = "{level}"\n', "agent.sh": AGENT, "plan.json": plan})
    demo.feature("--plan", "plan.json", exits=0)
    assert demo.git("show", "main:src/a.py") == "ANSWERS = 'yes no no'"
    log = (demo.root / ".orchestrate" / "logs" / "T-0001" / "1" / "permission.jsonl").read_text().splitlines()
    answers = [json.loads(line) for line in log]
    assert len(answers) == 3
    assert "the harness owns every git operation" in answers[2]["reason"]
