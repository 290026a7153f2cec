"""Vocabularies of exported GGUF files that aren't Phi-3.5's: entry for entry llama.cpp's own converter's, and where llama.cpp cuts
texts otherwise than the folder's tokenizer, into which kinds these texts fall."""
import json
import unicodedata

import llama_cpp
import pytest
import transformers
import vocabularies
from exports import MODEL, fields, needs_llama_cpp
from tokenizers import Tokenizer

# name of the vocabulary: (family, expressions; None: its own)
EXPORTS = {
    "smollm": ("llama", None),
    "llama-bpe": ("llama", None),
    "qwen2": ("qwen2", None),
    "gpt-2": ("qwen2", None),
    "deepseek-coder cut as deepseek-coder": ("llama", "deepseek-coder"),
    "gpt-2 cut as gpt-4o": ("phi3", "gpt-4o"),
    "gpt-2 cut as tekken": ("mistral", "tekken"),
}
CLASSES = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "phi3": "Phi3"}


def tiny_model(folder, family, vocabulary):
    config = getattr(transformers, CLASSES[family] + "Config")(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        max_position_embeddings=64, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    getattr(transformers, CLASSES[family] + "ForCausalLM")(config).save_pretrained(folder)


@pytest.fixture(scope="module", params=EXPORTS)
def exported(request, nkat, tmp_path_factory):
    """(name, family, folder, file, log)"""
    family, pre = EXPORTS[request.param]
    parent = tmp_path_factory.mktemp("vocabulary")
    size = vocabularies.write_folder(vocabularies.vocabulary_file(request.param.split()[0]), parent / "model", pre)
    if family == "phi3":
        config = json.loads((parent / "model" / "tokenizer_config.json").read_text())
        (parent / "model" / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "GPT2Tokenizer"}))
    tiny_model(parent / "model", family, size)
    done = nkat("export", "--model-path", parent / "model", "--output", parent / "model.gguf", "--quantization", "f16", "--self-test", "off")
    assert done.returncode == 0, done.stderr
    return request.param, family, parent / "model", parent / "model.gguf", done.stderr


def keys_of(path):
    return {name: value for name, (_, value) in fields(path).items() if name.startswith("tokenizer.ggml")}


def test_the_vocabulary_is_the_official_converters(exported):
    name, family, folder, path, _ = exported
    found = keys_of(path)
    if " as " in name:  # their hash is not known, so the converter would stop
        assert found["tokenizer.ggml.pre"] == EXPORTS[name][1]
        return
    official = {key: value for key, value in vocabularies.official_keys(folder, family).items() if key.startswith("tokenizer.ggml")}
    for key, value in official.items():
        assert found[key] == value, key
    assert set(found) - set(official) <= {"tokenizer.ggml.add_bos_token"}
    assert found["tokenizer.ggml.pre"] == name


# What the export's warning and data/FORMATS.md 5.2.3 call it: which texts belong to it.
KINDS = {
    "characters that Unicode 16 added": lambda text, _: any(unicodedata.category(c) == "Cn" for c in text),
    "text that is not in Unicode's normalization form C": lambda text, _: unicodedata.normalize("NFC", text) != text,
    "capitals, small letters and combining marks beyond ASCII": lambda text, _: any(ord(c) > 127 for c in text if unicodedata.category(c)[0] in "LM"),
    "an apostrophe before U+017F": lambda text, _: "'\u017f" in text,
    "white space beyond ASCII beside ideographs": lambda text, _: any(c.isspace() and ord(c) > 127 for c in text),
    "characters of whose bytes some are no piece": lambda text, pieces: any(c not in pieces for c in text),
}


@needs_llama_cpp
def test_texts_that_llama_cpp_cuts_otherwise_are_of_a_kind_that_the_export_named(exported):
    name, _, folder, path, log = exported
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    added = [token["content"] for token in json.loads((folder / "tokenizer.json").read_text())["added_tokens"]][:40]
    texts = vocabularies.random_texts(3000, added)
    ours = [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
    theirs = llama_cpp.ask(path, texts=texts)["tokens"]
    vocabulary = tokenizer.get_vocab()
    spelled = vocabularies.byte_spellings()
    pieces = {c for c in set("".join(texts)) if all(spelled[byte] in vocabulary for byte in c.encode())}
    named = [kind for kind in KINDS if kind in log]
    assert "characters that Unicode 16 added" in named
    found = 0
    for text, left, right in zip(texts, ours, theirs):
        if left == right:
            continue
        found += 1
        assert any(KINDS[kind](text, pieces) for kind in named), repr(text)
    print(f"{name}: {found} of {len(texts)} texts, of the kinds {named}")
    assert found < len(texts) / 2


@needs_llama_cpp
@pytest.mark.parametrize("family", ["phi3", "llama"])
def test_tokenizer_json_alone_gives_scores_by_which_llama_cpp_merges_alike(family, nkat, tmp_path):
    folder = tmp_path / "model"
    tiny_model(folder, family, 1600)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((MODEL / name).read_bytes())
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "model.gguf", "--quantization", "f16", "--self-test", "off")
    assert done.returncode == 0, done.stderr
    assert "cuts some texts" not in done.stderr
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = vocabularies.random_texts(3000)
    theirs = llama_cpp.ask(tmp_path / "model.gguf", texts=texts)["tokens"]
    assert [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)] == theirs


def test_a_llama_with_tokenizer_model_has_the_official_table(nkat, tmp_path):
    folder = tmp_path / "model"
    tiny_model(folder, "llama", 1600)
    for name in ("tokenizer.model", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((MODEL / name).read_bytes())
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "model.gguf", "--quantization", "f16", "--self-test", "off")
    assert done.returncode == 0, done.stderr
    found, official = keys_of(tmp_path / "model.gguf"), vocabularies.official_keys(folder, "llama")
    for key in ("model", "pre", "tokens", "scores", "token_type", "bos_token_id", "eos_token_id"):
        wanted = official[f"tokenizer.ggml.{key}"]
        texts = [one.decode() if isinstance(one, bytes) else one for one in wanted] if key == "tokens" else wanted
        assert found[f"tokenizer.ggml.{key}"] == texts, key


def test_expressions_that_llama_cpp_does_not_have_are_refused_with_the_way_out(nkat, tmp_path):
    folder = tmp_path / "model"
    size = vocabularies.write_folder(vocabularies.vocabulary_file("gpt-2"), folder)
    path = folder / "tokenizer.json"
    file = json.loads(path.read_text())
    file["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [vocabularies.split(r"\p{N}{1,2}"), vocabularies.byte_level(True)]}
    path.write_text(json.dumps(file))
    tiny_model(folder, "llama", size)
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "model.gguf")
    assert done.returncode == 3 and "--format hf" in done.stderr and not (tmp_path / "model.gguf").exists()
