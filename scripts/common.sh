# What every script shares: the project's root, timing and messages. Sourced, never run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
dependencies=$root/.deps
started=$(date +%s)

say() { printf '[%s] %s\n' "$(basename "$0")" "$*" >&2; }
die() { say "error: $*"; exit 1; }
elapsed() { echo "$(($(date +%s) - started)) s"; }
