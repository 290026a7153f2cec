#include "data/formats/foreign_format.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/files/file.h"
#include "core/files/other_content.h"
#include "core/message.h"

namespace nkat::data {
namespace {

using namespace std::string_view_literals;
constexpr std::size_t kNone = std::string_view::npos;

// What makes text of it; the commands are completed by to_do().
enum class Way { kUnpack, kPandas, kIconv, kOther };

struct Signature {
  std::string_view bytes;
  const char* name;
  Way way;
  const char* command;  // the program, pandas' reader, the encoding, or the whole advice
  std::size_t place = 0;
};

constexpr const char* kExport = "export it as JSONL or CSV in UTF-8";
// The first that fits counts.
constexpr std::array kSignatures = {
    Signature{"version https://git-lfs.github.com/spec/"sv, "a git-lfs pointer, not the file", Way::kOther,
              "fetch it: git lfs pull"},
    Signature{"<?xml"sv, "an XML file", Way::kOther, kExport},
    Signature{"%PDF-"sv, "a PDF", Way::kOther, kExport},
    Signature{"\x1F\x8B"sv, "a gzip file", Way::kUnpack, "gzip -dc"},
    Signature{"\x28\xB5\x2F\xFD"sv, "a zstd file", Way::kUnpack, "zstd -dc"},
    Signature{"\xFD\x37zXZ\0"sv, "an xz file", Way::kUnpack, "xz -dc"},
    Signature{"1AY&SY"sv, "a bzip2 file", Way::kUnpack, "bzip2 -dc", 4},
    Signature{"\x04\x22\x4D\x18"sv, "an lz4 file", Way::kUnpack, "lz4 -dc"},
    Signature{"7z\xBC\xAF\x27\x1C"sv, "a 7z archive", Way::kUnpack, "7z x -so"},
    Signature{"Rar!\x1A\x07"sv, "a rar archive", Way::kUnpack, "unrar p -inul"},
    Signature{"ustar"sv, "a tar archive", Way::kUnpack, "tar -xOf", 257},
    Signature{"PAR1"sv, "a parquet file", Way::kPandas, "read_parquet"},
    Signature{"ARROW1\0\0"sv, "an Arrow file", Way::kPandas, "read_feather"},
    Signature{"FEA1"sv, "a Feather file", Way::kPandas, "read_feather"},
    Signature{"\xFF\xFF\xFF\xFF"sv, "an Arrow stream", Way::kOther,
              "convert it with the datasets library: Dataset.from_file(FILE).to_json(OUTPUT)"},
    Signature{"\xD0\xCF\x11\xE0"sv, "an Excel file (xls)", Way::kPandas, "read_excel"},
    Signature{"\x80\x02"sv, "a Python pickle", Way::kOther, kExport},
    Signature{"\x80\x03"sv, "a Python pickle", Way::kOther, kExport},
    Signature{"\x80\x04"sv, "a Python pickle", Way::kOther, kExport},
    Signature{"\x80\x05"sv, "a Python pickle", Way::kOther, kExport},
    Signature{"SQLite format 3\0"sv, "an SQLite database", Way::kOther, kExport},
    Signature{"\x89HDF\r\n\x1A\n"sv, "an HDF5 file", Way::kOther, kExport},
    Signature{"\x93NUMPY"sv, "a NumPy file", Way::kOther, kExport},
    Signature{"Obj\x01"sv, "an Avro file", Way::kOther, kExport},
    Signature{"GGUF"sv, "a GGUF model", Way::kOther, "give a file with training records"},
    Signature{"\xFF\xFE\0\0"sv, "UTF-32", Way::kIconv, "UTF-32"},
    Signature{"\0\0\xFE\xFF"sv, "UTF-32", Way::kIconv, "UTF-32"},
    Signature{"\xFF\xFE"sv, "UTF-16", Way::kIconv, "UTF-16"},
    Signature{"\xFE\xFF"sv, "UTF-16", Way::kIconv, "UTF-16"},
};
constexpr Signature kUtf16Little = {"", "UTF-16 without a byte-order mark", Way::kIconv, "UTF-16LE"};
constexpr Signature kUtf16Big = {"", "UTF-16 without a byte-order mark", Way::kIconv, "UTF-16BE"};
constexpr Signature kXlsx = {"", "an Excel file (xlsx)", Way::kPandas, "read_excel"};
constexpr Signature kOpenDocument = {"", "an OpenDocument file", Way::kPandas, "read_excel"};
constexpr Signature kTorch = {"", "a file of torch.save()", Way::kOther, kExport};
constexpr Signature kPage = {"", "a web page", Way::kOther, "download the file itself, not the page that shows it"};
constexpr Signature kZip = {"", "a zip archive", Way::kUnpack, "unzip -p"};
constexpr Signature kBinary = {"", "a binary file", Way::kOther, kExport};

// The file's name with another ending, and never the same name.
std::string with_ending(const fs::path& path, const std::string& ending) {
  fs::path output = path;
  output.replace_extension(ending);
  if (output == path || !output.has_extension()) output = path.string() + ".jsonl";
  return shell_quoted(output.string());
}

std::string to_do(const Signature& format, const std::string& path) {
  const std::string file = shell_quoted(path);
  switch (format.way) {
    case Way::kUnpack: return fmt::format("unpack it: {} {} > {}", format.command, file, with_ending(path, ""));
    case Way::kPandas:
      return fmt::format(
          "convert it: python3 -c 'import sys, pandas; pandas.{}(sys.argv[1]).to_json(sys.argv[2], orient=\"records\", "
          "lines=True)' {} {}",
          format.command, file, with_ending(path, ".jsonl"));
    case Way::kIconv:
      return fmt::format("convert it: iconv -f {} -t UTF-8 {} > {}", format.command, file,
                         with_ending(path, ".utf8" + fs::path(path).extension().string()));
    case Way::kOther: return format.command;
  }
  return format.command;
}

// ASCII in UTF-16: every other byte of the first characters is zero.
const Signature* utf16_without_mark(std::string_view bytes) {
  if (bytes.size() < 4) return nullptr;
  if (bytes[0] != 0 && bytes[1] == 0 && bytes[2] != 0 && bytes[3] == 0) return &kUtf16Little;
  return bytes[0] == 0 && bytes[1] != 0 && bytes[2] == 0 && bytes[3] != 0 ? &kUtf16Big : nullptr;
}

const Signature* find_signature(std::string_view bytes) {
  const auto fits = [&](const Signature& one) {
    return bytes.size() >= one.place && bytes.substr(one.place).starts_with(one.bytes);
  };
  const auto found = std::ranges::find_if(kSignatures, fits);
  if (found != kSignatures.end()) return &*found;
  if (is_web_page(bytes)) return &kPage;
  if (bytes.starts_with("PK\x03\x04")) {
    const auto holds = [&](const char* name) { return bytes.find(name) != kNone; };
    if (holds("mimetypeapplication/vnd.oasis.opendocument")) return &kOpenDocument;
    if (holds("/data.pkl")) return &kTorch;
    return holds("[Content_Types].xml") || holds("docProps/") || holds("xl/") ? &kXlsx : &kZip;
  }
  if (const Signature* utf16 = utf16_without_mark(bytes)) return utf16;
  const bool is_json = bytes.starts_with('{') || bytes.starts_with('[') || bytes.starts_with("\xEF\xBB\xBF");
  return bytes.find('\0') != kNone && !is_json ? &kBinary : nullptr;
}

}  // namespace

std::optional<ForeignFormat> find_foreign_format(std::string_view beginning, const std::string& path) {
  const Signature* format = find_signature(beginning.substr(0, 512));
  if (format == nullptr) return std::nullopt;
  return ForeignFormat{format->name, to_do(*format, path)};
}

}  // namespace nkat::data
