"""Hands that change a worktree: roles, briefs and drivers."""
