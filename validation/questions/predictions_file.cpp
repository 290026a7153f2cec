#include "validation/questions/predictions_file.h"

#include <nlohmann/json.hpp>

#include "core/files/atomic_file.h"
#include "core/json.h"

namespace nkat::validation {

PredictionsFile::PredictionsFile(const std::string& path)
    : file_(path.empty() ? nullptr : std::make_shared<AppendFile>(path, /*keep_bytes=*/0)) {}

void PredictionsFile::write(const std::vector<nlohmann::ordered_json>& rows) {
  if (!file_) return;
  // An answer may end inside a character: what is no UTF-8 is written as U+FFFD.
  for (const nlohmann::ordered_json& row : rows) {
    file_->append(dump_json(row) + "\n");
  }
  file_->sync();
}

}  // namespace nkat::validation
