// Roff of hasup-probe.5: presets, which teach hasup a new kind of chain. Its examples are loaded by a test.
#include "cli/manuals.hpp"
#include "cli/roff.hpp"

namespace hasup::cli {
namespace {

constexpr std::string_view intro = R"(.\" Made from the table of keys in config/schema; a test compares both.
.TH HASUP-PROBE 5 "" "hasup" "hasup"
.SH NAME
hasup-probe \- probe presets of hasup: how a kind of node is asked how it is
.SH SYNOPSIS
.I recipes/probes/NAME.toml
in the configuration directory, else among the shipped files
.SH DESCRIPTION
A preset is a probe with parameters. The sections
.BR [startup] ", " [readiness] " and " [liveness]
of
.BR hasup-unit (5)
name one with
.BR preset ,
and give its parameters beside it. The same keys stand in a unit file that has its check inline.
.PP
.I recipes/probes/NAME.toml
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
checks a preset also before a unit uses it, and
.BI "hasup probe " "NAME KEY" = VALUE ...
tries it on a node.
.SS Parameters
What stands in
.B [params]
may be given by a unit, and
.B ${name}
in any string of the preset is its value. A parameter is its default, or a table with
.BR default ", " required " (true or false) and " help .
Beside the parameters a unit may set
.BR interval ", " timeout ", " failures ", " successes ", " max_head_age ", " advances_within ","
.BR needs ", " max_behind ", " max_blocks_behind " and " reference " (these four in readiness and liveness) and"
.BR port_owner ,
and, for all requests that the preset makes of the unit's own node,
.BR header_file ", " ca_file ", " client_certificate ", " client_key " and " through ;
nothing else of a preset is changed by a unit.
.SS Verdict
The check stands at the top, or several stand in
.BR [[check]] ,
all of which must pass. A connection that is refused, an answer that takes longer than
.B timeout
and one that does not meet
.B expect
fail. What could not be asked (a missing header_file, a clock that is wrong) is unknown: it counts for nothing, but after
as many such answers in a row as
.BR failures ,
and at least three, a healthy unit has no verdict any more and is not healthy. Nothing is restarted for that. How fresh
the head must be is for the unit to say, with
.BR max_head_age " or " advances_within :
a preset that asks for it cannot serve as a startup probe, since a node that is behind has started.
.PP
A number advances when it goes beyond the highest one that was seen: of two nodes behind one address, one of which is
behind, nothing advances. Once that has not been seen for half of the time (after a fork, a rewind), what is beyond the
lower one counts again. Probes that begin together are spread over their interval.
.SS Behind others
.B [reference]
names somebody else's nodes, whose heads the own one is held against: a check of kind http or jsonrpc, several
.BR [[reference.check]] ,
each of which is one node, or, in
.B [readiness.reference]
and
.B [liveness.reference]
of a unit, a
.B preset
with its parameters. Beside it stands a limit:
.B max_behind
is about the time of the heads, also of chains with different numbers, such as an EVM and the Antelope chain that it is
made from;
.B max_blocks_behind
is about their numbers, on one chain. Both sides must tell what is compared. The node that is furthest counts; one that
names another chain than the own node does counts for no number.
.PP
All probes with the same reference ask it together, every
.BR interval .
A good answer counts for three intervals and a timeout, also when the next ones are bad. While none counts, the answer is
unknown: what was healthy stays so, and what has no verdict yet waits. Heads are held against heads, so that no clock
matters; that of the reference is some seconds old, so that a lag is judged too small rather than too large. In
.B [liveness]
it restarts a node that is catching up, too, once
.B failures
answers in a row said that it is behind. A startup probe has no reference, and the endpoints of an upstream are held against each other instead.
.PP
.nf
[readiness]
preset = "evm"
url = "http://127.0.0.1:8881"
max_behind = "30s"

[readiness.reference]
preset = "antelope"
url = "http://${upstream.leap.host}:8888"
.fi
.SS Nodes without an API
A check of kind
.B log
looks at what the run has written to its standard output and error since the last look: at most the last 64 KiB, and never
at what another run wrote. Of the lines that match
.B pattern
the newest counts. Until one has matched the check is unknown; with
.B max_age
it fails once it has been looked for that long, and again when the newest one is older: by
.BR (?P<time>...) ,
else by when it was read. After a start of
.BR hasupd (8)
the age of a line that was there already is unknown.
.B (?P<head>...)
is the head's number, for
.BR advances_within .
Files that a node writes itself are not read, and of more than 64 KiB between two looks the first lines are missed. A line
that comes only once belongs into
.BR [startup] :
elsewhere a later hasupd may not find it any more, and the check is unknown.
.PP
.B through
names a unit that answers for the one which is judged: eos-evm-rpc for eos-evm-node. The check is asked at its own
.BR url ,
and the socket there must belong to that unit. It is unknown while that unit does not run, does not answer, or answers
badly; it fails only for what is said of the head: its age, or that it stands still. Of as many instances the one of the
same number is meant, else the first that runs.
.PP
.B needs
of
.BR [readiness] " and " [liveness]
names units, and upstreams of the unit as
.BR upstream.NAME :
while one of them is not healthy (of several instances one is enough; of an upstream, the endpoint in use), the probe has no
verdict. It is asked on, for the head, but nothing fails, and all that it remembers begins anew when they are back: a
head that stood still meanwhile has all of
.B advances_within
again.
.B hasup status
and
.B hasup why
say what is lacking. A probe that would wait for itself, by way of
.BR [[requires]] ,
is an error.
.SH EXAMPLE
A chain that answers
.I GET /status
with
.RB { \(dqstate\(dq: \(dqready\(dq, \(dqtip\(dq: {\(dqheight\(dq: 12345, \(dqat\(dq: 1795222923}, \(dqpeers\(dq: 8} :
)";

constexpr std::string_view preset_example = R"(# recipes/probes/mychain.toml
description = "mychain: /status is ready, with a head and peers"

[params]
url = { default = "http://127.0.0.1:7000", help = "where mychain answers HTTP, without the path" }
state = "ready"

[[check]]
kind = "http"
url = "${url}/status"
expect = [
  { pointer = "/state", equals = "${state}" },
  { pointer = "/peers", min = 1 },
]
head = { number = "/tip/height", time = "/tip/at", format = "unix" }
)";

constexpr std::string_view between = R"(.PP
A unit with it:
)";

constexpr std::string_view unit_example = R"(# units/mychain.toml
[run]
command = ["/usr/bin/mychaind", "--port", "7001"]

[startup]
preset = "mychain"
url = "http://127.0.0.1:7001"

[readiness]
preset = "mychain"
url = "http://127.0.0.1:7001"
max_head_age = "30s"

[liveness]
preset = "mychain"
url = "http://127.0.0.1:7001"
advances_within = "5m"
)";

constexpr std::string_view try_it = R"(.PP
Tried by hand:
.PP
.nf
hasup probe mychain url=http://127.0.0.1:7001
.fi
)";

constexpr std::string_view ending = R"(.SH SEE ALSO
.BR hasup (1),
.BR hasup-unit (5),
.BR hasup-recipe (5),
.BR hasupd (8)
)";

}  // namespace

std::string probe_manual() {
  return std::string(intro) + roff_example(preset_example) + std::string(between) + roff_example(unit_example) +
         std::string(try_it) + ".SH KEYS\n" + roff_keys(config::preset_keys()) + roff_not_yet(config::preset_keys()) +
         std::string(ending);
}

}  // namespace hasup::cli
