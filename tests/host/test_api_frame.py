"""
The HTTP server and the API's frame with real clients: docker CLI, docker SDK, curl. The daemon is
api-tool, whose one container echoes; no root is needed.
"""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

docker_sdk = pytest.importorskip("docker")

BUILD = Path(os.environ.get("SHOAL_BUILD", Path(__file__).resolve().parents[2] / "build"))
TOOL = BUILD / "bin" / "api-tool"

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="needs a built api-tool")
needs_docker = pytest.mark.skipif(not shutil.which("docker"), reason="needs the docker CLI")
needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")


@pytest.fixture
def sock(tmp_path):
    path = tmp_path / "api.sock"
    with subprocess.Popen([TOOL, f"unix://{path}"], stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout.readline() == "ready\n"
        yield path
        daemon.terminate()
        assert daemon.wait(10) == 0
    assert not path.exists()


def docker(sock, *args, text=None):
    env = {"PATH": os.environ["PATH"], "HOME": str(sock.parent)}
    return subprocess.run(["docker", "-H", f"unix://{sock}", *args], input=text, env=env,
                          capture_output=True, text=True, timeout=30, check=False)


@needs_docker
def test_cli_negotiates_and_lists(sock):
    result = docker(sock, "ps", "--format", "{{.Names}} {{.Image}}")
    assert result.returncode == 0, result.stderr
    name, version = result.stdout.split()
    assert name == "echo"
    assert 24 <= int(version.removeprefix("v1.")) <= 51


@needs_docker
def test_cli_shows_errors(sock):
    result = docker(sock, "ps", "--filter", "bogus=1")
    assert "invalid filter 'bogus'" in result.stderr
    result = docker(sock, "pause", "echo")
    assert "ContainerPause" in result.stderr and "not implemented" in result.stderr
    result = docker(sock, "attach", "nobody")
    assert "No such container: nobody" in result.stderr


@needs_docker
def test_cli_attaches_with_half_close(sock):
    result = docker(sock, "attach", "echo", text="hello\n")
    assert result.stdout == "hello\nbye\n"
    assert result.stderr == "attached\n"
    assert result.returncode == 7


@needs_docker
def test_cli_uploads(sock, tmp_path):
    tar = tmp_path / "big.tar"
    with open(tar, "wb") as f:
        f.truncate(64 << 20)
    result = docker(sock, "load", "-i", str(tar))
    assert result.returncode == 0, result.stderr
    assert f"Loaded {64 << 20} bytes" in result.stdout


def test_sdk_pings_lists_and_attaches(sock):
    client = docker_sdk.DockerClient(base_url=f"unix://{sock}", version="1.44")
    assert client.ping()
    assert client.containers.list(filters={"name": "nothing"}) == []
    with pytest.raises(docker_sdk.errors.APIError) as failure:
        client.containers.list(filters={"bogus": "1"})
    assert failure.value.status_code == 400
    raw = client.api.attach_socket("echo", params={"stdin": 1, "stdout": 1, "stream": 1})
    conn = raw._sock
    conn.settimeout(10)
    conn.sendall(b"from python\n")
    conn.shutdown(socket.SHUT_WR)
    got = b""
    while piece := conn.recv(4096):
        got += piece
    assert b"\x01\0\0\0\0\0\0\x0cfrom python\n" in got
    assert got.endswith(b"\x01\0\0\0\0\0\0\x04bye\n")
    raw.close()
    client.close()


@needs_curl
def test_curl_attaches_without_upgrade(sock):
    with subprocess.Popen(["curl", "-sNi", "--unix-socket", str(sock), "-X", "POST",
                           "http://x/v1.51/containers/echo/attach?stream=1&stdout=1"],
                          stdout=subprocess.PIPE) as curl:
        got = b""
        while not got.endswith(b"attached\n"):
            piece = curl.stdout.read1()
            assert piece, got
            got += piece
        curl.kill()
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"application/vnd.docker.multiplexed-stream" in got
    assert b"\r\n\r\n\x02\0\0\0\0\0\0\x09attached\n" in got


def test_client_goes_away_while_it_waits(sock):
    with socket.socket(socket.AF_UNIX) as conn:
        conn.settimeout(10)
        conn.connect(str(sock))
        conn.sendall(b"POST /containers/echo/wait HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        while b"\r\n\r\n" not in got:
            piece = conn.recv(4096)
            assert piece, got
            got += piece
    # The daemon lives, and the fixture sees that it ends without anything left over.
    client = docker_sdk.DockerClient(base_url=f"unix://{sock}", version="1.44")
    assert client.ping()
    client.close()
