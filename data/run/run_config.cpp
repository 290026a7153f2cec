#include "data/run/run_config.h"

#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/json.h"
#include "core/json_object.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kConfigFileLimit = 16 << 20;
constexpr const char *kMemory = "memory", *kRequested = "requested_checkpointing", *kRecomputed = "recomputed_layers",
                     *kMicroBatch = "micro_batch_samples", *kHeadRows = "head_rows", *kEvents = "events",
                     *kRanks = "ranks", *kValidation = "validation", *kHash = "sha256", *kSince = "since_step";

// nullptr if `parent` is not an object with this key.
const Json* member(const Json* parent, const char* key) {
  if (parent == nullptr || !parent->is_object()) return nullptr;
  const auto found = parent->find(key);
  return found == parent->end() ? nullptr : &*found;
}

std::optional<std::int64_t> integer(const Json* parent, const char* key) {
  const Json* value = member(parent, key);
  return value != nullptr && value->is_number_integer() ? std::optional(value->get<std::int64_t>()) : std::nullopt;
}

std::optional<std::string> string(const Json* parent, const char* key) {
  const Json* value = member(parent, key);
  return value != nullptr && value->is_string() ? std::optional(value->get<std::string>()) : std::nullopt;
}

}  // namespace

std::optional<std::int64_t> run_version(const Json& config) { return integer(&config, kRunKey); }

std::string run_config_text(const Json& options, const RunFacts& facts) {
  Json json = {{kRunKey, kRunVersion}};
  json.update(options);
  json[kMemory] = {{kRequested, facts.requested_checkpointing},
                   {kRecomputed, facts.memory.recomputed_layers},
                   {kMicroBatch, facts.memory.micro_batch_samples},
                   {kHeadRows, facts.memory.head_rows},
                   {kEvents, facts.memory_events}};
  json[kRanks] = facts.ranks;
  json[kValidation] = {{kHash, facts.validation_sha256}, {kSince, facts.validation_since}};
  return json.dump(2) + "\n";
}

RunFacts run_facts(const Json& config) {
  const Json* memory = member(&config, kMemory);
  const Json* validation = member(&config, kValidation);
  RunFacts facts;
  facts.requested_checkpointing = string(memory, kRequested).value_or(facts.requested_checkpointing);
  facts.memory.recomputed_layers = integer(memory, kRecomputed).value_or(facts.memory.recomputed_layers);
  facts.memory.micro_batch_samples = integer(memory, kMicroBatch).value_or(std::numeric_limits<std::int64_t>::max());
  facts.memory.head_rows = integer(memory, kHeadRows).value_or(facts.memory.head_rows);
  if (const Json* events = member(memory, kEvents); events != nullptr && events->is_array()) {
    for (const Json& event : *events) {
      if (event.is_string()) facts.memory_events.push_back(event.get<std::string>());
    }
  }
  facts.ranks = integer(&config, kRanks).value_or(facts.ranks);
  facts.validation_sha256 = string(validation, kHash).value_or("");
  facts.validation_since = integer(validation, kSince).value_or(0);
  return facts;
}

RunSettings read_run_settings(const fs::path& path) {
  const Json json = parse_json(read_file(path, kConfigFileLimit), path.string());
  if (!run_version(json)) {
    log::warning(fmt::format("{}: not written by a run (no key '{}'); ignored", path.string(), kRunKey));
    return {};
  }
  const JsonObject config(json, path.string());
  RunSettings settings;
  settings.max_steps = config.optional_integer("max_steps");
  settings.warmup_steps = config.optional_integer("warmup_steps");
  settings.annealing_warmup = config.optional_integer("annealing_warmup");
  settings.seed = config.optional_integer("seed");
  settings.validation_since = run_facts(json).validation_since;
  settings.early_stopping_patience = config.optional_integer("early_stopping_patience");
  settings.alpha_init = config.optional_number("alpha_init");
  settings.vram_budget_gib = config.optional_number("vram_budget_gib");
  if (const auto name = config.optional_string("control")) {
    const auto control = value_of(*name, kControlNames);
    if (!control) config.fail("control", names_of(kControlNames));
    settings.control = *control;
  }
  settings.device = config.optional_string("device").value_or("");
  settings.model_path = config.optional_string("model_path").value_or("");
  settings.first_adapter_layer = config.optional_integer("first_adapter_layer");
  return settings;
}

}  // namespace nkat::data
