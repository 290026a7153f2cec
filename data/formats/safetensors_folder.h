// The weights of a model folder: model.safetensors, or the shards that model.safetensors.index.json lists. A shard's
// name must be a plain file name; every listed tensor must be in its shard and in no other.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/formats/safetensors.h"

namespace nkat::data {

class SafetensorsFolder {
 public:
  explicit SafetensorsFolder(const fs::path& model_folder);

  struct Located {
    const SafetensorsFile* file = nullptr;
    const TensorInfo* info = nullptr;
  };
  std::vector<std::string> names() const;  // sorted
  std::optional<Located> find(std::string_view name) const;
  const std::vector<fs::path>& files() const { return paths_; }

 private:
  void open_shards(const fs::path& index_path);
  void add(const fs::path& path);

  std::vector<fs::path> paths_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Located, std::less<>> tensors_;
};

}  // namespace nkat::data
