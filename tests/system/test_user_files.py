"""Files and words as users have them: what is no such file, a checkpoint of another kind, a folder beside the one that is meant.
Each is refused with its name and what to use instead, or taken as it was meant."""
import json
import os
import shutil
import subprocess
import sys

import llama_cpp
import pytest
import safetensors.torch
import torch
import training
import transformers
from exports import ALPHAS, MODEL, fields, load, logits_of, needs_llama_cpp, tokens_of
from gguf_files import rewrite
from test_errors import GOOD_LINE, copied_model, data_file
from test_eval import write_adapter
from test_export_patch import norms_sha256

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 2138144\n"
DOWN = "model.layers.0.mlp.down_proj"
CPU = ["--device", "cpu", "--precision", "fp32"]
TITLE = "Phi 3.5 Mini Instruct"  # as llama.cpp's own converter writes it


def tensors():
    return safetensors.torch.load_file(MODEL / "model.safetensors")


def model_with(folder, change, **config):
    """The shipped model with other tensors: change(tensors) returns those that are stored."""
    model = copied_model(folder, **config)
    safetensors.torch.save_file(change(tensors()), model / "model.safetensors", metadata={"format": "pt"})
    return model


def eval_words(folder, model=MODEL, **options):
    more = [word for name, value in options.items() for word in ("--" + name.replace("_", "-"), value)]
    return ["eval", "--model-path", model, "--data", data_file(folder, GOOD_LINE), *CPU, *more]


def pointer(name):
    """The shipped model with a git-lfs pointer in the place of one of its files."""
    def make(folder):
        model = copied_model(folder)
        (model / name).write_text(POINTER)
        return model

    return make


def pointer_file(folder, name):
    (folder / name).write_text(POINTER)
    return folder / name


def adapter_of_pointers(folder):
    adapter = write_adapter(folder / "adapter", ALPHAS)
    (adapter / "adapter_model.safetensors").write_text(POINTER)
    return adapter


def nested_quantized(**parts):
    """ffn_down of the first layer as packed bytes, with these tensors beside it."""
    def change(all_tensors):
        weight = all_tensors.pop(f"{DOWN}.weight")
        packed = {f"{DOWN}.{name}": torch.zeros(shape, dtype=dtype) for name, (shape, dtype) in parts.items()}
        return all_tensors | (packed or {f"{DOWN}.weight": weight})

    return change


BITSANDBYTES = nested_quantized(**{"weight": ((9, 1), torch.uint8), "weight.absmax": ((9,), torch.uint8), "weight.quant_map": ((16,), torch.float32),
                                   "weight.quant_state.bitsandbytes__nf4": ((9,), torch.uint8)})
GPTQ = nested_quantized(qweight=((4, 4), torch.int32), qzeros=((1, 1), torch.int32), scales=((1, 4), torch.float16), g_idx=((4,), torch.int32))
AWQ = nested_quantized(qweight=((4, 4), torch.int32), qzeros=((1, 1), torch.int32), scales=((1, 4), torch.float16))
HQQ = nested_quantized(W_q=((4, 4), torch.uint8), scale=((4, 1), torch.float16), zero=((4, 1), torch.float16))
PACKED = nested_quantized(weight_packed=((4, 4), torch.int32), weight_scale=((4, 1), torch.bfloat16), weight_shape=((2,), torch.int64))
INT8 = nested_quantized(weight=((4, 4), torch.int8), weight_scale=((4, 1), torch.bfloat16))


def float8(all_tensors):
    return all_tensors | {f"{DOWN}.weight": all_tensors[f"{DOWN}.weight"].to(torch.float8_e4m3fn), f"{DOWN}.weight_scale": torch.ones(1)}


