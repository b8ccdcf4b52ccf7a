"""hasup init: unit files from templates, with values of --set or asked for on a terminal, never half and never over others."""

import json
import re
import unittest

from hasup_home import SOURCE, HasupTest, on_a_terminal


class Init(HasupTest):
    def unit_file(self, name):
        return self.home.path / "etc" / "units" / f"{name}.toml"

    def refused(self, code, *words):
        before = sorted(p.name for p in self.unit_file("x").parent.iterdir())
        done = self.home.hasup("init", *words)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(sorted(p.name for p in self.unit_file("x").parent.iterdir()), before)
        return done.stderr

    def test_the_list_tells_what_there_is(self):
        text = self.home.ok("init", "--list")
        for name in ("eos-evm/leap ", "ethereum/geth ", "validator/agave-primary "):
            self.assertRegex(text, f"(?m)^{name}")
        shown = json.loads(self.home.ok("init", "--list", "--json", "leap"))["templates"]
        self.assertEqual([t["name"] for t in shown], ["eos-evm/leap"])
        backup, = [v for v in shown[0]["variables"] if v["name"] == "backup"]
        self.assertTrue(backup["must_be_set"])
        self.assertIn("http = 127.0.0.1:8888  # http-server-address", self.home.ok("init", "--list", "leap"))

    def test_values_come_from_the_command_line(self):
        done = self.home.ok("init", "eos-evm/leap", "eos-evm-node", "eos-evm-rpc",
                            "--set", "leap.backup=https://b.example.org/l/",
                            "--set", "eos-evm-node.backup=https://b.example.org/e/", "--set", f"leap.home={self.home.path}/l")
        self.assertIn(f"wrote {self.unit_file('leap')}", done)
        text = self.unit_file("leap").read_text()
        self.assertIn('backup = "https://b.example.org/l/"', text)
        self.assertIn('# http-server-address in config.ini', text)
        self.assertIn('backup = "https://b.example.org/e/"', self.unit_file("eos-evm-node").read_text())
        self.assertRegex(self.home.ok("check"), "0 errors, .* in 3 units")  # nobody has the programs of chains here
        self.assertIn(f'dir = "{self.home.path}/l/data"', self.home.ok("cat", "leap", "--effective"))

    def effective(self, template, *values):
        name = template.rpartition("/")[2]
        self.home.ok("init", template, "--yes", *(w for v in values for w in ("--set", v)))
        return self.home.ok("cat", name, "--effective")

    def test_the_network_of_a_klaytn_node_decides_its_flag_and_its_archives(self):
        for name in ("ken", "kpn"):
            text = self.effective(f"klaytn/{name}", "network=kairos")
            self.assertIn('"--kairos"', text)
            self.assertIn("https://packages.kaia.io/kairos/chaindata/", text)
            self.assertNotIn("mainnet", text)

    def test_a_port_that_is_moved_moves_the_node_and_its_probes(self):
        moved = {"ethereum/geth": ("rpc_port=9545", "engine_port=9551", "p2p_port=31303"),
                 "ethereum/reth": ("rpc_port=9545", "engine_port=9551", "p2p_port=31303"),
                 "ethereum/erigon": ("rpc_port=9545", "engine_port=9551", "p2p_port=31303", "grpc_port=9091"),
                 "ethereum/nethermind": ("rpc_port=9545", "engine_port=9551", "p2p_port=31303"),
                 "ethereum/lighthouse": ("api_port=9545", "p2p_port=31303"),
                 "ethereum/teku": ("api_port=9545", "p2p_port=31303"),
                 "bitcoin/bitcoind": ("rpc_port=9545", "p2p_port=31303"),
                 "klaytn/ken": ("rpc_port=9545", "ws_port=9546", "p2p_port=31303", "sub_port=31304"),
                 "klaytn/kpn": ("rpc_port=9545", "p2p_port=31303", "sub_port=31304"),
                 "klaytn/kcn": ("rpc_port=9545", "p2p_port=31303", "sub_port=31304"),
                 "klaytn/kcn-standby": ("rpc_port=9545", "p2p_port=31303", "sub_port=31304"),
                 "validator/agave-primary": ("rpc_port=9545", "ports=9000-9025"),
                 "validator/agave-secondary": ("rpc_port=9545", "ports=9000-9025")}
        for template, values in moved.items():
            text = self.effective(template, *values)
            command = re.search(r"(?ms)^command = .*?\]$", text)[0]
            for value in values:
                self.assertIn(value.partition("=")[2], command, template)
            probes = re.findall(r'(?m)^url = "http://127\.0\.0\.1:(\d+)/?"', text)
            self.assertGreaterEqual(len(probes), 3, template)
            self.assertEqual(set(probes), {"9545"}, template)

    def test_what_only_a_site_can_know_is_asked_for(self):
        for template, variable in (("klaytn/kcn", "rewardbase"), ("klaytn/kcn-standby", "rewardbase"),
                                   ("validator/agave-primary", "known")):
            self.assertIn(f"--set {variable}=…", self.refused(2, template))

    def test_nothing_is_written_where_something_is_wrong(self):
        self.assertIn("--set backup=…", self.refused(2, "leap"))
        self.assertIn('did you mean "backup"?', self.refused(2, "leap", "--set", "bakup=x"))
        self.assertIn("port is a number such as 8881", self.refused(2, "eos-evm-rpc", "--yes", "--set", "port=x"))
        self.assertIn('did you mean "eos-evm/leap"?', self.refused(2, "eos-evm/leep"))
        self.assertIn("is a folder of templates: ", self.refused(2, "ethereum"))
        self.assertIn("is no unit name", self.refused(2, "leap", "--yes", "--name", "../x"))
        self.unit_file("leap").write_text("# mine\n")
        self.assertIn("exists; --force", self.refused(1, "eos-evm-node", "leap", "--yes"))
        self.assertEqual(self.unit_file("leap").read_text(), "# mine\n")
        self.home.ok("init", "leap", "--yes", "--force")
        self.assertIn("[recovery]", self.unit_file("leap").read_text())
        self.home.ok("init", "leap", "--yes", "--name", "leap-2", "--set", "home=/srv/2")
        self.assertTrue(self.unit_file("leap-2").exists())

    def test_what_it_requires_and_nobody_has_is_named(self):
        done = self.home.hasup("init", "tx-proxy")
        self.assertEqual(done.returncode, 6)
        self.assertIn("tx-proxy requires eos-evm-miner: `hasup init eos-evm/eos-evm-miner`", done.stdout)
        self.home.ok("init", "eos-evm-rpc", "eos-evm-miner", "eos-evm-node", "leap", "--yes")
        self.home.ok("check")

    def test_evm_machines_without_a_leap_choose_among_several(self):
        for name in ("node", "miner"):
            self.home.hasup("init", f"eos-evm/eos-evm-{name}-leaps", "--yes", "--name", f"eos-evm-{name}")
        self.home.ok("init", "eos-evm-rpc", "eos-evm-ws-proxy", "tx-proxy", "--set", "leap=http://10.0.0.11:8888")
        self.assertRegex(self.home.ok("check"), "0 errors, .* in 5 units")
        self.assertIn('RPC_ENDPOINTS = "http://10.0.0.11:8888|http://10.0.0.12:8888"',
                      self.home.ok("cat", "eos-evm-miner", "--effective"))

    def test_a_template_is_extended_without_its_folder(self):
        self.home.unit("mine", 'extends = "leap"\n[vars]\nhome = "/srv/mine"\n')
        self.assertIn('dir = "/srv/mine/data"', self.home.ok("cat", "mine", "--effective"))

    def test_a_proxy_comes_with_its_template_and_asks_for_its_nodes(self):
        said = self.refused(2, "proxy/nginx")
        for name in ("vm11-host", "vm11-ws", "vm12-host", "vm12-ws"):
            self.assertIn(f"--set {name}=…", said)
        config = self.home.path / "etc" / "proxy"
        beside = self.unit_file("x").with_name("nginx.template")
        shipped = (SOURCE / "units/proxy/nginx.template").read_text()
        sets = [word for name in ("vm11-host", "vm11-ws", "vm12-host", "vm12-ws") for word in ("--set", f"{name}=n1:80")]
        done = self.home.ok("init", "proxy/nginx", *sets, "--set", f"config={config}")
        self.assertIn(f"wrote {beside}", done)
        self.assertNotIn("10.0.0.", self.unit_file("nginx").read_text())
        self.assertEqual(beside.read_text(), shipped)
        self.assertEqual((config / "nginx.template").read_text(), shipped)

        # What a site has made of it stays.
        for path in (beside, config / "nginx.template"):
            path.write_text("# mine\n")
        done = self.home.ok("init", "proxy/nginx", *sets, "--set", f"config={config}", "--force")
        self.assertIn(f"kept {beside}", done)
        for path in (beside, config / "nginx.template"):
            self.assertEqual(path.read_text(), "# mine\n")

        # Elsewhere than below the configuration nothing is written.
        elsewhere = self.home.path / "proxies"
        done = self.home.ok("init", "proxy/haproxy", *sets, "--set", f"config={elsewhere}")
        copy = self.unit_file("x").with_name("haproxy.template")
        self.assertIn(f"haproxy is read from {elsewhere}/haproxy.template: copy {copy} there", done)
        self.assertFalse(elsewhere.exists())

    def test_on_a_terminal_it_asks(self):
        words = [self.home.bin / "hasup", "init", "leap"]
        code, shown = on_a_terminal(words, self.home.env, {
            "home [/var/lib/leap]: ": "\n", "config [/etc/leap]: ": "\n", "[127.0.0.1:8888]: ": "127.0.0.1:9\n",
            "backup [https://backup.example.com/leap/]: ": "https://b.example.org/\n"})
        self.assertEqual(code, 0, shown)
        self.assertIn("http (http-server-address in config.ini) [127.0.0.1:8888]: ", shown)
        text = self.unit_file("leap").read_text()
        self.assertIn('home = "/var/lib/leap"\n', text)
        self.assertRegex(text, 'http = "127.0.0.1:9" +# http-server')
        self.assertIn('backup = "https://b.example.org/"\n', text)

        # The end of the input is no consent.
        self.unit_file("leap").unlink()
        code, shown = on_a_terminal(words, self.home.env, {"home [": "\n", "config [": "\x04"})
        self.assertEqual(code, 1, shown)
        self.assertIn("nothing was written", shown)
        self.assertFalse(self.unit_file("leap").exists())


if __name__ == "__main__":
    unittest.main()
