"""Claude Code over its stdio control protocol."""
