#include <iostream>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/machine.h"
#include "core/signals.h"
#include "data/text/chat_template.h"
#include "data/text/tokenizer.h"
#include "models/adapter.h"
#include "models/commands.h"
#include "models/device.h"
#include "models/generation/generation.h"
#include "models/model_folder.h"
#include "models/weights/base_fingerprint.h"

namespace nkat::models {
namespace {

struct GenerateConfig {
  std::string model_path;
  std::string adapter;
  std::string prompt;
  bool raw = false;
  std::int64_t max_new_tokens = 256;
  double temperature = 0;
  double top_p = 1;
  std::int64_t seed = 0;
  bool json = false;
  std::string device = "auto";
  Precision precision = Precision::kAuto;
  BaseFormat base = BaseFormat::kSafe;
};

// Model, tokenizer and the cached sequence that a chat extends.
class ChatSession {
 public:
  explicit ChatSession(const GenerateConfig& options)
      : options_(options),
        tokenizer_(options.model_path),
        model_config_(read_model_config(options.model_path)),
        template_(read_template(options, tokenizer_, model_config_)),
        decoder_(load(options, model_config_)),
        sequence_(decoder_, load_adapter_matrices(options, model_config_, decoder_.device())) {}

  std::vector<std::int32_t> encode_raw(const std::string& text) const {
    return tokenizer_.encode_whole(text, data::AddedTokens::kControl);
  }
  std::vector<std::int32_t> encode_chat(const std::vector<data::Turn>& turns) const {
    return template_->encode(tokenizer_, turns, data::AddedTokens::kText, /*generation_prompt=*/true).tokens;
  }

  struct Answer {
    Generation generation;
    std::string text;
  };
  // Calls `show` with each piece of text as soon as its characters are complete.
  Answer answer(const std::vector<std::int32_t>& prompt, const std::function<void(const std::string&)>& show) {
    data::StreamingDecoder decoder(tokenizer_);
    Answer answer;
    const auto add = [&](const std::string& piece) {
      answer.text += piece;
      if (!piece.empty()) show(piece);
    };
    const SamplingOptions sampling{.max_new_tokens = options_.max_new_tokens,
                                   .temperature = options_.temperature,
                                   .top_p = options_.top_p,
                                   .seed = static_cast<std::uint64_t>(options_.seed)};
    answer.generation = generate(sequence_, prompt, sampling, [&](std::int32_t token) { add(decoder.push(token)); });
    add(decoder.finish());
    return answer;
  }

 private:
  // None for a raw prompt; otherwise an answer ends where the template closes a turn.
  static std::optional<data::ChatTemplate> read_template(const GenerateConfig& options,
                                                         const data::Tokenizer& tokenizer, ModelConfig& config) {
    if (options.raw) return std::nullopt;
    data::ChatTemplate chat_template = data::ChatTemplate::from_model_folder(options.model_path);
    end_answers_with_turns(config, chat_template, tokenizer);
    return chat_template;
  }

  static Decoder load(const GenerateConfig& options, const ModelConfig& config) {
    const at::Device device = resolve_device(options.device);
    return open_decoder(
        options.model_path, config,
        {.dtype = resolve_precision(options.precision, device), .device = device, .forms = formats_of(options.base)});
  }

  static std::vector<at::Tensor> load_adapter_matrices(const GenerateConfig& options, const ModelConfig& config,
                                                       at::Device device) {
    if (options.adapter.empty()) return {};
    const LoadedAdapter loaded = load_adapter(options.adapter, config);
    require_same_base(loaded, base_sha256(options.model_path), options.adapter);
    return loaded.adapter.matrices(device);
  }

