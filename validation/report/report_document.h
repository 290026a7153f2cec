// The report as a document: the verdict in two sentences, the checklist, then what each part of the validation found.
#pragma once

#include "validation/report/document.h"
#include "validation/report/findings.h"

namespace nkat::validation {

Document make_report(const Findings& findings, const std::vector<Image>& plots);

}  // namespace nkat::validation
