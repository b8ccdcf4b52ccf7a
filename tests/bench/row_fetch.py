"""A snapshot from nginx on loopback into a directory, verified and unpacked: hasup's worker, which does it all at once,
and what people do by hand. Every one ends with its data on the disk."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import archives
import context
from context import Table, say
from measure import median

sys.path.append(str(context.SOURCE / "tests" / "e2e"))
from hasup_home import free_port  # noqa: E402

WORKER = context.BIN / "hasup-worker"
BY_HAND = {
    "curl | bsdtar -x": ("bsdtar", 'curl -sf "$URL" | bsdtar -xf - -C "$OUT"'),
    "curl, sha256sum, tar": ("tar", 'cd "$OUT/.." && curl -sfO "$URL" && curl -sfO "$URL.sha256" && '
                                    'sha256sum --quiet -c a.tar.zst.sha256 && tar --zstd -xf a.tar.zst -C "$OUT"'),
}
# What has to be done, each thing alone and with all that it needs in memory or on the same disk: {file} is the archive,
# {tar} what is in it, $OUT an empty directory.
STAGES = {
    "curl -o": 'curl -sf "$URL" -o "$OUT/a"',
    "sha256sum": 'sha256sum {file}',
    "zstd -d": 'zstd -dcq --long=31 {file}',
    "tar x": 'tar -xf {tar} -C "$OUT"',
}


class Host:
    """nginx, which serves a directory."""

    def __init__(self, directory, run, log="off"):
        self.port = free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        (run / "nginx.conf").write_text(f"""
            {user} daemon off; pid {run}/nginx.pid; error_log {run}/error.log; worker_processes 2; events {{}}
            http {{
              log_format sent '$uri $bytes_sent'; access_log {log}{"" if log == "off" else " sent"}; sendfile on; client_body_temp_path {run}/body; proxy_temp_path {run}/proxy;
              fastcgi_temp_path {run}/fastcgi; uwsgi_temp_path {run}/uwsgi; scgi_temp_path {run}/scgi;
              server {{ listen 127.0.0.1:{self.port}; location / {{ root {directory}; }} }}
            }}""")
        nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.process = subprocess.Popen([nginx, "-e", run / "error.log", "-c", run / "nginx.conf"], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("nginx does not start: " + (run / "error.log").read_text())
            time.sleep(0.02)

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, kind):
        return f"http://127.0.0.1:{self.port}/{kind.replace(' ', '-')}/"

    def close(self):
        self.process.terminate()
        self.process.wait()


def jobs(node, run, url):
    """Fetch and unpack, as a recovery gives them."""
    base = {"result_path": str(run / "result.json"), "progress_path": "", "data_dir": str(node), "sources": [{"url": url}],
            "checksum": "required", "keep": [],
            "chosen": {"plan": 0, "snapshots": [{"name": "a.tar.zst", "url": url + "a.tar.zst", "source": url}]},
            "plan": {"name": "p", "wipe": ["state", "blocks"],
                     "archives": [{"match": "*", "order": "time", "unpack": "archive", "into": ".", "strip": True}]}}
    out = []
    for mode in ("fetch", "unpack"):
        out.append(run / f"{mode}.json")
        out[-1].write_text(json.dumps({**base, "mode": mode, "unpack_ahead": mode == "fetch"}))
    return out


def most_memory(pid):
    """What the process and its child have had at most until now, in MiB."""
    total = 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *children):
            for line in Path(f"/proc/{one}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1]) / 1024
    except OSError:
        pass  # one of them has just ended
    return total


def run_hasup(place, files):
    memory = 0
    for job in files:
        worker = subprocess.Popen([WORKER, job], stdin=subprocess.DEVNULL)
        while worker.poll() is None:
            memory = max(memory, most_memory(worker.pid))
            time.sleep(0.02)
        if worker.returncode != 0:
            raise RuntimeError("hasup: " + (place / "run" / "result.json").read_text())
    return memory


def one_round(place, name, host, kind):
    """Seconds, and what hasup's two processes had of memory at most."""
    node, out, run = place / "node", place / "hand" / "out", place / "run"
    for directory in (node, place / "hand"):
        shutil.rmtree(directory, ignore_errors=True)
    node.mkdir()
    out.mkdir(parents=True)
    subprocess.run(["sync", "-f", place], check=True)
    url = host.url(kind)
    files, memory = jobs(node, run, url), 0
    begun = time.monotonic()
    if name == "hasup":
        memory = run_hasup(place, files)
    else:
        subprocess.run(["bash", "-c", "set -o pipefail; " + BY_HAND[name][1] + ' && sync -f "$OUT"'], check=True,
                       env={**os.environ, "URL": url + "a.tar.zst", "OUT": str(out)})
    return time.monotonic() - begun, memory


