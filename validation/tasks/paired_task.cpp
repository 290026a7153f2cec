#include "validation/tasks/paired_task.h"

#include <fmt/format.h>

#include "core/cli/log.h"
#include "core/files/file.h"
#include "core/json.h"

namespace nkat::validation {

PredictionsFile::PredictionsFile(const std::string& path)
    : file_(path.empty() ? nullptr : std::make_shared<AppendFile>(path, /*keep_bytes=*/0)) {}

void PredictionsFile::write(const std::vector<nlohmann::ordered_json>& rows) {
  if (!file_) return;
  // An answer may end inside a UTF-8 sequence; dump_json writes U+FFFD for it.
  for (const nlohmann::ordered_json& row : rows) file_->append(dump_json(row) + "\n");
  file_->sync();
}

std::int64_t generated_count(const QuestionTaskOptions& options) {
  return options.questions > 0 ? options.questions : kGeneratedQuestions;
}

std::map<std::string, std::vector<std::size_t>> question_groups(const std::vector<DecisionQuestion>& questions) {
  std::vector<std::string> languages;
  for (const DecisionQuestion& one : questions) languages.push_back(one.question.language);
  return groups_of(languages, {});
}

std::map<std::string, std::vector<std::size_t>> question_groups(const std::vector<MathQuestion>& questions) {
  std::vector<std::string> languages, kinds;
  for (const MathQuestion& one : questions) {
    languages.push_back(one.question.language);
    kinds.push_back(one.kind);
  }
  return groups_of(languages, kinds);
}

void warn_if_most_unparsed(std::int64_t unparsed, std::int64_t questions, const std::string& what) {
  if (2 * unparsed > questions)
    log::warning(fmt::format("{} of {} answers of the bare model {}", unparsed, questions, what));
}

}  // namespace nkat::validation
