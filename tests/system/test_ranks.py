"""Ranks train what one process trains, hold the same bytes, and stop, fail and go on together."""
import hashlib
import json
import os
import re
import signal
import time

import numpy as np
import pytest
import rank_processes
import training
from safetensors.numpy import load_file

# An odd number of samples, so that no number of ranks above 1 shares them evenly.
SHAPE = dict(max_steps=6, batch_size=1, gradient_accumulation=7, checkpoint_every=3, validate_every=3, max_sequence_length=64)


@pytest.fixture(scope="module")
def validation_file(tmp_path_factory):
    return training.first_lines(training.DEMO / "validation.jsonl", tmp_path_factory.mktemp("data") / "validation.jsonl", 9)


@pytest.fixture(scope="module")
def words(validation_file):
    def of(run, **changes):
        return training.options(run, **{**SHAPE, "validation_data": validation_file, **changes})

    return of


@pytest.fixture
def start(nkat_path, tmp_path, words):
    """start(size, faults={rank: "nan@2"}, own={rank: dict(option=value)}, option=value) starts ranks in tmp_path/run."""
    started = []

    def start_ranks(size, faults=None, own=None, machines=False, **changes):
        of_rank = {rank: words(tmp_path / "run", **{**changes, **more}) for rank, more in (own or {}).items()}
        started.append(rank_processes.Ranks(nkat_path, tmp_path, size, words(tmp_path / "run", **changes), faults, of_rank, machines))
        return started[-1]

    yield start_ranks
    for ranks in started:
        ranks.end()


@pytest.fixture(scope="module")
def one_process(nkat, tmp_path_factory, words):
    run = tmp_path_factory.mktemp("one") / "run"
    done = nkat("train", *words(run, checkpoint_every=1), env={**os.environ, "OMP_NUM_THREADS": "1"})  # as the ranks
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture(scope="module")
def two_ranks(nkat_path, tmp_path_factory, words):
    folder = tmp_path_factory.mktemp("two")
    ranks = rank_processes.Ranks(nkat_path, folder, 2, words(folder / "run"))
    assert ranks.wait() == [0, 0], ranks.log(0) + ranks.log(1)
    return folder / "run"


def wait_for_lines(run, count, process, seconds=60):
    deadline = time.monotonic() + seconds
    metrics = run / "metrics.jsonl"
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.exists() and metrics.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.01)
    assert process.poll() is None, "it ended before the step was there"


def distance(left, right):
    """|left - right| / |right| over all numbers."""
    return np.linalg.norm(left.astype(np.float64) - right) / np.linalg.norm(right.astype(np.float64))


def wait_for_words(said, ranks, rank=0, seconds=60):
    deadline = time.monotonic() + seconds
    while said not in ranks.log(rank):
        assert time.monotonic() < deadline and ranks.processes[rank].poll() is None, ranks.log(rank)
        time.sleep(0.01)


