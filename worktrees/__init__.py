"""The only package that touches git: checkouts, environments, change sets, simulated merges, and the door to processes.

This folder is code. Live checkouts stand in a sibling folder of the repository, `<repository>-wt/`.
"""
