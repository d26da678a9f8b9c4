from __future__ import annotations

import pytest

from orchestrator.readiness import out_of_reach
from tickets.policy import read_policy


def said(agent: str, sandbox: str) -> str:
    policy = read_policy(f"version = 1\n[sandbox]\n{sandbox}\n[agents.coder]\n{agent}\n")
    return out_of_reach(policy, policy.agent("coder"))


@pytest.mark.parametrize(
    ("agent", "sandbox"),
    [
        ('kind = "claude"', 'network = ["api.anthropic.com"]'),
        ('kind = "claude"', 'network = ["*.anthropic.com"]'),
        ('kind = "codex"', 'network = ["*"]'),
        ('kind = "codex"', 'mode = "none"'),
        ('kind = "claude"\nbase_url = "http://127.0.0.1:8080"', 'network = ["127.0.0.1:8080"]'),
        ('kind = "claude"\nbase_url = "https://models.example.org:8443/x"', 'network = ["models.example.org:8443"]'),
        ('kind = "claude"\nenv = ["CLAUDE_CODE_USE_BEDROCK"]', ""),
        ('kind = "openai"\nbase_url = "http://models.example.org/v1"\nmodel = "m"', ""),  # called from outside
        ('kind = "command"\ncommand = ["x"]', ""),
    ],
)
def test_an_agent_whose_model_is_within_reach_is_told_nothing(agent: str, sandbox: str) -> None:
    assert said(agent, sandbox) == ""


@pytest.mark.parametrize(
    ("agent", "sandbox", "wanted"),
    [
        ('kind = "claude"', "", "api.anthropic.com"),
        ('kind = "codex"', 'network = ["api.anthropic.com"]', "api.openai.com"),
        ('kind = "claude"\nbase_url = "http://127.0.0.1:8080"', 'network = ["127.0.0.1"]', "127.0.0.1:8080"),
        ('kind = "claude"\nbase_url = "http://localhost:8080"', 'network = ["127.0.0.1:8081"]', "localhost:8080"),
        (
            'kind = "codex"\nbase_url = "http://models.example.org"',
            'network = ["models.example.org"]',
            "models.example.org:80",
        ),
    ],
)
def test_an_agent_that_the_sandbox_keeps_from_its_model_is_told_what_to_write(
    agent: str, sandbox: str, wanted: str
) -> None:
    assert f'add "{wanted}" to network under [sandbox]' in said(agent, sandbox)
