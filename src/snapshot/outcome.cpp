#include "snapshot/outcome.hpp"

#include <cerrno>

namespace hasup::snapshot {

failure system_failure(std::string what, int code) {
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  return {full ? ports::worker_failure::no_space : ports::worker_failure::internal,
          base::errno_error(std::move(what), code).message};
}

failure refusal(std::string message) {
  return {ports::worker_failure::refused, std::move(message)};
}

failure bad_snapshot(std::string name, std::string message) {
  return {ports::worker_failure::bad_snapshot, std::move(message), std::move(name)};
}

failure cancelled() {
  return {ports::worker_failure::internal, "cancelled"};
}

ports::worker_result failed_result(failure f) {
  ports::worker_result out;
  out.failure = f.kind;
  out.error = std::move(f.message);
  out.snapshot = std::move(f.snapshot);
  return out;
}

}  // namespace hasup::snapshot
