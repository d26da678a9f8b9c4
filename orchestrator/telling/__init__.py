"""What others hear of a run: progress as JSON lines, hooks, webhooks, notifications."""
