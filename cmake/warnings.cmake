# One interface target for warnings, one for sanitizers: every library and program links both.
add_library(hasup_warnings INTERFACE)
target_compile_options(hasup_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
# g++ 12 sees overlaps of 2^63 bytes where strings are joined (its bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(hasup_warnings INTERFACE -Wno-restrict)
endif()
if(HASUP_WERROR)
  target_compile_options(hasup_warnings INTERFACE -Werror)
endif()

add_library(hasup_sanitizers INTERFACE)
if(HASUP_SANITIZE)
  # g++ 12 calls values uninitialized that only its own instrumentation keeps apart (boost::variant2).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(hasup_warnings INTERFACE -Wno-maybe-uninitialized)
  endif()
  target_compile_options(hasup_sanitizers INTERFACE -fsanitize=${HASUP_SANITIZE} -fno-omit-frame-pointer
                                                    -fno-sanitize-recover=all)
  target_link_options(hasup_sanitizers INTERFACE -fsanitize=${HASUP_SANITIZE})
endif()
