/** The server's half of a WebSocket that sends back what comes: short, whole, masked frames of text. */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const [text, close] = [1, 8];

export function acceptSocket(request: IncomingMessage, socket: Duplex): void {
  const accept = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}${magic}`)
    .digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.on("error", () => socket.destroy());
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const length = (rest[1] ?? 0) & 0x7f;
      if (rest.length < 6 + length) return;
      const mask = rest.subarray(2, 6);
      const payload = Buffer.from(
        rest.subarray(6, 6 + length).map((byte, at) => byte ^ (mask[at % 4] as number)),
      );
      const operation = (rest[0] ?? 0) & 0x0f;
      rest = rest.subarray(6 + length);
      if (operation === close) return void socket.end(Buffer.from([0x88, 0]));
      if (operation === text) socket.write(Buffer.concat([Buffer.from([0x81, length]), payload]));
    }
  });
}
