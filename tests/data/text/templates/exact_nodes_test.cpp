#include "data/text/templates/exact_nodes.h"

#include <gtest/gtest.h>

#include "data/text/templates/template_program.h"

namespace nkat::data {
namespace {

const std::vector<Turn> kTurns = {{Role::kUser, "\u3000a,b\u3000"}, {Role::kAssistant, "\u3042\u3044"}};

std::string rendered(const std::string& source) { return TemplateProgram(source, {}).render(kTurns, false).text; }

// The expected texts are Jinja's.
TEST(ExactNodes, EveryPlaceOfAnExpressionIsReached) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"{% if messages[1].content | length == 2 %}2{% elif 'a'.strip() %}{% else %}{% endif %}", "2"},
      {"{% for x in messages[0].content.strip().split(',') %}{{ x }};{% else %}none{% endfor %}", "a;b;"},
      {"{% for x in ['\u3000q'] if x.strip() == 'q' %}{{ x | trim }}{% endfor %}", "q"},
      {"{% set x = messages[0]['content'] | trim %}{{ x }}", "a,b"},
      {"{% set x, y = 'p q'.split() %}{{ y ~ x }}", "qp"},
      {"{% set ns = namespace(x='\u3000s') %}{% set ns.x = ns.x.strip() %}{{ ns.x }}", "s"},
      {"{% macro m(t, n='\u3000d'.strip()) %}{{ t.strip() }}{{ n }}{% endmacro %}{{ m(messages[0].content) }}", "a,bd"},
      {"{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}{{ '\u3000c'.strip() }}{% endcall %}", "[c]"},
      {"{{ ('\u3000x' if messages else '').strip() }}", "x"},
      {"{{ {'k': '\u3000v'.strip()}['k'] }}{{ ['\u3000l'.strip()][0] }}{{ ('\u3000t'.strip(), 'u')[0] }}", "vlt"},
      {"{{ not '\u3000'.strip() }}", "True"},
      {"{{ '\u3000'.strip() is defined and '\u3042\u3044'[1:] == '\u3044' }}", "True"},
      {"{{ '\u3042\u3044'[-1] }}{{ 'abc'[::-1] }}{{ 'abc'[:-1] }}", "\u3044cbaab"},
      {"{{ messages | map(attribute='role') | join(', ') }}", "user, assistant"},
      {"{{ messages[0].items is defined }}{{ messages[0].nothing is defined }}", "TrueFalse"},
      {"{{ messages[0].get('role') }}{{ 'x'.upper() }}", "userX"},
      {"{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1)[0:1] }}{% endif %}{% endmacro %}{{ f(3) }}", "32"},
      {"{% filter trim %}{{ ' a' }}{% endfilter %}", "a"},
      {"{{ undefined_name is defined }}{{ range(2) | list | length }}", "False2"},
  };
  for (const auto& [source, expected] : cases) EXPECT_EQ(rendered(source), expected) << source;
}

}  // namespace
}  // namespace nkat::data
