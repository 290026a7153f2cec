#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""Measures a GGUF file in llama.cpp (PyPI's xllamacpp): tokens a second, or the loss on given tokens. Prints JSON.

  cost     seconds for the demo's files; a pass over the samples, or one prompt and one answer, for others
  command  scripts/measure/llama_file.py speed FILE.gguf --context 4096 --prompt-tokens 512 --new-tokens 128
  command  scripts/measure/llama_file.py loss FILE.gguf --context 4096 --samples SAMPLES.jsonl

speed: llama.cpp's defaults (F16 cache, batches of 2048) but for threads and context. As in llama-bench the prompt is random
tokens, the answer begins in an empty cache, one token a step, and each comes after a run that isn't counted.
loss: mean -ln p of the targets of SAMPLES (`nkat data samples FILE --model-path DIR`), each sample in a context of its own; F32
cache, no flash attention. Not the file's weights alone decide: llama.cpp rounds activations to 8 bits where it multiplies them
by quantized weights, which moves the shipped model's loss by up to 2e-3 nats. Context: the short rope factors apply as long as
it is no longer than the model's original one.
"""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from pipeline_steps import llama_library  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "loss"])
    parser.add_argument("file")
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=llama_library.available_cores())
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--samples", help="JSON lines with tokens and targets")
    options = parser.parse_args()
    if options.what == "loss" and not options.samples:
        parser.error("loss: --samples FILE is missing")
    if options.what == "speed" and max(options.prompt_tokens, options.new_tokens) > options.context:
        parser.error("--prompt-tokens and --new-tokens must fit into --context")
    json.dump(getattr(llama_library, options.what)(options), sys.stdout)
    print()


main()
