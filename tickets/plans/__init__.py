"""The parts of a plan, and what can be said about it as a whole."""
