"""`nkat export` against transformers, gguf-py and real llama.cpp, on the shipped model and on small ones made here."""
import json
import random
import re
import shutil
import signal
import subprocess
import time

import gguf
import libggml
import llama_cpp
import numpy as np
import pytest
import safetensors.torch
import sentencepiece
import torch
import training
import transformers
from adapter_reference import AdaptedModel
from test_eval import LAYERS, write_adapter
from test_parity import Case, longrope, make_model
from tokenizers import Tokenizer

MODEL = training.DEMO / "model"
TOKENIZER_FILES = ["tokenizer.model", "tokenizer.json", "tokenizer_config.json"]
# float32 forward passes with differently ordered sums, on logits of up to 15.
LLAMA_BOUND = 5e-5
FLOAT32_BOUND = 1e-5
QUANTIZATIONS = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k"]
ALPHAS = [-5.0, -2.0, -1.0, 0.0, 1.0, 2.0]

needs_llama_cpp = pytest.mark.skipif(libggml.path() is None, reason="xllamacpp is not installed")


@pytest.fixture(scope="session")
def export(nkat):
    """export(output, adapter=..., format="hf") runs the command, which must succeed, and returns its report."""

    def run(output, model=MODEL, **options):
        words = []
        for name, value in options.items():
            words += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
        done = nkat("export", "--model-path", model, "--output", output, "--json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def open_adapter(tmp_path_factory):
    """Gates from nearly shut to open, rotations far from the identity."""
    return write_adapter(tmp_path_factory.mktemp("adapters") / "open", ALPHAS)


@pytest.fixture(scope="session")
def trained(nkat, tmp_path_factory):
    """The last checkpoint of a short training run."""
    run = tmp_path_factory.mktemp("trained") / "run"
    done = nkat("train", *training.options(run))
    assert done.returncode == 0, done.stderr
    return run / "checkpoints" / "step-000012"


@pytest.fixture(scope="session")
def merged_folder(export, open_adapter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("merged") / "hf"
    export(folder, adapter=open_adapter, format="hf")
    return folder


@pytest.fixture(scope="session")
def merged_file(export, open_adapter, tmp_path_factory):
    path = tmp_path_factory.mktemp("merged") / "model.gguf"
    export(path, adapter=open_adapter, quantization="f32")
    return path


def tokens_of(count, vocabulary=1500, seed=0):
    return np.random.default_rng(seed).integers(3, vocabulary, count).tolist()


def load(folder, dtype=torch.float32):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


def logits_of(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].double().numpy()


def largest_difference(left, right):
    return float(np.abs(np.asarray(left) - np.asarray(right)).max())


# --- the merge ------------------------------------------------------------------------------------------------------


def test_merged_logits_equal_backbone_plus_adapter(merged_folder, open_adapter, dump_logits, tmp_path):
    tokens = tokens_of(120)
    adapted = logits_of(AdaptedModel(MODEL).load(open_adapter).model, tokens)
    theirs = logits_of(load(merged_folder), tokens)
    (tmp_path / "tokens.txt").write_text(" ".join(map(str, tokens)) + "\n")
    subprocess.run([dump_logits, merged_folder, "fp32", "packed", tmp_path / "tokens.txt", tmp_path / "out"], check=True)
    ours = np.fromfile(tmp_path / "out").reshape(len(tokens), -1)
    base = logits_of(load(MODEL), tokens)
    assert largest_difference(adapted, base) > 1  # the adapter does something
    for merged in (theirs, ours):
        assert largest_difference(merged, adapted) <= FLOAT32_BOUND * np.abs(adapted).max()


def test_only_down_projections_change_and_by_one_rounding(merged_folder, open_adapter):
    base = safetensors.torch.load_file(MODEL / "model.safetensors")
    merged = safetensors.torch.load_file(merged_folder / "model.safetensors")
    adapter = AdaptedModel(MODEL).load(open_adapter)
    assert merged.keys() == base.keys()
    for name, tensor in base.items():
        found = re.fullmatch(r"model\.layers\.(\d+)\.mlp\.down_proj\.weight", name)
        if not found:
            assert torch.equal(merged[name], tensor.float()), name
            continue
        layer = int(found[1])
        rotation, gate = adapter.rotations[layer].detach(), adapter.gates[layer].detach()
        blocks = tensor.double().unflatten(0, (-1, 8))
        exact = (blocks + gate * rotation @ blocks).flatten(0, 1)
        # One rounding of W', and the runtime's own rounding of the eight numbers of M that make it (2^-24 each).
        bound = 2**-24 * exact.abs() + 2**-23 * (torch.eye(8) + gate * rotation.abs()).matmul(blocks.abs()).flatten(0, 1)
        assert ((merged[name].double() - exact).abs() <= bound).all(), name


def test_shards_hold_what_one_file_holds(export, open_adapter, merged_folder, tmp_path):
    export(f"{tmp_path}/shards/", adapter=open_adapter, format="hf", max_shard_mib=2)
    shards = sorted((tmp_path / "shards").glob("model-*-of-*.safetensors"))
    assert len(shards) > 2
    assert not list(tmp_path.glob("*nkat-tmp*"))
    together = {}
    for shard in shards:
        together |= safetensors.torch.load_file(shard)
    single = safetensors.torch.load_file(merged_folder / "model.safetensors")
    assert together.keys() == single.keys()
    assert all(torch.equal(together[name], single[name]) for name in single)
    tokens = tokens_of(40)
    assert largest_difference(logits_of(load(tmp_path / "shards"), tokens), logits_of(load(merged_folder), tokens)) == 0


@pytest.mark.parametrize("kind", ["bf16", "f16"])
def test_folders_of_two_byte_types_are_the_merged_weights_rounded(kind, export, open_adapter, merged_folder, tmp_path):
    report = export(tmp_path / "hf", adapter=open_adapter, format="hf", quantization=kind)
    rounded = safetensors.torch.load_file(tmp_path / "hf" / "model.safetensors")
    dtype = {"bf16": torch.bfloat16, "f16": torch.float16}[kind]
    for name, tensor in safetensors.torch.load_file(merged_folder / "model.safetensors").items():
        assert torch.equal(rounded[name], tensor.to(dtype)), name
    assert load(tmp_path / "hf", "auto").dtype == dtype
    assert report["tensors"] == {kind: len(rounded)}


# --- served by llama.cpp ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def trained_pair(export, trained, tmp_path_factory):
    """The trained demo as (GGUF file, Hugging Face folder), both in F32."""
    folder = tmp_path_factory.mktemp("trained_pair")
    export(folder / "model.gguf", adapter=trained, quantization="f32")
    export(folder / "hf", adapter=trained, format="hf")
    return folder / "model.gguf", folder / "hf"


def demo_tokens(count):
    """Of a conversation in the demo's validation data."""
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    text = "".join(line for line in (training.DEMO / "validation.jsonl").read_text().splitlines()[:20])
    return tokenizer.encode(text, add_special_tokens=False).ids[:count]


@needs_llama_cpp
@pytest.mark.parametrize("count", [1, 40, 100])
def test_llama_cpp_computes_transformers_logits(count, trained_pair):
    path, folder = trained_pair
    tokens = demo_tokens(count)
    theirs = logits_of(load(folder), tokens)
    error = largest_difference(llama_cpp.ask(path, logits=tokens, context=256)["logits"], theirs)
    print(f"{count} tokens: {error:.2e} on logits of up to {np.abs(theirs).max():.1f}")
    assert error <= LLAMA_BOUND


@needs_llama_cpp
@pytest.mark.parametrize("count, context", [(256, 256), (300, 512)])
@pytest.mark.parametrize("kind", ["trained", "wide open"])
def test_long_texts_and_wide_open_gates_keep_the_relative_bound(kind, count, context, trained_pair, merged_file, merged_folder):
    """The second length takes the long factors. llama.cpp's angles are float32 products along the channels, so that its
    error against float64 grows with the position and passes transformers' own, which is printed beside it."""
    path, folder, tokens = (*trained_pair, demo_tokens(count)) if kind == "trained" else (merged_file, merged_folder, tokens_of(count))
    exact = logits_of(load(folder, torch.float64), tokens)
    error = largest_difference(llama_cpp.ask(path, logits=tokens, context=context)["logits"], exact)
    theirs = largest_difference(logits_of(load(folder), tokens), exact)
    print(f"{kind}, {count} tokens: {error:.1e}, transformers' {theirs:.1e}, on logits of up to {np.abs(exact).max():.1f}")
    assert error <= FLOAT32_BOUND * np.abs(exact).max()


@needs_llama_cpp
def test_a_plain_start_takes_short_factors_by_default(export, open_adapter, merged_file, merged_folder, tmp_path):
    """Context 0 means what the file says. With the full length llama.cpp turns to the long factors for any text."""
    tokens = tokens_of(60)
    theirs = logits_of(load(merged_folder), tokens)
    export(tmp_path / "full.gguf", adapter=open_adapter, quantization="f32", context_length=512)
    plain = largest_difference(llama_cpp.ask(merged_file, logits=tokens, context=0)["logits"], theirs)
    full = largest_difference(llama_cpp.ask(tmp_path / "full.gguf", logits=tokens, context=0)["logits"], theirs)
    print(f"context_length 256: {plain:.1e}, 512: {full:.1e}")
    assert plain <= LLAMA_BOUND < full


def variant(name, **config):
    return Case(name, {"vocab_size": 1600, "bos_token_id": 1, "eos_token_id": 1536, "pad_token_id": 1536, **config})


VARIANTS = [
    variant("plain 4k"),
    variant("grouped queries", num_key_value_heads=2),
    variant("grouped queries, one key head, longrope", num_key_value_heads=1, **longrope(256, 512)),
    variant("tied", tie_word_embeddings=True),
    variant("rope_theta 250000", rope_theta=250000.0),
    variant("partial rotary 0.5", partial_rotary_factor=0.5),
    variant("sliding window", sliding_window=1024),
]


@needs_llama_cpp
@pytest.mark.parametrize("case", VARIANTS, ids=lambda case: case.name)
def test_variants_compute_transformers_logits(case, export, tmp_path):
    folder = tmp_path / "model"
    model = make_model(case, folder)
    for name in TOKENIZER_FILES:
        shutil.copy(MODEL / name, folder)
    export(tmp_path / "model.gguf", model=folder, quantization="f32")
    tokens = tokens_of(50)
    theirs = logits_of(model, tokens)
    answer = llama_cpp.ask(tmp_path / "model.gguf", logits=tokens, context=256)
    assert largest_difference(answer["logits"], theirs) <= LLAMA_BOUND


def mean_divergence(exact, found):
    """KL(exact || found), nats a token."""
    p, q = (torch.log_softmax(torch.tensor(np.asarray(x)), -1) for x in (exact, found))
    return float((p.exp() * (p - q)).sum(-1).mean())


@pytest.fixture(scope="module")
def exact_logits(merged_folder):
    """(tokens, logits of the merged model, KL to it from the base without the adapter)."""
    tokens = demo_tokens(60)
    exact = logits_of(load(merged_folder), tokens)
    return tokens, exact, mean_divergence(exact, logits_of(load(MODEL), tokens))


@needs_llama_cpp
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_every_quantization_loads_and_answers(quantization, export, open_adapter, exact_logits, tmp_path):
    path = tmp_path / "model.gguf"
    export(path, adapter=open_adapter, quantization=quantization)
    ids = Tokenizer.from_file(str(MODEL / "tokenizer.json")).encode("<|user|>\nhello<|end|>\n<|assistant|>\n").ids
    tokens, exact, without_adapter = exact_logits
    answer = llama_cpp.ask(path, logits=tokens, context=256, prompt=ids, new_tokens=8)
    divergence = mean_divergence(exact, answer["logits"])
    print(f"{quantization}: KL {divergence:.1e}; of the base without adapter {without_adapter:.1e}")
    assert len(answer["new"]) >= 1
    # The bytes are compared below; this is that the whole is served. Another model's logits are nats away.
    assert divergence < {"f32": 1e-9, "f16": 1e-5, "bf16": 1e-3, "q8_0": 5e-3}.get(quantization, 0.3)


# Of each mix: attn_qkv and ffn_down where llama-quantize spends more bits, elsewhere; the other matrices; output.weight.
PLACES = {
    "f16": ("f16", "f16", "f16", "f16"), "bf16": ("bf16", "bf16", "bf16", "bf16"), "q8_0": ("q8_0", "q8_0", "q8_0", "q8_0"),
    "q4_0": ("q4_0", "q4_0", "q4_0", "q6_K"), "q4_k_m": ("q6_K", "q4_K", "q4_K", "q6_K"), "q5_k_s": ("q5_K", "q5_K", "q5_K", "q6_K"),
    "q5_k_m": ("q6_K", "q5_K", "q5_K", "q6_K"), "q6_k": ("q6_K", "q6_K", "q6_K", "q6_K"),
}
FALL_BACKS = {"q4_K": "q5_0", "q5_K": "q5_1", "q6_K": "q8_0"}
MORE_BITS = {2, 5}  # of six layers: none before 6/8 = 0, from 42/8 = 5 on, and every i with i mod 3 = 2


@needs_llama_cpp
@pytest.mark.parametrize("quantization", PLACES)
def test_every_tensor_is_what_libggml_makes_of_the_merged_weights(quantization, export, open_adapter, merged_folder, tmp_path):
    export(tmp_path / "model.gguf", adapter=open_adapter, quantization=quantization)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    weights = safetensors.torch.load_file(merged_folder / "model.safetensors")
    library = libggml.find()
    more, fewer, others, output = PLACES[quantization]
    names = {"token_embd": ("model.embed_tokens", others), "output": ("lm_head", output)}
    for i in range(LAYERS):
        source, place = f"model.layers.{i}.", more if i in MORE_BITS else fewer
        names |= {f"blk.{i}.attn_qkv": (source + "self_attn.qkv_proj", place), f"blk.{i}.ffn_down": (source + "mlp.down_proj", place),
                  f"blk.{i}.attn_output": (source + "self_attn.o_proj", others), f"blk.{i}.ffn_up": (source + "mlp.gate_up_proj", others)}
    assert len(tensors) == len(names) + 2 * LAYERS + 3  # norms and rope factors
    for name, (source, kind) in names.items():
        matrix = weights[source + ".weight"].numpy()
        kind = kind if matrix.shape[1] % 256 == 0 else FALL_BACKS.get(kind, kind)
        found = tensors.pop(name + ".weight")
        assert found.tensor_type.name.lower() == kind.lower(), name
        assert np.array_equal(np.frombuffer(found.data.tobytes(), np.uint8), library.encode(kind, matrix).ravel()), name
    assert all(tensor.tensor_type.name == "F32" for tensor in tensors.values())


# --- the file's content -----------------------------------------------------------------------------------------------


def fields(path):
    reader = gguf.GGUFReader(path)
    return {name: ([kind.name for kind in field.types], field.contents()) for name, field in reader.fields.items()}


def test_keys_have_llama_cpps_types_and_the_configs_values(merged_file):
    found = fields(merged_file)
    config = json.loads((MODEL / "config.json").read_text())
    scale = (1 + np.log(512 / 256) / np.log(256)) ** 0.5
    expected = {
        "general.architecture": ("STRING", "phi3"), "general.type": ("STRING", "model"),
        "general.file_type": ("UINT32", 0), "general.quantization_version": ("UINT32", 2),
        "phi3.context_length": ("UINT32", 256), "phi3.rope.scaling.original_context_length": ("UINT32", 256),
        "phi3.embedding_length": ("UINT32", 192), "phi3.feed_forward_length": ("UINT32", 256),
        "phi3.block_count": ("UINT32", 6), "phi3.attention.head_count": ("UINT32", 6),
        "phi3.attention.head_count_kv": ("UINT32", 6),
        "phi3.attention.layer_norm_rms_epsilon": ("FLOAT32", pytest.approx(1e-5, rel=1e-6)),
        "phi3.rope.dimension_count": ("UINT32", 32), "phi3.rope.freq_base": ("FLOAT32", 10000.0),
        "phi3.rope.scaling.attn_factor": ("FLOAT32", pytest.approx(scale, rel=1e-6)),
        "phi3.attention.sliding_window": ("UINT32", config["sliding_window"]),
        "tokenizer.ggml.model": ("STRING", "llama"), "tokenizer.ggml.pre": ("STRING", "default"),
        "tokenizer.ggml.bos_token_id": ("UINT32", 1), "tokenizer.ggml.eos_token_id": ("UINT32", 1536),
        "tokenizer.ggml.unknown_token_id": ("UINT32", 0), "tokenizer.ggml.padding_token_id": ("UINT32", 1536),
        "tokenizer.ggml.add_bos_token": ("BOOL", False), "tokenizer.ggml.add_eos_token": ("BOOL", False),
        "tokenizer.ggml.add_space_prefix": ("BOOL", True),
    }
    for name, (kind, value) in expected.items():
        assert found[name] == ([kind], value), name
    assert found["tokenizer.ggml.tokens"][0] == ["ARRAY", "STRING"]
    assert found["tokenizer.ggml.scores"][0] == ["ARRAY", "FLOAT32"]
    assert found["tokenizer.ggml.token_type"][0] == ["ARRAY", "INT32"]
    assert "phi3.rope.scaling.factor" not in found
    assert re.search("phi-?3", found["general.name"][1].lower())
    assert found["tokenizer.chat_template"][1] == json.loads((MODEL / "tokenizer_config.json").read_text())["chat_template"]


def official_table(folder, size):
    """The converter's own way, from sentencepiece and the JSON files."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    table = [(f"[PAD{i}]", -10000.0, 5) for i in range(size)]
    for i in range(pieces.get_piece_size()):
        kind = 2 if pieces.is_unknown(i) else 3 if pieces.is_control(i) else 5 if pieces.is_unused(i) else 6 if pieces.is_byte(i) else 1
        table[i] = (pieces.id_to_piece(i), pieces.get_score(i), kind)
    if (folder / "added_tokens.json").exists():
        for text, i in json.loads((folder / "added_tokens.json").read_text()).items():
            table[i] = (text, -1000.0, 4)
    for i, token in json.loads((folder / "tokenizer_config.json").read_text()).get("added_tokens_decoder", {}).items():
        table[int(i)] = (token["content"], -1000.0, 3 if token["special"] else 4)
    for token in json.loads((folder / "tokenizer.json").read_text())["added_tokens"]:
        table[token["id"]] = (token["content"], -1000.0, 3 if token["special"] else 4)
    return table


def random_model(folder, tokenizer, vocabulary):
    """A tiny model around another folder's tokenizer."""
    make_model(Case("tiny", {"vocab_size": vocabulary}), folder)
    for name in [*TOKENIZER_FILES, "added_tokens.json"]:
        if (tokenizer / name).exists():
            shutil.copy(tokenizer / name, folder)
    return folder


@pytest.fixture(scope="module", params=["demo", "phi35"])
def vocabulary_file(request, export, tmp_path_factory):
    """(folder, GGUF file) with the demo's tokenizer, and with the real one where it is present."""
    folder = tmp_path_factory.mktemp("vocabulary")
    if request.param == "demo":
        model = random_model(folder / "model", MODEL, 1600)
    else:
        model = random_model(folder / "model", request.getfixturevalue("shared_fixtures") / "phi35", 32064)
    export(folder / "model.gguf", model=model, quantization="q8_0")
    return model, folder / "model.gguf"


def test_the_token_table_is_the_official_converters(vocabulary_file):
    model, path = vocabulary_file
    found = fields(path)
    size = json.loads((model / "config.json").read_text())["vocab_size"]
    names = ("tokens", "scores", "token_type")
    table = list(zip(*(found[f"tokenizer.ggml.{name}"][1] for name in names)))
    assert table == official_table(model, size)
    if size == 32064:
        assert found["tokenizer.ggml.eos_token_id"][1] == 32000 and found["tokenizer.ggml.eot_token_id"][1] == 32007
        assert table[2] == ("</s>", -1000.0, 4) and table[32063] == ("[PAD32063]", -10000.0, 5)


def mixed_lines(count):
    """Words, Japanese, emoji, digits, odd spaces and role tags; after tags only white space that llama.cpp strips too."""
    rng = random.Random(0)
    parts = ["Hello", " world", "the answer", "こんにちは", "世界。", "最終回答は", "🦙", "👩‍👩‍👧", "12345", " 3.14", "\n", "  ", "\t",
             "<|user|>\n", "<|end|>\n", "<|assistant|>\n", "<|system|>", "<|endoftext|>", "</s>", "<s>", "don't", "naïve", "Ω", "\u200b", "_", "▁"]
    return ["".join(rng.choices(parts, k=rng.randint(1, 12))) for _ in range(count)]


@needs_llama_cpp
def test_llama_cpp_cuts_text_into_the_same_tokens(vocabulary_file):
    model, path = vocabulary_file
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    lines = mixed_lines(100)
    found = llama_cpp.ask(path, texts=lines)["tokens"]
    for line, ids in zip(lines, found):
        assert ids == tokenizer.encode(line, add_special_tokens=False).ids, repr(line)


@needs_llama_cpp
def test_provenance_is_readable(export, trained, tmp_path):
    export(tmp_path / "model.gguf", adapter=trained, quantization="q8_0")
    found = fields(tmp_path / "model.gguf")
    alphas = safetensors.torch.load_file(trained / "adapter_model.safetensors")
    gates = [torch.sigmoid(alphas[f"layers.{i}.so8t.alpha"]).item() for i in range(LAYERS)]
    assert found["nkat.adapter.gates"] == (["ARRAY", "FLOAT32"], pytest.approx(gates, rel=1e-6))
    assert found["nkat.training_step"] == (["UINT32"], 12)
    base = json.loads((trained / "adapter_config.json").read_text())["base_sha256"]
    keys = llama_cpp.ask(tmp_path / "model.gguf", keys=["nkat.base_sha256", "nkat.training_step", "general.architecture"])["keys"]
    assert keys == {"nkat.base_sha256": base, "nkat.training_step": "12", "general.architecture": "phi3"}


def test_the_modelfile_names_template_stops_and_context(merged_file):
    text = (merged_file.parent / "Modelfile").read_text()
    assert text.startswith("FROM ./model.gguf\n")
    assert re.findall(r'PARAMETER stop "(.*)"', text) == ["<|end|>", "<|endoftext|>", "<|assistant|>"]
    assert "PARAMETER num_ctx 256" in text and "<|{{ .Role }}|>\n{{ .Content }}<|end|>\n" in text


def test_the_same_command_gives_the_same_bytes(export, open_adapter, tmp_path):
    for name in ("a", "b"):
        export(tmp_path / name / "model.gguf", adapter=open_adapter, quantization="q4_k_m")
    assert (tmp_path / "a" / "model.gguf").read_bytes() == (tmp_path / "b" / "model.gguf").read_bytes()


def test_a_kill_leaves_the_old_file_or_the_new_one(nkat_path, export, open_adapter, tmp_path):
    path = tmp_path / "out" / "model.gguf"
    export(path, adapter=open_adapter, quantization="f32")
    new = path.read_bytes()
    words = [nkat_path, "export", "--model-path", MODEL, "--adapter", open_adapter, "--output", path, "--quantization", "f32"]
    rng = random.Random(0)
    for _ in range(8):
        path.write_bytes(b"GGUF, an older one")
        child = subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, 1))
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert path.read_bytes() in (b"GGUF, an older one", new)
    export(path, adapter=open_adapter, quantization="f32")
    assert sorted(file.name for file in path.parent.iterdir()) == ["Modelfile", "export.json", "model.gguf"]


