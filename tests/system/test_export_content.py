"""What an exported GGUF file says of itself, read by gguf-py and llama.cpp, and that it is whole or absent."""
import json
import random
import re
import signal
import subprocess
import time

import llama_cpp
import numpy as np
import pytest
import safetensors.torch
import sentencepiece
import torch
from exports import MODEL, fields, needs_llama_cpp, random_model
from test_eval import LAYERS
from tokenizers import Tokenizer


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


PARTS = ["Hello", " world", "the answer", "こんにちは", "世界。", "最終回答は", "🦙", "👩‍👩‍👧", "12345", " 3.14", "\n", "  ", "\t",
         "<|user|>\n", "<|end|>\n", "<|assistant|>\n", "<|system|>", "<|endoftext|>", "</s>", "<s>", "don't", "naïve", "Ω", "\u200b", "_", "▁"]
SENTENCES = [
    "The rotation turns eight channels at a time, doesn't it?", "Please pay invoice No. 4711 (EUR 1,234.50) by Friday.",
    "α = -5.0, so σ(α) ≈ 0.0067; see https://example.org/a_b?c=1&d=%20.", "Zoë's café costs 5 € – or £4.20…", "def f(x):\n    return x ** 2  # 二乗\n",
    "角度の合計は１８０度です。", "「了解しました」と彼は言った。", "3個のりんごを２人で分けると、残りは何個ですか？", "カタカナ・ひらがな・漢字ｶﾅ", "# 最終回答\n42",
    "🎉 Done! 👍🏽", "🇯🇵と🇩🇪", "It is 25 °C 🌞 today; 明日は雨☔です。", "Decision: ALLOW\nReason: The person asked for it.", "判断：DENY　理由：規則に反します。",
]
ROLES = ["user", "system", "assistant"]


def mixed_lines(count):
    """In turn: joined parts, sentences, conversations. After tags only white space that llama.cpp strips too."""
    rng = random.Random(0)
    lines = []
    for i in range(count):
        sentences = rng.choices(SENTENCES, k=rng.randint(1, 4))
        parts = "".join(rng.choices(PARTS, k=rng.randint(1, 12)))
        turns = "".join(f"<|{rng.choice(ROLES)}|>\n{sentence}<|end|>\n" for sentence in sentences)
        lines.append([parts, rng.choice([" ", "", "\n"]).join(sentences), turns + "<|assistant|>\n"][i % 3])
    return lines


@needs_llama_cpp
def test_llama_cpp_cuts_text_into_the_same_tokens(vocabulary_file):
    model, path = vocabulary_file
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    lines = sorted(set(mixed_lines(600)))[:500]
    found = llama_cpp.ask(path, texts=lines)["tokens"]
    assert len(found) == 500
    for line, ids in zip(lines, found):
        assert ids == tokenizer.encode(line, add_special_tokens=False).ids, repr(line)


STRIPPED_BY_BOTH = " \t\n\v\f\r"
STRIPPED_BY_HUGGING_FACE_ALONE = "\u0085\u00a0\u1680\u2000\u2002\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
STRIPPED_BY_NEITHER = "\u200b\u2060\ufeff"


@needs_llama_cpp
def test_white_space_beyond_ascii_after_a_tag_is_where_the_tokens_differ(vocabulary_file):
    """Hugging Face strips what Unicode calls white space, llama.cpp what isspace() does; elsewhere the ids are equal."""
    model, path = vocabulary_file
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))

    def ids(text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    spaces = STRIPPED_BY_BOTH + STRIPPED_BY_HUGGING_FACE_ALONE + STRIPPED_BY_NEITHER
    tagged = [f"<|user|>{space}こんにちは<|end|>" for space in spaces]
    elsewhere = [f"Hello{space}こんにちは<|end|>" for space in spaces]
    found = llama_cpp.ask(path, texts=tagged + elsewhere + [space + "こんにちは" for space in spaces])["tokens"]
    tag, end, bare = ids("<|user|>"), ids("<|end|>"), ids("<|user|>こんにちは<|end|>")
    for space, tokens, kept in zip(spaces, found, found[2 * len(spaces) :]):
        both, hugging_face = space in STRIPPED_BY_BOTH, space not in STRIPPED_BY_NEITHER
        assert tokens == (bare if both else [*tag, *kept, *end]), repr(space)
        assert (ids(f"<|user|>{space}こんにちは<|end|>") == bare) == hugging_face, repr(space)
    assert found[len(spaces) : 2 * len(spaces)] == [ids(text) for text in elsewhere]


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
