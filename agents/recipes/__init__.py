"""The embedded agent's knowledge: one module for each recipe."""
