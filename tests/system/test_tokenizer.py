"""Token ids equal those of Hugging Face's fast tokenizer: on the real Phi-3.5 files where they are present, and on a small
tokenizer trained here. Reference vectors: measured with tokenizers on the Phi-3.5 files; llama.cpp's own for phi-3."""
import json
import random

import pytest
import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

RANDOM_STRINGS = 3000
ADDED = {"<|endoftext|>": False, "<|assistant|>": True, "<|system|>": True, "<|end|>": True, "<|user|>": True}

VECTORS = [
    ("Hello", [15043]),
    (" Hello", [29871, 15043]),
    ("  two  spaces", [259, 1023, 29871, 8162]),
    ("<|user|>\nHello<|end|>\n<|assistant|>\n", [32010, 15043, 32007, 32001]),
    ("<|user|>\n Hello<|end|>", [32010, 15043, 32007]),
    ("<|user|>\n\n  Hello  \n<|end|>", [32010, 15043, 259, 13, 32007]),
    ("<|endoftext|>\nHello", [32000, 29871, 13, 10994]),
    ("a</s>\nb", [263, 2, 289]),
    ("\n<|user|>", [29871, 13, 32010]),
    ("<s>a", [1, 263]),
    ("<unk> x", [0, 29871, 921]),
    ("line1\nline2\n\nline3", [1196, 29896, 13, 1220, 29906, 13, 13, 1220, 29941]),
    ("こんにちは、世界。🦙 テスト",
     [29871, 30589, 30389, 30353, 30644, 30449, 30330, 30793, 30967, 30267, 243, 162, 169, 156, 29871, 30572, 30255, 30279]),
    ("<|system|>\nYou are a helpful assistant.<|end|>\n<|user|>\nHow to explain Internet?<|end|>\n<|assistant|>\n",
     [32006, 887, 526, 263, 8444, 20255, 29889, 32007, 32010, 1128, 304, 5649, 4685, 29973, 32007, 32001]),
    ("<|user|>\u3000こんにちは", [32010, 29871, 30589, 30389, 30353, 30644, 30449]),
]


def train_small_tokenizer(folder):
    """tokenizer.model, tokenizer.json and tokenizer_config.json as a Phi-3-like folder has them."""
    words = "the answer is not here, because 12 and 7 make 19. こんにちは世界。最終回答は 拒否 です。 "
    corpus = folder / "corpus.txt"
    rng = random.Random(0)
    corpus.write_text("".join("".join(rng.sample(words, len(words))) + words + "\n" for _ in range(300)), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "tokenizer"), vocab_size=420, model_type="bpe", byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2)
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    vocabulary = {model.id_to_piece(i): i for i in range(model.get_piece_size())}
    merges = []
    for piece, _ in sorted(((p, model.get_score(i)) for p, i in vocabulary.items()), key=lambda one: -one[1]):
        if len(piece) < 2 or model.is_byte(vocabulary[piece]) or model.is_control(vocabulary[piece]):
            continue
        splits = [(piece[:i], piece[i:]) for i in range(1, len(piece)) if piece[:i] in vocabulary and piece[i:] in vocabulary]
        merges += sorted(splits, key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in ("<unk>", "<s>")])
    tokenizer.add_tokens([AddedToken("</s>", normalized=False, rstrip=True)])
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, rstrip=strip) for text, strip in ADDED.items()])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="<|endoftext|>",
                            unk_token="<unk>").save_pretrained(folder)
    corpus.unlink()
    return folder


@pytest.fixture(scope="module")
def phi35(shared_fixtures):
    return shared_fixtures / "phi35"


@pytest.fixture(scope="module", params=["phi35", "trained", "demo"])
def model_folder(request, tmp_path_factory, root):
    if request.param == "trained":
        return train_small_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    if request.param == "phi35":
        return request.getfixturevalue("phi35")
    found = sorted((root / "data" / "demo").glob("**/tokenizer.model"))
    if not found:
        pytest.skip("data/demo holds no tokenizer.model")
    return found[0].parent


