// A written file opened again by our own readers, before it gets its name: every tensor is there, with its type and
// shape, and holds the merged weights but for its type's rounding (quantization_error_bound.h); with prompts, also its logits are
// compared with backbone + adapter (logit_comparison.h). What survived of the adapter is measured on the way (adapter_retention.h).
//
// CheckError (exit 5) names what isn't as it must be; the caller doesn't publish the file then. A change that was lost
// to a coarse type is no such error: the file is what was asked for. Throws Interrupted between pieces and layers.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "export/gguf/gguf_export.h"
#include "export/verify/adapter_retention.h"
#include "export/verify/logit_comparison.h"

namespace nkat::exporting {

struct SelfTestOptions {
  std::string output;  // the name that the file will have, for messages
  RetentionLimits limits = {};
  Prompts prompts = {};  // none: tensors alone
  double maximum_kl = 0;
  std::function<bool(const Phi3Tensor&)> is_weighted = {};  // encoded with an importance?
  bool judges_rounding = true;                              // false: the base is the file's own decoded weights
};

struct SelfTest {
  std::vector<TensorRetention> survival;  // of ffn_down, by layer
  std::optional<LogitComparison> logits;
};

SelfTest self_test_gguf(const fs::path& path, const std::vector<PlannedTensor>& plan, const models::Phi3Config& config,
                        const MergedWeights& weights, const SelfTestOptions& options);
SelfTest self_test_folder(const fs::path& folder, gguf::GgmlType type, const MergedWeights& weights,
                          const SelfTestOptions& options);

// A tensor of the written model, to be held against the merged weights.
struct StoredTensor {
  std::string source;   // in the base's checkpoint
  std::string written;  // by which the written weights know it
  gguf::GgmlType type = gguf::GgmlType::kF32;
  std::int64_t layer = -1;  // of an ffn_down; its survival is part of the result
  bool weighted = false;    // by an importance: it may be off by up to half of the weights' size
};
// The part that needs no file: these tensors, and with prompts the logits. config: the base's.
SelfTest self_test_weights(const models::Phi3Config& config, const MergedWeights& weights, const WrittenModel& written,
                           const std::vector<StoredTensor>& stored, const SelfTestOptions& options);
// CheckError if the logits are further off than they may be. Not part of the test, so that the figures can be shown.
void require_predictions(const SelfTest& test, const std::string& output);
// Runs `test`; what the readers refuse becomes a CheckError, for it is a file that was just written, not the user's.
SelfTest as_check(const std::string& output, const std::function<SelfTest()>& test);
// "it was not put in place, ...": ends the messages of failed checks.
extern const char* const kNotPutInPlace;

}  // namespace nkat::exporting
