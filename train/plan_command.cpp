#include <iostream>

#include <nlohmann/json.hpp>

#include "models/model_source.h"
#include "train/commands.h"
#include "train/plan_report.h"

namespace nkat::train {
namespace {

struct PlanConfig {
  TrainConfig train;
  std::string card = "RTX 3060";
  double efficiency = 0.65;
  bool json = false;
};

CardChoice choose_card(const PlanConfig& config) {
  for (const models::Card& card : models::known_cards()) {
    if (card.name == config.card) return {card, config.efficiency};
  }
  throw InternalError("a card passed the check of --card and is not known");
}

ExitCode run_plan(PlanConfig config, const OptionList& options) {
  const models::ModelConfig model = models::open_model_config(config.train.model_path);
  limit_default_length(config.train, model.max_position_embeddings, options);
  const bool on_gpu = config.train.device != "cpu";
  const at::ScalarType type = models::resolve_precision(config.train.precision, on_gpu ? at::kCUDA : at::kCPU);
  const std::int64_t element_bytes = type == at::kFloat ? 4 : 2;
  const CardChoice card = choose_card(config);
  const RunPlan plan = plan_run(model, config.train, plan_request(model, config.train, element_bytes, on_gpu), card);
  std::cout << (config.json ? plan_json(plan, card).dump(2) + "\n" : plan_table(model, config.train, plan, card));
  return plan.fits ? ExitCode::kDone : ExitCode::kMachine;
}

}  // namespace

Command make_plan_command() {
  auto config = std::make_shared<PlanConfig>();
  Command command{.name = "plan", .summary = "memory and time of a training run, before any weight is read"};
  command.description =
      "Takes the options of `nkat train` and prints the model, the run's memory by purpose, how many layers must "
      "recompute, the longest sequence that fits, the hours on a named card, and how far gates and angles can move. "
      "Exits 4 if the plan does not fit the budget. --device auto plans for a GPU.";
  declare_options(*command.options, config->train, /*for_plan=*/true);
  std::vector<std::string> cards;
  for (const models::Card& card : models::known_cards()) cards.push_back(card.name);
  command.options->add("card", config->card, {.help = "card of the runtime estimate", .choices = cards});
  command.options->add(
      "efficiency", config->efficiency,
      {.help = "assumed fraction of peak throughput", .minimum = 0, .maximum = 1, .above_minimum = true});
  command.options->add("json", config->json, {.help = "print JSON"});
  command.run = [config, options = command.options] { return run_plan(*config, *options); };
  return command;
}

}  // namespace nkat::train