# --- what survived ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantization", ["f32", "bf16", "q8_0", "q4_0", "q4_k_m"])
def test_survival_is_what_gguf_py_measures(quantization, export, open_adapter, merged_folder, tmp_path):
    report = export(tmp_path / "model.gguf", adapter=open_adapter, quantization=quantization)
    base = safetensors.torch.load_file(MODEL / "model.safetensors")
    merged = safetensors.torch.load_file(merged_folder / "model.safetensors")
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    for layer, found in enumerate(report["ffn_down"]):
        tensor = tensors[f"blk.{layer}.ffn_down.weight"]
        name = f"model.layers.{layer}.mlp.down_proj.weight"
        written = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(merged[name].shape).astype(np.float64)
        change = (merged[name].double() - base[name].double()).numpy()
        survived = ((written - base[name].double().numpy()) * change).sum() / (change**2).sum()
        noise = np.linalg.norm(written - merged[name].double().numpy()) / np.linalg.norm(change)
        assert found["survived"] == pytest.approx(survived, rel=1e-9)
        assert found["noise"] == pytest.approx(noise, rel=1e-9)
        assert found["type"] == tensor.tensor_type.name.lower().replace("_k", "_K")
    if quantization == "f32":
        assert all(one["survived"] == 1 and one["noise"] == 0 and one["fate"] == "kept" for one in report["ffn_down"])


