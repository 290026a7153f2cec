"""Every decoder family against transformers, on small random checkpoints, and each command on each family.

In float32 on both sides max|difference| / max|logit| stays below 1e-5. `pytest -s` prints the table.
"""
import dataclasses
import json
import os

import families
import pytest
import safetensors.torch
import torch
import training
import transformers
from adapter_reference import AdaptedModel
from exports import MODEL, load, logits_of
from rank_processes import Ranks
from test_parity import BF16_RATIO, FLOAT32_BOUND, our_logits, random_sample, relative_error, their_logits
from test_train import RECORDS, encoded, long_texts, planned, write_records

BY_NAME = {variant.name: variant for variant in families.VARIANTS}
CHOSEN = ("SmolLM2's shape", "Llama, llama3, beyond 32", "Mistral, window of 7", "Qwen2", "Qwen3, biases, window of 7")
SOME = [BY_NAME[name] for name in CHOSEN]
# Every bias there is, the merged one of down_proj too.
KINDS = {**{name: {} for name in families.TYPICAL}, "llama with biases": {"attention_bias": True, "mlp_bias": True}}


@pytest.mark.parametrize("variant", families.VARIANTS, ids=lambda variant: variant.name)
def test_float32_logits_equal_transformers(variant, tmp_path, dump_logits, parity_table):
    model = families.make(variant, tmp_path)
    if variant.shard != "5GB":
        assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    sample = random_sample(variant.length)
    error = relative_error(our_logits(dump_logits, tmp_path, [sample]), their_logits(model, sample))
    parity_table.append((variant.name, variant.length, "float32", error, FLOAT32_BOUND))
    assert error <= FLOAT32_BOUND


@pytest.mark.parametrize("variant", SOME, ids=lambda variant: variant.name)
def test_packed_samples_and_cached_steps_equal_transformers(variant, tmp_path, dump_logits, parity_table):
    model = families.make(variant, tmp_path)
    packed = [random_sample(length, length) for length in (5, 33, 1, 40)]
    for way, samples in (("packed", packed), ("cached", packed[1:2])):
        theirs = torch.cat([their_logits(model, sample) for sample in samples])
        error = relative_error(our_logits(dump_logits, tmp_path, samples, way=way), theirs)
        parity_table.append((variant.name, len(theirs), f"float32, {way}", error, FLOAT32_BOUND))
        assert error <= FLOAT32_BOUND


@pytest.mark.parametrize("variant", SOME, ids=lambda variant: variant.name)
def test_bf16_error_is_at_most_twice_that_of_transformers(variant, tmp_path, dump_logits, parity_table):
    model = families.make(dataclasses.replace(variant, stored=torch.bfloat16), tmp_path, torch.bfloat16)
    samples = [random_sample(variant.length, seed) for seed in range(8)]
    theirs = torch.cat([their_logits(model, sample) for sample in samples])
    exact = torch.cat([their_logits(model.double(), sample) for sample in samples])
    error = relative_error(our_logits(dump_logits, tmp_path, samples, "bf16"), exact)
    bound = BF16_RATIO * relative_error(theirs, exact)
    parity_table.append((variant.name, variant.length, "BF16", error, bound))
    assert error <= bound


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    """A model with the demo's tokenizer."""
    path = tmp_path_factory.mktemp("family") / "model"
    families.make(families.typical(request.param.split()[0], **KINDS[request.param]), path, tokenizer=MODEL)
    return path


def options(folder, run, **changes):
    given = dict(model_path=folder, max_steps=4, checkpoint_every=2, validate_every=100, max_sequence_length=64)
    return training.options(run, **{**given, **changes})


def trained(nkat, folder, run, **changes):
    done = nkat("train", *options(folder, run, **changes))
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture(scope="module")
def run(nkat, folder, tmp_path_factory):
    return trained(nkat, folder, tmp_path_factory.mktemp("run") / "run", alpha_init=0, weight_init_std=0.2)


def losses_of(run):
    return [line["loss"] for line in training.lines(run)]


def test_a_run_that_failed_goes_on_bit_for_bit(nkat, folder, run, tmp_path):
    words = options(folder, tmp_path / "run", alpha_init=0, weight_init_std=0.2)
    assert nkat("train", *words, env={**os.environ, "NKAT_FAULTS": "bug@3"}).returncode != 0
    assert nkat("train", *words).returncode == 0
    training.assert_same_run(run, tmp_path / "run")


