"""`nkat generate` against transformers' greedy generation, and how it stops, streams, draws and refuses.

The models are small and random, with a sentencepiece vocabulary trained here; both sides compute in float32.
"""
import hashlib
import json
import os
import signal
import subprocess
import time

import pytest
import safetensors.torch
import sentencepiece
import torch
import transformers

CONTROL_TOKENS = ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]
TEXT = "The quick brown fox jumps over the lazy dog. こんにちは、世界。 Numbers: 1 2 3, and one more line.\n" * 30
FACTORS = {
    "short_factor": [1.0, 1.02, 1.05, 1.1, 1.2, 1.4, 1.7, 2.1],
    "long_factor": [1.1, 1.5, 2.5, 4.0, 8.0, 16.0, 30.0, 60.0],
}
LONGROPE = {
    "max_position_embeddings": 4096,
    "original_max_position_embeddings": 32,
    "rope_scaling": {"type": "longrope", **FACTORS},
}
CONFIGS = {
    "plain": {},
    "grouped queries, sliding window": {"num_key_value_heads": 2, "sliding_window": 9},
    "longrope, from below its boundary to above": LONGROPE,
    "longrope, partial rotary, tied": {
        **LONGROPE,
        "partial_rotary_factor": 0.5,
        "rope_scaling": {"type": "longrope", **{name: factors[:4] for name, factors in FACTORS.items()}},
        "tie_word_embeddings": True,
    },
}


def train_vocabulary(folder):
    """tokenizer.model as Phi-3 has it (byte-pair merges, byte fallback, nothing normalized), and its added tokens."""
    corpus = folder / "corpus.txt"
    corpus.write_text(TEXT)
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=380,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=True,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    first = pieces.get_piece_size()
    added = {
        str(first + i): {"content": token, "special": True, "rstrip": i > 0, "lstrip": False, "single_word": False,
                         "normalized": False}
        for i, token in enumerate(CONTROL_TOKENS)
    }
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    return pieces


class Model:
    """A random model folder, its vocabulary, and what transformers generates with it."""

    def __init__(self, folder, config=None, end_tokens=None):
        self.folder = folder
        self.pieces = train_vocabulary(folder)
        self.size = self.pieces.get_piece_size() + len(CONTROL_TOKENS)
        torch.manual_seed(3)
        model = transformers.Phi3ForCausalLM(
            transformers.Phi3Config(
                **{
                    "vocab_size": self.size,
                    "hidden_size": 64,
                    "intermediate_size": 96,
                    "num_hidden_layers": 3,
                    "num_attention_heads": 4,
                    "max_position_embeddings": 4096,
                    "original_max_position_embeddings": 4096,
                    "initializer_range": 0.25,
                    "bos_token_id": 1,
                    "eos_token_id": None,
                    "pad_token_id": 0,
                    **(config or {}),
                }
            )
        )
        model.generation_config = transformers.GenerationConfig(
            bos_token_id=1, eos_token_id=end_tokens, pad_token_id=0
        )
        model.save_pretrained(folder)
        self.model = transformers.Phi3ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def control(self, token):
        return self.pieces.get_piece_size() + CONTROL_TOKENS.index(token)

    def chat_prompt(self, content):
        encoded = self.pieces.encode(content)
        return [self.control("<|user|>"), *encoded, self.control("<|end|>"), self.control("<|assistant|>")]

    def greedy(self, prompt, count):
        output = self.model.generate(torch.tensor([prompt]), max_new_tokens=count, do_sample=False)
        return output[0, len(prompt):].tolist()

    def options(self, *more):
        return ["generate", "--model-path", self.folder, "--precision", "fp32", "--device", "cpu", *more]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model(tmp_path_factory.mktemp("model"))


def answer(nkat, model, *options):
    result = nkat(*model.options("--json", *options))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_greedy_tokens_equal_transformers(config, tmp_path, nkat):
    model = Model(tmp_path, config)
    for prompt, raw in (("The quick brown fox", False), ("こんにちは, one more line", True)):
        tokens = model.pieces.encode(prompt) if raw else model.chat_prompt(prompt)
        assert len(tokens) < 32 < len(tokens) + 48, "the prompt must begin below the longrope boundary and cross it"
        ours = answer(nkat, model, "--prompt", prompt, "--max-new-tokens", 48, *(["--raw"] if raw else []))
        assert ours["tokens"] == model.greedy(tokens, 48)


