#include "validation/run/run_reader.h"

#include "core/error.h"
#include "core/message.h"
#include "core/parallel.h"
#include "core/signals.h"
#include "data/run/adapter_config.h"
#include "data/run/checkpoint_files.h"
#include "data/run/validation_trend.h"
#include "validation/run/saved_series.h"

namespace nkat::validation {
namespace {

using data::StepMetrics;

// Where the parts of a run lie; a path is empty if the part is absent.
struct RunPlaces {
  std::string name;
  fs::path root;
  fs::path metrics;
  fs::path config;
  fs::path checkpoints;
};

// A link that leads nowhere is there, too.
bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

std::string some_entries(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  if (names.empty()) return "nothing";
  const std::size_t shown = std::min<std::size_t>(names.size(), 6);
  return fmt::format("{}{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                     shown < names.size() ? ", ..." : "");
}

void require_folder(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (status.type() == fs::file_type::directory) {
    const fs::directory_iterator listing(folder, error);
    if (error) throw DataError(fmt::format("{}: can't be listed: {}", folder.string(), error.message()));
    return;
  }
  const std::string found = status.type() == fs::file_type::not_found ? "nothing of that name"
                            : error                                   ? error.message()
                                                                      : "a file";
  const std::string next =
      found == "a file" ? fmt::format("give the folder that it is in: {}", folder_of(folder).string()) : "";
  throw DataError(fmt::format("{}: {}", folder.string(), expected("the folder of a run", found, next)));
}

RunPlaces find_places(const fs::path& given) {
  require_folder(given);
  fs::path folder = fs::absolute(given).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  const bool is_checkpoints = !is_there(folder / data::kCheckpointsFolder) &&
                              (folder.filename() == data::kCheckpointsFolder || !data::saved_steps(folder).empty());
  RunPlaces places;
  const fs::path root = is_checkpoints && !is_there(folder / data::kMetricsFile) ? folder.parent_path() : folder;
  places.checkpoints = is_checkpoints ? folder : root / data::kCheckpointsFolder;
  places.root = root;
  places.name = root.filename().string();
  if (is_there(root / data::kMetricsFile)) places.metrics = root / data::kMetricsFile;
  if (is_there(root / data::kRunConfigFile)) places.config = root / data::kRunConfigFile;
  if (!is_there(places.checkpoints)) places.checkpoints.clear();
  if (!places.checkpoints.empty()) require_folder(places.checkpoints);
  if (is_there(folder / data::kManifest)) {
    throw DataError(fmt::format("{}: this is one checkpoint; give the folder of its run, or the checkpoints/ it is in",
                                given.string()));
  }
  if (places.metrics.empty() && places.checkpoints.empty()) {
    if (is_there(folder / data::kAdapterConfigFile))
      throw DataError(fmt::format("{}: this is an adapter; give the folder of its run", given.string()));
    throw DataError(fmt::format("{}: this is no run: {}", given.string(),
                                expected("metrics.jsonl or checkpoints/", some_entries(folder))));
  }
  return places;
}

// Through a link to checkpoints/ alone the folder that it lies in is found.
fs::path canonical_root(const RunPlaces& places) {
  if (!places.metrics.empty()) return fs::weakly_canonical(places.root);
  const fs::path checkpoints = fs::weakly_canonical(places.checkpoints);
  return checkpoints.filename() == data::kCheckpointsFolder ? checkpoints.parent_path() : checkpoints;
}

// One checkpoint: verified and its last row read; or the complaint; or neither, because it was removed meanwhile.
struct Inspected {
  std::int64_t step = 0;
  fs::path path;
  std::optional<SavedSeries> last_row = std::nullopt;
  data::AdapterConfig sizes = {};
  std::optional<StepMetrics> pending = std::nullopt;
  std::string complaint = {};
};

// Looked at again after it couldn't be read: a run that is going on removes its older checkpoints.
bool was_removed(const fs::path& checkpoint, bool had_manifest) {
  return !is_there(checkpoint) || (had_manifest && !is_there(checkpoint / data::kManifest));
}

void inspect(Inspected& checkpoint) {
  const bool had_manifest = is_there(checkpoint.path / data::kManifest);
  try {
    data::verify_manifest(checkpoint.path);
    checkpoint.sizes = data::read_adapter_config(checkpoint.path);
    const std::int64_t layers = checkpoint.sizes.layers();
    checkpoint.pending = read_pending_metrics(checkpoint.path, checkpoint.step, layers);
    checkpoint.last_row = read_saved_series(checkpoint.path, checkpoint.step, layers, Rows::kLast);
  } catch (const NewerFormatError&) {
    throw;  // sound, and without it the run would be judged by an older state
  } catch (const Error& error) {
    if (!was_removed(checkpoint.path, had_manifest)) checkpoint.complaint = error.what();
  }
}

// Hashing takes most of the time, so that every processor takes a checkpoint at a time.
std::vector<Inspected> inspect_all(const fs::path& checkpoints) {
  std::vector<Inspected> all;
  for (const std::int64_t step : data::saved_steps(checkpoints))
    all.push_back({.step = step, .path = data::checkpoint_path(checkpoints, step)});
  parallel_for(all.size(), [&](std::size_t i) {
    throw_if_stop_requested();
    inspect(all[i]);
  });
  return all;
}

std::vector<StepMetrics> metrics_of(const SavedSeries& series) {
  std::vector<StepMetrics> metrics;
  const auto row_of = [&](const std::vector<float>& table, std::int64_t row) {
    const auto begin = table.begin() + row * series.layers;
    return std::vector<double>(begin, begin + series.layers);
  };
  for (std::int64_t row = 0; row < series.rows(); ++row) {
    metrics.push_back({.step = series.first_step + row,
                       .alpha = row_of(series.alpha, row),
                       .gate_force = row_of(series.gate_force, row)});
  }
  return metrics;
}

// source: where the run's metrics come from.
void require_same_layers(const Inspected& checkpoint, const RunRecords& run, const fs::path& source) {
  if (checkpoint.sizes.first_adapter_layer != run.first_layer) {
    throw FormatError(fmt::format("{}: its adapter begins at layer {}, the run's at layer {}; they are not of one run",
                                  checkpoint.path.string(), checkpoint.sizes.first_adapter_layer, run.first_layer));
  }
  if (run.metrics.empty() || checkpoint.sizes.layers() == run.layers()) return;
  throw FormatError(fmt::format("{}: it holds {} layers, {} has lists of {}; they are not of one run",
                                checkpoint.path.string(), checkpoint.sizes.layers(), source.string(), run.layers()));
}

// All of its rows; the last one where it was removed after it had been inspected.
SavedSeries whole_series(const Inspected& checkpoint) {
  try {
    return read_saved_series(checkpoint.path, checkpoint.step, checkpoint.sizes.layers(), Rows::kAll);
  } catch (const Error&) {
    if (!was_removed(checkpoint.path, true)) throw;
    return *checkpoint.last_row;
  }
}

// The newest in full, the others by their last step.
void require_one_run(const std::vector<Inspected>& valid, const RunRecords& run, const RunPlaces& places) {
  const fs::path source = run.series_only && !valid.empty() ? valid.back().path : places.metrics;
  for (auto checkpoint = valid.rbegin(); checkpoint != valid.rend(); ++checkpoint) {
    require_same_layers(*checkpoint, run, source);
    const bool newest = checkpoint == valid.rbegin();
    if (newest && run.series_only) continue;
    const SavedSeries series = newest ? whole_series(*checkpoint) : *checkpoint->last_row;
    require_agreement(series, checkpoint->path, run.metrics, source, run.first_layer);
  }
}

// From metrics.jsonl and the line that a stop left to the newest checkpoint, or from that checkpoint alone.
void take_metrics(RunRecords& run, const RunPlaces& places, const std::vector<Inspected>& valid) {
  run.series_only = places.metrics.empty();
  const Inspected* newest = valid.empty() ? nullptr : &valid.back();
  if (!run.series_only) {
    run.metrics = read_metrics_file(places.metrics);
    if (newest != nullptr && newest->pending && newest->step == static_cast<std::int64_t>(run.metrics.size()) + 1)
      run.metrics.push_back(*newest->pending);
  } else if (newest != nullptr) {
    run.metrics = metrics_of(read_saved_series(newest->path, newest->step, newest->sizes.layers(), Rows::kAll));
  }
}

void require_something(const RunRecords& run, const RunPlaces& places) {
  if (!run.metrics.empty()) return;
  if (!run.damaged.empty() && run.checkpoints.empty()) {
    throw DataError(fmt::format("{}: no metrics, and all {} checkpoints are damaged; the newest: {}",
                                run.folder.string(), run.damaged.size(), run.damaged.back()));
  }
  throw DataError(fmt::format("{}: no step has been finished yet (looked at {})", run.folder.string(),
                              places.metrics.empty() ? places.checkpoints.string() : places.metrics.string()));
}

}  // namespace

std::optional<bool> RunRecords::finished() const {
  if (!settings.max_steps) return std::nullopt;
  if (metrics.empty()) return false;
  return metrics.back().step >= *settings.max_steps || data::validation_trend(metrics, settings.validation_since)
                                                           .exhausts(settings.early_stopping_patience.value_or(0));
}

RunRecords read_run(const fs::path& folder) {
  const RunPlaces places = find_places(folder);
  RunRecords run;
  run.folder = folder;
  run.root = canonical_root(places);
  run.name = places.name;
  if (!places.config.empty()) run.settings = data::read_run_settings(places.config);

  // Before the metrics: a run that is going on writes a step's line before its checkpoint.
  std::vector<Inspected> valid;
  if (!places.checkpoints.empty()) {
    for (Inspected& checkpoint : inspect_all(places.checkpoints)) {
      if (!checkpoint.complaint.empty()) run.damaged.push_back(checkpoint.complaint);
      if (checkpoint.last_row) valid.push_back(std::move(checkpoint));
    }
  }
  for (const Inspected& checkpoint : valid) run.checkpoints.push_back({checkpoint.step, checkpoint.path});
  run.first_layer =
      run.settings.first_adapter_layer.value_or(valid.empty() ? 0 : valid.back().sizes.first_adapter_layer);

  take_metrics(run, places, valid);
  require_one_run(valid, run, places);
  require_something(run, places);
  return run;
}

}  // namespace nkat::validation
