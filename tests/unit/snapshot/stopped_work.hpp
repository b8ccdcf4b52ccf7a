// Work of a state_swap that is stopped right after one of its system calls, as by a power cut.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

namespace hasup::test {

// False when it was stopped after its n-th system call, before its end. `w.worker(observer)` makes who does the work.
template <class World, class Work>
bool ends_within(unsigned n, const World& w, Work work) {
  struct crash {};
  unsigned calls = 0;
  auto worker = w.worker([&](std::string_view) {
    if (++calls == n) throw crash{};
  });
  try {
    const auto done = work(worker);
    INFO((done ? std::string() : done.error().message));
    REQUIRE(done.has_value());
    return true;
  } catch (const crash&) {
    return false;
  }
}

}  // namespace hasup::test
