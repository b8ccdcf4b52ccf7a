#include "snapshot/unpack/checked_entry.hpp"

#include <archive_entry.h>

#include "snapshot/unpack/entry_path.hpp"

namespace hasup::snapshot {
namespace {

// The archive's names are bytes to us; libarchive gives none where its locale cannot hold them.
std::string text_of(const char* plain, const char* utf8) {
  if (plain == nullptr) plain = utf8;
  return plain == nullptr ? std::string() : std::string(plain);
}

}  // namespace

failure hostile_entry(const std::string& archive, const std::string& path, const std::string& why) {
  return bad_snapshot(archive, archive + ": entry \"" + path.substr(0, 300) + "\" " + why);
}

outcome<checked_entry> check_entry(::archive_entry* entry, const std::string& archive) {
  using kind = checked_entry::kind;
  const auto raw = text_of(archive_entry_pathname(entry), archive_entry_pathname_utf8(entry));
  auto clean = clean_entry_path(raw);
  if (!clean) return hostile_entry(archive, raw, clean.error().message);
  checked_entry out;
  out.path = *clean;
  const auto type = archive_entry_filetype(entry);
  if (out.path.empty()) {
    out.is = kind::root;
    if (type == AE_IFDIR) return out;
    return hostile_entry(archive, raw, "has no name");
  }
  const bool hard = archive_entry_hardlink(entry) != nullptr || archive_entry_hardlink_utf8(entry) != nullptr;
  if (!hard && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)
    return hostile_entry(archive, out.path, "is a device, a pipe or a socket");
  if (type == AE_IFREG && (archive_entry_perm(entry) & 06000) != 0)
    return hostile_entry(archive, out.path, "has a setuid or setgid bit");
  out.is = hard ? kind::hard_link : type == AE_IFDIR ? kind::directory : type == AE_IFLNK ? kind::link : kind::file;
  if (hard) out.target = text_of(archive_entry_hardlink(entry), archive_entry_hardlink_utf8(entry));
  if (out.is == kind::link) out.target = text_of(archive_entry_symlink(entry), archive_entry_symlink_utf8(entry));
  return out;
}

}  // namespace hasup::snapshot