def lora(all_tensors):
    peft = {f"base_model.model.{name}": value for name, value in all_tensors.items() if name != f"{DOWN}.weight"}
    wrapped = {"base_layer.weight": all_tensors[f"{DOWN}.weight"], "lora_A.default.weight": torch.zeros(4, 384),
               "lora_B.default.weight": torch.zeros(192, 4)}
    return peft | {f"base_model.model.{DOWN}.{name}": value for name, value in wrapped.items()}


def prefixed(prefix, removed=""):
    return lambda all_tensors: {prefix + name.removeprefix(removed): value for name, value in all_tensors.items()}


def quantized(method, change):
    return lambda folder: model_with(folder, change, quantization_config={"quant_method": method})


def renamed(prefix, removed=""):
    return lambda folder: model_with(folder, prefixed(prefix, removed))


def lora_folder(folder):
    (folder / "lora").mkdir()
    config = {"peft_type": "LORA", "base_model_name_or_path": "microsoft/Phi-3.5-mini-instruct"}
    (folder / "lora" / "adapter_config.json").write_text(json.dumps(config))
    (folder / "lora" / "adapter_model.safetensors").write_bytes(safetensors.torch.save({"base_model.model.x.lora_A.weight": torch.zeros(2, 2)}))
    return folder / "lora"


def lora_beside_config(folder):
    model = copied_model(folder)
    (model / "model.safetensors").rename(model / "adapter_model.safetensors")
    return model


def hub_cache(folder):
    shutil.copytree(MODEL, folder / "models--microsoft--Phi-3.5-mini-instruct" / "snapshots" / "3145e03")
    return folder / "models--microsoft--Phi-3.5-mini-instruct"


