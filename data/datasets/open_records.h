// A data file's records, whatever of the known formats it is in: JSON Lines, one JSON list, or CSV whose header names a
// kind of record. Told apart by the file's first MiB, never by its name:
//
//   [                                    a JSON list (formats/json_list.h)
//   {                                    JSON Lines (formats/jsonl.h)
//   a header that names a kind           CSV (formats/csv.h); the separator is the one of , ; tab under which it does
//   anything else                        JSON Lines, whose lines are then bad records
//
// DataError that says what the file is and what to do: a format of another kind (formats/foreign_format.h), one JSON
// object over several lines or around a list, a CSV header or a first line that names no kind of record.
//
// A CSV row is a record of texts; its kind's own fields may be empty, others then count as absent.
#pragma once

#include <memory>

#include "data/formats/record_source.h"

namespace nkat::data {

std::unique_ptr<RecordSource> open_records(const fs::path& path);

}  // namespace nkat::data
