"""Small vocabularies of every kind of tokenizer, trained here by `tokenizers` with the normalizers and pre-tokenizers of the
models that people have, and random texts to compare on."""
import json
import random
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|"
         r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
            r"\s*[\r\n]+|\s+(?!\S)|\s+"]
DEEPSEEK_CODER = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+"]

ADDED = [AddedToken("<|im_start|>", special=True, normalized=False), AddedToken("<|end|>", special=True, normalized=False, rstrip=True),
         AddedToken("<tool>", normalized=False, lstrip=True), AddedToken("wordy", single_word=True),
         AddedToken("  ", normalized=False), AddedToken("caf\u00e9", normalized=True), AddedToken(" of all", normalized=True)]

LANGUAGES = ["The quick brown fox jumps over 12 lazy dogs, didn't it? HTTPServer", "Größe, Straße und Äpfel für 3 €", "L'été où naît la forêt",
             "¿Qué tal, señor? ¡Mañana!", "não é só ilusão", "żółć gęślą jaźń", "İstanbul'da ığdır", "Привет, как дела сегодня?",
             "Ελληνικά άρθρα", "שלום עולם", "مرحبا بالعالم ١٢٣", "नमस्ते दुनिया ४५", "বাংলা ভাষা", "தமிழ் மொழி", "สวัสดีชาวโลก", "Tiếng Việt có dấu",
             "こんにちは、世界。東京都は日本の首都です。カタカナ", "你好，世界。我们今天去北京。", "안녕하세요 세계", "ქართული ენა", "Հայերեն լեզու"]
CODE = ["def f(x):\n    return x ** 2\n\n\nclass A:\n\tpass", "if (a != b) {\n    return a->b[10];\n}\r\n", '{"key": [1, 2.5, null], "b": "\\u00e9"}']
CORPUS = (LANGUAGES + CODE) * 4 + [text.swapcase() for text in LANGUAGES]


def split(*expressions):
    return [pre_tokenizers.Split(Regex(one), "isolated") for one in expressions]


def byte_level(steps, prefix_space=False, use_regex=False):
    last = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space, use_regex=use_regex)
    return pre_tokenizers.Sequence([*steps, last]) if steps else last


# Name: (normalizer, pre-tokenizer, ignore_merges)
BYTE_LEVEL = {
    "gpt2": (None, byte_level([], use_regex=True), False),
    "gpt2-prefix": (None, byte_level([], prefix_space=True, use_regex=True), False),
    "llama3": (None, byte_level(split(LLAMA3)), True),
    "smollm": (None, byte_level([pre_tokenizers.Digits(individual_digits=True)], use_regex=True), False),
    "digits": (None, byte_level([pre_tokenizers.Digits(individual_digits=False)], prefix_space=True), False),
    "qwen2": (normalizers.NFC(), byte_level(split(QWEN2)), False),
    "phi4": (None, byte_level([pre_tokenizers.Split(Regex(LLAMA3), "removed", invert=True)]), False),
    "gpt4o": (None, byte_level(split(GPT4O)), True),
    "deepseek": (None, byte_level(split(*DEEPSEEK)), False),
    "deepseek-coder": (None, byte_level([*split(*DEEPSEEK_CODER), pre_tokenizers.Digits(individual_digits=True)]), False),
    "removed": (normalizers.NFC(), byte_level([pre_tokenizers.Split(Regex(r"\s+"), "removed"), pre_tokenizers.Split(",", "isolated")]), False),
    "thousands": (None, byte_level(split(r"(?=(\d{3})+(?!\d))")), False),
}
MARK = "\u2581"
# Name: (normalizer, pre-tokenizer)
FALLBACK = {
    "llama-legacy": (normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)]), None),
    "llama-replace": (normalizers.Sequence([normalizers.NFC(), normalizers.Replace(" ", MARK)]), None),
    **{f"llama-{scheme}": (None, pre_tokenizers.Metaspace(MARK, scheme, split=False)) for scheme in ("always", "first", "never")},
    "llama-split": (None, pre_tokenizers.Metaspace(MARK, "always", split=True)),
    "llama-first-split": (normalizers.NFC(), pre_tokenizers.Metaspace(MARK, "first", split=True)),
}
KINDS = [*BYTE_LEVEL, *FALLBACK]


