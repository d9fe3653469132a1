/* What a fuzzer's entry point looks like: libFuzzer calls it, and so does the replay of the corpus in every test run. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