REFUSED = {
    "the tokenizer as a git-lfs pointer": (lambda f: eval_words(f, pointer("tokenizer.model")(f)), "tokenizer.model: this is a git-lfs pointer"),
    "the weights as a git-lfs pointer": (lambda f: eval_words(f, pointer("model.safetensors")(f)), "model.safetensors: this is a git-lfs pointer"),
    "tokenizer.json as a git-lfs pointer": (lambda f: eval_words(f, pointer("tokenizer.json")(f)), "tokenizer.json: this is a git-lfs pointer"),
    "config.json as a git-lfs pointer": (lambda f: eval_words(f, pointer("config.json")(f)), "config.json: this is a git-lfs pointer"),
    "data as a git-lfs pointer": (
        lambda f: ["data", "check", pointer_file(f, "data.jsonl"), "--model-path", MODEL],
        "data.jsonl: this is a git-lfs pointer",
    ),
    "an adapter of git-lfs pointers": (
        lambda f: eval_words(f, adapter=adapter_of_pointers(f)),
        "adapter_model.safetensors: this is a git-lfs pointer",
    ),
    "a GGUF file as a git-lfs pointer": (
        lambda f: ["patch", pointer_file(f, "model.gguf"), "--adapter", write_adapter(f / "a", ALPHAS), "--output", f / "x.gguf"],
        "model.gguf: this is a git-lfs pointer"),
    "a git-lfs pointer to inspect": (lambda f: ["inspect", pointer_file(f, "model.safetensors")], "git lfs pull"),
    "4-bit bitsandbytes": (
        lambda f: eval_words(f, quantized("bitsandbytes", BITSANDBYTES)(f)),
        "4-bit weights of bitsandbytes (config.json: bitsandbytes); use the unquantized",
    ),
    "GPTQ": (lambda f: eval_words(f, quantized("gptq", GPTQ)(f)), "weights quantized by GPTQ (config.json: gptq)"),
    "AWQ": (lambda f: eval_words(f, quantized("awq", AWQ)(f)), "weights quantized by GPTQ or AWQ (config.json: awq)"),
    "HQQ": (lambda f: eval_words(f, quantized("hqq", HQQ)(f)), "weights quantized by HQQ"),
    "compressed-tensors": (lambda f: eval_words(f, quantized("compressed-tensors", PACKED)(f)), "quantized by compressed-tensors"),
    "8-bit integers": (
        lambda f: eval_words(f, quantized("compressed-tensors", INT8)(f)),
        "8-bit weights (FP8 or integers) with scales (config.json: compressed-tensors)",
    ),
    "FP8": (lambda f: eval_words(f, quantized("fp8", float8)(f)), "found 'F8_E4M3'; quantized weights: use the unquantized model"),
    "quantized weights to export": (
        lambda f: ["export", "--model-path", quantized("gptq", GPTQ)(f), "--output", f / "x.gguf"], "model.safetensors: tensor"),
    "LoRA that isn't merged": (
        lambda f: eval_words(f, model_with(f, lora)),
        "LoRA weights that aren't merged; merge them with peft's merge_and_unload()",
    ),
    "a folder with LoRA's file alone": (lambda f: eval_words(f, lora_beside_config(f)), "adapter_model.safetensors is an adapter alone: merge it"),
    "a LoRA folder as model": (
        lambda f: eval_words(f, lora_folder(f)),
        "found an adapter of peft (LORA); merge it into its base (microsoft/Phi-3.5-mini-instruct)",
    ),
    "a LoRA folder as adapter": (lambda f: eval_words(f, adapter=lora_folder(f)), "merge_and_unload()"),
    "torch.compile": (lambda f: eval_words(f, renamed("_orig_mod.")(f)), "torch.compile; use model._orig_mod.save_pretrained(DIR)"),
    "DataParallel": (lambda f: eval_words(f, renamed("module.")(f)), "DataParallel or DeepSpeed; use model.module.save_pretrained(DIR)"),
    "a multimodal model": (lambda f: eval_words(f, renamed("model.language_model.", "model.")(f)), "the text part of a model that also takes images"),
    "AutoModel without its head": (lambda f: eval_words(f, renamed("", "model.")(f)), "a model without its head (AutoModel)"),
    "a name on the Hub": (lambda f: eval_words(f, "microsoft/Phi-3.5-mini-instruct"), "hf download microsoft/Phi-3.5-mini-instruct --local-dir"),
    "a name on the Hub for data": (
        lambda f: ["data", "check", data_file(f, GOOD_LINE), "--model-path", "microsoft/Phi-3.5-mini-instruct"],
        "hf download microsoft/Phi-3.5-mini-instruct"),
    "a name on the Hub to export": (
        lambda f: ["export", "--model-path", "microsoft/Phi-3.5-mini-instruct", "--output", f / "x.gguf"],
        "hf download microsoft/Phi-3.5-mini-instruct"),
    "the Hub's cache": (lambda f: eval_words(f, hub_cache(f)), "snapshots/3145e03 is one"),
    "the model's config.json": (lambda f: eval_words(f, MODEL / "config.json"), "found a file; give the folder that it is in"),
    "the model's weights": (
        lambda f: ["generate", "--model-path", MODEL / "model.safetensors", "--prompt", "x"],
        "found a file; give the folder that it is in",
    ),
    "an adapter as model": (lambda f: eval_words(f, write_adapter(f / "a", ALPHAS)), "found an adapter; give it as --adapter"),
    "a model as adapter": (lambda f: eval_words(f, adapter=MODEL), "found a model; give it as --model-path"),
    "the adapter's file": (
        lambda f: eval_words(f, adapter=write_adapter(f / "a", ALPHAS) / "adapter_model.safetensors"),
        "found a file; give the folder",
    ),
    "a run's file": (lambda f: ["validate", data_file(f, "{}")], "found a file; give the folder that it is in"),
    "an adapter to validate": (lambda f: ["validate", write_adapter(f / "a", ALPHAS)], "this is an adapter; give the folder of its run"),
    "a folder of data": (lambda f: ["data", "check", f, "--model-path", MODEL], "expected a file, found a folder"),
    "a folder to patch": (
        lambda f: ["patch", MODEL, "--adapter", write_adapter(f / "a", ALPHAS), "--output", f / "x.gguf"],
        "expected a file, found a folder",
    ),
}