def run_lines(nkat, folder, inputs, *words):
    text = "".join(json.dumps(one) + "\n" for one in inputs)
    done = nkat("data", "tokenize", "--model-path", folder, "--lines", *words, input=text)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def random_strings(count, with_tokens):
    rng = random.Random(7)
    alphabet = list("abcdefghijklmnopqrstuvwxyz ETAOIN 0123456789 .,!?'\"-  \t\n\r")
    alphabet += list("こんにちは世界テスト思考最終回答は拒否です漢字、。") + list("🦙🎉👩‍👩‍👧é\u0301ßñ▁Ж한")
    alphabet += ["\u3000", "\u00a0", "\u2028", "\u200b", "\x85", "\ufeff", "\x00", "\x1f", "\ue000", "\U0010ffff", "   ", "\n\n"]
    if with_tokens:
        alphabet += [*ADDED, "<s>", "</s>", "<unk>", "<|en", "|>", "<0x0A>", "<|user|> \u3000", "<|end|>\n"] * 3
    return ["".join(rng.choices(alphabet, k=rng.randint(0, 50))) for _ in range(count)]


def test_reference_vectors(nkat, phi35):
    assert run_lines(nkat, phi35, [text for text, _ in VECTORS]) == [ids for _, ids in VECTORS]


def test_llama_cpp_vectors(nkat, phi35):
    # llama.cpp differs only in what follows added tokens; none of these texts holds one.
    texts = (phi35 / "llama_cpp_phi3.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")[:-1]
    wanted = [[int(word) for word in line.split()] for line in (phi35 / "llama_cpp_phi3.out").read_text().split("\n")]
    assert len(texts) >= 46
    assert run_lines(nkat, phi35, texts) == wanted[:len(texts)]


def test_random_strings_equal_the_fast_tokenizer(nkat, model_folder):
    oracle = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    texts = random_strings(RANDOM_STRINGS, with_tokens=True) + [" " * n for n in range(1, 120)]
    wanted = [one.ids for one in oracle.encode_batch(texts, add_special_tokens=False)]
    found = run_lines(nkat, model_folder, texts)
    wrong = [text for text, a, b in zip(texts, found, wanted, strict=True) if a != b]
    assert not wrong, f"{len(wrong)} of {len(texts)} differ, first {wrong[0]!r}"


def test_long_texts_equal_the_fast_tokenizer(nkat, model_folder):
    # Longer than the chunks that are merged at a time.
    oracle = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    rng = random.Random(11)
    words = ["hello", "answer", " ", "  ", "こんにちは", "世界", "拒否", "12", "1999", "🦙", "\n", "because", "aaaaaaaa", "、", "Zß"]
    texts = ["".join(rng.choices(words, k=3000)) for _ in range(10)] + [one * 3000 for one in words]
    wanted = [oracle.encode(text, add_special_tokens=False).ids for text in texts]
    assert run_lines(nkat, model_folder, texts) == wanted


def test_plain_text_equals_encoding_special_tokens_as_text(nkat, model_folder):
    oracle = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    oracle.encode_special_tokens = True
    # </s> is an added token that is not special: the oracle still recognizes it.
    texts = [text.replace("</s>", "") for text in random_strings(1000, with_tokens=True)]
    wanted = [one.ids for one in oracle.encode_batch(texts, add_special_tokens=False)]
    assert run_lines(nkat, model_folder, texts, "--special-tokens", "text") == wanted


def test_decoding_equals_the_fast_tokenizer(nkat, model_folder):
    oracle = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    rng = random.Random(3)
    size = oracle.get_vocab_size()
    lists = [[rng.choice([rng.randrange(size), rng.randrange(3, 259)]) for _ in range(rng.randint(0, 20))] for _ in range(2000)]
    lists += [oracle.encode(text, add_special_tokens=False).ids for text in random_strings(1000, with_tokens=True)]
    wanted = [oracle.decode(ids, skip_special_tokens=False) for ids in lists]
    assert run_lines(nkat, model_folder, lists, "--decode") == wanted


def test_reads_text_and_stdin_alike(nkat, model_folder):
    text = "こんにちは <|user|> hi"
    by_option = nkat("data", "tokenize", "--model-path", model_folder, "--text", text)
    by_stdin = nkat("data", "tokenize", "--model-path", model_folder, input=text)
    assert by_option.returncode == 0 and by_option.stdout == by_stdin.stdout


def test_refuses_a_tokenizer_json_without_a_model(nkat, tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    done = nkat("data", "tokenize", "--model-path", tmp_path, "--text", "a")
    assert done.returncode == 3
    assert "expected an object 'model'" in done.stderr


def test_refuses_text_that_is_not_utf8(nkat_path, model_folder):
    import subprocess
    done = subprocess.run([str(nkat_path), "data", "tokenize", "--model-path", str(model_folder)], input=b"a\xff", capture_output=True)
    assert done.returncode == 3
    assert b"not UTF-8 at byte 1" in done.stderr
