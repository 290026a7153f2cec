#include "data/synthetic/generator.h"

#include <unordered_set>

#include <fmt/format.h>

#include "core/error.h"
#include "core/random.h"
#include "data/synthetic/decision.h"
#include "data/synthetic/general.h"
#include "data/synthetic/word_problem.h"

namespace nkat::data {
namespace {

GeneratedRecord draw(RandomStream& random, GeneratedTask task, Language language, std::size_t label) {
  switch (task) {
    case GeneratedTask::kDecision: return draw_decision(random, language, label);
    case GeneratedTask::kMath: return draw_problem_record(random, language);
    case GeneratedTask::kGeneral: return draw_general_text(random, language);
    case GeneratedTask::kSmallTalk: return draw_small_talk(random, language);
  }
  NKAT_INVARIANT(false);
}

}  // namespace

void generate_records(const GeneratorOptions& options, const std::function<void(const GeneratedRecord&)>& take) {
  const std::size_t tasks = options.tasks.size(), languages = options.languages.size();
  std::unordered_set<std::string> seen;
  for (std::int64_t i = 0; i < options.count; ++i) {
    const auto index = static_cast<std::size_t>(i);
    const GeneratedTask task = options.tasks[index % tasks];
    const Language language = options.languages[index / tasks % languages];
    const std::size_t label = index / (tasks * languages) % kFourClasses.size();
    RandomStream random(options.seed, "data-make", index);
    int draws = 0;
    for (;; ++draws) {
      if (draws == options.max_draws) {
        throw ConfigError(
            fmt::format("--count {}: only {} different requests were found for these tasks, languages and "
                        "this split; ask for fewer, or for a larger split",
                        options.count, i));
      }
      const GeneratedRecord record = draw(random, task, language, label);
      if (split_of(record.key) != options.split) continue;
      if (!seen.insert(record.text.empty() ? record.user : record.text).second) continue;
      take(record);
      break;
    }
  }
}

}  // namespace nkat::data
