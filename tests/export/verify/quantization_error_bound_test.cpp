#include "export/verify/quantization_error_bound.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "data/quantize/quantize.h"

namespace nkat::exporting {
namespace {

using gguf::GgmlType;

constexpr std::size_t kLength = 512, kRows = 16;
constexpr GgmlType kTypes[] = {GgmlType::kF32,  GgmlType::kF16,  GgmlType::kBF16, GgmlType::kQ8_0, GgmlType::kQ4_0,
                               GgmlType::kQ5_0, GgmlType::kQ5_1, GgmlType::kQ4_K, GgmlType::kQ5_K, GgmlType::kQ6_K};

std::vector<float> decoded(GgmlType type, const std::vector<float>& values) {
  std::vector<std::byte> bytes(*gguf::tensor_bytes(type, values.size()));
  gguf::encode_tensor(type, {.values = values, .length = kLength, .importance = {}}, bytes);
  std::vector<float> back(values.size());
  gguf::decode_rows(type, bytes, back);
  return back;
}

double norm(const std::vector<float>& values) {
  double sum = 0;
  for (const float one : values) sum += static_cast<double>(one) * one;
  return std::sqrt(sum);
}

double distance(const std::vector<float>& left, const std::vector<float>& right) {
  std::vector<float> difference(left.size());
  for (std::size_t i = 0; i < left.size(); ++i) difference[i] = left[i] - right[i];
  return norm(difference);
}

std::vector<float> make(const std::function<double(std::size_t)>& value) {
  std::vector<float> values(kLength * kRows);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(value(i));
  return values;
}

// What each type finds hardest: one weight that fills a block's range and many half a step of its grid beside it.
std::vector<std::vector<float>> hard_tensors() {
  std::vector<std::vector<float>> all;
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  std::cauchy_distribution<double> wide;
  for (const double scale : {1e-8, 1e-6, 1e-4, 0.02, 1.0}) {
    all.push_back(make([&](std::size_t) { return scale * normal(random); }));
    all.push_back(make([&](std::size_t) { return scale * std::clamp(wide(random), -1e3, 1e3); }));
    all.push_back(make([&](std::size_t) { return scale; }));
    for (const double steps : {7.0, 8.0, 15.0, 16.0, 31.0, 32.0, 127.0}) {
      for (const std::size_t every : {16U, 32U, 256U}) {
        all.push_back(
            make([&](std::size_t i) { return scale * (i % every == 5 ? 1 : (i % 2 == 0 ? 0.499 : -0.499) / steps); }));
      }
    }
  }
  return all;
}

TEST(RoundingLimit, IsPassedByNothingThatWasOnlyRounded) {
  for (const std::vector<float>& values : hard_tensors()) {
    for (const GgmlType type : kTypes) {
      const double found = distance(decoded(type, values), values);
      EXPECT_LE(found, quantization_error_bound(type, norm(values), values.size()))
          << gguf::traits(type).name << ", values like " << values[0] << ", " << values[1];
    }
  }
}

TEST(RoundingLimit, IsPassedByZerosAndAnotherTensor) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal(0, 0.02);
  const std::vector<float> values = make([&](std::size_t) { return normal(random); });
  const std::vector<float> other = make([&](std::size_t) { return normal(random); });
  for (const GgmlType type : kTypes) {
    const double limit = quantization_error_bound(type, norm(values), values.size());
    EXPECT_GT(norm(values), limit) << gguf::traits(type).name;
    EXPECT_GT(distance(decoded(type, other), values), limit) << gguf::traits(type).name;
  }
}

}  // namespace
}  // namespace nkat::exporting
