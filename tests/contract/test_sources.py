"""What every kind of snapshot source must do, each against the real server; and what each refuses, in clear words."""

import hashlib
import json
import os
import signal
import subprocess
import unittest

import source_servers
from hasup_home import BIN, HasupTest, wait_until


def snapshot_bytes(seed, size=100_000):
    return hashlib.shake_128(str(seed).encode()).digest(size)


class Sources(HasupTest):
    """Jobs of hasup-worker, as hasupd gives them."""

    def setUp(self):
        super().setUp()
        self.data = self.home.directory("node")

    def environment(self, **more):
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.home.path), "LANG": "C.UTF-8", **more}

    def start_job(self, job, lead=(), stdin=subprocess.DEVNULL, **environment):
        """`lead`: words before the worker's own."""
        self.result = self.home.path / "result.json"
        self.result.unlink(missing_ok=True)
        file = self.home.path / "job.json"
        file.write_text(json.dumps({"result_path": str(self.result), "progress_path": "", **job}))
        return subprocess.Popen([*lead, BIN / "hasup-worker", file], env=self.environment(**environment), stdin=stdin)

    def job(self, job, **options):
        self.start_job(job, **options).wait(300)
        return json.loads(self.result.read_text())

    def select(self, *sources, match="snap-*.bin", explain=False, **environment):
        plan = {"name": "all", "wipe": ["state"], "archives": [{"match": match, "order": "block", "unpack": "none"}]}
        return self.job({"mode": "select", "sources": list(sources), "plans": [plan], "explain": explain},
                        **environment)

    def newest(self, source, **options):
        found = self.select(source, **options)
        self.assertEqual(found["failure"], "none", found["error"])
        self.assertTrue(found["candidates"], found["notes"])
        return found["candidates"][0]

    def fetch_job(self, source, candidate, checksum="if_present"):
        return {"mode": "fetch", "sources": [source], "chosen": candidate, "checksum": checksum, "data_dir": str(self.data)}

    def fetch(self, source, candidate, **options):
        return self.job(self.fetch_job(source, candidate, **options))

    def cached(self, name):
        return self.data / ".hasup" / "cache" / name


