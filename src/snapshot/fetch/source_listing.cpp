#include "snapshot/fetch/source_listing.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "snapshot/fetch/local_server.hpp"
#include "snapshot/fetch/own_host.hpp"
#include "snapshot/fetch/s3_access.hpp"
#include "snapshot/fetch/select.hpp"
#include "snapshot/fetch/version_answer.hpp"
#include "snapshot/pointer.hpp"
#include "snapshot/s3_listing.hpp"
#include "snapshot/sftp_listing.hpp"

namespace hasup::snapshot {
namespace {

constexpr unsigned most_s3_pages = 100;  // of 1,000 objects

failure unreachable(std::string message) {
  return {ports::worker_failure::unreachable, std::move(message)};
}

std::string file_url(const std::string& path) {
  std::string out = "file://";
  std::string_view rest = path;
  while (!rest.empty()) {
    const auto slash = rest.find('/');
    out += percent_encode(rest.substr(0, slash));
    if (slash == std::string_view::npos) break;
    out += '/';
    rest.remove_prefix(slash + 1);
  }
  return out;
}

void announced_by(std::vector<listed_file>& files, std::string_view who) {
  for (auto& f : files) {
    if (!f.sha256.empty()) f.sha256_by = who;
    if (!f.other_digests.empty()) f.other_digests_by = who;
  }
}

// Digests and what is inside, and sizes and times where a listing has none, come from the manifest beside the files.
void merge_manifest(std::vector<listed_file>& files, const std::vector<listed_file>& manifest, bool listed) {
  for (const auto& m : manifest) {
    const auto found = std::find_if(files.begin(), files.end(), [&](const auto& f) { return f.name == m.name; });
    if (found == files.end()) {
      if (!listed) files.push_back(m);  // what the listing does not show is not there (any more)
      continue;
    }
    if (!m.sha256.empty()) {
      if (!found->sha256.empty() && found->sha256 != m.sha256)
        found->sha256_else = found->sha256_by + " says " + found->sha256;
      found->sha256 = m.sha256;
      found->sha256_by = m.sha256_by;
    }
    if (!m.chunks.empty()) found->chunks = m.chunks;
    found->block = m.block;
    found->chain_id = m.chain_id;
    found->unpacked = m.unpacked;
    found->node_version = m.node_version;
    found->set = m.set;
    if (m.size) found->size = m.size;
    found->size_announced = m.size.has_value();
    if (m.time && m.time_exact) {
      found->time = m.time;
      found->time_exact = true;
    }
  }
}

// Takes manifest.json out of the files; whether it was there.
bool take_manifest(std::vector<listed_file>& files) {
  return std::erase_if(files, [](const listed_file& f) { return f.name == "manifest.json"; }) > 0;
}

// The manifest in the directory `dir`, which ends in "/"; false when there is none.
outcome<bool> merge_manifest_at(remote_client& host, const std::string& dir, std::vector<listed_file>& files,
                                bool listed) {
  std::string body;
  auto answer = host.get(dir + "manifest.json", body);
  if (!answer) return answer.error();
  if (answer->status != 200) return false;
  auto manifest = parse_json_listing(body, dir);
  if (!manifest) return unreachable(without_password(dir) + "manifest.json: " + manifest.error().message);
  announced_by(*manifest, "manifest.json");
  merge_manifest(files, *manifest, listed);
  return true;
}

// "SIZE SECONDS NANOSECONDS NAME" of local_server.hpp.
std::optional<listed_file> parse_local_line(std::string_view line, const std::string& dir) {
  listed_file file;
  std::array<std::uint64_t, 3> numbers{};
  for (auto& n : numbers) {
    const auto [end, ec] = std::from_chars(line.data(), line.data() + line.size(), n);
    if (ec != std::errc{} || end == line.data() + line.size()) return std::nullopt;
    line.remove_prefix(static_cast<std::size_t>(end - line.data()) + 1);
  }
  const auto time = std::chrono::seconds(numbers[1]) + std::chrono::nanoseconds(numbers[2]);
  file.name = percent_decode(line);
  file.url = dir + std::string(line);
  file.size = numbers[0];
  file.time = base::wall_time(std::chrono::duration_cast<base::wall_time::duration>(time));
  file.time_exact = true;
  return file;
}

// A directory of this machine, or one file in it.
outcome<std::vector<listed_file>> list_local(remote_client& host, std::string path, listing_scope& scope) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  auto answer = host.head(file_url(path));
  if (!answer) return answer.error();
  if (answer->status != 200) return unreachable(status_text(*answer));
  std::vector<listed_file> out;
  if (answer->content_type != local_directory_type) {
    out.push_back({path.substr(path.rfind('/') + 1), file_url(path), answer->length, answer->time,
                   answer->time.has_value(), ""});
    return out;
  }
  std::string body;
  answer = host.get(file_url(path), body);
  if (!answer) return answer.error();
  if (answer->status != 200) return unreachable(status_text(*answer));
  scope.whole = true;
  const auto dir = file_url(path) + "/";
  bool has_manifest = false;
  for (std::string_view left = body; !left.empty();) {
    const auto line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    auto file = parse_local_line(line, dir);
    if (!file) continue;
    has_manifest = has_manifest || file->name == "manifest.json";
    if (!is_wanted(file->name, scope.wanted) || file->name == "manifest.json") continue;
    if (file->size == 0U && scope.wanted == listed::snapshots) continue;
    out.push_back(std::move(*file));
  }
  if (has_manifest)
    if (auto merged = merge_manifest_at(host, dir, out, true); !merged) return merged.error();
  return out;
}

outcome<std::vector<listed_file>> list_http_directory(remote_client& host, const std::string& url,
                                                      listing_scope& scope) {
  std::string body;
  auto answer = host.get(url, body);
  if (!answer) return answer.error();
  std::vector<listed_file> out;
  const bool listed = answer->status == 200;
  std::string base = url;
  bool has_manifest = false;
  if (listed) {
    base = answer->url.substr(0, answer->url.find_first_of("?#"));
    if (!base.ends_with('/')) base += '/';
    auto files = parse_listing(body, base, scope.wanted);
    if (!files) return unreachable(without_password(url) + ": " + files.error().message);
    out = std::move(*files);
    announced_by(out, "the listing");
    scope.whole = true;
    has_manifest = take_manifest(out);
  }
  // A host may serve files without listing them: then the manifest alone says what is there.
  const bool hidden = answer->status == 403 || answer->status == 404;
  if (has_manifest || hidden) {
    auto merged = merge_manifest_at(host, base, out, listed);
    if (!merged) return merged.error();
    if (*merged) return out;
  }
  if (!listed)
    return unreachable(without_password(url) + ": " + status_text(answer->status) +
                       "; the directory needs a listing (nginx: autoindex on) or a manifest.json");
  return out;
}

outcome<std::vector<listed_file>> list_sftp_file(remote_client& host, const std::string& url) {
  auto answer = host.head(url);
  if (!answer) return answer.error();
  if (answer->status != 200 || !answer->length)
    return unreachable(without_password(url) + ": there is no such file or directory on the host");
  listed_file file;
  file.name = percent_decode(url.substr(url.rfind('/') + 1));
  if (!is_snapshot_name(file.name)) return unreachable(without_password(url) + " gives no usable file name");
  file.url = url;
  file.size = answer->length;
  file.time = answer->time;
  file.time_exact = file.time.has_value();
  return std::vector<listed_file>{std::move(file)};
}

outcome<std::vector<listed_file>> list_sftp(remote_client& host, const std::string& url, listing_scope& scope) {
  const auto dir = url.ends_with('/') ? url : url + "/";
  std::string body;
  auto answer = host.get(dir, body);
  if (!answer) return answer.error();
  if (answer->status == 404 && dir != url) return list_sftp_file(host, url);
  if (answer->status == 404) return unreachable(without_password(url) + ": there is no such directory on the host");
  if (answer->status != 200)
    return unreachable(without_password(url) + ": the host's user may not read this directory");
  auto files = parse_sftp_listing(body, dir, std::chrono::system_clock::now(), scope.wanted);
  if (!files) return unreachable(without_password(url) + ": " + files.error().message);
  scope.whole = true;
  if (take_manifest(*files))
    if (auto merged = merge_manifest_at(host, dir, *files, true); !merged) return merged.error();
  return std::move(*files);
}

outcome<std::vector<listed_file>> list_s3(remote_client& host, const model::source& source, listing_scope& scope) {
  const auto place = place_of(source);
  std::vector<listed_file> out;
  std::string continuation;
  for (unsigned page = 0; page < most_s3_pages; ++page) {
    std::string body;
    auto answer = host.get(place.base + "?" + s3_list_query(place.prefix, continuation), body);
    if (!answer) return answer.error();
    if (answer->status != 200) {
      const auto why = s3_error_text(body);
      return unreachable(source.url + ": " + (why.empty() ? "HTTP status " + std::to_string(answer->status) : why));
    }
    auto one = parse_s3_page(body, place.base, place.prefix, scope.wanted);
    if (!one) return unreachable(source.url + ": " + one.error().message);
    out.insert(out.end(), std::make_move_iterator(one->files.begin()), std::make_move_iterator(one->files.end()));
    continuation = one->continuation;
    if (continuation.empty()) break;
  }
  if (!continuation.empty())
    return unreachable(source.url + " holds too many objects; give the snapshots a prefix of their own");
  scope.whole = true;
  const auto manifest = std::find_if(out.begin(), out.end(), [](const auto& f) { return f.name == "manifest.json"; });
  if (manifest == out.end()) return out;
  const auto dir = manifest->url.substr(0, manifest->url.rfind('/') + 1);
  take_manifest(out);
  if (auto merged = merge_manifest_at(host, dir, out, true); !merged) return merged.error();
  return out;
}

// Where the side files of `name` are, which the source's `url` redirects to `pinned`: an address that lets in by its
// query lets in to that one file, so that beside it nothing can be asked for.
std::string beside_of(const std::string& url, const std::string& pinned, const std::string& name) {
  if (pinned == url || pinned.find('?') == std::string::npos) return {};
  const auto path = url.substr(0, url.find_first_of("?#"));
  const auto last = path.rfind('/') + 1;
  return has_archive_ending(percent_decode(path.substr(last))) ? path : path.substr(0, last) + percent_encode(name);
}

outcome<std::vector<listed_file>> list_index(remote_client& host, const std::string& url) {
  std::string body;
  auto answer = host.get(url, body);
  if (!answer) return answer.error();
  if (answer->status != 200) return unreachable(without_password(url) + ": " + status_text(answer->status));
  const auto path = answer->url.substr(0, answer->url.find_first_of("?#"));
  auto files = parse_json_listing(body, path.substr(0, path.rfind('/') + 1));
  if (!files) return unreachable(without_password(url) + ": " + files.error().message);
  announced_by(*files, percent_decode(path.substr(path.rfind('/') + 1)));
  return std::move(*files);
}

// A text that holds a name is followed once, and what it names is pinned: the text may say something else in the
// middle of the download.
outcome<std::vector<listed_file>> list_http_file(remote_client& host, const std::string& url, bool follow,
                                                 listing_scope& scope) {
  auto answer = host.look_at(url);
  if (!answer) return answer.error();
  const auto pinned = answer->url.substr(0, answer->url.find('#'));
  const auto path = pinned.substr(0, pinned.find('?'));
  const auto is_a = [&](std::string_view type) {
    return answer->status == 200 && answer->content_type.starts_with(type);
  };
  // Servers lead from a directory to its address with a slash, so that what answers without one is a document.
  if (is_a("application/json") && !path.ends_with('/')) return list_index(host, pinned);
  if (path.ends_with('/') || is_a("text/html"))
    return list_http_directory(host, path.ends_with('/') ? path : path + "/", scope);
  if (answer->status != 200) return unreachable(without_password(url) + ": " + status_text(answer->status));
  listed_file file;
  file.name = disposition_name(answer->content_disposition);
  const auto last = percent_decode(path.substr(path.rfind('/') + 1));
  if (follow && file.name.empty() && may_be_pointer(last, answer->content_type, answer->length)) {
    std::string text;
    auto whole = host.peek(pinned, text, most_pointer_bytes);
    if (!whole) return whole.error();
    if (text.size() <= most_pointer_bytes) {
      const auto pointed = pointed_url(text, pinned);
      if (!pointed)
        return unreachable(without_password(url) + " is a text that names no file; its first line has to be a name");
      return list_http_file(host, *pointed, false, scope);
    }
    answer = whole;  // an archive: some hosts say length 0 to a HEAD
  }
  if (!is_snapshot_name(file.name)) file.name = last;
  if (!is_snapshot_name(file.name)) return unreachable(without_password(url) + " gives no usable file name");
  file.url = pinned;  // a later redirect to a newer file must not mix with this one
  file.beside = beside_of(url, pinned, file.name);
  if (answer->length != 0U) file.size = answer->length;
  file.time = parse_http_time(answer->last_modified);
  file.time_exact = file.time.has_value();
  return std::vector<listed_file>{std::move(file)};
}

outcome<std::vector<listed_file>> list_any(remote_client& host, listing_scope& scope) {
  const auto& url = host.access().url;
  if (const auto path = file_source_path(url)) return list_local(host, *path, scope);
  if (url.starts_with("sftp://")) return list_sftp(host, url, scope);
  if (url.starts_with("s3://")) return list_s3(host, host.access(), scope);
  if (!url.starts_with("http://") && !url.starts_with("https://"))
    return unreachable("source \"" + without_password(url) +
                       "\" is of no kind known here; write https://, http://, sftp://, s3:// or file:///dir/");
  if (url.ends_with('/')) return list_http_directory(host, url, scope);
  if (url.ends_with(".json")) return list_index(host, url);
  return list_http_file(host, url, true, scope);
}

}  // namespace

