#include "models/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "models/tensor_table.h"

namespace nkat::models {
namespace {

using gguf::GgufValue;

constexpr std::uint64_t kLargestSize = std::uint64_t{1} << 24;
constexpr std::uint64_t kMostLayers = 512;

class Reader {
 public:
  explicit Reader(const gguf::GgufFile& file) : file_(file), metadata_(file.metadata()) {}

  void require(bool condition, const std::string& what, const std::string& wanted, const std::string& found) const {
    if (!condition) throw FormatError(fmt::format("{}: {}: {}", file_.path().string(), what, expected(wanted, found)));
  }
  bool has(const std::string& key) const { return metadata_.find(key) != nullptr; }

  std::int64_t size(const std::string& key, std::uint64_t most = kLargestSize) const {
    return in_range(key, metadata_.number<std::uint32_t>(key), most);
  }
  std::int64_t size_or(const std::string& key, std::int64_t otherwise) const {
    return has(key) ? size(key) : otherwise;
  }
  // A number, or a list that holds the same one for every layer.
  std::int64_t uniform_size(const std::string& key, std::int64_t layers) const {
    const GgufValue* value = metadata_.find(key);
    const bool unsigned_list = value != nullptr && value->is_array_of<std::uint32_t>();
    if (!unsigned_list && (value == nullptr || !value->is_array_of<std::int32_t>())) return size(key);
    require(value->count() == static_cast<std::uint64_t>(layers), key, fmt::format("{} numbers, one per layer", layers),
            fmt::format("{}", value->count()));
    const auto first = value->element<std::uint32_t>();
    for (std::size_t i = 1; i < value->count(); ++i)
      require(value->element<std::uint32_t>(i) == first, key, "the same number in every layer", value->preview(60));
    return in_range(key, first, kLargestSize);
  }
  double positive(const std::string& key) const {
    const double value = metadata_.number<float>(key);
    require(std::isfinite(value) && value > 0, key, "a number above 0", fmt::format("{}", value));
    return value;
  }
  double positive_or(const std::string& key, double otherwise) const { return has(key) ? positive(key) : otherwise; }
  std::optional<std::int64_t> token(const std::string& key, std::int64_t vocab_size) const {
    if (!has(key)) return std::nullopt;
    const std::int64_t id = metadata_.number<std::uint32_t>(key);
    require(id < vocab_size, key, fmt::format("a token below {}", vocab_size), fmt::format("{}", id));
    return id;
  }
  // Of a per-token list, if there is one.
  void require_count(const std::string& key, std::int64_t vocab_size, std::uint64_t count) const {
    require(count == static_cast<std::uint64_t>(vocab_size), key,
            fmt::format("{} elements, one per row of the embedding", vocab_size), fmt::format("{}", count));
  }
  std::vector<double> factors(const char* name, std::int64_t rotary_dim) const {
    const gguf::GgufTensor* tensor = file_.find(name);
    if (tensor == nullptr) return {};
    const auto count = static_cast<std::uint64_t>(rotary_dim / 2);
    require(tensor->type == gguf::GgmlType::kF32 && tensor->elements() == count, name,
            fmt::format("{} f32 numbers (half the rotary dimension)", count),
            fmt::format("{} {}", tensor->elements(), gguf::traits(tensor->type).name));
    std::vector<float> values(count);
    std::memcpy(values.data(), file_.bytes(*tensor).data(), tensor->bytes);
    for (const float value : values)
      require(std::isfinite(value) && value > 0, name, "numbers above 0", fmt::format("{}", value));
    return {values.begin(), values.end()};
  }
  const gguf::GgufMetadata& metadata() const { return metadata_; }
  const gguf::GgufFile& file() const { return file_; }

 private:
  std::int64_t in_range(const std::string& key, std::uint64_t value, std::uint64_t most) const {
    require(value >= 1 && value <= most, key, fmt::format("a number from 1 to {}", most), fmt::format("{}", value));
    return static_cast<std::int64_t>(value);
  }

