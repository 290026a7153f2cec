"""`nkat eval --task loss` against transformers and PyTorch: loss, change, divergence, ablation, and what it refuses."""
import hashlib
import json
import math
import os
import signal
import struct
import subprocess

import pytest
import safetensors.torch
import torch
import training
import transformers
from adapter_reference import AdaptedModel
from test_train import encoded

MODEL = training.DEMO / "model"
LAYERS, BLOCKS = 6, 24
# Forward in float32 against float64: a few hundred roundings of 6e-8 on values of order one.
PARITY = 1e-5


def base_sha256():
    """By its definition: each tensor's name, type, shape and bytes, sorted by name."""
    content = (MODEL / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    tensors = json.loads(content[8 : 8 + size])
    tensors.pop("__metadata__", None)
    digest = hashlib.sha256()
    for name in sorted(tensors, key=str.encode):
        begin, end = (8 + size + offset for offset in tensors[name]["data_offsets"])
        shape = ",".join(map(str, tensors[name]["shape"]))
        digest.update(f"{name}\0{tensors[name]['dtype']}\0{shape}\0".encode() + content[begin:end])
    return digest.hexdigest()


def write_adapter(folder, alphas, first_layer=0, spread=0.8, **changes):
    """An adapter with these gates and fixed random rotations."""
    folder.mkdir()
    torch.manual_seed(7)
    weights = [spread * torch.randn(BLOCKS, 8, 8) for _ in range(LAYERS)]
    tensors = {}
    for layer, alpha in enumerate(alphas, first_layer):
        tensors[f"layers.{layer}.so8t.weight"] = weights[layer]
        tensors[f"layers.{layer}.so8t.alpha"] = torch.tensor(float(alpha))
    safetensors.torch.save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "NKAT_SO8T",
        "version": 1,
        "base_model_name_or_path": "demo",
        "hidden_size": 192,
        "num_hidden_layers": LAYERS,
        "first_adapter_layer": first_layer,
        "base_sha256": base_sha256(),
        **changes,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


GATES = [0.5, -1.0, 1.0, -2.0, 0.0, -1.5]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An adapter, some held-out conversations and some general text."""
    folder = tmp_path_factory.mktemp("eval")
    write_adapter(folder / "adapter", GATES)
    training.first_lines(training.DEMO / "validation.jsonl", folder / "held-out.jsonl", 24)
    training.first_lines(training.DEMO / "general.jsonl", folder / "general.jsonl", 20)
    return folder


def words(folder, data="held-out.jsonl", adapter="adapter"):
    given = ["eval", "--model-path", MODEL, "--data", folder / data, "--precision", "fp32", "--device", "cpu"]
    return [*given, "--adapter", folder / adapter] if adapter else given


@pytest.fixture(scope="module")
def evaluate(nkat):
    def run(*given):
        done = nkat(*given, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def result(evaluate, folder):
    return evaluate(*words(folder), "--general-data", folder / "general.jsonl", "--ablate", "layers")


@pytest.fixture(scope="module")
def samples(folder):
    """Ids and targets of each file's records, encoded by transformers."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)

    def read(name):
        for record in map(json.loads, (folder / name).read_text().splitlines()):
            if "messages" in record:
                yield encoded(tokenizer, [(turn["role"], turn["content"]) for turn in record["messages"]])
            else:
                tokens = tokenizer(record["text"], add_special_tokens=False).input_ids
                yield tokens, [False] + [True] * (len(tokens) - 1)

    return {name: list(read(f"{name}.jsonl")) for name in ("held-out", "general")}


def log_probabilities(model, samples):
    """Of every token at every target, in float64, and the targets."""
    rows, targets = [], []
    with torch.no_grad():
        for tokens, is_target in samples:
            logits = model(torch.tensor([tokens])).logits[0, :-1]
            mask = torch.tensor(is_target[1:], dtype=torch.bool)
            rows.append(logits[mask].double().log_softmax(-1))
            targets.append(torch.tensor(tokens[1:])[mask])
    return torch.cat(rows), torch.cat(targets)


@pytest.fixture(scope="module")
def reference(folder, samples):
    """For each file: targets, and log probabilities without and with the adapter."""
    base, adapted = AdaptedModel(MODEL), AdaptedModel(MODEL).load(folder / "adapter")
    rows = {}
    for name, file in samples.items():
        without, targets = log_probabilities(base.model, file)
        rows[name] = targets, without, log_probabilities(adapted.model, file)[0]
    return rows


@pytest.mark.parametrize("name", ["held-out", "general"])
def test_loss_change_and_divergence_equal_transformers(result, reference, samples, name):
    found = result["general"] if name == "general" else result
    targets, base, adapted = reference[name]
    base_loss, adapted_loss = (-rows.gather(1, targets[:, None]).mean().item() for rows in (base, adapted))
    divergence = (base.exp() * (base - adapted)).sum(1).mean().item()
    print(f"\n{name}: base {base_loss:.6f}, adapted {adapted_loss:.6f}, KL {divergence:.6f}")
    print(f"relative errors: loss {found['loss'] / adapted_loss - 1:.1e}, KL {found['kl'] / divergence - 1:.1e}")
    assert abs(adapted_loss - base_loss) > 0.01 and divergence > 0.01, "the adapter must do something"
    assert (found["tokens"], found["samples"]) == (len(targets), len(samples[name]))
    assert found["base"]["loss"] == pytest.approx(base_loss, rel=PARITY)
    assert found["loss"] == pytest.approx(adapted_loss, rel=PARITY)
    assert found["change"]["loss"] == pytest.approx(adapted_loss - base_loss, abs=2 * PARITY * base_loss)
    # An error of d in the logits moves KL by at most d |q - p| <= d sqrt(2 KL) (Pinsker); d is 2e-6 for logits of 30.
    assert found["kl"] == pytest.approx(divergence, abs=2e-6 * math.sqrt(2 * divergence))
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    assert found["base"]["perplexity"] == pytest.approx(math.exp(found["base"]["loss"]))


def test_the_bare_model_equals_transformers_in_float32(evaluate, folder, samples, result):
    found = evaluate(*words(folder, adapter=None))
    model = transformers.AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32, attn_implementation="eager").eval()
    rows, targets = log_probabilities(model, samples["held-out"])
    assert found["loss"] == pytest.approx(-rows.gather(1, targets[:, None]).mean().item(), rel=PARITY)
    assert found["loss"] == result["base"]["loss"] and found["interval"] == result["base"]["interval"]
    assert not {"base", "change", "kl", "general", "ablation"} & set(found)


