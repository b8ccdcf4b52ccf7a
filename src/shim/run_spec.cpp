// Decodes a `run` command. Texts stay where they are in the frame; only the arrays of pointers are built.
#include <sys/mman.h>

#include "shim/child.hpp"
#include "shim/proc.hpp"

namespace hasup::shim {

namespace {

using process::field;
using process::field_reader;
using process::request_error;
using process::tag;

struct counts {
  size_t argv = 0;
  size_t env = 0;
  size_t groups = 0;
  size_t limits = 0;
};

bool count_fields(const char* payload, size_t length, counts& out) {
  field_reader fields(payload, length);
  for (field f; fields.next(f);) {
    if (f.id == tag::argv) ++out.argv;
    if (f.id == tag::env) ++out.env;
    if (f.id == tag::group) ++out.groups;
    if (f.id == tag::limit) ++out.limits;
  }
  return !fields.malformed() && out.argv > 0;
}

void make_arrays(const counts& n, run_spec& spec) {
  const size_t pointers = (n.argv + n.env + 3) * sizeof(char*);  // the two ends, and the mark
  spec.memory_size = pointers + n.limits * sizeof(run_limit) + n.groups * sizeof(gid_t);
  spec.memory = map_lazily(spec.memory_size);
  auto* at = static_cast<char*>(spec.memory);
  spec.argv = reinterpret_cast<char**>(at);
  spec.env = spec.argv + n.argv + 1;
  spec.limits = reinterpret_cast<run_limit*>(at + pointers);
  spec.groups = reinterpret_cast<gid_t*>(at + pointers + n.limits * sizeof(run_limit));
}

bool read_text(const field& f, const char*& out) {
  out = f.text();
  return out != nullptr;
}

bool read_path(const field& f, const char*& out) {
  return read_text(f, out) && f.length <= max_log_path && (out[0] == 0 || out[0] == '/');
}

bool read_signed(const field& f, bool& has, int& out) {
  uint32_t value = 0;
  has = f.read(value);
  out = static_cast<int>(value);
  return has;
}

bool read_field(const field& f, run_spec& s, counts& seen) {
  const char* text = nullptr;
  if ((process::bit_of(f.id) & process::run_fields) == 0) return true;
  switch (f.id) {
    case tag::run:
      return f.read(s.run) && s.run != 0;
    case tag::argv:
      if (!read_text(f, text)) return false;
      s.argv[seen.argv++] = const_cast<char*>(text);
      return true;
    case tag::env:
      if (!read_text(f, text)) return false;
      s.env[seen.env++] = const_cast<char*>(text);
      return true;
    case tag::directory:
      return read_text(f, s.directory);
    case tag::uid:
      return s.has_uid = f.read(s.uid);
    case tag::gid:
      return s.has_gid = f.read(s.gid);
    case tag::group:
      return f.read(s.groups[seen.groups++]);
    case tag::umask:
      return f.read(s.umask);
    case tag::nice:
      return read_signed(f, s.has_nice, s.nice);
    case tag::oom_score_adjust:
      return read_signed(f, s.has_oom_score_adjust, s.oom_score_adjust);
    case tag::limit:
      return read_limit(f, s.limits[seen.limits++]);
    case tag::log_path:
      return read_path(f, s.log.path);
    case tag::data_dir:
      if (s.data_dir_count == data_lock::most) return true;
      if (!read_text(f, text) || text[0] != '/') return false;
      s.data_dirs[s.data_dir_count++] = text;
      return true;
    case tag::capabilities:
      return f.read(s.capabilities);
    case tag::cgroup:
      return read_path(f, s.cgroup) && f.length <= max_cgroup_path;
    case tag::log_max_size:
      return f.read(s.log.max_size);
    case tag::log_max_files:
      return f.read(s.log.max_files);
    case tag::log_daily:
      return f.read(s.log.daily);
    default:
      return true;
  }
}

}  // namespace

bool read_limit(const field& f, run_limit& out) {
  uint32_t resource = 0;
  uint64_t values[2];
  if (f.length != sizeof resource + sizeof values) return false;
  memcpy(&resource, f.data, sizeof resource);
  memcpy(values, f.data + sizeof resource, sizeof values);
  out = {static_cast<int>(resource), {values[0], values[1]}};
  return true;
}

run_spec::~run_spec() {
  if (memory) munmap(memory, memory_size);
}

request_error parse_run(const char* payload, size_t length, run_spec& out) {
  counts n;
  if (!count_fields(payload, length, n)) return request_error::bad_request;
  make_arrays(n, out);
  counts seen;
  field_reader fields(payload, length);
  for (field f; fields.next(f);)
    if (!read_field(f, out, seen)) return request_error::bad_request;
  out.env_count = n.env;
  out.group_count = n.groups;
  out.limit_count = n.limits;
  return out.run != 0 && out.argv[0][0] != 0 ? request_error::none : request_error::bad_request;
}

}  // namespace hasup::shim
