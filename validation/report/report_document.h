// The report as a document: the verdict in two sentences, the picture of gates and force, the checklist, more plots,
// then the tables of each part of the validation, folded.
#pragma once

#include "validation/report/document.h"
#include "validation/report/findings.h"

namespace nkat::validation {

Document make_report(const Findings& findings, const std::vector<Image>& plots);

}  // namespace nkat::validation
