// Precompiled header of the layers, which are autograd functions.
#pragma once

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/precompiled/tensor.h"
