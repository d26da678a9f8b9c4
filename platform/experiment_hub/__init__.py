"""Experiment hub: trains registered models and records every run before it starts."""