  const gguf::GgufFile& file_;
  const gguf::GgufMetadata& metadata_;
};

const FamilyTraits& read_family(const Reader& reader) {
  const std::string architecture = reader.metadata().string("general.architecture");
  const auto families = known_families();
  const auto found =
      std::ranges::find_if(families, [&](const FamilyTraits& one) { return architecture == one.gguf_architecture; });
  reader.require(found != families.end(), "general.architecture", "\"phi3\", \"llama\", \"qwen2\" or \"qwen3\"",
                 fmt::format("\"{}\"", architecture));
  if (reader.has("general.type")) {
    const std::string type = reader.metadata().string("general.type");
    reader.require(type == "model", "general.type", "\"model\"", fmt::format("\"{}\"", type));
  }
  const GgufValue* parts = reader.metadata().find("split.count");
  reader.require(parts == nullptr || parts->preview(8) == "0" || parts->preview(8) == "1", "split.count",
                 "a file in one part (`llama-gguf-split --merge` joins them)",
                 parts == nullptr ? "" : parts->preview(8) + " parts");
  const std::string experts = architecture + ".expert_count";
  const auto count = reader.metadata().number_or<std::uint32_t>(experts, 0);
  reader.require(count == 0, experts, "a dense model", fmt::format("{} experts", count));
  return *found;
}

void read_heads(const Reader& reader, const std::string& prefix, ModelConfig& config) {
  const std::string heads = prefix + "attention.head_count", kv = prefix + "attention.head_count_kv";
  const std::string lengths[] = {prefix + "attention.key_length", prefix + "attention.value_length"};
  config.num_heads = reader.uniform_size(heads, config.num_layers);
  config.num_key_value_heads = reader.has(kv) ? reader.uniform_size(kv, config.num_layers) : config.num_heads;
  const bool has_head_size = prefix != "phi3." && prefix != "qwen2." && reader.has(lengths[0]);
  reader.require(has_head_size || config.hidden_size % config.num_heads == 0, heads,
                 fmt::format("a divisor of {}embedding_length ({})", prefix, config.hidden_size),
                 fmt::format("{}", config.num_heads));
  reader.require(config.num_heads % config.num_key_value_heads == 0, kv,
                 fmt::format("a divisor of {} ({})", heads, config.num_heads),
                 fmt::format("{}", config.num_key_value_heads));
  config.head_dim = has_head_size ? reader.size(lengths[0]) : config.hidden_size / config.num_heads;
  config.explicit_head_dim = reader.has(lengths[0]);
  for (const std::string& key : lengths) {
    const std::int64_t length = reader.size_or(key, config.head_dim);
    reader.require(
        length == config.head_dim, key,
        fmt::format("{} ({})", config.head_dim, has_head_size ? lengths[0] : "embedding_length / head_count"),
        fmt::format("{}", length));
  }
}

// Whatever is neither phi3's nor a list of factors.
void read_scaling(const Reader& reader, const std::string& prefix, ModelConfig& config) {
  const std::string type_key = prefix + "rope.scaling.type", attention_key = prefix + "rope.scaling.attn_factor";
  const std::string type = reader.has(type_key) ? reader.metadata().string(type_key) : "linear";
  reader.require(type == "none" || type == "linear", type_key, "none or linear", type);
  const double attention = reader.positive_or(attention_key, 1);
  reader.require(attention == 1, attention_key, "1", fmt::format("{}", attention));
  const std::string factor_key = prefix + "rope.scaling.factor", older_key = prefix + "rope.scale_linear";
  const double factor = reader.positive_or(reader.has(factor_key) ? factor_key : older_key, 1);
  if (type == "none" || factor == 1) return;
  config.rope_scaling = {.kind = layers::RopeScaling::Kind::kLinear, .factor = factor};
}

// phi3's frequencies follow from its lists of factors alone; llama.cpp would scale them by these keys too.
void require_no_other_scaling(const Reader& reader) {
  const std::string type_key = "phi3.rope.scaling.type", factor_key = "phi3.rope.scaling.factor";
  const std::string type = reader.has(type_key) ? reader.metadata().string(type_key) : "linear";
  if (type == "none") return;
  reader.require(type == "linear" || type == "longrope", type_key, "none, linear or longrope", type);
  const double factor = reader.positive_or(factor_key, 1);
  reader.require(factor == 1, factor_key, "1", fmt::format("{}", factor));
}

void read_positions(const Reader& reader, const std::string& prefix, ModelConfig& config) {
  const bool is_phi3 = config.family == Family::kPhi3;
  const std::string rotary = prefix + "rope.dimension_count";
  config.rotary_dim = reader.size_or(rotary, config.head_dim);
  reader.require(config.rotary_dim % 2 == 0 && config.rotary_dim <= config.head_dim, rotary,
                 fmt::format("an even number up to {}", config.head_dim), fmt::format("{}", config.rotary_dim));
  reader.require(is_phi3 || config.rotary_dim == config.head_dim, rotary, fmt::format("{}", config.head_dim),
                 fmt::format("{}", config.rotary_dim));
  config.rope_theta = reader.positive_or(prefix + "rope.freq_base", 10000);
  const std::int64_t context = reader.size(prefix + "context_length");
  config.max_position_embeddings = config.original_max_position_embeddings = context;
  if (!is_phi3) {
    config.short_factor = reader.factors(kGgufRopeFactors, config.rotary_dim);
    return read_scaling(reader, prefix, config);
  }
  require_no_other_scaling(reader);
  config.original_max_position_embeddings = reader.size_or("phi3.rope.scaling.original_context_length", context);
  config.max_position_embeddings = std::max(context, config.original_max_position_embeddings);
  const auto window = reader.metadata().number_or<std::uint32_t>("phi3.attention.sliding_window", 0);
  if (window > 0) config.sliding_window = window;
  config.long_factor = reader.factors(kGgufLongFactors, config.rotary_dim);
  config.short_factor = reader.factors(kGgufShortFactors, config.rotary_dim);
  reader.require(config.long_factor.size() == config.short_factor.size(), "rope_factors", "both lists or none",
                 config.long_factor.empty() ? "rope_factors_short alone" : "rope_factors_long alone");
  config.attention_factor = reader.positive_or("phi3.rope.scaling.attn_factor", 1);
}

// What the tensors of the first layer tell.
void read_biases_and_norms(const gguf::GgufFile& file, ModelConfig& config) {
  config.qkv_bias = file.find("blk.0.attn_q.bias") != nullptr;
  config.output_bias = file.find("blk.0.attn_output.bias") != nullptr;
  config.mlp_bias = file.find("blk.0.ffn_down.bias") != nullptr;
  config.head_norms = config.family == Family::kQwen3;
}

void read_tokens(const Reader& reader, ModelConfig& config) {
  const gguf::GgufMetadata& metadata = reader.metadata();
  const std::string tokens = "tokenizer.ggml.tokens", scores = "tokenizer.ggml.scores",
                    types = "tokenizer.ggml.token_type";
  if (reader.has(tokens))
    reader.require_count(tokens, config.vocab_size, metadata.strings(tokens, kLargestSize).size());
  if (reader.has(scores)) reader.require_count(scores, config.vocab_size, metadata.numbers<float>(scores).size());
  if (reader.has(types)) reader.require_count(types, config.vocab_size, metadata.numbers<std::int32_t>(types).size());
  const auto token = [&](const char* name) {
    return reader.token(fmt::format("tokenizer.ggml.{}_token_id", name), config.vocab_size);
  };
  std::set<std::int64_t> end_tokens;
  for (const char* name : {"eos", "eot"}) {
    if (const auto id = token(name)) end_tokens.insert(*id);
  }
  config.end_tokens.assign(end_tokens.begin(), end_tokens.end());
  config.bos_token = token("bos");
  config.pad_token = token("padding");
  token("unknown");
}

}  // namespace

ModelConfig model_config_from(const gguf::GgufFile& file) {
  const Reader reader(file);
  ModelConfig config;
  const FamilyTraits& family = read_family(reader);
  const std::string prefix = std::string(family.gguf_architecture) + ".";
  config.family = family.family;
  config.hidden_size = reader.size(prefix + "embedding_length");
  config.num_layers = reader.size(prefix + "block_count", kMostLayers);
  config.intermediate_size = reader.uniform_size(prefix + "feed_forward_length", config.num_layers);
  config.rms_norm_eps = reader.positive(prefix + "attention.layer_norm_rms_epsilon");
  read_heads(reader, prefix, config);
  read_positions(reader, prefix, config);
  if (config.family != Family::kPhi3) read_biases_and_norms(file, config);
  const std::string table = model_tensor(config, TensorRole::kEmbedding).gguf_name;
  const gguf::GgufTensor* embedding = file.find(table);
  const std::uint64_t rows = embedding == nullptr ? 0 : embedding->rows();
  reader.require(rows >= 1 && rows <= kLargestSize, table, fmt::format("1 to {} rows", kLargestSize),
                 embedding == nullptr ? "no such tensor" : fmt::format("{}", rows));
  config.vocab_size = static_cast<std::int64_t>(rows);
  config.tie_word_embeddings = file.find(model_tensor(config, TensorRole::kHead).gguf_name) == nullptr;
  read_tokens(reader, config);
  return config;
}

}  // namespace nkat::models