def state_digest(run, step):
    """The first 16 digits of SHA-256 over the state's numbers, from the files of a checkpoint without skipped steps."""
    folder = run / "checkpoints" / f"step-{step:06}"
    adapter = load_file(folder / "adapter_model.safetensors")
    moments = load_file(folder / "trainer_state.safetensors")
    digest = hashlib.sha256(f"{step} {step}".encode())
    for kind in ("weight", "alpha"):
        for layer in range(len(adapter) // 2):
            digest.update(adapter[f"layers.{layer}.so8t.{kind}"].tobytes())
    for moment in ("first_moment", "second_moment"):
        for kind in ("weight", "alpha"):
            digest.update(moments[f"{moment}.{kind}"].tobytes())
    return digest.hexdigest()[:16]


def assert_same_up_to_rounding(run, reference, what):
    # Adam's first moment after the first update is the clipped gradient times 1 - beta1.
    ours, theirs = (load_file(path / "checkpoints" / "step-000001" / "trainer_state.safetensors") for path in (run, reference))
    for name in ("first_moment.weight", "first_moment.alpha"):
        measured = distance(ours[name], theirs[name])
        print(f"{what}, {name}: {measured:.1e} of one process's")
        assert measured < 1e-5, (what, name, measured)
    for left, right in zip(training.lines(run), training.lines(reference), strict=True):
        assert left["tokens"] == right["tokens"] and left["target_tokens"] == right["target_tokens"]
        # Adam divides by the gradient's own size: a weight whose gradient is near 0 takes up its rounding in full, so
        # the runs part slowly after the first step.
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-6 if left["step"] == 1 else 1e-4)
        assert ("validation_loss" in left) == ("validation_loss" in right)
        if "validation_loss" in left:
            assert left["validation_loss"] == pytest.approx(right["validation_loss"], rel=1e-4)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_ranks_have_the_gradient_of_one_process(start, tmp_path, one_process, size):
    ranks = start(size, checkpoint_every=1)
    assert ranks.wait() == [0] * size, ranks.log(size - 1)
    assert_same_up_to_rounding(tmp_path / "run", one_process, f"{size} ranks")
    assert [ranks.log(rank) for rank in range(1, size)] == [""] * (size - 1)  # rank 0 speaks for all
    assert json.loads((tmp_path / "run" / "config.json").read_text())["ranks"] == size
    if size == 1:
        training.assert_same_run(tmp_path / "run", one_process)


def test_shuffled_targets_do_not_depend_on_the_ranks(start, nkat, tmp_path, words):
    alone = nkat("train", *words(tmp_path / "alone", control="shuffled", max_steps=1))
    assert alone.returncode == 0, alone.stderr
    assert start(3, control="shuffled", max_steps=1).wait() == [0, 0, 0]
    assert_same_up_to_rounding(tmp_path / "run", tmp_path / "alone", "3 ranks, shuffled targets")


def test_two_ranks_of_two_machines_repeat_those_of_one_bit_for_bit(start, tmp_path, two_ranks):
    assert start(2, machines=True).wait() == [0, 0]
    training.assert_same_run(tmp_path / "run", two_ranks)


def test_trouble_of_one_rank_is_met_by_all(start, tmp_path, one_process):
    ranks = start(2, faults={1: "oom@1,nan@3"}, checkpoint_every=1)
    assert ranks.wait() == [0, 0], ranks.log(0) + ranks.log(1)
    assert "rank 1: out of memory" in ranks.log(1) and "out of memory" not in ranks.log(0)
    lines = training.lines(tmp_path / "run")
    assert [line["step"] for line in lines if "skipped" in line] == [3]
    events = json.loads((tmp_path / "run" / "config.json").read_text())["memory"]["events"]
    assert events == ["step 1: rank 1: memory ran out; its own log says what it gave up"]
    # The retry of the first step changes its rounding alone.
    ours, theirs = (load_file(run / "checkpoints" / "step-000001" / "trainer_state.safetensors") for run in (tmp_path / "run", one_process))
    assert distance(ours["first_moment.weight"], theirs["first_moment.weight"]) < 1e-5


def test_three_steps_that_are_not_finite_on_one_rank_end_all(start, tmp_path):
    ranks = start(2, faults={1: "nan@2,nan@3,nan@4"})
    assert ranks.wait() == [5, 5]
    assert "3 steps in a row" in ranks.log(0) and "train.jsonl:" in ranks.log(0)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["stopped"].startswith("three steps")


def test_a_rank_that_drifts_off_stops_the_run(start, tmp_path):
    ranks = start(3, faults={2: "drift@5"})
    assert ranks.wait() == [5, 5, 5]
    assert "differs from rank 0's on 1 of 3: rank 2" in ranks.log(0)
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == ["step-000000", "step-000003"]


