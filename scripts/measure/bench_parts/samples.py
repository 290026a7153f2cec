"""Samples of random words from the shipped data, as JSONL for nkat and as token ids for the others."""
import json
import random

from bench_parts.random_model import DEMO


def words():
    lines = (DEMO / "train.jsonl").read_text().splitlines()[:400]
    return " ".join(json.loads(line)["messages"][0]["content"] for line in lines).split()


def write_full_samples(path, count, tokens):
    """Texts that hold at least so many tokens each, for runs that cut every sample to exactly that many."""
    rng, vocabulary = random.Random(0), words()
    with path.open("w") as file:
        for _ in range(count):
            file.write(json.dumps({"text": " ".join(rng.choices(vocabulary, k=tokens))}) + "\n")
    return path


def write_samples(folder, count, shortest, longest, tokenizer_of=DEMO / "model"):
    """One global batch of texts of shortest to longest tokens: text.jsonl, tokens.json. Returns the number of tokens."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_of / "tokenizer.json"))
    vocabulary, rng, texts, ids, at = words(), random.Random(0), [], [], 0
    while len(texts) < count:
        wanted, text = rng.randint(shortest, longest - 10), []
        while len(tokenizer.encode(" ".join(text), add_special_tokens=False).ids) < wanted:
            text.append(vocabulary[at % len(vocabulary)])
            at += 1
        encoded = tokenizer.encode(" ".join(text), add_special_tokens=False).ids
        if len(encoded) <= longest:
            texts.append(" ".join(text))
            ids.append(encoded)
    (folder / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (folder / "tokens.json").write_text(json.dumps([ids]))
    return sum(map(len, ids))
