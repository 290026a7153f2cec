"""`scripts/pipeline`: what interrupts it, what it goes on with, and what it does anew."""
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
import training
from pipeline_steps import steps
from pipeline_steps.pipeline import Pipeline
from pipeline_steps.record import Record, digest_of
from pipelines import config, needs_library, page, started, steps_of, wait_for_lock, wait_until


def test_a_second_run_does_nothing(copied, run):
    before = (copied / "out" / "pipeline.json").read_bytes()
    done = run(copied, config())
    assert done.returncode == 0 and started(done) == []
    assert (copied / "out" / "pipeline.json").read_bytes() == before


@needs_library
def test_another_quantization_redoes_the_export_and_what_follows_and_a_kill_in_between_is_mended(copied, script, run, clean_environment):
    changed = config(export=[{"quantization": "q4_0", "self_test": "off"}])
    (copied / "config.json").write_text(json.dumps(changed))
    first = subprocess.Popen([sys.executable, script, "config.json"], cwd=copied, stderr=subprocess.PIPE, text=True, env=clean_environment)
    wait_until(lambda: steps_of(copied).get("export q4_0: base", {}).get("state") == "finished", first)
    first.kill()
    first.wait()
    wait_for_lock(copied)
    second = run(copied, changed)
    assert second.returncode == 0, second.stderr
    assert not any(name.startswith(("train", "validate", "export", "held-out", "loss: nkat")) for name in started(second))
    assert "speed" in started(second) and "loss: q4_0 adapter" in steps_of(copied) and "loss: f32 adapter" not in steps_of(copied)


def test_a_deleted_file_is_made_again(copied, run):
    (copied / "out" / "export" / "f32" / "adapter" / "adapter-f32.gguf").unlink()
    done = run(copied, config())
    assert done.returncode == 0 and started(done) == ["export f32: adapter"]


