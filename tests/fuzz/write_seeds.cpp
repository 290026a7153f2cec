// write_seeds FOLDER: the files that fuzzing starts from, FOLDER/<target>/<name>. Sound ones, and a few that are not.
#include <fstream>
#include <iostream>

#include "data/formats/safetensors.h"
#include "tests/support/raw_gguf.h"
#include "tests/support/tiny_tokenizer.h"

namespace {

namespace fs = std::filesystem;
using namespace nkat::testing;

void write(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

void write_gguf_seeds(const fs::path& folder) {
  write(folder / "sound", RawGguf{}.bytes());
  write(folder / "version-2", RawGguf{.version = 2}.bytes());
  write(folder / "without-tensors", RawGguf{.tensors = {}, .data = ""}.bytes());
  RawGguf values;
  for (std::uint32_t type = 0; type <= 12; ++type)
    values.pairs.push_back(raw_pair("k" + std::to_string(type), type, std::string(16, '\0')));
  write(folder / "every-type", values.bytes());
  RawGguf aligned{.alignment = 64};
  aligned.pairs.push_back(raw_pair("general.alignment", 4, raw(std::uint32_t{64})));
  aligned.tensors = {raw_tensor("a", {256, 1, 1, 2}, 12, 0)};
  aligned.data = std::string(320, 'x');
  write(folder / "aligned", aligned.bytes());
}

void write_safetensors_seeds(const fs::path& folder) {
  using nkat::data::DType;
  const std::string data(24, 'x');
  const auto bytes = std::as_bytes(std::span(data));
  write(folder / "sound", nkat::data::serialize_safetensors({{"model.weight", DType::kF32, {2, 3}, bytes},
                                                             {"bias", DType::kBF16, {1, 1}, bytes.first(2)},
                                                             {"scalar", DType::kU8, {}, bytes.first(1)}},
                                                            {{"format", "pt"}}));
  write(folder / "empty", nkat::data::serialize_safetensors({}, {}));
}

void write_json_seeds(const fs::path& folder) {
  write(folder / "values", R"({"a":[1,-2,3.5e1,null,true],"b":{"c":"\u3053\ud83e\udd99 t"},"weight_map":{"x":"y"}})");
  write(folder / "header", R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"__metadata__":{"a":"b"}})");
  write(folder / "deep", std::string(70, '[') + std::string(70, ']'));
  write(folder / "list", R"(["\"\\\/\b\f\n\r\t",0.1,1e-7,18446744073709551615,-9223372036854775808])");
}

void write_record_seeds(const fs::path& folder) {
  write(folder / "messages", R"({"system":"s","messages":[{"role":"user","content":[{"type":"text","text":"u"}]},)"
                             R"({"from":"gpt","value":"a","weight":0}],"tools":[{}]})");
  write(folder / "rendered",
        R"({"instruction":"i","history":[["q","r"]],"output":"<|user|>u<|end|><|assistant|>a<|end|>"})");
  write(folder / "list", "[{\"prompt\":\"p\",\"completion\":\"c\"},\n{\"text\":\"t\\\"\"}]\n");
  write(folder / "csv", "\xEF\xBB\xBFid,text\r\n1,\"a\n\"\"b\"\"\"\r\n2,c\r\n");
  write(folder / "semicolons", "instruction;input;output\nu;;a\n");
  write(folder / "document", "{\n  \"data\": [\n    {\"text\": \"a\"}\n  ]\n}\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "one folder was expected\n";
    return 2;
  }
  const fs::path folder = argv[1];
  write_gguf_seeds(folder / "gguf");
  write_safetensors_seeds(folder / "safetensors");
  write_json_seeds(folder / "json");
  write_record_seeds(folder / "records");
  write(folder / "tokenizer" / "sound", tiny_model());
  write(folder / "tokenizer" / "settings", proto_piece("<unk>", 0, 2) + tiny_trainer() + tiny_normalizer());
  return 0;
}
