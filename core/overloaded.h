// One visitor made of several lambdas, for std::visit: std::visit(Overloaded{[](int) {..}, [](bool) {..}}, value).
#pragma once

namespace nkat {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;  // clang 14 doesn't deduce it

}  // namespace nkat
