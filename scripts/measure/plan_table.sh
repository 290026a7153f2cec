#!/usr/bin/env bash
# Prints the README's table of plans below date, commit, machine and command: memory and hours of Phi-3.5-mini at several sequence lengths.
#   cost     a few seconds
#   command  scripts/measure/plan_table.sh PHI-3.5-FOLDER      (only its config.json is read)
source "$(dirname "$0")/../common.sh"

[ $# -eq 1 ] || die "usage: scripts/measure/plan_table.sh PHI-3.5-FOLDER"
origin "$@"
echo
for length in 256 512 1024 4096; do
  "$root/build/nkat" plan --json --model-path "$1" --max-sequence-length "$length" || true
done | "$venv/bin/python" -c '
import json, sys
GIB = 2**30
text, decoder = sys.stdin.read(), json.JSONDecoder()
print("| tokens | weights | activations | total of 11.5 GiB | layers recomputed | hours on an RTX 3060 |")
print("|---|---|---|---|---|---|")
for length in (256, 512, 1024, 4096):
    plan, end = decoder.raw_decode(text.lstrip())
    text = text.lstrip()[end:]
    weights, kept, total = (plan[key] / GIB for key in ("weights_bytes", "activations_bytes", "total_bytes"))
    recomputed, hours = plan["recomputed_layers"], plan["hours"]
    print(f"| {length} | {weights:.2f} GiB | {kept:.2f} GiB | {total:.2f} GiB | {recomputed} of 32 | {hours:.1f} |")
'
