"""A server by h11: answers 200 with the path of each request."""
import asyncio
import sys

import h11


async def serve(reader, writer):
    connection = h11.Connection(h11.SERVER)
    target = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            target = event.target
        elif isinstance(event, h11.EndOfMessage):
            length = str(len(target))
            answer = h11.Response(status_code=200, headers=[("Content-Length", length)])
            for part in (answer, h11.Data(data=target), h11.EndOfMessage()):
                writer.write(connection.send(part))
            if connection.our_state is h11.MUST_CLOSE:
                break
            connection.start_next_cycle()
        elif isinstance(event, h11.ConnectionClosed):
            break
    writer.close()


async def main(port):
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
