"""A run that is stopped in any way and started again ends as if nothing had happened; what can't go on says why."""
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time

import pytest
import training

KILLS = int(os.environ.get("NKAT_KILLS", "6"))


@pytest.fixture(scope="module")
def validation_file(tmp_path_factory):
    return training.first_lines(training.DEMO / "validation.jsonl", tmp_path_factory.mktemp("data") / "validation.jsonl", 30)


@pytest.fixture(scope="module")
def undisturbed(nkat, tmp_path_factory, validation_file):
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    done = nkat("train", *training.options(run, validation_data=validation_file))
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture
def start(nkat_path, tmp_path, validation_file):
    """Starts the same run in tmp_path/run without waiting for it."""
    running = []

    def start_run(**changes):
        words = training.options(tmp_path / "run", validation_data=validation_file, **changes)
        running.append(subprocess.Popen([str(nkat_path), "train", *words], stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield start_run
    for process in running:
        process.kill()
        process.wait()


def wait_for_lines(run, count, process, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        metrics = run / "metrics.jsonl"
        if metrics.exists() and metrics.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.01)
    assert process.poll() is None, process.stderr.read()


def finish(nkat, tmp_path, validation_file, **changes):
    done = nkat("train", *training.options(tmp_path / "run", validation_data=validation_file, **changes))
    assert done.returncode == 0, done.stderr
    return done


def test_a_run_can_be_repeated_bit_for_bit(nkat, tmp_path, validation_file, undisturbed):
    finish(nkat, tmp_path, validation_file)
    training.assert_same_run(tmp_path / "run", undisturbed)


def test_kills_at_random_moments_change_nothing(nkat, tmp_path, validation_file, undisturbed, start):
    chance = random.Random(1)
    killed = 0
    while killed < KILLS:
        process = start()
        time.sleep(chance.uniform(0.2, 3.0))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        if process.returncode == 0:  # it came to its end: once more from the beginning
            shutil.rmtree(tmp_path / "run")
    finish(nkat, tmp_path, validation_file)
    training.assert_same_run(tmp_path / "run", undisturbed)


def test_a_run_on_two_threads_is_killed_and_goes_on_bit_for_bit(nkat, tmp_path, validation_file, start, monkeypatch):
    # Tests that share the cores run on one thread each; who trains has several.
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    undisturbed = tmp_path / "undisturbed"
    done = nkat("train", *training.options(undisturbed, validation_data=validation_file))
    assert done.returncode == 0, done.stderr
    for lines in (2, 6):
        process = start()
        wait_for_lines(tmp_path / "run", lines, process)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    finish(nkat, tmp_path, validation_file)
    training.assert_same_run(tmp_path / "run", undisturbed)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_exits_75_and_the_run_goes_on(nkat, tmp_path, validation_file, undisturbed, start, kind):
    process = start()
    wait_for_lines(tmp_path / "run", 6, process)
    process.send_signal(kind)
    sent = time.monotonic()
    assert process.wait(30) == 75, process.stderr.read()
    assert time.monotonic() - sent < 10
    stopped_at = len(training.lines(tmp_path / "run"))
    assert (tmp_path / "run" / "checkpoints" / f"step-{stopped_at:06}" / "manifest.json").exists()
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["stopped"] == "signal"
    finish(nkat, tmp_path, validation_file)
    training.assert_same_run(tmp_path / "run", undisturbed)


def test_a_signal_in_every_step_changes_nothing(nkat, tmp_path, validation_file, undisturbed, start):
    for _ in range(40):
        process = start()
        have = len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) if (tmp_path / "run" / "metrics.jsonl").exists() else 0
        wait_for_lines(tmp_path / "run", min(have + 2, 12), process) if process.poll() is None else None
        process.send_signal(signal.SIGINT)
        if process.wait(30) == 0:
            break
        assert process.returncode == 75, process.stderr.read()
    training.assert_same_run(tmp_path / "run", undisturbed)


def newest(run):
    return sorted((run / "checkpoints").glob("step-*"))[-1]


@pytest.mark.parametrize("damage", ["flip", "cut", "no manifest", "empty folder"])
def test_a_damaged_newest_checkpoint_is_named_and_passed_over(nkat, tmp_path, validation_file, undisturbed, damage):
    finish(nkat, tmp_path, validation_file, max_steps=9)
    victim = newest(tmp_path / "run")
    state = victim / "trainer_state.safetensors"
    if damage == "flip":
        content = bytearray(state.read_bytes())
        content[len(content) // 2] ^= 1
        state.write_bytes(content)
    elif damage == "cut":
        state.write_bytes(state.read_bytes()[:-5])
    elif damage == "no manifest":
        (victim / "manifest.json").unlink()
    else:
        for file in victim.iterdir():
            file.unlink()
    done = finish(nkat, tmp_path, validation_file)
    assert "passing over a damaged checkpoint" in done.stderr and victim.name in done.stderr
    assert [line["step"] for line in training.lines(tmp_path / "run")] == list(range(1, 13))


def test_what_a_killed_save_leaves_behind_is_cleared(nkat, tmp_path, validation_file, undisturbed):
    finish(nkat, tmp_path, validation_file, max_steps=5)
    left = tmp_path / "run" / "checkpoints" / "step-000008.nkat-tmp-1234-0"
    left.mkdir()
    (left / "adapter_model.safetensors").write_bytes(b"half")
    finish(nkat, tmp_path, validation_file)
    assert not left.exists()


def test_a_second_process_on_the_folder_is_refused(nkat, tmp_path, validation_file, start):
    process = start(max_steps=500)
    wait_for_lines(tmp_path / "run", 1, process)
    second = nkat("train", *training.options(tmp_path / "run", validation_data=validation_file, max_steps=500))
    assert second.returncode == 4
    assert f"process {process.pid}" in second.stderr and "in use" in second.stderr


def test_a_finished_run_says_so_and_a_larger_max_steps_goes_on(nkat, tmp_path, validation_file):
    finish(nkat, tmp_path, validation_file, max_steps=3)
    again = finish(nkat, tmp_path, validation_file, max_steps=3)
    assert "finished" in again.stderr
    longer = finish(nkat, tmp_path, validation_file, max_steps=5)
    assert "max_steps was 3 and is now 5" in longer.stderr
    assert len(training.lines(tmp_path / "run")) == 5


def test_changed_options_data_and_model_are_refused(nkat, tmp_path, validation_file):
    data = training.first_lines(training.DEMO / "train.jsonl", tmp_path / "train.jsonl", 60)
    model = shutil.copytree(training.DEMO / "model", tmp_path / "model")
    given = dict(train_data=data, model_path=model, max_steps=4)
    finish(nkat, tmp_path, validation_file, **given)

    def again(**changes):
        return nkat("train", *training.options(tmp_path / "run", validation_data=validation_file, **{**given, "max_steps": 8, **changes}))

    other_rate = again(learning_rate=1e-3)
    assert other_rate.returncode == 2 and "learning_rate was 0.02 and is now 0.001" in other_rate.stderr
    assert again(resume="never").returncode == 2
    training.first_lines(training.DEMO / "train.jsonl", data, 61)
    other_data = again()
    assert other_data.returncode == 3 and "other training data" in other_data.stderr
    training.first_lines(training.DEMO / "train.jsonl", data, 60)
    weights = next(model.glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    other_model = again()
    assert other_model.returncode == 3 and "other base model" in other_model.stderr


def test_keeps_the_newest_checkpoints_and_step_zero(nkat, tmp_path, validation_file):
    finish(nkat, tmp_path, validation_file, checkpoint_every=2, keep_checkpoints=2)
    assert [path.name for path in sorted((tmp_path / "run" / "checkpoints").iterdir())] == ["step-000000", "step-000010", "step-000012"]


def small_files_only():
    # Stands in for a full disk: writes beyond this size fail like ENOSPC does, in the middle of a file.
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))


def test_a_full_disk_loses_nothing(nkat, tmp_path, validation_file, undisturbed):
    finish(nkat, tmp_path, validation_file, max_steps=6)
    full = nkat("train", *training.options(tmp_path / "run", validation_data=validation_file), preexec_fn=small_files_only)
    assert full.returncode == 4, full.stderr
    assert "writing failed" in full.stderr and "internal" not in full.stderr
    finish(nkat, tmp_path, validation_file)
    assert [line["step"] for line in training.lines(tmp_path / "run")] == list(range(1, 13))


def test_a_full_file_system_loses_nothing(nkat, small_disk, validation_file):
    words = training.options(small_disk / "run", validation_data=validation_file, checkpoint_every=1)
    full = nkat("train", *words)
    assert full.returncode == 4, full.stderr
    assert "free" in full.stderr
    checkpoints = list((small_disk / "run" / "checkpoints").glob("step-*"))
    assert all((path / "manifest.json").exists() for path in checkpoints if ".nkat-tmp-" not in path.name)


def test_a_folder_that_is_no_run_is_left_alone(nkat, tmp_path):
    model = shutil.copytree(training.DEMO / "model", tmp_path / "model")
    before = (model / "config.json").read_bytes()
    done = nkat("train", *training.options(model, model_path=model, max_steps=1))
    assert done.returncode == 2 and "not written by a run" in done.stderr
    assert (model / "config.json").read_bytes() == before


def test_a_run_that_lost_a_file_is_refused_and_not_mixed_with_a_new_one(nkat, tmp_path, validation_file):
    finish(nkat, tmp_path, validation_file, max_steps=3)
    run = tmp_path / "run"
    content = {name: (run / name).read_bytes() for name in ("config.json", "metrics.jsonl")}

    def again(**changes):
        return nkat("train", *training.options(run, validation_data=validation_file, **{"max_steps": 6, **changes}))

    (run / "config.json").unlink()
    done = again(resume="never", seed=5)
    assert done.returncode == 3 and "no config.json" in done.stderr
    (run / "config.json").write_text("{}")
    assert again(seed=5).returncode == 2
    saved = json.loads(content["config.json"])
    del saved["learning_rate"]
    (run / "config.json").write_text(json.dumps(saved))
    done = again(learning_rate=1)
    assert done.returncode == 3 and "'learning_rate' is missing" in done.stderr
    (run / "config.json").write_bytes(content["config.json"])
    (run / "metrics.jsonl").unlink()
    done = again()
    assert done.returncode == 3 and "restore it or use another --output-dir" in done.stderr
    lines = [json.loads(line) for line in content["metrics.jsonl"].splitlines()]
    lines[1]["alpha"] = [0.0] * 100000
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = again()
    assert done.returncode == 3 and "metrics.jsonl:2" in done.stderr
    (run / "metrics.jsonl").write_bytes(content["metrics.jsonl"])
    assert again().returncode == 0


def test_a_start_that_failed_before_its_first_checkpoint_binds_nobody(nkat, tmp_path, validation_file):
    model = shutil.copytree(training.DEMO / "model", tmp_path / "model")
    weights = next(model.glob("*.safetensors"))
    good = weights.read_bytes()
    weights.write_bytes(good[:-2] + b"\xff\x7f")  # BF16 NaN
    words = dict(model_path=model, validation_data=validation_file, max_steps=1)
    assert nkat("train", *training.options(tmp_path / "run", **words)).returncode == 3
    weights.write_bytes(good)
    done = nkat("train", *training.options(tmp_path / "run", **words, batch_size=4))
    assert done.returncode == 0, done.stderr


def test_what_is_after_the_checkpoint_resumed_from_is_set_aside(nkat, tmp_path, validation_file):
    finish(nkat, tmp_path, validation_file, max_steps=8)
    (newest(tmp_path / "run") / "manifest.json").write_text('{"files": {"trainer_state.json": {"size": "1"}}}')
    done = finish(nkat, tmp_path, validation_file, max_steps=10, checkpoint_every=2, keep_checkpoints=1)
    assert "damaged-step-000008" in done.stderr
    assert newest(tmp_path / "run").name == "step-000010"


def test_losses_on_other_validation_data_start_a_count_of_their_own(nkat, tmp_path, validation_file):
    finish(nkat, tmp_path, validation_file, max_steps=6)
    before = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert before["best_step"] in (5, 6)
    harder = tmp_path / "harder.jsonl"
    harder.write_text("".join(json.dumps({"text": f"zq{i} xk{7 * i} vvq jjx{i * i}"}) + "\n" for i in range(20)))
    changed = finish(nkat, tmp_path, harder, max_steps=9)
    assert "validation data has changed" in changed.stderr and "after step 6" in changed.stderr
    after = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert after["validation_loss_best"] > before["validation_loss_best"]
    assert after["best_step"] == 9 and after["validation_loss_first"] == after["validation_loss_best"]
    newest_files, best = tmp_path / "run" / "adapter", tmp_path / "run" / "adapter-best"
    assert (best / "adapter_model.safetensors").read_bytes() == (newest_files / "adapter_model.safetensors").read_bytes()
    again = finish(nkat, tmp_path, harder, max_steps=12)
    assert "validation data has changed" not in again.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text())["validation"]["since_step"] == 6


def test_a_max_steps_below_the_checkpoint_is_named(nkat, tmp_path, validation_file):
    finish(nkat, tmp_path, validation_file, max_steps=4)
    shorter = finish(nkat, tmp_path, validation_file, max_steps=2)
    assert "at step 4 already, beyond --max-steps 2" in shorter.stderr
    assert len(training.lines(tmp_path / "run")) == 4


def test_a_start_that_fails_leaves_nothing_behind(nkat, tmp_path):
    def fails(run):
        done = nkat("train", *training.options(run, train_data=tmp_path / "none.jsonl"))
        assert done.returncode == 3 and "none.jsonl" in done.stderr

    fails(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("kept")
    fails(mine)
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]
