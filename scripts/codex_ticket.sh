#!/bin/sh
# Dispatches one ticket: scripts/codex_ticket.sh "<ticket prompt or file>"
[ $# -ge 1 ] || { echo 'usage: scripts/codex_ticket.sh "<ticket prompt or file>"' >&2; exit 2; }
what=$1
shift
if [ -f "$what" ]; then
    exec "$(dirname "$0")/orchestrate" feature --plan "$what" "$@"
fi
exec "$(dirname "$0")/orchestrate" feature "$what" "$@"
