// Precompiled for the tests of modules without tensors.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/precompiled_plain.h"
