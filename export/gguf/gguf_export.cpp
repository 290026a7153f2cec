#include "export/gguf/gguf_export.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "core/cli/progress.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/signals.h"
#include "data/quantize/quantize.h"

namespace nkat::exporting {

void require_space(const fs::path& path, const gguf::GgufMetadata& metadata, const std::vector<PlannedTensor>& plan) {
  const AtomicFile attempt(path, gguf::gguf_file_size(metadata, file_plan(plan)));
}

void produce_encoded(const models::WeightSource& weights, const std::string& source, gguf::GgmlType type,
                     const gguf::AppendBytes& append, std::span<const float> importance) {
  const models::MatrixShape shape = weights.shape(source);
  const std::size_t step = rows_per_piece(shape);
  std::vector<float> values(step * shape.columns);
  std::vector<std::byte> encoded;
  for (std::size_t row = 0; row < shape.rows; row += step) {
    throw_if_stop_requested();
    const std::span<float> piece = std::span(values).first(std::min(step, shape.rows - row) * shape.columns);
    weights.read(source, row, piece);
    encoded.resize(*gguf::tensor_bytes(type, piece.size()));
    try {
      gguf::encode_tensor(
          type, {.values = piece, .length = static_cast<std::int64_t>(shape.columns), .importance = importance},
          encoded);
    } catch (const FormatError& error) {
      throw FormatError(fmt::format("tensor '{}' from row {} on: {}", source, row, error.what()));
    }
    append(encoded);
  }
  weights.release(source);
}

void write_merged_gguf(const fs::path& path, const gguf::GgufMetadata& metadata, const std::vector<PlannedTensor>& plan,
                       const EncodedWeights& from, const gguf::VerifyFile& verify) {
  std::map<std::string, const PlannedTensor*> by_name;
  std::uint64_t total = 0, done = 0;
  for (const PlannedTensor& one : plan) {
    by_name[one.file.name] = &one;
    if (one.source) total += one.source->matrix().elements();
  }
  ProgressBar progress("export", total);
  const auto produce = [&](const gguf::GgufTensor& tensor, const gguf::AppendBytes& append) {
    const PlannedTensor& planned = *by_name.at(tensor.name);
    if (!planned.source) return append(std::as_bytes(std::span(planned.values)));
    std::uint64_t written = 0;
    const auto append_and_show = [&](std::span<const std::byte> piece) {
      append(piece);
      written += piece.size();
      // In elements, not bytes: a weight takes equally long in every type.
      const double share = static_cast<double>(written) / static_cast<double>(tensor.bytes);
      progress.update(done + static_cast<std::uint64_t>(static_cast<double>(tensor.elements()) * share), tensor.name);
    };
    produce_encoded(from.weights, planned.source->name, tensor.type, append_and_show,
                    from.importance.of(*planned.source));
    done += tensor.elements();
  };
  gguf::write_gguf(path, metadata, file_plan(plan), produce, verify);
}

}  // namespace nkat::exporting
