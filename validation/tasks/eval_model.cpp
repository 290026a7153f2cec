#include "validation/tasks/eval_model.h"

#include "models/weights/base_fingerprint.h"

namespace nkat::validation {

EvalInputs open_subject_text(const EvalModelOptions& options) {
  const models::Phi3Config config = models::read_phi3_config(options.model_path);
  const at::Device device = models::resolve_device(options.device);
  EvalInputs text{.options = options,
                  .config = config,
                  .text = models::load_tokenizer_and_template(options.model_path, config),
                  .device = device,
                  .precision = models::resolve_precision(options.precision, device)};
  if (!options.adapter.empty()) text.adapter = models::load_adapter(options.adapter, config);
  return text;
}

EvalModel open_subject(EvalInputs text) {
  std::vector<at::Tensor> blocks;
  if (text.has_adapter()) {
    models::require_same_base(text.adapter, models::base_sha256(text.options.model_path), text.options.adapter);
    blocks = text.adapter.adapter.matrices(text.device);
  }
  models::Decoder decoder = models::open_decoder(
      text.options.model_path, text.config,
      {.dtype = text.precision, .device = text.device, .forms = models::formats_of(text.options.base)});
  return {.config = std::move(text.config),
          .text = std::move(text.text),
          .decoder = std::move(decoder),
          .adapter = std::move(text.adapter.adapter),
          .blocks = std::move(blocks)};
}

}  // namespace nkat::validation
