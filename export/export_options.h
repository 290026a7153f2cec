// What `nkat export` is asked for.
#pragma once

#include <cstdint>
#include <string>

#include "core/options.h"
#include "export/importance.h"

namespace nkat::exporting {

struct ExportOptions {
  std::string model_path;
  std::string adapter;  // "": the base alone
  std::string output;
  std::string format = "gguf";
  std::string quantization = "auto";
  std::int64_t context_length = 0;  // 0: what the model was trained at before longrope
  std::int64_t max_shard_mib = 4096;
  std::string name;           // "": from the folder
  ImportanceData importance;  // without files: none
  std::string self_test = "tensors";
  bool allow_base_mismatch = false;
  bool json = false;

  // "auto" resolved: q8_0 in a GGUF file, f32 in a folder.
  std::string resolved_quantization() const;
};

void declare_options(OptionList& options, ExportOptions& config);

}  // namespace nkat::exporting