outcome<std::vector<listed_file>> list_source(remote_client& host, listing_scope& scope) {
  scope.whole = false;
  auto files = list_any(host, scope);
  if (!files) return files;
  std::string first;
  const auto left_out = std::erase_if(*files, [&](const listed_file& f) {
    const auto problem = downgrade_problem(host.access(), f.url);
    if (first.empty() && !problem.empty()) first = f.name + " is left out: " + problem;
    return !problem.empty();
  });
  if (left_out > 0)
    scope.notes.push_back(first + (left_out > 1 ? "; so are " + std::to_string(left_out - 1) + " more" : ""));
  join_chunk_indexes(*files, scope.wanted);
  return files;
}

bool refine(remote_client& host, listed_file& file) {
  auto answer = host.look_at(file.url);
  if (!answer || answer->status != 200) return false;
  auto length = answer->length;
  // Some hosts say 0 to any HEAD, some nothing of a file that is empty: the file itself decides.
  if (length == 0U || (!length && !file.size)) {
    std::string first;
    auto content = host.peek(file.url, first, 0);
    if (!content || content->status != 200) return false;
    length = first.empty() ? 0 : content->length;
  }
  if (length && !file.size_announced) file.size = length;
  if (file.time_exact) return true;  // a manifest's, which says more than when the file was put there
  if (const auto time = answer->time ? answer->time : parse_http_time(answer->last_modified)) {
    file.time = time;
    file.time_exact = true;
  }
  return true;
}

}  // namespace hasup::snapshot
