"""Data files in every format and spelling that people have, on the built program: one JSON list and CSV read as JSONL is, records
of the usual trainers with what they carry, files of other formats by name, and what a long list or CSV costs in memory."""
import csv
import gzip
import io
import json
import os
import re
import subprocess

import pytest
import training
from safetensors import safe_open

MODEL = training.DEMO / "model"
PAIR = [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "yes"}]
CHAT = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "yes"}]


@pytest.fixture
def check(nkat, tmp_path):
    """check(bytes or records, *words) runs `nkat data check --json`; returns the process and what it found of the file."""

    def run(content, *words, name="data.jsonl"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else b"".join(json.dumps(one).encode() + b"\n" for one in content))
        done = nkat("data", "check", path, "--model-path", MODEL, "--json", *words)
        return done, json.loads(done.stdout)["files"][0] if done.stdout else None

    return run


def answers(sample):
    """What of a sample's text is a target."""
    return re.findall("⟦(.*?)⟧", sample["text"], re.DOTALL)


@pytest.mark.parametrize("key", ["system", "system_prompt", "system_message"])
@pytest.mark.parametrize("turns", [{"conversations": PAIR}, {"messages": CHAT}, {"prompt": "hello", "completion": "yes"},
                                   {"instruction": "hello", "output": "yes"}])
def test_a_system_beside_the_turns_is_their_first(check, key, turns):
    _, beside = check([{key: "Answer in one word.", **turns}])
    _, before = check([{"messages": [{"role": "system", "content": "Answer in one word."}, *CHAT]}])
    assert beside["sample"]["text"] == before["sample"]["text"]
    assert "Answer in one word." in beside["sample"]["text"] and beside["unused"] == {}
    for empty in ("", None):
        _, without = check([{**turns, key: empty}])
        _, alone = check([turns])
        assert without["sample"]["text"] == alone["sample"]["text"]


def test_what_a_record_carries_besides_is_counted_by_name(check):
    done, found = check([
        {"messages": CHAT, "tools": [{"name": "f"}], "chosen": "a", "rejected": "b", "system": "s"},
        {"messages": [{"role": "system", "content": "own"}, CHAT[0], {**CHAT[1], "reasoning_content": "so"}], "system": "s"},
    ])
    assert done.returncode == 0
    assert found["unused"] == {"chosen": 1, "messages[].reasoning_content": 1, "rejected": 1, "system": 1, "tools": 1}


@pytest.mark.parametrize("mark", [{"weight": 0}, {"weight": 0.0}, {"weight": False}, {"train": False}, {"training": False}, {"loss": False},
                                  {"loss_weight": 0}, {"learn": False}, {"train_on_turn": False}, {"masked": True}])
def test_a_turn_that_is_not_to_be_learned_stays_as_context(check, mark):
    marked = [CHAT[0], {**CHAT[1], **mark}, {"role": "user", "content": "more"}, {"role": "assistant", "content": "no"}]
    _, found = check([{"messages": marked}])
    _, all_learned = check([{"messages": [*CHAT, *marked[2:]]}])
    assert [one.strip() for one in answers(found["sample"])] == ["no<|end|>"]
    assert found["sample"]["text"].replace("⟦", "").replace("⟧", "") == all_learned["sample"]["text"].replace("⟦", "").replace("⟧", "")
    assert found["context_turns"] == 1 and found["unused"] == {}
    done, none = check([{"messages": marked[:2]}, {"text": "a b"}])
    assert done.returncode == 0 and none["dropped_without_target"] == 1 and none["samples"] == 1


@pytest.mark.parametrize("value", [0.5, 2, "sometimes", []])
def test_a_mark_that_is_neither_is_a_bad_record(check, value):
    done, found = check([{"messages": [CHAT[0], {**CHAT[1], "weight": value}]}, {"text": "a b"}])
    assert done.returncode == 3
    assert "key 'weight': expected 0, 1, true or false" in found["bad_messages"][0]


@pytest.mark.parametrize("content, found", [
    (None, "found null"),
    (5, "found 5"),
    ([{"type": "image_url", "image_url": {"url": "x"}}], "found a part of type 'image_url'"),
    ({"a": 1}, 'found {"a":1}'),
])
def test_a_content_that_is_no_text_says_what_was_found(check, content, found):
    done, report = check([{"messages": [CHAT[0], {"role": "assistant", "content": content}]}, {"text": "a b"}])
    assert done.returncode == 3 and found in report["bad_messages"][0]


