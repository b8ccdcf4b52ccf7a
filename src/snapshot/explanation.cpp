#include "snapshot/explanation.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/byte_size.hpp"
#include "snapshot/candidate_order.hpp"

namespace hasup::snapshot {
namespace {

struct wanted_name {
  name_matcher matcher;
  std::string text;
  std::uint64_t least = 0;  // bytes
};

std::vector<wanted_name> names_wanted(const std::vector<model::recovery_plan>& plans,
                                      const std::vector<listed_file>& files) {
  std::vector<wanted_name> out;
  for (const auto& plan : plans) {
    for (const auto& spec : plan.archives) {
      const auto& text = spec.match.empty() ? spec.pattern : spec.match;
      if (std::any_of(out.begin(), out.end(), [&](const auto& o) { return o.text == text; })) continue;
      auto matcher = name_matcher::from(spec);
      if (!matcher) continue;
      const auto least = least_plausible_size(*matcher, files);
      out.push_back({std::move(*matcher), text, least});
    }
  }
  return out;
}

// ".part" of "a.bin.part", ".pending-" of ".pending-a.bin", and the name that the file is to have.
struct unfinished_name {
  std::string mark;
  std::string final_name;
};

unfinished_name read_unfinished(std::string_view name) {
  for (const std::string_view lead : {".pending-", ".incomplete-"})
    if (name.starts_with(lead)) return {std::string(lead), std::string(name.substr(lead.size()))};
  const auto dot = name.rfind('.');
  return {std::string(name.substr(dot)), std::string(name.substr(0, dot))};
}

constexpr std::string_view torn = "is implausibly small: ";

std::string why_torn(const listed_file& f, std::uint64_t least) {
  if (!f.size || *f.size >= least) return {};
  return std::string(torn) + base::format_byte_size(*f.size) + ", less than a tenth of what the others have";
}

}  // namespace

std::vector<ports::passed_over> passed_over_files(const std::vector<model::recovery_plan>& plans,
                                                  const std::string& source, const std::vector<listed_file>& files) {
  const auto wanted = names_wanted(plans, files);
  const auto fitting = [&](std::string_view name) {
    return std::find_if(wanted.begin(), wanted.end(), [&](const auto& w) { return w.matcher.matches(name); });
  };
  std::string all;
  for (const auto& w : wanted) all += (all.empty() ? "" : ", ") + w.text;
  std::vector<ports::passed_over> out;
  for (const auto& f : files) {
    const auto kind = kind_of_name(f.name);
    if (kind != name_kind::snapshot && kind != name_kind::unfinished) continue;
    auto name = f.name;
    std::string why;
    if (kind == name_kind::unfinished) {
      const auto unfinished = read_unfinished(f.name);
      name = unfinished.final_name;
      why = "is still being written (" + unfinished.mark + ")";
    } else if (f.size == 0U) {
      why = "is empty";
    }
    const auto fits = fitting(name);
    if (fits == wanted.end())
      why = "does not match " + all;
    else if (why.empty())
      why = why_torn(f, fits->least);
    if (why.empty()) continue;
    const auto block = fits == wanted.end() ? std::nullopt : fits->matcher.block_of(name);
    out.push_back({snapshot_of(f, source, block), why});
  }
  return out;
}

std::vector<ports::passed_over> torn_files(const std::vector<model::recovery_plan>& plans, const std::string& source,
                                           const std::vector<listed_file>& files) {
  auto out = passed_over_files(plans, source, files);
  std::erase_if(out, [](const auto& p) { return !p.why.starts_with(torn); });
  return out;
}

shown_side_files side_files_of(std::string_view name, const std::vector<listed_file>& files) {
  constexpr std::array<std::string_view, 8> endings{".sha256", ".sha256sum", ".sha512", ".sha512sum",
                                                    ".b2",     ".b2sum",     ".md5",    ".md5sum"};
  constexpr std::array<std::string_view, 4> sums{"SHA256SUMS", "SHA512SUMS", "B2SUMS", "MD5SUMS"};
  shown_side_files out;
  for (const auto& f : files) {
    if (std::find(sums.begin(), sums.end(), f.name) != sums.end()) out.digest = true;
    if (!std::string_view(f.name).starts_with(name)) continue;
    const auto rest = std::string_view(f.name).substr(name.size());
    if (std::find(endings.begin(), endings.end(), rest) != endings.end()) out.digest = true;
    if (rest == ".minisig") out.signature = true;
  }
  return out;
}

}  // namespace hasup::snapshot
