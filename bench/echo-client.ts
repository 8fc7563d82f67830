/** A client process: upgrades, then sends a short message and waits for it to come back, over and over. */
export interface Echoed {
  readonly messages: number;
}

interface Talk {
  isOpen: boolean;
}

const { port, connections, seconds } = JSON.parse(process.argv[2] ?? "{}") as Record<string, number> & {
  port: number;
  connections: number;
  seconds: number;
};
const ask = Buffer.from(
  "GET /socket HTTP/1.1\r\nHost: bench.localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
);
// A whole text frame of 32 bytes, masked with zeroes.
const frame = Buffer.concat([Buffer.from([0x81, 0x80 | 32, 0, 0, 0, 0]), Buffer.alloc(32, "m")]);
let messages = 0;
let isOver = false;

for (let i = 0; i < connections; i++) {
  await Bun.connect<Talk>({
    hostname: "127.0.0.1",
    port,
    data: { isOpen: false },
    socket: {
      open: (socket) => void socket.write(ask),
      data(socket, chunk) {
        const talk = socket.data;
        if (!talk.isOpen && !chunk.toString("latin1").startsWith("HTTP/1.1 101")) {
          console.error(chunk.toString("latin1"));
          process.exit(1);
        }
        if (talk.isOpen) messages++;
        talk.isOpen = true;
        if (!isOver) socket.write(frame);
      },
      close() {
        if (isOver) return;
        console.error("a WebSocket was cut");
        process.exit(1);
      },
    },
  });
}
await Bun.sleep(seconds * 1_000);
isOver = true;
const echoed: Echoed = { messages };
console.log(JSON.stringify(echoed));
process.exit(0);
