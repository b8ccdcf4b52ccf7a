"""A disk that fails, or is full, at any step of a restore: the whole verified snapshot or nothing, and never a changed
data directory. The data directory is on a file system that fails when it is told to."""

import hashlib
import os
import re
import subprocess
import unittest
from pathlib import Path

from archive_jobs import ArchiveJobs, node_files, packed, tar_of, tree
from fault_mount import FaultMount, missing
from hasup_home import unmount
from test_sources import snapshot_bytes


def contents(top):
    """What a node would find: all but what is hasup's own."""
    return {path: what for path, what in tree(top).items() if path.split("/")[0] != ".hasup"}


@unittest.skipIf(missing(), missing())
class Disks(ArchiveJobs):
    def setUp(self):
        super().setUp()
        self.below = self.home.directory("below")
        self.mount = FaultMount(self, self.below, self.home.path / "disk")
        self.data = self.mount.path / "node"
        self.data.mkdir()
        self.put_node(big=9_000_000)

    def old_state(self):
        for name, text in (("state/db", "old"), ("state/more/x", "old too"), ("blocks/log", "old log"), ("keys/secret", "mine")):
            path = self.data / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.before = contents(self.data)

    def fresh(self):
        self.mount.fail()
        subprocess.run(["rm", "-rf", *self.data.iterdir()], check=True)
        self.old_state()

    def stage(self, mode):
        return self.job(self.plan_job(mode, unpack_ahead=False))

    def do_all(self):
        for mode in ("fetch", "unpack", "swap"):
            self.succeed(self.stage(mode))

    def expect_restored(self):
        self.assertEqual((self.data / "state" / "first").read_bytes(), b"first")
        self.assertEqual(hashlib.sha256((self.data / "state" / "big").read_bytes()).hexdigest(),
                         hashlib.sha256(node_files(big=9_000_000)["state/big"]).hexdigest())
        self.assertEqual((self.data / "keys" / "secret").read_text(), "mine")
        self.assertFalse((self.data / "state" / "db").exists())

    def fails_in(self, mode, fault, failure, word):
        """One step of a restore meets the fault; the state is as before, and the next attempt does it all."""
        self.fresh()
        for earlier in ("fetch", "unpack", "swap"):
            if earlier == mode:
                break
            self.succeed(self.stage(earlier))
        met = len(self.mount.met())
        self.mount.fail(fault)
        out = self.stage(mode)
        self.assertGreater(len(self.mount.met()), met, f"{fault} was not met in {mode}")
        self.assertEqual(out["failure"], failure, f"{fault} in {mode}: {out['error']}")
        self.assertIn(word, out["error"])
        if mode == "fetch":
            self.assertFalse(self.own("cache", "a.tar.zst").exists())
        if mode == "unpack":
            self.assertFalse(self.own("staging", "staged.json").exists())
        self.mount.fail()
        if mode != "swap":
            self.assertEqual(contents(self.data), self.before, fault)
        return out

    ERRORS = (("EIO", "internal", "Input/output error"), ("ENOSPC", "no_space", "No space left"))

    def each(self, mode, *operations):
        for operation in operations:
            op, _, name = operation.partition(" ")
            for error, failure, word in self.ERRORS:
                with self.subTest(mode=mode, operation=operation, error=error):
                    self.fails_in(mode, f"{op} {error} {name}", failure, word)
                    self.do_all()
                    self.expect_restored()

    def test_while_it_is_fetched(self):
        self.each("fetch", "create a.tar.zst.part", "write a.tar.zst.part", "write-on a.tar.zst.part", "fsync a.tar.zst.part",
                  "rename cache/a.tar.zst", "fsyncdir cache", "mkdir cache", "mkdir staging")

    def test_while_it_is_unpacked(self):
        self.each("unpack", "create state/first", "write state/first", "write-on state/big", "mkdir staging/new",
                  "mkdir staging/unpack", "create staged.json.tmp", "write staged.json.tmp", "fsync staged.json.tmp",
                  "rename staged.json")

    def test_the_archive_cannot_be_read_back(self):
        self.fails_in("unpack", "read EIO cache/a.tar.zst", "internal", "Input/output error")
        self.do_all()
        self.expect_restored()
        self.fails_in("fetch", "read EIO a.tar.zst.part", "internal", "Input/output error")
        self.do_all()
        self.expect_restored()

    def test_before_anything_is_swapped(self):
        for operation in ("create swap.json.tmp", "write swap.json.tmp", "fsync swap.json.tmp", "rename swap.json"):
            op, _, name = operation.partition(" ")
            for error, failure, word in self.ERRORS:
                with self.subTest(operation=operation, error=error):
                    self.fails_in("swap", f"{op} {error} {name}", failure, word)
                    self.assertEqual(contents(self.data), self.before)
                    self.do_all()
                    self.expect_restored()

    def test_in_the_middle_of_the_swap_it_goes_on_or_back(self):
        for fault in ("rename EIO staging/new/state", "rename EIO staging/new/blocks", "fsyncdir EIO*1 .hasup", "fsyncdir EIO*2 .hasup",
                      "fsyncdir EIO node", "mkdir ENOSPC aside", "fsync EIO*2 swap.json.tmp", "write ENOSPC*1 swap.json.tmp"):
            for back in (False, True):
                with self.subTest(fault=fault, back=back):
                    self.fresh()
                    self.succeed(self.stage("fetch"))
                    self.succeed(self.stage("unpack"))
                    self.mount.fail(fault)
                    out = self.stage("swap")
                    self.mount.fail()
                    self.assertIn(out["failure"], ("internal", "no_space"), out["error"])
                    if not self.own("swap.json").exists():
                        self.assertEqual(contents(self.data), self.before)
                    elif back:
                        self.succeed(self.stage("roll_back"))
                        self.assertEqual(contents(self.data), self.before)
                    else:
                        self.succeed(self.stage("swap"))
                        self.expect_restored()
                        self.succeed(self.stage("clean_up"))
                        self.assertFalse(self.own("swap.json").exists())

    def test_what_an_fsync_failed_for_is_never_noted_as_durable(self):
        self.fresh()
        self.names = ["big.bin"]
        self.archives = [{"match": "*", "order": "name", "unpack": "none", "as": "snapshot"}]
        data = snapshot_bytes(4, 16_000_000)
        self.host.files["big.bin"] = data  # without a checksum: nobody else would notice
        self.mount.fail("fsync EIO*1 big.bin.part")
        out = self.job(self.plan_job("fetch", unpack_ahead=False, max_rate=1_000_000))
        self.assertEqual(out["failure"], "internal", out["error"])
        self.assertIn("Input/output error", out["error"])
        self.assertEqual(len(self.mount.met()), 1)
        self.assertFalse(self.own("cache", "big.bin.resume").exists())
        self.succeed(self.job(self.plan_job("fetch", unpack_ahead=False)))
        self.assertTrue(self.own("cache", "big.bin").read_bytes() == data)

    def test_what_is_unpacked_ahead_meets_it_and_the_fetch_does_not_care(self):
        for fault in ("create EIO state/first", "write-on ENOSPC state/big", "rename EIO ahead.json", "fsync EIO ahead.json.tmp"):
            with self.subTest(fault=fault):
                self.fresh()
                self.mount.fail(fault)
                self.succeed(self.fetch_ahead())
                self.mount.fail()
                self.assertFalse(self.mark.exists())
                self.succeed(self.stage("unpack"))
                self.succeed(self.stage("swap"))
                self.expect_restored()


