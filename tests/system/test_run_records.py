"""What a run writes where asked for: TensorBoard's event files, answers to sample prompts, and an early end. None of it changes what is trained."""
import json
import random
import shutil
import signal
import subprocess
import time

import pytest
import rank_processes
import training
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.summary.writer.record_writer import RecordWriter

PROMPTS = ["How many is 2 + 3?", "こんにちは", "<|end|> <|user|>", "hello"]
ALL = dict(tensorboard=[], validate_every=4)


@pytest.fixture(scope="module")
def validation_file(tmp_path_factory):
    return training.first_lines(training.DEMO / "validation.jsonl", tmp_path_factory.mktemp("data") / "validation.jsonl", 9)


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "prompts.txt"
    path.write_text("\n".join([PROMPTS[0], "", *PROMPTS[1:]]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def words(validation_file, prompts):
    """All records of a run of 12 steps; validation loss at 4, 8 and 12."""

    def of(run, **changes):
        return training.options(run, **{"validation_data": validation_file, "sample_prompts": prompts, **ALL, **changes})

    return of


def train(nkat, words, code=0, **options):
    done = nkat("train", *words, **options)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def recorded(nkat, tmp_path_factory, words):
    run = tmp_path_factory.mktemp("recorded") / "run"
    train(nkat, words(run))
    return run


def open_events(run):
    return EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()


def scalars(accumulator):
    """{tag: [(step, value)]} as TensorBoard shows them, all of them."""
    return {tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


def event_file(run):
    """The newest; those of earlier starts are empty."""
    *earlier, newest = sorted((run / "tensorboard").iterdir())
    assert len(earlier) <= 1 and all(file.stat().st_size == 0 for file in earlier)
    return newest


def sigmoid(alpha):
    return 1 / (1 + pow(2.718281828459045, -alpha))


def expected_scalars(lines):
    """The same from metrics.jsonl."""
    keys = {"loss/training": "loss", "loss/validation": "validation_loss", "triality/loss": "triality", "triality/lambda": "lambda",
            "rate/rotations": "learning_rate", "rate/gates": "alpha_learning_rate", "gradient/norm": "grad_norm",
            "machine/tokens_per_second": "tokens_per_second", "machine/step_seconds": "step_seconds"}
    found = {tag: [(line["step"], line[key]) for line in lines if line.get(key) is not None] for tag, key in keys.items()}
    found["machine/memory_gib"] = [(line["step"], line["memory_bytes"] / 2**30) for line in lines]
    gates = [(line["step"], [sigmoid(alpha) for alpha in line["alpha"]]) for line in lines]
    found["gates/mean"] = [(step, sum(gate) / len(gate)) for step, gate in gates]
    found["gates/open"] = [(step, sum(value > 0.5 for value in gate)) for step, gate in gates]
    for layer in range(len(lines[0]["alpha"])):
        found[f"gate/layer_{layer}"] = [(step, gate[layer]) for step, gate in gates]
        forces = [(line["step"], line["gate_force"][layer]) for line in lines]
        found[f"force/layer_{layer}"] = [(step, force) for step, force in forces if force is not None]
    return {tag: values for tag, values in found.items() if values}


def assert_events_are_the_metrics(run):
    found, expected = scalars(open_events(run)), expected_scalars(training.lines(run))
    assert event_file(run).stat().st_size > 0
    assert found.keys() == expected.keys()
    for tag, values in expected.items():
        assert [step for step, _ in found[tag]] == [step for step, _ in values], tag
        assert [value for _, value in found[tag]] == pytest.approx([value for _, value in values], rel=1e-6), tag  # float32


def samples(run):
    text = (run / "samples.jsonl").read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_tensorboard_reads_every_scalar_of_every_step(recorded):
    assert_events_are_the_metrics(recorded)


def test_the_event_file_has_the_bytes_of_tensorboards_own_writer(recorded, tmp_path):
    file = event_file(recorded)
    with (tmp_path / "theirs").open("wb") as theirs:
        writer = RecordWriter(theirs)
        for event in LegacyEventFileLoader(str(file)).Load():
            writer.write(event.SerializeToString())
        writer.flush()
        assert (tmp_path / "theirs").read_bytes() == file.read_bytes()


def test_the_records_do_not_change_what_is_trained(nkat, tmp_path, words, recorded):
    train(nkat, words(tmp_path / "run", tensorboard=None, sample_prompts=None))
    training.assert_same_run(tmp_path / "run", recorded)
    assert not (tmp_path / "run" / "samples.jsonl").exists() and not (tmp_path / "run" / "tensorboard").exists()


def test_samples_are_what_generate_answers_with_the_adapter_of_that_step(nkat, recorded):
    found = samples(recorded)
    assert [(line["step"], line["prompt"]) for line in found] == [(step, prompt) for step in (4, 8, 12) for prompt in PROMPTS]
    assert all(list(line) == ["step", "prompt", "answer"] for line in found)
    for line in found:
        adapter = recorded / "checkpoints" / f"step-{line['step']:06}"
        done = nkat("generate", "--json", "--model-path", training.DEMO / "model", "--adapter", adapter, "--prompt", line["prompt"],
                    "--max-new-tokens", 128, "--precision", "fp32", "--device", "cpu")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["text"] == line["answer"], line


def test_answers_end_with_the_turn_where_the_model_folder_does_not_say_so(nkat, tmp_path, words):
    model = shutil.copytree(training.DEMO / "model", tmp_path / "model")
    (model / "generation_config.json").unlink()
    run = tmp_path / "run"
    train(nkat, words(run, model_path=model, max_steps=1, validation_data=None))
    for line in samples(run):
        done = nkat("generate", "--json", "--model-path", model, "--adapter", run / "adapter", "--prompt", line["prompt"],
                    "--max-new-tokens", 128, "--precision", "fp32", "--device", "cpu")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["text"] == line["answer"], line


def test_samples_are_logged_and_outside_the_steps_time(nkat, tmp_path, words):
    many = tmp_path / "many.txt"
    many.write_text("".join(f"How many is {i} + 3?\n" for i in range(40)))
    started = time.monotonic()
    done = train(nkat, words(tmp_path / "run", sample_prompts=many, validation_data=None, max_steps=3, validate_every=1))
    seconds = time.monotonic() - started
    assert len(samples(tmp_path / "run")) == 3 * 40
    assert 'step 2: "How many is 7 + 3?" is answered "' in done.stderr
    # A step of four short samples takes a tenth of the answers' time at most.
    assert sum(line["step_seconds"] for line in training.lines(tmp_path / "run")) < seconds / 2


@pytest.mark.parametrize("moments", ["random", "just after a step's line"])
def test_kills_leave_no_step_and_no_answer_twice(nkat, nkat_path, tmp_path, words, recorded, moments):
    chance = random.Random(moments)
    run, killed = tmp_path / "run", 0
    while killed < 4:
        process = subprocess.Popen([str(nkat_path), "train", *words(run)], stderr=subprocess.DEVNULL)
        if moments == "random":
            time.sleep(chance.uniform(0.3, 2.5))
        else:  # between a line and its checkpoint or its event
            metrics, lines = run / "metrics.jsonl", chance.randint(5, 11)
            while process.poll() is None and not (metrics.exists() and metrics.read_bytes().count(b"\n") >= lines):
                time.sleep(0.001)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        if process.returncode == 0:
            shutil.rmtree(run)
    train(nkat, words(run))
    assert_events_are_the_metrics(run)
    assert samples(run) == samples(recorded)
    training.assert_same_run(run, recorded)


def test_a_reader_that_is_open_follows_over_a_restart(nkat, tmp_path, words):
    run = tmp_path / "run"
    train(nkat, words(run, max_steps=6))
    reader = open_events(run)
    assert [step for step, _ in scalars(reader)["loss/training"]] == [1, 2, 3, 4, 5, 6]
    shutil.rmtree(run / "checkpoints" / "step-000006")  # as if it had been killed before that one
    for steps in (9, 10):
        train(nkat, words(run, max_steps=steps))
        reader.Reload()
        assert [step for step, _ in scalars(reader)["loss/training"]] == list(range(1, steps + 1))


def test_a_finished_run_gets_its_curves_afterwards(nkat, tmp_path, words, recorded):
    run = shutil.copytree(recorded, tmp_path / "run")
    shutil.rmtree(run / "tensorboard")
    done = train(nkat, words(run))
    assert "this run is finished" in done.stderr
    assert_events_are_the_metrics(run)


def test_the_options_may_change_on_resume_and_what_was_written_stays(nkat, tmp_path, words, prompts):
    run = tmp_path / "run"
    train(nkat, words(run, max_steps=4))
    train(nkat, words(run, max_steps=8, tensorboard=None, sample_prompts=None))
    assert {step for step, _ in scalars(open_events(run))["loss/training"]} == {1, 2, 3, 4}
    other = tmp_path / "other.txt"
    other.write_text("Another?\n")
    done = train(nkat, words(run, sample_prompts=other))
    assert "tensorboard was false and is now true" in done.stderr
    assert_events_are_the_metrics(run)
    assert [(line["step"], line["prompt"]) for line in samples(run)] == [*((4, prompt) for prompt in PROMPTS), (12, "Another?")]


def test_a_disk_that_refuses_the_events_loses_nothing(nkat, small_disk, tmp_path, words):
    given = dict(sample_prompts=None, validation_data=None, batch_size=1, gradient_accumulation=1, checkpoint_every=1000)
    run = tmp_path / "run"
    run.mkdir()
    (run / "tensorboard").symlink_to(small_disk)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(2**20 - 16 * 1024))
    full = train(nkat, words(run, **given, max_steps=400), code=4)
    assert "events.out.tfevents" in full.stderr and "writing failed" in full.stderr and "internal" not in full.stderr
    steps = len(training.lines(run))
    assert 5 < steps < 100 and (run / "checkpoints" / f"step-{steps:06}" / "manifest.json").exists()
    filler.unlink()
    train(nkat, words(run, **given, max_steps=steps + 2))
    assert_events_are_the_metrics(run)
    assert len(training.lines(run)) == steps + 2


def test_a_file_of_samples_that_is_no_runs_stays(nkat, tmp_path, words):
    run = tmp_path / "run"
    run.mkdir()
    (run / "samples.jsonl").write_text('{"text": "mine"}\n')
    done = train(nkat, words(run), code=3)
    assert "samples.jsonl:1" in done.stderr and "move the file away" in done.stderr
    assert (run / "samples.jsonl").read_text() == '{"text": "mine"}\n'


def test_an_older_run_goes_on_with_all_records(nkat, root, tmp_path, prompts):
    run = shutil.copytree(root / "tests" / "fixtures" / "run_0_1_0", tmp_path / "run")
    done = nkat("train", "--config", root / "tests" / "fixtures" / "run_0_1_0.train.json", "--output-dir", run, "--max-steps", 61,
                "--tensorboard", "--sample-prompts", prompts, "--early-stopping-patience", 50, cwd=root)
    assert done.returncode == 0, done.stderr
    assert_events_are_the_metrics(run)
    assert [line["step"] for line in samples(run)] == [61] * len(PROMPTS)


# A rate so high that the loss rises from the first validations on.
RISING = dict(learning_rate=5, alpha_learning_rate=5, validate_every=2, max_steps=40, tensorboard=None, sample_prompts=None)


def summary(run):
    return json.loads((run / "summary.json").read_text())


def losses(run):
    return [line["validation_loss"] for line in training.lines(run) if "validation_loss" in line]


def since_best(values):
    return len(values) - 1 - values.index(min(values))


def test_an_early_end_is_a_normal_end(nkat, tmp_path, words):
    run = tmp_path / "run"
    done = train(nkat, words(run, **RISING, early_stopping_patience=2))
    steps = len(training.lines(run))
    assert steps < 40 and since_best(losses(run)) == 2 and since_best(losses(run)[:-1]) < 2
    assert summary(run)["stopped"] == "early" and summary(run)["steps"] == steps
    assert f"step {steps}: ends early, 2 validations in a row without a loss below" in done.stderr
    newest = run / "checkpoints" / f"step-{steps:06}"
    assert (newest / "manifest.json").exists()
    assert (run / "adapter" / "adapter_model.safetensors").read_bytes() == (newest / "adapter_model.safetensors").read_bytes()
    assert (run / "training.png").exists() and (run / "adapter-best").exists()

    again = train(nkat, words(run, **RISING, early_stopping_patience=2))
    assert f"ended early at step {steps}" in again.stderr and "raise --early-stopping-patience" in again.stderr
    assert summary(run)["stopped"] == "early" and len(training.lines(run)) == steps
    report = nkat("validate", "--checkpoint-dir", run, "--output-report", tmp_path / "report.json")
    assert report.returncode == 0, report.stderr
    assert json.loads((tmp_path / "report.json").read_text())["run"]["finished"] is True

    train(nkat, words(run, **RISING, early_stopping_patience=4))
    assert since_best(losses(run)) == 4 and summary(run)["stopped"] == "early"
    whole = tmp_path / "whole"
    train(nkat, words(whole, **RISING, early_stopping_patience=4))
    training.assert_same_run(run, whole)
    train(nkat, words(run, **RISING))
    assert len(training.lines(run)) == 40 and summary(run)["stopped"] == "finished"


def test_patience_is_counted_across_stops(nkat, nkat_path, tmp_path, words):
    given = {**RISING, "early_stopping_patience": 3}
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(nkat, words(whole, **given))
    chance = random.Random(3)
    for kind in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen([str(nkat_path), "train", *words(run, **given)], stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.4, 1.2))
        process.send_signal(kind)
        process.wait(60)
    train(nkat, words(run, **given))
    training.assert_same_run(run, whole)
    assert summary(run)["stopped"] == "early"


def test_other_validation_data_start_the_count_anew(nkat, tmp_path, words):
    given = {**RISING, "early_stopping_patience": 2}
    run = tmp_path / "run"
    train(nkat, words(run, **given))
    steps = len(training.lines(run))
    other = training.first_lines(training.DEMO / "validation.jsonl", tmp_path / "other.jsonl", 5)
    done = train(nkat, words(run, **given, validation_data=other))
    assert "validation data has changed" in done.stderr
    assert len(training.lines(run)) >= steps + 6  # one that is the lowest, and two without a gain


@pytest.fixture
def start(nkat_path, tmp_path, words):
    started = []

    def start_ranks(size, own=None, **changes):
        of_rank = {rank: words(tmp_path / "run", **{**changes, **more}) for rank, more in (own or {}).items()}
        started.append(rank_processes.Ranks(nkat_path, tmp_path, size, words(tmp_path / "run", **changes), None, of_rank))
        return started[-1]

    yield start_ranks
    for ranks in started:
        ranks.end()


def test_ranks_record_once_and_end_early_together(start, tmp_path, prompts):
    # The other rank may have its prompts elsewhere, or none: it reads no file.
    given = {**RISING, "early_stopping_patience": 2, "tensorboard": [], "sample_prompts": prompts}
    ranks = start(2, own={1: dict(sample_prompts="none.txt")}, **given)
    assert ranks.wait(120) == [0, 0], ranks.log(0) + ranks.log(1)
    run = tmp_path / "run"
    assert summary(run)["stopped"] == "early" and since_best(losses(run)) == 2
    assert_events_are_the_metrics(run)
    steps = range(2, len(training.lines(run)) + 1, 2)
    assert [(line["step"], line["prompt"]) for line in samples(run)] == [(step, prompt) for step in steps for prompt in PROMPTS]
    assert "is answered" in ranks.log(0) and ranks.log(1) == ""
    again = start(2, **{**RISING, "early_stopping_patience": 2})
    assert again.wait(60) == [0, 0] and "ended early" in again.log(0)


def long_prompts(folder):
    path = folder / "long.txt"
    path.write_text("".join(f"How many is {i} + 3? " * 8 + "\n" for i in range(100)))
    return path


def wait_for_first_step(run, process):
    deadline = time.monotonic() + 60
    while not (run / "adapter").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    time.sleep(1)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_while_rank_0_answers_stops_all_ranks_with_everything_saved(start, tmp_path, rank):
    # Step 1 is validated at once; its answers take seconds.
    given = dict(sample_prompts=long_prompts(tmp_path), validate_every=1, validation_data=None, rank_timeout=5)
    ranks = start(2, **given)
    wait_for_first_step(tmp_path / "run", ranks.processes[0])
    ranks.processes[rank].send_signal(signal.SIGTERM)
    assert ranks.wait(120) == [75, 75], ranks.log(0) + ranks.log(1)
    assert "everything is saved" in ranks.log(0)


def test_answers_that_take_longer_than_the_rank_timeout_are_waited_for(start, tmp_path):
    given = dict(sample_prompts=long_prompts(tmp_path), validate_every=1, validation_data=None, max_steps=1, rank_timeout=5)
    ranks = start(2, **given)
    wait_for_first_step(tmp_path / "run", ranks.processes[0])
    assert ranks.wait(300) == [0, 0], ranks.log(0) + ranks.log(1)
    assert len(samples(tmp_path / "run")) == 100


def test_a_rank_0_that_is_killed_while_it_answers_ends_the_others(start, tmp_path):
    ranks = start(2, sample_prompts=long_prompts(tmp_path), validate_every=1, validation_data=None, rank_timeout=5)
    wait_for_first_step(tmp_path / "run", ranks.processes[0])
    ranks.processes[0].kill()
    assert ranks.wait(60) == [-signal.SIGKILL, 4]
    assert "internal" not in ranks.log(1)