def test_text_parts_and_the_usual_pairs_are_taken(check):
    records = [
        {"messages": PAIR},
        {"conversations": CHAT},
        {"messages": [CHAT[0], {"role": "model", "content": [{"type": "text", "text": "y"}, {"type": "text", "text": "es"}]}]},
        {"prompt": [CHAT[0]], "completion": [CHAT[1]]},
        {"query": "hello", "response": "yes"},
    ]
    done, found = check(records)
    assert done.returncode == 0 and found["samples"] == 5
    assert found["duplicates"] == 4  # all say the same


def utf16(text, mark):
    return mark + text.encode("utf-16-le" if mark == b"\xff\xfe" else "utf-16-be")


@pytest.mark.parametrize("content, name, words", [
    (gzip.compress(b'{"text":"a b"}\n'), "a.jsonl.gz", ["a gzip file", "gzip -dc"]),
    (b"PAR1\x15\x04\x15\x10" + bytes(50) + b"PAR1", "a.parquet", ["a parquet file", "read_parquet", "a.jsonl"]),
    (utf16('{"text":"a b"}\n', b"\xff\xfe"), "a.jsonl", ["UTF-16", "iconv -f UTF-16 "]),
    (utf16('{"text":"a b"}\n', b"\xfe\xff"), "a.jsonl", ["UTF-16", "iconv -f UTF-16 "]),
    ('{"text":"a b"}\n'.encode("utf-16-le"), "a.jsonl", ["UTF-16", "iconv -f UTF-16LE "]),
    (b"PK\x03\x04" + bytes(26) + b"a.jsonl", "a.zip", ["a zip archive", "unzip -p"]),
    (b"\x28\xb5\x2f\xfd" + bytes(20), "a.jsonl.zst", ["a zstd file", "zstd -dc"]),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a.jsonl", ["a git-lfs pointer", "git lfs pull"]),
    (b"id,reply\n1,a\n", "a.csv", ["the names id, reply", "prompt+completion"]),
])
@pytest.mark.parametrize("command", ["check", "train"])
def test_a_file_of_another_format_is_named(check, nkat, tmp_path, content, name, words, command):
    if command == "check":
        done, _ = check(content, name=name)
    else:
        (tmp_path / name).write_bytes(content)
        done = nkat("train", *training.options(tmp_path / "run", train_data=tmp_path / name, max_steps=1))
    assert done.returncode == 3
    assert all(word in done.stderr for word in words), done.stderr
    assert "max-bad-records" not in done.stderr


@pytest.mark.parametrize("pack", ["gzip", "iconv", "jq"])
def test_the_command_that_is_named_makes_a_file_that_is_read(check, nkat, tmp_path, pack):
    text = '{"text":"a b"}\n'
    content = {"gzip": gzip.compress(text.encode()), "iconv": utf16(text, b"\xff\xfe"), "jq": b'{"data": [\n' + text.encode() + b"]}"}[pack]
    done, _ = check(content, name="my data.jsonl.gz" if pack == "gzip" else "my data.jsonl")
    command = re.search(f"({pack} .*)", done.stderr)[1]
    if subprocess.run(["sh", "-c", f"command -v {pack}"], capture_output=True).returncode != 0:
        pytest.skip(f"{pack} is not installed")
    subprocess.run(["sh", "-c", command], check=True, cwd=tmp_path)
    (output,) = [path for path in tmp_path.iterdir() if path.name not in ("my data.jsonl.gz", "my data.jsonl")] or [tmp_path / "my data.jsonl"]
    assert nkat("data", "check", output, "--model-path", MODEL).returncode == 0


# ---- the same records in every format


def alpaca(count, words=3):
    return [{"instruction": f'say "{i}",\nplease', "input": "そして\r\n" * (i % 2), "output": f"it is {i}" + " or, so" * words} for i in range(count)]


def as_csv(records, separator=",", **options):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), delimiter=separator, **options)
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


FORMATS = {
    "list": lambda records: json.dumps(records).encode(),
    "list over lines": lambda records: json.dumps(records, indent=2, ensure_ascii=False).encode(),
    "csv": as_csv,
    "csv of excel": lambda records: b"\xef\xbb\xbf" + as_csv(records, ";", quoting=csv.QUOTE_ALL),
    "tab": lambda records: as_csv(records, "\t", lineterminator="\n"),
}