def test_a_raw_prompt_gets_its_tokenizers_begin_token_once_and_a_chat_never(tmp_path, nkat):
    """Llama's class puts <s> in front of a text; a rendered conversation has what its template writes."""
    model = Model(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": "LlamaTokenizer", "bos_token": "<s>"}))
    begin = model.pieces.bos_id()
    tokens = model.pieces.encode("The quick brown fox")
    wanted = model.greedy([begin, *tokens], 8)
    assert wanted != model.greedy(tokens, 8), "the begin token must make a difference"
    assert answer(nkat, model, "--prompt", "The quick brown fox", "--raw", "--max-new-tokens", 8)["tokens"] == wanted
    ours = answer(nkat, model, "--prompt", "The quick brown fox", "--max-new-tokens", 8)
    assert ours["tokens"] == model.greedy(model.chat_prompt("The quick brown fox"), 8)


def base_sha256(folder):
    """As models/weights/base_fingerprint.h writes it down, for a float32 folder of one file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(safetensors.torch.load_file(folder / "model.safetensors").items()):
        shape = ",".join(map(str, tensor.shape))
        digest.update(f"{name}\0F32\0{shape}\0".encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def write_adapter(model, folder, sha256):
    """A random adapter from layer 1 on, with gates about half open. Returns (weight, alpha) by layer."""
    config = model.model.config
    torch.manual_seed(5)
    layers = range(1, config.num_hidden_layers)
    values = {layer: (torch.randn(config.hidden_size // 8, 8, 8), torch.randn(())) for layer in layers}
    folder.mkdir()
    tensors = {}
    for layer, (weight, alpha) in values.items():
        tensors[f"layers.{layer}.so8t.weight"], tensors[f"layers.{layer}.so8t.alpha"] = weight, alpha
    safetensors.torch.save_file(tensors, folder / "adapter_model.safetensors")
    description = {
        "peft_type": "NKAT_SO8T",
        "version": 1,
        "base_model_name_or_path": "base",
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "first_adapter_layer": 1,
        "base_sha256": sha256,
    }
    (folder / "adapter_config.json").write_text(json.dumps(description))
    return values


def test_an_adapter_acts_like_its_merged_weights(tmp_path, nkat):
    """down_proj' = (I + gate blockdiag(R)) down_proj in transformers."""
    (tmp_path / "model").mkdir()
    model = Model(tmp_path / "model")
    adapter = tmp_path / "adapter"
    values = write_adapter(model, adapter, base_sha256(model.folder))
    prompt = model.chat_prompt("lazy dog")
    bare = model.greedy(prompt, 32)
    for layer, (weight, alpha) in values.items():
        rotation = torch.linalg.matrix_exp((weight - weight.mT).double() / 2)
        merged = torch.eye(model.model.config.hidden_size).double()
        merged += torch.sigmoid(alpha.double()) * torch.block_diag(*rotation)
        down = model.model.model.layers[layer].mlp.down_proj.weight
        down.data = (merged @ down.double()).float()
    ours = answer(nkat, model, "--prompt", "lazy dog", "--max-new-tokens", 32, "--adapter", adapter)
    assert ours["tokens"] == model.greedy(prompt, 32) != bare


def test_an_adapter_of_another_base_is_refused(model, nkat, tmp_path):
    write_adapter(model, tmp_path / "adapter", "0" * 64)
    result = nkat(*model.options("--prompt", "a", "--adapter", tmp_path / "adapter"))
    assert result.returncode == 3 and base_sha256(model.folder) in result.stderr


def test_stops_at_the_end_tokens_of_both_files(tmp_path, nkat):
    model = Model(tmp_path)
    free_run = model.greedy(model.chat_prompt("lazy dog"), 12)
    for name, value in (("config.json", free_run[5]), ("generation_config.json", [2, free_run[5]])):
        path = tmp_path / name
        path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": value}))
        ours = answer(nkat, model, "--prompt", "lazy dog", "--max-new-tokens", 12)
        expected = free_run[: free_run.index(free_run[5]) + 1]
        assert ours["tokens"] == expected
        assert ours["text"] == answer(nkat, model, "--prompt", "lazy dog", "--max-new-tokens", len(expected) - 1)["text"]
        path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": None}))


def test_an_answer_ends_where_the_template_closes_its_turn(tmp_path, nkat):
    """Without a generation_config.json the end of a turn stands in the template alone."""
    model = Model(tmp_path)
    free_run = model.greedy(model.chat_prompt("lazy dog"), 12)
    closing = free_run[5]
    path = tmp_path / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["added_tokens_decoder"][str(closing)] = {
        **next(iter(config["added_tokens_decoder"].values())), "content": model.pieces.id_to_piece(closing)}
    path.write_text(json.dumps(config))
    (tmp_path / "generation_config.json").unlink()
    (tmp_path / "chat_template.jinja").write_text(
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ '<|end|>' if m.role == 'user' else "
        + json.dumps(model.pieces.id_to_piece(closing), ensure_ascii=False)
        + " }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}")
    expected = free_run[: free_run.index(closing) + 1]
    assert answer(nkat, model, "--prompt", "lazy dog", "--max-new-tokens", 12)["tokens"] == expected
    text = answer(nkat, model, "--prompt", "lazy dog", "--max-new-tokens", len(expected) - 1)["text"]
    chat = nkat(*model.options("--max-new-tokens", 12), input="lazy dog\nfox\n")
    assert chat.returncode == 0 and chat.stdout.startswith(text + "\n")


def test_streams_the_text_of_json_in_whole_characters(model, nkat, nkat_path):
    words = ["--prompt", "fox", "--max-new-tokens", "200"]
    text = answer(nkat, model, *words)["text"]
    assert "\ufffd" in text or any(ord(character) > 127 for character in text)
    process = subprocess.Popen([nkat_path, *map(str, model.options(*words))], stdout=subprocess.PIPE)
    pieces = []
    while piece := os.read(process.stdout.fileno(), 1 << 16):
        pieces.append(piece.decode("utf-8"))  # fails where a piece ends inside a character
    assert process.wait() == 0
    assert "".join(pieces) == text + "\n"
    assert len(pieces) > 1


def test_a_seed_fixes_what_is_drawn(model, nkat):
    def drawn(seed, *options):
        words = ["--prompt", "dog", "--max-new-tokens", 24, "--temperature", 1.5, "--seed", seed]
        return answer(nkat, model, *words, *options)["tokens"]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    greedy = answer(nkat, model, "--prompt", "dog", "--max-new-tokens", 24)["tokens"]
    assert drawn(1, "--top-p", 1e-6) == greedy


def test_chats_line_by_line_from_standard_input(model, nkat):
    result = nkat(*model.options("--max-new-tokens", 6), input="lazy dog\n\nThe fox\n")
    assert result.returncode == 0, result.stderr
    first = answer(nkat, model, "--prompt", "lazy dog", "--max-new-tokens", 6)["text"]
    assert result.stdout.startswith(first + "\n")
    assert len(result.stdout) > len(first) + 2


def test_a_signal_ends_it_with_what_was_written(model, nkat_path):
    words = model.options("--prompt", "fox", "--max-new-tokens", "100000")
    process = subprocess.Popen([nkat_path, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    begun = os.read(process.stdout.fileno(), 1)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 75
    assert (begun + rest).decode("utf-8").endswith("\n")


@pytest.mark.parametrize(
    "words, code, message",
    [
        (["--prompt", "a", "--precision", "fp8"], 2, "precision"),
        (["--prompt", "a", "--device", "gpu"], 2, "auto, cpu or cuda:N"),
        (["--prompt", "a", "--top-p", "0"], 2, "top-p"),
        (["--prompt", "a", "--temperature", "-1"], 2, "temperature"),
        (["--json"], 2, "--json needs --prompt"),
        (["--raw"], 2, "--raw needs --prompt"),
        (["--prompt", "a", "--max-new-token", "3"], 2, "--max-new-tokens"),
        (["--prompt", "", "--raw"], 3, "prompt is empty"),
        (["--prompt", "a", "--adapter", "nowhere"], 3, "nowhere"),
        (["--prompt", "a", "--device", "cuda:64"], 4, "cuda:64"),
    ],
)
def test_wrong_options_are_named(words, code, message, model, nkat):
    result = nkat("generate", "--model-path", model.folder, *words)
    assert result.returncode == code, result.stderr
    assert message in result.stderr


def test_a_missing_or_damaged_model_is_named(model, nkat, tmp_path):
    assert nkat("generate", "--prompt", "a").returncode == 2
    result = nkat("generate", "--model-path", tmp_path / "absent", "--prompt", "a")
    assert result.returncode == 3 and "absent" in result.stderr
    for path in model.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    result = nkat("generate", "--model-path", tmp_path, "--prompt", "a")
    assert result.returncode == 3 and "model.safetensors" in result.stderr
