"""A run folder, adapter and config file of version 0.1.0 still resume, validate and export: tests/fixtures/run_0_1_0 is the demo
(tests/fixtures/run_0_1_0.train.json) that a signal stopped at step 60."""
import json
import shutil

import pytest
import training

FIXTURES = training.DEMO.parents[1] / "tests" / "fixtures"


@pytest.fixture
def older_run(tmp_path):
    return shutil.copytree(FIXTURES / "run_0_1_0", tmp_path / "run")


def test_an_older_run_resumes_under_its_config_file(nkat, root, older_run):
    before = training.lines(older_run)
    words = ["train", "--config", FIXTURES / "run_0_1_0.train.json", "--output-dir", older_run]
    done = nkat(*words, "--max-steps", 62, cwd=root)
    assert done.returncode == 0 and "step-000060" in done.stderr, done.stderr
    after = training.lines(older_run)
    assert after[:60] == before and [line["step"] for line in after[60:]] == [61, 62]
    # The loss goes on from where it was, not from a fresh adapter's (above 3).
    assert max(line["loss"] for line in after[55:]) < 1.5


def test_an_older_run_refuses_another_option(nkat, root, older_run):
    words = ["train", "--config", FIXTURES / "run_0_1_0.train.json", "--output-dir", older_run]
    done = nkat(*words, "--seed", 1, cwd=root)
    assert done.returncode == 2 and "seed was 0 and is now 1" in done.stderr


def test_an_older_run_is_validated(nkat, older_run, tmp_path):
    done = nkat("validate", "--checkpoint-dir", older_run, "--output-report", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["layers"]) == 6 and {row["step"] for row in report["geometry"]} == {0, 50, 60}


def test_an_older_adapter_is_exported_and_evaluated(nkat, older_run, tmp_path):
    model = ["--model-path", training.DEMO / "model", "--adapter", older_run / "adapter"]
    done = nkat("export", *model, "--output", tmp_path / "x.gguf", "--quantization", "f16", "--self-test", "tensors")
    assert done.returncode == 0 and (tmp_path / "x.gguf").exists(), done.stderr
    data = training.first_lines(training.DEMO / "validation.jsonl", tmp_path / "data.jsonl", 20)
    done = nkat("eval", *model, "--data", data or tmp_path / "data.jsonl", "--json", "--max-sequence-length", 160)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["loss"] < found["base"]["loss"] - 1
