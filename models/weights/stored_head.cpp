#include "models/weights/stored_head.h"

#include <algorithm>

#include "core/signals.h"
#include "data/formats/safetensors_folder.h"
#include "models/tensor_table.h"

namespace nkat::models {
namespace {

constexpr std::size_t kComparedPiece = std::size_t{16} << 20;

bool same_bytes(const data::SafetensorsFolder::Located& one, const data::SafetensorsFolder::Located& other) {
  const auto left = one.file->bytes(*one.info), right = other.file->bytes(*other.info);
  bool same = left.size() == right.size();
  for (std::size_t at = 0; same && at < left.size(); at += kComparedPiece) {
    throw_if_stop_requested();
    const std::size_t count = std::min(kComparedPiece, left.size() - at);
    same = std::ranges::equal(left.subspan(at, count), right.subspan(at, count));
  }
  one.file->release(*one.info);
  other.file->release(*other.info);
  return same;
}

}  // namespace

bool stores_another_head(const std::filesystem::path& model_folder) {
  if (!std::filesystem::exists(model_folder / "model.safetensors") &&
      !std::filesystem::exists(model_folder / "model.safetensors.index.json"))
    return false;
  const data::SafetensorsFolder folder(model_folder);
  const ModelConfig untied;
  const auto head = folder.find(model_tensor(untied, TensorRole::kHead).name);
  const auto embedding = folder.find(model_tensor(untied, TensorRole::kEmbedding).name);
  if (!head || !embedding) return false;
  return head->info->dtype != embedding->info->dtype || head->info->shape != embedding->info->shape ||
         !same_bytes(*head, *embedding);
}

}  // namespace nkat::models
