// adapter_config.json of an NKAT-SO8T adapter, with the keys that PEFT users expect:
//
//   {"peft_type": "NKAT_SO8T", "version": 1, "base_model_name_or_path", "hidden_size", "num_hidden_layers",
//    "first_adapter_layer", "base_sha256", "base_norms_sha256" (optional)}
#pragma once

#include <cstdint>
#include <string>

#include "data/run/run_layout.h"

namespace nkat::data {

inline constexpr std::uint32_t kAdapterFormatVersion = 1;
inline constexpr const char* kPeftType = "NKAT_SO8T";

// Which base model an adapter was trained on.
struct BaseFingerprint {
  std::string base_model_name_or_path = "";
  std::string base_sha256 = "";        // models/weights/base_fingerprint.h
  std::string base_norms_sha256 = "";  // models/weights/base_fingerprint.h; empty: unknown
};

struct AdapterConfig {
  BaseFingerprint base = {};
  std::int64_t hidden_size = 0;  // a multiple of 8
  std::int64_t num_hidden_layers = 0;
  std::int64_t first_adapter_layer = 0;  // this layer and those above have an adapter

  std::int64_t blocks() const { return hidden_size / 8; }  // 8-channel blocks per layer
  std::int64_t layers() const { return num_hidden_layers - first_adapter_layer; }
};

// From an adapter or checkpoint folder. FormatError naming file and key for another type or impossible size,
// NewerFormatError for a newer version; DataError if the file can't be read.
AdapterConfig read_adapter_config(const fs::path& folder);
std::string adapter_config_text(const AdapterConfig& config);

}  // namespace nkat::data
