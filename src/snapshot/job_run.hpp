// The frame of every worker program: reads the job file, minds SIGTERM, writes the result, gives the exit code.
#pragma once

#include <functional>
#include <string>

#include "ports/worker_job.hpp"
#include "snapshot/job_control.hpp"

namespace hasup::snapshot {

using job_handler = std::function<ports::worker_result(const ports::worker_job&, job_control&)>;

// Exit code: 0 done, 1 failed (the result says why), 2 no job could be read or no result be written.
int run_job(int argc, char** argv, const job_handler& handler);

// A program that works beside another one, which gives the answer: no result is written, SIGTERM ends it at once.
int run_beside(const char* job_file, const std::function<void(const ports::worker_job&)>& work);

// A program that does one part of a job for another one, which gives the answer. What the handler returns is the
// exit code; 2 when no job could be read.
using part_handler = std::function<int(const ports::worker_job&, job_control&)>;
int run_part(const char* file, const part_handler& handler);

// hasup-worker --look: answers jobs with mode inspect until the standard input, a socket, is closed.
int run_looks(const std::function<ports::worker_result(const ports::worker_job&)>& look);

}  // namespace hasup::snapshot
