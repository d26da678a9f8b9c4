"""The merge train: which changes are judged on which predicted head, and when the target moves."""
