// The settings of a run that validation asks for, from the config.json that `nkat train` writes.
#pragma once

#include "core/files/file.h"
#include "validation/run/run_reader.h"

namespace nkat::validation {

struct ReadSettings {
  RunSettings settings = {};
  std::optional<std::int64_t> first_layer = std::nullopt;
};

// What the file holds of them; a missing key is unknown. Nothing is known, and the log warns, if the file was not
// written by a run. FormatError naming file and key for a value of another type.
ReadSettings read_run_settings(const fs::path& config_json);

}  // namespace nkat::validation
