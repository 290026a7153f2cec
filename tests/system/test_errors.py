"""Wrong input: every row is one mistake, the exit code it ends in and what the message must say."""
import json
import re
import shutil
import subprocess

import pytest
import training

MODEL = training.DEMO / "model"
GOOD_LINE = json.dumps({"prompt": "hello", "completion": "yes"}) + "\n"


def copied_model(folder, **config_changes):
    model = shutil.copytree(MODEL, folder / "model")
    config = json.loads((model / "config.json").read_text())
    config.update(config_changes)
    (model / "config.json").write_text(json.dumps(config))
    return model


def data_file(folder, content):
    path = folder / "data.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def train(folder, **changes):
    if "train_data" not in changes:
        changes["train_data"] = data_file(folder, GOOD_LINE * 4)
    return ["train", *training.options(folder / "run", **{"max_steps": 1, **changes})]


def cut_weights(folder):
    model = copied_model(folder)
    weights = next(model.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    return model


def foreign_adapter(folder):
    adapter = folder / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    (adapter / "adapter_model.safetensors").write_bytes(b"")
    return adapter


def config_file(folder, content):
    path = folder / "options.json"
    path.write_text(content)
    return path


def without(*names):
    def make(folder):
        model = copied_model(folder)
        for name in names:
            (model / name).unlink()
        return model

    return make


def read_only(folder):
    path = folder / "file"
    path.write_text("")
    return path / "run"


CASES = {
    "no command": (lambda f: [], 2, "expected a command, found none"),
    "unknown command": (lambda f: ["trian"], 2, "did you mean 'train'"),
    "unknown flag": (lambda f: [*train(f), "--lerning-rate", "1"], 2, "did you mean '--learning-rate'"),
    "missing required flags": (lambda f: ["train", "--max-steps", "3"], 2, "--model-path is required"),
    "a word for a number": (lambda f: train(f, max_steps="many"), 2, "--max-steps: expected a whole number, found 'many'"),
    "a number out of range": (lambda f: train(f, max_steps=0), 2, "expected a whole number from 1 to 1000000000, found 0"),
    "a rate that is not finite": (lambda f: train(f, learning_rate="nan"), 2, "--learning-rate"),
    "an unknown choice": (lambda f: train(f, schedule="cosin"), 2, "did you mean 'cosine'"),
    "several mistakes at once": (lambda f: train(f, schedule="x", max_steps=-1), 2, "--max-steps"),
    "an unknown preset": (lambda f: [*train(f), "--preset", "guid"], 2, "guide"),
    "a bad checkpointing": (lambda f: train(f, checkpointing="half"), 2, "auto, none, full or a number"),
    "an adapter layer that is not there": (lambda f: train(f, first_adapter_layer=99), 2, "--first-adapter-layer"),
    "a sequence beyond the model": (lambda f: train(f, max_sequence_length=100000), 2, "--max-sequence-length"),
    "a device that is not there": (lambda f: train(f, device="cuda:7"), 4, "cuda"),
    "a device that is none": (lambda f: train(f, device="tpu"), 2, "--device: expected auto, cpu or cuda:N, found 'tpu'"),
    "a config file with an unknown key": (lambda f: ["train", "--config", config_file(f, '{"max_stpes": 3}')], 2, "did you mean 'max_steps'"),
    "a config file that is no JSON": (lambda f: ["train", "--config", config_file(f, "{")], 3, "not valid JSON"),
    "a config file that is missing": (lambda f: ["train", "--config", f / "none.json"], 3, "none.json"),
    "a config file with a null": (lambda f: [*train(f), "--config", config_file(f, '{"validation_data": null}')], 2, "found null"),
    "a config file with numbers for files": (
        lambda f: ["train", "--config", config_file(f, '{"train_data": [1, 2]}')],
        2,
        "expected a list of strings",
    ),
    "an empty preset": (lambda f: [*train(f), "--preset", ""], 2, "--preset"),
    "an empty output folder": (lambda f: train(f, output_dir=""), 2, "--output-dir: it must not be empty"),
    "more layers than there are": (lambda f: train(f, checkpointing=7), 2, "at most 6 layers"),
    "a model folder that is missing": (lambda f: train(f, model_path=f / "nowhere"), 3, "nowhere"),
    "a model without weights": (lambda f: train(f, model_path=without("model.safetensors")(f)), 3, "model.safetensors"),
    "a model without tokenizer": (lambda f: train(f, model_path=without("tokenizer.json", "tokenizer.model")(f)), 3, "tokenizer.model"),
    "a model of another kind": (lambda f: train(f, model_path=copied_model(f, model_type="llama", architectures=["LlamaForCausalLM"])), 3, "llama"),
    "Phi-3-small": (lambda f: train(f, model_path=copied_model(f, model_type="phi3small", architectures=["Phi3SmallForCausalLM"])), 3, "hi3"),
    "weights cut off": (lambda f: train(f, model_path=cut_weights(f)), 3, "safetensors"),
    "a config of another size": (lambda f: train(f, model_path=copied_model(f, vocab_size=99999)), 3, "embed"),
    "a data file that is missing": (lambda f: train(f, train_data=f / "none.jsonl"), 3, "none.jsonl"),
    "a data file that is a folder": (lambda f: train(f, train_data=f), 3, "folder"),
    "an empty data file": (lambda f: train(f, train_data=data_file(f, "")), 3, "data.jsonl"),
    "a line that is no JSON": (lambda f: train(f, train_data=data_file(f, GOOD_LINE + "{oops\n")), 3, "data.jsonl:2"),
    "a record of no known kind": (lambda f: train(f, train_data=data_file(f, '{"question": "x"}\n')), 3, "data.jsonl:1"),
    "an unknown role": (lambda f: train(f, train_data=data_file(f, '{"messages": [{"role": "tool", "content": "x"}]}\n')), 3, "tool"),
    "bytes that are not UTF-8": (lambda f: train(f, train_data=data_file(f, b'{"text": "\xff\xfe"}\n')), 3, "UTF-8"),
    "data without a target": (lambda f: train(f, train_data=data_file(f, '{"messages": [{"role": "user", "content": "x"}]}\n')), 3, "target"),
    "an overlong sample that must not be": (lambda f: train(f, max_sequence_length=4, overlong="error"), 3, "data.jsonl:1"),
    "a budget that is too small": (lambda f: train(f, vram_budget_gib=0.001), 4, "budget"),
    "a path that is not UTF-8": (lambda f: train(f, output_dir=f"{f}/run\udcff"), 2, "--output-dir: expected UTF-8, found other bytes"),
    "an output folder that can't be": (lambda f: train(f, output_dir=read_only(f)), 4, "can't be created"),
    "patience without validation data": (lambda f: train(f, early_stopping_patience=3), 2, "expected --validation-data too"),
    "a patience below zero": (lambda f: train(f, early_stopping_patience=-1), 2, "--early-stopping-patience: expected a whole number from 0"),
    "sample prompts that are missing": (lambda f: train(f, sample_prompts=f / "none.txt"), 3, "none.txt"),
    "sample prompts that are a folder": (lambda f: train(f, sample_prompts=f), 3, "folder"),
    "a file without a prompt": (
        lambda f: train(f, sample_prompts=data_file(f, "\n \n"), train_data=training.DEMO / "train.jsonl"),
        3,
        "a prompt a line",
    ),
    "a prompt that is not UTF-8": (
        lambda f: train(f, sample_prompts=data_file(f, b"a\n\xff\n"), train_data=training.DEMO / "train.jsonl"),
        3,
        "data.jsonl:2: expected UTF-8",
    ),
    "a prompt that is too long": (
        lambda f: train(f, sample_prompts=data_file(f, "1 2 " * 3000), train_data=training.DEMO / "train.jsonl"),
        3,
        "data.jsonl:1: the prompt has",
    ),
    "a word for a switch": (lambda f: ["train", "--config", config_file(f, '{"tensorboard": "yes"}')], 2, "expected true or false, found 'yes'"),
    "an adapter of another kind": (
        lambda f: ["eval", "--model-path", MODEL, "--adapter", foreign_adapter(f), "--data", data_file(f, GOOD_LINE)],
        3,
        "NKAT_SO8T",
    ),
    "an adapter that is missing": (
        lambda f: ["eval", "--model-path", MODEL, "--adapter", f / "none", "--data", data_file(f, GOOD_LINE)],
        3,
        "adapter_config.json",
    ),
    "a task that is not known": (lambda f: ["eval", "--model-path", MODEL, "--data", data_file(f, GOOD_LINE), "--task", "lose"], 2, "'lose'"),
    "a temperature below zero": (lambda f: ["generate", "--model-path", MODEL, "--prompt", "x", "--temperature", "-1"], 2, "--temperature"),
}


@pytest.mark.parametrize("mistake", CASES)
def test_a_mistake_is_named_and_has_its_exit_code(nkat, tmp_path, mistake):
    words, code, text = CASES[mistake]
    done = nkat(*words(tmp_path))
    message = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
    print(f"\n{mistake} | {done.returncode} | {message[:150].replace(str(tmp_path), '...')}")
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "internal error" not in done.stderr and "terminate called" not in done.stderr
    assert not (tmp_path / "run" / "checkpoints" / "step-000000").exists()


def test_a_reader_that_is_gone_is_no_crash(nkat_path):
    process = subprocess.Popen([str(nkat_path), "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(60) in (0, 4)


def test_writing_to_a_full_device_says_so(nkat_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [str(nkat_path), "plan", "--model-path", str(MODEL), "--max-sequence-length", "256"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 4 and "stdout" in done.stderr


@pytest.mark.parametrize("command", ["train", "plan", "eval", "generate", "data check", "export", "validate", "inspect"])
def test_help_as_json_declares_every_option(nkat, command):
    """Every flag of --help, but the three that are no options of the command, with all properties."""
    said = json.loads(nkat(*command.split(), "--help", "--json").stdout)
    flags = set(re.findall(r"^ +(?:-\w,)?--([a-z][a-z-]*)", nkat(*command.split(), "--help").stdout, re.MULTILINE))
    assert {one["name"] for one in said["options"]} == flags - {"help", "config", "preset"}
    for one in said["options"]:
        assert one["help"] and one["resume"] in ("fixed", "same_content", "may_change") and isinstance(one["per_rank"], bool)
        assert one["key"] == one["name"].replace("-", "_") and (one["type"] != "choice" or one["choices"])


def test_what_formats_lets_change_on_resume_are_the_options_that_may(nkat, root):
    (listed,) = re.findall(r"^On resume these may differ.*?\n\n", (root / "data" / "FORMATS.md").read_text(), re.MULTILINE | re.DOTALL)
    same, may = (set(re.findall(r"`(\w+)`", part)) for part in listed.split(";"))
    options = json.loads(nkat("train", "--help", "--json").stdout)["options"]
    assert same == {one["key"] for one in options if one["resume"] == "same_content"}
    assert may == {one["key"] for one in options if one["resume"] == "may_change"}


@pytest.mark.parametrize("command", ["train", "plan", "eval", "generate", "data"])
def test_help_shows_every_option_with_its_default(nkat, command):
    done = nkat(command, "--help")
    assert done.returncode == 0
    assert command == "data" or "--model-path" in done.stdout
    assert "default" in done.stdout or command == "data"