def test_a_nearly_shut_gate_is_lost_in_q4_and_kept_in_f32(nkat, tmp_path):
    adapter = write_adapter(tmp_path / "adapter", [-9.0] * LAYERS)
    words = ["export", "--model-path", MODEL, "--adapter", adapter, "--output", tmp_path / "model.gguf", "--quantization"]
    lost = nkat(*words, "q4_0")
    assert lost.returncode == 0 and "LOST in layers 0, 1, 2, 3, 4, 5" in lost.stdout
    assert json.loads((tmp_path / "export.json").read_text())["lost_layers"] == list(range(LAYERS))
    kept = nkat(*words, "f32")
    assert kept.returncode == 0 and "LOST" not in kept.stdout
    off = nkat(*words, "q4_0", "--self-test", "off")
    assert off.returncode == 0 and json.loads((tmp_path / "export.json").read_text())["ffn_down"] == []


# --- what is refused --------------------------------------------------------------------------------------------------


def refusal(nkat, code, *words):
    done = nkat("export", "--model-path", MODEL, *words)
    assert done.returncode == code, done.stderr
    return done.stderr


def test_an_adapter_of_another_base_is_refused_unless_allowed(nkat, tmp_path):
    adapter = write_adapter(tmp_path / "adapter", [0.0] * LAYERS, base_sha256="0" * 64)
    words = ["--adapter", adapter, "--output", tmp_path / "model.gguf"]
    assert "--allow-base-mismatch" in refusal(nkat, 3, *words)
    assert not (tmp_path / "model.gguf").exists()
    assert "nobody has measured" in refusal(nkat, 0, *words, "--allow-base-mismatch")
    assert fields(tmp_path / "model.gguf")["nkat.adapter.base_sha256"][1] == "0" * 64


