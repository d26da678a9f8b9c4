"""The flow, the command line and the merge train: the only package that knows the others."""
