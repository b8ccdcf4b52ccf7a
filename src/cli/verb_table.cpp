#include "cli/verb_table.hpp"

namespace hasup::cli {

const std::vector<verb>& verbs() {
  static const std::vector<verb> all{
      {"status",
       {"ls", "list", "ps"},
       "Show all units, or some in detail",
       targets::units_optional,
       "Exits with 3 when a named unit is not running or not healthy (completed is fine), 4 when "
       "there is no such "
       "unit.\n"
       "\nExamples:\n  hasup status\n  hasup status --watch\n  hasup status leap && echo fine\n"
       "  hasup status --json | jq '.units[] | select(.health != \"healthy\")'\n"},
      {"start",
       {},
       "Start units, with all that they require",
       targets::units,
       "Waits until they are healthy. A failed unit gets a new chance: its start limit is cleared.\n"
       "--all starts what is enabled, and leaves completed one-shot units alone; a unit that is named starts in any "
       "case.\n"
       "--once -- WORDS adds arguments to one run of one unit that does not run.\n"
       "--from-nothing lets one unit begin without its state, this once: a member that was added anew, a node that\n"
       "syncs from its peers. Without it that never happens.\n"
       "--adopt takes over the process that has the unit's data open although hasup did not start it (by hand, under "
       "pm2):\n"
       "it runs on, is probed and stopped as the unit's own, and its next start is hasup's. What started it must not "
       "start\n"
       "it again.\n"
       "\nExamples:\n  hasup start leap\n  hasup start leap --once -- --replay-blockchain\n  hasup start @realtime "
       "--timeout 5m\n  hasup start --all --no-wait\n"},
      {"stop",
       {},
       "Stop units, dependents first",
       targets::units,
       "Waits until they are stopped. A unit that does not end within its stop_timeout is killed: when that would be "
       "is shown\nwhile it stops, and that it was, in status. Ctrl-C ends the waiting, never a unit. "
       "--no-kill never kills, also when somebody asks again\nwithout it: `hasup signal UNIT KILL` does. The units "
       "stay "
       "down until they are started again.\n"
       "\nExamples:\n  hasup stop eos-evm-node\n  hasup stop miner@2\n  hasup stop --all --no-kill\n"},
      {"restart",
       {},
       "Restart units; dependents only where on_loss says so",
       targets::units,
       "The instances of a unit one after the other, each healthy before the next.\n"
       "\nExamples:\n  hasup restart leap\n  hasup restart @realtime --no-wait\n"},
      {"reload",
       {},
       "Have units read their configuration again",
       targets::units,
       "Runs check_command and, when it succeeds, sends reload_signal. A unit without reload_signal is restarted, "
       "one\n"
       "instance after the other.\n"
       "\nExamples:\n  hasup reload nginx\n"},
      {"signal",
       {},
       "Send a signal to the main process of units",
       targets::units_and_word,
       "\nExamples:\n  hasup signal leap USR1\n"},
      {"scale",
       {},
       "Set how many instances of a unit run",
       targets::units_and_word,
       "Holds over run.instances of the unit file, as `hasup status` and `hasup apply` say, until it is set again or "
       "taken\nback with --reset, or until the file says the same when it is read. From one instance to several, and "
       "back, the first\nis restarted, since its log is called UNIT@0.log then.\n"
       "\nExamples:\n  hasup scale miner 4\n  hasup scale miner --reset\n"},
      {"enable",
       {},
       "Start units when the daemon starts",
       targets::units,
       "Holds over `enabled` of the unit file until --reset, or until the file says the same when it is read. Starts "
       "nothing\nnow.\n\nExamples:\n  hasup enable miner && hasup start miner\n  hasup enable miner --reset\n"},
      {"disable",
       {},
       "Do not start units when the daemon starts",
       targets::units,
       "Holds over `enabled` of the unit file until --reset, or until the file says the same when it is read. Stops "
       "nothing\nnow.\n\nExamples:\n  hasup disable miner && hasup stop "
       "miner\n"},
      {"maintenance",
       {},
       "Suspend what health does to units while a person works on them",
       targets::units_and_word,
       "While it is on, a failing liveness probe, start_timeout, on_loss, memory_restart, the death of a shim,\n"
       "schedules and a switch of an upstream stop and restart nothing, and no recovery begins by itself: `hasup "
       "why` says what is held back,\n"
       "and `off` lets it begin, but for what is no longer so.\n"
       "What ends for another reason is still started again; `hasup stop` stops it.\n"
       "\nExamples:\n  hasup maintenance on leap\n  hasup maintenance off leap\n"},
      {"apply",
       {},
       "Read the unit files again and apply the difference",
       targets::none,
       "A unit restarts only when something of it changed that a running program cannot be given. Probes, policies,\n"
       "all of [run.limits] and [log], timeouts and commands beside it apply at once; what is no longer configured "
       "is\n"
       "stopped; a broken file changes nothing.\n"
       "\nExamples:\n  hasup check && hasup apply --dry-run\n  hasup apply\n"},
      {"logs",
       {},
       "Show what units wrote",
       targets::units_optional,
       "Reads the log files, rotated and compressed ones too, also without the daemon. Several units are put "
       "together\n"
       "by time, and with them the files of [log] follow. Shows the last 100 lines; all lines with --since, --grep "
       "or\n"
       "--previous. -f goes on over rotations. --json prints one object a line.\n"
       "\nExamples:\n  hasup logs leap -f\n  hasup logs leap --previous\n  hasup logs @evm --since 10m --grep "
       "'warn|error'\n"
       "  hasup logs --since 2026-11-21 --json | jq -r 'select(.stream == \"stderr\").message'\n"
       "  hasup logs leap -n all | less\n"},
      {"why",
       {"describe"},
       "Tell the story of a unit: what happened, what was tried, what comes next",
       targets::one_unit,
       "\nExamples:\n  hasup why leap\n  hasup why miner@1 --json\n"},
      {"events",
       {},
       "Show what happened",
       targets::none,
       "\nExamples:\n  hasup events\n  hasup events -f --unit leap\n  hasup events --json -n all\n"},
      {"check",
       {},
       "Check unit files, all errors at once",
       targets::paths,
       "Without PATH: the whole configuration. Exits with 6 when there is an error. Changes nothing. Programs, users "
       "and\n"
       "directories that this machine does not have are warnings.\n"
       "\nExamples:\n  hasup check\n  hasup check units/leap.toml\n"},
      {"graph",
       {},
       "Draw which unit requires which",
       targets::none,
       "\nExamples:\n  hasup graph\n  hasup graph --dot | dot -Tsvg > units.svg\n"},
      {"recover",
       {},
       "Restore a unit's state from a snapshot",
       targets::one_unit,
       "Finds a snapshot that has room, fetches, verifies and unpacks it; a unit that runs is stopped only then, and "
       "runs on\nwhen none fits.\n"
       "The old state is kept until the node runs from the new one, and comes back when that does not work out.\n"
       "On a terminal it asks before a healthy unit is stopped; where its input is none, as in a script, it takes "
       "--yes "
       "(in\n"
       "mode ask it prepares all without). --yes also approves a recovery that waits for a person (state `asking`).\n"
       "--history shows one line for each earlier recovery. --cancel ends one before anything is replaced; "
       "--rollback takes one back after that, also a "
       "stopped\n"
       "one, until the new state is confirmed: only then the old one is deleted. What the node has written since is "
       "gone\n"
       "then. A snapshot that was not good is passed over from then on; `hasup reset` forgets that.\n"
       "Where there is no room for both, the old state may be deleted first (recovery.space): that has no way back, "
       "so\nit is asked for, or said with --yes; --dry-run tells.\n"
       "\nExamples:\n  hasup recover leap --dry-run\n  hasup recover leap --snapshot snapshot-2026-11-21.bin.zst\n"
       "  hasup recover leap --cancel\n"},
      {"snapshot",
       {},
       "List, fetch, verify and create snapshots by hand, without the daemon",
       targets::none,
       "WHAT is a unit: then its sources, recipe and policy count, and `>` marks what a recovery would take. Or it "
       "is "
       "a\n"
       "source: https://HOST/DIR/, sftp://USER@HOST/DIR/, s3://BUCKET/PREFIX/, a directory such as ./DIR, or one "
       "file.\n"
       "get continues what an earlier call left in DIR/NAME.part, and puts nothing under its final name but what is\n"
       "whole and fits what its host says of it. Where the host has an index of the archive (NAME.chunks, which "
       "create\n"
       "writes), get loads only what differs from the newest archives in DIR and from what --seed names. verify "
       "reads each file as a restore would, writes nothing, and "
       "checks "
       "it\n"
       "against the checksums beside it (FILE.sha256, SHA256SUMS, …) and, with --public-key, FILE.minisig.\n"
       "create packs the data of units that do not run (what their recipe replaces), directories, or files: tar and\n"
       "zstd on all cores, with NAME.sha256 and a row in manifest.json; what it puts --to a place has its name only\n"
       "when it is whole. NAME.chunks lets hosts that have an older one load only what is new (--no-chunks: "
       "without).\n"
       "Exits with 1 when list finds nothing to take, or a file is not right.\n"
       "\nExamples:\n  hasup snapshot list leap\n  hasup snapshot list https://backup.example/leap/ --match "
       "'snapshot-*.bin.zst'\n  hasup snapshot get leap -o /mnt/spare\n  hasup snapshot get "
       "sftp://backup@host/srv/leap/ --name 'snapshot-*' ./\n  hasup snapshot verify snapshot-2026-11-21.bin.zst\n"
       "  hasup snapshot create eos-evm-node --to s3://backups/evm/ --sign backup.key\n"},
      {"upstream",
       {},
       "Show which server of an upstream is used, and why; have one avoided",
       targets::word,
       "Without NAME: all that units use. One that stands in a unit is called UNIT/NAME. avoid takes an endpoint "
       "only "
       "when no\nother is healthy, until --for is over or --undo says otherwise; on_change says whether units are "
       "restarted for it.\n"
       "Keys of upstreams/NAME.toml, and of [upstream.NAME] in a unit: `hasup help upstreams`.\n"
       "\nExamples:\n  hasup upstream\n  hasup upstream leap --json\n  hasup upstream avoid leap vm11 --for 2h\n"
       "  hasup upstream avoid leap vm11 --undo\n"},
      {"reset",
       {},
       "Forget failed starts, start limit, recovery budget, bad snapshots and left endpoints of a unit",
       targets::units,
       "Forgets all five, and starts the unit again, or its recovery, when it is wanted up; one that was stopped by "
       "hand\nstays down.\n"
       "\nExamples:\n  hasup reset leap\n"},
      {"wait",
       {},
       "Wait until units are healthy, running, stopped or completed",
       targets::units,
       "Exits with 1 on a timeout, or at once when a unit has failed for good or waits for one that has. A failure\n"
       "that is tried again by itself is waited for.\n"
       "\nExamples:\n  hasup wait leap --for healthy --timeout 10m\n"},
      {"probe",
       {},
       "Ask a unit's probes, or a preset, and explain the answer",
       targets::unit_or_preset,
       "Each is asked once; one with advances_within again and again, until the number has grown or has stood still "
       "for\n"
       "that long, or --timeout is over. The nodes of its reference are asked too. Exits with 1 when one fails or\n"
       "cannot be judged.\n"
       "A URL behind a preset is its parameter url; HOST:PORT gets the scheme of the preset.\n"
       "Keys of a unit's probes: `hasup help unit readiness`; of presets: `hasup help preset`.\n"
       "\nExamples:\n  hasup probe leap\n  hasup probe antelope http://127.0.0.1:8888\n  hasup probe cosmos-synced "
       "127.0.0.1:26657 min_peers=3\n"},
      {"classify",
       {},
       "Tell how a recipe understands an exit",
       targets::word,
       "\nExamples:\n  hasup classify nodeos --exit 2 --log /var/log/hasup/leap.log\n  hasup classify nodeos --exit "
       "1 "
       "--log - --ran-for 3s --before-startup < leap.log\n"},
      {"cat",
       {},
       "Print a unit file",
       targets::one_unit,
       "--effective: with what it extends merged and variables filled in; secrets stay placeholders. What was set by "
       "hand\n(`hasup scale`, `enable`, `disable`) counts, and a comment says so, when hasupd runs.\n"
       "\nExamples:\n  hasup cat leap --effective\n"},
      {"exec",
       {},
       "Run a command as a unit's node would be run",
       targets::one_unit,
       "With the unit's user and groups, environment (env_file and secrets too), directory, umask and limits, as its "
       "file\n"
       "says now. Standard input and output, the terminal and the exit code are the command's own. It runs beside "
       "the "
       "unit:\n"
       "the unit need not run, stop does not wait for it, and its output is in no log. Needs the rights to do so: "
       "root, "
       "or\n"
       "the unit's user where he may read its env_files. 126 and 127 as in a shell: it cannot be run, is not there.\n"
       "\nExamples:\n  hasup exec leap -- cleos get info\n  hasup exec miner@1 -- env\n  hasup exec geth -- geth "
       "attach\n"},
      {"import",
       {},
       "Write unit files for the processes of pm2",
       targets::none,
       "Reads FILE (pm2's dump.pm2, or the output of `pm2 jlist`; - is standard input), else dump.pm2 in PM2_HOME or "
       "~/.pm2,\n"
       "else the running pm2. Writes one unit a group of processes of one name; secrets go to NAME.env with mode "
       "0600.\n"
       "Starts and stops nothing: it prints the steps that go over without two copies of a program at any moment.\n"
       "\nExamples:\n  hasup import pm2 --dry-run\n  pm2 jlist > list.json && hasup import pm2 list.json --output "
       "/tmp/units\n"
       "  hasup import pm2 --running\n"},
      {"init",
       {},
       "Write unit files from the templates that come with hasup",
       targets::none,
       "Copies a template to the units directory, with the values of its variables ([vars]): from --set, or asked "
       "for "
       "on a\nterminal, where Enter takes what stands there. Not on a terminal a host or key that the template only "
       "makes up\nmust be given. Starts nothing: `hasup apply` does, once `hasup check` is content.\n"
       "\nExamples:\n  hasup init --list\n  hasup init eos-evm/leap\n  hasup init eos-evm/leap eos-evm/eos-evm-node "
       "--set leap.backup=https://b.example.org/leap/ --yes\n  hasup init ethereum/geth --name geth-2 --set "
       "home=/srv/geth-2 --dry-run\n"},
      {"daemon",
       {},
       "Put a new hasupd in the place of the running one; no unit notices",
       targets::none,
       "upgrade: has the new program check itself (configuration, state, what runs) and, only when it is content, "
       "puts "
       "it\n"
       "in the place of the old one: same process, same lock, same socket, every unit runs on. Otherwise the old one "
       "goes\n"
       "on and says why. The new program is the file that hasupd was started from, as it is now on the disk. "
       "--binary "
       "is\n"
       "for root and the user of hasupd.\n"
       "\nExamples:\n  apt install ./hasup.deb && hasup daemon upgrade\n  hasup daemon upgrade --binary "
       "/opt/hasup-next/bin/hasupd\n"},
      {"demo",
       {},
       "Watch a disaster and its end: offline, in a temporary directory, under 30 seconds",
       targets::none,
       "With --keep --json the member `home` is its HASUP_HOME, and how to talk to it stands on standard error.\n"
       "\nExamples:\n  hasup demo\n  hasup demo --keep\n"},
      {"completion",
       {},
       "Print a completion script for bash, zsh or fish",
       targets::word,
       "`hasup completion units` prints the names that the scripts complete.\n"
       "\nExamples:\n  hasup completion bash > /etc/bash_completion.d/hasup\n"
       "  hasup completion zsh > \"${fpath[1]}/_hasup\"\n  hasup completion fish > "
       "~/.config/fish/completions/hasup.fish\n"},
      {"version", {}, "Print the version", targets::none, ""},
  };
  return all;
}

}  // namespace hasup::cli