def test_intervals_hold_their_value_and_pairing_narrows_them(result):
    for found in (result, result["base"], result["general"]):
        assert found["interval"][0] < found["loss"] < found["interval"][1]
        assert found["perplexity_interval"] == pytest.approx([math.exp(end) for end in found["interval"]])
    low, high = result["change"]["interval"]
    assert low < result["change"]["loss"] < high
    assert high - low < 0.5 * min(b - a for a, b in (result["interval"], result["base"]["interval"]))


def test_the_same_call_prints_the_same(evaluate, folder, result):
    again = evaluate(*words(folder))
    assert again == {key: value for key, value in result.items() if key not in ("general", "ablation")}


def test_shutting_a_gate_equals_an_adapter_whose_alpha_is_very_low(evaluate, folder, result):
    assert [one["layer"] for one in result["ablation"]] == list(range(LAYERS))
    for layer, one in enumerate(result["ablation"]):
        alphas = [-200.0 if i == layer else alpha for i, alpha in enumerate(GATES)]
        write_adapter(folder / f"shut-{layer}", alphas)
        shut = evaluate(*words(folder, adapter=f"shut-{layer}"))
        # sigmoid(-200) is 0 in float32, and I h = h exactly: only the float64 sums differ.
        assert one["loss_change"] == pytest.approx(shut["loss"] - result["loss"], abs=1e-12)
        assert one["interval"][0] <= one["loss_change"] <= one["interval"][1]
        assert one["gate"] == pytest.approx(1 / (1 + math.exp(-GATES[layer])), rel=1e-6)
    assert len({one["loss_change"] for one in result["ablation"]}) == LAYERS


def test_an_adapter_of_the_upper_layers_is_ablated_there_alone(evaluate, folder):
    write_adapter(folder / "upper", [-1.0, 0.0], first_layer=4)
    write_adapter(folder / "only-4", [-1.0, -200.0], first_layer=4)
    whole = evaluate(*words(folder, adapter="upper"), "--ablate", "layers")
    assert [one["layer"] for one in whole["ablation"]] == [4, 5]
    expected = evaluate(*words(folder, adapter="only-4"))["loss"] - whole["loss"]
    assert whole["ablation"][1]["loss_change"] == pytest.approx(expected, abs=1e-12)


def test_the_text_says_all_that_the_json_does(nkat, folder, result):
    text = nkat(*words(folder), "--general-data", folder / "general.jsonl", "--ablate", "layers").stdout
    print("\n" + text)
    for number in (result["loss"], result["base"]["loss"], result["change"]["loss"], result["general"]["loss"], result["ablation"][3]["loss_change"]):
        assert f"{number:.4f}" in text
    assert f"{result['kl']:.4g}" in text and f"{result['tokens']} target tokens" in text