class Folded(ArchiveJobs):
    """A data directory where `Keys` is `keys`."""

    def setUp(self):
        super().setUp()
        self.data = self.folding_directory()
        for name in ("state", "keys"):
            (self.data / name).mkdir()
        (self.data / "keys" / "secret").write_text("mine")
        self.assertEqual((self.data / "KEY\u00adS" / "secret").read_text(), "mine", "it folds")

    def folding_directory(self):
        """Of the file system that shows this directory."""
        below = self.home.directory("below")
        return FaultMount(self, below, self.home.path / "disk", fold=True).path

    def refused(self, files):
        before = contents(self.data)
        self.put(packed(tar_of(files), "zstd", "-q", "-1"))
        self.succeed(self.job(self.plan_job("fetch", unpack_ahead=False)))
        out = self.unpack()
        self.assertEqual(out["failure"], "bad_snapshot", out["error"])
        self.assertEqual(contents(self.data), before)
        self.assertFalse(self.own("staging", "staged.json").exists())
        self.own("cache", "a.tar.zst").unlink()
        return out["error"]

    def test_two_entries_that_are_one_here_are_refused_by_name(self):
        for first, second in (("a", "A"), ("blocks/Log", "blocks/l\u00adog")):
            with self.subTest(second=second):
                error = self.refused({"state/" + first: b"1", "state/" + second: b"2"})
                self.assertIn(f'entry "state/{second}" is there twice for this file system, which folds names', error)
        error = self.refused({"state/a": b"1", "state/L": "a", "state/l": b"2"})
        self.assertIn('entry "state/L" is there twice for this file system', error)
        error = self.refused({"state/a": b"1", "state/b": b"1", "state/x/": None, "state/a\u00ad/b": b"2"})
        self.assertIn('entry "state/a\u00ad/b" lies below something that is no directory', error)

    def test_what_is_kept_is_not_brought_under_another_spelling(self):
        for name in ("KEYS/secret", "k\u00adeys/secret"):
            with self.subTest(name=name):
                error = self.refused({"state/a": b"1", name: b"theirs"})
                self.assertIn(f'entry "{name}" differs from an entry that is kept only in case', error)

    def test_nothing_comes_into_the_directory_of_hasup(self):
        for name in (".HASUP/swap.json", "state/.ha\u00adsup/swap.json", ".ha\u017fup/x"):
            with self.subTest(name=name):
                self.assertIn("would write into .hasup", self.refused({"state/a": b"1", name: b"{}"}))

    def test_an_ordinary_archive_is_restored(self):
        self.put_node()
        for mode in ("fetch", "unpack", "swap", "clean_up"):
            self.succeed(self.job(self.plan_job(mode, unpack_ahead=False)))
        self.assertEqual((self.data / "STATE" / "first").read_bytes(), b"first")
        self.assertEqual((self.data / "keys" / "secret").read_text(), "mine")