def test_all_ranks_hold_the_bytes_of_the_checkpoint(two_ranks):
    log = (two_ranks.parent / "rank-0.txt").read_text()
    said = re.findall(r"step (\d+): all 2 ranks hold the same state, ([0-9a-f]{16})", log)
    assert said == [(str(step), state_digest(two_ranks, step)) for step in (3, 6)]
    print(f"the state of step 6 on both ranks and in the checkpoint: {said[-1][1]}")


@pytest.mark.parametrize(
    "changes, difference",
    [
        (dict(seed=1, max_steps=7), "max_steps: 7 on rank 1, 6 on rank 0; seed: 1 on rank 1, 0 on rank 0"),
        (dict(train_data=training.DEMO / "validation.jsonl"), 'training data: "[0-9a-f]{64}" on rank 1, "[0-9a-f]{64}" on rank 0'),
    ],
)
def test_ranks_started_differently_say_what_differs(start, tmp_path, changes, difference):
    ranks = start(2, own={1: changes})
    assert ranks.wait() == [5, 5], ranks.log(0) + ranks.log(1)
    for rank in (0, 1):
        assert re.search(f"found {difference}; start", ranks.log(rank)), ranks.log(rank)
    assert not (tmp_path / "run").exists()


def test_a_rank_that_lacks_the_validation_data_on_resume_is_named(start, tmp_path):
    assert start(2, max_steps=3).wait() == [0, 0]
    before = (tmp_path / "run" / "config.json").read_bytes()
    ranks = start(2, own={1: dict(validation_data=None)})
    assert ranks.wait() == [5, 5], ranks.log(0) + ranks.log(1)
    assert 'validation data: "none" on rank 1' in ranks.log(0)
    assert (tmp_path / "run" / "config.json").read_bytes() == before


def test_a_rank_that_is_killed_while_it_loads_ends_the_others(start, tmp_path):
    # Rank 1 loads after rank 0, since they share a machine, and is busy with this for many seconds.
    long = tmp_path / "long.jsonl"
    long.write_bytes((training.DEMO / "train.jsonl").read_bytes() * 100)
    ranks = start(3, own={1: dict(train_data=long)}, rank_timeout=5)
    wait_for_words("training data:", ranks)
    ranks.processes[1].kill()
    assert ranks.wait(30) == [4, -signal.SIGKILL, 4]
    assert "rank 1 of 3 has sent no heartbeat for 5 s" in ranks.log(0)
    assert re.search("rank 1 of 3 has sent|rank 0, which keeps .* is gone", ranks.log(2)), ranks.log(2)
    assert not (tmp_path / "run").exists()


def test_a_rank_that_fails_while_it_loads_ends_the_others_at_once(start, tmp_path):
    started = time.monotonic()
    ranks = start(3, own={1: dict(train_data=tmp_path / "none.jsonl")})
    assert ranks.wait(30) == [4, 3, 4]
    assert time.monotonic() - started < 25  # silence alone would take 30 s
    assert "none.jsonl" in ranks.log(1)
    assert "rank 1 of 3 has ended before the training began; its own message says why" in ranks.log(0)
    assert re.search("rank 1 of 3 has ended|rank 0, which keeps .* is gone", ranks.log(2)), ranks.log(2)


def test_a_signal_to_one_rank_saves_and_stops_all_and_the_run_goes_on(start, tmp_path, two_ranks):
    ranks = start(2)
    wait_for_lines(tmp_path / "run", 2, ranks.processes[0])
    ranks.processes[1].send_signal(signal.SIGTERM)
    assert ranks.wait(30) == [75, 75], ranks.log(0) + ranks.log(1)
    assert "everything is saved" in ranks.log(0)
    assert start(2).wait() == [0, 0]
    training.assert_same_run(tmp_path / "run", two_ranks)


