"""`--base balanced|aggressive`: gradients and loss beside the safe base, and what must not notice the difference."""
import json
import subprocess
import sys

import pytest
import safetensors.torch
import torch
import training

sys.path.insert(0, str(training.DEMO.parents[1] / "scripts" / "measure"))
from bench_parts.outlier_channels import make_outlier_model  # noqa: E402

MODEL = training.DEMO / "model"
KINDS = ["balanced", "aggressive"]
# Of the gradient by the adapter's M and W to that of the safe base, layer by layer.
LEAST_COSINE = {"balanced": 0.99, "aggressive": 0.95}
# Of the held-out loss to that of a safe run.
LOSS_CHANGE = {"balanced": 0.02, "aggressive": 0.05}
STEPS = 60


def options(run, **changes):
    """The demo's own rates and window, for so many steps that its gates are half way open."""
    given = {
        "max_steps": STEPS,
        "batch_size": 8,
        "gradient_accumulation": 1,
        "max_sequence_length": 160,
        "learning_rate": 5e-2,
        "validation_data": training.first_lines(training.DEMO / "validation.jsonl", run.parent / "held-out.jsonl", 64),
        "validate_every": STEPS,
        "warmup_steps": 10,
        "annealing_warmup": 20,
        "checkpoint_every": 20,
    }
    return training.options(run, **{**given, **changes})


@pytest.fixture(scope="module")
def runs(nkat, tmp_path_factory):
    """A run of each base, by its name."""
    folder = tmp_path_factory.mktemp("bases")
    for base in ["safe", *KINDS]:
        done = nkat("train", *options(folder / base, base=base))
        assert done.returncode == 0, done.stderr
    return folder


def held_out(run):
    return [line["validation_loss"] for line in training.lines(run) if line.get("validation_loss") is not None][-1]


