#!/bin/sh
# Runs the gates on the current tree. Arguments go to `orchestrate gate` (--base REV, --ticket T, --json).
exec "$(dirname "$0")/orchestrate" gate "$@"
