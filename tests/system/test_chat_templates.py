"""Chat templates of llama.cpp's source distribution: the text is transformers' own, and what is learned of it is each answer and
its end, seen by decoding the targets."""
import json
import re
import subprocess

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers.utils.chat_template_utils import render_jinja_template

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
CONVERSATIONS = [
    [("user", "Which way?"), ("assistant", "To the left.")],
    [("system", "Answer in one word."), ("user", "Is it late?"), ("assistant", "Yes.")],
    [("user", " \n one "), ("assistant", "  first answer \n\n"), ("user", "two\t"), ("assistant", "\t second  answer ")],
    [("system", "　日本語で答えてください。"), ("user", "　元気ですか？"), ("assistant", "はい、元気です。　"),
     ("user", "名前は？"), ("assistant", "\tありません… ")],
    [("user", "<|im_end|>\n<|im_start|>system\n</s>[INST] <b>x</b>"), ("assistant", "<b>tag</b> <|end|><|eot_id|> </s> kept")],
    [("system", "s"), *[(role, f"{role} number {i}") for i in range(4) for role in ("user", "assistant")]],
    [("user", "same"), ("assistant", "same"), ("user", "same"), ("assistant", "same")],
    [("user", "why"), ("assistant", "<think>\nbecause of that\n</think>\n\nso")],
    [("user", "only a question")],
    [("system", "be short"), ("user", "one more?"), ("assistant", "the last answer"), ("user", "thanks")],
]
SAME, THOUGHT = 6, 7  # contents that can't be told apart; an answer of two parts
# What may be a token of a model with this template: words in brackets of one kind or another.
TAG = re.compile(r"<[|｜][^<>\s]{1,40}?[|｜]>|</?[a-zA-Z0-9_:]{1,30}>|\[/?[A-Z_]{2,20}\]|</?s>|\]<\]minimax\[>\[|\[[a-z]~?\[|[<\[]e~\[")


@pytest.fixture(scope="module")
def templates(root):
    folder = root / ".deps" / "llama_cpp" / "templates"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing; scripts/setup unpacks it")
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.jinja"))}


def byte_tokenizer(tags):
    """Each byte a token, so that targets are exact, and the tags as special ones."""
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(tag, normalized=False) for tag in sorted(tags)])
    return tokenizer


def messages(conversation):
    return [{"role": role, "content": content} for role, content in conversation]


def theirs(source, conversation, prompt):
    try:
        return render_jinja_template([messages(conversation)], chat_template=source, add_generation_prompt=prompt, **TOKENS)[0][0]
    except Exception:  # noqa: BLE001, whatever a template raises
        return None


@pytest.fixture(scope="module")
def render(nkat_path, tmp_path_factory):
    """The lines of nkat_render_chats for a template, and its tokenizer."""
    program = nkat_path.parent / "tests" / "support" / "nkat_render_chats"
    assert program.exists(), f"{program} is missing; run scripts/build"

    def run(source, cases):
        folder = tmp_path_factory.mktemp("model")
        tokenizer = byte_tokenizer({*TAG.findall(source), *TOKENS.values()})
        tokenizer.save(str(folder / "tokenizer.json"))
        (folder / "tokenizer_config.json").write_text(json.dumps(TOKENS))
        (folder / "chat_template.jinja").write_text(source)
        lines = "".join(json.dumps({"messages": messages(turns), "prompt": prompt}) + "\n" for turns, prompt in cases)
        done = subprocess.run([program, folder], input=lines, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()], tokenizer

    return run


def expected_targets(text, conversation, tags):
    """Each answer where it stands in the text, whole or stripped, and what follows up to the first special token."""
    at, found = 0, []
    for content in (content for role, content in conversation if role == "assistant"):
        ways = (content, content.rstrip(), content.lstrip("\n"), content.lstrip(), content.strip())
        shown = next((way for way in ways if text.find(way, at) >= 0), None)
        if shown is None:  # left out
            continue
        begin = text.index(shown, at)
        at = begin + len(shown)
        after = ((text.find(tag, at), tag) for tag in tags)
        place, tag = min(((place, tag) for place, tag in after if place >= 0), default=(None, None))
        found.append((shown, None if tag is None else text[begin:place] + tag))
    return found


def decoded(line, tokenizer):
    return tokenizer.decode([line["tokens"][i] for i in line["targets"]], skip_special_tokens=False)


def test_text_and_targets_of_every_template(templates, render):
    rendered, wrong = 0, []
    for name, source in templates.items():
        cases = [(turns, prompt) for turns in CONVERSATIONS for prompt in (False, True)]
        oracle = [theirs(source, *case) for case in cases]
        lines, tokenizer = render(source, cases)
        tags = {"<s>", "</s>", *TAG.findall(source)}
        rendered += any(text is not None for text in oracle)
        for (turns, prompt), text, line in zip(cases, oracle, lines, strict=True):
            case = f"{name}, {CONVERSATIONS.index(turns)}, {'prompt' if prompt else 'whole'}"
            if text is None:
                continue
            if line.get("text") != text:
                wrong.append(f"{case}: {line.get('error') or line['text']!r}, not {text!r}")
                continue
            if decoded(line, tokenizer) != "".join(line["learned"]):
                wrong.append(f"{case}: decoded {decoded(line, tokenizer)!r}, not {line['learned']!r}")
            if CONVERSATIONS.index(turns) in (SAME, THOUGHT):
                continue
            expected = expected_targets(text, turns, tags)
            if len(line["learned"]) != len(expected) or any(end is not None and learned != end or not learned.startswith(shown)
                                                 for learned, (shown, end) in zip(line["learned"], expected)):
                wrong.append(f"{case}: learned {line['learned']}, not {expected}")
    assert rendered >= 66
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong)


def test_a_refused_conversation_is_refused_with_the_templates_own_words(templates, render):
    system = [("system", "be kind"), ("user", "hi"), ("assistant", "yo")]
    [line], _ = render(templates["google-gemma-2-2b-it"], [(system, False)])
    assert line == {"error": "the chat template raises: System role not supported"}


def test_a_thought_in_an_answer_is_learned_where_it_is_rendered(templates, render):
    for name in ("Qwen-Qwen3-0.6B", "Qwen3.5-4B"):
        [line], _ = render(templates[name], [(CONVERSATIONS[THOUGHT], False)])
        assert line["learned"] == ["because of that\n</think>\n\n", "so<|im_end|>"], name
