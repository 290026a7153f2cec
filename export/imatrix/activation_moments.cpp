#include "export/imatrix/activation_moments.h"

#include "core/error.h"
#include "core/signals.h"
#include "models/weights/checkpoint_tensors.h"

namespace nkat::exporting {
namespace {

// input (T, columns)
void add_squares(const at::Tensor& input, std::vector<double>& sums) {
  NKAT_INVARIANT(input.scalar_type() == at::kFloat && input.dim() == 2);
  const at::Tensor rows = input.contiguous();
  const std::size_t width = static_cast<std::size_t>(rows.size(1));
  sums.resize(width);
  const float* row = rows.const_data_ptr<float>();
  for (std::int64_t i = 0; i < rows.size(0); ++i, row += width) {
    for (std::size_t j = 0; j < width; ++j) sums[j] += static_cast<double>(row[j]) * static_cast<double>(row[j]);
  }
}

}  // namespace

ActivationMoments activation_moments(const models::StreamedModel& model,
                                     const std::vector<models::PackedBatch>& batches,
                                     const std::function<void(std::int64_t layer)>& done) {
  ActivationMoments moments;
  const auto observe = [&](const std::string& tensor, const at::Tensor& input) {
    throw_if_stop_requested();
    add_squares(input, moments.columns[tensor]);
  };
  const std::vector<at::Tensor> hidden = models::streamed_hidden(model, batches, observe, done);
  const std::string head = models::head_tensor(model.config);
  for (const at::Tensor& states : hidden) {
    add_squares(states, moments.columns[head]);
    moments.tokens += states.size(0);
  }
  NKAT_INVARIANT(moments.tokens > 0);
  for (auto& [tensor, columns] : moments.columns) {
    for (double& column : columns) column /= static_cast<double>(moments.tokens);
  }
  return moments;
}

}  // namespace nkat::exporting