def with_byte_pieces(tokenizer):
    """The trained model behind Llama's three special tokens and 256 byte pieces."""
    trained = json.loads(tokenizer.to_str())["model"]
    first = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces = [*first, *sorted(trained["vocab"], key=trained["vocab"].get)]
    return models.BPE({piece: number for number, piece in enumerate(pieces)}, [tuple(one) for one in trained["merges"]],
                      unk_token="<unk>", fuse_unk=True, byte_fallback=True)


def assembled(model, normalizer, pre_tokenizer):
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    return tokenizer


def train(kind, pieces=700, corpus=None):
    """A tokenizer of this kind with about so many pieces and added tokens of every flag. With a corpus no piece of those with
    byte fallback crosses a word, as in Llama's."""
    byte_level = kind in BYTE_LEVEL
    normalizer, pre_tokenizer, *rest = (BYTE_LEVEL if byte_level else FALLBACK)[kind]
    model = models.BPE(ignore_merges=bool(rest and rest[0]))
    whole_words = corpus is not None and not byte_level
    tokenizer = assembled(model, None, pre_tokenizers.Metaspace(MARK, "always")) if whole_words else assembled(model, normalizer, pre_tokenizer)
    # Without the rarest characters byte fallback has something to do.
    alphabet, limit = (pre_tokenizers.ByteLevel.alphabet(), 1000) if byte_level else ([MARK], 150)
    if corpus is not None:
        limit = 5000
    tokenizer.train_from_iterator(corpus or CORPUS, trainers.BpeTrainer(
        vocab_size=pieces, initial_alphabet=alphabet, limit_alphabet=limit, show_progress=False))
    if whole_words:
        tokenizer = assembled(tokenizer.model, normalizer, pre_tokenizer)
    if byte_level:
        tokenizer.decoder = decoders.ByteLevel()
    else:
        strip = [decoders.Strip(" ", 1, 0)] if kind == "llama-legacy" else []
        tokenizer.decoder = decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
        tokenizer.model = with_byte_pieces(tokenizer)
        tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in ("<unk>", "<s>", "</s>")])
    tokenizer.add_tokens(ADDED)
    begin = {"llama3": "<|im_start|>", "llama-first": "<s>"}.get(kind)
    if begin:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, tokenizer.token_to_id(begin))])
    return tokenizer


ASSIGNED = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cs", "Cn")]
MARKS = [chr(c) for c in ASSIGNED if unicodedata.combining(chr(c))]
DIGITS = [chr(c) for c in ASSIGNED if unicodedata.category(chr(c))[0] == "N"]
SPACES = [*" \t\n\r\u000b\u000c\u0085\u00a0\u1680\u2003\u2028\u2029\u3000\u180e\u200b\ufeff", "  ", "\n\n", "    ", "\r\n"]


def random_texts(count, seed=7):
    """Words of 20 languages, code, digits, white space, marks, added tokens, and any code points."""
    rng = random.Random(seed)
    added = [token.content for token in ADDED] + ["wordy", "<s>", "cafe\u0301", "<0x41>", MARK]
    makers = [
        lambda: rng.choice(LANGUAGES + CODE)[rng.randint(0, 20):][:rng.randint(1, 25)],
        lambda: rng.choice(DIGITS[:10]) * rng.randint(1, 7),
        lambda: rng.choice(DIGITS),
        lambda: rng.choice(SPACES),
        lambda: rng.choice(SPACES) * rng.randint(1, 4),
        lambda: rng.choice(MARKS),
        lambda: chr(rng.choice(ASSIGNED)),
        lambda: chr(rng.choice(ASSIGNED)),
        lambda: rng.choice(added),
        lambda: rng.choice("'\"!?.,;:-_/()[]{}<>|@#"),
        lambda: rng.choice(["'S", "'ll", "'VE", "'\u017f", "I'm"]),
        lambda: chr(rng.randrange(0x300)),
    ]
    return ["".join(rng.choice(makers)() for _ in range(rng.randint(0, 24))) for _ in range(count)]
