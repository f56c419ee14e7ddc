"""
Dials a manager's cluster port as a node would or would not, and prints what became of it as JSON. Run
inside a host's network by test_strangers.py: stranger.py ADDRESS PURPOSE [FOLDER-OF-A-CERTIFICATE], or
stranger.py ADDRESS plaintext. Frames are those of src/base/frame.h and src/base/stream_hello.h.
"""

import json
import socket
import ssl
import struct
import sys

HELLO, BYE = 0xFF00, 0xFF01
MAGIC = 0x4C414F53
PURPOSES = {"raft": 1, "session": 2, "control": 3, "data": 4, "join": 5, "snapshot": 6}
WAIT_S = 15


def read_all(connection, n):
    data = b""
    while len(data) < n:
        piece = connection.recv(n - len(data))
        if not piece:
            return None
        data += piece
    return data


def answer_of(connection):
    header = read_all(connection, 8)
    if header is None:
        return {"closed": True}
    length, kind, _ = struct.unpack("<IHH", header)
    payload = read_all(connection, length)
    if kind == BYE:
        return {"bye": payload[4:].decode(), "code": struct.unpack("<I", payload[:4])[0]}
    return {"hello": kind == HELLO}


def main():
    host, port = sys.argv[1].split(":")
    connection = socket.create_connection((host, int(port)), WAIT_S)
    purpose = sys.argv[2]
    try:
        if purpose == "plaintext":
            connection.sendall(b"GET /v1.51/nodes HTTP/1.1\r\nHost: x\r\n\r\n")
            got = connection.recv(4096)
            print(json.dumps({"closed": got == b"" or got[0] == 21}))  # at most a TLS alert
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if len(sys.argv) > 3:
            context.load_cert_chain(f"{sys.argv[3]}/identity.pem")
        connection = context.wrap_socket(connection)
        hello = struct.pack("<IHHHHQ", MAGIC, 1, 1, PURPOSES[purpose], 0, 0)
        connection.sendall(struct.pack("<IHH", len(hello), HELLO, 0) + hello)
        print(json.dumps(answer_of(connection)))
    except (ssl.SSLError, ConnectionError) as error:
        print(json.dumps({"closed": True, "error": str(error)}))


if __name__ == "__main__":
    main()
