"""What the tests of `scripts/pipeline` share: a config of seconds, the script as a function, and a finished pipeline to copy."""
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time

import libggml
import pytest
import training

sys.path.insert(0, str(training.DEMO.parents[1] / "scripts"))

needs_library = pytest.mark.skipif(libggml.path() is None, reason="xllamacpp is not installed")


def config(**changes):
    """Seconds of work on the shipped model; the output folder is relative, so that a finished one can be copied."""
    return {
        "output_dir": "out",
        "train": {
            "model_path": str(training.DEMO / "model"),
            "train_data": [str(training.DEMO / "train.jsonl")],
            "validation_data": "held-out.jsonl",
            "max_steps": 4,
            "batch_size": 2,
            "gradient_accumulation": 2,
            "max_sequence_length": 96,
            "learning_rate": 2e-2,
            "alpha_learning_rate": 1e-1,
            "checkpoint_every": 2,
            "validate_every": 2,
            "precision": "fp32",
            "device": "cpu",
        },
        "validate": {"tasks": ["loss"]},
        "export": [{"quantization": "f32", "self_test": "off"}],
        # One thread: llama.cpp's threads wait for each other in a loop, and the tests share their cores.
        "performance": {"context": 128, "prompt_tokens": 16, "new_tokens": 4, "repeats": 2, "perplexity_tokens": 150, "threads": 1},
        **changes,
    }


@pytest.fixture(scope="session")
def script(root):
    return root / "scripts" / "pipeline"


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory):
    """Without llama.cpp's programs in PATH."""
    return {**os.environ, "PATH": os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if "llama" not in folder)}


@pytest.fixture(scope="session")
def run(script, clean_environment):
    def run_in(folder, settings, **environment):
        (folder / "config.json").write_text(settings if isinstance(settings, str) else json.dumps(settings))
        return subprocess.run([sys.executable, script, "config.json"], cwd=folder, capture_output=True, text=True, timeout=300,
                              env={**clean_environment, **environment})

    return run_in


@pytest.fixture(scope="session")
def finished(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    training.first_lines(training.DEMO / "validation.jsonl", folder / "held-out.jsonl", 8)
    done = run(folder, config())
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def steps_of(folder):
    return json.loads((folder / "out" / "pipeline.json").read_text())["steps"]


def started(done):
    return re.findall(r"\[pipeline\] (.*): starts", done.stderr)


def page(folder):
    return (folder / "out" / "summary.md").read_text()


def wait_until(happened, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_lock(folder, seconds=60):
    """Until the child of a killed pipeline has saved."""
    deadline = time.monotonic() + seconds
    with open(folder / "out" / ".lock") as file:
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
