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

std::string byte_piece(int byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[static_cast<std::size_t>(byte / 16)] +
         kDigits[static_cast<std::size_t>(byte % 16)] + ">";
}

void write_tokenizer_json_seeds(const fs::path& folder) {
  const std::string added = R"({"id":8,"content":"<|end|>","special":true,"rstrip":true,"lstrip":true},)"
                            R"({"id":9,"content":"abc","normalized":true,"single_word":true})";
  write(folder / "byte-level",
        R"({"added_tokens":[)" + added +
            R"(],"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[)"
            R"({"type":"Split","pattern":{"Regex":"(?i:'s)|\\p{L}+|\\s+(?!\\S)|[^\\s&&[^a]]{1,3}"},)"
            R"("behavior":"Removed","invert":true},{"type":"Digits","individual_digits":true},)"
            R"({"type":"ByteLevel","add_prefix_space":true,"use_regex":true}]},"post_processor":)"
            R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},{"Sequence":{"id":"A"}}],)"
            R"("special_tokens":{"x":{"ids":[8]}}},"decoder":{"type":"ByteLevel"},"model":{"type":"BPE",)"
            R"("ignore_merges":true,"vocab":{"a":0,"b":1,"c":2,"\u0120":3,"ab":4,"\u0120ab":5,"1":6,"aab":7},)"
            R"("merges":["a b",["\u0120","ab"],"a ab"]}})");
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += "\"" + byte_piece(byte) + "\":" + std::to_string(10 + byte) + ",";
  write(folder / "byte-fallback",
        R"({"added_tokens":[)" + added +
            R"(],"pre_tokenizer":{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first","split":true},)"
            R"("model":{"byte_fallback":true,"unk_token":"<unk>","vocab":{"<unk>":0,)" +
            bytes + R"("a":1,"b":2,"\u2581":3,"ab":4,"\u2581a":5},"merges":["a b","\u2581 a"]}})");
}

std::string raw_texts(const std::vector<std::string>& texts) {
  std::string bytes;
  for (const std::string& text : texts) bytes += raw_text(text);
  return raw_array(8, texts.size(), bytes);
}

void write_vocabulary_seeds(const fs::path& folder) {
  const auto key = [](const char* name) { return std::string("tokenizer.ggml.") + name; };
  const std::vector<std::string> merged = {"a", "b", "c", "\u0120", "ab", "\u0120ab", "", "<|end|>"};
  for (const char* pre : {"default", "llama-bpe", "smollm", "gpt-4o", "deepseek-llm"}) {
    RawGguf file{.tensors = {}, .data = ""};
    std::string types;
    for (const std::int32_t type : {1, 1, 1, 1, 1, 1, 5, 3}) types += raw(type);
    file.pairs = {raw_pair(key("model"), 8, raw_text("gpt2")),
                  raw_pair(key("pre"), 8, raw_text(pre)),
                  raw_pair(key("tokens"), 9, raw_texts(merged)),
                  raw_pair(key("token_type"), 9, raw_array(5, 8, types)),
                  raw_pair(key("merges"), 9, raw_texts({"a b", "\u0120 ab"})),
                  raw_pair(key("add_bos_token"), 7, std::string(1, '\1')),
                  raw_pair(key("bos_token_id"), 4, raw(std::uint32_t{7}))};
    write(folder / pre, file.bytes());
  }
  RawGguf file{.tensors = {}, .data = ""};
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>", "a", "b", "ab", "\u2581", "\u2581ab"};
  std::string scores;
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(byte_piece(byte));
  for (std::size_t i = 0; i < tokens.size(); ++i) scores += raw(-static_cast<float>(i));
  file.pairs = {raw_pair("general.name", 8, raw_text("Phi-3")), raw_pair(key("model"), 8, raw_text("llama")),
                raw_pair(key("tokens"), 9, raw_texts(tokens)),
                raw_pair(key("scores"), 9, raw_array(6, tokens.size(), scores)),
                raw_pair(key("add_space_prefix"), 7, std::string(1, '\0'))};
  write(folder / "llama", file.bytes());
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
  write_tokenizer_json_seeds(folder / "tokenizer_json");
  write_vocabulary_seeds(folder / "vocabulary");
  write(folder / "tokenizer" / "sound", tiny_model());
  write(folder / "tokenizer" / "settings", proto_piece("<unk>", 0, 2) + tiny_trainer() + tiny_normalizer());
  return 0;
}
