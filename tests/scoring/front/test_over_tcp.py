"""The front as a process on a real socket: large bodies, streams, early refusals, and nothing left over."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import socket
import threading
from pathlib import Path

import psutil
import pytest

from tests.live import Launcher, Service, read_reply
from tests.waiting import until

MIB = 1 << 20


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_client_that_sends_too_much_sees_413_and_not_a_reset(service: Service, framing: str) -> None:
    """It sends everything before it reads, as http.client and most others do."""
    connection = service.connect()
    body = b"a" * (40 * MIB)
    if framing == "length":
        connection.request("POST", "/score", body)
    else:
        connection.request("POST", "/score", iter([body[start : start + MIB] for start in range(0, len(body), MIB)]), encode_chunked=True)
    reply = read_reply(connection)
    assert (reply.status, reply.headers["connection"]) == (413, "close")
    connection.close()


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 30 * MIB])
def test_large_bodies_arrive_whole_in_both_directions(service: Service, size: int) -> None:
    assert service.post("/score", b"a" * size).json()["size"] == size
    assert service.post("/score", {"do": "large", "size": size}).json() == "x" * size
    zipped = service.post("/score", gzip.compress(os.urandom(size // 2).hex().encode(), 1), {"content-encoding": "gzip"})
    assert zipped.json()["size"] == size // 2 * 2


def test_many_connections_at_once_on_one_worker(service: Service) -> None:
    replies: list[tuple[int, int]] = []

    def several(first: int) -> None:
        connection = service.connect()
        for tag in range(first, first + 20):
            connection.request("POST", "/score", json.dumps({"tag": tag}))
            replies.append((tag, read_reply(connection).json()["tag"]))
        connection.close()

    threads = [threading.Thread(target=several, args=(1000 * number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 320
    assert all(sent == got for sent, got in replies)


def test_a_slow_reader_slows_the_script_and_fills_no_memory(service: Service, folder: Path) -> None:
    before = {process.pid: process.memory_info().rss for process in service.processes()}
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(_request({"do": "stream", "chunks": 3000, "size": MIB}))
        taken = 0
        while taken < 3 * MIB:
            taken += len(client.recv(65536))
        grown = {process.pid: process.memory_info().rss - before.get(process.pid, 0) for process in service.processes()}
        assert max(grown.values()) < 24 * MIB, grown
        assert not (folder / "ended").exists()
        while taken < 80 * MIB:
            part = client.recv(MIB)
            assert part, "a stream that was slow for a while has stalled or ended"
            taken += len(part)
    until((folder / "ended").exists, "the generator to be closed once its client has gone")
    assert service.post("/score", {"tag": 1}).json()["tag"] == 1


def test_a_stream_is_chunked_and_keeps_the_connection(service: Service) -> None:
    connection = service.connect()
    connection.request("POST", "/score", json.dumps({"do": "stream", "chunks": 1000}))
    response = connection.getresponse()
    assert response.headers["transfer-encoding"] == "chunked"
    assert response.read() == b"".join(b"%08d" % number for number in range(1000))
    connection.request("POST", "/score", b'{"tag": 2}')
    assert read_reply(connection).json()["tag"] == 2
    connection.close()


def test_one_large_chunk_is_streamed_whole(service: Service) -> None:
    reply = service.post("/score", {"do": "stream", "chunks": 1, "size": 16 * MIB})
    assert len(reply.body) == 16 * MIB


def test_an_error_after_the_first_byte_cuts_the_connection(service: Service) -> None:
    connection = service.connect()
    connection.request("POST", "/score", json.dumps({"do": "stream", "chunks": 10, "fail_at": 5}))
    response = connection.getresponse()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    connection.close()
    service.wait_log("half-way")
    assert service.post("/score", {"tag": 3}).json()["tag"] == 3


def test_a_stream_of_events_ends_with_an_error_event(service: Service) -> None:
    reply = service.post("/score", {"do": "stream", "chunks": 10, "fail_at": 5}, {"accept": "text/event-stream"})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.count("data: ") >= 6
    assert "event: error" in reply.text


def test_a_worker_that_dies_in_a_request_costs_503_and_counters_go_on(service: Service) -> None:
    service.post("/score", {"tag": 1})
    before = _count(service, "200")
    assert service.post("/score", {"do": "die"}).status == 503
    service.wait_ready()
    service.post("/score", {"tag": 2})
    assert _count(service, "200") == before + 1
    assert _count(service, "503") == 1


def test_prints_carry_the_id_of_their_request(service: Service) -> None:
    service.post("/score", b"x" * 123, {"x-request-id": "printed-by-this"})
    line = json.loads(service.wait_log('"message": "scoring 123"'))
    assert (line["source"], line["request_id"]) == ("print", "printed-by-this")


def test_what_a_script_starts_ends_with_its_worker_and_does_not_keep_its_requests(service: Service) -> None:
    child = psutil.Process(service.post("/score", {"do": "child"}).json())
    assert service.post("/score", {"do": "die"}).status == 503
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the worker's child to end")
    service.wait_ready()


def test_nothing_is_left_open(service: Service) -> None:
    service.post("/score", {"tag": 0})
    status = service.get("/status").json()
    front, supervisor = (psutil.Process(status[name]) for name in ("front_pid", "supervisor_pid"))
    counts = front.num_fds(), supervisor.num_fds(), service.post("/score", {"do": "descriptors"}).json()
    for _ in range(20):
        assert service.post("/score", b"a" * 2 * MIB).status == 200
        assert service.post("/score", {"do": "large", "size": 2 * MIB}).status == 200
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(_request({"do": "stream", "chunks": 1000, "size": 8000})[:-3])
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(_request({"do": "stream", "chunks": 1000, "size": 8000}))
    until(lambda: front.num_fds() <= counts[0], "the front's descriptors to be closed")
    assert supervisor.num_fds() == counts[1]
    assert service.post("/score", {"do": "descriptors"}).json() == counts[2]


def test_the_process_tree_and_its_folder_go_with_the_service(launch: Launcher, folder: Path, tmp_path: Path) -> None:
    own = launch("--entry-script", folder / "score.py", "--app-root", folder, env={"TMPDIR": str(tmp_path)})
    assert own.post("/score", {"tag": 1}).status == 200
    assert os.listdir(tmp_path) != []  # noqa: PTH208 - names are enough
    assert own.stop() == 0
    assert not own.processes()
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def _request(body: object) -> bytes:
    data = json.dumps(body).encode()
    return b"POST /score HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data)


def _count(service: Service, code: str) -> float:
    lines = [line for line in service.get("/metrics").text.splitlines() if line.startswith("fairlead_requests_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if f'code="{code}"' in line and 'route="score"' in line)
