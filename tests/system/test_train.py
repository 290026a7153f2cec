"""What `nkat train` computes, against PyTorch and transformers, and what it records."""
import json
import math
import os
import time

import pytest
import safetensors.torch
import torch
import training
import transformers
from adapter_reference import AdaptedModel, triality

# One window of four samples of very different length.
RECORDS = [
    [("user", "hello"), ("assistant", "yes")],
    [("user", "How many?"), ("assistant", "There are 12 of them, I think. 12 and not 13.")],
    [("system", "Answer."), ("user", "go"), ("assistant", "no"), ("user", "and now"), ("assistant", "yes, now")],
    [("user", "tell me all " * 12), ("assistant", "the answer is long " * 9)],
]


def write_records(path, records):
    rows = [{"messages": [{"role": role, "content": content} for role, content in turns]} for turns in records]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.AutoTokenizer.from_pretrained(training.DEMO / "model")


def encoded(tokenizer, turns):
    """Ids, and which are targets: what follows <|assistant|> up to and with <|end|>."""
    text = tokenizer.apply_chat_template([{"role": role, "content": content} for role, content in turns], tokenize=False)
    tokens = tokenizer(text, add_special_tokens=False).input_ids
    assistant, end = tokenizer.convert_tokens_to_ids(["<|assistant|>", "<|end|>"])
    targets, inside = [], False
    for token in tokens:
        targets.append(inside)
        inside = (inside or token == assistant) and token != end
    return tokens, targets


