# Sourced by scripts/quickstart and scripts/test: messages, a Python, and what can be installed on this machine.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

say() { printf '\n== %s\n' "$*" >&2; }

# Print the first interpreter that is 3.11 or newer and can make virtual environments. 3.11 goes first: the
# CPU builds of torch that some machines keep at hand are for it alone.
find_python() {
    local candidate
    for candidate in python3.11 python3 python3.12 python3.13 /usr/bin/python3; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# Print an interpreter; where only Debian's venv package is missing, install that first.
require_python() {
    find_python && return 0
    scripts/debian-packages python3 python3-venv >&2
    find_python && return 0
    echo "error: no Python 3.11 or newer that can make virtual environments was found" >&2
    echo "hint: install python3.11 and its venv module, then run this again" >&2
    return 3
}

has_gpu() { command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; }
