#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""Tokens a second of `nkat data tokenize` beside `tokenizers.encode_batch`, both on one thread, for every kind of tokenizer.

The text is English (Python's and the installed packages' documentation), code (their sources), JSON (`nkat data make`) and
Japanese (`nkat data make`), a quarter each: once as lines, once as one text of 5 MB. The vocabularies are trained on a part of
it with the normalizers and pre-tokenizers of real models. The program's time holds its start, reading its tokenizer and
its lines, and printing the ids; the library's holds encode_batch alone. They take turns; a ratio is the median of the turns'
ratios, with its range. The ids are compared. Prints the table of data/MEASURED.md below its origin.
  cost     about 15 minutes and 3 GB of memory for 50 MB
  command  scripts/measure/tokenizer_speed.py [--megabytes 50] [--pieces 16000] [--kinds gpt2 llama3 ...] [--rounds 3]
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from bench_parts import measure
from bench_parts.measure import NKAT, ROOT

os.environ["RAYON_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(ROOT / "tests" / "system"))

import tokenizer_kinds  # noqa: E402

KINDS = ["gpt2", "llama3", "smollm", "qwen2", "phi4", "gpt4o", "deepseek", "llama-legacy", "llama-first"]
LONG_TEXT = 5_000_000


def package_lines(suffixes, limit):
    lines, size = [], 0
    for path in sorted((ROOT / ".venv").glob("lib/python*/site-packages/**/*")):
        if path.suffix not in suffixes or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for line in text.split("\n"):
            lines.append(line)
            size += len(line.encode()) + 1
        if size > limit:
            break
    return lines


def made_records(language, limit):
    lines, size, seed = [], 0, 0
    while size < limit:
        seed += 1
        done = subprocess.run([NKAT, "data", "make", "--task", "both", "--language", language, "--count", "5000",
                               "--seed", str(seed)], capture_output=True, text=True, check=True)
        lines += done.stdout.splitlines()
        size += len(done.stdout.encode())
    return lines


def make_texts(megabytes):
    share = megabytes * 1_000_000 // 4
    japanese = [turn["content"] for line in made_records("ja", share * 2) for turn in json.loads(line)["messages"]]
    parts = [package_lines({".md", ".rst", ".txt"}, share), package_lines({".py", ".h", ".cpp"}, share), made_records("en", share), japanese]
    lines = []
    for part in parts:
        size = 0
        for line in part:
            size += len(line.encode())
            if size > share:
                break
            if line:
                lines.append(line)
    return lines


def seconds_of(run):
    begin = time.perf_counter()
    result = run()
    return time.perf_counter() - begin, result


def compare(tokenizer, folder, texts, rounds):
    """Seconds of nkat's and the library's turns, and whether the ids are equal."""
    command = [NKAT, "data", "tokenize", "--model-path", folder, "--lines"]
    given = "".join(json.dumps(text) + "\n" for text in texts)
    ours, theirs = [], []
    for _ in range(rounds):
        wanted = None  # frees the last turn's, which is most of the memory
        seconds, done = seconds_of(lambda: subprocess.run(command, input=given, capture_output=True, text=True, check=True))
        ours.append(seconds)
        seconds, wanted = seconds_of(lambda: tokenizer.encode_batch(texts, add_special_tokens=False))
        theirs.append(seconds)
    lines = done.stdout.splitlines()
    return ours, theirs, len(lines) == len(wanted) and all(json.loads(line) == one.ids for line, one in zip(lines, wanted))


def row(kind, name, texts, turns):
    ours, theirs, same = turns
    size = sum(len(text.encode()) for text in texts) / 1e6
    speeds = [f"{size / statistics.median(seconds):.1f}" for seconds in (ours, theirs)]
    return " | ".join(["", kind, name, *speeds, measure.shown(measure.ratios(theirs, ours)), "equal" if same else "DIFFERENT", ""]).strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--pieces", type=int, default=16000)
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    lines = make_texts(options.megabytes)
    joined = "\n".join(lines[i] for i in range(0, len(lines), max(1, options.megabytes // 5)))
    texts = {"lines": lines, "one text": [joined.encode()[:LONG_TEXT].decode(errors="ignore")]}
    print(measure.origin())
    print("| kind | text | nkat MB/s | tokenizers MB/s | ratio | ids |\n|---|---|---|---|---|---|", flush=True)
    for kind in options.kinds:
        tokenizer = tokenizer_kinds.train(kind, options.pieces, lines[::50])
        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save(f"{folder}/tokenizer.json")
            for name, batch in texts.items():
                print(row(kind, name, batch, compare(tokenizer, folder, batch, options.rounds)), flush=True)


if __name__ == "__main__":
    main()
