"""The completion scripts in their own shells: names of units and nothing else, and never anything expanded."""

import os
import shutil
import subprocess
import unittest

from hasup_home import BIN, HasupTest

UNIT = """
groups = ["chain"]
[run]
command = ["sleep", "1000"]
instances = {instances}
"""

# Its complaint holds back ticks, a dollar and a star: `hasup status` prints it below the table.
BROKEN = """
"`touch expanded`" = "$(touch expanded) *"
[run]
command = ["sleep", "1000"]
"""


class Completion(HasupTest):
    def setUp(self):
        super().setUp()
        self.home.unit("leap", UNIT.format(instances=1))
        self.home.unit("miner", UNIT.format(instances=2))
        self.home.unit("broken", BROKEN)
        self.home.start()
        self.home.wait_healthy("miner", instance=1)
        self.directory = self.home.directory("typing here")
        (self.directory / "a file.toml").write_text("")
        self.env = dict(self.home.env, PATH=f"{BIN}:{os.environ['PATH']}", HOME=str(self.home.path))

    def tearDown(self):
        self.assertEqual(os.listdir(self.directory), ["a file.toml"])

    def run_shell(self, shell, *words):
        if not shutil.which(shell):
            self.skipTest(f"{shell} is not installed")
        done = subprocess.run([shell, *words], env=self.env, cwd=self.directory, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual(done.stderr, "")
        return done.stdout.splitlines()

    def bash(self, *words):
        """What bash offers for the last word; as on its command line, where @ ends a word."""
        line = " ".join(words)
        parts = [p for w in words for p in ([*w.partition("@")] if "@" in w else [w])]
        script = ('source <(hasup completion bash); COMP_LINE=$1; COMP_POINT=${#1}; shift; COMP_WORDS=("$@"); '
                  'COMP_CWORD=$(($# - 1)); _hasup; (( ${#COMPREPLY[@]} )) && printf "%s\\n" "${COMPREPLY[@]}"; true')
        return self.run_shell("bash", "--norc", "-c", script, "bash", line, *parts)

    def test_bash_names(self):
        names = ["broken", "leap", "miner", "miner@0", "miner@1"]
        offered = self.bash("hasup", "restart", "")
        self.assertEqual(sorted(w for w in offered if not w.startswith("-")), names)
        self.assertIn("--all", offered)
        self.assertEqual(self.bash("hasup", "status", "le"), ["leap"])
        self.assertEqual(self.bash("hasup", "status", "nothing-like-it"), [])
        self.assertEqual(self.bash("hasup", "start", "miner@"), ["0", "1"])
        self.assertEqual(self.bash("hasup", "start", "@"), ["chain"])
        self.assertEqual(self.bash("hasup", "events", "--unit", "mi"), ["miner", "miner@0", "miner@1"])

    def test_bash_never_expands_what_is_typed(self):
        for typed in ("`touch expanded`", "$(touch expanded)", "*"):
            self.assertEqual(self.bash("hasup", "status", typed), [])

    def test_bash_verbs_options_and_files(self):
        self.assertEqual(self.bash("hasup", "rec"), ["recover"])
        self.assertEqual(self.bash("hasup", "status", "--j"), ["--json"])
        self.assertEqual(self.bash("hasup", "wait", "leap", "--for", "h"), ["healthy"])
        self.assertEqual(self.bash("hasup", "check", "a"), ["a file.toml"])
        self.assertEqual(self.bash("hasup", "completion", "z"), ["zsh"])

    def test_names_come_from_the_files_when_the_daemon_is_down(self):
        self.home.ok("stop", "--all")
        self.home.kill_daemon()
        self.assertEqual(self.bash("hasup", "status", "le"), ["leap"])
        self.home.start()

    def test_fish(self):
        def offered(line):
            words = self.run_shell("fish", "--no-config", "-c",
                                   "source (hasup completion fish | psub); complete -C $argv[1]", line)
            return [w.split("\t")[0] for w in words]
        self.assertEqual(offered("hasup rec"), ["recover"])
        names = [w for w in offered("hasup status ") if not w.startswith("-")]
        self.assertEqual(sorted(names), ["@chain", "broken", "leap", "miner", "miner@0", "miner@1"])
        self.assertEqual(offered("hasup status --j"), ["--json"])

    def test_zsh(self):
        script = """
            emulate -R zsh
            compdef() { : }
            compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -l -- "$@" }
            _describe() { print -l -- "${(@P)2}" }
            _files() { print files }
            source <(hasup completion zsh)
            words=("$@") CURRENT=$# PREFIX=${@[-1]}
            _hasup
        """
        def offered(*words):
            return self.run_shell("zsh", "-f", "-c", script, "zsh", *words)
        self.assertTrue(any(line.startswith("recover:") for line in offered("hasup", "rec")))
        said = offered("hasup", "status", "")
        self.assertEqual(sorted(w for w in said if not w.startswith("-")),
                         ["broken", "leap", "miner", "miner@0", "miner@1"])
        self.assertIn("--json", said)
        self.assertIn("@chain", offered("hasup", "start", "@"))
        self.assertIn("files", offered("hasup", "check", ""))


if __name__ == "__main__":
    unittest.main()
