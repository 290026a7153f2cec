#include "data/text/templates/template_program.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <ctime>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <nlohmann/json.hpp>

#include "core/bounded_worker.h"
#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/text/templates/exact_nodes.h"

namespace nkat::data {
namespace {

using Json = nlohmann::json;
using jinja::mk_val;
using jinja::value;

constexpr std::size_t kTextLimit = std::size_t{16} << 20;
constexpr BoundedWorker::Limits kLimits{.memory_bytes = std::uint64_t{512} << 20, .seconds = 10};

// What raise_exception throws. No std::exception: the engine wraps those in a text of its own.
struct Raised {
  std::string message;
};

value raise(const jinja::func_args& args) {
  throw Raised{args.count() > 0 ? args.get_pos(0)->as_string().str() : "an error without a text"};
}

value text_value(const std::string& text, bool marked) {
  jinja::string string;
  string.parts.push_back({marked, text});
  return mk_val<jinja::value_string>(string);
}

// The engine names its types as the compiler does: "St10shared_ptrIN5jinja14value_string_tEE" is a string.
std::string with_plain_type_names(std::string text) {
  constexpr std::string_view kTypeBegin = "St10shared_ptrIN5jinja", kTypePrefix = "value_", kTypeEnd = "_tEE";
  while (true) {
    const std::size_t begin = text.find(kTypeBegin);
    const std::size_t prefix = text.find(kTypePrefix, std::min(begin, text.size()));
    const std::size_t end = text.find(kTypeEnd, std::min(prefix, text.size()));
    if (end == std::string::npos) return text;
    const std::string name = text.substr(prefix + kTypePrefix.size(), end - prefix - kTypePrefix.size());
    text.replace(begin, end + kTypeEnd.size() - begin, name);
  }
}

// The engine says "Error executing Kind at position N: what"; or, in its own words, what it can't parse.
std::string place_and_reason(const std::string& source, const std::string& message) {
  constexpr std::string_view kPosition = " at position ";
  const std::size_t begin = message.find(kPosition);
  const std::size_t colon = begin == std::string::npos ? begin : message.find(": ", begin);
  if (colon == std::string::npos) return "fails: " + first_line(message);
  std::size_t place = 0;
  const char* const number = message.data() + begin + kPosition.size();
  if (std::from_chars(number, message.data() + colon, place).ec != std::errc())
    return "fails: " + ellipsize(first_line(message), 300);
  const auto lines = std::ranges::count(std::string_view(source).substr(0, place), '\n');
  return fmt::format("fails in line {}: {}", lines + 1,
                     ellipsize(with_plain_type_names(message.substr(colon + 2)), 300));
}

// As the engine reads it: without a carriage return.
std::string with_plain_newlines(std::string_view source) {
  std::string text;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const bool carriage_return = source[i] == '\r';
    if (!carriage_return || !source.substr(i + 1).starts_with('\n')) text.push_back(carriage_return ? '\n' : source[i]);
  }
  return text;
}

// Bytes that have the same turn, as parts; 0 stands for the template. A turn without a byte keeps its first empty part.
std::vector<RenderedPart> parts_of(const std::vector<std::uint32_t>& turn_of_byte,
                                   const std::vector<std::pair<std::size_t, std::uint32_t>>& empty_marks) {
  std::vector<RenderedPart> parts;
  for (std::size_t begin = 0; begin < turn_of_byte.size();) {
    std::size_t end = begin;
    while (end < turn_of_byte.size() && turn_of_byte[end] == turn_of_byte[begin]) ++end;
    if (turn_of_byte[begin] != 0) parts.push_back({{begin, end}, turn_of_byte[begin] - 1});
    begin = end;
  }
  for (const auto& [place, turn] : empty_marks) {
    const bool known = std::ranges::find(parts, turn - 1, &RenderedPart::turn) != parts.end();
    if (!known) parts.push_back({{place, place}, turn - 1});
  }
  std::ranges::stable_sort(parts, {}, [](const RenderedPart& part) { return part.bytes.begin; });
  return parts;
}

Json to_json(std::span<const Turn> turns, bool generation_prompt) {
  Json messages = Json::array();
  for (const Turn& turn : turns) {
    if (const std::size_t bad = find_invalid_utf8(turn.content); bad != std::string::npos)
      throw DataError(fmt::format("gets a turn that is not UTF-8 at byte {}", bad));
    messages.push_back({static_cast<int>(turn.role), turn.content});
  }
  return {{"turns", std::move(messages)}, {"generation_prompt", generation_prompt}};
}

std::vector<Turn> turns_from(const Json& request) {
  std::vector<Turn> turns;
  for (const Json& one : request["turns"])
    turns.push_back({static_cast<Role>(one[0].get<int>()), one[1].get<std::string>()});
  return turns;
}

}  // namespace

struct TemplateProgram::State {
  std::string source;
  SpecialTokens tokens;
  jinja::program program;

