// `nkat data tokenize`: text to ids, as training and generation see it.
#include <iostream>
#include <iterator>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/data_command.h"
#include "data/text/tokenizer.h"

namespace nkat::data {
namespace {

struct Config {
  std::string model_path;
  std::string text;
  std::string special_tokens = "control";
  bool lines = false;
  bool decode = false;
};

// One line of output for one text, or, with --decode, for one list of ids.
std::string convert(const Tokenizer& tokenizer, const Config& config, const std::string& input) {
  if (!config.decode) {
    const auto mode = config.special_tokens == "text" ? AddedTokens::kText : AddedTokens::kControl;
    return nlohmann::json(tokenizer.encode(input, mode)).dump();
  }
  const auto ids = nlohmann::json::parse(input, nullptr, /*allow_exceptions=*/false);
  const auto is_id = [](const nlohmann::json& id) {
    return id.is_number_integer() && id.get<std::int64_t>() == static_cast<std::int32_t>(id.get<std::int64_t>());
  };
  if (!ids.is_array() || !std::ranges::all_of(ids, is_id))
    throw DataError("--decode: " + expected("a JSON list of ids", ellipsize(input)));
  return nlohmann::json(tokenizer.decode(ids.get<std::vector<std::int32_t>>())).dump(-1, ' ', true);
}

ExitCode run(const Config& config, bool text_given) {
  const Tokenizer tokenizer(config.model_path);
  if (!config.lines) {
    const std::string input = text_given ? config.text : std::string(std::istreambuf_iterator<char>(std::cin), {});
    std::cout << convert(tokenizer, config, input) << '\n';
    return ExitCode::kDone;
  }
  std::int64_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const auto text = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    ++number;
    if (!config.decode && !text.is_string())
      throw DataError(fmt::format("stdin:{}: {}", number, expected("a JSON string", ellipsize(line))));
    std::cout << convert(tokenizer, config, config.decode ? line : text.get<std::string>()) << '\n';
  }
  return ExitCode::kDone;
}

}  // namespace

Command make_data_tokenize_command() {
  auto config = std::make_shared<Config>();
  Command command{
      .name = "tokenize",
      .summary = "prints the token ids of a string as a JSON list",
      .description = "Reads the text from --text or stdin; ids are those of the model's own fast tokenizer."};
  command.options->add("model-path", config->model_path,
                       {.help = "model folder with tokenizer.model", .value = "DIR", .required = true});
  command.options->add("text", config->text, {.help = "string to tokenize; stdin if not given", .value = "TEXT"});
  command.options->add("special-tokens", config->special_tokens,
                       {.help = "are added tokens such as <|end|> recognized (control) or plain text (text)",
                        .choices = {"text", "control"}});
  command.options->add("lines", config->lines,
                       {.help = "each line of stdin is a JSON string (\"...\"); prints one list per line"});
  command.options->add("decode", config->decode, {.help = "the reverse: JSON lists of ids to JSON strings"});
  command.run = [config, options = command.options] { return run(*config, options->given("text")); };
  return command;
}

}  // namespace nkat::data