def test_training_goes_on_after_a_signal_and_after_a_kill(finished, tmp_path, script, run, clean_environment):
    shutil.copy(finished / "held-out.jsonl", tmp_path)
    settings = config()
    settings["train"] |= {"max_steps": 80, "checkpoint_every": 20, "validate_every": 80}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    metrics = tmp_path / "out" / "train" / "metrics.jsonl"

    def lines():
        return metrics.read_bytes().count(b"\n") if metrics.exists() else 0

    def start_until(count):
        process = subprocess.Popen([sys.executable, script, "config.json"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=clean_environment)
        wait_until(lambda: lines() >= count, process)
        return process

    process = start_until(4)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 75
    assert "scripts/pipeline config.json" in process.stderr.read()
    at_signal = lines()
    assert 4 <= at_signal < 80
    process = start_until(at_signal + 4)
    process.kill()
    process.wait()
    wait_for_lock(tmp_path)
    assert lines() < 80
    done = run(tmp_path, settings)
    assert done.returncode == 0, done.stderr
    assert [line["step"] for line in training.lines(tmp_path / "out" / "train")] == list(range(1, 81))
    assert not (tmp_path / "out" / "train-1").exists()


def test_a_folder_in_use_is_refused(tmp_path, run):
    training.first_lines(training.DEMO / "validation.jsonl", tmp_path / "held-out.jsonl", 8)
    (tmp_path / "out").mkdir()
    with open(tmp_path / "out" / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = run(tmp_path, config())
    assert done.returncode == 4 and "in use by another pipeline" in done.stderr


def test_other_training_options_begin_a_new_run_beside_the_old(copied, run):
    settings = config()
    settings["train"]["learning_rate"] = 1e-2
    done = run(copied, settings)
    assert done.returncode == 0, done.stderr
    assert "learning_rate changed; the old run is kept as out/train-1" in done.stderr
    assert json.loads((copied / "out" / "train-1" / "config.json").read_text())["learning_rate"] == 2e-2
    assert json.loads((copied / "out" / "train" / "config.json").read_text())["learning_rate"] == 1e-2


def test_a_damaged_record_is_refused(copied, run):
    (copied / "out" / "pipeline.json").write_text('{"version": 1, "steps": {"train": 5}}')
    done = run(copied, config())
    assert done.returncode == 3 and "pipeline.json" in done.stderr and "delete it" in done.stderr


def test_other_training_data_of_the_same_name_begins_a_new_run_and_all_that_follows(copied, run):
    data = training.first_lines(training.DEMO / "train.jsonl", copied / "train.jsonl", 60)
    settings = config()
    settings["train"] |= {"train_data": ["train.jsonl"], "max_steps": 2}
    assert run(copied, settings).returncode == 0
    before = steps_of(copied)
    data.write_bytes(b"".join(data.read_bytes().splitlines(keepends=True)[20:]))
    done = run(copied, settings)
    assert done.returncode == 0, done.stderr
    assert "train: train.jsonl changed; the old run is kept as out/train-2" in done.stderr
    after = steps_of(copied)
    assert after["train"]["inputs"]["files"]["train.jsonl"] in page(copied)
    for name in ("train", "export f32: adapter"):
        assert {one["sha256"] for one in before[name]["outputs"].values()}.isdisjoint(one["sha256"] for one in after[name]["outputs"].values())


@pytest.fixture
def begun(tmp_path, nkat_path):
    """A run of 12 steps, and what it was begun with; `inputs` are those of now."""
    model = shutil.copytree(training.DEMO / "model", tmp_path / "model")
    for name in ("train", "validation"):
        training.first_lines(training.DEMO / f"{name}.jsonl", tmp_path / f"{name}.jsonl", 5)
    run = tmp_path / "train"
    for step in (4, 8, 12):
        (run / "checkpoints" / f"step-{step:06}").mkdir(parents=True)
    (run / "config.json").write_text("{}")
    options = {"model_path": str(model), "train_data": [f"{tmp_path / 'train.jsonl'}:2"], "validation_data": str(tmp_path / "validation.jsonl"),
               "max_steps": 12}
    pipeline = SimpleNamespace(nkat=str(nkat_path))
    before = {"inputs": steps.inputs_of(pipeline, "train", options)}

    def set_aside(**changes):
        steps.set_aside_if_changed(pipeline, run, before, steps.inputs_of(pipeline, "train", options | changes))
        return not run.exists() and (tmp_path / "train-1").exists()

    return SimpleNamespace(folder=tmp_path, set_aside=set_aside)


@pytest.mark.parametrize(
    "file, aside", [("train.jsonl", True), ("model/model.safetensors", True), ("model/config.json", True), ("validation.jsonl", False)]
)
def test_a_run_is_set_aside_for_a_file_that_it_depends_on(begun, file, aside):
    assert not begun.set_aside()
    with (begun.folder / file).open("ab") as stream:
        stream.write(b"\n")
    assert begun.set_aside() == aside


@pytest.mark.parametrize("steps, aside", [(11, True), (12, False), (13, False)])
def test_a_run_beyond_max_steps_is_set_aside(begun, steps, aside, capsys):
    assert begun.set_aside(max_steps=steps) == aside
    assert ("12 steps are done, max_steps is 11" in capsys.readouterr().err) == aside


def test_a_kill_before_the_old_run_is_set_aside_leaves_the_record_as_it_was(tmp_path):
    record = Record(tmp_path)
    record.steps["train"] = {"state": "finished", "digest": digest_of({"data": "old", "program": "1"}), "inputs": {"data": "old"}, "outputs": {}}
    pipeline = Pipeline(None, SimpleNamespace(stop_if_asked=lambda: None), record, "nkat", "1")
    seen = []

    def killed(before):
        seen.append(before["inputs"]["data"])
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pipeline.step("train", {"data": "new"}, lambda: None, killed)
    assert seen == ["old", "old"]


SLOW_NKAT = """#!/bin/sh
case "$*" in *"--help --json") touch asked; exec sleep 60;; esac
"""
SLOW_NUMPY = "import pathlib, time\npathlib.Path('asked').touch()\ntime.sleep(60)\n"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["numpy/__init__.py", "nkat"])
def test_a_signal_before_the_first_step_ends_in_75_without_a_traceback(tmp_path, script, clean_environment, where, kind):
    """While modules are loaded, and while the config is read."""
    path = tmp_path / where
    path.parent.mkdir(exist_ok=True)
    path.write_text(SLOW_NKAT if where == "nkat" else SLOW_NUMPY)
    path.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps(config()))
    environment = {**clean_environment, **({"NKAT": str(path)} if where == "nkat" else {"PYTHONPATH": str(tmp_path)})}
    process = subprocess.Popen([sys.executable, script, "config.json"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment,
                               start_new_session=True)
    wait_until((tmp_path / "asked").exists, process)
    os.killpg(process.pid, kind)  # as a terminal's Ctrl-C does
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 75 and "Traceback" not in said and "stopped before the first step" in said
