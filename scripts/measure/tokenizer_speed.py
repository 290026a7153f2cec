#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""Tokens a second of `nkat data tokenize` beside `tokenizers.encode_batch`, both on one thread, for every kind of tokenizer.

The text is English (Python's and the installed packages' documentation), code (their sources), JSON (`nkat data make`) and
Japanese (`nkat data make`), a quarter each: once as lines, once as one text of 5 MB. The vocabularies are trained on a part of
it with the normalizers and pre-tokenizers of real models. The program's time holds its start, reading its tokenizer and
its lines, and printing the ids; the library's holds encode_batch alone. The ids are compared.
  cost     about 10 minutes and 3 GB of memory for 50 MB
  command  scripts/measure/tokenizer_speed.py [--megabytes 50] [--pieces 16000] [--kinds gpt2 llama3 ...]
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
ROOT = pathlib.Path(__file__).resolve().parents[2]
NKAT = os.environ.get("NKAT", ROOT / "build" / "nkat")
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


def median_seconds(run, rounds):
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - begin)
    return sorted(times)[len(times) // 2], result


def measure(kind, pieces, texts, rounds):
    tokenizer = tokenizer_kinds.train(kind, pieces, texts["lines"][::50])
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(f"{folder}/tokenizer.json")
        command = [NKAT, "data", "tokenize", "--model-path", folder, "--lines"]
        for name, batch in texts.items():
            given = "".join(json.dumps(text) + "\n" for text in batch)
            ours, done = median_seconds(lambda given=given: subprocess.run(command, input=given, capture_output=True, text=True, check=True), rounds)
            theirs, wanted = median_seconds(lambda batch=batch: tokenizer.encode_batch(batch, add_special_tokens=False), rounds)
            same = [json.loads(line) for line in done.stdout.splitlines()] == [one.ids for one in wanted]
            size = sum(len(text.encode()) for text in batch) / 1e6
            speeds = f"{size / ours:.1f} | {size / theirs:.1f} | {theirs / ours:.2f}"
            print(f"| {kind} | {name} | {speeds} | {'equal' if same else 'DIFFERENT'} |", flush=True)


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
    print("| kind | text | nkat MB/s | tokenizers MB/s | ratio | ids |\n|---|---|---|---|---|---|")
    for kind in options.kinds:
        measure(kind, options.pieces, texts, options.rounds)


if __name__ == "__main__":
    main()
