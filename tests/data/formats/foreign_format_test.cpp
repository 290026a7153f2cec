#include "data/formats/foreign_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nkat::data {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;

TEST(ForeignFormat, IsNamedWithTheCommandThatConvertsIt) {
  const struct {
    std::string bytes;
    const char* path;
    const char* name;
    const char* next;
  } known[] = {
      {"\x1F\x8B\x08\0"s, "a.jsonl.gz", "a gzip file", "unpack it: gzip -dc a.jsonl.gz > a.jsonl"},
      {"\x1F\x8B\x08\0"s, "a.jsonl", "a gzip file", "gzip -dc a.jsonl > a.jsonl.jsonl"},
      {"\x28\xB5\x2F\xFD\0"s, "my data.jsonl.zst", "a zstd file", "zstd -dc 'my data.jsonl.zst' > 'my data.jsonl'"},
      {"\xFD\x37zXZ\0"s, "a.json.xz", "an xz file", "xz -dc a.json.xz > a.json"},
      {"BZh91AY&SY\xFF"s, "a.csv.bz2", "a bzip2 file", "bzip2 -dc a.csv.bz2 > a.csv"},
      {"PK\x03\x04\x14\0data.jsonl"s, "a.zip", "a zip archive", "unzip -p a.zip > a.zip.jsonl"},
      {"PK\x03\x04\x14\0[Content_Types].xml"s, "a.xlsx", "an Excel file (xlsx)", "pandas.read_excel(sys.argv[1])"},
      {"PK\x03\x04\x14\0docProps/app.xml"s, "a.xlsx", "an Excel file (xlsx)", "a.xlsx a.jsonl"},
      {std::string(257, 'a') + "ustar\0"s, "a.tar", "a tar archive", "tar -xOf a.tar"},
      {"PAR1\x15\x04"s, "a/b.parquet", "a parquet file",
       "convert it: python3 -c 'import sys, pandas; pandas.read_parquet(sys.argv[1]).to_json(sys.argv[2], "
       "orient=\"records\", lines=True)' a/b.parquet a/b.jsonl"},
      {"ARROW1\0\0"s, "a.arrow", "an Arrow file", "pandas.read_feather"},
      {"\xFF\xFE{\0"s, "a.jsonl", "UTF-16", "convert it: iconv -f UTF-16 -t UTF-8 a.jsonl > a.utf8.jsonl"},
      {"\xFE\xFF\0{"s, "a.jsonl", "UTF-16", "iconv -f UTF-16 "},
      {"\xFF\xFE\0\0{\0\0\0"s, "a.jsonl", "UTF-32", "iconv -f UTF-32 "},
      {"{\0\"\0"s, "a.jsonl", "UTF-16 without a byte-order mark", "iconv -f UTF-16LE "},
      {"\0{\0\""s, "a.jsonl", "UTF-16 without a byte-order mark", "iconv -f UTF-16BE "},
      {"version https://git-lfs.github.com/spec/v1\noid"s, "a.jsonl", "a git-lfs pointer, not the file",
       "git lfs pull"},
      {"<!DOCTYPE html>"s, "a.jsonl", "a web page", "download the file itself"},
      {"\n <!doctype HTML>"s, "a.jsonl", "a web page", "download the file itself"},
      {"<?xml version='1.0'?>"s, "a.xml", "an XML file", "export it as JSONL or CSV"},
      {"PK\x03\x04\x14\0archive/data.pkl"s, "a.pt", "a file of torch.save()", "export it as JSONL"},
      {"PK\x03\x04\x14\0mimetypeapplication/vnd.oasis.opendocument.spreadsheet"s, "a.ods", "an OpenDocument file",
       "pandas.read_excel(sys.argv[1])"},
      {"SQLite format 3\0"s, "a.db", "an SQLite database", "export it as JSONL or CSV"},
      {"\x01\x02\x03\0"s, "a.bin", "a binary file", "export it as JSONL or CSV"},
  };
  for (const auto& one : known) {
    const std::optional<ForeignFormat> found = find_foreign_format(one.bytes, one.path);
    ASSERT_TRUE(found) << one.name;
    EXPECT_EQ(found->name, one.name);
    EXPECT_THAT(found->next, HasSubstr(one.next));
  }
}

TEST(ForeignFormat, TextInUtf8IsNone) {
  for (const std::string& text : {""s, "{"s, "{}"s, "[1]"s, "a,b"s, "\xEF\xBB\xBF{}"s, "PKI,text"s, "BZh"s, "\u3053\n"s,
                                  "{\"a\":\"\0\"}"s, std::string(600, ' ')})
    EXPECT_FALSE(find_foreign_format(text, "x")) << text;
}

}  // namespace
}  // namespace nkat::data