def gradients(nkat_path, model, adapter, data, precision, *bases):
    words = [nkat_path.parent / "tests" / "support" / "nkat_base_gradients", model, adapter, data, "160", precision, *bases]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return {row["base"]: row for row in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("model, precision", [("demo", "bf16"), ("demo", "fp32"), ("outlier channels", "bf16")])
def test_gradients_point_where_those_of_the_safe_base_do(nkat_path, runs, tmp_path, model, precision):
    data = training.first_lines(training.DEMO / "train.jsonl", tmp_path / "data.jsonl", 16)
    adapter = runs / "safe" / "checkpoints" / f"step-{STEPS - 20:06d}"
    folder = MODEL if model == "demo" else make_outlier_model(MODEL, tmp_path / "model")
    rows = gradients(nkat_path, folder, adapter, data, precision, *KINDS)
    for base in KINDS:
        for what in ("M", "W"):
            print(f"\n{model}, {precision}, {base} {what}: " + " ".join(f"{cosine:.4f}" for cosine in rows[base][what]), end="")
            assert len(rows[base][what]) == 6 and min(rows[base][what]) >= LEAST_COSINE[base]


@pytest.mark.parametrize("base", KINDS)
def test_the_held_out_loss_is_that_of_a_safe_run(runs, base):
    safe, found = held_out(runs / "safe"), held_out(runs / base)
    print(f"\n{base}: {found:.4f}, safe {safe:.4f}: {found / safe - 1:+.2%}", end="")
    assert safe < 3.0 and found != safe and abs(found / safe - 1) <= LOSS_CHANGE[base]


@pytest.mark.parametrize("base", KINDS)
def test_the_run_records_its_base_and_its_hash_is_the_models(runs, base):
    assert json.loads((runs / base / "config.json").read_text())["base"] == base
    hashes = [json.loads((runs / run / "adapter" / "adapter_config.json").read_text())["base_sha256"] for run in ("safe", base)]
    assert hashes[0] == hashes[1]


def test_a_run_is_not_resumed_on_another_base(nkat, runs):
    for base in [None, "safe", "aggressive"]:
        done = nkat("train", *options(runs / "balanced", base=base, max_steps=STEPS + 5))
        assert done.returncode == 2 and 'base was "balanced"' in done.stderr, done.stderr


def test_an_interrupted_quantized_run_ends_in_the_same_bytes(nkat, runs, tmp_path):
    """Stopped after 20 of 40 steps by another --max-steps with a constant rate, then resumed."""
    given = {"base": "balanced", "schedule": "constant"}
    for run, steps in (("whole", [40]), ("parts", [20, 40])):
        for last in steps:
            done = nkat("train", *options(tmp_path / run, max_steps=last, validate_every=100, **given))
            assert done.returncode == 0, done.stderr
    whole, parts = ((tmp_path / run / "adapter" / "adapter_model.safetensors").read_bytes() for run in ("whole", "parts"))
    assert whole == parts


def test_an_export_merges_into_the_original_weights(export, runs, tmp_path):
    """Everything but down_proj has the model's values, and down_proj is M W of the stored W."""
    adapter = runs / "aggressive" / "adapter"
    export(tmp_path / "hf", adapter=adapter, format="hf", self_test="off")
    original = safetensors.torch.load_file(MODEL / "model.safetensors")
    merged = {name: tensor for path in (tmp_path / "hf").glob("*.safetensors") for name, tensor in safetensors.torch.load_file(path).items()}
    trained = safetensors.torch.load_file(adapter / "adapter_model.safetensors")
    assert merged.keys() == original.keys()
    for name, tensor in original.items():
        if "down_proj" not in name:
            assert torch.equal(merged[name].float(), tensor.float()), name
            continue
        index = name.split(".")[2]
        weight = trained[f"layers.{index}.so8t.weight"].double()
        gate = torch.sigmoid(trained[f"layers.{index}.so8t.alpha"].double())
        blocks = torch.eye(8, dtype=torch.float64) + gate * torch.linalg.matrix_exp((weight - weight.mT) / 2)
        stored = tensor.double().unflatten(0, (-1, 8))
        exact = (blocks @ stored).flatten(0, 1)
        # M and W' are rounded to float32 once each.
        bound = 2**-22 * (blocks.abs() @ stored.abs()).flatten(0, 1)
        assert ((merged[name].double() - exact).abs() <= bound).all(), name


def test_the_plan_counts_the_base(nkat):
    words = ["plan", "--model-path", MODEL, "--max-sequence-length", 256, "--json"]
    plans = {base: json.loads(nkat(*words, "--base", base).stdout) for base in ["safe", *KINDS]}
    assert [plans[base]["base"] for base in plans] == list(plans)
    weights = [plans[base]["weights_bytes"] for base in plans]
    assert weights == sorted(weights, reverse=True) and len(set(weights)) == 3
    assert json.loads(nkat(*words).stdout) == plans["safe"]


@pytest.mark.parametrize("base", KINDS)
def test_plan_and_training_count_the_parameters_that_the_files_hold(nkat, runs, tmp_path, base):
    sizes = [
        sum(tensor.numel() for tensor in safetensors.torch.load_file(path).values())
        for path in (MODEL / "model.safetensors", runs / base / "adapter" / "adapter_model.safetensors")
    ]
    words = ["--base", base, "--max-sequence-length", 160]
    plan = nkat("plan", "--model-path", MODEL, *words).stdout
    assert plan.startswith(f"Phi3 (base {base})\n")
    assert f"frozen: {sizes[0]} parameters" in plan and f"trained: {sizes[1]} parameters" in plan
    held = "nf4" if base == "aggressive" else "int8"
    assert [line.split()[-3] for line in plan.splitlines() if "(gate_up_proj)" in line] == [held]
    done = nkat("train", *options(tmp_path / "run", base=base, max_steps=1))
    assert f"layers, {sizes[1]} parameters; base: {sizes[0]} parameters frozen" in done.stderr


def test_eval_and_generate_take_the_base(nkat, runs, tmp_path):
    data = training.first_lines(training.DEMO / "validation.jsonl", tmp_path / "held-out.jsonl", 16)
    losses = []
    for base in ["safe", *KINDS]:
        words = ["--model-path", MODEL, "--adapter", runs / "safe" / "adapter", "--device", "cpu", "--precision", "fp32", "--base", base]
        done = nkat("eval", *words, "--data", data, "--max-sequence-length", 160, "--json")
        assert done.returncode == 0, done.stderr
        losses.append(json.loads(done.stdout)["loss"])
        answer = nkat("generate", *words, "--prompt", "What is 2 plus 3?", "--max-new-tokens", 4, "--json")
        assert answer.returncode == 0 and len(json.loads(answer.stdout)["tokens"]) >= 1, answer.stderr
    assert len(set(losses)) == 3 and abs(losses[1] / losses[0] - 1) <= 0.02 and abs(losses[2] / losses[0] - 1) <= 0.05
    assert nkat("eval", "--base", "fastest").returncode == 2
