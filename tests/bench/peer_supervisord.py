"""Debian's supervisord. It has no time stamps of its own for the lines of its programs."""

from peers import Peer, debian_version


class Supervisord(Peer):
    name = "supervisord"
    needs = ("supervisord", "supervisorctl")

    @classmethod
    def version(cls):
        return debian_version("supervisor")

    def __init__(self):
        super().__init__()
        self.file = self.dir / "supervisord.conf"
        self.file.write_text(f"""
[unix_http_server]
file={self.dir}/s.sock
[supervisord]
logfile={self.dir}/supervisord.log
pidfile={self.dir}/supervisord.pid
childlogdir={self.dir}
nodaemon=true
minfds=8192
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{self.dir}/s.sock
""")

    def add(self, name, argv, requires=()):
        with open(self.file, "a") as file:
            file.write(f"""
[program:{name}]
command={' '.join(map(str, argv))}
autorestart=true
startsecs=0
startretries=1000000
redirect_stderr=true
stdout_logfile={self.dir}/{name}.log
stdout_logfile_maxbytes=0
""")

    def start(self):
        self.spawn(["supervisord", "-c", self.file])

    def stop(self):
        self.command("supervisorctl", "-c", self.file, "stop", "all")

    def status_command(self):
        return ["supervisorctl", "-c", self.file, "status"]

    def log_files(self, name):
        return [self.dir / f"{name}.log"]
