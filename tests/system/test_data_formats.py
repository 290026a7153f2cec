"""Data files in every format and spelling that people have, on the built program: one JSON list and CSV read as JSONL is, records
of the usual trainers with what they carry, files of other formats by name, and what a long list or CSV costs in memory."""
import csv
import gzip
import io
import json
import os
import pathlib
import re
import subprocess
import time

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


@pytest.fixture
def samples(nkat, tmp_path):
    """samples(records) gives what training makes of each: its tokens and the places of its targets."""

    def run(records):
        path = tmp_path / "data.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in records))
        done = nkat("data", "samples", path, "--model-path", MODEL)
        assert done.returncode == 0, done.stderr
        all_samples = [json.loads(line) for line in done.stdout.splitlines()]
        assert [one["at"] for one in all_samples] == [f"{path}:{i + 1}" for i in range(len(records))]
        return [(one["tokens"], one["targets"]) for one in all_samples]

    return run


def test_a_system_beside_the_turns_is_their_first(samples):
    text = "Answer in one word."
    kinds = [{"conversations": PAIR}, {"messages": CHAT}, {"prompt": "hello", "completion": "yes"}, {"instruction": "hello", "output": "yes"}]
    before = {"messages": [{"role": "system", "content": text}, *CHAT]}
    keys = ["system", "system_prompt", "system_message"]
    beside = [{key: text, **kind} for key in keys for kind in kinds] + [{**kind, key: text} for key in keys for kind in kinds]
    found = samples([before, *beside, {**before, "system": text}])
    assert all(one == found[0] for one in found)
    alone, *empty = samples([{"messages": CHAT}, *({**kind, key: value} for key in keys for kind in kinds for value in ("", None))])
    assert all(one == alone for one in empty) and len(found[0][0]) > len(alone[0])


def test_what_a_record_carries_besides_is_counted_by_name(check):
    done, found = check([
        {"messages": CHAT, "tools": [{"name": "f"}], "chosen": "a", "rejected": "b", "system": "s"},
        {"messages": [{"role": "system", "content": "own"}, CHAT[0], {**CHAT[1], "reasoning_content": "so"}], "system": "s"},
    ])
    assert done.returncode == 0
    assert found["unused"] == {"chosen": 1, "messages[].reasoning_content": 1, "rejected": 1, "system": 1, "tools": 1}


MARKS = [{"weight": 0}, {"weight": 0.0}, {"weight": False}, {"train": False}, {"training": False}, {"loss": False}, {"loss_weight": 0},
         {"learn": False}, {"train_on_turn": False}, {"masked": True}]


def test_a_turn_that_is_not_to_be_learned_stays_as_context(samples, check):
    more = [{"role": "user", "content": "more"}, {"role": "assistant", "content": "no"}]
    learned, *marked = samples([{"messages": [*CHAT, *more]}, *({"messages": [CHAT[0], {**CHAT[1], **mark}, *more]} for mark in MARKS)])
    (first,) = samples([{"messages": CHAT}])
    assert all(tokens == learned[0] and targets == learned[1][len(first[1]):] for tokens, targets in marked)
    done, found = check([*({"messages": [CHAT[0], {**CHAT[1], **mark}]} for mark in MARKS), {"text": "a b"}])
    assert done.returncode == 0
    assert found["context_turns"] == found["dropped_without_target"] == len(MARKS) and found["samples"] == 1 and found["unused"] == {}