def run_one_window(nkat, folder, **changes):
    data = write_records(folder / "data.jsonl", RECORDS)
    given = dict(
        train_data=data,
        max_steps=1,
        max_sequence_length=200,
        warmup_steps=0,
        annealing_warmup=0,
        alpha_init=-1,
        weight_init_std=0.2,
        checkpoint_every=1,
    )
    done = nkat("train", *training.options(folder / "run", **{**given, **changes}))
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_loss_force_and_update_equal_a_reference_in_pytorch(nkat, tmp_path, tokenizer):
    run = run_one_window(nkat, tmp_path)
    line = training.lines(run)[0]
    reference = AdaptedModel(training.DEMO / "model").load(run / "checkpoints" / "step-000000")
    samples = [encoded(tokenizer, turns) for turns in RECORDS]
    assert line["tokens"] == sum(len(tokens) for tokens, _ in samples)
    assert line["target_tokens"] == sum(sum(targets) for _, targets in samples)
    loss = sum(reference.token_losses(*sample).sum() for sample in samples) / line["target_tokens"]
    three = torch.stack([triality(rotation) for rotation in reference.rotations]).mean()
    # Forward in float32 against float64: a few hundred roundings of 6e-8 on values of order one.
    assert line["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert line["triality"] == pytest.approx(three.item(), rel=1e-5)
    loss.backward(retain_graph=True)
    force = torch.stack([-gate.grad for gate in reference.gates])
    assert (torch.tensor(line["gate_force"]) - force).norm() <= 1e-4 * force.norm()
    (0.1 * three).backward()
    gradients = [p.grad for p in reference.weight + reference.alpha]
    norm = math.sqrt(sum(g.square().sum().item() for g in gradients))
    assert line["grad_norm"] == pytest.approx(norm, rel=1e-4)
    scale = min(1.0, 1.0 / norm)
    for g in gradients:
        g.mul_(scale)
    torch.optim.AdamW(
        [{"params": reference.weight, "lr": 2e-2}, {"params": reference.alpha, "lr": 1e-1}], eps=1e-12, weight_decay=0.0
    ).step()
    before = safetensors.torch.load_file(run / "checkpoints" / "step-000000" / "adapter_model.safetensors")
    after = safetensors.torch.load_file(run / "checkpoints" / "step-000001" / "adapter_model.safetensors")
    for index, (weight, alpha) in enumerate(zip(reference.weight, reference.alpha)):
        for name, expected in ((f"layers.{index}.so8t.weight", weight), (f"layers.{index}.so8t.alpha", alpha)):
            update = expected.detach() - before[name].double()
            # Adam's first update has the size of the rate whatever the gradient's: rounding shows where g is near 0.
            assert (after[name].double() - expected.detach()).norm() <= 1e-3 * update.norm() + 1e-9, name


# Batch size, accumulation, tokens a packed micro-batch.
SPLITS = [(1, 32, "none"), (32, 1, "none"), (4, 8, "none"), (1, 32, 300), (2, 16, 2000)]


def test_splitting_the_window_differently_trains_the_same_adapter(nkat, tmp_path):
    adapters = {}
    # Samples from a few tokens to the limit.
    data = write_records(
        tmp_path / "mixed.jsonl", [[("user", "count " * (1 + i * 7 % 31)), ("assistant", "12 " * (1 + i * i % 60))] for i in range(70)]
    )
    for batch, accumulation, packed in SPLITS:
        run = tmp_path / f"{batch}x{accumulation}x{packed}"
        changes = dict(train_data=data, batch_size=batch, gradient_accumulation=accumulation, tokens_per_micro_batch=packed, max_steps=5,
                       warmup_steps=0, max_sequence_length=160)
        done = nkat("train", *training.options(run, **changes))
        assert done.returncode == 0, done.stderr
        adapters[batch, accumulation, packed] = (
            safetensors.torch.load_file(run / "checkpoints" / "step-000000" / "adapter_model.safetensors"),
            safetensors.torch.load_file(run / "adapter" / "adapter_model.safetensors"),
            training.lines(run),
        )
    start, reference, reference_lines = adapters[SPLITS[0]]
    print("\nsplit packed loss of step 5   weights: |difference| / |update|   gates")
    for split, (_, end, split_lines) in adapters.items():
        errors = []
        for kind in ("weight", "alpha"):
            names = [name for name in end if name.endswith(kind)]
            difference = math.sqrt(sum((end[n] - reference[n]).square().sum().item() for n in names))
            update = math.sqrt(sum((reference[n] - start[n]).square().sum().item() for n in names))
            errors.append(difference / update)
        print(
            f"{split[0]:>2}x{split[1]:<3} {split[2]:>5} {split_lines[-1]['loss']:.6f}        "
            f"{errors[0]:.1e}                           {errors[1]:.1e}"
        )
        assert max(errors) <= 1e-3
        assert split_lines[-1]["target_tokens"] == reference_lines[-1]["target_tokens"]


def test_metrics_hold_one_whole_line_a_step(nkat, tmp_path):
    run = run_one_window(nkat, tmp_path, max_steps=6, annealing_warmup=4, alpha_init=-5)
    lines = training.lines(run)
    layers = json.loads((training.DEMO / "model" / "config.json").read_text())["num_hidden_layers"]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["lambda"] for line in lines] == pytest.approx([0, 0.025, 0.05, 0.075, 0.1, 0.1])
    assert lines[0]["alpha"] == [-5.0] * layers
    assert all(len(line["gate_force"]) == layers and line["memory_bytes"] > 0 for line in lines)
    series = safetensors.torch.load_file(run / "checkpoints" / "step-000006" / "trainer_state.safetensors")
    assert series["series.alpha"].tolist() == [line["alpha"] for line in lines]
    assert series["series.gate_force"].tolist() == [line["gate_force"] for line in lines]
    summary = json.loads((run / "summary.json").read_text())
    assert summary["steps"] == 6 and summary["stopped"] == "finished"
    assert summary["loss_first"] == lines[0]["loss"] and summary["loss_last"] == lines[-1]["loss"]
    assert (run / "training.png").read_bytes().startswith(b"\x89PNG")


def test_controls_hold_what_they_say(nkat, tmp_path):
    def trained(control):
        folder = tmp_path / control
        folder.mkdir()
        run = run_one_window(nkat, folder, control=control, max_steps=3)
        return safetensors.torch.load_file(run / "adapter" / "adapter_model.safetensors"), training.lines(run)

    free, free_lines = trained("none")
    identity, _ = trained("identity")
    frozen, frozen_lines = trained("frozen-gates")
    _, shuffled_lines = trained("shuffled")
    assert all(t.abs().max() == 0 for n, t in identity.items() if n.endswith("weight"))
    assert any(t != -1 for n, t in identity.items() if n.endswith("alpha"))
    assert all(t == -1 for n, t in frozen.items() if n.endswith("alpha"))
    assert any(force != 0 for force in frozen_lines[-1]["gate_force"])
    assert shuffled_lines[0]["loss"] > free_lines[0]["loss"] and shuffled_lines[0]["target_tokens"] == free_lines[0]["target_tokens"]


