"""The pages that people look at, `nkat validate`'s report.html and the pipeline's summary.html, in a headless browser at 400 and 1,100 pixels:
nothing is wider than the window, text is large enough to read, all pictures load and all links lead somewhere."""
import html
import json
import re
import shutil
import struct
import subprocess
import zlib
from types import SimpleNamespace

import pytest
import training
from pipeline_steps import summary

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium: how the pages look is not measured (apt-get install chromium)")
WIDTHS = (400, 1100)

# The page in a frame of the window's width, since a headless window has a least width of its own. Everything is unfolded. Only pictures may be
# wider than their frame, which scrolls.
FRAME = """<!doctype html><title>no answer</title><body style="margin:0">
<iframe id="page" style="border:0;height:900px;width:{width}px" srcdoc="{page}"></iframe><script>
onload = () => {{
  const page = document.getElementById("page").contentDocument, view = page.documentElement.clientWidth;
  page.querySelectorAll("details").forEach(one => one.open = true);
  const all = [...page.body.querySelectorAll("*")].filter(one => !one.parentElement.closest(".picture"));
  const name = one => one.tagName.toLowerCase() + "." + one.className + ": " + one.textContent.slice(0, 40);
  const texts = all.filter(one => [...one.childNodes].some(node => node.nodeType == 3 && node.data.trim()));
  document.title = JSON.stringify({{
    view, scroll: page.documentElement.scrollWidth,
    beyond: all.filter(one => one.getBoundingClientRect().right > view + 0.5 || one.scrollWidth > one.clientWidth + 1
      && one.clientWidth > 0 && !one.matches(".picture")).map(name),
    small: texts.filter(one => parseFloat(page.defaultView.getComputedStyle(one).fontSize) < 12).map(name),
    broken: [...page.images].filter(one => !one.complete || one.naturalWidth == 0).map(one => one.alt),
  }});
}};
</script>"""


def measured(page: str, width: int, folder) -> dict:
    """What the browser finds of a page: view, scroll (pixels); beyond, small, broken (elements)."""
    frame = folder / f"frame-{width}.html"
    frame.write_text(FRAME.format(width=width, page=html.escape(page)))
    words = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}", "--window-size=1400,1000",
             "--virtual-time-budget=5000", "--dump-dom", f"file://{frame}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title and title[1] != "no answer", done.stderr[-2000:]
    return json.loads(html.unescape(title[1]))


def assert_fits(page, tmp_path):
    text = page.read_text()
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    for width in WIDTHS:
        found = measured(text, width, tmp_path)
        assert found["view"] <= width and found["scroll"] <= found["view"], (width, found)
        assert found["beyond"] == found["small"] == found["broken"] == [], (width, found)
    assert_links_lead_somewhere(page)


def assert_links_lead_somewhere(page):
    text = page.read_text()
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)"', text))
    assert not re.search(r"<(link|script|iframe)\b|url\(|@import", text)
    for target in re.findall(r'href="([^"]*)"', text):
        path = html.unescape(target)
        assert not path.startswith(("/", "http:", "https:", "file:")), path
        assert (page.parent / path).exists(), path


def test_every_hash_of_a_page_is_short(summary_page):
    shown = re.sub(r'title="[0-9a-f]{64}"', "", summary_page.read_text())
    assert not re.search(r"[0-9a-f]{64}", re.sub(r"base64,[^\"]*", "", shown))
    assert f'<code title="{"ab" * 32}">{("ab" * 32)[:12]}</code>' in summary_page.read_text()
    assert "ab" * 32 in summary_page.with_suffix(".md").read_text()


def test_status_is_told_by_sign_and_text_and_color(summary_page):
    text = summary_page.read_text()
    for kind, sign, status in (("pass", "✓", "pass"), ("fail", "✗", "fail"), ("open", "–", "not measured")):
        assert f'class="{kind}"><span><b aria-hidden="true">{sign}</b> {status}</span>' in text
        assert re.search(rf"\.{kind}\{{color:#[0-9a-f]{{3,6}}", text)