@pytest.mark.parametrize("given", REFUSED)
def test_what_is_something_else_is_named_with_what_to_use_instead(nkat, tmp_path, given):
    words, text = REFUSED[given]
    done = nkat(*words(tmp_path), cwd=tmp_path)
    print(f"\n{given} | {done.returncode} | {(done.stderr.strip().splitlines() or [''])[-1][:220].replace(str(tmp_path), '...')}")
    assert done.returncode == 3 and text in done.stderr, done.stderr
    assert "internal error" not in done.stderr


def test_an_index_that_is_a_pointer_is_named(nkat, tmp_path):
    model = pointer("model.safetensors.index.json")(tmp_path)
    (model / "model.safetensors").unlink()
    done = nkat(*eval_words(tmp_path, model))
    assert done.returncode == 3 and "model.safetensors.index.json: this is a git-lfs pointer" in done.stderr, done.stderr


def test_a_run_its_checkpoints_and_its_adapter_are_one_adapter(nkat, trained, tmp_path):
    run = trained.parents[1]
    losses = {}
    for given in (run / "adapter", run, run / "checkpoints", trained):
        done = nkat(*eval_words(tmp_path, adapter=given), "--json")
        assert done.returncode == 0, done.stderr
        losses[given] = json.loads(done.stdout)["loss"]
    assert len(set(losses.values())) == 1
    said = nkat("generate", "--model-path", MODEL, "--adapter", run, "--prompt", "x", "--max-new-tokens", 1, *CPU)
    assert said.returncode == 0 and f"{run}: a run; its adapter is {run / 'adapter'}" in said.stderr, said.stderr
    done = nkat("export", "--model-path", MODEL, "--adapter", run, "--output", tmp_path / "x.gguf", "--self-test", "off")
    assert done.returncode == 0, done.stderr
    assert fields(tmp_path / "x.gguf")["nkat.adapter.sha256"]
    assert nkat("validate", run, "--output-report", tmp_path / "report.json").returncode == 0
    assert "give it as --adapter" in nkat(*eval_words(tmp_path, run)).stderr


@pytest.mark.parametrize("quantization, suggested", [("Q4_K_M", None), ("Q4_k_m", None), ("Q8_0", None), ("q4-k-m", None),
                                                     ("Q4KM", "q4_k_m"), ("int8", None), ("Q3_K_M", "q4_k_m"), ("q6k", "q6_k")])
def test_a_quantization_is_taken_in_any_case_and_the_nearest_is_offered(quantization, suggested, nkat, tmp_path):
    words = ["export", "--model-path", MODEL, "--output", tmp_path / "x.gguf", "--self-test", "off", "--json"]
    config = tmp_path / "options.json"
    config.write_text(json.dumps({"quantization": quantization}))
    for given in (["--quantization", quantization], ["--config", config]):
        done = nkat(*words, *given)
        if quantization.lower().replace("-", "_") in ("q4_k_m", "q8_0"):
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["quantization"] == quantization.lower().replace("-", "_")
        else:
            assert done.returncode == 2 and "expected one of auto, f32" in done.stderr, done.stderr
            assert (f"did you mean '{suggested}'?" in done.stderr) == (suggested is not None)


def test_other_names_are_taken_in_any_case_too(nkat, tmp_path):
    words = [*training.options(tmp_path / "run", max_steps=1, precision="FP32"), "--control", "Frozen_Gates", "--schedule", "Cosine"]
    done = nkat("train", *words)
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["control"], config["schedule"], config["precision"]) == ("frozen-gates", "cosine", "fp32")


