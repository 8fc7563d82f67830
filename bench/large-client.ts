/** A client process: takes or sends one large body, and says how long it took. */
export interface Passed {
  readonly ms: number;
}

const { port, bytes, way } = JSON.parse(process.argv[2] ?? "{}") as {
  port: number;
  bytes: number;
  way: "down" | "up";
};
const isUp = way === "up";
const head = Buffer.from(
  isUp
    ? `POST / HTTP/1.1\r\nHost: bench.localhost\r\nContent-Length: ${bytes}\r\n\r\n`
    : `GET /${bytes} HTTP/1.1\r\nHost: bench.localhost\r\n\r\n`,
);
const piece = Buffer.alloc(262_144, "x");
let owed = isUp ? bytes : 0;
let awaited = isUp ? 1 : bytes;
const startedAt = performance.now();

await Bun.connect({
  hostname: "127.0.0.1",
  port,
  socket: {
    open(socket) {
      socket.write(head);
      pay(socket);
    },
    drain: pay,
    data(_socket, chunk) {
      awaited -= chunk.length;
      if (awaited > 0) return;
      const passed: Passed = { ms: performance.now() - startedAt };
      console.log(JSON.stringify(passed));
      process.exit(owed > 0 ? 1 : 0);
    },
    close() {
      console.error(`cut with ${awaited} bytes to come and ${owed} to go`);
      process.exit(1);
    },
  },
});

function pay(socket: { write(bytes: Buffer, from: number, length: number): number }): void {
  while (owed > 0) {
    const wanted = Math.min(piece.length, owed);
    const taken = Math.max(0, socket.write(piece, 0, wanted));
    owed -= taken;
    if (taken < wanted) return;
  }
}
