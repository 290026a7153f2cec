#!/usr/bin/env bash
# Loads a model of Phi-3.5-mini's full size (random weights) and trains two micro-batches of 64 tokens on the CPU: load
# time, memory, loss and gates' forces.
#   cost     20 GiB of memory, 8 GB of disk, about 5 minutes on 2 cores
#   command  scripts/measure/full_size.sh TOKENIZER-FOLDER WORK-FOLDER     (a Phi-3.5 folder for config and tokenizer; see make_random_model)
source "$(dirname "$0")/../common.sh"

[ $# -eq 2 ] || die "usage: scripts/measure/full_size.sh TOKENIZER-FOLDER WORK-FOLDER"
work=$2
mkdir -p "$work"
[ -s "$work/model/model.safetensors.index.json" ] ||
  "$root/scripts/measure/make_random_model.py" --tokenizer-from "$1" --output "$work/model" >&2

for i in 1 2 3 4; do
  printf '{"text": "Sample %s. %s"}\n' "$i" "$(printf 'The rotation turns eight channels at a time. %.0s' $(seq 20))"
done >"$work/text.jsonl"
rm -rf "$work/run"
say "training one step of 2 x 64 tokens"
TIMEFORMAT='whole process: %R s'
time "$root/build/nkat" train --model-path "$work/model" --train-data "$work/text.jsonl" \
  --output-dir "$work/run" --max-steps 1 --gradient-accumulation 2 --max-sequence-length 64 --warmup-steps 0 --device cpu
origin "$@"
cut -c1-400 "$work/run/metrics.jsonl"
