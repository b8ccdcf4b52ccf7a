#include "config/daemon_file.hpp"

#include "config/schema_check.hpp"
#include "config/section.hpp"

namespace hasup::config {

daemon_settings parse_daemon_text(const std::string& file, std::string_view text, report& findings) {
  daemon_settings out;
  auto root = parse_document(file, text, findings);
  if (!root) return out;
  check_schema(*root, daemon_keys(), {}, findings);
  section(&*root, findings).sub("log").read("level", out.log_level);
  section(&*root, findings).sub("boot").read("start", boot_start_names, out.start_at_boot);
  section(&*root, findings).sub("cgroup").read("root", out.cgroup_root);
  return out;
}

}  // namespace hasup::config
