// What a quantized base does to the adapter's gradients and to the loss, for the system tests and for measuring.
//
//   nkat_base_gradients MODEL_FOLDER ADAPTER_FOLDER DATA.jsonl MAX_LENGTH fp32|bf16 BASE...
//
// BASE: safe, balanced, aggressive, or a form for each of qkv, o, gate_up, down: "int8.1.2,int8.1.1,nf4,dense" (int8.
// terms of the input. terms of the gradient). Prints one JSON object a BASE: the loss, and by layer the cosine of the
// gradients of M and W to those of the dense base in the same type.
#include <iostream>
#include <sstream>
#include <stdexcept>

#include <ATen/ops/cosine_similarity.h>
#include <nlohmann/json.hpp>

#include "data/datasets/dataset.h"
#include "models/model_folder.h"
#include "models/packed_batch.h"
#include "tests/support/program.h"
#include "train/adapter_gradients.h"
#include "train/micro_batch.h"

namespace {

using namespace nkat;

models::WeightFormat parse_form(const std::string& text) {
  using Storage = models::WeightFormat::Storage;
  if (text == "dense") return {};
  if (text == "nf4") return {.storage = Storage::kNf4};
  if (text.size() == 8 && text.starts_with("int8.")) {
    return {.storage = Storage::kInt8, .input_passes = text[5] - '0', .gradient_passes = text[7] - '0'};
  }
  throw std::runtime_error("a form must be dense, nf4 or int8.N.N, found " + text);
}

models::LayerFormats parse_base(const std::string& text) {
  if (const auto base = value_of(text, models::kBaseFormatNames)) return models::formats_of(*base);
  std::istringstream words(text);
  std::vector<models::WeightFormat> forms;
  for (std::string word; std::getline(words, word, ',');) forms.push_back(parse_form(word));
  if (forms.size() != 4) throw std::runtime_error("four forms were expected, found " + text);
  return {forms[0], forms[1], forms[2], forms[3]};
}

struct Gradients {
  double loss = 0;
  std::vector<at::Tensor> blocks, weights;  // by layer with an adapter
};

Gradients measure(const models::Decoder& decoder, const models::Adapter& adapter, const data::Dataset& data) {
  train::AdapterGradients step(adapter, at::kCPU);
  Gradients out;
  std::int64_t targets = 0;
  for (std::int64_t i = 0; i < data.size(); ++i) targets += models::pack_samples(data, std::vector{i}).target_count();
  for (std::int64_t i = 0; i < data.size(); i += 8) {
    std::vector<std::int64_t> indices;
    for (std::int64_t k = i; k < std::min(i + 8, data.size()); ++k) indices.push_back(k);
    out.loss += train::run_micro_batch(decoder, step.matrices(), models::pack_samples(data, indices),
                                       1.0 / static_cast<double>(targets), {});
  }
  out.loss /= static_cast<double>(targets);
  out.blocks = step.collect_gradients();
  const at::Tensor weight = step.backward(out.blocks, 0.0, train::Control::kNone).gradient.weight;
  for (std::int64_t i = 0; i < adapter.count(); ++i) out.weights.push_back(weight[i]);
  return out;
}

std::vector<double> cosines(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  std::vector<double> out;
  for (std::size_t i = 0; i < a.size(); ++i) {
    out.push_back(
        at::cosine_similarity(a[i].to(at::kDouble).flatten(), b[i].to(at::kDouble).flatten(), 0).item<double>());
  }
  return out;
}

int run(int argc, char** argv) {
  if (argc < 7) throw std::runtime_error("six or more arguments were expected; see the head of the source");
  const std::string folder = argv[1], type = argv[5];
  const models::ModelConfig config = models::read_model_config(folder);
  const models::TextProcessor text = models::load_tokenizer_and_template(folder, config);
  data::DatasetOptions options;
  options.files = {argv[3]};
  options.max_sequence_length = std::stoll(argv[4]);
  options.vocabulary_size = config.vocab_size;
  const data::Dataset data(options, text.tokenizer, text.chat_template);
  const models::Adapter adapter = models::load_adapter(argv[2], config).adapter;
  const auto gradients = [&](const models::LayerFormats& forms) {
    const models::WeightsOptions wanted{.dtype = type == "fp32" ? at::kFloat : at::kBFloat16, .forms = forms};
    return measure(models::open_decoder(folder, config, wanted), adapter, data);
  };
  const Gradients dense = gradients({});
  for (int i = 6; i < argc; ++i) {
    const Gradients found = gradients(parse_base(argv[i]));
    const nlohmann::ordered_json json = {{"base", argv[i]},
                                         {"loss", found.loss},
                                         {"dense_loss", dense.loss},
                                         {"M", cosines(found.blocks, dense.blocks)},
                                         {"W", cosines(found.weights, dense.weights)}};
    std::cout << json.dump() << std::endl;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return nkat::testing::run_program("nkat_base_gradients", [&] { return run(argc, argv); });
}
