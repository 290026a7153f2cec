// The program's version, in one place: `nkat --version`, checkpoints and CMake read it here.
#pragma once

namespace nkat {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace nkat