@pytest.mark.parametrize("changes", [{"hidden_size": 200}, {"num_hidden_layers": 7}])
def test_an_adapter_of_another_size_is_refused(changes, nkat, tmp_path):
    adapter = write_adapter(tmp_path / "adapter", [0.0] * LAYERS, **changes)
    words = ["--adapter", adapter, "--output", tmp_path / "model.gguf", "--allow-base-mismatch"]
    assert next(iter(changes)) in refusal(nkat, 3, *words)


def test_wrong_words_are_refused(nkat, tmp_path, open_adapter):
    output = ["--adapter", open_adapter, "--output", tmp_path / "out"]
    assert "f32, f16 or bf16" in refusal(nkat, 2, *output, "--format", "hf", "--quantization", "q4_0")
    assert "phi-3" in refusal(nkat, 2, *output, "--name", "My Model")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    assert "other files" in refusal(nkat, 2, "--output", tmp_path / "full", "--format", "hf")
    assert "is a folder" in refusal(nkat, 2, "--output", tmp_path / "full")
    assert "is no GGUF file" in refusal(nkat, 2, "--output", tmp_path / "full" / "mine.txt")
    assert "is a file" in refusal(nkat, 2, "--output", tmp_path / "full" / "mine.txt", "--format", "hf")
    assert (tmp_path / "full" / "mine.txt").exists()


