#include "data/text/templates/exact_nodes.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "data/text/templates/marked_text.h"

namespace nkat::data {
namespace {

using jinja::cast_stmt;
using jinja::context;
using jinja::is_val;
using jinja::mk_val;
using jinja::statement_ptr;
using jinja::value;

// Stands for an operand that is computed once, before the engine's own node asks for it. A template that calls itself
// may come back to the node, but only after the value was read.
struct HeldValue : jinja::expression {
  mutable value held;
  value execute_impl(context&) const override { return held; }
};

// An operand taken out of its node, which gets a HeldValue in its place.
class Operand {
 public:
  explicit Operand(statement_ptr& place) : real_(std::move(place)) {
    auto stand_in = std::make_unique<HeldValue>();
    stand_in->pos = real_->pos;
    held_ = stand_in.get();
    place = std::move(stand_in);
  }
  value compute(context& scope) const { return real_->execute(scope); }
  void hold(const value& computed) const { held_->held = computed; }

 private:
  statement_ptr real_;
  HeldValue* held_ = nullptr;
};

value bound(const std::string& name, const jinja::func_handler& function, const value& self) {
  return mk_val<jinja::value_func>(name, function, self);
}

struct ExactIdentifier : jinja::identifier {
  explicit ExactIdentifier(const jinja::identifier& node) : identifier(node.val) { pos = node.pos; }

  value execute_impl(context& scope) const override {
    value found = scope.get_val(val);
    if (!found->is_undefined()) return found;
    const auto builtin = jinja::global_builtins().find(val);
    return builtin == jinja::global_builtins().end() ? found : mk_val<jinja::value_func>(val, builtin->second);
  }
};

struct ExactMember : jinja::member_expression {
  explicit ExactMember(jinja::member_expression& node)
      : member_expression(std::move(node.object), std::move(node.property), node.computed), operand_(object) {
    pos = node.pos;
  }

  value execute_impl(context& scope) const override {
    const value self = operand_.compute(scope);
    if (const auto* name = computed ? nullptr : cast_stmt<jinja::identifier>(property)) {
      if (is_val<jinja::value_object>(self)) return member_of_object(self, name->val);
      const jinja::func_handler* method = is_val<jinja::value_string>(self) ? find_string_method(name->val) : nullptr;
      if (method != nullptr) return bound(name->val, *method, self);
    } else if (computed && is_val<jinja::value_string>(self)) {
      if (value found = item_of_string(self, scope)) return found;
    }
    operand_.hold(self);
    return member_expression::execute_impl(scope);
  }

 private:
  // As Jinja's `object.name` with a dict: a method first, then the key.
  static value member_of_object(const value& self, const std::string& name) {
    const auto& methods = self->get_builtins();
    if (const auto method = methods.find(name); method != methods.end()) return bound(name, method->second, self);
    value undefined = mk_val<jinja::value_undefined>(name);
    return self->at(mk_val<jinja::value_string>(name), undefined);
  }

  // Null where the engine's own serves: a slice with a step, a method by its name.
  value item_of_string(const value& self, context& scope) const {
    const auto number = [&](const statement_ptr& node) -> std::optional<std::int64_t> {
      if (!node) return std::nullopt;
      const value found = node->execute(scope);
      return found->is_none() ? std::nullopt : std::optional(found->as_int());
    };
    if (const auto* slice = cast_stmt<jinja::slice_expression>(property)) {
      if (slice->step_expr) return nullptr;
      const std::optional<std::int64_t> start = number(slice->start_expr);
      return slice_string(self, start, number(slice->stop_expr));
    }
    const value index = property->execute(scope);
    return is_val<jinja::value_int>(index) ? string_item(self, index->as_int()) : nullptr;
  }

  Operand operand_;
};

struct ExactFilter : jinja::filter_expression {
  explicit ExactFilter(jinja::filter_expression& node)
      : filter_expression(std::move(node.operand), std::move(node.filter)), input_(operand) {
    pos = node.pos;
  }

  value execute_impl(context& scope) const override {
    const value self = input_.compute(scope);
    const auto* call = cast_stmt<jinja::call_expression>(filter);
    const auto* name = cast_stmt<jinja::identifier>(call != nullptr ? call->callee : filter);
    const jinja::func_handler* own = name != nullptr ? own_filter(self, name->val) : nullptr;
    if (own == nullptr) {
      input_.hold(self);
      return filter_expression::execute_impl(scope);
    }
    jinja::func_args args(scope);
    args.func_name = name->val;
    args.push_back(self);
    if (call != nullptr) {
      for (const statement_ptr& one : call->args) args.push_back(one->execute(scope));
    }
    return (*own)(args);
  }

 private:
  static const jinja::func_handler* own_filter(const value& self, const std::string& name) {
    static const jinja::func_handler kJoin = join_strings;
    if (is_val<jinja::value_array>(self)) return name == "join" ? &kJoin : nullptr;
    if (!is_val<jinja::value_string>(self)) return nullptr;
    if (name == "trim") return find_string_method("strip");
    if (name == "format") throw std::runtime_error("the filter 'format' is not supported");
    if (name == "replace" || name == "length" || name == "upper" || name == "lower" || name == "capitalize")
      return find_string_method(name);
    return name == "count" ? find_string_method("length") : nullptr;
  }

