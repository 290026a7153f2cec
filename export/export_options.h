// The options of `nkat export` and `nkat patch`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/cli/options.h"
#include "export/imatrix/importance.h"

namespace nkat::exporting {

enum class ExportFormat { kGguf, kHf };
inline constexpr EnumNames<ExportFormat, 2> kExportFormatNames = {
    {{ExportFormat::kGguf, "gguf"}, {ExportFormat::kHf, "hf"}}};

enum class SelfTestScope { kFull, kTensors, kOff };
inline constexpr EnumNames<SelfTestScope, 3> kSelfTestNames = {
    {{SelfTestScope::kFull, "full"}, {SelfTestScope::kTensors, "tensors"}, {SelfTestScope::kOff, "off"}}};

struct ExportOptions {
  std::string model_path;
  std::string patch;       // the GGUF file whose tensors are replaced; "": a whole file is written
  std::string patch_type;  // of the replaced tensors; "": each keeps its own
  std::string adapter;     // "": the base alone
  std::string output;
  ExportFormat format = ExportFormat::kGguf;
  std::string quantization = "auto";
  std::int64_t context_length = 0;  // 0: what the model was trained at before longrope
  std::int64_t max_shard_mib = 4096;
  bool write_tied_head = false;
  std::string name;           // "": from the folder
  ImportanceData importance;  // without files: none
  SelfTestScope self_test = SelfTestScope::kFull;
  std::vector<std::string> min_retention;  // TYPE=NUMBER (export/verify/adapter_retention.h)
  std::vector<std::string> max_noise;
  double maximum_kl = 0;  // nats per token; 0: by quantization
  bool allow_base_mismatch = false;
  bool json = false;

  bool is_patch() const { return !patch.empty(); }
  // "auto" resolved: q8_0 in a GGUF file, f32 in a folder.
  std::string resolved_quantization() const;
};

void declare_options(OptionList& options, ExportOptions& config);
// Those of `nkat patch`.
void declare_patch_options(OptionList& options, ExportOptions& config);

}  // namespace nkat::exporting
