"""Token ids equal those of Hugging Face's `tokenizers` for every kind of byte-pair tokenizer, from tokenizer.json alone."""
import json
import random

import pytest
import sentencepiece
import tokenizer_kinds as kinds
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

RANDOM_TEXTS = 3000


@pytest.fixture(scope="module", params=kinds.KINDS)
def trained(request, tmp_path_factory):
    """(folder, tokenizer)"""
    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = kinds.train(request.param)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder, tokenizer


def run_lines(nkat, folder, inputs, *words):
    text = "".join(json.dumps(one) + "\n" for one in inputs)
    done = nkat("data", "tokenize", "--model-path", folder, "--lines", *words, input=text)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def assert_equal_ids(nkat, folder, tokenizer, texts, *words, special=False):
    wanted = [one.ids for one in tokenizer.encode_batch(texts, add_special_tokens=special)]
    found = run_lines(nkat, folder, texts, *words)
    wrong = [one for one in zip(texts, found, wanted, strict=True) if one[1] != one[2]]
    assert not wrong, f"{len(wrong)} of {len(texts)} differ, first {wrong[0]}"


def test_random_texts(nkat, trained):
    assert_equal_ids(nkat, *trained, kinds.random_texts(RANDOM_TEXTS) + kinds.CORPUS)


def test_long_texts(nkat, trained):
    texts = ["".join(kinds.random_texts(200, seed)) for seed in range(3)]
    assert_equal_ids(nkat, *trained, texts + [one * 3000 for one in ("a", " ", "東京", "9", "\n", "é", "ab ", "!")])


def test_whole_texts_get_the_post_processors_tokens(nkat, trained):
    assert_equal_ids(nkat, *trained, ["", "a", "two words"], "--whole", special=True)


def test_decoding(nkat, trained):
    folder, tokenizer = trained
    rng = random.Random(3)
    lists = [tokenizer.encode(text, add_special_tokens=False).ids for text in kinds.random_texts(300, seed=9)]
    lists += [[rng.randrange(tokenizer.get_vocab_size()) for _ in range(rng.randint(0, 20))] for _ in range(300)]
    # The library spells an added token's bytes by its alphabet: a caf\u00e9 that it can't read back.
    odd = tokenizer.token_to_id("caf\u00e9")
    lists = [[one for one in ids if one != odd] for ids in lists]
    assert run_lines(nkat, folder, lists, "--decode") == [tokenizer.decode(ids, skip_special_tokens=False) for ids in lists]


# ---- classes, normalization and flags, over all code points

CLASSES = [r"\p{L}", r"\p{N}", r"\p{P}", r"\p{S}", r"\p{M}", r"\p{Lu}|\p{Lt}", r"\p{Ll}|\p{Lm}", r"\s", r"\d", r"(?i:s|k)", r"\p{C}|\p{Z}"]


def bytes_tokenizer(folder, pre_tokenizer=None, normalizer=None):
    alphabet = {character: number for number, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(alphabet, []))
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*([pre_tokenizer] if pre_tokenizer else []), last])
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


def all_code_points(step=2000):
    code_points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    return ["".join(code_points[i:i + step]) for i in range(0, len(code_points), step)]


@pytest.mark.parametrize("expression", CLASSES)
def test_classes_of_all_code_points(nkat, tmp_path, expression):
    tokenizer = bytes_tokenizer(tmp_path, pre_tokenizers.Split(Regex(expression), "removed"))
    assert_equal_ids(nkat, tmp_path, tokenizer, all_code_points())


