# Sourced by the other scripts: builds .venv on first use and says what it does. Quick when there is nothing to do.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
venv=$root/.venv
stamp=$venv/.signalbox
wanted="$root/pyproject.toml $root/constraints.txt"

fresh() {
    [ -f "$stamp" ] || return 1
    for file in $wanted; do [ "$file" -nt "$stamp" ] && return 1; done
    [ "$(cat "$stamp")" = "$root" ]
}

find_python() {
    for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3; do
        if command -v "$name" >/dev/null 2>&1 && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return 0
        fi
    done
    echo "Python 3.11 or newer is needed; set PYTHON to its path" >&2
    return 2
}

build() {
    command -v git >/dev/null 2>&1 || { echo "git is needed" >&2; exit 2; }
    python=$(find_python) || exit 2
    {
        echo "First use: building .venv with $("$python" --version) (once; about two minutes)."
        echo "It downloads about 60 MB of tools and PyTorch 2.13.0: about 200 MB as a CPU build, several GB with CUDA."
        echo "For the CPU build where PyTorch's own index is reachable: set SIGNALBOX_TORCH_INDEX to the CPU index"
        echo "that pytorch.org names under 'Get started', and run this again."
    } >&2
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    before=$(du -sk "$venv" | cut -f1)
    "$venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check \
        ${SIGNALBOX_TORCH_INDEX:+--extra-index-url "$SIGNALBOX_TORCH_INDEX"} \
        --constraint constraints.txt --editable ".[hub,dev]" >&2
    after=$(du -sk "$venv" | cut -f1)
    echo "$root" > "$stamp"
    echo "Done: $(( (after - before) / 1024 )) MB were installed into .venv." >&2
}

# two first uses at once would write into each other's environment: the second one waits for the first
if ! fresh; then
    tries=0
    until mkdir "$root/.venv.lock" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -gt 1200 ] && { echo "another first use never ended; remove $root/.venv.lock" >&2; exit 4; }
        sleep 0.5
    done
    trap 'rmdir "$root/.venv.lock" 2>/dev/null || true' EXIT
    trap 'exit 130' INT TERM
    fresh || build
    rmdir "$root/.venv.lock"
    trap - EXIT INT TERM
fi