def test_a_trained_adapter_has_the_loss_that_transformers_computes(nkat, folder, run, tmp_path):
    data = write_records(tmp_path / "data.jsonl", RECORDS)
    words = ["--adapter", run / "adapter", "--data", data, "--precision", "fp32", "--device", "cpu", "--json"]
    done = nkat("eval", "--model-path", folder, *words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    samples = [encoded(tokenizer, turns) for turns in RECORDS]
    for part, model in ((found["base"], AdaptedModel(folder)), (found, AdaptedModel(folder).load(run / "adapter"))):
        losses = torch.cat([model.token_losses(*sample) for sample in samples])
        assert part["loss"] == pytest.approx(losses.mean().item(), rel=1e-5)


def test_a_merged_folder_computes_what_backbone_and_adapter_do(export, folder, run, tmp_path):
    """The bias of down_proj is merged like its columns."""
    export(tmp_path / "hf", model=folder, adapter=run / "adapter", format="hf")
    sample = random_sample(40)
    theirs = their_logits(AdaptedModel(folder).load(run / "adapter").model, sample)
    ours = torch.from_numpy(logits_of(load(tmp_path / "hf", torch.float64), sample))
    assert relative_error(ours, theirs) <= FLOAT32_BOUND


def test_two_ranks_have_the_losses_of_one(nkat, nkat_path, folder, tmp_path):
    one = trained(nkat, folder, tmp_path / "one", max_steps=2)
    ranks = Ranks(nkat_path, tmp_path, 2, options(folder, tmp_path / "two", max_steps=2))
    assert ranks.wait(120) == [0, 0], [log.read_text()[-2000:] for log in ranks.logs]
    assert losses_of(tmp_path / "two") == pytest.approx(losses_of(one), rel=1e-5)


def test_quantized_bases_have_nearly_the_loss_of_a_safe_one(nkat, folder, tmp_path):
    """Of random weights: 8 bits change a logit by about 1 % of it, NF4 in gate_up by 10 %, and the loss by less."""
    safe, balanced, aggressive = (
        losses_of(trained(nkat, folder, tmp_path / base, max_steps=1, base=base)) for base in ("safe", "balanced", "aggressive")
    )
    assert balanced == pytest.approx(safe, rel=0.02)
    assert aggressive == pytest.approx(safe, rel=0.1)
    assert safe != balanced != aggressive


@pytest.mark.parametrize("control", ["identity", "shuffled"])
def test_controls_train(nkat, folder, control, tmp_path):
    run = trained(nkat, folder, tmp_path / "run", max_steps=2, control=control)
    weights = safetensors.torch.load_file(run / "adapter" / "adapter_model.safetensors")
    assert control != "identity" or not any(tensor.any() for name, tensor in weights.items() if name.endswith(".weight"))


def test_the_plan_counts_what_the_files_hold_and_what_a_run_takes(nkat, folder, tmp_path):
    words = options(folder, tmp_path / "run", train_data=long_texts(tmp_path), max_steps=2, max_sequence_length=120, checkpointing="none")
    table = nkat("plan", *words).stdout
    count = sum(tensor.numel() for tensor in safetensors.torch.load_file(folder / "model.safetensors").values())
    assert f"frozen: {count} parameters, {4 * count} bytes" in table
    assert nkat("train", *words).returncode == 0
    held = max(line["memory_bytes"] for line in training.lines(tmp_path / "run"))
    expected = planned(nkat, words)["total_bytes"]
    print(f"\nplanned {expected / 2**20:.2f} MiB, held {held / 2**20:.2f} MiB")
    assert 0.95 <= expected / held <= 1.3


# Bytes equal to the embedding's are only stored twice.
@pytest.mark.parametrize("kind", ["another", "the same"])
def test_a_tied_models_stored_head_is_taken_with_a_warning_unless_it_is_the_embedding(export, nkat, kind, tmp_path, dump_logits):
    folder = tmp_path / "model"
    families.make(families.typical("llama"), folder, tokenizer=MODEL)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    embedding = weights["model.embed_tokens.weight"]
    weights["lm_head.weight"] = embedding.clone() if kind == "the same" else embedding.flip(0).contiguous()
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "hf", "--format", "hf")
    assert done.returncode == 0, done.stderr
    assert ("the stored head is taken" in done.stderr) == (kind == "another")
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["tie_word_embeddings"] == (kind == "the same")
    assert ("lm_head.weight" in safetensors.torch.load_file(tmp_path / "hf" / "model.safetensors")) == (kind == "another")
    sample = random_sample(20)
    config = transformers.AutoConfig.from_pretrained(folder, tie_word_embeddings=False)
    stored = transformers.AutoModelForCausalLM.from_pretrained(folder, config=config, attn_implementation="eager").eval()
    for model in (stored, load(tmp_path / "hf")):
        theirs = their_logits(model, sample)
        ours = our_logits(dump_logits, folder, [sample], vocabulary=theirs.shape[-1])
        assert relative_error(ours, theirs) <= FLOAT32_BOUND
