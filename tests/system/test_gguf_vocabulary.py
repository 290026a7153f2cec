"""`nkat data tokenize` on GGUF files: llama.cpp's ids, for every pre-tokenizer that is read."""
import json
import unicodedata

import gguf
import llama_cpp
import pytest
import vocabularies
from exports import needs_llama_cpp

# Files of llama.cpp, and names that none of them has, with GPT-2's vocabulary.
FILES = [
    "gpt-2", "smollm", "starcoder", "refact", "llama-bpe", "qwen2", "command-r", "deepseek-coder", "deepseek-llm",
    "falcon", "aquila", "gpt-neox", "llama-spm", "baichuan", "phi-3",
]
RENAMED = ["gpt-4o", "tekken", None]
WITH_REFERENCE = ["gpt-2", "starcoder", "refact", "llama-bpe", "qwen2", "command-r", "deepseek-coder", "deepseek-llm", "falcon", "llama-spm", "phi-3"]
REFUSED = {"mpt": "'mpt'", "qwen35": "'qwen35'", "bert-bge": "'bert'", "gemma-4": "'gemma4'", "nomic-bert-moe": "'t5'"}


@pytest.fixture(scope="session")
def tokenize(nkat):
    """tokenize(path, texts) -> a list of ids a text"""

    def run(path, texts):
        lines = "".join(json.dumps(text) + "\n" for text in texts)
        done = nkat("data", "tokenize", "--model-path", path, "--lines", input=lines)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def differences(texts, ours, theirs):
    return [(text, left, right) for text, left, right in zip(texts, ours, theirs, strict=True) if left != right]


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_the_reference_texts_have_their_ids(name, tokenize):
    path = vocabularies.vocabulary_file(name)
    texts = (path.parent / f"{path.name}.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")[:-1]
    ids = [[int(one) for one in line.split()] for line in (path.parent / f"{path.name}.out").read_text().splitlines()]
    assert len(texts) == len(ids) > 40
    assert differences(texts, tokenize(path, texts), ids) == []


def special_tokens(path):
    keys = vocabularies.keys_of(path)
    types = keys.get("tokenizer.ggml.token_type", [])
    return [text for text, kind in zip(keys["tokenizer.ggml.tokens"], types) if kind in (2, 3, 4)][:60]


@needs_llama_cpp
@pytest.mark.parametrize("name", FILES)
def test_random_texts_have_llama_cpps_ids(name, tokenize):
    path = vocabularies.vocabulary_file(name)
    texts = vocabularies.random_texts(3000, special_tokens(path))
    assert differences(texts, tokenize(path, texts), llama_cpp.ask(path, texts=texts, vocabulary_only=True)["tokens"]) == []


@needs_llama_cpp
@pytest.mark.parametrize("pre", RENAMED)
def test_random_texts_have_llama_cpps_ids_under_other_names(pre, tokenize, tmp_path):
    path = tmp_path / "vocabulary.gguf"
    vocabularies.write_with_pre(vocabularies.vocabulary_file("gpt-2"), path, pre)
    texts = vocabularies.random_texts(3000, special_tokens(path))
    assert differences(texts, tokenize(path, texts), llama_cpp.ask(path, texts=texts, vocabulary_only=True)["tokens"]) == []


def write_probe(path, pre):
    """A vocabulary that shows where words end: a letter, a digit, a mark and a space merge with whatever byte follows them."""
    spelled = vocabularies.byte_spellings()
    left = [spelled[ord(c)] for c in "a1! "]
    merges = [f"{one} {spelled[byte]}" for one in left for byte in [*range(0x21, 0x80), *range(0xC2, 0xF5)]]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    tokens = [*spelled.values(), *(merge.replace(" ", "") for merge in merges)]
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges(merges)
    writer.add_add_bos_token(False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


@needs_llama_cpp
@pytest.mark.parametrize("pre", ["gpt-2", "deepseek-coder"])  # letters, digits and white space; punctuation
def test_characters_belong_to_llama_cpps_classes(pre, tokenize, tmp_path):
    """Every character that Python's Unicode 14 knows, and of the others, which are of few classes, one in 16."""
    write_probe(tmp_path / "probe.gguf", pre)
    known = [unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs") for c in range(0x110000)]
    characters = [chr(c) for c in range(1, 0x110000) if known[c] or (c % 16 == 0 and not 0xD800 <= c <= 0xDFFF)]
    texts = ["".join(f"{before}{c}" for c in characters[i : i + 2048] for before in "a1! ") for i in range(0, len(characters), 2048)]
    found = differences(texts, tokenize(tmp_path / "probe.gguf", texts),
                        llama_cpp.ask(tmp_path / "probe.gguf", texts=texts, vocabulary_only=True)["tokens"])
    assert [hex(ord(text[1])) for text, _, _ in found] == []


@needs_llama_cpp
def test_an_exported_file_has_the_ids_that_llama_cpp_gives_it(export, tokenize, tmp_path):
    """phi-3's rule for white space, by the name that the export chose."""
    export(tmp_path / "model.gguf", quantization="q8_0")
    texts = vocabularies.random_texts(1000, ["<|user|>", "<|end|>", "<|assistant|>\n", "<s>", "</s> ", "<unk>", "<|endoftext|> "])
    assert differences(texts, tokenize(tmp_path / "model.gguf", texts), llama_cpp.ask(tmp_path / "model.gguf", texts=texts)["tokens"]) == []


@pytest.mark.parametrize("name", REFUSED)
def test_a_vocabulary_of_another_kind_is_refused_by_name(name, nkat):
    done = nkat("data", "tokenize", "--model-path", vocabularies.vocabulary_file(name), "--text", "x")
    assert done.returncode == 3 and REFUSED[name] in done.stderr and "expected" in done.stderr
