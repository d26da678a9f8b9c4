"""What the commands of `hub` do; their options are in `cli`."""
