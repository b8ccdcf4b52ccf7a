// Keeps the last 64 KiB of the current run in a mapped file: what the diagnosis of a failed start reads.
#pragma once

#include "process/evidence.hpp"
#include "shim/claim.hpp"

namespace hasup::shim {

class evidence_ring {
 public:
  // Without room for the file the ring lives in memory only, and the daemon finds no evidence.
  void open(const places& p, const char* name);
  void reset(uint64_t run);
  void append(const char* data, size_t length);
  // The pages stay in the file, but are no longer held by this process.
  void let_go();

 private:
  void hold();

  process::evidence_header* header_ = nullptr;
  char* ring_ = nullptr;
  bool in_file_ = false;
  bool held_ = false;
};

}  // namespace hasup::shim
