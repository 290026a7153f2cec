#include "validation/report/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/temporary_folder.h"

namespace nkat::validation {
namespace {

using nkat::testing::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Document, ClosesEveryFold) {
  const Document document = {Heading{2, "a", true}, Heading{3, "b"}, Heading{2, "c"}, Heading{2, "d", true}};
  EXPECT_THAT(to_html(document, "t"),
              HasSubstr("<details><summary><h2>a</h2></summary>\n<h3>b</h3>\n</details>\n<h2>c</h2>\n"
                        "<details><summary><h2>d</h2></summary>\n</details>\n</body>"));
}

TEST(Document, GivesAStatusASignAColorAndItsColumnsName) {
  const std::string html =
      to_html({Table{{"what", "status"}, {{"x", "pass"}, {"y", "fail"}, {"z", "not measured"}}}}, "t");
  EXPECT_THAT(
      html,
      HasSubstr("<td data-column=\"status\" class=\"pass\"><span><b aria-hidden=\"true\">\u2713</b> pass</span>"));
  EXPECT_THAT(html, HasSubstr("class=\"fail\"><span><b aria-hidden=\"true\">\u2717</b> fail</span>"));
  EXPECT_THAT(html, HasSubstr("class=\"open\"><span><b aria-hidden=\"true\">\u2013</b> not measured</span>"));
  EXPECT_THAT(html, HasSubstr("<td data-column=\"what\"><span>x</span></td>"));
}

TEST(Document, LetsOnlyLongWordsBreak) {
  const std::string html = to_html({Table{{"a", "b"}, {{"a transition in words", std::string(25, 'x')}}}}, "t");
  EXPECT_THAT(html, HasSubstr("<td data-column=\"a\"><span>a transition"));
  EXPECT_THAT(html, HasSubstr("<td data-column=\"b\" class=\"long\"><span>xxx"));
}

TEST(Document, ShortensHashesInHtmlAlone) {
  const std::string hash(64, 'a');
  const Document document = {Paragraph{"hash " + hash + " of <x>, not " + hash + "a"}};
  EXPECT_THAT(to_html(document, "t"), HasSubstr("<p>hash <code title=\"" + hash +
                                                "\">aaaaaaaaaaaa</code> of &lt;x&gt;, not " + hash + "a</p>"));
  EXPECT_THAT(to_markdown(document, "r.md"), HasSubstr(hash + " of"));
  std::string every_digit;
  for (int i = 0; i < 4; ++i) every_digit += "fedcba9876543210";
  EXPECT_THAT(to_html({Paragraph{every_digit}}, "t"),
              HasSubstr("<code title=\"" + every_digit + "\">fedcba987654</code>"));
}

TEST(Document, EscapesWhatHtmlAndTablesWouldRead) {
  const Document document = {Heading{2, "a < b & c"}, Table{{"x|y"}, {{"<script>"}}}};
  EXPECT_THAT(to_html(document, "t"), HasSubstr("a &lt; b &amp; c"));
  EXPECT_THAT(to_html(document, "t"), Not(HasSubstr("<script>")));
  EXPECT_THAT(to_markdown(document, "r.md"), HasSubstr("x\\|y"));
}

TEST(Document, EmbedsImagesInHtmlAndLinksThemInMarkdown) {
  const TemporaryFolder folder;
  folder.write("a.png", "PNG");
  const Document document = {Image{folder.path() / "a.png", "caption"}};
  EXPECT_THAT(to_html(document, "t"), HasSubstr("base64,UE5H"));
  EXPECT_THAT(to_markdown(document, folder.path() / "report.md"), HasSubstr("](<a.png>)"));
  EXPECT_THROW(to_html({Image{folder.path() / "missing.png", ""}}, "t"), DataError);
}

}  // namespace
}  // namespace nkat::validation
