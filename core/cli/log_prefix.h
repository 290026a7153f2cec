// Who speaks: put before every message of this process, for runs of several processes that share a terminal.
#pragma once

#include <string>

namespace nkat::log {

void set_prefix(const std::string& prefix);

}  // namespace nkat::log
