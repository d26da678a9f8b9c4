"""Questions with a verdict: each gate holds its rule text, its live permission and its verification in one module."""
