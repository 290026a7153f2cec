// What a file or folder was found to hold, as text and as JSON: the report of `nkat inspect`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace nkat::data {

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

// Adds to the facts how many tensors, elements and bytes there are, in all and per type.
void add_totals(Inspection& inspection);

std::string to_text(const Inspection& inspection);
nlohmann::ordered_json to_json(const Inspection& inspection);

}  // namespace nkat::data
