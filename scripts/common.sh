# What every script shares: the project's root, timing and messages. Sourced, never run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
dependencies=$root/.deps
started=$(date +%s)

say() { printf '[%s] %s\n' "$(basename "$0")" "$*" >&2; }
die() { say "error: $*"; exit 1; }
# What stands beside a printed figure: when, of which commit, where and by what it was measured. Called with the script's arguments.
origin() {
  echo "date: $(date -u +%F)"
  echo "commit: $(git -C "$root" rev-parse --short=7 HEAD)$(git -C "$root" diff --quiet HEAD || echo ", modified")"
  echo "machine: $(nproc) cores, $(LC_ALL=C lscpu | sed -n 's/^Model name: *//p')"
  echo "command: $(realpath --relative-to="$root" "$0")${*:+ $*}"
}
elapsed() { echo "$(($(date +%s) - started)) s"; }