def test_first_adapter_layer_leaves_the_layers_below_alone(nkat, tmp_path):
    run = run_one_window(nkat, tmp_path, first_adapter_layer=2)
    names = safetensors.torch.load_file(run / "adapter" / "adapter_model.safetensors")
    layers = json.loads((training.DEMO / "model" / "config.json").read_text())["num_hidden_layers"]
    assert sorted(names) == sorted(f"layers.{i}.so8t.{kind}" for i in range(2, layers) for kind in ("weight", "alpha"))
    assert len(training.lines(run)[0]["alpha"]) == layers - 2


def adapter_bytes(run):
    return (run / "adapter" / "adapter_model.safetensors").read_bytes()


def test_recomputing_layers_changes_no_bit(nkat, tmp_path):
    runs = {}
    for layers in ("none", "2", "full"):
        (tmp_path / layers).mkdir()
        runs[layers] = run_one_window(nkat, tmp_path / layers, max_steps=3, checkpointing=layers)
    assert adapter_bytes(runs["none"]) == adapter_bytes(runs["2"]) == adapter_bytes(runs["full"])
    peak = {name: max(line["memory_bytes"] for line in training.lines(run)) for name, run in runs.items()}
    assert peak["full"] < peak["2"] < peak["none"]


def test_running_out_of_memory_recomputes_more_and_loses_nothing(nkat, tmp_path):
    for name in ("calm", "short"):
        (tmp_path / name).mkdir()
    calm = run_one_window(nkat, tmp_path / "calm", max_steps=4, checkpointing="none", tokens_per_micro_batch="none")
    environment = {**os.environ, "NKAT_FAULTS": "oom@2,oom@3"}
    data = write_records(tmp_path / "short" / "data.jsonl", RECORDS)
    words = training.options(tmp_path / "short" / "run", train_data=data, max_steps=4, max_sequence_length=200, warmup_steps=0, annealing_warmup=0,
                             alpha_init=-1, weight_init_std=0.2, checkpoint_every=1, checkpointing="none", tokens_per_micro_batch="none")
    done = nkat("train", *words, env=environment)
    assert done.returncode == 0, done.stderr
    short = tmp_path / "short" / "run"
    assert done.stderr.count("out of memory") == 2
    config = json.loads((short / "config.json").read_text())
    assert config["checkpointing"] == "2" and [event.split(":")[0] for event in config["memory"]["events"]] == ["step 2", "step 3"]
    assert adapter_bytes(calm) == adapter_bytes(short)


def test_running_out_of_memory_splits_what_was_packed_first(nkat, tmp_path):
    data = write_records(tmp_path / "data.jsonl", RECORDS * 2)
    given = dict(train_data=data, max_steps=2, max_sequence_length=200, batch_size=1, gradient_accumulation=4, tokens_per_micro_batch=4000)
    calm, short = tmp_path / "calm", tmp_path / "short"
    assert nkat("train", *training.options(calm, **given)).returncode == 0
    done = nkat("train", *training.options(short, **given), env={**os.environ, "NKAT_FAULTS": "oom@1,oom@2,oom@2"})
    assert done.returncode == 0, done.stderr
    events = json.loads((short / "config.json").read_text())["memory"]["events"]
    assert events == ["step 1: splitting micro-batches to 2 samples", "step 2: splitting micro-batches to 1 samples",
                      "step 2: recomputing 1 of 6 layers"]
    # Sums of the same float32 gradients in another order.
    assert [line["grad_norm"] for line in training.lines(short)] == pytest.approx([line["grad_norm"] for line in training.lines(calm)], rel=1e-5)


def test_memory_events_of_earlier_starts_stay_recorded(nkat, tmp_path):
    data = write_records(tmp_path / "data.jsonl", RECORDS)
    words = training.options(tmp_path / "run", train_data=data, max_steps=2, max_sequence_length=200, checkpointing="none",
                             tokens_per_micro_batch="none")
    assert nkat("train", *words, env={**os.environ, "NKAT_FAULTS": "oom@2"}).returncode == 0
    assert nkat("train", *words, "--max-steps", "3").returncode == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["memory"]["events"] == ["step 2: recomputing 1 of 6 layers"] and config["checkpointing"] == "1"


