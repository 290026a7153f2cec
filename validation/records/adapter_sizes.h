// The sizes that an adapter folder's adapter_config.json states, for reading an adapter without its model.
#pragma once

#include <cstdint>

#include "core/file.h"

namespace nkat::validation {

struct AdapterSizes {
  std::int64_t blocks = 0;       // N of each layer
  std::int64_t first_layer = 0;  // layers [first_layer, last_layer] have an adapter
  std::int64_t last_layer = 0;

  std::int64_t layers() const { return last_layer - first_layer + 1; }
};

// FormatError naming the file and key if it is no NKAT-SO8T adapter of a version and size that this release knows.
AdapterSizes read_adapter_sizes(const fs::path& adapter_folder);

}  // namespace nkat::validation
