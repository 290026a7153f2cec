"""Token table and tokenization of an exported GGUF file, with the demo's tokenizer and Phi-3.5's."""
import json
import random

import llama_cpp
import pytest
import sentencepiece
from exports import MODEL, fields, needs_llama_cpp, random_model
from tokenizers import Tokenizer


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
    "The rotation turns eight channels at a time, doesn't it?",
    "Please pay invoice No. 4711 (EUR 1,234.50) by Friday.",
    "α = -5.0, so σ(α) ≈ 0.0067; see https://example.org/a_b?c=1&d=%20.",
    "Zoë's café costs 5 € – or £4.20…",
    "def f(x):\n    return x ** 2  # 二乗\n",
    "角度の合計は１８０度です。",
    "「了解しました」と彼は言った。",
    "3個のりんごを２人で分けると、残りは何個ですか？",
    "カタカナ・ひらがな・漢字ｶﾅ",
    "# 最終回答\n42",
    "🎉 Done! 👍🏽",
    "🇯🇵と🇩🇪",
    "It is 25 °C 🌞 today; 明日は雨☔です。",
    "Decision: ALLOW\nReason: The person asked for it.",
    "判断：DENY　理由：規則に反します。",
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
