"""A GGUF file as the base of every command: the same ids, losses, runs and identity as the folder that it stands for, its own
types kept by an export, and llama.cpp's loss on a real model (SmolLM2-135M-Instruct, Q4_1)."""
import json
import shutil

import gguf
import llama_cpp
import numpy as np
import pytest
import rank_processes
import training
import transformers
from exports import ACCEPTING, ALPHAS, load, logits_of, needs_llama_cpp
from gguf_files import decoded, rewrite, tensors_of, weights
from pipelines import config, needs_library
from test_eval import LAYERS, write_adapter
from test_export_patch import norms_sha256

DOWN = [f"blk.{layer}.ffn_down.weight" for layer in range(LAYERS)]
SMOL_DOWN = "blk.{}.ffn_down.weight"
FINER = ["Q4_K", "Q5_K", "Q6_K", "Q8_0", "F16"]


@pytest.fixture(scope="module")
def files(export, tmp_path_factory):
    """The demo's model as GGUF files of these types, and the float32 folder that the first stands for."""
    folder = tmp_path_factory.mktemp("bases")
    for kind in ("f32", "q4_k_m"):
        export(folder / f"{kind}.gguf", quantization=kind)
    export(folder / "f32", format="hf")
    return folder


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    return training.first_lines(training.DEMO / "validation.jsonl", tmp_path_factory.mktemp("data") / "held-out.jsonl", 12)


@pytest.fixture(scope="module")
def smollm2(root):
    path = root / ".deps" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if not path.exists():
        pytest.skip(f"{path.name} is absent: scripts/setup --real fetches it")
    return path


