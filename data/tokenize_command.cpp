// `nkat data tokenize`: text to ids, as training and generation see it.
#include <iostream>
#include <iterator>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/commands.h"
#include "data/text/model_text.h"

namespace nkat::data {
namespace {

struct TokenizeConfig {
  std::string model_path;
  std::string text;
  AddedTokens special_tokens = AddedTokens::kControl;
  bool lines = false;
  bool whole = false;
  bool decode = false;
};

// One line of output for one text, or, with --decode, for one list of ids.
std::string convert(const Tokenizer& tokenizer, const TokenizeConfig& config, const std::string& input) {
  if (!config.decode) {
    const std::vector<std::int32_t> ids = config.whole ? tokenizer.encode_whole(input, config.special_tokens)
                                                       : tokenizer.encode(input, config.special_tokens);
    return fmt::format("[{}]", fmt::join(ids, ","));
  }
  const auto ids = nlohmann::json::parse(input, nullptr, /*allow_exceptions=*/false);
  const auto is_id = [](const nlohmann::json& id) {
    return id.is_number_integer() && id.get<std::int64_t>() == static_cast<std::int32_t>(id.get<std::int64_t>());
  };
  if (!ids.is_array() || !std::ranges::all_of(ids, is_id))
    throw DataError("--decode: " + expected("a JSON list of token ids", ellipsize(input)));
  return nlohmann::json(tokenizer.decode(ids.get<std::vector<std::int32_t>>())).dump(-1, ' ', true);
}

ExitCode run(const TokenizeConfig& config, bool text_given) {
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
      throw DataError(fmt::format("stdin:{}: {}", number, expected("a JSON string (\"...\")", ellipsize(line))));
    std::cout << convert(tokenizer, config, config.decode ? line : text.get<std::string>()) << '\n';
  }
  return ExitCode::kDone;
}

}  // namespace

Command make_data_tokenize_command() {
  auto config = std::make_shared<TokenizeConfig>();
  Command command{
      .name = "tokenize",
      .summary = "prints the token ids of a string as a JSON list",
      .description = "Reads the text from --text or stdin; ids are those of the model's own fast tokenizer."};
  command.options->add("model-path", config->model_path,
                       {.help = kModelPathHelp, .metavar = kModelPathMetavar, .required = true});
  command.options->add("text", config->text, {.help = "text to tokenize; without it stdin is read", .metavar = "TEXT"});
  command.options->add("special-tokens", config->special_tokens, kAddedTokensNames,
                       {.help = "<|end|> and the like: plain text or control tokens"});
  command.options->add("lines", config->lines,
                       {.help = "read one JSON string (\"...\") per line of stdin, print one list per line"});
  command.options->add("whole", config->whole,
                       {.help = "add the tokens that the tokenizer puts around a plain text, such as <s>"});
  command.options->add("decode", config->decode, {.help = "convert JSON lists of token ids to JSON strings"});
  command.run = [config, options = command.options] { return run(*config, options->given("text")); };
  return command;
}

}  // namespace nkat::data