@pytest.fixture(scope="module")
def trained(nkat, tmp_path_factory):
    """trained(name, bytes): the run of a few steps on this file, and the tensors of its token cache."""
    folder = tmp_path_factory.mktemp("formats")

    def run(name, content):
        path = folder / f"{name}.data"
        path.write_bytes(content)
        cache = folder / f"{name} cache"
        words = training.options(folder / name, train_data=path, max_steps=2, validate_every=0, checkpoint_every=0, annealing_warmup=1)
        done = nkat("train", *words, env={**os.environ, "NKAT_CACHE_DIR": str(cache)})
        assert done.returncode == 0, done.stderr
        (tokens,) = cache.glob("tokens-*.safetensors")
        with safe_open(tokens, "np") as file:
            return folder / name, {tensor: file.get_tensor(tensor).tobytes() for tensor in ("tokens", "ends", "lines")}

    return run


@pytest.fixture(scope="module")
def trained_on_jsonl(trained):
    return trained("jsonl", b"".join(json.dumps(one).encode() + b"\n" for one in alpaca(12)))


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_data_in_another_format_train_alike(trained, trained_on_jsonl, name):
    run, tokens = trained(name, FORMATS[name](alpaca(12)))
    assert tokens == trained_on_jsonl[1]
    training.assert_same_run(run, trained_on_jsonl[0])


def test_bad_records_are_named_by_line_and_number(check):
    listed = b'[\n{"text":"a b"},\n{"text":5},\n{"text":"c\n{"text":"d e"}\n]'
    done, found = check(listed)
    assert done.returncode == 3 and "2 bad records, at most 0" in done.stderr
    assert found["records"] == 4 and found["samples"] == 2
    assert "data.jsonl:3 (record 2): key 'text': expected a string, found 5" in found["bad_messages"][0]
    assert "data.jsonl:4 (record 3): expected the end of a string, found a line break" in found["bad_messages"][1]
    done, found = check(b'id,text\n1,"a\nb"\n2\n3,c d\n', "--max-bad-records", "1")
    assert done.returncode == 0 and found["samples"] == 2
    assert "data.jsonl:4 (record 2): expected 2 fields, as in the header, found 1" in found["bad_messages"][0]


# ---- what a run says at its start


def test_a_run_says_what_it_will_train_on(nkat, tmp_path):
    data = tmp_path / "data.json"
    long = "\n".join(f"line {i}" for i in range(60))
    data.write_text(json.dumps([{"messages": [CHAT[0], {"role": "assistant", "content": long}], "tools": [1]}, {"text": "a b"},
                                {"messages": [*CHAT, CHAT[0], {**CHAT[1], "weight": 0}]}]))
    words = training.options(tmp_path / "run", train_data=data, max_steps=2, checkpoint_every=1, max_sequence_length=512, annealing_warmup=1)
    done = nkat("train", *words)
    assert done.returncode == 0, done.stderr
    assert re.search(r"training data: 3 samples of 3 records \(messages 2, text 1\), \d+ tokens, \d+ targets, longest \d+;", done.stderr)
    assert "template Phi-3.5" in done.stderr
    assert "in records, but not used: tools 1" in done.stderr
    assert "1 assistant turns are marked as not to be learned" in done.stderr
    assert "data.json: record 1, targets between ⟦ and ⟧:\n" in done.stderr
    assert "⟦ line 0\n" in done.stderr and "\nline 39\n...\n" in done.stderr and "line 40" not in done.stderr
    resumed = nkat("train", *[{"2": "3"}.get(word, word) if i and words[i - 1] == "--max-steps" else word for i, word in enumerate(words)])
    assert resumed.returncode == 0, resumed.stderr
    assert "training data: 3 samples" in resumed.stderr and "line 0" not in resumed.stderr


# ---- memory


def peak_memory(nkat_path, path):
    """Of `nkat data check`, in bytes."""
    process = subprocess.Popen([nkat_path, "data", "check", path, "--model-path", MODEL], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss * 1024


def test_a_long_list_and_csv_cost_the_memory_of_jsonl(nkat_path, tmp_path):
    """200 MB each. Kept in memory, one of them would cost ten times what all the rest of the program does."""
    record = {"text": "so it is. " * 20, "note": "x" * 400_000}
    count = 500
    line = json.dumps(record)
    paths = [tmp_path / "a.jsonl", tmp_path / "a.json", tmp_path / "a.csv"]
    paths[0].write_text(f"{line}\n" * count)
    paths[1].write_text("[" + ",\n".join([line] * count) + "]")
    paths[2].write_text("text,note\n" + f"{record['text']},{record['note']}\n" * count)
    jsonl, listed, table = (peak_memory(nkat_path, path) for path in paths)
    assert min(path.stat().st_size for path in paths) > 200e6
    print(f"\npeak memory in MB: JSONL {jsonl / 1e6:.0f}, list {listed / 1e6:.0f}, CSV {table / 1e6:.0f}")
    assert listed < jsonl + 8e6 and table < jsonl + 8e6