class Contract:
    """Mixed into one class for each kind of source."""

    def setUp(self):
        super().setUp()
        self.host = self.make(self, self.home.directory("files"))
        self.source = self.host.source

    def names(self, found):
        return [c["snapshots"][0]["name"] for c in found["candidates"]]

    def test_the_newest_is_found_among_all_that_is_no_snapshot(self):
        for block in (9, 100, 20):
            self.host.put(f"snap-{block}.bin", snapshot_bytes(block))
        for name in ("snap-300.bin.part", "snap-300.bin.tmp", ".pending-snap-300.bin", "snap-300.bin.sha256", "other-400.bin"):
            self.host.put(name, b"x" * 100)
        self.host.put("snap-500.bin", b"")
        self.host.put("older/snap-600.bin", b"x" * 100)
        found = self.select(self.source)
        self.assertEqual(found["failure"], "none", found["error"])
        self.assertEqual(self.names(found), ["snap-100.bin", "snap-20.bin", "snap-9.bin"])
        newest = found["candidates"][0]["snapshots"][0]
        self.assertEqual((newest["size"], newest["source"], newest["block"]), (100_000, self.source["url"], 100))
        self.assertIsNotNone(newest["time_ns"])

    def test_what_is_fetched_is_what_the_host_has_verified_by_its_side_file(self):
        data = snapshot_bytes(1)
        self.host.put("snap-1.bin", data)
        self.host.put("snap-1.bin.sha256", f"{hashlib.sha256(data).hexdigest()}  snap-1.bin\n".encode())
        out = self.fetch(self.source, self.newest(self.source), checksum="required")
        self.assertEqual(out["failure"], "none", out["error"])
        self.assertTrue(out["verified"])
        self.assertEqual(self.cached("snap-1.bin").read_bytes(), data)

    def test_a_file_that_is_not_what_its_side_file_says_is_bad(self):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        self.host.put("snap-1.bin.sha256", f"{hashlib.sha256(b'other').hexdigest()}  snap-1.bin\n".encode())
        out = self.fetch(self.source, self.newest(self.source))
        self.assertEqual((out["failure"], out["snapshot"]), ("bad_snapshot", "snap-1.bin"), out["error"])
        self.assertFalse(self.cached("snap-1.bin").exists())

    def test_without_a_checksum_it_is_refused_where_one_is_required(self):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        out = self.fetch(self.source, self.newest(self.source), checksum="required")
        self.assertEqual(out["failure"], "refused", out["error"])
        self.assertIn("no checksum", out["error"])

    def test_a_manifest_says_the_digest_and_the_time(self):
        data = snapshot_bytes(7)
        self.host.put("snap-7.bin", data)
        self.host.put("manifest.json", json.dumps({"snapshots": [
            {"name": "snap-7.bin", "sha256": hashlib.sha256(data).hexdigest(), "time": "2026-01-02T03:04:05Z"},
            {"name": "snap-8.bin", "sha256": "0" * 64}]}).encode())
        found = self.select(self.source)
        self.assertEqual(self.names(found), ["snap-7.bin"], "what is not there is not offered")
        self.assertEqual(found["candidates"][0]["snapshots"][0]["sha256"], hashlib.sha256(data).hexdigest())
        self.assertEqual(found["candidates"][0]["snapshots"][0]["time_ns"] // 10**9, 1767323045)
        out = self.fetch(self.source, found["candidates"][0], checksum="required")
        self.assertEqual((out["failure"], out["verified"]), ("none", True), out["error"])

    def test_names_with_blanks_signs_and_umlauts(self):
        for i, name in enumerate(("snap-1 of 2.bin", "snap-1+2=3.bin", "snap-100%25.bin", "snap-ü&é#?.bin", "snap-'\"<>.bin")):
            self.host.put(name, snapshot_bytes(i))
            source = self.source
            found = self.select(source, match=name.replace("?", "[?]"))
            self.assertEqual(self.names(found), [name], found["notes"])
            out = self.fetch(source, found["candidates"][0])
            self.assertEqual(out["failure"], "none", out["error"])
            self.assertEqual(self.cached(name).read_bytes(), snapshot_bytes(i))

    def test_an_empty_place_offers_nothing_and_says_so(self):
        self.host.put("readme.txt", b"nothing here")
        found = self.select(self.source)
        self.assertEqual((found["failure"], found["candidates"]), ("none", []), found["error"])
        self.assertIn("nothing that matches", " ".join(found["notes"]))

    def test_a_place_that_is_not_there_is_an_error_or_empty_but_never_a_snapshot(self):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        found = self.select(self.host.below("nosuch"))
        self.assertEqual(found["candidates"], [])
        self.assertTrue(found["error"] or found["notes"])

    def test_a_host_that_is_down_is_passed_over(self):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        down = self.host.down()
        found = self.select(down, self.source)
        self.assertEqual(found["failure"], "none", found["error"])
        self.assertEqual(self.names(found), ["snap-1.bin"])
        self.assertEqual(self.select(down)["failure"], "unreachable")

    def test_a_file_that_is_gone_when_it_is_fetched(self):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        candidate = self.newest(self.source)
        snapshot = candidate["snapshots"][0]
        snapshot["url"], snapshot["name"] = snapshot["url"].replace("snap-1.bin", "snap-2.bin"), "snap-2.bin"
        out = self.fetch(self.source, candidate)
        self.assertEqual(out["failure"], "unreachable", out["error"])

    def killed_while_fetching(self, source, candidate):
        """Ends the worker with SIGKILL when a part of the file is here; how much."""
        worker = self.start_job(self.fetch_job(source, candidate))
        part = self.cached(candidate["snapshots"][0]["name"] + ".part")
        try:
            wait_until(lambda: worker.poll() is not None or (part.exists() and part.stat().st_size > 1_000_000),
                       "a part of the file", step=0)
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        return part.stat().st_size if part.exists() else 0

    def test_a_killed_worker_is_followed_by_one_that_ends_what_it_began(self):
        data = snapshot_bytes(3, 24_000_000)
        self.host.put("snap-3.bin", data)
        candidate = self.newest(self.source)
        self.killed_while_fetching(self.source, candidate)
        out = self.fetch(self.source, candidate)
        self.assertEqual(out["failure"], "none", out["error"])
        self.assertEqual(out["sha256"], [hashlib.sha256(data).hexdigest()])

    def test_a_file_that_changed_in_between_is_begun_anew(self):
        self.host.put("snap-3.bin", snapshot_bytes(3, 24_000_000))
        candidate = self.newest(self.source)
        self.killed_while_fetching(self.source, candidate)
        data = snapshot_bytes(4, 24_000_000 - 1)
        self.host.put("snap-3.bin", data)
        out = self.fetch(self.source, self.newest(self.source))
        self.assertEqual(out["failure"], "none", out["error"])
        self.assertEqual(out["sha256"], [hashlib.sha256(data).hexdigest()])

    def test_a_thousand_and_more_files(self):
        for block in range(1, 1101):
            self.host.put(f"snap-{block}.bin", b"x")
        found = self.select(self.source)
        self.assertEqual(found["failure"], "none", found["error"])
        self.assertEqual(self.names(found)[:2], ["snap-1100.bin", "snap-1099.bin"])
        self.assertEqual(len(found["candidates"]), 1100)


class Latest:
    """Mixed in where an address may stand for another file: http and https."""

    def at(self, path):
        return {**self.source, "url": self.source["url"] + path}

    def put_snapshots(self):
        for block in (9, 20):
            data = snapshot_bytes(block)
            self.host.put(f"snap-{block}.bin", data)
            self.host.put(f"snap-{block}.bin.sha256", f"{hashlib.sha256(data).hexdigest()}  snap-{block}.bin\n".encode())

    def test_a_text_called_latest_names_the_snapshot_and_is_read_once(self):
        self.put_snapshots()
        self.host.put("latest", b"snap-9.bin\n")
        chosen = self.newest(self.at("latest"))
        self.assertEqual(chosen["snapshots"][0]["name"], "snap-9.bin")
        self.assertEqual(chosen["snapshots"][0]["size"], 100_000)
        self.host.put("latest", b"snap-20.bin\n")
        out = self.fetch(self.at("latest"), chosen, checksum="required")
        self.assertEqual((out["failure"], out["verified"]), ("none", True), out["error"])
        self.assertEqual(self.cached("snap-9.bin").read_bytes(), snapshot_bytes(9))
        self.assertEqual(self.newest(self.at("latest"))["snapshots"][0]["name"], "snap-20.bin")

    def test_what_latest_names_is_another_archive_by_the_time_it_is_fetched(self):
        """What was seen when it was chosen is its size; another one is no longer the archive that was chosen."""
        self.put_snapshots()
        self.host.put("latest", b"snap-9.bin\n")
        chosen = self.newest(self.at("latest"))
        other = snapshot_bytes(10, 100_001)
        self.host.put("snap-9.bin", other)
        self.host.put("snap-9.bin.sha256", f"{hashlib.sha256(other).hexdigest()}  snap-9.bin\n".encode())
        out = self.fetch(self.at("latest"), chosen)
        self.assertEqual(out["failure"], "unreachable", out["error"])
        self.assertIn("snap-9.bin was announced with 100000 bytes, but has 100001; it changed since it was listed", out["error"])
        self.assertFalse(self.cached("snap-9.bin").exists())
        out = self.fetch(self.at("latest"), self.newest(self.at("latest")), checksum="required")
        self.assertEqual((out["failure"], out["verified"]), ("none", True), out["error"])
        self.assertEqual(self.cached("snap-9.bin").read_bytes(), other)

    def test_a_text_called_latest_that_names_what_is_not_there(self):
        self.put_snapshots()
        self.host.put("latest", b"snap-300.bin\n")
        found = self.select(self.at("latest"))
        self.assertEqual((found["failure"], found["candidates"]), ("unreachable", []), found)
        self.assertIn("404", found["error"])


class DirectorySource(Contract, Sources):
    make = source_servers.Directory


class NginxSource(Latest, Contract, Sources):
    make = source_servers.Nginx


class NginxLatestSource(Latest, Sources):
    make = source_servers.NginxLatest

    def setUp(self):
        super().setUp()
        self.host = self.make(self, self.home.directory("files"))
        self.source = self.host.source

    def newest_of(self, path):
        self.put_snapshots()
        chosen = self.newest(self.at(path))
        out = self.fetch(self.at(path), chosen)
        self.assertEqual(out["failure"], "none", out["error"])
        self.assertEqual(self.cached("snap-9.bin").read_bytes(), snapshot_bytes(9))
        return chosen["snapshots"][0], out

    def test_a_redirect_called_latest_is_pinned_to_what_it_leads_to(self):
        snapshot, out = self.newest_of("moved/latest")
        self.assertEqual((snapshot["name"], snapshot["size"]), ("snap-9.bin", 100_000))
        self.assertEqual(snapshot["url"], self.source["url"] + "snap-9.bin")
        self.assertTrue(out["verified"], "by the side file of what it leads to")

    def test_the_name_is_the_one_that_the_host_gives_it(self):
        snapshot, _ = self.newest_of("named/latest")
        self.assertEqual((snapshot["name"], snapshot["size"]), ("snap-9.bin", 100_000))
        self.assertEqual(snapshot["url"], self.source["url"] + "named/latest")


class Unlisted(Contract):
    """Mixed in where a file says what is there: what that file says is all that is known of it."""

    def test_a_manifest_says_the_digest_and_the_time(self):
        data = snapshot_bytes(7)
        self.host.put("snap-7.bin", data)
        self.host.say("snap-7.bin", sha256=hashlib.sha256(data).hexdigest(), time="2026-01-02T03:04:05Z")
        chosen = self.newest(self.source)
        self.assertEqual(chosen["snapshots"][0]["sha256"], hashlib.sha256(data).hexdigest())
        self.assertEqual(chosen["snapshots"][0]["time_ns"] // 10**9, 1767323045)
        out = self.fetch(self.source, chosen, checksum="required")
        self.assertEqual((out["failure"], out["verified"]), ("none", True), out["error"])

    def test_another_kind_of_digest_is_as_good(self):
        data = snapshot_bytes(7)
        self.host.put("snap-7.bin", data)
        for kind, made in (("sha512", hashlib.sha512), ("blake2b", hashlib.blake2b), ("md5", hashlib.md5)):
            with self.subTest(kind=kind):
                digest = made(data).hexdigest()
                self.host.rows.clear()
                self.host.say("snap-7.bin", size=len(data), **{kind: digest.upper()})
                out = self.fetch(self.source, self.newest(self.source), checksum="required")
                self.assertEqual((out["failure"], out["verified_by"]), ("none", kind), out["error"])
                self.cached("snap-7.bin").unlink()
                wrong = ("1" if digest[0] == "0" else "0") + digest[1:]
                self.host.say("snap-7.bin", **{kind: wrong})
                chosen = self.newest(self.source)
                out = self.fetch(self.source, chosen, checksum="required")
                self.assertEqual((out["failure"], out["snapshot"]), ("bad_snapshot", "snap-7.bin"), out["error"])
                who = self.host.said_by
                self.assertIn(f"snap-7.bin has {kind} {digest}, but {who} announced {wrong};", out["error"])
                self.assertFalse(self.cached("snap-7.bin").exists())

    def test_a_side_file_that_says_another_digest_is_refused(self):
        data, other = snapshot_bytes(7), snapshot_bytes(8)
        self.host.put("snap-7.bin", data)
        self.host.say("snap-7.bin", sha512=hashlib.sha512(data).hexdigest())
        self.host.put("snap-7.bin.sha512", hashlib.sha512(other).hexdigest().encode())
        out = self.fetch(self.source, self.newest(self.source))
        self.assertEqual(out["failure"], "refused", out["error"])
        self.assertIn("snap-7.bin is announced in two ways: ", out["error"])
        self.assertIn(f" says sha512 {hashlib.sha512(data).hexdigest()}, but snap-7.bin.sha512 says", out["error"])


class NginxUnlistedSource(Unlisted, Sources):
    make = source_servers.NginxUnlisted


class NginxIndexSource(Unlisted, Sources):
    make = source_servers.NginxIndex


class NginxApiSource(Unlisted, Sources):
    make = source_servers.NginxApi


@unittest.skipIf(os.geteuid() != 0, "only root may listen on the default ports")
class MovedToHttps(Sources):
    def setUp(self):
        super().setUp()
        self.host = source_servers.NginxMoved(self, self.home.directory("files"))
        self.host.put("snap-1.bin", snapshot_bytes(1))

    def test_a_host_that_moved_to_https_is_shown_the_lines_there(self):
        out = self.fetch(self.host.source, self.newest(self.host.source))
        self.assertEqual(out["failure"], "none", out["error"])
        self.assertEqual(self.cached("snap-1.bin").read_bytes(), snapshot_bytes(1))

    def test_another_port_of_it_is_not(self):
        found = self.select(self.host.below("elsewhere"))
        self.assertEqual(found["failure"], "unreachable", found)
        self.assertIn("401", found["error"])


class ApacheSource(Latest, Contract, Sources):
    make = source_servers.Apache


class ApacheTextSource(Latest, Contract, Sources):
    make = source_servers.ApacheText


class CaddySource(Latest, Contract, Sources):
    make = source_servers.Caddy


class CaddyJsonSource(Latest, Contract, Sources):
    make = source_servers.CaddyJson


class NginxTlsSource(Latest, Contract, Sources):
    make = source_servers.NginxTls

    def refusal(self, **changes):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        found = self.select({**self.source, **changes})
        self.assertEqual(found["failure"], "unreachable")
        return found["error"]

    def test_another_authority_is_not_trusted(self):
        self.assertIn("certificate", self.refusal(ca_file=f"{self.host.keys}/other.crt"))

    def test_a_passphrase_is_spoken_of_only_where_there_is_one(self):
        keys = self.host.keys
        openssl = ("openssl", "pkey", "-in", keys / "client.key", "-aes256", "-passout", "pass:word", "-out")
        source_servers.run(*openssl, keys / "locked.key")
        (keys / "both.pem").write_text((keys / "client.crt").read_text() + (keys / "locked.key").read_text())
        for changes in ({"client_key": f"{keys}/locked.key"},
                        {"client_certificate": f"{keys}/both.pem", "client_key": ""}):
            self.assertIn("a key with a passphrase is of no use", self.refusal(**changes))
        (keys / "no.key").write_text("no key")
        for changes in ({"client_key": f"{keys}/missing.key"}, {"client_key": f"{keys}/no.key"},
                        {"client_certificate": f"{keys}/missing.crt"}):
            said = self.refusal(**changes)
            self.assertIn(*changes.values(), said)
            self.assertNotIn("passphrase", said)

    def test_the_host_refuses_who_shows_no_certificate(self):
        self.assertIn("400", self.refusal(client_certificate="", client_key=""))

    def test_the_host_refuses_who_has_no_token_and_the_token_is_in_no_message(self):
        self.assertIn("403", self.refusal(header_file=""))
        (self.host.keys / "headers").write_text("s3cr3t-token\n")
        said = self.refusal()
        self.assertIn("headers", said)
        self.assertNotIn("s3cr3t", said)


class SftpSource(Contract, Sources):
    make = source_servers.Sshd

    def refusal(self, **changes):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        found = self.select({**self.source, **changes})
        self.assertEqual(found["failure"], "unreachable")
        return found["error"]

    def test_an_unknown_host_is_refused(self):
        (self.host.keys / "known_hosts").write_text("")
        said = self.refusal()
        self.assertIn("is not in", said)
        self.assertIn(f"ssh-keyscan -p {self.host.port} 127.0.0.1 >> {self.host.keys}/known_hosts", said)

    def test_no_file_of_known_hosts_is_no_permission(self):
        said = self.refusal(known_hosts=f"{self.home.path}/nosuch")
        self.assertIn(f"the file {self.home.path}/nosuch is not there", said)
        self.assertIn(f">> {self.home.path}/nosuch", said)

    def test_a_file_that_is_gone_is_told_in_words_of_sftp(self):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        found = self.newest(self.source)
        (self.host.files / "snap-1.bin").unlink()
        said = self.fetch(self.source, found)["error"]
        self.assertIn("the file is not there (any more)", said)
        self.assertNotIn("HTTP", said)

    def test_a_host_with_another_key_is_refused(self):
        self.host.know("other")
        self.assertIn("another key", self.refusal())

    def test_a_revoked_key_is_refused_though_a_plain_line_has_it(self):
        kind, value = (self.host.keys / "host.pub").read_text().split()[:2]
        known = self.host.keys / "known_hosts"
        plain = known.read_text()
        for mark in (f"@revoked * {kind} {value}\n", f"@revoked [127.0.0.1]:{self.host.port} {kind} {value}\n"):
            known.write_text(plain + mark)
            self.assertIn(f"a key that is @revoked in {known}", self.refusal())
            known.write_text(mark)
            self.assertIn(f"a key that is @revoked in {known}", self.refusal())
        known.write_text(plain + f"@revoked * {kind} {(self.host.keys / 'other.pub').read_text().split()[1]}\n")
        self.newest(self.source)

    def test_a_key_that_the_host_does_not_know(self):
        said = self.refusal(identity_file=f"{self.host.keys}/other")
        self.assertIn(f"refuses the key {self.host.keys}/other", said)

    def test_a_key_that_is_not_there(self):
        said = self.refusal(identity_file=f"{self.host.keys}/nosuch")
        self.assertIn(f"the key cannot be read: open {self.host.keys}/nosuch: No such file", said)

    def test_a_key_with_a_passphrase_and_what_is_no_private_key(self):
        for kind in (["-t", "ed25519"], ["-t", "ecdsa", "-m", "PEM"], ["-t", "ecdsa", "-m", "PKCS8"]):
            key = self.host.keys / "locked"
            key.unlink(missing_ok=True)
            source_servers.run("ssh-keygen", "-q", *kind, "-N", "a passphrase", "-f", key)
            self.assertIn(f"the key {key} has a passphrase", self.refusal(identity_file=str(key)))
        self.assertIn("is no private key; name the file without .pub", self.refusal(identity_file=f"{self.host.keys}/user.pub"))

    def test_known_hosts_that_is_a_directory(self):
        said = self.refusal(known_hosts=str(self.host.keys))
        self.assertIn(f"the known hosts cannot be read: {self.host.keys} is not a regular file", said)

    def test_a_directory_that_is_not_there(self):
        self.assertIn("no such directory", self.refusal(url=self.source["url"] + "nosuch/"))

    def test_a_single_file_and_a_directory_without_its_slash(self):
        self.host.put("one/snap-1.bin", snapshot_bytes(1))
        single = {**self.source, "url": self.source["url"] + "one/snap-1.bin"}
        self.assertEqual(self.newest(single)["snapshots"][0]["size"], 100_000)
        self.assertEqual(self.newest({**self.source, "url": self.source["url"] + "one"})["snapshots"][0]["name"], "snap-1.bin")

    def test_the_keys_of_an_agent(self):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        socket = self.home.path / "agent"
        self.start_program(["ssh-agent", "-D", "-a", socket], socket.exists)
        source = {k: v for k, v in self.source.items() if k != "identity_file"}
        self.assertEqual(self.select(source, SSH_AUTH_SOCK=str(socket))["failure"], "unreachable")
        subprocess.run(["ssh-add", "-q", self.host.keys / "user"], check=True, env={**os.environ, "SSH_AUTH_SOCK": str(socket)})
        self.assertEqual(self.newest(source, SSH_AUTH_SOCK=str(socket))["snapshots"][0]["name"], "snap-1.bin")


class S3Source(Contract, Sources):
    make = source_servers.S3

    def refusal(self, **changes):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        found = self.select({**self.source, **changes})
        self.assertEqual(found["failure"], "unreachable")
        return found["error"]

    def test_a_wrong_secret(self):
        self.assertIn("SignatureDoesNotMatch", self.refusal(profile="wrong"))
        self.assertGreater(self.host.gate.refused, 0)

    def test_a_profile_or_file_that_is_not_there(self):
        self.assertIn("has no [nosuch]", self.refusal(profile="nosuch"))
        self.assertIn("nosuch", self.refusal(credentials_file=f"{self.home.path}/nosuch"))

    def test_a_prefix_with_and_without_its_slash_is_one_place(self):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        self.host.put("older/snap-2.bin", snapshot_bytes(2))
        found = self.newest({**self.source, "url": "s3://snaps/leap"})
        self.assertEqual(found["snapshots"][0]["name"], "snap-1.bin")
        self.assertEqual(self.fetch({**self.source, "url": "s3://snaps/leap"}, found)["failure"], "none")

    def test_no_such_bucket(self):
        self.assertIn("NoSuchBucket", self.refusal(url="s3://nosuch/"))

    def test_keys_of_the_environment_and_of_the_home_directory(self):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        source = {k: v for k, v in self.source.items() if k != "credentials_file"}
        keys = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER"}
        self.assertEqual(self.newest(source, **keys)["snapshots"][0]["name"], "snap-1.bin")
        self.assertIn("SignatureDoesNotMatch", self.select(source)["error"], "unsigned")
        self.home.directory(".aws")
        (self.home.path / ".aws" / "credentials").write_text(self.host.credentials.read_text())
        self.assertEqual(self.newest(source)["snapshots"][0]["name"], "snap-1.bin")
        self.assertIn("SignatureDoesNotMatch", self.select(source, AWS_PROFILE="wrong")["error"])
        (self.home.path / ".aws" / "credentials").unlink()
        shared = {"AWS_SHARED_CREDENTIALS_FILE": str(self.host.credentials)}  # outside of the home's .aws
        self.assertEqual(self.newest(source, **shared)["snapshots"][0]["name"], "snap-1.bin")
        self.assertIn("SignatureDoesNotMatch", self.select(source, **shared, AWS_PROFILE="wrong")["error"])


if __name__ == "__main__":
    unittest.main()