def test_a_quantization_that_full_weights_no_longer_have_is_left_out(export, nkat, tmp_path):
    model = copied_model(tmp_path, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    done = nkat("export", "--model-path", model, "--output", tmp_path / "hf", "--format", "hf", "--self-test", "off")
    assert done.returncode == 0 and "quantization_config is left out" in done.stderr, done.stderr
    assert "quantization_config" not in json.loads((tmp_path / "hf" / "config.json").read_text())
    tokens = tokens_of(20)
    assert (logits_of(load(tmp_path / "hf"), tokens) == logits_of(load(MODEL), tokens)).all()


CODE = {
    "configuration_mine.py": "from transformers import Phi3Config\n\n\nclass MineConfig(Phi3Config):\n    model_type = 'phi3'\n",
    "modeling_mine.py": "from transformers import Phi3ForCausalLM\n\nfrom .configuration_mine import MineConfig\nfrom .scaling import SCALE\n\n\n"
                        "class MineForCausalLM(Phi3ForCausalLM):\n    config_class = MineConfig\n\n"
                        "    def forward(self, *given, **named):\n        found = super().forward(*given, **named)\n"
                        "        found.logits = found.logits * SCALE\n        return found\n",
    "scaling.py": "SCALE = 2.0\n",
}
LOAD_MINE = """
import sys, torch, transformers
model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], trust_remote_code=True, dtype=torch.float32)
print(type(model).__name__, model(torch.tensor([[1, 5, 9]])).logits.double().sum().item())
"""


def test_a_folder_with_code_of_its_own_is_exported_with_it(export, tmp_path):
    model = copied_model(tmp_path, auto_map={"AutoConfig": "configuration_mine.MineConfig", "AutoModelForCausalLM": "modeling_mine.MineForCausalLM"})
    for name, text in CODE.items():
        (model / name).write_text(text)
    report = export(tmp_path / "hf", model=model, format="hf", self_test="off")
    assert set(CODE) <= set(report["files"])
    said = {}
    for folder in (model, tmp_path / "hf"):
        done = subprocess.run([sys.executable, "-c", LOAD_MINE, folder], capture_output=True, text=True, timeout=300,
                              env={**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"})
        assert done.returncode == 0, done.stderr
        said[folder] = done.stdout
    assert said[model] == said[tmp_path / "hf"] and said[model].startswith("MineForCausalLM")


@pytest.fixture(scope="module")
def titled(export, tmp_path_factory):
    """A file of the shipped model with the title that the stock converter gives."""
    folder = tmp_path_factory.mktemp("titled")
    export(folder / "ours.gguf", quantization="q8_0")
    return rewrite(folder / "ours.gguf", folder / "titled.gguf", keys={"general.name": ("STRING", TITLE)})


@pytest.fixture(scope="module")
def named_adapter(tmp_path_factory):
    return write_adapter(tmp_path_factory.mktemp("adapters") / "named", ALPHAS, base_norms_sha256=norms_sha256())


CHAT = "<|user|>\nhi<|end|>\n<|assistant|>\nyo<|end|>\n<|user|>\nbye<|end|>\n<|assistant|>\n"


@needs_llama_cpp
@pytest.mark.parametrize("checkpoint", [[], ["--model-path", MODEL]])
def test_a_title_by_which_llama_cpp_cuts_chats_otherwise_is_named_and_can_be_set(checkpoint, titled, named_adapter, nkat, tmp_path):
    words = ["patch", titled, "--adapter", named_adapter, *checkpoint, "--self-test", "off"]
    done = nkat(*words, "--output", tmp_path / "kept.gguf")
    assert done.returncode == 0, done.stderr
    assert "general.name: expected a name with" in done.stderr and "Ollama" in done.stderr and "--general-name" in done.stderr, done.stderr
    assert fields(tmp_path / "kept.gguf")["general.name"][1] == TITLE
    done = nkat(*words, "--output", tmp_path / "set.gguf", "--general-name", "Phi-3.5 mini, patched")
    assert done.returncode == 0 and "general.name" not in done.stderr, done.stderr
    assert fields(tmp_path / "set.gguf")["general.name"][1] == "Phi-3.5 mini, patched"
    keys = {path: [key for key in fields(path) if not key.startswith(("nkat.", "GGUF."))] for path in (titled, tmp_path / "set.gguf")}
    assert keys[titled] == keys[tmp_path / "set.gguf"]
    exact = transformers.AutoTokenizer.from_pretrained(MODEL)(CHAT, add_special_tokens=False).input_ids
    assert llama_cpp.ask(tmp_path / "set.gguf", texts=[CHAT])["tokens"] == [exact]
    assert len(llama_cpp.ask(tmp_path / "kept.gguf", texts=[CHAT])["tokens"][0]) > len(exact)
    refused = nkat(*words, "--output", tmp_path / "x.gguf", "--general-name", "My Model")
    assert refused.returncode == 2 and '--general-name: expected a name with "phi-3" or "phi3", found "My Model"' in refused.stderr


def test_a_patched_file_of_another_base_with_the_same_norms_is_named(export, named_adapter, nkat, tmp_path):
    other = model_with(tmp_path, lambda found: found | {f"{DOWN}.weight": found[f"{DOWN}.weight"] * 1.5})
    export(tmp_path / "other.gguf", model=other, quantization="q8_0")
    export(tmp_path / "same.gguf", quantization="q8_0")
    for name, warned in (("other", True), ("same", False)):
        words = ["--adapter", named_adapter, "--model-path", MODEL, "--output", tmp_path / "x.gguf", "--self-test", "off"]
        done = nkat("patch", tmp_path / f"{name}.gguf", *words)
        assert done.returncode == 0, done.stderr
        assert ("equal norms, other weights" in done.stderr) == warned, done.stderr


ADDED = {"id": 1547, "content": "<foo>", "single_word": False, "lstrip": False, "rstrip": True, "normalized": False, "special": False}
TEXTS = ["a<foo> b", "a<foo>b", "a <foo> b", "x <foo>\n\ny", "<foo>", "a<foo> <foo>c", "<foo>b", "<|user|>\nhi <foo>\nho<|end|>\n"]
FLAGS = {
    "as llama.cpp": {},
    "special": {"special": True},
    "white space kept": {"rstrip": False},
    "special, white space kept": {"rstrip": False, "special": True},
    "white space before": {"lstrip": True},
    "normalized": {"normalized": True},
    "special and normalized": {"normalized": True, "special": True},
}


@needs_llama_cpp
@pytest.mark.parametrize("kind", FLAGS)
def test_every_flag_of_an_added_token_that_llama_cpp_treats_otherwise_is_named(kind, nkat, tmp_path):
    model = copied_model(tmp_path)
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append({**ADDED, **FLAGS[kind]})
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = json.loads((model / "tokenizer_config.json").read_text())
    config["added_tokens_decoder"] = {str(one["id"]): {key: value for key, value in one.items() if key != "id"} for one in tokenizer["added_tokens"]}
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    done = nkat("export", "--model-path", model, "--output", tmp_path / "x.gguf", "--self-test", "off")
    assert done.returncode == 0, done.stderr
    exact = transformers.AutoTokenizer.from_pretrained(model)
    equal = llama_cpp.ask(tmp_path / "x.gguf", texts=TEXTS)["tokens"] == [exact(text, add_special_tokens=False).input_ids for text in TEXTS]
    assert ("<foo>" in done.stderr) == (not equal), done.stderr
    assert equal == (kind in ("as llama.cpp", "special"))


def test_flags_of_validate_that_change_nothing_are_named(nkat, trained, tmp_path):
    words = ["validate", trained.parents[1], "--output-report", tmp_path / "report.json"]
    done = nkat(*words, "--questions", 3, "--overlong", "cut")
    assert done.returncode == 0, done.stderr
    assert "without effect here: --overlong, --questions; they need --model-path" in done.stderr
    assert "without effect" not in nkat(*words).stderr
