// A property that must hold whatever the input was; the fuzzer keeps the input that breaks it.
#pragma once

#include <cstdio>
#include <cstdlib>

#define EXPECT(condition)                                                       \
  do {                                                                          \
    if (!(condition)) {                                                         \
      std::fprintf(stderr, "%s:%d: not: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                             \
    }                                                                           \
  } while (false)
