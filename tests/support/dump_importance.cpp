// Writes the importance of a model's columns for the system tests, which compare it with PyTorch's moments.
//
//   nkat_dump_importance MODEL_FOLDER ADAPTER_FOLDER DATA_FILE TOKENS OUTPUT_FOLDER
//
// OUTPUT_FOLDER gets a file of float32 for each tensor that has an importance, by its name in a GGUF file.
#include <fstream>
#include <stdexcept>

#include "export/imatrix/importance.h"
#include "export/merge/export_source.h"
#include "tests/support/program.h"

namespace {

using namespace nkat::exporting;

int run(int argc, char** argv) {
  if (argc != 6) throw std::runtime_error("five arguments were expected; see the head of the source");
  ExportOptions options;
  options.model_path = argv[1];
  options.adapter = argv[2];
  const ExportSource source = open_source(options);
  const Importance importance = measure_importance({.files = {argv[3]}, .tokens = std::stoll(argv[4])},
                                                   options.model_path, source.config, source.weights);
  for (const nkat::models::TensorSpec& tensor : nkat::models::model_tensors(source.config)) {
    const auto bytes = std::as_bytes(importance.of(tensor));
    if (bytes.empty()) continue;
    std::ofstream(nkat::fs::path(argv[5]) / tensor.gguf_name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return nkat::testing::run_program("nkat_dump_importance", [&] { return run(argc, argv); });
}
