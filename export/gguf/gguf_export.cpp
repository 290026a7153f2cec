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
namespace {

std::vector<gguf::GgufTensorPlan> writer_plan(const std::vector<PlannedTensor>& plan) {
  std::vector<gguf::GgufTensorPlan> tensors;
  for (const PlannedTensor& one : plan) tensors.push_back({one.tensor.name, one.tensor.ne, one.stored});
  return tensors;
}

// "blk.7.ffn_down.weight" -> "ffn_down.weight".
std::string kind_of(const std::string& name) {
  return name.starts_with("blk.") ? name.substr(name.find('.', 4) + 1) : name;
}

}  // namespace

std::vector<PlannedTensor> plan_tensors(const models::Phi3Config& config, QuantizationRecipe mix) {
  std::vector<PlannedTensor> plan;
  for (Phi3Tensor& tensor : phi3_tensors(config)) {
    const gguf::GgmlType wanted = wanted_type(mix, tensor.role, tensor.layer, config.num_layers);
    const gguf::GgmlType stored = gguf::storable_type(wanted, tensor.ne.front());
    plan.push_back({std::move(tensor), wanted, stored});
  }
  return plan;
}

std::vector<std::string> fallbacks(const std::vector<PlannedTensor>& plan) {
  std::map<std::string, int> counts;
  for (const PlannedTensor& one : plan) {
    if (one.wanted == one.stored) continue;
    ++counts[fmt::format("{}: {} as {}, rows of {}", kind_of(one.tensor.name), gguf::traits(one.wanted).name,
                         gguf::traits(one.stored).name, one.tensor.ne.front())];
  }
  std::vector<std::string> lines;
  for (const auto& [line, count] : counts) lines.push_back(fmt::format("{} ({})", line, count));
  return lines;
}

void require_room(const fs::path& path, const gguf::GgufMetadata& metadata, const std::vector<PlannedTensor>& plan) {
  const AtomicFile attempt(path, gguf::gguf_file_size(metadata, writer_plan(plan)));
}

bool is_planned(const gguf::GgufTensor& found, const PlannedTensor& planned) {
  std::vector<std::uint64_t> ne = planned.tensor.ne;
  ne.resize(gguf::kMostDimensions, 1);
  return found.name == planned.tensor.name && found.type == planned.stored && std::ranges::equal(found.ne, ne);
}

void produce_encoded(const MergedWeights& weights, const std::string& source, gguf::GgmlType type,
                     const gguf::AppendBytes& append, std::span<const float> importance) {
  const MatrixShape shape = weights.shape(source);
  const std::size_t step = MergedWeights::rows_of_piece(shape);
  std::vector<float> values(step * shape.row_length);
  std::vector<std::byte> encoded;
  for (std::size_t row = 0; row < shape.rows; row += step) {
    throw_if_stop_requested();
    const std::span<float> piece = std::span(values).first(std::min(step, shape.rows - row) * shape.row_length);
    weights.read_merged(source, row, piece);
    encoded.resize(*gguf::tensor_bytes(type, piece.size()));
    try {
      gguf::encode_tensor(
          type, {.values = piece, .length = static_cast<std::int64_t>(shape.row_length), .importance = importance},
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
  std::map<std::string, const Phi3Tensor*> by_name;
  std::uint64_t total = 0, done = 0;
  for (const PlannedTensor& one : plan) {
    by_name[one.tensor.name] = &one.tensor;
    if (!one.tensor.source.empty()) total += from.weights.shape(one.tensor.source).elements();
  }
  ProgressBar progress("export", total);
  const auto produce = [&](const gguf::GgufTensor& tensor, const gguf::AppendBytes& append) {
    const Phi3Tensor& planned = *by_name.at(tensor.name);
    if (planned.source.empty()) return append(std::as_bytes(std::span(planned.values)));
    const std::uint64_t before = done;
    std::uint64_t bytes = 0;
    const auto advance = [&](std::span<const std::byte> piece) {
      append(piece);
      bytes += piece.size();
      done = before + static_cast<std::uint64_t>(static_cast<double>(tensor.elements()) * static_cast<double>(bytes) /
                                                 static_cast<double>(tensor.bytes));
      progress.update(done, tensor.name);
    };
    produce_encoded(from.weights, planned.source, tensor.type, advance, from.importance.of(planned));
    done = before + tensor.elements();
  };
  gguf::write_gguf(path, metadata, writer_plan(plan), produce, verify);
}

}  // namespace nkat::exporting
