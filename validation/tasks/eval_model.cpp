#include "validation/tasks/eval_model.h"

#include "data/run/given_folder.h"
#include "models/model_source.h"

namespace nkat::validation {

EvalInputs read_eval_inputs(const EvalModelOptions& options) {
  const models::ModelConfig config = models::open_model_config(options.model_path);
  const at::Device device = models::resolve_device(options.device);
  EvalInputs inputs{.options = options,
                    .config = config,
                    .text = models::load_tokenizer_and_template(options.model_path, config),
                    .device = device,
                    .precision = models::resolve_precision(options.precision, device)};
  models::end_answers_with_turns(inputs.config, inputs.text.chat_template, inputs.text.tokenizer);
  if (!options.adapter.empty())
    inputs.adapter = models::load_adapter(data::find_adapter_folder(options.adapter), config);
  return inputs;
}

EvalModel open_eval_model(EvalInputs inputs) {
  std::vector<at::Tensor> blocks;
  if (inputs.has_adapter()) {
    models::require_base_of(inputs.adapter, inputs.options.model_path, inputs.config, inputs.options.adapter);
    blocks = inputs.adapter.adapter.matrices(inputs.device);
  }
  models::Decoder decoder = models::open_decoder(
      inputs.options.model_path, inputs.config,
      {.dtype = inputs.precision, .device = inputs.device, .forms = models::formats_of(inputs.options.base)});
  return {.config = std::move(inputs.config),
          .text = std::move(inputs.text),
          .decoder = std::move(decoder),
          .adapter = std::move(inputs.adapter.adapter),
          .blocks = std::move(blocks)};
}

}  // namespace nkat::validation
