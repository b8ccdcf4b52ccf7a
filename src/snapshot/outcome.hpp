// A value or a job's failure: the kind that the recovery acts on, the words for a person, the archive it is about.
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/byte_size.hpp"
#include "base/result.hpp"
#include "ports/worker_job.hpp"

namespace hasup::snapshot {

struct failure {
  ports::worker_failure kind = ports::worker_failure::internal;
  std::string message;
  std::string snapshot{};  // "" = it is about no archive

  friend bool operator==(const failure&, const failure&) = default;
};

[[noreturn]] inline void throw_exception_from_error(const failure& f, const boost::source_location&) {
  throw std::logic_error("unchecked failure: " + f.message);
}

template <class T>
using outcome = boost::system::result<T, failure>;

// ENOSPC, EDQUOT and EFBIG are no_space, everything else internal: "write /d/x: No space left on device".
failure system_failure(std::string what, int code);

failure refusal(std::string message);
failure bad_snapshot(std::string name, std::string message);
failure cancelled();

ports::worker_result failed_result(failure f);

}  // namespace hasup::snapshot
