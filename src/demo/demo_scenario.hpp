// `hasup demo`: a whole deployment on loopback, one disaster and how it ends, offline and in seconds.
#pragma once

#include <string>

namespace hasup::demo {

struct demo_options {
  bool json = false;    // one object instead of the story
  bool keep = false;    // leave it running and say how to talk to it
  bool colour = false;  // ANSI colours; the caller knows whether the output is a terminal
};

// Runs the demonstration in a temporary HASUP_HOME with the programs beside this one (hasupd, hasup-demo-node).
// Prints to stdout; returns the exit code of the program: 0 only if leap was recovered and all units became healthy
// again. Whatever happens (failure, SIGINT, SIGTERM), everything it started is stopped and the home removed, unless
// `keep`.
int run_demo(const demo_options& options);

}  // namespace hasup::demo