def test_one_sample_has_no_interval(evaluate, folder):
    training.first_lines(folder / "held-out.jsonl", folder / "one.jsonl", 1)
    found = evaluate(*words(folder, "one.jsonl"))
    assert found["interval"] is None and found["change"]["interval"] is None and found["loss"] > 0


def test_repeated_records_are_warned_of(nkat, folder):
    training.first_lines(folder / "held-out.jsonl", folder / "two.jsonl", 2)
    done = nkat(*words(folder, "two.jsonl:3", adapter=None))
    assert done.returncode == 0 and "of 6 samples" in done.stdout and "too narrow" in done.stderr, done.stderr


def test_a_signal_stops_an_evaluation(nkat_path, folder):
    given = [*words(folder, "held-out.jsonl:400"), "--ablate", "layers"]
    process = subprocess.Popen([str(nkat_path), *map(str, given)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline()  # from its first line on it heeds signals
    process.send_signal(signal.SIGTERM)
    output, message = process.communicate(timeout=60)
    assert process.returncode == 75 and output == "", message


def data_file(folder, name, content):
    (folder / name).write_text(content)
    return name


def broken_adapter(folder, name, tensor, value):
    adapter = write_adapter(folder / name, GATES)
    tensors = safetensors.torch.load_file(adapter / "adapter_model.safetensors")
    tensors[tensor].view(-1)[1 if tensors[tensor].dim() else 0] = value
    safetensors.torch.save_file(tensors, adapter / "adapter_model.safetensors")
    return name


def foreign_adapter(folder):
    write_adapter(folder / "foreign", GATES, base_sha256="0" * 64)
    return "foreign"


def shorter_adapter(folder):
    write_adapter(folder / "shorter", GATES[:5])
    return "shorter"


def model_without_weights(folder, name="bare"):
    model = folder / name
    model.mkdir()
    for path in MODEL.iterdir():
        if path.suffix != ".safetensors":
            os.symlink(path, model / path.name)
    return model


def overflowing_model(folder):
    """Finite weights whose logits are not."""
    model = model_without_weights(folder, "overflowing")
    tensors = safetensors.torch.load_file(MODEL / "model.safetensors")
    tensors["model.norm.weight"].fill_(1e38)
    safetensors.torch.save_file(tensors, model / "model.safetensors", {"format": "pt"})
    return model


MISTAKES = {
    "ablation without an adapter": (lambda f: [*words(f, adapter=None), "--ablate", "layers"], 2, "give --adapter DIR"),
    "an unknown ablation": (lambda f: [*words(f), "--ablate", "layer"], 2, "did you mean 'layers'"),
    "an adapter of another base": (lambda f: words(f, adapter=foreign_adapter(f)), 3, "000000"),
    "an adapter with a layer too few": (lambda f: words(f, adapter=shorter_adapter(f)), 3, "layers.5.so8t"),
    "a NaN among the rotations": (lambda f: words(f, adapter=broken_adapter(f, "nan", "layers.2.so8t.weight", math.nan)), 3, "layers.2.so8t.weight"),
    "an infinite gate": (lambda f: words(f, adapter=broken_adapter(f, "inf", "layers.1.so8t.alpha", math.inf)), 3, "layers.1.so8t.alpha"),
    "a loss that is not finite": (
        lambda f: [*words(f, adapter=None), "--model-path", overflowing_model(f)],
        3,
        "held-out.jsonl:1: the loss of the model must be finite and is not",
    ),
    "empty data": (lambda f: words(f, data_file(f, "empty.jsonl", "")), 3, "empty.jsonl"),
    "data without a target": (
        lambda f: words(f, data_file(f, "user.jsonl", '{"messages": [{"role": "user", "content": "x"}]}\n')),
        3,
        "user.jsonl: no record leaves a token",
    ),
    "general text that is missing": (lambda f: [*words(f), "--general-data", f / "none.jsonl"], 3, "none.jsonl"),
    "bad data before the weights": (
        lambda f: [*words(f, data_file(f, "bad.jsonl", "{oops\n"), adapter=None), "--model-path", model_without_weights(f)],
        3,
        "bad.jsonl:1",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_has_its_exit_code(nkat, folder, mistake):
    make, code, text = MISTAKES[mistake]
    done = nkat(*make(folder))
    print(f"\n{mistake} | {done.returncode} | {done.stderr.strip().splitlines()[-1].replace(str(folder), '...')}")
    assert done.returncode == code and text in done.stderr, done.stderr
    assert done.stdout == "" and "internal error" not in done.stderr
