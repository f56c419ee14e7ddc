#!/usr/bin/python3
"""
Stands in for shoald where deploy/cluster and deploy/quickstart themselves are tested: takes its
flags, says that it is ready, and answers just the requests that these make. A join goes over the
cluster's network.
"""

import argparse
import http.server
import json
import os
import socket
import socketserver
import sys
import threading
from pathlib import Path

NODES = [socket.gethostname()]
DOCUMENTS = {"/_ping": "OK"}


def flags():
    parser = argparse.ArgumentParser()
    for name in ("data-root", "exec-root", "pidfile", "host", "cgroup-parent"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--config-file")
    parser.add_argument("--die", action="store_true")
    return parser.parse_args()


class Members(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Takes the names of those that join."""

    allow_reuse_address = daemon_threads = True


class Member(socketserver.StreamRequestHandler):
    def handle(self):
        NODES.append(self.rfile.readline().decode().strip())
        self.wfile.write(b"welcome\n")


def address_of(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


class Api(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/nodes":
            self.answer([{"Description": {"Hostname": name}, "Status": {"State": "ready"}}
                         for name in NODES])
        elif path in DOCUMENTS:
            self.answer(DOCUMENTS[path])
        else:
            self.send_error(404)

    def do_PUT(self):
        """Only here: what a later GET of this path is to answer."""
        DOCUMENTS[self.path] = json.loads(self.body())
        self.answer({})

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def do_POST(self):
        body = self.body()
        if self.path == "/swarm/init":
            members = Members(address_of(json.loads(body)["ListenAddr"]), Member)
            threading.Thread(target=members.serve_forever, daemon=True).start()
            DOCUMENTS["/swarm"] = {"JoinTokens": {"Manager": "token-m", "Worker": "token-w"}}
        elif self.path == "/swarm/join":
            wish = json.loads(body)
            with socket.create_connection(address_of(wish["RemoteAddrs"][0]), 5) as stream:
                stream.sendall(socket.gethostname().encode() + b"\n")
                stream.recv(100)
            Path(FLAGS.data_root, "joined").write_text(json.dumps(wish))
        elif self.path.startswith("/images/load"):
            Path(FLAGS.data_root, "loaded").write_bytes(body)
        self.answer({})


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        request, _ = super().get_request()
        return request, ("client", 0)


FLAGS = flags()
if FLAGS.die:
    sys.exit("the stand-in was told to die")
PATH = FLAGS.host.removeprefix("unix://")
Path(PATH).unlink(missing_ok=True)
server = UnixServer(PATH, Api)
if "NOTIFY_SOCKET" in os.environ:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.connect(os.environ["NOTIFY_SOCKET"])
        notify.send(b"READY=1\n")
server.serve_forever()