def test_a_validation_that_runs_out_of_memory_takes_smaller_passes(nkat, tmp_path):
    data = write_records(tmp_path / "data.jsonl", RECORDS * 12)
    given = dict(train_data=data, validation_data=data, max_steps=2, max_sequence_length=200, batch_size=1, validate_every=1)
    budget = planned(nkat, training.options(tmp_path / "run", **given, checkpointing="full"))["total_bytes"]
    done = nkat("train", *training.options(tmp_path / "run", **given, vram_budget_gib=budget / 2**30))
    assert done.returncode == 0, done.stderr
    assert "tokens at a time" in done.stderr
    free = nkat("train", *training.options(tmp_path / "free", **given))
    assert free.returncode == 0
    tight_loss, free_loss = (training.lines(tmp_path / name)[-1]["validation_loss"] for name in ("run", "free"))
    assert tight_loss == pytest.approx(free_loss, rel=1e-5)


def test_running_out_of_memory_for_good_exits_4_with_the_table(nkat, tmp_path):
    data = write_records(tmp_path / "data.jsonl", RECORDS)
    words = training.options(tmp_path / "run", train_data=data, max_sequence_length=200)
    done = nkat("train", *words, env={**os.environ, "NKAT_FAULTS": ",".join(["oom@1"] * 40)})
    assert done.returncode == 4
    assert "all fallbacks exhausted" in done.stderr and "recomputed layers" in done.stderr


@pytest.mark.parametrize("fault, code, message", [("device@3", 4, "the device failed: CUDA error"), ("bug@3", 1, "asked for by NKAT_FAULTS")])
def test_any_exception_of_a_step_saves_the_run_first(nkat, tmp_path, fault, code, message):
    data = write_records(tmp_path / "data.jsonl", RECORDS)
    given = dict(train_data=data, max_steps=4, max_sequence_length=200, checkpoint_every=50)
    assert nkat("train", *training.options(tmp_path / "calm", **given)).returncode == 0
    words = training.options(tmp_path / "run", **given)
    done = nkat("train", *words, env={**os.environ, "NKAT_FAULTS": fault})
    assert done.returncode == code and message in done.stderr
    assert (tmp_path / "run" / "checkpoints" / "step-000002").is_dir()
    assert nkat("train", *words).returncode == 0
    assert adapter_bytes(tmp_path / "calm") == adapter_bytes(tmp_path / "run")


def long_texts(folder, count=4):
    text = " ".join(str(i % 10) for i in range(4000))
    path = folder / "long.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for _ in range(count)))
    return path


def planned(nkat, words):
    done = nkat("plan", "--json", *words)
    return json.loads(done.stdout)


def test_a_budget_below_the_kept_activations_is_met_by_recomputing(nkat, tmp_path):
    given = dict(train_data=long_texts(tmp_path), max_steps=2, max_sequence_length=500, validate_every=10)
    free, tight = tmp_path / "free", tmp_path / "tight"
    totals = [planned(nkat, training.options(free, **given, checkpointing=layers))["total_bytes"] for layers in ("none", "full")]
    budget = sum(totals) / 2
    assert nkat("train", *training.options(free, **given, checkpointing="none")).returncode == 0
    done = nkat("train", *training.options(tight, **given, vram_budget_gib=budget / 2**30))
    assert done.returncode == 0, done.stderr
    assert max(line["memory_bytes"] for line in training.lines(free)) > budget
    assert max(line["memory_bytes"] for line in training.lines(tight)) <= budget
    assert int(json.loads((tight / "config.json").read_text())["checkpointing"]) > 0
    assert adapter_bytes(free) == adapter_bytes(tight)


def test_a_step_that_is_not_finite_is_skipped_and_recorded(nkat, tmp_path):
    data = write_records(tmp_path / "data.jsonl", RECORDS)
    words = training.options(tmp_path / "run", train_data=data, max_steps=5, max_sequence_length=200)
    done = nkat("train", *words, env={**os.environ, "NKAT_FAULTS": "nan@2,nan@4"})
    assert done.returncode == 0, done.stderr
    lines = training.lines(tmp_path / "run")
    assert [("skipped" in line) for line in lines] == [False, True, False, True, False]
    assert lines[1]["gate_force"] == [None] * len(lines[1]["alpha"])
    assert lines[2]["alpha"] == lines[1]["alpha"] and lines[3]["alpha"] != lines[2]["alpha"]