  jinja::context scope(std::span<const Turn> turns, bool generation_prompt, std::uint32_t marked_bit,
                       std::time_t now) const {
    jinja::context scope;
    scope.current_time = now;
    for (const auto& [name, text] : tokens) scope.set_val(name, text_value(text, false));
    auto messages = mk_val<jinja::value_array>();
    for (std::size_t i = 0; i < turns.size(); ++i) {
      auto message = mk_val<jinja::value_object>();
      message->insert("role", text_value(role_name(turns[i].role), false));
      message->insert("content", text_value(turns[i].content, ((i + 1) >> marked_bit & 1) != 0));
      messages->push_back(std::move(message));
    }
    scope.set_val("messages", messages);
    scope.set_val("tools", mk_val<jinja::value_none>());
    scope.set_val("documents", mk_val<jinja::value_none>());
    scope.set_val("add_generation_prompt", mk_val<jinja::value_bool>(generation_prompt));
    scope.set_val("raise_exception", mk_val<jinja::value_func>("raise_exception", raise));
    return scope;
  }

  jinja::string run(jinja::context scope) const {
    try {
      return jinja::runtime::gather_string_parts(jinja::runtime(scope).execute(program))->val_str;
    } catch (const Raised& raised) {
      throw DataError("raises: " + ellipsize(raised.message, 300));
    } catch (const std::exception& error) {
      const std::string message = error.what();
      if (message.ends_with(std::bad_alloc().what())) throw std::bad_alloc();
      throw DataError(place_and_reason(source, message));
    }
  }
};

TemplateProgram::TemplateProgram(const std::string& source, SpecialTokens tokens)
    : state_(std::make_unique<State>(State{with_plain_newlines(source), std::move(tokens), {}})) {
  try {
    state_->program = jinja::parse_from_tokens(jinja::lexer().tokenize(state_->source));
  } catch (const std::out_of_range&) {  // in numbers alone
    throw FormatError("can't be parsed: a number has too many digits");
  } catch (const std::runtime_error& error) {
    throw FormatError("can't be parsed: " + first_line(error.what()));
  }
  use_exact_nodes(state_->program);
}
TemplateProgram::TemplateProgram(TemplateProgram&&) noexcept = default;
TemplateProgram::~TemplateProgram() = default;

RenderedConversation TemplateProgram::render(std::span<const Turn> turns, bool generation_prompt) const {
  RenderedConversation rendered;
  std::vector<std::uint32_t> turn_of_byte;
  std::map<std::size_t, std::uint32_t> turn_of_place;  // of marks without a byte
  const std::time_t now = std::time(nullptr);
  const auto bits = static_cast<std::uint32_t>(std::max<std::size_t>(1, std::bit_width(turns.size())));
  for (std::uint32_t bit = 0; bit < bits; ++bit) {
    const jinja::string string = state_->run(state_->scope(turns, generation_prompt, bit, now));
    if (string.length() > kTextLimit) throw DataError(fmt::format("makes more than {} MiB of text", kTextLimit >> 20));
    const std::string text = string.str();
    if (bit == 0) {
      rendered.text = text;
      turn_of_byte.resize(text.size());
    } else if (text != rendered.text) {
      throw DataError("makes another text each time");
    }
    std::size_t place = 0;
    for (const jinja::string_part& part : string.parts) {
      if (part.is_input && part.val.empty()) turn_of_place[place] |= 1u << bit;
      for (std::size_t end = place + part.val.size(); place < end; ++place)
        turn_of_byte[place] |= part.is_input ? 1u << bit : 0;
    }
  }
  if (const std::size_t bad = find_invalid_utf8(rendered.text); bad != std::string::npos)
    throw DataError(fmt::format("makes a text that is not UTF-8 at byte {}", bad));
  std::erase_if(turn_of_place, [&](const auto& one) { return one.second > turns.size(); });
  rendered.parts = parts_of(turn_of_byte, {turn_of_place.begin(), turn_of_place.end()});
  return rendered;
}

struct TemplateProcess::State {
  // Parsed in the child, at its first request.
  static std::string reply(const std::string& source, const SpecialTokens& tokens,
                           std::optional<TemplateProgram>& program, std::string_view request) {
    const Json json = Json::parse(request);
    if (!program) program.emplace(source, tokens);
    const RenderedConversation rendered = program->render(turns_from(json), json["generation_prompt"].get<bool>());
    Json parts = Json::array();
    for (const RenderedPart& part : rendered.parts) parts.push_back({part.bytes.begin, part.bytes.end, part.turn});
    return Json{{"text", rendered.text}, {"parts", std::move(parts)}}.dump();
  }

  State(std::string source, SpecialTokens tokens)
      : worker([source = std::move(source), tokens = std::move(tokens),
                program = std::make_shared<std::optional<TemplateProgram>>()](
                   std::string_view request) { return reply(source, tokens, *program, request); },
               kLimits) {}

  BoundedWorker worker;
};

TemplateProcess::TemplateProcess(std::string source, SpecialTokens tokens)
    : state_(std::make_unique<State>(std::move(source), std::move(tokens))) {}
TemplateProcess::~TemplateProcess() = default;

RenderedConversation TemplateProcess::render(std::span<const Turn> turns, bool generation_prompt) const {
  try {
    const Json reply = Json::parse(state_->worker.call(to_json(turns, generation_prompt).dump()));
    RenderedConversation rendered{reply["text"].get<std::string>(), {}};
    for (const Json& part : reply["parts"])
      rendered.parts.push_back({{part[0].get<std::size_t>(), part[1].get<std::size_t>()}, part[2].get<std::size_t>()});
    return rendered;
  } catch (const DataError& error) {
    throw DataError(fmt::format("the chat template {}", error.what()));
  }
}

}  // namespace nkat::data
