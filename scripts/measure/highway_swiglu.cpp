// Compares the two spellings of the SwiGLU row, ours with and without -fno-trapping-math beside Google Highway's: bits,
// then time. scripts/measure/highway.sh compiles and runs it.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <type_traits>
#include <utility>
#include <vector>

#define DECLARE_SPELLING(name)                                                                          \
  namespace name {                                                                                      \
  void swiglu(const float* gate_up, float* out, std::int64_t rows, std::int64_t width);                 \
  void swiglu(const std::uint16_t* gate_up, std::uint16_t* out, std::int64_t rows, std::int64_t width); \
  }
DECLARE_SPELLING(highway)
DECLARE_SPELLING(ours_plain)
DECLARE_SPELLING(ours_flagged)
namespace highway {
const char* chosen_level();
const char* version();
}  // namespace highway

namespace {

constexpr std::int64_t kRows = 256, kWidth = 8192, kResults = kRows * kWidth;
constexpr std::uint64_t kStep = 61, kFloatInputs = ((std::uint64_t{1} << 32) + kStep - 1) / kStep;
constexpr int kRounds = 40;

template <typename Scalar>
struct Outputs {
  std::vector<Scalar> highway = std::vector<Scalar>(kResults), plain = highway, flagged = highway;
};

// Spreads consecutive numbers over all bits.
std::uint32_t mixed(std::uint64_t number) {
  return static_cast<std::uint32_t>((number + 1) * 0x9e3779b97f4a7c15u >> 32);
}

// A factor u that makes nothing overflow, 1/2 to 2 in size, of either sign.
void set_factor(std::uint32_t bits, float& u) { u = std::bit_cast<float>((bits & 0x80ffffffu) | 0x3f000000u); }
void set_factor(std::uint32_t bits, std::uint16_t& u) {
  u = static_cast<std::uint16_t>(((bits >> 16) & 0x80ffu) | 0x3f00u);
}

// gate_up (kRows, 2 kWidth) whose gates are gate(first), gate(first + 1), ...
template <typename Scalar, typename Gate>
std::vector<Scalar> inputs(std::uint64_t first, const Gate& gate) {
  std::vector<Scalar> gate_up(2 * kResults);
  for (std::int64_t i = 0; i < kResults; ++i) {
    Scalar* g = &gate_up[static_cast<std::size_t>(i / kWidth * 2 * kWidth + i % kWidth)];
    const std::uint64_t number = first + static_cast<std::uint64_t>(i);
    g[0] = gate(number);
    set_factor(mixed(number), g[kWidth]);
  }
  return gate_up;
}

bool is_nan(float x) { return x != x; }
bool is_nan(std::uint16_t x) { return (x & 0x7fffu) > 0x7f80u; }

struct Differences {
  std::uint64_t results = 0, values = 0, signs_of_nans = 0;
};

template <typename Scalar>
void compare(const std::vector<Scalar>& a, const std::vector<Scalar>& b, std::uint64_t count, Differences& found) {
  using Bits = std::conditional_t<sizeof(Scalar) == 4, std::uint32_t, std::uint16_t>;
  constexpr auto kSign = static_cast<Bits>(1u << (8 * sizeof(Bits) - 1));
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto unlike = static_cast<Bits>(std::bit_cast<Bits>(a[i]) ^ std::bit_cast<Bits>(b[i]));
    if (unlike != 0) ++(is_nan(a[i]) && unlike == kSign ? found.signs_of_nans : found.values);
  }
  found.results += count;
}

template <typename Scalar, typename Gate>
void print_bits(const char* type, std::uint64_t count, const Gate& gate) {
  Outputs<Scalar> out;
  Differences plain, flagged;
  for (std::uint64_t first = 0; first < count; first += kResults) {
    const std::vector<Scalar> gate_up = inputs<Scalar>(first, gate);
    highway::swiglu(gate_up.data(), out.highway.data(), kRows, kWidth);
    ours_plain::swiglu(gate_up.data(), out.plain.data(), kRows, kWidth);
    ours_flagged::swiglu(gate_up.data(), out.flagged.data(), kRows, kWidth);
    const std::uint64_t in_batch = std::min<std::uint64_t>(kResults, count - first);
    compare(out.highway, out.plain, in_batch, plain);
    compare(out.highway, out.flagged, in_batch, flagged);
  }
  for (const auto& [flag, found] : {std::pair("without", plain), std::pair("with", flagged)})
    std::printf("bits, %s, ours %s the flag: of %llu results %llu differ, and the sign of %llu NaNs\n", type, flag,
                static_cast<unsigned long long>(found.results), static_cast<unsigned long long>(found.values),
                static_cast<unsigned long long>(found.signs_of_nans));
}

// Prints the median of the rounds' ratios, and the quartiles.
void print_ratios(const char* type, const char* flag, std::vector<double> ratios) {
  std::sort(ratios.begin(), ratios.end());
  const auto quantile = [&](double share) { return ratios[static_cast<std::size_t>(share * (kRounds - 1) + 0.5)]; };
  std::printf("time, %s: Highway's over ours %s the flag %.2f (quartiles %.2f, %.2f)\n", type, flag, quantile(0.5),
              quantile(0.25), quantile(0.75));
}

template <typename Scalar, typename Gate>
void print_time(const char* type, const Gate& gate) {
  using Spelling = void (*)(const Scalar*, Scalar*, std::int64_t, std::int64_t);
  const Spelling spellings[] = {highway::swiglu, ours_plain::swiglu, ours_flagged::swiglu};
  const std::vector<Scalar> gate_up = inputs<Scalar>(0, gate);
  std::vector<Scalar> out(kResults);
  std::vector<double> plain, flagged;
  for (int round = -1; round < kRounds; ++round) {  // round -1 touches the memory and chooses the processor level
    double ticks[3] = {};
    for (int turn = 0; turn < 3; ++turn) {
      const int one = (turn + round + 1) % 3;     // each comes first in every third round
      const std::clock_t started = std::clock();  // the processor's time, for others run beside it
      spellings[one](gate_up.data(), out.data(), kRows, kWidth);
      ticks[one] = static_cast<double>(std::clock() - started);
    }
    if (round < 0) continue;
    plain.push_back(ticks[0] / ticks[1]);
    flagged.push_back(ticks[0] / ticks[2]);
  }
  print_ratios(type, "without", plain);
  print_ratios(type, "with", flagged);
}

// Gates of -8 to 8 for the time: no NaN nor denormal number, which some processors are slow with.
float usual_gate(std::uint64_t number) { return static_cast<float>(mixed(~number)) * 0x1p-28f - 8; }

}  // namespace

int main() {
  std::printf("Highway: %s, which chose %s; the flag: -fno-trapping-math\n", highway::version(),
              highway::chosen_level());
  print_bits<float>("float32", kFloatInputs, [](std::uint64_t number) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(number * kStep));
  });
  // Every bfloat16 there is, 32 times.
  print_bits<std::uint16_t>("bfloat16", kResults,
                            [](std::uint64_t number) { return static_cast<std::uint16_t>(number); });
  print_time<float>("float32", usual_gate);
  print_time<std::uint16_t>("bfloat16", [](std::uint64_t number) {
    return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(usual_gate(number)) >> 16);
  });
}