  const GenerateConfig& options_;
  data::Tokenizer tokenizer_;
  ModelConfig model_config_;
  std::optional<data::ChatTemplate> template_;
  Decoder decoder_;
  SequenceDecoder sequence_;
};

void show_on_stdout(const std::string& piece) { std::cout << piece << std::flush; }

ExitCode exit_code(StopReason stop) { return stop == StopReason::kSignal ? ExitCode::kInterrupted : ExitCode::kDone; }

ExitCode answer_prompt(ChatSession& session, const GenerateConfig& options) {
  const std::vector<std::int32_t> prompt =
      options.raw ? session.encode_raw(options.prompt)
                  : session.encode_chat({{.role = data::Role::kUser, .content = options.prompt}});
  if (options.json) {
    const auto [generation, text] = session.answer(prompt, [](const std::string&) {});
    std::cout << nlohmann::ordered_json{{"tokens", generation.tokens}, {"text", text}}.dump() << "\n";
    return exit_code(generation.stop);
  }
  const auto [generation, text] = session.answer(prompt, show_on_stdout);
  std::cout << "\n";
  return exit_code(generation.stop);
}

// Each line is a user turn; end of input ends the chat.
ExitCode chat(ChatSession& session) {
  std::ios::sync_with_stdio(false);  // so that in_avail() knows what is buffered
  std::vector<data::Turn> turns;
  while (true) {
    if (stderr_is_terminal()) std::cerr << "> " << std::flush;
    if (std::cin.rdbuf()->in_avail() <= 0 && !wait_for_standard_input()) return ExitCode::kInterrupted;
    std::string line;
    if (!std::getline(std::cin, line)) return ExitCode::kDone;
    if (line.empty()) continue;
    turns.push_back({.role = data::Role::kUser, .content = line});
    const auto [generation, text] = session.answer(session.encode_chat(turns), show_on_stdout);
    std::cout << "\n" << std::flush;
    if (generation.stop == StopReason::kSignal) return ExitCode::kInterrupted;
    turns.push_back({.role = data::Role::kAssistant, .content = text});
  }
}

void declare_options(OptionList& options, GenerateConfig& config) {
  options.add("model-path", config.model_path,
              {.help = "model folder in Hugging Face format", .metavar = "DIR", .required = true});
  options.add("adapter", config.adapter, {.help = "adapter folder", .metavar = "DIR"});
  options.add("prompt", config.prompt,
              {.help = "user message to answer; without it, a chat read from standard input", .metavar = "TEXT"});
  options.add("raw", config.raw, {.help = "use the prompt as is, without the chat template"});
  options.add("max-new-tokens", config.max_new_tokens,
              {.help = "length limit of an answer", .unit = "tokens", .minimum = 1});
  options.add("temperature", config.temperature, {.help = "sampling temperature, 0 = greedy", .minimum = 0});
  options.add("top-p", config.top_p,
              {.help = "nucleus sampling threshold", .minimum = 0, .maximum = 1, .above_minimum = true});
  options.add("seed", config.seed, {.help = "random seed", .minimum = 0});
  options.add("json", config.json, {.help = "print {\"tokens\": [...], \"text\": ...} at the end"});
  declare_device_options(options, config.device, config.precision, config.base);
  options.add_check([&options, &config] {
    std::vector<std::string> errors;
    const bool chatting = !options.given("prompt");
    if (chatting && config.json) errors.push_back("--json needs --prompt");
    if (chatting && config.raw) errors.push_back("--raw needs --prompt");
    return errors;
  });
}

}  // namespace

Command make_generate_command() {
  auto config = std::make_shared<GenerateConfig>();
  Command command{.name = "generate",
                  .summary = "answers a prompt or chats",
                  .description = "Answers a prompt, or chats from standard input, with or without an adapter."};
  declare_options(*command.options, *config);
  command.uses_tensors = true;
  command.run = [config, options = command.options] {
    install_stop_signals();
    try {
      ChatSession session(*config);
      return options->given("prompt") ? answer_prompt(session, *config) : chat(session);
    } catch (...) {
      rethrow_memory_as_device_error("nkat generate");
    }
  };
  return command;
}

}  // namespace nkat::models
