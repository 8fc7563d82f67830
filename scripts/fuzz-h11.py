"""h11 as a second reader, for fuzz-h11.ts.

Listens on as many ports as asked and prints them. Behind each it reads requests as a strict server does, says on
stdout what it read, and answers with the bytes that the request's X-Answer header holds in hexadecimal. On stdin
it takes streams of answers to read as a client.
"""
import asyncio
import json
import sys

import h11

LIMIT = 1 << 20
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Instance(asyncio.Protocol):
    def __init__(self, worker):
        self.worker = worker

    def connection_made(self, transport):
        self.transport = transport
        self.fresh()

    def fresh(self, rest=b""):
        self.reader = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMIT)
        self.request = None
        self.body = bytearray()
        if rest:
            self.reader.receive_data(rest)

    def data_received(self, data):
        self.reader.receive_data(data)
        self.read()

    def eof_received(self):
        return False

    def read(self):
        while True:
            try:
                event = self.reader.next_event()
            except h11.RemoteProtocolError as error:
                say(worker=self.worker, error=str(error), rest=bytes(self.reader.trailing_data[0]).hex())
                self.transport.abort()
                return
            if isinstance(event, h11.Request):
                self.request = event
            elif isinstance(event, h11.Data):
                self.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                headers = dict(self.request.headers)
                say(
                    worker=self.worker,
                    method=self.request.method.decode("latin1"),
                    target=self.request.target.decode("latin1"),
                    host=headers.get(b"host", b"").decode("latin1"),
                    body=self.body.hex(),
                )
                try:
                    answer = bytes.fromhex(headers.get(b"x-answer", b"").decode("latin1")) or PLAIN
                except ValueError:
                    answer = PLAIN
                self.transport.write(answer)
                if headers.get(b"x-then") == b"close":
                    self.transport.close()
                    return
                # What follows is the next request, read by a reader that knows nothing of this one.
                self.fresh(self.reader.trailing_data[0])
            else:
                return


def read_answers(stream, methods, closed):
    """What a strict client makes of a stream of answers to these methods: the answers, and what was wrong."""
    answers = []
    rest = stream
    for method in methods:
        reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT)
        reader.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
        reader.send(h11.EndOfMessage())
        reader.receive_data(rest)
        if closed:
            reader.receive_data(b"")
        status, body = 0, bytearray()
        try:
            while True:
                event = reader.next_event()
                if isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    answers.append({"status": status, "body": body.hex()})
                    break
                elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                    return {"answers": answers, "cut": True, "rest": len(rest)}
                elif event is h11.PAUSED:
                    return {"answers": answers, "cut": True, "rest": len(rest)}
        except h11.RemoteProtocolError as error:
            cut = "ConnectionClosed" in str(error) or "without sending complete message body" in str(error) or "prematurely" in str(error)
            if cut:
                return {"answers": answers, "cut": True, "rest": len(rest)}
            return {"answers": answers, "error": str(error)}
        rest = reader.trailing_data[0]
    return {"answers": answers, "cut": False, "rest": len(rest)}


async def main(count):
    loop = asyncio.get_running_loop()
    ports = []
    for worker in range(count):
        server = await loop.create_server(lambda worker=worker: Instance(worker), "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
    say(ports=ports, version=h11.__version__)
    stdin = asyncio.StreamReader(limit=64 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    while line := await stdin.readline():
        asked = json.loads(line)
        read = read_answers(bytes.fromhex(asked["stream"]), asked["methods"], asked["closed"])
        say(id=asked["id"], **read)


asyncio.run(main(int(sys.argv[1])))
