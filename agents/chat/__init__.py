"""Our own agent: a loop around any endpoint that speaks OpenAI's Chat Completions."""
