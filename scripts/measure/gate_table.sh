#!/usr/bin/env bash
# Measures how often the gate analysis errs: prints date, commit, machine, command and the table of planted forces as Markdown, with the
# shares of runs that are called, where tau is placed and how often its interval holds it, and what fitting a logistic would have said.
#   cost     about 5 minutes on 2 cores; SHARE 0.1 makes a tenth of the runs in a tenth of the time
#   command  scripts/measure/gate_table.sh [SHARE]
source "$(dirname "$0")/../common.sh"

program=$root/build/tests/validation/nkat_gate_simulation
[ -x "$program" ] || die "$program is missing; run scripts/build first"
origin "$@"
echo
"$program" "$@"
say "done in $(elapsed)"
