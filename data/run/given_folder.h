// The folders that a user names on the command line: what lies there, and what was meant.
//
//   --model-path   a model folder. A name on the Hub, a run, an adapter (ours or one of peft) and a file in the folder are
//                  refused with what to give instead
//   --adapter      a folder with adapter_config.json (an adapter or a checkpoint); of a run's folder its adapter/, of its
//                  checkpoints/ the newest
#pragma once

#include <string>
#include <string_view>

#include "core/files/file.h"

namespace nkat::data {

// DataError unless a model folder may lie there. needed: a file that must be in it; "": any.
void require_model_folder(const fs::path& given, std::string_view needed = "");

// transformers applies an adapter of peft that lies in a model's folder: here it is named, once for each reading.
void warn_of_adapter_beside(const fs::path& model_folder);

// Logs what was chosen where `given` isn't the adapter's folder itself. DataError if there is none.
fs::path find_adapter_folder(const fs::path& given);

// What to do about a folder without a model's files where GGUF files lie: name the first; else "".
std::string gguf_advice(const fs::path& folder);

// What to do about a path that isn't there: a name or address on the Hub, file://, an unexpanded ~; else "".
std::string hub_advice(const fs::path& absent);

}  // namespace nkat::data
