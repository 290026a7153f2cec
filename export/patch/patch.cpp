#include "export/patch/patch.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "core/cli/progress.h"
#include "core/error.h"
#include "core/message.h"
#include "core/signals.h"
#include "export/gguf/gguf_export.h"
#include "export/verify/self_test.h"
#include "models/weights/weight_source.h"

namespace nkat::exporting {
namespace {

using gguf::GgmlType;

constexpr std::uint64_t kPieceBytes = std::uint64_t{16} << 20;
constexpr std::string_view kOurKeys = "nkat.";

void require_codecs(const gguf::GgufFile& base, const gguf::GgufTensor& tensor, bool is_source, bool keeps_type) {
  const gguf::GgmlTypeTraits& type = gguf::traits(tensor.type);
  if (type.has_codec) return;
  const std::string who = fmt::format("{}: tensor '{}' is stored as {}", base.path().string(), tensor.name, type.name);
  if (is_source)
    throw FormatError(who + ", which has no decoder here; merge from the base's own weights with --model-path DIR" +
                      (keeps_type ? " and name the type that replaces it with --patch-type" : ""));
  if (keeps_type)
    throw FormatError(who + ", which has no encoder here; name the type that replaces it with --patch-type, q8_0 say");
}

PlannedTensor copied(const gguf::GgufTensor& tensor) {
  return {.file = {tensor.name, {tensor.ne.begin(), tensor.ne.begin() + tensor.dimensions}, tensor.type},
          .requested = tensor.type};
}

gguf::GgufMetadata patched_metadata(const gguf::GgufFile& base, const PatchSource& source) {
  gguf::GgufMetadata metadata("the patched file");
  for (const auto& [key, value] : base.metadata().pairs()) {
    if (!key.starts_with(kOurKeys)) metadata.add(key, value);
  }
  add_provenance(source.provenance, metadata);
  metadata.add("nkat.merged_from", gguf::GgufValue::string(source.merged_from));
  return metadata;
}

// Calls use(begin, end) for pieces of `bytes`.
template <class Use>
void for_pieces(std::uint64_t bytes, const Use& use) {
  for (std::uint64_t at = 0; at < bytes; at += kPieceBytes) {
    throw_if_stop_requested();
    use(at, std::min(bytes, at + kPieceBytes));
  }
}

[[noreturn]] void fail(const std::string& output, const std::string& what) {
  throw CheckError(fmt::format("{}: {}; {}", output, what, kNotPublished));
}

void check_copy(const gguf::GgufFile& written, const gguf::GgufTensor& found, const gguf::GgufFile& base,
                const std::string& output) {
  const gguf::GgufTensor& original = *base.find(found.name);
  const std::span<const std::byte> copy = written.bytes(found), bytes = base.bytes(original);
  for_pieces(bytes.size(), [&](std::uint64_t begin, std::uint64_t end) {
    if (!std::ranges::equal(copy.subspan(begin, end - begin), bytes.subspan(begin, end - begin)))
      fail(output, fmt::format("tensor '{}' differs from {}", found.name, base.path().string()));
  });
  written.release(found);
  base.release(original);
}

// Checks order, metadata and copied tensors; returns the replaced ones for the rest of the test.
std::vector<StoredTensor> check_file(const gguf::GgufFile& written, const Patch& patch, const std::string& output) {
  if (written.metadata().pairs() != patch.metadata.pairs()) fail(output, "metadata mismatch");
  if (written.tensors().size() != patch.plan.size())
    fail(output, expected(fmt::format("{} tensors", patch.plan.size()), std::to_string(written.tensors().size())));
  std::vector<StoredTensor> replaced;
  for (std::size_t i = 0; i < patch.plan.size(); ++i) {
    const PlannedTensor& planned = patch.plan[i];
    const gguf::GgufTensor& found = written.tensors()[i];
    if (!is_planned(found, planned)) fail(output, fmt::format("tensor '{}' differs from the plan", planned.file.name));
    if (planned.source) {
      replaced.push_back({.source = *planned.source, .written = planned.source->name, .type = planned.file.type});
    } else {
      check_copy(written, found, patch.base, output);
    }
  }
  std::ranges::sort(replaced, {}, [](const StoredTensor& one) { return one.source.layer; });
  return replaced;
}

}  // namespace

Patch plan_patch(const gguf::GgufFile& base, const PatchSource& source, std::optional<GgmlType> type) {
  Patch patch{.base = base, .source = source, .metadata = patched_metadata(base, source), .plan = {}};
  std::map<std::string, models::TensorSpec> changed;  // by the file's name
  for (models::TensorSpec& spec : models::model_tensors(source.config)) {
    if (source.weights.is_changed(spec.name)) changed[spec.gguf_name] = std::move(spec);
  }
  for (const gguf::GgufTensor& tensor : base.tensors()) {
    PlannedTensor planned = copied(tensor);
    if (const auto found = changed.find(tensor.name); found != changed.end()) {
      require_codecs(base, tensor, source.merged_from == kMergedFromFile, !type.has_value());
      planned.source = found->second;
      const bool keeps_type = found->second.kind == models::TensorKind::kBias;
      planned.requested = keeps_type ? tensor.type : type.value_or(tensor.type);
      planned.file.type = gguf::storable_type(planned.requested, tensor.ne[0]);
    }
    patch.plan.push_back(std::move(planned));
  }
  return patch;
}

void write_patch(const fs::path& path, const Patch& patch, const gguf::VerifyFile& verify) {
  const std::vector<gguf::GgufTensorPlan> tensors = file_plan(patch.plan);
  std::map<std::string, const PlannedTensor*> by_name;
  for (const PlannedTensor& one : patch.plan) by_name[one.file.name] = &one;
  ProgressBar progress("patch", gguf::gguf_file_size(patch.metadata, tensors));
  std::uint64_t done = 0;
  const auto produce = [&](const gguf::GgufTensor& tensor, const auto& append) {
    const auto append_and_show = [&](std::span<const std::byte> piece) {
      append(piece);
      done += piece.size();
      progress.update(done, tensor.name);
    };
    const PlannedTensor& planned = *by_name.at(tensor.name);
    if (planned.source)
      return produce_encoded(patch.source.weights, planned.source->name, planned.file.type, append_and_show);
    const gguf::GgufTensor& original = *patch.base.find(tensor.name);
    for_pieces(original.bytes, [&](std::uint64_t begin, std::uint64_t end) {
      append_and_show(patch.base.bytes(original).subspan(begin, end - begin));
    });
    patch.base.release(original);
  };
  gguf::write_gguf(path, patch.metadata, tensors, produce, verify);
}

bool can_decode_all(const Patch& patch) {
  return std::ranges::all_of(patch.plan,
                             [](const PlannedTensor& one) { return gguf::traits(one.file.type).has_codec; });
}

SelfTest self_test_patch(const fs::path& path, const Patch& patch, const SelfTestOptions& options) {
  return as_check(options.output, [&] {
    const gguf::GgufFile written(path);
    const std::vector<StoredTensor> replaced = check_file(written, patch, options.output);
    const models::ModelConfig& config = patch.source.config;
    const models::GgufWeights weights(written, config);
    return self_test_weights(config, patch.source.weights, {config, weights}, replaced, options);
  });
}

}  // namespace nkat::exporting