def stages_alone(place, host, kind, archive, tar):
    """Stage -> seconds. Those that write end with their data on the disk."""
    took, out = {}, place / "hand" / "out"
    for stage, command in STAGES.items():
        shutil.rmtree(place / "hand", ignore_errors=True)
        out.mkdir(parents=True)
        subprocess.run(["sync", "-f", place], check=True)
        begun = time.monotonic()
        subprocess.run(["bash", "-c", command.format(file=archive, tar=tar) + ' && sync -f "$OUT"'], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "URL": host.url(kind) + "a.tar.zst", "OUT": str(out)})
        took[stage] = time.monotonic() - begun
    return took


def measure(sizes):
    if not shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin") or not shutil.which("curl"):
        say("left out: fetching, without nginx and curl")
        return None
    names = ["hasup", *(n for n, (program, _) in BY_HAND.items() if shutil.which(program))]
    seen, alone, made = {}, {}, None
    with archives.grounds(sizes.unpack_mib, sizes.grounds) as grounds:
        for ground, directory in grounds.items():
            made = measure_on(ground, directory, names, sizes, seen, alone)
    return table(seen, alone, made, sizes)


def measure_on(ground, directory, names, sizes, seen, alone):
    say(f"fetch: making archives of {sizes.unpack_mib} MiB ({ground})")
    files, place = directory / "files", directory / "place"
    files.mkdir()
    (place / "run").mkdir(parents=True)
    made = archives.make(files, sizes.unpack_mib)
    tar = directory / "a.tar"
    for kind in made.sizes:
        archive = files / kind.replace(" ", "-") / "a.tar.zst"
        with open(archive, "rb") as f:
            Path(f"{archive}.sha256").write_text(f"{hashlib.file_digest(f, 'sha256').hexdigest()}  a.tar.zst\n")
    host = Host(files, place / "run")
    try:
        for kind in made.sizes:
            archive = files / kind.replace(" ", "-") / "a.tar.zst"
            subprocess.run(["zstd", "-dqf", "--long=31", archive, "-o", tar], check=True)
            for round_ in range(min(3, sizes.unpack_rounds)):
                say(f"fetch: {ground}, {kind}, stages alone, round {round_ + 1}")
                alone.setdefault((ground, kind), []).append(stages_alone(place, host, kind, archive, tar))
            tar.unlink()
        for round_ in range(sizes.unpack_rounds):
            for kind in made.sizes:
                for name in archives.turns(names, round_):
                    say(f"fetch: {ground}, {kind}, {name}, round {round_ + 1}")
                    seen.setdefault((ground, kind, name), []).append(one_round(place, name, host, kind))
    finally:
        host.close()
    for used in (files, place):
        shutil.rmtree(used)
    return made


def table(seen, alone, made, sizes):
    rows, unpacked = [], made.tar
    for ground, kind, name in sorted(seen, key=lambda k: list(seen).index((*k[:2], "hasup"))):
        took = seen[ground, kind, name]
        seconds, mine = (median([t[0] for t in rounds]) for rounds in (took, seen[ground, kind, "hasup"]))
        memory = max(t[1] for t in took)
        rows.append([name, ground, kind, f"{seconds:.2f} s", f"{seconds / mine:.2f}x", f"{unpacked / seconds / 1e6:,.0f} MB/s",
                     f"{memory:.0f} MiB" if memory else ""])
    for (ground, kind), rounds in alone.items():
        mine = median([t[0] for t in seen[ground, kind, "hasup"]])
        stages = {stage: median([one[stage] for one in rounds]) for stage in STAGES}
        each = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.items())
        for what, seconds in (("one after the other", sum(stages.values())), ("the longest", max(stages.values()))):
            rows.append([f"stages alone ({each}): {what}", ground, kind, f"{seconds:.2f} s", f"{seconds / mine:.2f}x",
                         f"{unpacked / seconds / 1e6:,.0f} MB/s", ""])
    return Table("Fetching and unpacking a snapshot",
                 f"The same tar of {unpacked / (1 << 20):,.0f} MiB as a tar.zst of {made.served()} from nginx on loopback until its content is "
                 f"on a disk (synced) or in memory (tmpfs), medians of {sizes.unpack_rounds}. hasup verifies the sha256 before "
                 "anything counts, notes what is durable so that a break is gone on with, keeps the archive, and unpacks what "
                 "comes while it comes; `curl | bsdtar -x` verifies nothing and keeps nothing. Memory is that of hasup's two "
                 "processes. The last rows are each stage alone (medians of 3): what they take one after the other, and the "
                 "longest, which each takes by itself.",
                 ["", "to", "archive", "time", "of hasup", "unpacked", "memory"], rows)