def test_digits_of_all_code_points(nkat, tmp_path):
    # Two digits merge, and are cut apart where each is one of its own.
    alphabet = {character: number for number, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE({**alphabet, "aa": 256}, [("a", "a")]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex("b"), "removed"), pre_tokenizers.Digits(individual_digits=False),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    # A space shows where a word begins.
    assert_equal_ids(nkat, tmp_path, tokenizer, ["".join("a" + one for one in text) for text in all_code_points()])


def test_normalization_of_all_code_points(nkat, tmp_path):
    tokenizer = bytes_tokenizer(tmp_path, normalizer=normalizers.NFC())
    marks = "\u0301\u0323\u0345\u3099\u0327\u093c\u1161\u11a8"
    texts = [mark.join(text) + mark for text in all_code_points() for mark in (marks[ord(text[0]) // 2000 % len(marks)], "")]
    rng = random.Random(5)
    texts += ["".join(rng.choices(kinds.MARKS + ["a", "e", "\u0915", "\u1100", "\u1161", "\uac00"], k=30)) for _ in range(500)]
    assert_equal_ids(nkat, tmp_path, tokenizer, texts)


def test_single_words_beside_all_code_points(nkat, tmp_path):
    tokenizer = bytes_tokenizer(tmp_path)
    tokenizer.add_tokens([AddedToken("ab", single_word=True)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    texts = ["".join(f"{one}ab {one}" for one in text) for text in all_code_points()]
    assert_equal_ids(nkat, tmp_path, tokenizer, texts + ["".join(f"ab{one} " for one in text) for text in all_code_points()])


# ---- which file counts, and what stands around a text

def write_config(folder, **values):
    (folder / "tokenizer_config.json").write_text(json.dumps(values))


@pytest.mark.parametrize("flags", [{}, {"add_bos_token": False}, {"add_bos_token": True, "add_eos_token": True}])
def test_llamas_class_decides_what_stands_around_a_text(nkat, tmp_path, flags):
    kinds.train("llama-first").save(str(tmp_path / "tokenizer.json"))
    write_config(tmp_path, tokenizer_class="LlamaTokenizer", bos_token="<s>", eos_token="</s>", unk_token="<unk>", legacy=False, **flags)
    oracle = AutoTokenizer.from_pretrained(tmp_path)
    texts = ["", "a text", "<s>"]
    assert run_lines(nkat, tmp_path, texts[:2], "--whole") == [oracle(text).input_ids for text in texts[:2]]
    # A text that brings its own begins with one, not two.
    if flags.get("add_bos_token", True):
        assert run_lines(nkat, tmp_path, texts, "--whole")[2].count(oracle.bos_token_id) == 1


def test_the_files_own_post_processor_counts_for_other_classes(nkat, tmp_path):
    kinds.train("llama3").save(str(tmp_path / "tokenizer.json"))
    write_config(tmp_path, tokenizer_class="PreTrainedTokenizerFast", add_bos_token=False)
    oracle = AutoTokenizer.from_pretrained(tmp_path)
    assert run_lines(nkat, tmp_path, ["a text"], "--whole") == [oracle("a text").input_ids]
    assert oracle("a text").input_ids[0] == oracle.convert_tokens_to_ids("<|im_start|>")


def test_tokenizer_json_wins_and_the_difference_is_named(nkat, tmp_path, root):
    model = root / "data" / "demo" / "model"
    (tmp_path / "tokenizer.model").write_bytes((model / "tokenizer.model").read_bytes())
    file = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    file["model"]["merges"] = file["model"]["merges"][:200]
    (tmp_path / "tokenizer.json").write_text(json.dumps(file), encoding="utf-8")
    done = nkat("data", "tokenize", "--model-path", tmp_path, "--text", "Hello, world!")
    assert done.returncode == 0
    assert json.loads(done.stdout) == Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode("Hello, world!", add_special_tokens=False).ids
    assert "tokenizer.json counts" in done.stderr and "it cuts \"" in done.stderr


def test_both_files_alone_agree(nkat, tmp_path, root):
    model = root / "data" / "demo" / "model"
    texts = kinds.random_texts(500)
    found = []
    for name in ("tokenizer.model", "tokenizer.json"):
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        for file in (name, "tokenizer_config.json"):
            (folder / file).write_bytes((model / file).read_bytes())
        found.append(run_lines(nkat, folder, texts))
    assert found[0] == found[1]


def test_a_pointer_in_place_of_a_tokenizer_is_named(nkat, tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 499723\n"
    for name in ("tokenizer.model", "tokenizer.json"):
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        (folder / name).write_text(pointer)
        done = nkat("data", "tokenize", "--model-path", folder, "--text", "a")
        assert done.returncode == 3
        assert "git-lfs pointer" in done.stderr and "git lfs pull" in done.stderr and name in done.stderr


def test_other_kinds_are_refused_by_name(nkat, tmp_path):
    for model, name in ((models.Unigram([("a", -1.0)]), "Unigram"), (models.WordPiece({"a": 0}, unk_token="a"), "WordPiece")):
        Tokenizer(model).save(str(tmp_path / "tokenizer.json"))
        done = nkat("data", "tokenize", "--model-path", tmp_path, "--text", "a")
        assert done.returncode == 3 and f"found {name}" in done.stderr


def test_sentencepiece_models_with_missing_characters(nkat, tmp_path):
    """Scores decide, ties go to the left, and characters that are no piece of their own join pieces as in sentencepiece."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(kinds.CORPUS), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(tmp_path / "tokenizer"), vocab_size=700, model_type="bpe", byte_fallback=True,
        character_coverage=0.98, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2)
    oracle = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    texts = [text.replace("\x00", "") for text in kinds.random_texts(RANDOM_TEXTS) if text]
    found = run_lines(nkat, tmp_path, texts, "--special-tokens", "text")
    wrong = [one for one in zip(texts, found, map(oracle.encode, texts), strict=True) if one[1] != one[2]]
    assert not wrong, f"{len(wrong)} differ, first {wrong[0]}"