@unittest.skipIf(os.geteuid() != 0, "only root may mount a disk")
class Casefold(Folded):
    """The same where the kernel folds them."""

    def folding_directory(self):
        image, disk = self.home.path / "image", self.home.directory("casefold")
        made = subprocess.run(f"truncate -s 128M {image} && mkfs.ext4 -q -O casefold {image} && mount -o loop {image} {disk}",
                              shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if made.returncode != 0:
            self.skipTest("no ext4 that folds names can be mounted here (the kernel needs CONFIG_UNICODE): " + made.stdout.strip())
        self.addCleanup(unmount, disk)
        (disk / "node").mkdir()
        subprocess.run(["chattr", "+F", disk / "node"], check=True)
        return disk / "node"


def wide_frame(data):
    """One zstd frame that says that it may look back 2 GiB, as `zstd --long=31` does; its blocks are the data as it is, and
    so many that nobody can tell beforehand whether it fits into memory as a whole."""
    out, size = bytearray(b"\x28\xb5\x2f\xfd\x00\xa8"), 2000
    for at in range(0, len(data), size):
        block = data[at:at + size]
        out += (len(block) << 3 | (at + size >= len(data))).to_bytes(3, "little") + block
    return bytes(out)


@unittest.skipIf(os.geteuid() != 0, "only root may give a process another /proc/meminfo")
class LittleMemory(ArchiveJobs):
    """A machine that has not the memory which an archive may use, as lxcfs shows a container its own."""

    def with_memory(self, available_kib, mode):
        meminfo = self.home.path / "meminfo"
        meminfo.write_text(re.sub("MemAvailable: *[0-9]+ kB", f"MemAvailable:   {available_kib} kB",
                                  Path("/proc/meminfo").read_text()))
        return self.job(self.plan_job(mode, max_window=2 << 30, unpack_ahead=False), lead=[
            "unshare", "--mount", "sh", "-ec", f'mount --bind {meminfo} /proc/meminfo; exec "$@"', "sh"])

    def test_a_window_that_fits_max_window_but_not_what_is_free_is_refused_with_both_numbers(self):
        (self.data / "state").mkdir()
        (self.data / "state" / "db").write_text("old")
        self.put(wide_frame(tar_of(node_files(big=300_000))))
        self.succeed(self.with_memory(8 << 20, "fetch"))
        for available in (1 << 20, 2 << 20):  # the window itself is not all that is needed
            out = self.with_memory(available, "unpack")
            self.assertEqual((out["failure"], out["snapshot"]), ("refused", "a.tar.zst"), out["error"])
            self.assertIn(f"a.tar.zst needs a window of 2.0GiB of memory, but only {available >> 20}.0GiB are available;", out["error"])
            self.assertFalse(self.own("staging", "staged.json").exists())
            self.assertEqual(list(contents(self.data)), ["state", "state/db"])
        self.succeed(self.with_memory(8 << 20, "unpack"))
        self.succeed(self.with_memory(1 << 20, "swap"))
        self.assertEqual((self.data / "state" / "first").read_bytes(), b"first")


@unittest.skipIf(os.geteuid() != 0, "only root may mount a small disk")
class Full(ArchiveJobs):
    """The same with a disk that is really full, at each size of it."""

    def test_a_disk_of_any_size_ends_in_all_or_nothing(self):
        archive = self.put_node(big=2_000_000)
        whole = len(archive)
        outcomes = set()
        for size in range(whole // 2, 4 * whole, whole // 4):
            self.data = self.home.directory(f"disk{size}")
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", self.data], check=True)
            try:
                (self.data / "state").mkdir()
                (self.data / "state" / "db").write_bytes(b"old")
                self.data.chmod(0o755)
                failed = next((out for out in (self.job(self.plan_job(mode, unpack_ahead=False))
                                               for mode in ("fetch", "unpack", "swap")) if out["failure"] != "none"), None)
                if failed:
                    self.assertEqual(failed["failure"], "no_space", failed["error"])
                    self.assertEqual(list(contents(self.data)), ["state", "state/db"])
                    self.assertEqual((self.data / "state" / "db").read_bytes(), b"old")
                else:
                    self.assertEqual((self.data / "state" / "first").read_bytes(), b"first")
                outcomes.add(failed["error"].split(" ")[0] if failed else "restored")
            finally:
                unmount(self.data)
        self.assertIn("restored", outcomes)
        self.assertGreater(len(outcomes), 2, "it was full in more than one step")


if __name__ == "__main__":
    unittest.main()
