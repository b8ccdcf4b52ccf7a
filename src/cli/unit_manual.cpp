// Roff of hasup-unit.5. A test compares the file in docs/man with it, so the page cannot lie about a key.
#include "cli/manuals.hpp"
#include "cli/roff.hpp"

namespace hasup::cli {
namespace {

constexpr std::string_view intro = R"(.\" Made from the table of keys in config/schema; a test compares both.
.TH HASUP-UNIT 5 "" "hasup" "hasup"
.SH NAME
hasup-unit \- unit files of hasup
.SH SYNOPSIS
.I units/NAME.toml
in the configuration directory (as root
.IR /etc/hasup ,
else
.IR $XDG_CONFIG_HOME/hasup ,
with
.B HASUP_HOME
.IR $HASUP_HOME/etc )
.SH DESCRIPTION
.I units/leap.toml
describes the unit
.BR leap :
a program that hasup keeps running. Files are TOML. Unknown keys, wrong types and undefined variables are errors;
.B hasup check
shows all of them at once with their place. A broken file never stops another unit, nor one that already runs.
.PP
In every string
.B ${name}
is a variable of
.BR [vars] ;
.BR ${unit} ", " ${instance} " and " ${data.dir}
are given,
.B ${env:NAME}
and
.B ${secret:NAME}
are filled in at each run, and
.B ${50305 + instance}
is a sum of whole numbers.
.B $$
is a dollar sign.
.SH EXAMPLE
.nf
description = "My node"

[data]
dir = "/var/lib/mynode"

[run]
command = ["/usr/bin/mynode", "--data", "${data.dir}"]
user = "mynode"

[readiness]
preset = "evm"
url = "http://127.0.0.1:8545"
max_head_age = "30s"

[[requires]]
unit = "leap"
condition = "healthy"
.fi
)";

constexpr std::string_view ending = R"(.SH SEE ALSO
.BR hasup (1),
.BR hasup-upstream (5),
.BR hasup-recipe (5),
.BR hasup-probe (5),
.BR hasupd (8)
)";

}  // namespace

std::string unit_manual() {
  return std::string(intro) + ".SH KEYS\n" + roff_keys(config::unit_keys()) + roff_not_yet(config::unit_keys()) +
         std::string(ending);
}

}  // namespace hasup::cli
