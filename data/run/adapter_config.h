// What adapter_config.json says of an NKAT-SO8T adapter, shaped as PEFT users expect (product.md, Files):
//
//   {"peft_type": "NKAT_SO8T", "version": 1, "base_model_name_or_path", "hidden_size", "num_hidden_layers",
//    "first_adapter_layer", "base_sha256", "base_norms_sha256" (files of older releases have none)}
#pragma once

#include <cstdint>
#include <string>

#include "core/files/file.h"

namespace nkat::data {

// Which base an adapter was trained on.
struct BaseFingerprint {
  std::string base_model_name_or_path = "";
  std::string base_sha256 = "";        // models/weights/base_fingerprint.h
  std::string base_norms_sha256 = "";  // models/weights/norm_fingerprint.h; empty: not said
};

struct AdapterConfig {
  BaseFingerprint identity = {};
  std::int64_t hidden_size = 0;  // a multiple of 8
  std::int64_t num_hidden_layers = 0;
  std::int64_t first_adapter_layer = 0;  // it and those above have an adapter

  std::int64_t blocks() const { return hidden_size / 8; }  // of each layer
  std::int64_t layers() const { return num_hidden_layers - first_adapter_layer; }
};

// Of an adapter or checkpoint folder. FormatError naming file and key for another type, version or impossible size;
// DataError if the file can't be read.
AdapterConfig read_adapter_config(const fs::path& folder);
std::string adapter_config_text(const AdapterConfig& config);

}  // namespace nkat::data