@pytest.fixture(scope="module")
def report_of(nkat):
    """The JSON that a command prints; options: name=value."""

    def call(command, *words, code=0, **options):
        for name, value in options.items():
            words += ("--" + name.replace("_", "-"), *map(str, value if isinstance(value, list) else [value]))
        done = nkat(command, *words, "--json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if code in (0, 5) else done.stderr

    return call


def evaluate(report_of, model, data, **options):
    return report_of("eval", model_path=model, data=data, precision="fp32", device="cpu", **options)


def trained(nkat, model, folder, **changes):
    done = nkat("train", *training.options(folder, model_path=model, max_steps=4, checkpoint_every=4, validate_every=None, **changes))
    assert done.returncode == 0, done.stderr
    return folder / "adapter"


def config_of(adapter):
    return json.loads((adapter / "adapter_config.json").read_text())


# ---- the file in place of its folder


def test_a_file_evaluates_and_answers_as_its_folder(files, held_out, report_of):
    losses, answers = [], []
    for model in (files / "f32.gguf", files / "f32"):
        losses.append(evaluate(report_of, model, held_out)["loss"])
        answers.append(report_of("generate", model_path=model, prompt="What is 3 + 4?", max_new_tokens=12, precision="fp32"))
    assert losses[0] == losses[1] and answers[0] == answers[1]


def test_commands_that_read_no_weights_take_a_file(files, held_out, nkat):
    def outputs(*words):
        done = [nkat(*words, "--model-path", files / one) for one in ("f32.gguf", "f32")]
        assert all(one.returncode == 0 for one in done), done[0].stderr + done[1].stderr
        return [one.stdout for one in done]

    for words in (["data", "samples", held_out], ["data", "tokenize", "--text", "a <|user|> b"], ["data", "check", held_out, "--json"]):
        ours, folders = outputs(*words)
        assert ours == folders
    words = ["plan", "--output-dir", "x", "--train-data", held_out, "--max-sequence-length", 96, "--json"]
    plans = [json.loads(text) for text in outputs(*words)]
    # The file declares the context up to which the short rope factors hold.
    assert plans[0].pop("longest_sequence") <= plans[1].pop("longest_sequence") and plans[0] == plans[1]


def test_a_run_on_a_file_is_the_run_on_its_folder(files, nkat, tmp_path):
    """The same adapter, bit for bit, and one identity: of the file, its parts and the float32 folder."""
    parts = rewrite(files / "f32.gguf", tmp_path / "split.gguf", tensors_a_part=20)
    assert len(list(tmp_path.glob("split-*.gguf"))) > 2
    adapters = [trained(nkat, model, tmp_path / f"run{i}") for i, model in enumerate([files / "f32.gguf", parts, files / "f32"])]
    assert len({(one / "adapter_model.safetensors").read_bytes() for one in adapters}) == 1
    configs = [config_of(one) for one in adapters]
    assert len({one["base_sha256"] for one in configs}) == 1 and len({one["base_norms_sha256"] for one in configs}) == 1


def test_a_run_on_a_quantized_file_resumes_and_knows_another_file(files, nkat, tmp_path):
    trained(nkat, files / "q4_k_m.gguf", tmp_path / "run")
    done = nkat("train", *training.options(tmp_path / "run", model_path=files / "q4_k_m.gguf", max_steps=6, checkpoint_every=4, validate_every=None))
    assert done.returncode == 0 and "4" in done.stderr
    other = nkat("train", *training.options(tmp_path / "run", model_path=files / "f32.gguf", max_steps=8, checkpoint_every=4, validate_every=None))
    assert other.returncode in (2, 3), other.stderr


def test_an_adapter_of_the_folder_meets_a_quantized_file_by_its_norms(files, held_out, nkat, tmp_path):
    words = ["eval", "--model-path", files / "q4_k_m.gguf", "--data", held_out, "--precision", "fp32", "--adapter"]
    done = nkat(*words, write_adapter(tmp_path / "known", ALPHAS, base_norms_sha256=norms_sha256()))
    assert done.returncode == 0 and "quantized file" in done.stderr, done.stderr
    for name, norms in {"unnamed": {}, "another": {"base_norms_sha256": "0" * 64}}.items():
        refused = nkat(*words, write_adapter(tmp_path / name, ALPHAS, **norms))
        assert refused.returncode == 3 and "trained on a base with SHA-256" in refused.stderr


def test_ranks_share_a_file(files, nkat, nkat_path, tmp_path):
    words = training.options(tmp_path / "run", model_path=files / "q4_k_m.gguf", max_steps=2, checkpoint_every=2, validate_every=None)
    assert rank_processes.Ranks(nkat_path, tmp_path, 2, words).wait() == [0, 0]


@needs_library
def test_the_pipeline_takes_a_file(files, held_out, run, tmp_path):
    shutil.copy(held_out, tmp_path / "held-out.jsonl")
    settings = config(export=[{"self_test": "off"}])
    settings["train"]["model_path"] = str(files / "q4_k_m.gguf")
    done = run(tmp_path, settings)
    assert done.returncode == 0, done.stderr
    (report,) = (json.loads(path.read_text()) for path in tmp_path.glob("out/export/*/adapter/report.json"))
    assert report["format"] == "gguf" and report["paired_by"] == "hash of all weights"


# ---- export


def test_an_export_of_a_quantized_file_keeps_what_the_adapter_leaves_alone(files, report_of, tmp_path):
    base = files / "q4_k_m.gguf"
    adapter = write_adapter(tmp_path / "adapter", ALPHAS[1:], first_layer=1, base_norms_sha256=norms_sha256())
    report = report_of("export", *ACCEPTING, model_path=base, adapter=adapter, output=tmp_path / "x.gguf")
    before, after = tensors_of(base), tensors_of(tmp_path / "x.gguf")
    assert list(before) == list(after)
    assert [name for name in before if before[name] != after[name]] == DOWN[1:]
    bits = {kind.name: 8 * size / block for kind, (block, size) in gguf.GGML_QUANT_SIZES.items()}
    for name in DOWN[1:]:
        assert bits[after[name][0]] > bits[before[name][0]], name
    assert {one["fate"] for one in report["ffn_down"]} == {"kept"} and not report["rounded_twice"]
    assert report["paired_by"] == "hash of the norms" and report["format"] == "gguf"


def test_another_quantization_encodes_all_anew_and_says_that_it_rounds_twice(files, nkat, tmp_path):
    words = ["export", "--model-path", files / "q4_k_m.gguf", "--output", tmp_path / "x.gguf", "--quantization", "q8_0"]
    done = nkat(*words)
    assert done.returncode == 0 and "every weight was rounded twice" in done.stdout, done.stderr
    found = tensors_of(tmp_path / "x.gguf")
    for name, (kind, _, content) in found.items():
        source = weights(files / "q4_k_m.gguf", name)
        if kind == "Q8_0":
            assert content == gguf.quants.quantize(source, gguf.GGMLQuantizationType.Q8_0).tobytes(), name
        else:
            assert kind == "F32" and content == source.tobytes(), name


def test_options_of_a_folders_export_are_refused_for_a_file(files, nkat, tmp_path):
    for words in (["--name", "phi3"], ["--context-length", "64"]):
        done = nkat("export", "--model-path", files / "f32.gguf", "--output", tmp_path / "x.gguf", *words)
        assert done.returncode == 2 and "the file's own keys" in done.stderr
    mine = shutil.copy(files / "q4_k_m.gguf", tmp_path / "mine.gguf")
    done = nkat("export", "--model-path", mine, "--output", mine)
    assert done.returncode == 2 and "the model itself" in done.stderr


def test_a_folder_written_from_a_file_is_loaded_by_transformers(files, nkat, tmp_path):
    done = nkat("export", "--model-path", files / "q4_k_m.gguf", "--output", tmp_path / "hf", "--format", "hf")
    assert done.returncode == 0, done.stderr
    same_in_transformers(nkat, files / "q4_k_m.gguf", tmp_path / "hf", ["Hello, world! 3 + 4\n  日本の首都は東京です。", "<|user|>\nHi<|end|>"])


def same_in_transformers(nkat, file, folder, texts):
    """Ids, and our loss of the texts' tokens from the file against transformers' logits from the folder."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = load(folder)
    for text in texts:
        done = nkat("data", "tokenize", "--model-path", file, "--text", text)
        ids = json.loads(done.stdout)
        assert tokenizer(text, add_special_tokens=False).input_ids == ids, text
        assert tokenizer.decode(ids) == json.loads(nkat("data", "tokenize", "--decode", "--model-path", file, "--text", done.stdout).stdout)
        ours = nkat("generate", "--model-path", file, "--raw", "--prompt", text, "--max-new-tokens", 4, "--precision", "fp32", "--json")
        new = json.loads(ours.stdout)["tokens"]
        for token in new:
            assert logits_of(model, ids)[-1].argmax() == token
            ids.append(token)


# ---- files that are no base


def cut(path, target):
    target.write_bytes(path.read_bytes()[:-4096])


HOSTILE = {
    "no GGUF": (lambda base, target: target.write_text("{}"), "GGUF"),
    "cut": (cut, "cut or damaged"),
    "a LoRA": (lambda base, target: rewrite(base, target, keys={"general.type": ("STRING", "adapter")}), "general.type"),
    "a projector": (lambda base, target: rewrite(base, target, keys={"general.architecture": ("STRING", "clip")}), "general.architecture"),
    "another family": (lambda base, target: rewrite(base, target, keys={"general.architecture": ("STRING", "gemma3")}), "gemma3"),
    "a key that is missing": (lambda base, target: rewrite(base, target, without=["phi3.block_count"]), "phi3.block_count"),
    "a tensor that is missing": (lambda base, target: rewrite(base, target, without=[DOWN[2]]), DOWN[2]),
    "no tokens": (lambda base, target: rewrite(base, target, without=["tokenizer.ggml.tokens"]), "tokenizer.ggml.tokens"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_that_is_no_base_is_refused_by_name(kind, files, nkat, tmp_path):
    write, word = HOSTILE[kind]
    write(files / "f32.gguf", tmp_path / "base.gguf")
    done = nkat("generate", "--model-path", tmp_path / "base.gguf", "--prompt", "Hi", "--max-new-tokens", 1)
    assert done.returncode == 3 and "base.gguf" in done.stderr and word in done.stderr, done.stderr


def test_a_folder_of_gguf_files_and_a_wrong_part_name_the_right_file(files, nkat, tmp_path):
    parts = rewrite(files / "f32.gguf", tmp_path / "split.gguf", tensors_a_part=20)
    for path, word in ((tmp_path, parts.name), (parts.with_name(parts.name.replace("-00001-", "-00002-")), "-00001-of-")):
        done = nkat("generate", "--model-path", path, "--prompt", "Hi")
        assert done.returncode == 3 and word in done.stderr, done.stderr


# ---- a real model


@needs_llama_cpp
def test_the_loss_on_a_real_file_is_llama_cpps(smollm2, report_of, nkat, tmp_path):
    """Within 1e-4 of llama.cpp on the file's values in F32, decoded by gguf-py, and within 3e-3 on the file itself, whose
    products llama.cpp rounds to 8 bits: a float32 cache, no flash attention, the same tokens."""
    texts = [json.loads(line)["text"] for line in (training.DEMO / "general.jsonl").read_text().splitlines()[:6]]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    ours = evaluate(report_of, smollm2, tmp_path / "texts.jsonl")
    samples = [json.loads(line)["tokens"] for line in nkat("data", "samples", tmp_path / "texts.jsonl", "--model-path", smollm2).stdout.splitlines()]
    plain = decoded(smollm2, tmp_path / "f32.gguf")
    for path, bound in ((plain, 1e-4), (smollm2, 3e-3)):
        theirs = llama_cpp.ask(path, texts=texts, losses=samples)
        assert theirs["tokens"] == samples
        losses = np.concatenate(theirs["losses"])
        assert ours["tokens"] == len(losses)
        print(f"{path.name}: ours {ours['loss']:.6f}, llama.cpp {losses.mean():.6f}, relative {ours['loss'] / losses.mean() - 1:.1e}")
        assert ours["loss"] == pytest.approx(losses.mean(), rel=bound)


def test_a_real_file_is_trained_on_and_exported_with_its_types_kept(smollm2, report_of, nkat, tmp_path):
    adapter = trained(nkat, smollm2, tmp_path / "run")
    report = report_of("export", *ACCEPTING, model_path=smollm2, adapter=adapter, output=tmp_path / "x.gguf")
    before, after = tensors_of(smollm2), tensors_of(tmp_path / "x.gguf")
    touched = [name for name in before if before[name] != after[name]]
    assert touched == [name for name in before if "ffn_down" in name] and {after[name][0] for name in touched} <= set(FINER)
    assert report["paired_by"] == "hash of all weights" and report["base_sha256"] == config_of(adapter)["base_sha256"]
    assert {one["fate"] for one in report["ffn_down"]} <= {"kept", "weak"}


def test_a_real_file_becomes_a_folder_for_transformers(smollm2, nkat, tmp_path):
    done = nkat("export", "--model-path", smollm2, "--output", tmp_path / "hf", "--format", "hf", "--quantization", "f32")
    assert done.returncode == 0, done.stderr
    same_in_transformers(nkat, smollm2, tmp_path / "hf", ["The capital of France is", "def f(x):\n    return 12345 + x  # naïve 日本"])
    attention = load(tmp_path / "hf").model.layers[0].self_attn
    assert np.array_equal(attention.v_proj.weight.detach(), weights(smollm2, "blk.0.attn_v.weight"))
    # Of each head, the two halves of the checkpoint's rows alternate in the file.
    stored = weights(smollm2, "blk.0.attn_k.weight").reshape(3, 32, 2, 576).swapaxes(1, 2).reshape(192, 576)
    assert np.array_equal(attention.k_proj.weight.detach(), stored)
