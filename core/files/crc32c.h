// CRC-32C (Castagnoli; RFC 3720, appendix B.4): the check value of records in TensorBoard's event files.
#pragma once

#include <cstdint>
#include <string_view>

namespace nkat {

// Polynomial 0x1EDC6F41, bits reflected, initial value and final XOR all ones.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace nkat
