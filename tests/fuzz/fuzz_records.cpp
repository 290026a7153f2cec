// libFuzzer: any bytes as a data file are read to their end in JSONL, as a list or as CSV, each record parsed, or refused
// with an nkat::Error.
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files/file.h"
#include "data/datasets/open_records.h"
#include "data/datasets/record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const nkat::FileDescriptor file(memfd_create("fuzz", 0));
  if (write(file.get(), data, size) != static_cast<ssize_t>(size)) return 0;
  try {
    const auto records = nkat::data::open_records(fmt::format("/proc/self/fd/{}", file.get()));
    while (const auto record = records->next()) {
      try {
        if (record->error.empty()) nkat::data::parse_record(record->text, records->where(*record));
      } catch (const nkat::Error&) {
      }
    }
  } catch (const nkat::Error&) {
  }
  return 0;
}
