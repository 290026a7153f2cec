// Writes a model's logits for the system tests, which compare them with transformers.
//
//   nkat_dump_logits MODEL_FOLDER fp32|bf16|fp64 packed|cached TOKENS_FILE OUTPUT_FILE
//
// TOKENS_FILE: a line of token ids a sample. packed: all samples in one pass; cached: one token a step through the
// key-value cache. OUTPUT_FILE: (T, V) float64, row-major, samples end to end.
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "models/decoder.h"
#include "models/generation/batch_decoder.h"
#include "models/model_source.h"
#include "tests/support/program.h"

namespace {

using Samples = std::vector<std::vector<std::int32_t>>;

at::ScalarType parse_type(const std::string& text) {
  if (text == "fp32") return at::kFloat;
  if (text == "bf16") return at::kBFloat16;
  if (text == "fp64") return at::kDouble;
  throw std::runtime_error("the type must be fp32, bf16 or fp64, found " + text);
}

Samples read_samples(const std::string& path) {
  std::ifstream file(path);
  Samples samples;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    samples.emplace_back(std::istream_iterator<std::int32_t>(words), std::istream_iterator<std::int32_t>());
  }
  return samples;
}

at::Tensor packed_logits(const nkat::models::Decoder& decoder, const Samples& samples) {
  nkat::models::PackedBatch batch;
  std::vector<std::int64_t> tokens;
  for (const auto& sample : samples) {
    tokens.insert(tokens.end(), sample.begin(), sample.end());
    batch.lengths.push_back(static_cast<std::int64_t>(sample.size()));
  }
  batch.tokens = at::tensor(tokens, at::kLong);
  return decoder.logits(decoder.hidden(batch, {}));
}

at::Tensor cached_logits(const nkat::models::Decoder& decoder, const Samples& samples) {
  std::vector<at::Tensor> rows;
  for (const auto& sample : samples) {
    nkat::models::SequenceDecoder sequence(decoder, {});
    for (std::size_t length = 1; length <= sample.size(); ++length) {
      rows.push_back(sequence.next_logits({sample.begin(), sample.begin() + static_cast<std::ptrdiff_t>(length)}));
    }
  }
  return at::stack(rows);
}

int run(int argc, char** argv) {
  if (argc != 6) throw std::runtime_error("five arguments were expected; see the head of the source");
  const at::NoGradGuard no_grad;
  const std::string folder = argv[1], way = argv[3];
  const nkat::models::ModelConfig config = nkat::models::open_model_config(folder);
  const nkat::models::Decoder decoder(config,
                                      nkat::models::load_weights(folder, config, {.dtype = parse_type(argv[2])}));
  const Samples samples = read_samples(argv[4]);
  const at::Tensor logits = (way == "cached" ? cached_logits(decoder, samples) : packed_logits(decoder, samples))
                                .to(at::kDouble)
                                .contiguous();
  std::ofstream(argv[5], std::ios::binary)
      .write(static_cast<const char*>(logits.const_data_ptr()), static_cast<std::streamsize>(logits.nbytes()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return nkat::testing::run_program("nkat_dump_logits", [&] { return run(argc, argv); });
}