def test_what_cannot_be_learned_says_what_was_found(check):
    wrong = {
        "key 'weight': expected 0, 1, true or false": [{"weight": 0.5}, {"weight": 2}, {"weight": "sometimes"}, {"weight": []}],
        "found null": [{"content": None}],
        "found 5": [{"content": 5}],
        "found a part of type 'image_url'": [{"content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
        'found {"a":1}': [{"content": {"a": 1}}],
        "tool calls aren't trained on here": [{"tool_calls": [{"id": "c"}]}, {"role": "tool"}],
    }
    words = [word for word, changes in wrong.items() for _ in changes]
    done, report = check([{"messages": [CHAT[0], {**CHAT[1], **change}]} for changes in wrong.values() for change in changes])
    assert done.returncode == 3 and report["bad_records"] == len(words)
    assert all(word in message for word, message in zip(words, report["bad_messages"], strict=True))


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
    pytest.param(b"PAR1\x15\x04\x15\x10" + bytes(50) + b"PAR1", "a.parquet", ["a parquet file", "read_parquet", "a.jsonl"], id="parquet"),
    (utf16('{"text":"a b"}\n', b"\xff\xfe"), "a.jsonl", ["UTF-16", "iconv -f UTF-16 "]),
    (utf16('{"text":"a b"}\n', b"\xfe\xff"), "a.jsonl", ["UTF-16", "iconv -f UTF-16 "]),
    ('{"text":"a b"}\n'.encode("utf-16-le"), "a.jsonl", ["UTF-16", "iconv -f UTF-16LE "]),
    (b"PK\x03\x04" + bytes(26) + b"a.jsonl", "a.zip", ["a zip archive", "unzip -p"]),
    (b"\x28\xb5\x2f\xfd" + bytes(20), "a.jsonl.zst", ["a zstd file", "zstd -dc"]),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a.jsonl", ["a git-lfs pointer", "git lfs pull"]),
    (b"id,reply\n1,a\n", "a.csv", ["the names id, reply", "prompt+completion"]),
])
def test_a_file_of_another_format_is_named(check, nkat, tmp_path, content, name, words):
    done, _ = check(content, name=name)
    if name == "a.parquet":
        done = nkat("train", *training.options(tmp_path / "run", train_data=tmp_path / name, max_steps=1))
    assert done.returncode == 3
    assert all(word in done.stderr for word in words), done.stderr
    assert "max-bad-records" not in done.stderr


@pytest.mark.parametrize("pack", ["gzip", "iconv", "jq"])
def test_the_command_that_is_named_makes_a_file_that_is_read(check, nkat, tmp_path, pack):
    text = '{"text":"a b"}\n'
    content = {"gzip": gzip.compress(text.encode()), "iconv": utf16(text, b"\xff\xfe"), "jq": b'{"data": [\n' + text.encode() + b"]}"}[pack]
    done, _ = check(content, name="my data.jsonl.gz" if pack == "gzip" else "my data.jsonl")
    command = re.search(r"; (?:unpack it|convert it|make JSON Lines of it): (.*)", done.stderr)[1]
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
        words = training.options(folder / name, train_data=path, max_steps=2, annealing_warmup=1)
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
    """Of `nkat data check`, in bytes: the highest VmHWM seen while it ran. wait4's figure would hold this process's own."""
    words = [nkat_path, "data", "check", path, "--model-path", MODEL]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        peak = max(peak, int((re.search(r"VmHWM:\s+(\d+) kB", status) or [0, 0])[1]) * 1024)
        time.sleep(0.01)
    assert process.returncode == 0
    return peak


def test_a_long_list_and_csv_cost_the_memory_of_jsonl(nkat_path, tmp_path):
    """A list of 200 MB and CSV of 100 MB against JSONL of 40 MB: what held a file would show at once."""
    record = {"text": "so it is. " * 20, "note": "x" * 400_000}
    line = json.dumps(record)
    contents = {
        "jsonl": f"{line}\n" * 100,
        "json": "[" + ",\n".join([line] * 500) + "]",
        "csv": "text,note\n" + f"{record['text']},{record['note']}\n" * 250,
    }
    peaks = {}
    for ending, content in contents.items():
        path = tmp_path / f"a.{ending}"
        path.write_text(content)
        peaks[ending] = peak_memory(nkat_path, path)
    print("\npeak memory in MB:", {ending: round(peak / 1e6) for ending, peak in peaks.items()})
    assert max(peaks["json"], peaks["csv"]) < peaks["jsonl"] + 8e6
