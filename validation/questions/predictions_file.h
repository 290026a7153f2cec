// What a model answered to each question and how it was read, one JSON object a line, for people who want to see why an
// answer counts as it does. Keys: where, then the task's own (math_task.cpp, decision_task.cpp); with an adapter the
// bare model's stand under "base".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace nkat {
class AppendFile;
}

namespace nkat::validation {

class PredictionsFile {
 public:
  // Creates the file, or empties it, so that one that can't be written is refused before anything is computed
  // (DataError or DeviceError). "": nothing is written.
  explicit PredictionsFile(const std::string& path);
  void write(const std::vector<nlohmann::ordered_json>& rows);

 private:
  std::shared_ptr<AppendFile> file_;
};

}  // namespace nkat::validation
