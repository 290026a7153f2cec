#include "core/files/base64.h"

#include <openssl/evp.h>

#include "core/error.h"

namespace nkat {

std::string base64(std::string_view bytes) {
  constexpr std::size_t kMost = 1U << 30;  // OpenSSL counts in int
  NKAT_INVARIANT(bytes.size() <= kMost);
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // with the NUL that OpenSSL adds
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  text.pop_back();
  return text;
}

}  // namespace nkat
