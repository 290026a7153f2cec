// The prompts of the self-test: short conversations in English, Japanese, digits and code, rendered with the model's
// own chat template and cut by its own tokenizer. Fixed, so that two exports can be compared.
#pragma once

#include "core/files/file.h"
#include "export/verify/logit_comparison.h"

namespace nkat::exporting {

// At least one token each; cut where the model's short rope factors end. FormatError for a folder whose tokenizer or
// template isn't known here, saying which self-test needs neither.
Prompts self_test_prompts(const fs::path& model_folder, const models::Phi3Config& config);

}  // namespace nkat::exporting
