"""The shipped model and data: loadable by transformers, tokenized as sentencepiece does, small, and made as documented."""
import json
import random
import re
import shlex

import pytest
import sentencepiece
import torch
import transformers

SPECIAL = {"<|endoftext|>": 0, "<|assistant|>": 1, "<|placeholder1|>": 2, "<|placeholder2|>": 3, "<|placeholder3|>": 4,
           "<|placeholder4|>": 5, "<|system|>": 6, "<|end|>": 7, "<|placeholder5|>": 8, "<|placeholder6|>": 9,
           "<|user|>": 10}


@pytest.fixture(scope="module")
def demo(root):
    return root / "data/demo"


@pytest.fixture(scope="module")
def tokenizer(demo):
    return transformers.AutoTokenizer.from_pretrained(demo / "model")


@pytest.fixture(scope="module")
def pieces(demo):
    return sentencepiece.SentencePieceProcessor(model_file=str(demo / "model/tokenizer.model"))


@pytest.fixture(scope="module")
def model(demo):
    return transformers.Phi3ForCausalLM.from_pretrained(demo / "model", dtype=torch.float32)


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def texts_to_tokenize(demo):
    texts = [message["content"] for name in ("train", "validation") for record in read(demo / f"{name}.jsonl")
             for message in record["messages"]]
    texts += [record["text"] for record in read(demo / "general.jsonl")]
    texts += [" Hello", "  two  spaces", "trailing  ", "a\nb\n\nc", "\t tab", "🦙 テスト", "日本語と English 123", "e\u0301"]
    stream, alphabet = random.Random(0), list("abc 佐藤12\n🦙é\u3000、。<|>")
    return texts + ["".join(stream.choices(alphabet, k=stream.randrange(1, 40))) for _ in range(2000)]


def test_fast_tokenizer_gives_the_ids_of_sentencepiece(demo, tokenizer, pieces):
    assert tokenizer.is_fast
    texts = texts_to_tokenize(demo)
    assert len(texts) > 8000
    for text in texts:
        assert tokenizer(text)["input_ids"] == pieces.encode(text), text
        assert tokenizer.decode(pieces.encode(text)) == text


def test_special_tokens_follow_the_pieces_with_the_flags_of_phi(tokenizer, pieces):
    added = tokenizer.added_tokens_decoder
    for text, offset in SPECIAL.items():
        token = added[pieces.get_piece_size() + offset]
        assert (token.content, token.special, token.rstrip) == (text, True, text != "<|endoftext|>")
        assert not (token.normalized or token.lstrip or token.single_word)
    assert added[2].content == "</s>" and added[2].rstrip and not added[2].special


def test_chat_template_is_that_of_phi(demo, tokenizer, shared_fixtures):
    expected = json.loads((shared_fixtures / "phi35/tokenizer_config.json").read_text())["chat_template"]
    assert tokenizer.chat_template == expected


def test_model_loads_and_has_the_promised_shape(model, tokenizer):
    config = model.config
    assert config.hidden_size % 24 == 0 and config.intermediate_size % 256 == 0 and 4 <= config.num_hidden_layers <= 8
    assert 1e6 <= sum(parameter.numel() for parameter in model.parameters()) <= 3e6
    assert config.vocab_size >= len(tokenizer)
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids(["<|end|>", "<|assistant|>", "<|endoftext|>"])


def test_model_knows_its_general_text_but_not_the_tasks(demo, model, tokenizer):
    """A tenth of the figures of a model that knows nothing, log 1600 = 7.4; the tasks start above 2.5."""
    with torch.no_grad():
        rows = [torch.tensor([tokenizer(r["text"])["input_ids"]]) for r in read(demo / "general.jsonl")[:60]]
        general = sum(model(row, labels=row).loss.item() for row in rows) / len(rows)
        losses = []
        for record in read(demo / "validation.jsonl")[:60]:
            ids = tokenizer.apply_chat_template(record["messages"])
            answer = ids.index(tokenizer.convert_tokens_to_ids("<|assistant|>")) + 1
            labels = torch.tensor([[-100] * answer + ids[answer:-1] + [-100]])
            losses.append(model(torch.tensor([ids]), labels=labels).loss.item())
    assert general < 1.5
    assert sum(losses) / len(losses) > 2.5


def test_folder_is_small(demo):
    assert sum(path.stat().st_size for path in demo.rglob("*") if path.is_file()) <= 8e6


def test_splits_are_disjoint(demo):
    train, validation = ({record["messages"][1]["content"] for record in read(demo / f"{name}.jsonl")}
                         for name in ("train", "validation"))
    assert len(train) == 2000 and len(validation) == 200
    assert not train & validation


def test_data_files_are_what_the_documented_commands_make(demo, nkat, tmp_path):
    commands = re.findall(r"`build/nkat (data make [^`]+)`", (demo / "README.md").read_text(encoding="utf-8"))
    assert len(commands) == 3
    for words in map(shlex.split, commands):
        shipped = demo / words[-1].removeprefix("data/demo/")
        words[-1] = str(tmp_path / shipped.name)
        assert nkat(*words).returncode == 0
        assert (tmp_path / shipped.name).read_bytes() == shipped.read_bytes()


def test_options_of_data_make_are_checked(nkat):
    wrong = nkat("data", "make", "--task", "poetry")
    assert wrong.returncode == 2 and "decision" in wrong.stderr
    assert nkat("data", "make", "--count", "0").returncode == 2
    missing = nkat("data", "make", "--count", "1", "--output", "/nowhere/at/all.jsonl")
    assert missing.returncode in (3, 4) and "/nowhere/at" in missing.stderr
