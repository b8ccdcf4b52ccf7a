"""The real servers behind the kinds of snapshot sources: a directory, nginx, nginx with TLS, Apache, Caddy, sshd, s3rver."""

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import sigv4_gate
from hasup_home import SOURCE, accepts, free_port

S3RVER = Path(os.environ.get("HASUP_S3RVER_DIR", SOURCE / "build" / "s3rver")) / "node_modules" / ".bin" / "s3rver"
SBIN = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def run(*words, **options):
    subprocess.run(list(map(str, words)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


class Directory:
    """Where the files are, and what recovery.source says about it."""

    def __init__(self, test, files):
        self.test, self.files = test, files
        self.source = {"url": f"file://{files}/"}

    def put(self, name, data):
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def below(self, name):
        return {**self.source, "url": self.source["url"] + name + "/"}

    def down(self):
        return {**self.source, "url": f"file://{self.files}-that-is-not-mounted/"}


class Nginx(Directory):
    def __init__(self, test, files):
        super().__init__(test, files)
        self.source = {"url": f"http://127.0.0.1:{test.start_nginx(files)}/"}

    def down(self):
        return {"url": f"http://127.0.0.1:{free_port()}/"}


def program(test, name):
    found = shutil.which(name, path=SBIN)
    test.assertIsNotNone(found, f"{name} is not installed; packaging/test.sh installs it")
    return found


class NginxLatest(Nginx):
    """`moved/latest` redirects to snap-9.bin, `named/latest` is that file and says so in Content-Disposition."""

    def __init__(self, test, files):
        Directory.__init__(self, test, files)
        run, port = test.home.directory("nginx-latest"), free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        temp = " ".join(f"{kind}_temp_path {run}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (run / "nginx.conf").write_text(f"""
            {user} daemon off; pid {run}/nginx.pid; error_log {run}/error.log; worker_processes 1; events {{}}
            http {{ access_log off; {temp} server {{
              listen 127.0.0.1:{port}; root {files};
              location = /moved/latest {{ return 302 /snap-9.bin; }}
              location = /named/latest {{ alias {files}/snap-9.bin;
                add_header Content-Disposition 'attachment; filename="snap-9.bin"'; }} }} }}""")
        test.start_program([program(test, "nginx"), "-e", run / "error.log", "-c", run / "nginx.conf"], lambda: accepts(port))
        self.source = {"url": f"http://127.0.0.1:{port}/"}


class NginxUnlisted(Nginx):
    """Shows no listing: what is there stands in a file that is written with each upload. `api/snapshots` gives the same
    rows with the address of each file, as hosts do whose index a program makes."""
    index = said_by = "manifest.json"
    shown_at = ""

    def __init__(self, test, files):
        Directory.__init__(self, test, files)
        run, port = test.home.directory("nginx-unlisted"), free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        temp = " ".join(f"{kind}_temp_path {run}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (run / "nginx.conf").write_text(f"""
            {user} daemon off; pid {run}/nginx.pid; error_log {run}/error.log; worker_processes 1; events {{}}
            http {{ access_log off; {temp} types {{ application/json json; }} server {{
              listen 127.0.0.1:{port}; root {files};
              location = /api/snapshots {{ types {{}} default_type application/json; alias {files}/{self.index}; }} }} }}""")
        test.start_program([program(test, "nginx"), "-e", run / "error.log", "-c", run / "nginx.conf"], lambda: accepts(port))
        self.top = f"http://127.0.0.1:{port}/"
        self.source = {"url": self.top + self.shown_at}
        self.rows = {}
        self.write_index()

    def put(self, name, data):
        super().put(name, data)
        if "/" not in name:
            self.say(name, size=len(data), time=int((self.files / name).stat().st_mtime))

    def say(self, name, **words):
        self.rows.setdefault(name, {"name": name}).update(words)
        self.write_index()

    def write_index(self):
        (self.files / self.index).write_text(json.dumps({"snapshots": list(self.rows.values())}))

    def below(self, name):
        return {"url": f"{self.top}{name}/{self.shown_at}"}


class NginxIndex(NginxUnlisted):
    index = shown_at = said_by = "snapshots.json"


class NginxApi(NginxUnlisted):
    index = "rows.json"
    shown_at = "api/snapshots?network=main"
    said_by = "snapshots"

    def say(self, name, **words):
        super().say(name, url=self.top + urllib.parse.quote(name), **words)


class NginxMoved(Directory):
    """Its http leads to its https, on the default ports of an address of loopback's own; `elsewhere/` leads to another
    port. Whoever shows no token gets 401."""

    def __init__(self, test, files):
        super().__init__(test, files)
        keys, other = test.home.directory("nginx-moved"), free_port()
        host = f"127.{os.getpid() % 200 + 20}.{int.from_bytes(os.urandom(1), 'big') % 250 + 1}.7"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2", "-keyout", keys / "server.key", "-out", keys / "server.crt", "-subj", "/CN=localhost", "-addext",
            f"subjectAltName=IP:{host}")
        (keys / "headers").write_text("X-Token: s3cr3t-token\n")
        temp = " ".join(f"{kind}_temp_path {keys}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        secured = f"""ssl_certificate {keys}/server.crt; ssl_certificate_key {keys}/server.key;
              if ($http_x_token != "s3cr3t-token") {{ return 401; }} root {files}; autoindex on;"""
        (keys / "nginx.conf").write_text(f"""
            user root; daemon off; pid {keys}/nginx.pid; error_log {keys}/error.log; worker_processes 1; events {{}}
            http {{ access_log off; {temp}
              server {{ listen {host}:80; location /elsewhere/ {{ rewrite ^/elsewhere(/.*)$ https://{host}:{other}$1 redirect; }}
                        location / {{ return 301 https://{host}$request_uri; }} }}
              server {{ listen {host}:443 ssl; {secured} }}
              server {{ listen {host}:{other} ssl; {secured} }} }}""")
        test.start_program([program(test, "nginx"), "-e", keys / "error.log", "-c", keys / "nginx.conf"],
                           lambda: (keys / "nginx.pid").exists())
        self.source = {"url": f"http://{host}/", "ca_file": f"{keys}/server.crt", "header_file": f"{keys}/headers"}


class Apache(Nginx):
    """With the options of its listing that Debian sets."""
    listing = "FancyIndexing VersionSort HTMLTable NameWidth=* DescriptionWidth=* Charset=UTF-8"

    def __init__(self, test, files):
        Directory.__init__(self, test, files)
        run, port = test.home.directory("apache"), free_port()
        modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
                            for name in ("mpm_event", "authz_core", "autoindex", "mime"))
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        (run / "apache.conf").write_text(f"""ServerRoot {run}\nServerName localhost\nListen 127.0.0.1:{port}\n{user}
{modules}\nPidFile {run}/apache.pid\nErrorLog {run}/error.log\nTypesConfig {run}/mime.types\nDefaultRuntimeDir {run}
DocumentRoot {files}\n<Directory {files}>\nOptions Indexes\nRequire all granted\nIndexOptions {self.listing}\n</Directory>\n""")
        (run / "mime.types").write_text("text/plain txt\n")
        test.start_program([program(test, "apache2"), "-D", "FOREGROUND", "-f", run / "apache.conf"], lambda: accepts(port))
        self.source = {"url": f"http://127.0.0.1:{port}/"}


class ApacheText(Apache):
    listing = "FancyIndexing"  # lines of text


class Caddy(Nginx):
    asks = ""

    def __init__(self, test, files):
        Directory.__init__(self, test, files)
        run, port = test.home.directory("caddy"), free_port()
        (run / "Caddyfile").write_text(f"""{{\n admin off\n auto_https off\n}}
http://127.0.0.1:{port} {{\n bind 127.0.0.1\n root * {files}\n {self.asks}\n file_server browse\n}}\n""")
        test.start_program([program(test, "caddy"), "run", "--adapter", "caddyfile", "--config", run / "Caddyfile"],
                           lambda: accepts(port), env={**os.environ, "HOME": str(run), "XDG_DATA_HOME": str(run),
                                                       "XDG_CONFIG_HOME": str(run)})
        self.source = {"url": f"http://127.0.0.1:{port}/"}


class CaddyJson(Caddy):
    asks = "request_header Accept application/json"  # as if the reader had: the listing is JSON then


class NginxTls(Directory):
    """Wants a client certificate, and a token in a header."""

    def __init__(self, test, files):
        super().__init__(test, files)
        self.keys = keys = test.home.directory("tls")
        for name, subject in (("server", "/CN=localhost"), ("client", "/CN=client"), ("other", "/CN=localhost")):
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                "2", "-keyout", keys / f"{name}.key", "-out", keys / f"{name}.crt", "-subj", subject, "-addext",
                "subjectAltName=IP:127.0.0.1")
        (keys / "headers").write_text("# the backup host's token\nX-Token: s3cr3t-token\n")
        port = free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        temp = " ".join(f"{kind}_temp_path {keys}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (keys / "nginx.conf").write_text(f"""
            {user} daemon off; pid {keys}/nginx.pid; error_log {keys}/error.log; worker_processes 1; events {{}}
            http {{ access_log off; {temp} server {{
              listen 127.0.0.1:{port} ssl; ssl_certificate {keys}/server.crt; ssl_certificate_key {keys}/server.key;
              ssl_client_certificate {keys}/client.crt; ssl_verify_client on;
              if ($http_x_token != "s3cr3t-token") {{ return 403; }}
              location / {{ root {files}; autoindex on; autoindex_format json; }} }} }}""")
        nginx = shutil.which("nginx", path=SBIN)
        test.start_program([nginx, "-e", keys / "error.log", "-c", keys / "nginx.conf"], lambda: accepts(port))
        self.source = {"url": f"https://127.0.0.1:{port}/", "ca_file": f"{keys}/server.crt",
                       "client_certificate": f"{keys}/client.crt", "client_key": f"{keys}/client.key",
                       "header_file": f"{keys}/headers"}

    def down(self):
        return {**self.source, "url": f"https://127.0.0.1:{free_port()}/"}


def sftp_server():
    return next(p for p in ("/usr/lib/openssh/sftp-server", "/usr/libexec/sftp-server") if os.path.exists(p))


class Sshd(Directory):
    before = ()  # words before the server of SFTP itself

    def __init__(self, test, files, lead=()):
        """`lead`: words before the program's own."""
        super().__init__(test, files)
        self.keys = keys = test.home.directory("ssh")
        for name in ("host", "user", "other"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name)
        shutil.copy(keys / "user.pub", keys / "authorized_keys")
        self.port = free_port()
        (keys / "config").write_text(f"""
            Port {self.port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nPidFile none\nStrictModes no\nUsePAM no
            AuthorizedKeysFile {keys}/authorized_keys\nPasswordAuthentication no\nSubsystem sftp {" ".join(map(str, [*self.before, sftp_server()]))}
            PermitRootLogin prohibit-password\nMaxStartups 100\n""".replace("            ", ""))
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # where sshd shuts its unprivileged child in
        self.program = test.start_program([*lead, shutil.which("sshd", path=SBIN), "-D", "-e", "-f", keys / "config"],
                                          lambda: accepts(self.port))
        self.user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        self.know("host")
        self.source = {"url": self.url(self.port), "identity_file": f"{keys}/user", "known_hosts": f"{keys}/known_hosts"}

    def url(self, port):
        return f"sftp://{self.user}@127.0.0.1:{port}{urllib.parse.quote(str(self.files))}/"

    def know(self, key):
        kind, value = (self.keys / f"{key}.pub").read_text().split()[:2]
        (self.keys / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {value}\n")

    def down(self):
        return {**self.source, "url": self.url(free_port())}


class S3(Directory):
    def __init__(self, test, files, key="S3RVER", secret="S3RVER"):
        super().__init__(test, files)
        self.port = free_port()
        test.assertTrue(S3RVER.exists(), f"{S3RVER} is not there; packaging/test.sh installs it")
        self.credentials = test.home.directory("s3") / "credentials"
        self.credentials.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n\n"
                                    "[wrong]\naws_access_key_id=S3RVER\naws_secret_access_key=other\n")
        test.start_program([S3RVER, "-d", test.home.directory("s3-store"), "-a", "127.0.0.1", "-p", self.port, "-s",
                            "--no-vhost-buckets", "--configure-bucket", "snaps"], self.answers,
                           env={**os.environ, "NODE_OPTIONS": "--openssl-legacy-provider"})  # its continuation tokens
        self.gate = sigv4_gate.Gate(self.port, secret, key)
        test.addCleanup(self.gate.close)
        self.source = {"url": "s3://snaps/leap/", "endpoint": f"http://127.0.0.1:{self.gate.port}",
                       "credentials_file": str(self.credentials)}

    def answers(self):
        try:
            self.request("GET", "/snaps")
            return True
        except OSError:
            return False

    def request(self, method, path, data=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def put(self, name, data):
        self.request("PUT", "/snaps/leap/" + urllib.parse.quote(name), data)

    def down(self):
        return {**self.source, "endpoint": f"http://127.0.0.1:{free_port()}"}
