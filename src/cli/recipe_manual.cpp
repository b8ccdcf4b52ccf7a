// Roff of hasup-recipe.5: how a kind of node fails and is restored. Its examples are loaded by a test.
#include "cli/manuals.hpp"
#include "cli/roff.hpp"

namespace hasup::cli {
namespace {

constexpr std::string_view intro = R"(.\" Made from the table of keys in config/schema; a test compares both.
.TH HASUP-RECIPE 5 "" "hasup" "hasup"
.SH NAME
hasup-recipe \- recipes of hasup: how a kind of node fails and is restored
.SH SYNOPSIS
.I recipes/NAME.toml
in the configuration directory, else among the shipped files
.SH DESCRIPTION
A unit names its recipe with
.B [recovery] recipe
and gives it parameters, see
.BR hasup-unit (5).
The recipe says which exits mean that the state itself is broken, which entries of the data directory are that state,
which archive restores them, and when the restored node is believed.
.PP
.I recipes/NAME.toml
is looked for in the configuration directory (as root
.IR /etc/hasup ,
else
.IR $XDG_CONFIG_HOME/hasup ,
with
.B HASUP_HOME
.IR $HASUP_HOME/etc ),
then among the shipped files
.RI ( share/hasup
beside the installed programs, or
.BR HASUP_SHARE ).
A file of one's own of the same name wins.
.B hasup check
checks a recipe also before a unit uses it.
.SS Parameters
What stands in
.B [params]
may be given by a unit, and
.B ${name}
in any string of the recipe is its value. A parameter is its default, or a table with
.BR default ", " required " (true or false) and " help .
In
.BR "[first_start] append" " and " "[import] command"
.B ${archive.NAME.path}
is the file or directory of the archive with
.BR "as = \(dqNAME\(dq" .
.SS Exits
When a start fails, the classes are held against the exit code or signal and the last 64 KiB of output, in their order;
the first that matches decides.
.BR recover " restores,"
.BR restart " starts again with backoff,"
.BR next_endpoint " does so too, with another endpoint of the upstream that the run used,"
.BR hold " leaves the unit failed, for a person."
A full disk is never answered with a recovery, be it that the output says so, that nothing was free under
.BR data.dir " or " data.also
at the exit, or, where no class knows better, that a bus error ended the run, as it does who writes into a mapped file on
a full disk; nor are a port in use and a refused permission when only a log line speaks for it. Anchor log patterns
with ^: a node also prints what its peers say. When in doubt a class is
.BR hold .
.BI "hasup classify " "RECIPE" " \-\-exit " "N" " \-\-log " FILE
tries it on a log, with
.BR \-\-ran\-for ", " \-\-before\-startup " and " \-\-readiness
also what follows.
.PP
.B next_endpoint
is for words that only a fault of the server at the other end explains. The instance leaves the endpoint of each
upstream that its run was filled in with, or that of the one that
.B upstream
names, for its
.BR leave_for ;
see
.BR hasup-upstream (5).
Nothing is ever wiped for it. A unit without an upstream, or with a single endpoint, is restarted as with
.BR restart ,
and its reason says so; so is one that hasup stopped, that the kernel killed for want of memory, or that was killed
from outside while only a line speaks for the class.
.PP
.BR within " and " after
ask how long the run lived from its start (its exec) to its end: earlier than
.BR within ,
not earlier than
.BR after .
.B startup
asks whether the run was past its startup when it ended
.RB ( passed )
or not
.RB ( not_passed ):
its startup probe had passed or, without one, its readiness probe had been answered once; with neither, every run is.
.B readiness
asks what the readiness probe's verdict was, by its thresholds:
.BR passed " or " failed .
They narrow what exit code, signal and log say, or stand alone for
.BR restart " and " hold ;
for
.B recover
they never speak alone, since they say nothing of the state. What is not known matches neither: the readiness of a run
whose probe had no verdict yet, the startup of one that began under an earlier hasupd and has not passed since, the time
of one whose end nobody saw. None of the four matches a run that hasup ended itself, as it does when the liveness probe
fails.
.SS A head that stands still
A node that runs and answers, but whose head has not grown for
.B liveness.advances_within
of its unit, is restarted. With
.B trigger.stuck_restarts
(a parameter of the shipped recipes nodeos and eos\-evm\-node) the state is replaced once so many restarts for it were in
vain, and only when all of this holds:
.TP
others advance
One node of the unit's
.B [recovery.reference]
was seen beyond the own head, and later with a higher head, within the last
.BR liveness.advances_within ,
while the own head stood. It is asked only then. A head that does not grow, and what is not known, are no evidence. It
should be a head of the same kind as that of
.BR [liveness] :
a node that follows irreversible blocks alone is behind every node that does not.
.TP
it is the same chain
where
.BR recovery.reference.chain_id ", " [require] " or the node itself, by " head.chain
of its preset, says which (antelope does, and evm\-chain; evm does not).
.TP
there is a snapshot beyond the own head
whose block a manifest or its name says for sure.
.TP
nothing else explains it
No class that says
.BR hold ,
and no full disk, in the node's output, or in its own files
.RB ( "log.follow" " of the unit)."
.PP
Otherwise it is restarted as before, with the event
.B head_stuck
that says which part is missing, and its state is left as it is: when a whole chain stands still, no node is wiped.
.PP
The node runs on while a snapshot is looked for, fetched and unpacked, and in mode ask until a person says yes; it is
stopped right before its state is replaced. When its head gets beyond where it stood before that, the recovery is called
off; so it is in maintenance, when the node has written by then what explains it (unless a person has said yes), and when
it ends with a class that says
.BR hold .
When it ends by itself for another reason, the recovery goes on without it. When hasupd died meanwhile, the next one asks
the node for its head before it stops it; where the node does not run any more (after a power cut, say), the recovery ends
and the node is started on what it has. When nothing comes of it, the node is
restarted as before, or, if it has ended, started on what it had. The restarts are counted anew when the head passes
where it stood, or when a person starts or restarts the unit.
.PP
A node that a recovery has restored, that tells its head, and whose head does not move for
.BR confirm.within ,
is judged by the same evidence: while nobody of
.B [recovery.reference]
advances beyond it, or nobody is there to ask, it runs and is waited for, with the event
.BR recovery_stands .
One that does not answer any more, or that others leave behind, makes room for the next older snapshot.
.SS What wipe means
.B wipe
names the entries of
.B data.dir
that a plan replaces, all together, by renames on the same disk. For each entry that is there, that the archive brings,
or both:
.TP
in wipe, and in the archive
The old one is put aside and the new one takes its place.
.TP
in wipe, not in the archive
The old one is put aside all the same, and the node starts without it: an index or a journal that belongs to the old
state must not meet the new one. Only what
.B must_exist
names has to come with the archive, which is refused as bad without it: the node would begin from nothing.
.TP
in the archive, not in wipe
Left out, with a note among the events. An archive with nothing that wipe covers is refused.
.TP
in neither
Stays as it is.
.PP
An entry, or a directory above it, that is a file system of its own cannot be moved.
Where
.B data.mount
of the unit names it, its children are replaced instead, each by renames within that file system; it gets a
.I .hasup
of its own for that, and
.I lost+found
stays. The archive is unpacked beside the data directory first, and what belongs there is copied over: both need the
room. Without that file system mounted nothing is touched, and the recovery and every start wait for it.
A mount point that
.B data.mount
does not name is refused before anything is fetched, and so is a volume inside of another one. The volume keeps a random
word by which it is known again: another one in its place, an older copy of it, or one in memory after a reboot is waited
for as if nothing were mounted.
.PP
What was put aside is deleted once the recovery is confirmed, and put back when it fails.
.BR keep " (identity files) is neither wiped nor brought in, even inside a wiped directory and with"
.BR "wipe = [\(dq*\(dq]" ;
.B shared
entries stay in place for this plan, and the node goes on with them. What they were is kept all the same where the file
system has reflinks (xfs, btrfs, bcachefs): right before the swap they are cloned into
.IR DATA_DIR/.hasup/clones ,
which takes no room but for what the node then overwrites, so that a roll back brings back exactly what was there;
what is kept inside of them stays as it is by then. Elsewhere, or where one of them is a link, a mount point of its own
or somebody else's, a roll back leaves in them what the node wrote, and says so;
.B hasup recover \-\-dry\-run
says it beforehand.
.SS Units that are restored as one set
Some states fit each other only when they are of the same moment: that of an EVM node and of the chain that it reads.
Units with the same word in
.B recovery.group
are restored together: when one of them needs a recovery, the others are, too, from archives of the same backup. Of which
backup an archive is says \(dqset\(dq of its row in
.IR manifest.json ,
which
.B hasup snapshot create \-\-set
.I NAME
writes; others are not used. Every member looks for its archives, fetches and unpacks them beside what runs; only once all
are staged the states are replaced. A member that is confirmed by itself keeps its old state until all are, and counts as
healthy for members that require it. When one cannot have that backup, or its node ends on it, all put their old states
back, and the next older backup that all have is tried. A member that is stopped, in maintenance or has mode off cannot be
restored, and so nobody of its group is. When one has mode ask, the unit
whose recovery it is asks for all. There is always a way
back:
.B recovery.space
is stage.
.B same_set
of a plan does the same for the archives of one unit. Without it the archives of a plan belong together when they have the
same block, or the same time in a group (?P<time>\(el), or the same text wherever
.BR match " or the named groups of " pattern
leave it open: state\-*.tar.zst and blocks\-*.tar.gz are paired by what stands for the *. What has no such partner is not
used.
.SS Which snapshots
The names come from
.BR match " or " pattern .
.B [require]
says what a snapshot must be beyond that, for every plan;
.B [plan.require]
for the plan above it, whose words win.
.TP
.BR chain_id ", " node_version
are held against what
.I manifest.json
beside the snapshots says of each, as
.B hasup snapshot create
writes it. A range of versions is conditions that hold together, as in \(dq>=5.0 <6\(dq, or alternatives, as in \(dq4.0 ||
^5.1\(dq: ^1.2 is from 1.2 until before 2, ~1.2.3 from 1.2.3 until before 1.3, 1.2 any that begins so. A release candidate
(\-rc1, \-beta2) comes before its release; any other suffix says nothing.
.TP
.B block_within
is a
.I blocks.log
of nodeos that stays in place. Its last block, which the worker reads as the unit's user, must be at or behind the
snapshot's, and its first one at most one beyond: nodeos refuses the rest. Where the plan wipes that file, nothing is
asked. A log that is not there, or holds no block, fits any snapshot; so does, with a note, one whose end is torn: the
node judges it itself then, and refuses in the words of
.BR refused_by .
.PP
What says nothing of it passes, unless there is
.BR "strict = true" .
.B hasup snapshot list
and the events of a recovery say which snapshots were passed over, and why.
.BR "hasup recover \-\-from " and " hasup snapshot get " \fINAME\fR
take what a person names.
.PP
From
.B unpacked_size
in
.I manifest.json
a recovery takes what a snapshot needs on the disk when it is unpacked (files without their holes). Where nothing says it,
a compressed one is reckoned to need three times its size.
.SH EXAMPLE
A small server keeps
.IR store.db " and " journal/ ,
beside its identity
.IR node.key .
It exits with 65 when the store is damaged. Its backups are named
.IR mysrv\-2026\-11\-21.tar.zst .
)";

constexpr std::string_view recipe_example = R"(# recipes/mysrv.toml
description = "mysrv: restores store.db from an archive"

[params]
match = { default = "mysrv-*.tar*", help = "glob of the archives; names sort by date" }
store = "store.db"

[[classify]]
name = "damaged store"
exit_code = 65
log = '^FATAL: store .*: (?:checksum mismatch|truncated)'
action = "recover"

[[classify]]
name = "configuration"
exit_code = 64
action = "hold"
advice = "correct /etc/mysrv.conf, then hasup start"

[trigger]
failed_starts = 0               # an exit that no class explains never wipes

[data]
must_exist = ["${store}"]       # mysrv would begin with an empty store
bootstrap = "recover"           # a new machine takes the newest backup
locks = ["${store}"]            # mysrv holds a lock on it while it runs
keep = ["node.key"]
wipe = ["${store}", "journal"]  # the journal belongs to the old store; backups have none

[snapshot]
match = "${match}"
order = "name"
into = "."

[confirm]
when = "healthy"
)";

constexpr std::string_view between = R"(.PP
A unit with it:
)";

constexpr std::string_view unit_example = R"(# units/mysrv.toml
[data]
dir = "/var/lib/mysrv"

[run]
command = ["/usr/bin/mysrv", "--dir", "${data.dir}"]
user = "nobody"

[readiness]
kind = "tcp"
address = "127.0.0.1:7070"

[recovery]
recipe = "mysrv"
source = "https://backup.example.com/mysrv/"
match = "mysrv-*.tar.zst"
)";

constexpr std::string_view several = R"(.PP
More than one way to restore: each
.B [[plan]]
is tried in its order, the next one when the node refuses a snapshot in the words of
.BR refused_by .
The snapshot is a file that the node imports itself, so it stays beside the data:
)";

constexpr std::string_view plans_example = R"(# recipes/mychain.toml
description = "mychain: imports a state file, and keeps its blocks when they fit"

[params]
binary = { required = true, help = "name of the state file in data.dir" }

[[classify]]
name = "damaged state"
exit_code = [2, 3]
match = "any"
log = '^error: state database is (?:dirty|corrupt)'
action = "recover"

[[plan]]
name = "state only"
wipe = ["${binary}"]
shared = ["blocks"]
refused_by = ['^error: no block \d+ for this state']
[[plan.archive]]
pattern = 'state-(?P<block>\d+)\.bin(?:\.zst|\.gz)?'
order = "block"
unpack = "decompress"
as = "state"

[[plan]]
name = "all"
wipe = ["*"]
[[plan.archive]]
pattern = 'state-(?P<block>\d+)\.bin(?:\.zst|\.gz)?'
order = "block"
unpack = "decompress"
as = "state"

[first_start]
append = ["--import", "${archive.state.path}"]

[confirm]
when = "advancing"
advancing_for = "1m"
)";

constexpr std::string_view ending = R"(.SH SEE ALSO
.BR hasup (1),
.BR hasup-unit (5),
.BR hasup-probe (5),
.BR hasupd (8)
)";

}  // namespace

std::string recipe_manual() {
  return std::string(intro) + roff_example(recipe_example) + std::string(between) + roff_example(unit_example) +
         std::string(several) + roff_example(plans_example) + ".SH KEYS\n" + roff_keys(config::recipe_keys()) +
         roff_not_yet(config::recipe_keys()) + std::string(ending);
}

}  // namespace hasup::cli
