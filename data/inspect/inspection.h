// What a file or folder holds, found out by reading and checking it whole: what `nkat inspect` prints.
//
// Known are GGUF files, safetensors files, model folders of them, adapter folders, checkpoint folders, and
// tokenizer.model. What is damaged throws FormatError or DataError (exit 3), naming file, place, required and found.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/files/file.h"

namespace nkat::gguf {

struct InspectedTensor {
  std::string name;
  std::string type;                  // "F32" in safetensors, "q4_K" in GGUF
  std::vector<std::uint64_t> shape;  // as the file has it: GGUF begins with the length of a row
  std::uint64_t bytes = 0;
};

struct Inspection {
  std::string path;
  std::string kind;                                                 // "GGUF file"
  nlohmann::ordered_json facts = nlohmann::ordered_json::object();  // in the order in which they are printed
  std::vector<InspectedTensor> tensors = {};
  std::vector<std::string> checks = {};  // what was checked and holds, one sentence each

  void holds(std::string check);
};

enum class Values { kAsTheyAre, kFinite };  // are all numbers read, and required to be finite?

// Finds out the kind: a folder by its files, a file by its name, else by its first bytes.
Inspection inspect(const fs::path& path, Values values);
// One function a kind.
Inspection inspect_gguf(const fs::path& path, Values values);
Inspection inspect_safetensors(const fs::path& path, Values values);
Inspection inspect_model_folder(const fs::path& folder, Values values);
Inspection inspect_adapter(const fs::path& folder, Values values);
Inspection inspect_checkpoint(const fs::path& folder, Values values);
Inspection inspect_tokenizer(const fs::path& path);

// Adds to the facts how many tensors, elements and bytes there are, in all and a type.
void add_totals(Inspection& inspection);

std::string to_text(const Inspection& inspection);
nlohmann::ordered_json to_json(const Inspection& inspection);

}  // namespace nkat::gguf
