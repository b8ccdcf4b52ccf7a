"""What proves that a snapshot is the right one: checksums of every kind, as their tools write them, and minisign's signatures."""

import hashlib
import json
import shutil
import subprocess
import unittest

import source_servers
from fault_host import FaultHost
from test_sources import Sources, snapshot_bytes

SIZE = 20_000_000


class Proofs(Sources):
    def setUp(self):
        super().setUp()
        self.files = self.home.directory("files")
        self.host = source_servers.Nginx(self, self.files)
        self.data_bytes = snapshot_bytes(1, SIZE)
        self.host.put("a.bin", self.data_bytes)

    def shell(self, line):
        subprocess.run(["sh", "-ec", line], cwd=self.files, check=True, stdout=subprocess.DEVNULL)

    def load(self, name="a.bin", **more):
        return self.job({**self.fetch_job(self.host.source, self.newest(self.host.source, match=name),
                                          checksum="required"), **more})

    def forget(self):
        shutil.rmtree(self.data / ".hasup" / "cache", ignore_errors=True)

    def clear(self):
        for file in self.files.iterdir():
            if file.name != "a.bin":
                file.unlink()

    def test_checksums_of_every_kind(self):
        for tool, name, kind in (("sha256sum", "a.bin.sha256", "sha256"), ("sha256sum", "a.bin.sha256sum", "sha256"),
                                 ("sha256sum", "SHA256SUMS", "sha256"), ("sha512sum", "a.bin.sha512", "sha512"),
                                 ("sha512sum --tag", "SHA512SUMS", "sha512"), ("b2sum", "a.bin.b2", "blake2b"),
                                 ("b2sum --tag", "a.bin.b2sum", "blake2b"), ("b2sum", "B2SUMS", "blake2b"),
                                 ("md5sum", "a.bin.md5", "md5"), ("md5sum --tag", "a.bin.md5sum", "md5"),
                                 ("md5sum", "MD5SUMS", "md5")):
            with self.subTest(tool=tool, name=name):
                self.clear()
                self.forget()
                self.shell(f"{tool} a.bin > {name}")
                out = self.load()
                self.assertEqual((out["failure"], out["verified"], out["verified_by"]), ("none", True, kind), out["error"])
                self.assertEqual(out["sha256"], [hashlib.sha256(self.data_bytes).hexdigest()])
                self.assertEqual(self.load()["verified_by"], kind, "from the cache")
                self.forget()
                text = (self.files / name).read_text()
                digit = [c for c in text if c in "0123456789abcdef"][-1] if "--tag" in tool else text[0]
                at = text.rindex(digit) if "--tag" in tool else 0
                (self.files / name).write_text(text[:at] + ("0" if digit != "0" else "1") + text[at + 1:])
                out = self.load()
                self.assertEqual((out["failure"], out["snapshot"]), ("bad_snapshot", "a.bin"))
                self.assertFalse(self.cached("a.bin").exists())

    def test_a_manifest_may_have_only_another_kind(self):
        for kind, made in (("sha512", hashlib.sha512), ("blake2b", hashlib.blake2b), ("md5", hashlib.md5)):
            with self.subTest(kind=kind):
                self.clear()
                self.forget()
                digest = made(self.data_bytes).hexdigest()
                row = {"name": "a.bin", kind: digest.upper()}
                (self.files / "manifest.json").write_text(json.dumps({"snapshots": [row]}))
                out = self.load()
                self.assertEqual((out["failure"], out["verified"], out["verified_by"]), ("none", True, kind), out["error"])
                self.forget()
                row[kind] = ("1" if digest[0] == "0" else "0") + digest[1:]
                (self.files / "manifest.json").write_text(json.dumps([row]))
                out = self.load()
                self.assertEqual((out["failure"], out["snapshot"]), ("bad_snapshot", "a.bin"))

    def strange_host(self):
        host = FaultHost()
        self.addCleanup(host.close)
        return host

    def test_a_store_that_says_403_of_what_is_not_there(self):
        host = self.strange_host()
        host.files["a.bin"] = self.data_bytes
        host.fault = lambda handler, name: name not in host.files and handler.status(403) is None
        source = {"url": host.url + "a.bin"}
        candidate = self.newest(source, match="a.bin")
        out = self.fetch(source, candidate, checksum="required")
        self.assertEqual(out["failure"], "unreachable")
        self.assertIn("403", out["error"])
        out = self.fetch(source, candidate)
        self.assertEqual((out["failure"], out["verified"]), ("none", False), out["error"])
        self.assertIn("is taken to have no checksum", out["notes"][0])
        self.forget()
        host.files["a.bin.sha512"] = hashlib.sha512(self.data_bytes).hexdigest().encode()
        out = self.fetch(source, candidate, checksum="required")
        self.assertEqual((out["failure"], out["verified_by"]), ("none", "sha512"), out["error"])

    def test_an_address_that_lets_in_by_its_query_lets_in_to_one_file(self):
        host, store = self.strange_host(), self.strange_host()
        store.files["7f3a/a.bin?X-Amz-Signature=1"] = self.data_bytes
        store.fault = lambda handler, name: name not in store.files and handler.status(403) is None
        for path in ("dl/a.bin", "dl/latest"):
            self.forget()
            host.files = {}
            host.fault = lambda handler, name: name == path and handler.status(
                302, Location=store.url + "7f3a/a.bin?X-Amz-Signature=1") is None
            source = {"url": host.url + path}
            candidate = self.newest(source, match="a.bin")
            self.assertEqual(self.fetch(source, candidate, checksum="required")["failure"], "refused", "there is none")
            host.files["dl/a.bin.sha256"] = hashlib.sha256(self.data_bytes).hexdigest().encode()
            out = self.fetch(source, candidate, checksum="required")
            self.assertEqual((out["failure"], out["verified_by"]), ("none", "sha256"), out["error"])
        self.assertEqual({name for _, name, _ in store.requests}, {"7f3a/a.bin?X-Amz-Signature=1"})

    def key(self, name):
        self.shell(f"minisign -G -f -W -p ../{name}.pub -s ../{name}.key")
        return (self.files.parent / f"{name}.pub").read_text().split("\n")[1]

    def test_signatures_of_both_kinds(self):
        key, other = self.key("one"), self.key("two")
        for option in ("", "-l"):
            with self.subTest(option=option):
                self.clear()
                self.forget()
                self.shell(f"minisign -S {option} -s ../one.key -m a.bin -t 'of the backup host'")
                out = self.load(public_key=key)
                self.assertEqual((out["failure"], out["verified"], out["verified_by"]), ("none", True, "its signature"),
                                 out["error"])
                self.assertEqual(self.load(public_key=key)["failure"], "none", "from the cache")
                wrong = self.load(public_key=other)
                self.assertEqual(wrong["failure"], "refused")
                self.assertIn("signed with the key", wrong["error"])
                self.assertTrue(self.cached("a.bin").exists())
                self.forget()
                signature = self.files / "a.bin.minisig"
                text = signature.read_text()
                signature.write_text(text.replace("of the backup host", "of somebody else"))
                self.assertIn("comment was altered", self.load(public_key=key)["error"])
                signature.write_text(text)
                self.host.put("a.bin", self.data_bytes[:-1] + b"x")
                out = self.load(public_key=key)
                self.assertEqual((out["failure"], out["snapshot"]), ("bad_snapshot", "a.bin"), out["error"])
                self.assertIn("minisig", out["error"])
                self.assertFalse(self.cached("a.bin").exists())
                self.host.put("a.bin", self.data_bytes)

    def test_an_older_archive_is_not_taken_under_a_newer_name_however_well_it_is_signed(self):
        key = self.key("one")
        for option in ("", "-l"):
            with self.subTest(option=option):
                self.shell(f"rm -f snap-*; cp a.bin snap-100.bin; minisign -S {option} -s ../one.key -m snap-100.bin")
                self.shell("mv snap-100.bin snap-200.bin; mv snap-100.bin.minisig snap-200.bin.minisig")
                out = self.load("snap-200.bin", public_key=key)
                self.assertEqual(out["failure"], "refused", out["error"])
                self.assertIn("snap-200.bin.minisig: it was made for snap-100.bin", out["error"])
                self.assertFalse(self.cached("snap-200.bin").exists())
                self.shell("cp snap-200.bin snap-latest.bin; cp snap-200.bin.minisig snap-latest.bin.minisig")
                self.assertEqual(self.load("snap-latest.bin", public_key=key)["verified_by"], "its signature")
                self.shell(f"minisign -S {option} -s ../one.key -m snap-200.bin")
                self.assertEqual(self.load("snap-200.bin", public_key=key)["verified_by"], "its signature")
                self.forget()

    def test_with_a_key_nothing_unsigned_is_loaded(self):
        key = self.key("one")
        self.shell("sha256sum a.bin > a.bin.sha256")
        for text in (None, "", "<html></html>", "untrusted comment: x\nRWQ=\n"):
            if text is not None:
                (self.files / "a.bin.minisig").write_text(text)
            out = self.load(public_key=key)
            self.assertEqual(out["failure"], "refused", out["error"])
            self.assertFalse(self.cached("a.bin.part").exists())

    def sums(self, wrong=b"other"):
        return hashlib.sha256(self.data_bytes).hexdigest(), hashlib.sha256(wrong).hexdigest()

    def manifest(self, digest):
        self.host.put("manifest.json", json.dumps({"snapshots": [{"name": "a.bin", "size": SIZE, "sha256": digest}]}).encode())

    def verify_here(self, **more):
        """What `hasup snapshot verify` asks, of the same files on this machine."""
        path = str(self.files / "a.bin")
        snapshot = {"name": "a.bin", "url": path, "source": path}
        return self.job({"mode": "verify", "file": path, "chosen": {"plan": 0, "snapshots": [snapshot]}, **more})

    def test_two_who_announce_different_sums_are_refused_with_what_each_says(self):
        right, wrong = self.sums()
        for sides, said in (
                ({"manifest.json": wrong, "a.bin.sha256": right},
                 f"manifest.json says sha256 {wrong}, but a.bin.sha256 says {right}"),
                ({"manifest.json": right, "SHA256SUMS": wrong},
                 f"manifest.json says sha256 {right}, but SHA256SUMS says {wrong}"),
                ({"a.bin.sha256": right, "a.bin.sha256sum": right, "SHA256SUMS": wrong},
                 f"a.bin.sha256 and a.bin.sha256sum say sha256 {right}, but SHA256SUMS says {wrong}")):
            with self.subTest(sides=sides):
                self.clear()
                self.forget()
                for name, digest in sides.items():
                    if name == "manifest.json":
                        self.manifest(digest)
                    else:
                        self.host.put(name, f"{digest}  a.bin\n".encode())
                for out in (self.load(), self.load(checksum="if_present"), self.verify_here()):
                    self.assertEqual((out["failure"], out["snapshot"]), ("refused", "a.bin"), out)
                    self.assertIn("a.bin is announced in two ways: " + said, out["error"])
                self.assertFalse(self.cached("a.bin.part").exists(), "before the first byte")
                proof, = self.select({**self.host.source}, match="a.bin", explain=True)["proofs"]
                self.assertEqual((proof["disagree"], proof["digest"]), (said, ""))

    def test_sums_that_disagree_do_not_count_where_the_pinned_key_has_signed(self):
        key = self.key("one")
        right, wrong = self.sums()
        self.manifest(wrong)
        self.host.put("a.bin.sha256", f"{right}  a.bin\n".encode())
        self.shell("minisign -S -s ../one.key -m a.bin")
        for out in (self.load(public_key=key), self.load(public_key=key), self.verify_here(public_key=key)):
            self.assertEqual((out["failure"], out["verified_by"]), ("none", "its signature"), out["error"])
            self.assertIn("its signature decides what a.bin is: manifest.json says", out["notes"][-1])
        self.host.put("a.bin", self.data_bytes[:-1] + b"x")
        self.forget()
        for out in (self.load(public_key=key), self.verify_here(public_key=key)):
            self.assertEqual(out["failure"], "bad_snapshot", out["error"])

    def test_a_wrong_sum_is_told_with_who_says_it(self):
        right, wrong = self.sums()
        for sides, who in (({"a.bin.sha256": wrong}, "a.bin.sha256"), ({"SHA256SUMS": wrong}, "SHA256SUMS"),
                           ({"manifest.json": wrong}, "manifest.json"),
                           ({"manifest.json": wrong, "a.bin.sha256": wrong}, "manifest.json and a.bin.sha256")):
            with self.subTest(sides=sides):
                self.clear()
                self.forget()
                for name, digest in sides.items():
                    if name == "manifest.json":
                        self.manifest(digest)
                    else:
                        self.host.put(name, f"{digest}  a.bin\n".encode())
                for out in (self.load(), self.verify_here()):
                    self.assertEqual(out["failure"], "bad_snapshot", out["error"])
                    self.assertIn(f"a.bin has sha256 {right}, but {who} announced {wrong};", out["error"])

    def test_sums_that_a_host_keeps_to_itself_say_nothing_beside_one_that_is_known(self):
        host = FaultHost()
        self.addCleanup(host.close)
        right, _ = self.sums()
        host.files = {"a.bin": self.data_bytes, "": b'<a href="a.bin">a.bin</a> <a href="manifest.json">manifest.json</a>',
                      "manifest.json": json.dumps([{"name": "a.bin", "sha256": right}]).encode()}

        def fault(handler, name):
            if name not in ("a.bin.sha256", "a.bin.sha256sum", "SHA256SUMS"):
                return False
            handler.status(403)
            return True
        host.fault = fault
        source = {"url": host.url}
        out = self.job(self.fetch_job(source, self.newest(source, match="a.bin"), checksum="required"))
        self.assertEqual((out["failure"], out["verified_by"]), ("none", "sha256"), out["error"])
        self.forget()
        host.files["manifest.json"] = b"[]"
        out = self.job(self.fetch_job(source, self.newest(source, match="a.bin"), checksum="required"))
        self.assertEqual(out["failure"], "unreachable")
        self.assertIn("whether there is a checksum cannot be told", out["error"])

    def test_a_file_that_was_cached_unsigned_is_verified_when_a_key_is_set(self):
        key = self.key("one")
        self.shell("sha256sum a.bin > a.bin.sha256; minisign -S -s ../one.key -m a.bin")
        self.assertEqual(self.load()["verified_by"], "sha256")
        self.assertEqual(self.load(public_key=key)["verified_by"], "its signature and sha256")
        seal = json.loads(self.cached("a.bin.seal").read_text())
        self.assertEqual(seal["signed_by"], key)


if __name__ == "__main__":
    unittest.main()
