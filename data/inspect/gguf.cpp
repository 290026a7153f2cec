// GGUF files: what they hold, and whether their parts agree with each other.
#include <unordered_set>

#include <fmt/format.h>

#include "core/error.h"
#include "core/signals.h"
#include "core/utf8.h"
#include "data/formats/gguf_reader.h"
#include "data/inspect/inspection.h"
#include "data/inspect/nonfinite.h"

namespace nkat::gguf {
namespace {

constexpr std::uint64_t kLargestVocabulary = 1 << 24;
constexpr std::uint32_t kMostBlocks = 512;
constexpr std::size_t kPreview = 120;

void require(bool condition, const GgufFile& file, const std::string& complaint) {
  if (!condition) throw FormatError(fmt::format("{}: {}", file.path().string(), complaint));
}

// The lists of the vocabulary are of one length, texts are unique (llama.cpp aborts where they are not), ids are
// inside.
void check_vocabulary(const GgufFile& file, Inspection& inspection) {
  const GgufMetadata& metadata = file.metadata();
  if (metadata.find("tokenizer.ggml.tokens") == nullptr) return;
  const std::vector<std::string> tokens = metadata.strings("tokenizer.ggml.tokens", kLargestVocabulary);
  std::unordered_set<std::string_view> texts;
  for (const std::string& text : tokens)
    require(texts.insert(text).second, file, fmt::format("the token '{}' stands twice", ellipsize(text)));
  for (const char* key : {"tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
    const GgufValue* list = metadata.find(key);
    require(list == nullptr || (list->type() == ValueType::kArray && list->count() == tokens.size()), file,
            fmt::format("{}: an array of {} elements was required, as there are tokens, found {}", key, tokens.size(),
                        list == nullptr ? "" : list->type_name()));
  }
  for (const char* name : {"bos", "eos", "eot", "unknown", "padding"}) {
    const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
    const auto id = metadata.number_or<std::uint32_t>(key, 0);
    require(id < tokens.size(), file, fmt::format("{}: an id below {} was required, found {}", key, tokens.size(), id));
  }
  inspection.facts["vocabulary"] = tokens.size();
  inspection.holds("token texts are unique, lists of the vocabulary are of one length, ids are inside");
}

void check_architecture(const GgufFile& file, Inspection& inspection) {
  const GgufMetadata& metadata = file.metadata();
  if (metadata.find("general.architecture") == nullptr) return;
  const std::string architecture = metadata.string("general.architecture");
  inspection.facts["architecture"] = architecture;
  const std::string key = architecture + ".block_count";
  if (metadata.find(key) == nullptr) return;
  const auto blocks = metadata.number<std::uint32_t>(key);
  require(blocks >= 1 && blocks <= kMostBlocks, file,
          fmt::format("{}: 1 to {} was required, found {}", key, kMostBlocks, blocks));
}

void check_values(const GgufFile& file, Inspection& inspection) {
  std::size_t passed_over = 0;
  for (const GgufTensor& tensor : file.tensors()) {
    throw_if_stop_requested();
    const std::string who = fmt::format("{}: tensor '{}'", file.path().string(), tensor.name);
    if (!require_finite(tensor.type, file.bytes(tensor), who)) ++passed_over;
    file.release(tensor);
  }
  inspection.holds(fmt::format("all numbers of {} tensors are finite", file.tensors().size() - passed_over));
  if (passed_over > 0)
    inspection.facts["not_decoded"] = fmt::format("{} tensors of types without a decoder here", passed_over);
}

}  // namespace

Inspection inspect_gguf(const fs::path& path, Values values) {
  const GgufFile file(path);
  Inspection inspection{.path = path.string(), .kind = "GGUF file"};
  inspection.facts["bytes"] = file.size();
  inspection.facts["version"] = file.version();
  inspection.facts["alignment"] = file.alignment();
  inspection.holds("every count, name, type, size and offset; the tensors cover the data exactly");
  check_architecture(file, inspection);
  check_vocabulary(file, inspection);
  if (values == Values::kFinite) check_values(file, inspection);
  for (const GgufTensor& tensor : file.tensors()) {
    inspection.tensors.push_back({.name = tensor.name,
                                  .type = traits(tensor.type).name,
                                  .shape = {tensor.ne.begin(), tensor.ne.begin() + tensor.dimensions},
                                  .bytes = tensor.bytes});
  }
  add_totals(inspection);
  nlohmann::ordered_json pairs = nlohmann::ordered_json::object();
  for (const auto& [key, value] : file.metadata().pairs())
    pairs[key] = fmt::format("{}: {}", value.type_name(), value.preview(kPreview));
  inspection.facts["metadata"] = std::move(pairs);
  return inspection;
}

}  // namespace nkat::gguf
