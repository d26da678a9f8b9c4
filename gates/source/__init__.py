"""Reading source code: what a change added to it, how large and how nested it is, what it names and imports."""
