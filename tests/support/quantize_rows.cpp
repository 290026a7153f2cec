// Encodes and decodes rows for the system tests, which compare them with libggml, and times the encoders.
//
//   nkat_quantize_rows encode TYPE ROW_LENGTH INSTRUCTIONS INPUT OUTPUT [IMPORTANCE]
//   nkat_quantize_rows decode TYPE INSTRUCTIONS INPUT OUTPUT
//   nkat_quantize_rows time TYPE ROW_LENGTH INSTRUCTIONS INPUT [IMPORTANCE]
//
// INSTRUCTIONS: plain, avx2, best (one thread) or threads (all of them). INPUT, IMPORTANCE and what is decoded are
// float32. encode stores row by row; a row that is refused is left out as zeros, and its error is a line
// "ROW<tab>message" on stdout. time encodes once for each line on stdin and answers with the seconds it took.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "data/quantize/quantize.h"

namespace {

using nkat::gguf::GgmlType;
using nkat::gguf::Instructions;
using nkat::gguf::Rows;

std::vector<char> read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + " can't be read");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<float> read_floats(const std::string& path) {
  const std::vector<char> bytes = read_bytes(path);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

void write_bytes(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

GgmlType parse_type(const std::string& text) {
  const auto type = nkat::gguf::parse_ggml_type(text);
  if (!type) throw std::runtime_error(text + " is no type of ggml");
  return *type;
}

Instructions parse_instructions(const std::string& text) {
  if (text == "plain") return Instructions::kPlain;
  if (text == "avx2") return Instructions::kAvx2;
  return nkat::gguf::best_instructions();
}

// The words of the command line that encode and time share.
struct Job {
  GgmlType type;
  std::int64_t length = 0;
  std::string instructions;
  std::vector<float> values, importance;

  Rows rows() const { return {values, length, importance}; }
  std::vector<std::byte> room() const {
    return std::vector<std::byte>(nkat::gguf::tensor_bytes(type, values.size()).value());
  }
  void run(std::span<std::byte> out) const {
    if (instructions == "threads") return nkat::gguf::encode_tensor(type, rows(), out);
    nkat::gguf::encode_rows(type, rows(), out, parse_instructions(instructions));
  }
};

void encode(const Job& job, const std::string& output) {
  std::vector<std::byte> out = job.room();
  const auto length = static_cast<std::size_t>(job.length);
  const std::size_t count = job.values.size() / length, row_bytes = out.size() / std::max<std::size_t>(count, 1);
  for (std::size_t row = 0; row < count; ++row) {
    const std::span<std::byte> to = std::span(out).subspan(row * row_bytes, row_bytes);
    const Rows one = {std::span(job.values).subspan(row * length, length), job.length, job.importance};
    try {
      nkat::gguf::encode_rows(job.type, one, to, parse_instructions(job.instructions));
    } catch (const nkat::FormatError& error) {
      std::ranges::fill(to, std::byte{});
      std::cout << row << '\t' << error.what() << '\n';
    }
  }
  if (job.instructions == "threads") job.run(out);
  write_bytes(output, out);
}

void time_encoder(const Job& job) {
  std::vector<std::byte> out = job.room();
  for (std::string line; std::getline(std::cin, line);) {
    const auto begin = std::chrono::steady_clock::now();
    job.run(out);
    std::cout << std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() << std::endl;
  }
}

void decode(const std::vector<std::string>& words) {
  const GgmlType type = parse_type(words.at(1));
  const std::vector<char> bytes = read_bytes(words.at(3));
  const nkat::gguf::GgmlTypeTraits& traits = nkat::gguf::traits(type);
  std::vector<float> values(bytes.size() / traits.block_bytes * traits.block_elements);
  nkat::gguf::decode_rows(type, std::as_bytes(std::span(bytes)), values, parse_instructions(words.at(2)));
  write_bytes(words.at(4), std::as_bytes(std::span(values)));
}

void run(const std::vector<std::string>& words) {
  if (words.at(0) == "decode") return decode(words);
  const bool timing = words.at(0) == "time";
  const std::size_t importance = timing ? 5 : 6;
  const Job job = {parse_type(words.at(1)), std::stoll(words.at(2)), words.at(3), read_floats(words.at(4)),
                   words.size() > importance ? read_floats(words[importance]) : std::vector<float>()};
  if (timing) return time_encoder(job);
  encode(job, words.at(5));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::fputs(fmt::format("nkat_quantize_rows: {}\n", error.what()).c_str(), stderr);
    return 1;
  }
}