def test_a_run_of_two_ranks_goes_on_in_one_process(start, nkat, tmp_path, words, two_ranks):
    assert start(2, max_steps=3).wait() == [0, 0]
    done = nkat("train", *words(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert "ranks was 2 and is now 1" in done.stderr
    assert len(training.lines(tmp_path / "run")) == 6


def test_a_finished_run_is_finished_on_all_ranks(start, tmp_path):
    assert start(2, max_steps=2).wait() == [0, 0]
    again = start(2, max_steps=2)
    assert again.wait() == [0, 0]
    assert "this run is finished" in again.log(0)


def test_a_killed_rank_ends_the_others_at_once(start, tmp_path, two_ranks):
    ranks = start(2)
    wait_for_lines(tmp_path / "run", 2, ranks.processes[0])
    ranks.processes[1].kill()
    killed = time.monotonic()
    assert ranks.wait(60) == [4, -signal.SIGKILL]
    assert time.monotonic() - killed < 30
    assert "one of the 2 ranks is gone" in ranks.log(0) and "internal" not in ranks.log(0)
    assert start(2).wait() == [0, 0]
    training.assert_same_run(tmp_path / "run", two_ranks)


def test_a_hung_rank_is_given_up_after_the_timeout(start, tmp_path):
    ranks = start(2, max_steps=5000, rank_timeout=5)
    wait_for_lines(tmp_path / "run", 2, ranks.processes[0])
    ranks.processes[1].send_signal(signal.SIGSTOP)
    assert ranks.processes[0].wait(30) == 4
    assert "has not answered for 5 s" in ranks.log(0) and "--rank-timeout" in ranks.log(0)


def test_torchrun_starts_the_ranks_again_after_a_kill(nkat_path, tmp_path, words, two_ranks):
    launcher = rank_processes.torchrun(nkat_path, tmp_path, 2, words(tmp_path / "run"), restarts=1)
    try:
        wait_for_lines(tmp_path / "run", 2, launcher)
        os.kill(rank_processes.rank_process(launcher, 0), signal.SIGKILL)
        assert launcher.wait(60) == 0, (tmp_path / "torchrun.txt").read_text()
    finally:
        rank_processes.stop_torchrun(launcher)
    assert "resuming from" in (tmp_path / "torchrun.txt").read_text()
    training.assert_same_run(tmp_path / "run", two_ranks)


def test_a_signal_to_torchrun_saves_everything(nkat_path, start, tmp_path, words, two_ranks):
    launcher = rank_processes.torchrun(nkat_path, tmp_path, 2, words(tmp_path / "run"), restarts=1)
    wait_for_lines(tmp_path / "run", 2, launcher)
    rank_processes.stop_torchrun(launcher)
    said = (tmp_path / "torchrun.txt").read_text()
    assert "stopped by a signal, everything is saved" in said, said
    stopped_at = len(training.lines(tmp_path / "run"))
    assert (tmp_path / "run" / "checkpoints" / f"step-{stopped_at:06}" / "manifest.json").exists()
    assert start(2).wait() == [0, 0]
    training.assert_same_run(tmp_path / "run", two_ranks)


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"WORLD_SIZE": None}, "WORLD_SIZE: expected a number .* found nothing"),
        ({"RANK": "2"}, "RANK: expected a number from 0 to 1 .* found '2'"),
        ({"MASTER_PORT": "http"}, "MASTER_PORT: expected a number from 1 to 65535"),
        ({"LOCAL_WORLD_SIZE": "1"}, "GROUP_RANK: expected a number from 0 to 1 .* found nothing"),
        ({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "8"}, "8 ranks: expected a global batch .* found 7 samples"),
    ],
)
def test_a_wrong_environment_is_a_usage_error(nkat, tmp_path, words, changes, complaint):
    port = rank_processes.Port()
    done = nkat("train", *words(tmp_path / "run"), env=rank_processes.environment(0, 2, port, **changes))
    assert done.returncode == 2
    assert re.search(complaint, done.stderr), done.stderr
    assert not (tmp_path / "run").exists()