def test_a_link_to_a_missing_file_is_plain_text(summary_page):
    text = summary_page.read_text()
    assert '<a href="export/q4_k_m/adapter/adapter-q4_k_m.gguf">' in text
    assert "base-f16.gguf" in text and 'base-f16.gguf"' not in text


@needs_browser
def test_the_measure_sees_what_is_too_wide_and_too_small_and_broken(tmp_path):
    wide = '<!doctype html><style>div{width:900px}small{font-size:9px}</style><div class="x">a</div><small>b</small><img alt="c" src="data:,">'
    found = measured(wide, 400, tmp_path)
    assert found["scroll"] >= 900 and found["beyond"] == ["div.x: a"] and found["small"] == ["small.: b"] and found["broken"] == ["c"]
    assert measured(wide, 1100, tmp_path)["beyond"] == []


@pytest.fixture(scope="module")
def run(nkat, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages") / "run-with-a-long-name-that-says-what-was-tried"
    done = nkat("train", *training.options(folder, validation_data=training.first_lines(training.DEMO / "validation.jsonl",
                                                                                        folder.parent / "held-out.jsonl", 8)))
    assert done.returncode == 0, done.stderr
    return folder


def report_of(nkat, run, tmp_path, *words):
    page = tmp_path / "report.html"
    done = nkat("validate", run, "--output-report", page, *words)
    assert done.returncode == 0, done.stderr
    return page


@needs_browser
def test_a_report_with_everything_measured_fits(run, nkat, tmp_path):
    control = shutil.copytree(run, tmp_path / "control")
    (control / "config.json").write_text(json.dumps(json.loads((run / "config.json").read_text()) | {"control": "identity"}))
    seed = shutil.copytree(run, tmp_path / "another-run-with-a-long-name")
    general = training.first_lines(training.DEMO / "general.jsonl", tmp_path / "general.jsonl", 5)
    page = report_of(nkat, run, tmp_path, "--compare", control, seed, "--model-path", training.DEMO / "model", "--validation-data",
                     run.parent / "held-out.jsonl", "--general-data", general, "--ablate", "layers", "--questions", 4, "--max-new-tokens", 8,
                     "--precision", "fp32", "--max-sequence-length", 96)
    text = page.read_text()
    assert all(word in text for word in ("Gain and loss", "true label", "Other runs", "Geometry", "Stability"))
    assert_fits(page, tmp_path)


@needs_browser
def test_a_report_of_32_layers_fits(run, nkat, tmp_path):
    line = training.lines(run)[0]
    wide = {key: (line[key] * 32)[:32] for key in ("alpha", "gate_force")}
    (tmp_path / "wide").mkdir()
    (tmp_path / "wide" / "metrics.jsonl").write_text("".join(json.dumps(line | wide | {"step": step}) + "\n" for step in range(1, 121)))
    page = report_of(nkat, tmp_path / "wide", tmp_path)
    assert page.read_text().count("<tr>") > 33
    assert_fits(page, tmp_path)


def test_report_tells_the_verdict_before_the_picture_before_the_checklist_before_the_tables(run, nkat, tmp_path):
    page = report_of(nkat, run, tmp_path)
    text = page.read_text()
    places = [text.index(mark) for mark in ("at least 100 are needed", "<figure>", "<h2>Checklist</h2>", "<details>", "<h2>Gates</h2>")]
    assert places == sorted(places)
    assert '<td data-column="status" class="fail"><span><b aria-hidden="true">✗</b> fail</span></td>' in text
    assert_links_lead_somewhere(page)


CHECKS = [{"name": f"{status} of a check", "value": 1 / 3, "threshold": "<= 0.5", "status": status, "note": "what it is, in words " * 3}
          for status in ("pass", "fail", "not measured")]
REPORT = {"verdict": "The gates went through a transition at step 80. Of 13 checks 9 pass.",
          "run": {"verdict": "transition", "layers_by_verdict": {"transition": 30, "closed": 2}, "tau": 80, "tau_interval": [75, 85]},
          "checks": CHECKS,
          "gain": {"loss": 1.25, "interval": [1.2, 1.3], "base": {"loss": 1.5, "interval": [1.4, 1.6]}}}
EXPORT = {"base_sha256": "ab" * 32, "adapter": {"sha256": "cd" * 32}, "context_length": 131072,
          "ffn_down": [{"change": True, "survived": 0.9, "noise": 0.01}, {"change": True, "survived": 0.8, "noise": 0.02}],
          "logits": {"mean_kl": 1e-3, "base_mean_kl": 2e-3}}


def exported(folder, names):
    found = {}
    for name in names:
        files = {"step": {"result": {"report": EXPORT}}}
        for kind in ("adapter", "base"):
            path = folder / "export" / name / kind / f"{kind}-{name}.gguf"
            if (name, kind) != ("f16", "base"):
                path.parent.mkdir(parents=True)
                path.write_text("GGUF")
            files[kind] = {"file": str(path), "bytes": 2_300_000_000 if kind == "base" else 2_400_000_000, "identity": "ef" * 32}
        found[name] = files
    found["q8_0"] = {"step": {"result": {"report": {}, "reason": "NOT WRITTEN: its mean KL from backbone + adapter is 0.03 nats a token"}},
                     "base_step": {"result": {}}}
    return found


def performance(names):
    speed = {"prompt_tokens_per_second": 123.4, "new_tokens_per_second": 12.3, "device": "a device with a long name", "threads": 8, "build": 7,
             "prompt_tokens": 512, "new_tokens": 128}
    loss = {"loss": 1.23456, "perplexity": 3.4369}
    return {"missing": {}, "context": 4096, "speed": {"result": {"runs": {name: {"base": [speed] * 3, "adapter": [speed] * 3} for name in names}}},
            "samples": {"result": {"samples": 100, "target_tokens": 12345}}, "nkat": {"result": loss | {"base": loss}},
            "loss": {name: {kind: {"result": loss} for kind in ("base", "adapter")} for name in names},
            "perplexity": {name: {kind: {"result": {"perplexity": 5.4321, "standard_error": 0.1}} for kind in ("base", "adapter")} for name in names}}


def white_png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\xff" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def summary_page(tmp_path_factory):
    """A page of records made by hand, with as much in it as a pipeline can have."""
    folder = tmp_path_factory.mktemp("summary") / "out"
    for name in ("validation", "performance"):
        (folder / name).mkdir(parents=True)
    (folder / "validation" / "report.json").write_text(json.dumps(REPORT))
    (folder / "validation" / "report.html").write_text("<p>report</p>")
    (folder / "validation" / "phase-transition.png").write_bytes(white_png(800, 900))
    names = ["f16", "q4_k_m", "q5_k_m"]
    files = exported(folder, names)
    step = {"code": 0, "message": "", "seconds": 12.3, "finished_at": "2026-01-01T00:00:00+00:00",
            "commands": ["nkat export --model-path " + "a/very/long/path/" * 12 + " --output x.gguf"]}
    failed = step | {"code": 5, "message": "export q8_0: NOT WRITTEN: its mean KL from backbone + adapter is 0.03 nats a token"}
    pipeline = SimpleNamespace(folder=folder, version="1.0", record=SimpleNamespace(steps={"train": step, "export q8_0: adapter": failed}),
                               config=SimpleNamespace(path="config.json", train={"model_path": "/models/" + "phi" * 30}))
    trained = {"inputs": {"files": {"/data/" + "long" * 20 + ".jsonl": "ab" * 32}},
               "result": {"checkpoint": str(folder / "train" / "checkpoints" / "step-000100"),
                          "summary": {"steps": 100, "best_step": 90, "loss_first": 2.0, "loss_last": 1.0}}}
    return summary.write(pipeline, {"train": trained, "export": files, "performance": performance(names)})


@needs_browser
def test_the_summary_fits(summary_page, tmp_path):
    text = summary_page.read_text()
    assert text.count('<div class="card">') == 8 and "<details>" in text
    assert_fits(summary_page, tmp_path)


def test_the_summary_tells_the_verdict_before_the_picture_before_the_checklist_before_the_tables(summary_page):
    text = summary_page.read_text()
    places = [text.index(mark) for mark in ("FAILED", "went through a transition", "<figure>", "<h2>Checklist</h2>", "Exported files", "<details>")]
    assert places == sorted(places)
    assert_links_lead_somewhere(summary_page)
