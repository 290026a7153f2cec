"""`nkat data check` on the built program: counts, masks, exit codes; targets against transformers' own template; and what a
large file costs in memory."""
import json

import pytest
from test_tokenizer import train_small_tokenizer
from transformers import AutoTokenizer

TEMPLATE = ("{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\n' + "
            "message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + "
            "'<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}"
            "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = train_small_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@pytest.fixture
def check(nkat, model_folder, tmp_path):
    def run(lines, *words):
        path = tmp_path / "data.jsonl"
        if isinstance(lines, bytes):
            path.write_bytes(lines)
        else:
            path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines), encoding="utf-8")
        return nkat("data", "check", path, "--model-path", model_folder, *words)

    return run


CONVERSATION = [{"role": "system", "content": "here is"}, {"role": "user", "content": " the answer\n"},
                {"role": "assistant", "content": "拒否 です。"}, {"role": "user", "content": "and 7"},
                {"role": "assistant", "content": " 19 "}]


def test_rendering_equals_transformers(check, model_folder):
    oracle = AutoTokenizer.from_pretrained(model_folder)
    ids = oracle.apply_chat_template(CONVERSATION, tokenize=True)
    done = check([{"messages": CONVERSATION}], "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["template"] == "Phi-3.5"
    file = report["files"][0]
    assert file["tokens"] == len(ids)
    assert file["sample"]["text"].replace("⟦", "").replace("⟧", "") == oracle.decode(ids)
    answers = [oracle.encode("<|assistant|>\n" + one["content"] + "<|end|>", add_special_tokens=False)[1:]
               for one in CONVERSATION if one["role"] == "assistant"]
    assert file["target_tokens"] == sum(map(len, answers))


def test_report_counts_what_the_file_holds(check):
    done = check([
        {"messages": CONVERSATION, "label": "DENY"},
        {"conversations": [{"from": "human", "value": "12"}, {"from": "gpt", "value": "19"}]},
        {"prompt": "12", "completion": "19"},
        {"instruction": "12", "input": "7", "output": "19", "text": "not used", "four_class_label": "ALLOW"},
        {"text": "<|user|>\n12<|end|>\n<|assistant|>\n7<|end|>\n<|endoftext|>"},
        {"text": "the answer is not here"},
    ], "--json")
    assert done.returncode == 0, done.stderr
    file = json.loads(done.stdout)["files"][0]
    assert file["records"] == file["samples"] == 6
    assert file["kinds"] == {"messages": 1, "conversations": 1, "prompt+completion": 1, "instruction": 1, "text": 2}
    assert file["labels"] == {"ALLOW": 1, "DENY": 1}
    assert file["duplicates"] == 1
    assert file["rendered"] == 1


def test_text_report_shows_the_mask(check):
    done = check([{"prompt": "12", "completion": "19"}])
    assert done.returncode == 0, done.stderr
    assert "<|user|> 12<|end|><|assistant|>⟦ 19<|end|>⟧<|endoftext|>" in done.stdout


@pytest.mark.parametrize("lines, words, code, message", [
    (b"", (), 3, "no record leaves a token to learn"),
    (b"\n\n", (), 3, "no record leaves a token to learn"),
    (b'{"text":"a b"}\nnope\n', (), 3, "1 bad records, at most 0"),
    (b'{"text":"a b"}\nnope\n', ("--max-bad-records", "1"), 0, ""),
    (b'{"text":"a b"}\n{"text":"\xff"}\n', (), 3, "1 bad records"),
    (b'\xef\xbb\xbf{"text":"a b"}\r\n{"text":"c d"}', (), 0, ""),
    (b'[{"text":"a b"}]', (), 0, ""),
    (b'{"data":[{"text":"a b"}]}', (), 3, "one JSON object with a list 'data'"),
    (b'\xff\xfe{\x00}\x00', (), 3, "UTF-16"),
    (b'{"messages":[{"role":"user","content":"u"}]}', (), 3, "no record leaves a token to learn"),
    (b'{"text":"a b c d e"}', ("--max-sequence-length", "3", "--overlong", "error"), 3, "data.jsonl:1: "),
    (b'{"text":"a b"}', ("--max-sequence-length", "1"), 2, "max-sequence-length"),
    (b'{"text":"a b"}', ("--overlong", "crop"), 2, "overlong"),
    (b'{"text":"a b"}', ("--overlang", "cut"), 2, "--overlong"),
])
def test_exit_codes_and_messages(check, lines, words, code, message):
    done = check(lines, *words)
    assert done.returncode == code, done.stdout + done.stderr
    assert message in done.stderr


def test_bad_lines_are_named(check):
    done = check(b'{"text":"a b"}\n{"foo":1}\n{"messages":[{"role":"tool","content":"x"}]}\n')
    assert "data.jsonl:2: expected one of messages" in done.stdout
    assert "data.jsonl:3: 'messages' number 1: key 'role': expected system, user or assistant, found \"tool\"" in done.stdout


def test_a_template_that_cant_be_run_makes_bad_lines(nkat, model_folder, tmp_path):
    for file in model_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "chat_template.jinja").write_text("{% for m in messages %}{{ raise_exception('only for tools') }}{% endfor %}")
    (tmp_path / "data.jsonl").write_text('{"text":"a b"}\n{"prompt":"12","completion":"19"}\n')
    done = nkat("data", "check", tmp_path / "data.jsonl", "--model-path", tmp_path)
    assert done.returncode == 3
    assert "data.jsonl:2: the chat template raises: only for tools" in done.stdout


def test_a_system_turn_that_the_template_drops_is_said(nkat, model_folder, tmp_path):
    for file in model_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "chat_template.jinja").write_text(
        "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}")
    record = {"messages": CONVERSATION}
    (tmp_path / "data.jsonl").write_text(json.dumps(record) + "\n" + json.dumps({"prompt": "12", "completion": "19"}) + "\n")
    done = nkat("data", "check", tmp_path / "data.jsonl", "--model-path", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the chat template leaves the system turn out of 1 records" in done.stdout
    [file] = json.loads(nkat("data", "check", tmp_path / "data.jsonl", "--model-path", tmp_path, "--json").stdout)["files"]
    assert file["left_out"] == {"system turn": 1}