def test_the_third_step_in_a_row_that_is_not_finite_stops_the_run(nkat, tmp_path):
    data = write_records(tmp_path / "data.jsonl", RECORDS)
    words = training.options(tmp_path / "run", train_data=data, max_steps=12, checkpoint_every=2, max_sequence_length=200)
    done = nkat("train", *words, env={**os.environ, "NKAT_FAULTS": "nan@1,nan@4,nan@5,nan@6"})
    assert done.returncode == 5
    assert "3 steps in a row" in done.stderr
    error = next(line for line in done.stderr.splitlines() if "3 steps in a row" in line)
    assert error.count(f"{data}:") == 3 * 4, "the samples of these three steps and no others"
    again = nkat("train", *words)
    assert again.returncode == 0 and "step-000004" in again.stderr, again.stderr
    assert len(training.lines(tmp_path / "run")) == 12


def test_eval_equals_the_loss_of_transformers(nkat, tmp_path, tokenizer):
    run = run_one_window(nkat, tmp_path, max_steps=2)
    done = nkat(
        "eval",
        "--json",
        "--model-path",
        training.DEMO / "model",
        "--adapter",
        run / "adapter",
        "--data",
        tmp_path / "data.jsonl",
        "--precision",
        "fp32",
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    samples = [encoded(tokenizer, turns) for turns in RECORDS]
    base = torch.cat([AdaptedModel(training.DEMO / "model").token_losses(*sample) for sample in samples])
    adapted = AdaptedModel(training.DEMO / "model").load(run / "adapter")
    losses = torch.cat([adapted.token_losses(*sample) for sample in samples])
    assert result["tokens"] == len(losses)
    assert result["loss"] == pytest.approx(losses.mean().item(), rel=1e-5)
    assert result["base"]["loss"] == pytest.approx(base.mean().item(), rel=1e-5)
    assert result["perplexity"] == pytest.approx(math.exp(result["loss"]))


def test_the_plan_of_memory_agrees_with_what_a_run_holds(nkat, tmp_path):
    for layers in ("none", "full"):
        run = tmp_path / layers
        words = training.options(run, train_data=long_texts(tmp_path), max_steps=2, max_sequence_length=500, checkpointing=layers)
        assert nkat("train", *words).returncode == 0
        held = max(line["memory_bytes"] for line in training.lines(run))
        expected = planned(nkat, words)["total_bytes"]
        print(f"\ncheckpointing {layers}: planned {expected / 2**20:.1f} MiB, held {held / 2**20:.1f} MiB")
        # A plan may be generous, as it must fit; short by more than a twentieth it would be wrong.
        assert 0.95 <= expected / held <= 1.25


def test_the_plan_takes_auto_precision_as_training_does(nkat, tmp_path):
    run = tmp_path / "run"
    words = {"max_steps": 1, "train_data": write_records(tmp_path / "data.jsonl", RECORDS), "validate_every": 10}
    assert nkat("train", *training.options(run, **words, precision="auto")).returncode == 0
    resolved = json.loads((run / "config.json").read_text())["precision"]
    parts = {name: planned(nkat, training.options(run, **words, precision=name)) for name in ("auto", "fp32", "bf16")}
    assert parts["auto"] == parts[resolved] and parts["fp32"]["total_bytes"] > parts["bf16"]["total_bytes"]


def test_the_plan_is_made_within_a_second_and_exits_4_when_it_does_not_fit(nkat):
    words = ["plan", "--model-path", training.DEMO / "model", "--max-sequence-length", 256]
    nkat(*words)
    started = time.monotonic()
    done = nkat(*words)
    seconds = time.monotonic() - started
    assert done.returncode == 0 and "fits" in done.stdout
    assert seconds < 3, "an allowance for a busy machine; it takes about half a second"
    tight = nkat(*words, "--vram-budget-gib", 0.1)
    assert tight.returncode == 4 and "does not fit" in tight.stdout