@pytest.mark.parametrize("value, quantization", [(float("nan"), "f32"), (float("inf"), "q4_k_m"), (1e6, "f16")])
def test_weights_that_cannot_be_stored_are_refused_by_name(value, quantization, nkat, tmp_path):
    shutil.copytree(MODEL, tmp_path / "model")
    tensors = safetensors.torch.load_file(MODEL / "model.safetensors")
    tensors["model.layers.3.self_attn.o_proj.weight"][5, 7] = value
    safetensors.torch.save_file(tensors, tmp_path / "model" / "model.safetensors")
    (tmp_path / "model.gguf").write_bytes(b"GGUF, an older one")
    done = nkat("export", "--model-path", tmp_path / "model", "--output", tmp_path / "model.gguf", "--quantization", quantization)
    assert done.returncode == 3 and "layers.3.self_attn.o_proj" in done.stderr, done.stderr
    assert (tmp_path / "model.gguf").read_bytes() == b"GGUF, an older one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.gguf"]


@pytest.mark.parametrize("head_dim", [24])
def test_heads_that_do_not_fill_the_hidden_size_are_refused_by_name(head_dim, nkat, tmp_path):
    folder = random_model(tmp_path / "model", MODEL, 1600)
    config = json.loads((folder / "config.json").read_text()) | {"head_dim": head_dim}
    make_model(Case("wide", {"vocab_size": 1600, "head_dim": head_dim}), folder)
    (folder / "config.json").write_text(json.dumps(config))
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "model.gguf")
    assert done.returncode == 3 and "head_dim" in done.stderr, done.stderr


def test_another_kind_of_tokenizer_is_refused_by_name(nkat, tmp_path):
    folder = random_model(tmp_path / "model", MODEL, 1600)
    (folder / "tokenizer.model").unlink()
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "model.gguf")
    assert done.returncode == 3 and "tokenizer" in done.stderr


def test_a_token_that_stands_twice_is_refused_by_name(nkat, tmp_path):
    folder = random_model(tmp_path / "model", MODEL, 1600)
    for name, change in (("tokenizer.json", lambda text: text.replace("<|placeholder6|>", "[PAD1590]")),
                         ("tokenizer_config.json", lambda text: text.replace("<|placeholder6|>", "[PAD1590]"))):
        (folder / name).write_text(change((folder / name).read_text()))
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "model.gguf")
    assert done.returncode == 3 and "[PAD1590]" in done.stderr, done.stderr
