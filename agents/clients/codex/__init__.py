"""Codex over its application server, and by `exec`."""
