"""`nkat eval --task decision` and `--task math` on the shipped model and a short run's adapter, against transformers.

The reference computes the adapter in PyTorch in float64 (adapter_reference.py); the program computes in float32.
"""
import json
import os
import re
import signal
import subprocess
import time

import pytest
import torch
import training
import transformers
from adapter_reference import AdaptedModel

MODEL = training.DEMO / "model"
LABELS = ["ALLOW", "ESCALATION", "DENY", "REFUSE"]
# A log-probability is a logit less the logarithm of a sum, both of order ten, after a forward pass in float32 against
# float64: a few hundred roundings of 6e-8. So much of each token's nats, and of one nat for tokens that are certain.
PARITY = 1e-5
# Learned by heart, so that the adapter's answers are known: two that end in a mark, one of them in Japanese form.
QUESTIONS = [
    ("Tom has 3 apples and buys 4. How many has he?", "3 + 4 = 7\n#### 7"),
    ("A bus holds 1200 people. How many do two hold?", "2 × 1200 = 2400\n#### 2,400"),
    ("りんごが5個あります。2個食べました。何個残りますか。", "# 思考ステップ\n5 - 2 = 3\n# 最終回答\n3個"),
    ("A pen costs 2.50 dollars. How much is one pen?", "#### $2.5"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, nkat):
    """An adapter trained for a few seconds on QUESTIONS and twelve decisions, and those as data files."""
    folder = tmp_path_factory.mktemp("tasks")
    records = [json.loads(line) for line in (training.DEMO / "train.jsonl").read_text().splitlines()]
    decisions = [record for record in records if "label" in record][:24]
    assert {record["label"] for record in decisions} == set(LABELS)
    write(folder / "decisions.jsonl", decisions)
    write(folder / "gsm8k.jsonl", [{"question": question, "answer": answer} for question, answer in QUESTIONS])
    learned = [{"prompt": question, "completion": answer} for question, answer in QUESTIONS]
    write(folder / "train.jsonl", learned + decisions[:8])
    given = dict(train_data=folder / "train.jsonl", max_steps=150, batch_size=12, alpha_init=0, gradient_accumulation=1,
                 max_sequence_length=160, learning_rate=5e-2, warmup_steps=5, annealing_warmup=150, checkpoint_every=150,
                 validate_every=150)
    done = nkat("train", *training.options(folder / "run", **given))
    assert done.returncode == 0, done.stderr
    return folder


def write(path, records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def words(task, *more):
    return ["eval", "--task", task, "--model-path", MODEL, "--precision", "fp32", "--device", "cpu", *more]


@pytest.fixture(scope="module")
def ask(nkat, folder):
    """The JSON and the lines of --answers-file."""

    def run(task, *more):
        done = nkat(*words(task, "--json", "--answers-file", folder / "answers.jsonl", *more))
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
        return json.loads(done.stdout)[task], rows

    return run


@pytest.fixture(scope="module")
def decided(ask, folder):
    return ask("decision", "--adapter", folder / "run/adapter", "--data", folder / "decisions.jsonl", "--max-new-tokens", 40)


@pytest.fixture(scope="module")
def solved(ask, folder):
    return ask("math", "--adapter", folder / "run/adapter", "--data", folder / "gsm8k.jsonl", "--max-new-tokens", 40)


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.AutoTokenizer.from_pretrained(MODEL)


@pytest.fixture(scope="module")
def models(folder):
    return {"base": AdaptedModel(MODEL).model, "adapter": AdaptedModel(MODEL).load(folder / "run/adapter").model}


def prompt_of(tokenizer, turns):
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False).input_ids


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_log_probabilities_of_the_labels_equal_transformers(decided, folder, models, tokenizer):
    errors, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)  # many small passes: a second thread costs more than it computes
    for record, row in [*zip(read(folder / "decisions.jsonl"), decided[1], strict=True)][::3]:
        *turns, answer = record["messages"]
        prompt = prompt_of(tokenizer, turns)
        for label, own, base in zip(LABELS, row["log_probabilities"], row["base"]["log_probabilities"]):
            start = answer["content"].split("\n")[0].replace(record["label"], label)
            scored = tokenizer(start, add_special_tokens=False).input_ids
            for name, found in (("adapter", own), ("base", base)):
                with torch.no_grad():
                    logits = models[name](torch.tensor([prompt + scored])).logits[0, len(prompt) - 1 : -1]
                expected = logits.log_softmax(-1).gather(1, torch.tensor(scored)[:, None]).sum().item()
                errors.append(abs(found - expected) / (abs(expected) + len(scored)))
    torch.set_num_threads(threads)
    print(f"\nlargest error of {len(errors)} log-probabilities, relative to nats and tokens: {max(errors):.1e}")
    assert max(errors) < PARITY


def test_answers_are_those_of_nkat_generate(decided, solved, folder, nkat, tokenizer):
    """Batched here, one by one there; test_generate.py compares that with transformers."""
    prompts = [tokenizer.apply_chat_template(record["messages"][:-1], tokenize=False, add_generation_prompt=True)
               for record in read(folder / "decisions.jsonl")[:2]]
    asked = [*zip(prompts, decided[1]), *zip([question for question, _ in QUESTIONS], solved[1], strict=True)]
    for i, (prompt, row) in enumerate(asked):
        for adapter, answer in (([], row["base"]["answer"]), (["--adapter", folder / "run/adapter"], row["answer"])):
            given = ["--prompt", prompt, "--max-new-tokens", 40, "--precision", "fp32", "--device", "cpu", "--json"]
            alone = nkat("generate", "--model-path", MODEL, *given, *adapter, *(["--raw"] if i < len(prompts) else []))
            assert json.loads(alone.stdout)["text"] == answer, row["where"]