  Operand input_;
};

void replace_nodes(statement_ptr& node);

void replace_nodes(jinja::statements& nodes) {
  for (statement_ptr& node : nodes) replace_nodes(node);
}

// What stays as it is: names that are assigned to, parameters, keywords, names of filters and tests.
void replace_in_name(statement_ptr& node) {
  if (auto* call = cast_stmt<jinja::call_expression>(node)) replace_nodes(call->args);
  if (auto* member = cast_stmt<jinja::member_expression>(node)) replace_nodes(member->object);
  if (auto* keyword = cast_stmt<jinja::keyword_argument_expression>(node)) replace_nodes(keyword->val);
}

bool replace_in_statement(statement_ptr& node) {
  if (auto* one = cast_stmt<jinja::if_statement>(node)) {
    replace_nodes(one->test);
    replace_nodes(one->body);
    replace_nodes(one->alternate);
  } else if (auto* loop = cast_stmt<jinja::for_statement>(node)) {
    replace_nodes(loop->iterable);
    replace_nodes(loop->body);
    replace_nodes(loop->default_block);
  } else if (auto* set = cast_stmt<jinja::set_statement>(node)) {
    replace_in_name(set->assignee);
    replace_nodes(set->val);
    replace_nodes(set->body);
  } else if (auto* macro = cast_stmt<jinja::macro_statement>(node)) {
    for (statement_ptr& parameter : macro->args) replace_in_name(parameter);
    replace_nodes(macro->body);
  } else if (auto* filtered = cast_stmt<jinja::filter_statement>(node)) {
    replace_in_name(filtered->filter);
    replace_nodes(filtered->body);
  } else if (auto* call = cast_stmt<jinja::call_statement>(node)) {
    if (auto* inner = cast_stmt<jinja::call_expression>(call->call)) {
      replace_nodes(inner->callee);
      replace_nodes(inner->args);
    }
    for (statement_ptr& parameter : call->caller_args) replace_in_name(parameter);
    replace_nodes(call->body);
  } else {
    return false;
  }
  return true;
}

bool replace_in_operation(statement_ptr& node) {
  if (auto* binary = cast_stmt<jinja::binary_expression>(node)) {
    replace_nodes(binary->left);
    replace_nodes(binary->right);
  } else if (auto* unary = cast_stmt<jinja::unary_expression>(node)) {
    replace_nodes(unary->argument);
  } else if (auto* ternary = cast_stmt<jinja::ternary_expression>(node)) {
    replace_nodes(ternary->condition);
    replace_nodes(ternary->true_expr);
    replace_nodes(ternary->false_expr);
  } else if (auto* select = cast_stmt<jinja::select_expression>(node)) {
    replace_nodes(select->lhs);
    replace_nodes(select->test);
  } else if (auto* test = cast_stmt<jinja::test_expression>(node)) {
    replace_nodes(test->operand);
    replace_in_name(test->test);
  } else if (auto* slice = cast_stmt<jinja::slice_expression>(node)) {
    replace_nodes(slice->start_expr);
    replace_nodes(slice->stop_expr);
    replace_nodes(slice->step_expr);
  } else {
    return false;
  }
  return true;
}

bool replace_in_values(statement_ptr& node) {
  if (auto* array = cast_stmt<jinja::array_literal>(node)) {
    replace_nodes(array->val);
  } else if (auto* tuple = cast_stmt<jinja::tuple_literal>(node)) {
    replace_nodes(tuple->val);
  } else if (auto* object = cast_stmt<jinja::object_literal>(node)) {
    for (auto& [key, one] : object->val) {
      replace_nodes(key);
      replace_nodes(one);
    }
  } else if (auto* call = cast_stmt<jinja::call_expression>(node)) {
    replace_nodes(call->callee);
    replace_nodes(call->args);
  } else if (auto* spread = cast_stmt<jinja::spread_expression>(node)) {
    replace_nodes(spread->argument);
  } else if (auto* keyword = cast_stmt<jinja::keyword_argument_expression>(node)) {
    replace_nodes(keyword->val);
  } else {
    return false;
  }
  return true;
}

void replace_nodes(statement_ptr& node) {
  if (!node || replace_in_statement(node) || replace_in_operation(node) || replace_in_values(node)) return;
  if (auto* member = cast_stmt<jinja::member_expression>(node)) {
    replace_nodes(member->object);
    if (member->computed) replace_nodes(member->property);
    node = std::make_unique<ExactMember>(*member);
  } else if (auto* filter = cast_stmt<jinja::filter_expression>(node)) {
    replace_nodes(filter->operand);
    replace_in_name(filter->filter);
    node = std::make_unique<ExactFilter>(*filter);
  } else if (const auto* name = cast_stmt<jinja::identifier>(node)) {
    node = std::make_unique<ExactIdentifier>(*name);
  }
}

}  // namespace

void use_exact_nodes(jinja::program& program) { replace_nodes(program.body); }

}  // namespace nkat::data
