// What a call says when it refuses: EXPECT_EQ(message_of<ConfigError>([&] { parse("x"); }), "...").
#pragma once

#include <string>

#include "core/error.h"

namespace nkat::testing {

// The message of the Expected error that the call throws, or "" if it throws nothing. Other exceptions pass, and fail
// the test.
template <class Expected = Error, class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Expected& error) {
    return error.what();
  }
  return "";
}

}  // namespace nkat::testing
