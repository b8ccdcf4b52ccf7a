"""A real redis-server, by port: how it is started, asked, and known to answer."""

import subprocess


def server(port, directory):
    """The words that start one without saving by itself."""
    return ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", directory, "--save", ""]


def cli(port, *words, check=True):
    done = subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True, timeout=60)
    if check and done.returncode != 0:
        raise RuntimeError(f"redis-cli {words[0]}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def answers(port):
    return cli(port, "ping", check=False) == "PONG"
