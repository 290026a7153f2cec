// Precompiled for the tests of rooms without tensors.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/precompiled_plain.h"
