"""What an exported file answers in real llama.cpp, greedily: the adapter's own words, up to the end of the turn."""
import json

import llama_cpp
import training
import transformers
from exports import MODEL, needs_llama_cpp

END_OF_TURN = 1543  # <|end|> of the demo's tokenizer
NEW_TOKENS = 64
QUESTIONS = 4


def held_out():
    """Conversations of the validation data that ask for a decision, without their answers."""
    records = map(json.loads, (training.DEMO / "validation.jsonl").read_text().splitlines())
    return [record["messages"][:-1] for record in records if record["task"] == "decision"][:QUESTIONS]


def rendered(messages):
    """By the chat template of the model's folder."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)
    assert tokenizer.convert_ids_to_tokens(END_OF_TURN) == "<|end|>"
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)


@needs_llama_cpp
def test_llama_cpp_answers_with_the_tokens_of_backbone_and_adapter(nkat, trained, trained_pair):
    """The program runs the unmerged pair, llama.cpp the merged file; both in float32."""
    for messages in held_out():
        question = messages[-1]["content"]
        done = nkat("generate", "--model-path", MODEL, "--adapter", trained, "--prompt", question, "--json",
                    "--max-new-tokens", NEW_TOKENS, "--precision", "fp32", "--device", "cpu")
        assert done.returncode == 0, done.stderr
        found = llama_cpp.ask(trained_pair[0], prompt=rendered(messages[-1:]), new_tokens=NEW_TOKENS)["new"]
        assert found == json.loads(done.stdout)["tokens"], question


@needs_llama_cpp
def test_an_answer_ends_at_the_end_of_the_turn(export, trained, tmp_path):
    export(tmp_path / "model.gguf", adapter=trained, quantization="q8_0")
    for messages in held_out():
        answer = llama_cpp.ask(tmp_path / "model.gguf", prompt=rendered(messages), new_tokens=NEW_TOKENS, ends=list(range(1600)))
        text = transformers.AutoTokenizer.from_pretrained(MODEL).decode(answer["new"])
        print(f"{messages[-1]['content']} -> {text}")
        assert 1 < len(answer["new"]) < NEW_TOKENS and answer["new"][-1] == END_OF_TURN in answer["ends"]


@needs_llama_cpp
def test_llama_cpp_stops_at_the_tokens_that_end_a_turn_or_a_text(trained_pair):
    """Not at <|assistant|>, where transformers stops as well: hence the Modelfile's third stop."""
    assert llama_cpp.ask(trained_pair[0], ends=list(range(1600)))["ends"] == [2, 1536, END_OF_TURN]
