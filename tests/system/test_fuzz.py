"""A short run of scripts/fuzz: the fuzzers build, start from their seeds and find nothing.

NKAT_FUZZ_SECONDS=600 fuzzes each reader so long.
"""
import os
import re
import subprocess

import pytest

SECONDS = int(os.environ.get("NKAT_FUZZ_SECONDS", "5"))
TARGETS = ["gguf", "safetensors", "json", "tokenizer", "records", "tokenizer_json", "vocabulary"]


def test_nothing_is_found_that_breaks_a_reader(root):
    done = subprocess.run([root / "scripts" / "fuzz", str(SECONDS)], capture_output=True, text=True, timeout=600 + 4 * SECONDS)
    if "skipped" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    print(f"\n{done.stderr}")
    for target in TARGETS:
        count = re.search(rf"{target}: (\d+) inputs", done.stderr)
        assert count and int(count[1]) > 1000, done.stderr


def test_a_missing_runtime_is_a_skip_and_no_failure(root):
    done = subprocess.run([root / "scripts" / "fuzz", "1"], env={**os.environ, "CLANG": "false"}, capture_output=True, text=True)
    assert done.returncode == 0 and "skipped" in done.stderr