def test_what_was_learned_is_counted_and_tested(solved):
    found, rows = solved
    assert [row["read"] for row in rows] == ["7", "2400", "3", "2.5"]
    assert [row["result"] for row in rows] == ["7", "2400", "3", "2.5"]
    score = found["scores"]["all"]
    assert (score["right"], score["questions"], score["base"]["right"]) == (4, 4, 0)
    assert (score["gained"], score["lost"]) == (4, 0)
    assert score["p"] == pytest.approx(2 * 0.5**4)  # four of four, either way
    assert score["interval"][0] < 1 and score["interval"][1] == 1
    assert (found["unparsed"], found["base_unparsed"]) == (0, 4)
    assert (found["any_form"]["right"], found["any_form"]["base"]["right"]) == (4, found["base_unmarked_right"])


def test_confusions_add_up_and_languages_to_all(decided, folder):
    found, rows = decided
    records = read(folder / "decisions.jsonl")
    for how, key in (("generated", "read"), ("likelihood", "likeliest")):
        scores = found[how]
        assert scores["all"]["questions"] == scores["en"]["questions"] + scores["ja"]["questions"] == len(records)
        for who in (lambda one: one, lambda one: one["base"]):
            for language, one in scores.items():
                chosen = [(r, who(row)[key]) for r, row in zip(records, rows) if language in ("all", r["language"])]
                expected = [[0] * 5 for _ in LABELS]
                for record, given in chosen:
                    expected[LABELS.index(record["label"])][LABELS.index(given) if given else 4] += 1
                assert who(one)["confusion"] == expected
                assert who(one)["right"] == sum(expected[i][i] for i in range(4))
        assert sum(row[4] for row in found["likelihood"]["all"]["confusion"]) == 0


def test_labels_that_were_learned_are_gained(decided):
    found, rows = decided
    assert [row["read"] == row["label"] for row in rows[:8]] == [True] * 8
    score = found["generated"]["all"]
    assert score["right"] >= 8 and score["gained"] - score["lost"] == score["right"] - score["base"]["right"]
    assert score["p"] < 0.05
    assert score["macro_f1"] > score["base"]["macro_f1"]


def test_any_batch_gives_the_same_answers(ask, folder, solved, decided):
    for task, known in (("math", solved), ("decision", decided)):
        file = folder / ("gsm8k.jsonl" if task == "math" else "decisions.jsonl")
        _, rows = ask(task, "--adapter", folder / "run/adapter", "--data", file, "--max-new-tokens", 40, "--generation-batch", 3)
        assert [row["answer"] for row in rows] == [row["answer"] for row in known[1]]


def test_without_data_held_out_questions_are_generated(ask, nkat):
    found, rows = ask("math", "--questions", 24, "--max-new-tokens", 8)
    scores = found["scores"]
    assert found["file"] == "generated" and "base" not in scores["all"] and "base" not in rows[0]
    assert scores["en"]["questions"] == scores["ja"]["questions"] == 12
    assert scores["arithmetic"]["questions"] + scores["geometry"]["questions"] == 24
    made = nkat("data", "make", "--task", "math", "--count", 24, "--split", "test")
    answers = [json.loads(line)["messages"][-1]["content"] for line in made.stdout.splitlines()]
    assert [row["result"] for row in rows] == [re.search(r"(\S+)$", answer).group() for answer in answers]
    found, rows = ask("decision", "--questions", 8, "--max-new-tokens", 4)
    assert found["generated"]["all"]["questions"] == 8
    assert [row["label"] for row in rows] == [label for label in LABELS for _ in range(2)]


def test_text_output_names_each_group(nkat, folder):
    done = nkat(*words("decision", "--data", folder / "decisions.jsonl", "--questions", 4, "--max-new-tokens", 2))
    assert done.returncode == 0, done.stderr
    assert "macro F1" in done.stdout and "ESCALATION" in done.stdout and "4)" in done.stdout


def test_a_signal_stops_a_task(nkat_path):
    given = [str(word) for word in words("math", "--questions", 1000)]
    process = subprocess.Popen([nkat_path, *given], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "OMP_WAIT_POLICY": "passive"})
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    output, message = process.communicate(timeout=30)
    assert process.returncode == 75 and output == "", message


@pytest.mark.parametrize(
    "task, more, code, message",
    [
        ("loss", [], 2, "--data"),
        ("poetry", [], 2, "decision"),
        ("math", ["--ablate", "layers"], 2, "--ablate"),
        ("math", ["--generation-batch", 0], 2, "generation-batch"),
        ("math", ["--data", "absent.jsonl"], 3, "absent.jsonl"),
        ("decision", ["--data", "{gsm8k}"], 3, "gsm8k.jsonl:1"),
        ("math", ["--data", "{decisions}"], 3, "no question"),
        ("math", ["--data", "{bad}"], 3, "bad.jsonl:2"),
        ("math", ["--data", "{long}"], 3, "long.jsonl:1"),
        ("math", ["--answers-file", "/nowhere/at/all.jsonl"], (3, 4), "/nowhere/at"),
    ],
)
def test_what_cannot_be_asked_is_named(nkat, folder, task, more, code, message):
    good = json.dumps({"question": "q", "answer": "#### 7"})
    (folder / "bad.jsonl").write_text(good + "\n" + json.dumps({"question": "q", "answer": "seven"}) + "\n")
    (folder / "long.jsonl").write_text(json.dumps({"question": "word " * 9000, "answer": "#### 7"}) + "\n")
    files = {name: folder / f"{name}.jsonl" for name in ("gsm8k", "decisions", "bad", "long")}
    done = nkat(*words(task, *(str(word).format(**files) for word in more)))
    assert done.returncode in (code if isinstance(code, tuple) else (code,)), done.stderr
    assert message in done.stderr and done.stdout == ""
