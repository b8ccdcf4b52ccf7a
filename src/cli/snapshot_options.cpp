#include "cli/snapshot_options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "snapshot/listing.hpp"

namespace hasup::cli {

void add_snapshot_options(CLI::App& sub, invocation& into) {
  auto& o = into.snapshots;
  sub.add_option("ACTION", into.word, "list, get, verify or create")
      ->required()
      ->check(CLI::IsMember({"list", "get", "verify", "create"}));
  sub.add_option("WHAT", into.targets,
                 "list: a unit or a source. get: the same, then a snapshot's name and a directory. verify: files. "
                 "create: units, directories, files");
  sub.add_flag("-a,--all", into.all, "list: also files whose name is no snapshot's");
  sub.add_option("-o,--output", into.output, "get: put it here; default: the current directory")->type_name("DIR");
  sub.add_option("--name", o.name, "get: the newest of these, not the newest of all. create: call it so")
      ->type_name("GLOB");
  sub.add_flag("--force", into.force, "get, create: in place of another file of the same name");
  sub.add_option("--plan", into.plan, "Only for this plan of the unit's recipe")->type_name("NAME");
  sub.add_option("--public-key", o.public_key, "Must be signed with this key of minisign (RW…, or its file)")
      ->type_name("KEY");
  sub.add_option("--checksum", o.checksum, "required, or if_present (default)")
      ->check(CLI::IsMember({"required", "if_present"}))
      ->type_name("POLICY");
  sub.add_option("--max-rate", o.max_rate, "get: at most so many bytes a second, such as 20MiB/s")->type_name("SIZE");
  sub.add_option("--max-window", o.max_window,
                 "verify: memory for an archive compressed with --long, as recovery.max_window; default: 2GiB")
      ->type_name("SIZE");
  sub.add_option("--seed", o.seeds,
                 "get: do not fetch what this file has of it: an older archive, or a node's file such as blocks.log; "
                 "repeatable. Archives in DIR are used in any case")
      ->type_name("FILE")
      ->allow_extra_args(false);

  const auto made = [&](const char* option, auto& value, const char* help, const char* type) {
    return sub.add_option(option, value, help)->type_name(type)->group("options of create");
  };
  made("--to", o.to, "Put it here: a directory, sftp://USER@HOST/DIR/ or s3://BUCKET/PREFIX/", "URL|DIR");
  made("--level", o.level, "How hard zstd tries; default: 3", "N")->check(CLI::Range(1, 19));
  made("--sign", o.sign, "Sign it with this secret key of minisign", "KEYFILE");
  made("--password-file", o.password_file, "The key's password is in it; default: asked for on the terminal", "FILE");
  made("--block", o.block, "Its block, for manifest.json; default: as its name says", "N");
  made("--chain-id", o.chain_id, "For manifest.json", "ID");
  made("--node-version", o.node_version, "For manifest.json", "VERSION");
  made("--set", o.set, "The backup that it is part of, for manifest.json: archives with the same word fit together",
       "NAME");
  sub.add_flag("--no-chunks", o.no_chunks,
               "Larger frames, and no index of them: a host that has an older archive loads all of this one")
      ->group("options of create");
  sub.add_flag("--allow-changes", o.allow_changes, "Files that change while they are read are only named")
      ->group("options of create");

  const auto named = [&](const char* option, std::string& text, const char* help, const char* type) {
    return sub.add_option(option, text, help)->type_name(type)->group("options of a source that is named");
  };
  named("--match", o.match, "Names of its snapshots; default: all", "GLOB");
  named("--pattern", o.pattern, "The same as a regular expression (RE2) on the whole name, with (?P<block>[0-9]+)",
        "RE");
  named("--order", o.order, "Newest by block, time or name", "ORDER")
      ->check(CLI::IsMember({"block", "time", "name"}));
  named("--max-age", o.max_age, "Not older than this, such as 14d", "TIME");
  constexpr std::array<std::array<const char*, 4>, 12> source{{
      {"--patience", "patience", "How long to bear with it when it is slow or gone", "TIME"},
      {"--identity-file", "identity_file", "sftp: the private key; default: the agent's, ~/.ssh/id_*", "FILE"},
      {"--known-hosts", "known_hosts", "sftp: default: ~/.ssh/known_hosts", "FILE"},
      {"--endpoint", "endpoint", "s3: https://HOST of a store that is not Amazon's", "URL"},
      {"--region", "region", "s3", "NAME"},
      {"--credentials-file", "credentials_file", "s3: default: AWS_ACCESS_KEY_ID …, ~/.aws/credentials", "FILE"},
      {"--profile", "profile", "s3: of the credentials file", "NAME"},
      {"--ca-file", "ca_file", "https, s3: trust these certificates", "FILE"},
      {"--client-certificate", "client_certificate", "https: show this one", "FILE"},
      {"--client-key", "client_key", "https: its key", "FILE"},
      {"--header-file", "header_file", "http, https: lines \"Name: value\" to send, such as a token", "FILE"},
      {"--proxy", "proxy", "http, https, s3: default: http_proxy, https_proxy", "URL"},
  }};
  for (const auto& [option, key, help, type] : source) named(option, o.source_options[key], help, type);
}

namespace {

bool has_listing_options(const invocation& i) {
  const auto& o = i.snapshots;
  return !o.match.empty() || !o.pattern.empty() || !o.order.empty() || !o.max_age.empty();
}

bool has_create_options(const snapshot_call& o) {
  return !o.to.empty() || o.level != snapshot_call{}.level || !o.sign.empty() || !o.password_file.empty() ||
         o.allow_changes || o.no_chunks || o.block || !o.chain_id.empty() || !o.node_version.empty() ||
         !o.set.empty();
}

std::string create_problem(const invocation& i) {
  const auto& o = i.snapshots;
  if (i.targets.empty())
    return "create of what? A unit, a directory or a file: hasup snapshot create leap --to /backup";
  if (o.to.empty()) return "where to? hasup snapshot create " + i.targets[0] + " --to DIR|sftp://…|s3://…";
  if (i.targets.size() > 1 && !o.name.empty()) return "--name is for one archive; each of several has its own";
  if (!snapshot::is_manifest_word(o.set))
    return "--set is a word of at most 128 characters, such as the time at which the backup began";
  if (!o.password_file.empty() && o.sign.empty()) return "--password-file is for the key of --sign";
  if (has_listing_options(i) || !i.output.empty() || !o.checksum.empty() || !o.public_key.empty() ||
      !o.max_rate.empty() || !o.max_window.empty() || !o.seeds.empty())
    return "create takes --to, --name, --level, --sign, --plan and the ways into a host; it lists and fetches "
           "nothing";
  return {};
}

}  // namespace

std::string snapshot_usage_problem(const invocation& i) {
  const auto& o = i.snapshots;
  if (i.word == "create") return create_problem(i);
  if (has_create_options(o)) return "--to, --level, --sign and what else create takes is for create alone";
  if (i.word == "list" && i.targets.size() != 1)
    return "list what? A unit or a source: hasup snapshot list leap, hasup snapshot list https://HOST/DIR/";
  if (i.word == "get" && (i.targets.empty() || i.targets.size() > 3))
    return "get what? A unit or a source, then a name and a directory: hasup snapshot get leap -o /backup";
  if (i.word != "get" && !o.seeds.empty()) return "--seed is for get, which fetches";
  if (i.word == "verify" && i.targets.empty()) return "verify which files? hasup snapshot verify FILE…";
  if (i.word != "verify") return o.max_window.empty() ? std::string() : "--max-window is for verify alone";
  const bool of_source = std::any_of(o.source_options.begin(), o.source_options.end(),
                                     [](const auto& one) { return !one.second.empty(); });
  if (of_source || !o.match.empty() || !o.pattern.empty() || !o.order.empty() || !o.max_age.empty() ||
      !i.plan.empty() || !i.output.empty() || !o.name.empty())
    return "verify takes files of this machine, --public-key, --checksum and --max-window";
  return {};
}

}  // namespace hasup::cli
