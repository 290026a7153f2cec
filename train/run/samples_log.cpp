#include "train/run/samples_log.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "core/json_object.h"
#include "core/message.h"

namespace nkat::train {
namespace {

constexpr std::uint64_t kLargestLog = 1ULL << 30;
constexpr const char *kStep = "step", *kPrompt = "prompt", *kAnswer = "answer";
constexpr std::string_view kLineStart = "{\"step\":";

std::int64_t step_of(const std::string& line, const std::string& source) {
  try {
    const nlohmann::ordered_json json = parse_json(line, source);
    const JsonObject sample(json, source);
    static_cast<void>(sample.string(kPrompt));
    static_cast<void>(sample.string(kAnswer));
    return sample.integer(kStep);
  } catch (const FormatError& error) {
    throw DataError(fmt::format("{}; no run has written this line: move the file away, or choose another --output-dir",
                                error.what()));
  }
}

// The bytes of the lines up to `last_step`.
std::uint64_t kept_bytes(const fs::path& path, std::int64_t last_step) {
  if (!fs::exists(path)) return 0;
  const std::string text = read_file(path, kLargestLog);
  std::size_t begin = 0;
  for (std::int64_t number = 1; begin < text.size(); ++number) {
    const std::string source = fmt::format("{}:{}", path.string(), number);
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) {  // cut by a kill, if it begins as a line does
      const std::string_view rest = std::string_view(text).substr(begin);
      const std::size_t length = std::min(rest.size(), kLineStart.size());
      if (rest.substr(0, length) != kLineStart.substr(0, length)) step_of(std::string(rest), source);
      break;
    }
    if (step_of(text.substr(begin, end - begin), source) > last_step) break;
    begin = end + 1;
  }
  return begin;
}

}  // namespace

SamplesLog::SamplesLog(const fs::path& path, std::int64_t last_step) : file_(path, kept_bytes(path, last_step)) {}

void SamplesLog::append(std::int64_t step, const std::vector<SampleAnswer>& answers) {
  std::string lines;
  for (const auto& [prompt, answer] : answers)
    lines += dump_json({{kStep, step}, {kPrompt, prompt}, {kAnswer, answer}}) + "\n";
  file_.append(lines);
}

}  // namespace nkat::train
