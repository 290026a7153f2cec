"""llama.cpp's own vocabulary files, as GGUF and as the Hugging Face folders that they came from; texts that try a tokenizer; and
llama.cpp's converter, as far as it writes a vocabulary."""
import contextlib
import json
import logging
import pathlib
import random
import sys
import unicodedata

import gguf
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LLAMA_CPP = ROOT / ".deps" / "llama_cpp"
FILES = LLAMA_CPP / "vocabularies"
SMOLLM2 = ROOT / ".deps" / "smollm2"

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED = [rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+", rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*"]
CASED_TAIL = TAIL.replace(r"[\r\n]*", r"[\r\n/]*")


def split(expression):
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


def byte_level(use_regex):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


DIGITS = {"type": "Digits", "individual_digits": True}
# Of the tokenizer.json that the model of this name has.
PRE_TOKENIZERS = {
    "gpt-2": [byte_level(True)],
    "smollm": [DIGITS, byte_level(True)],
    "starcoder": [DIGITS, byte_level(True)],
    "refact": [DIGITS, byte_level(True)],
    "command-r": [DIGITS, byte_level(True)],
    "llama-bpe": [split(rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{TAIL}"), byte_level(False)],
    "qwen2": [split(rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{TAIL}"), byte_level(False)],
    "gpt-4o": [split("|".join([*(f"{part}{CONTRACTIONS}?" for part in CASED), r"\p{N}{1,3}", CASED_TAIL])), byte_level(False)],
    "tekken": [split("|".join([*CASED, r"\p{N}", CASED_TAIL])), byte_level(False)],
    "deepseek-coder": [split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"), DIGITS,
                       byte_level(False)],
}
IGNORE_MERGES = {"llama-bpe", "tekken"}
NFC = {"qwen2", "command-r"}


def smollm2_file():
    return next(SMOLLM2.glob("*.gguf"), SMOLLM2 / "SmolLM2-135M-Instruct.Q4_1.gguf")


def vocabulary_file(name):
    path = smollm2_file() if name == "smollm" else FILES / f"ggml-vocab-{name}.gguf"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def keys_of(path):
    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items() if name.startswith("tokenizer")}


def byte_spellings():
    """GPT-2's alphabet: the character of each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {**{byte: chr(byte) for byte in printable}, **{byte: chr(0x100 + i) for i, byte in enumerate(rest)}}


def write_with_pre(path, out, pre):
    """The same vocabulary under another pre-tokenizer's name; None: under none."""
    keys = keys_of(path)
    writer = gguf.GGUFWriter(str(out), "llama")
    writer.add_name("test")
    writer.add_tokenizer_model("gpt2")
    if pre is not None:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(keys["tokenizer.ggml.tokens"])
    writer.add_token_types(keys["tokenizer.ggml.token_type"])
    writer.add_token_merges(keys["tokenizer.ggml.merges"])
    writer.add_bos_token_id(keys["tokenizer.ggml.bos_token_id"])
    writer.add_eos_token_id(keys["tokenizer.ggml.eos_token_id"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def write_folder(path, folder, pre=None):
    """The Hugging Face folder of a byte-level vocabulary file; `pre` names other expressions than the file's."""
    keys = keys_of(path)
    pre = pre or keys["tokenizer.ggml.pre"]
    tokens, types = keys["tokenizer.ggml.tokens"], keys["tokenizer.ggml.token_type"]
    padding = {i for i, text in enumerate(tokens) if text == f"[PAD{i}]"}
    added = [{"id": i, "content": text, "special": types[i] == 3, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
             for i, text in enumerate(tokens) if types[i] in (3, 4) and i not in padding]
    steps = PRE_TOKENIZERS[pre]
    last = max(i for i, kind in enumerate(types) if kind == 1)
    vocabulary = {text: i for i, text in enumerate(tokens) if types[i] == 1 or (i < last and i not in padding)}
    merges = keys["tokenizer.ggml.merges"]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": False, "byte_fallback": False, "ignore_merges": pre in IGNORE_MERGES,
             "vocab": vocabulary, "merges": [merge.split(" ") for merge in merges]}
    file = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": {"type": "NFC"} if pre in NFC else None,
            "pre_tokenizer": steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps},
            "post_processor": byte_level(False), "decoder": byte_level(False), "model": model}
    folder.mkdir(parents=True, exist_ok=True)
    begin = tokens[keys.get("tokenizer.ggml.bos_token_id", 0)]
    if pre == "llama-bpe":
        template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                    "pair": [{"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                             {"SpecialToken": {"id": begin, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
                    "special_tokens": {begin: {"id": begin, "ids": [tokens.index(begin)], "tokens": [begin]}}}
        file["post_processor"] = {"type": "Sequence", "processors": [byte_level(False), template]}
    (folder / "tokenizer.json").write_text(json.dumps(file, ensure_ascii=False))
    special = {f"{kind}_token": tokens[keys[f"tokenizer.ggml.{key}_token_id"]] for kind, key in
               [("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")] if f"tokenizer.ggml.{key}_token_id" in keys}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
              "added_tokens_decoder": {str(token["id"]): {k: v for k, v in token.items() if k != "id"} for token in added}, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(tokens)


LANGUAGES = [
    "the quick brown fox doesn't jump, I'LL say", "Größe, Straße und Übermut", "déjà-vu à l'Élysée",
    "¿Qué tal, señor Núñez?", "ÇOK güzel İSTANBUL", "żółć gęślą jaźń", "Привет, МИР! Ёлка",
    "Ελληνικά ΚΑΙ ένα", "שלום עולם", "مرحبا بالعالم ١٢٣",
    "नमस्ते दुनिया १२३", "বাংলা ভাষা", "தமிழ் மொழி",
    "สวัสดีชาวโลก", "Tiếng Việt rất ĐẸP", "こんにちは、世界。カタカナ",
    "東京都１２３号", "你好，世界！", "안녕하세요 세계", "ქართული ᲥᲐᲠᲗᲣᲚᲘ",
    "Հայերեն ԵՒ",
]
SPACES = [
    " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\v", "\f", "\x85", "\xa0", "\u1680", "\u2003", "\u2028",
    "\u202f", "\u3000", "\u200b", "\u180e",
]
SHORT = [
    "a", "B", "1", "23", "456", "7890", "½", "٣", "Ⅷ", "!", "...", "'s", "'LL", "'t", "'", "_", "/", "//", "\\", "`",
    "~", "$", "€", "ﬁ", "ſ", "'ſ", "ß", "İ", "ǅ", "e\u0301", "E\u0301", "\u0301", "\u200d", "👩‍👩‍👧",
    "🦙", "한", "漢", "ー", "㍿", "\u0600", "\ufeff", "x=1;", "</p>", "http://a.b/c?d=e", "<0x41>", "!\x04!", "▁",
    "\U00010d4a", "a\U00010d4b",
]


def assigned_characters():
    return [chr(c) for c in range(1, 0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co") or 0x10D40 <= c < 0x10D70]


def random_texts(count, tokens=(), seed=0):
    """Mixed of all assigned characters, digits, white space, combining marks, twenty languages, and these tokens."""
    rng = random.Random(seed)
    characters = assigned_characters()
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 10)):
            kind = rng.randrange(8 if tokens else 7)
            if kind == 0:
                parts.append("".join(rng.choices(characters, k=rng.randint(1, 4))))
            elif kind == 1:
                sentence = rng.choice(LANGUAGES)
                begin = rng.randrange(len(sentence))
                parts.append(sentence[begin : begin + rng.randint(1, 20)])
            elif kind in (2, 3):
                parts.append(rng.choice(SPACES))
            elif kind == 7:
                parts.append(rng.choice(tokens))
            else:
                parts.append(rng.choice(SHORT))
        texts.append("".join(parts))
    return texts


@contextlib.contextmanager
def official_converter():
    """llama.cpp's conversion package, without the families that need a newer gguf package."""
    if not (LLAMA_CPP / "conversion").exists():
        pytest.skip("llama.cpp's converter is not in .deps")
    sys.path.insert(0, str(LLAMA_CPP))
    try:
        import conversion.base
        import conversion.llama
        logging.getLogger("hf-to-gguf").setLevel(logging.ERROR)
        yield conversion
    finally:
        sys.path.remove(str(LLAMA_CPP))


def official_keys(folder, family):
    """The tokenizer keys that the converter writes for a folder; family: llama, qwen2 or phi3 (with the class GPT2Tokenizer)."""
    with official_converter() as conversion:
        llama = conversion.llama.LlamaModel
        model = object.__new__(llama)
        model.dir_model = folder
        model.hparams = json.loads((folder / "config.json").read_text())
        model.is_mistral_format, model.origin_hf_arch, model.is_eagle3 = False, None, False
        model.gguf_writer = gguf.GGUFWriter(None, family)
        if family == "llama":
            model.set_vocab()
        elif family == "qwen2" and (folder / "tokenizer.model").exists():
            model._set_vocab_sentencepiece()
        else:
            model._set_vocab_gpt2()
        return {key: value.value for key, value in model.gguf_writer.kv_data[0].items() if key.startswith("tokenizer")}
