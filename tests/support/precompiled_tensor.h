// Precompiled for the tests of modules with tensors.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "layers/precompiled/tensor.h"
