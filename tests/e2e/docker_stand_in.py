#!/usr/bin/env python3
"""Stands in for docker, as far as a unit that runs a container in the foreground sees it: the container is a process of the
engine, which runs on when the command that started it is killed, and keeps its name until it is removed.

docker_stand_in.py engine SOCKET COMMAND…          the engine; a container of whatever image runs COMMAND
docker run --rm --name NAME --network host IMAGE    ends with the exit code of the container
docker stop -t SECONDS NAME
docker rm -f NAME

The command finds the engine's socket in $DOCKER_STAND_IN.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading

containers = {}  # name -> process
lock = threading.Lock()


def kill_all(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def forget(name, process):
    kill_all(process)  # a container ends with its first process
    with lock:
        if containers.get(name) is process:
            del containers[name]


def run(name, command):
    with lock:
        if name in containers:
            return 125, f'docker: Error response from daemon: Conflict. The container name "/{name}" is already in use.'
        process = containers[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    code = process.wait()
    forget(name, process)
    return (128 - code if code < 0 else code), ""


def end(name, number, seconds):
    with lock:
        process = containers.get(name)
    if process is None:
        return 1, f"Error response from daemon: No such container: {name}"
    process.send_signal(number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    kill_all(process)
    process.wait()
    forget(name, process)
    return 0, name


def serve(connection, command):
    with connection:
        words = json.loads(connection.makefile().readline())
        if words[0] == "run":
            code, text = run(words[words.index("--name") + 1], command)
        elif words[0] == "stop":
            code, text = end(words[-1], signal.SIGQUIT, float(words[words.index("-t") + 1]))  # nginx' STOPSIGNAL
        else:
            code, text = end(words[-1], signal.SIGKILL, 60)
        try:
            connection.sendall(json.dumps([code, text]).encode())
        except OSError:
            pass  # the command was killed


def engine(path, command):
    def leave(*_):
        for process in list(containers.values()):
            kill_all(process)
            process.wait()
        os._exit(0)
    signal.signal(signal.SIGTERM, leave)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, command), daemon=True).start()


def command(words):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.environ["DOCKER_STAND_IN"])
        s.sendall(json.dumps(words).encode() + b"\n")
        if words[0] == "run":  # as docker passes signals on
            signal.signal(signal.SIGTERM, lambda *_: command(["stop", "-t", "10", words[words.index("--name") + 1]]))
        code, text = json.loads(s.makefile().read())
    if text:
        print(text, file=sys.stderr if code else sys.stdout, flush=True)
    return code


if sys.argv[1] == "engine":
    engine(sys.argv[2], sys.argv[3:])
sys.exit(command(sys.argv[1:]))
