// Base64 with padding (RFC 4648, section 4), through OpenSSL.
// When to use: bytes inside text, such as a picture in a page. At most 1 GiB.
#pragma once

#include <string>
#include <string_view>

namespace nkat {

std::string base64(std::string_view bytes);

}  // namespace nkat
