#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""Writes a model of Phi-3.5-mini's exact size with random weights, to try loading, memory and speed without the real one.

  cost     7.7 GB of disk, about a minute
  command  scripts/measure/make_random_model.py --tokenizer-from FOLDER --output FOLDER

FOLDER of the tokenizer: any Phi-3.5 folder (config.json and tokenizer files are taken from it, weights are not needed).
"""

import argparse
import json
import pathlib
import shutil

from bench_parts.random_model import write_weights

COPIED = ("config.json", "generation_config.json", "tokenizer.model", "tokenizer.json", "tokenizer_config.json",
          "special_tokens_map.json", "added_tokens.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer-from", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        if (options.tokenizer_from / name).exists():
            shutil.copyfile(options.tokenizer_from / name, options.output / name)
    config = json.loads((options.output / "config.json").read_text())
    write_weights(options.output, config, tell=lambda line: print(line, flush=True))


main()
