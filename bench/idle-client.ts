/** A client process: many connections, one request on each; then it holds them until it is killed. */
export interface Held {
  readonly open: number;
  readonly answered: number;
}

const { port, connections } = JSON.parse(process.argv[2] ?? "{}") as { port: number; connections: number };
const request = Buffer.from("GET / HTTP/1.1\r\nHost: bench.localhost\r\n\r\n");
const atOnce = 100;
let open = 0;
let answered = 0;

async function join(): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open(socket) {
          open++;
          socket.write(request);
        },
        data(_socket, chunk) {
          if (chunk.toString("latin1").startsWith("HTTP/1.1 200")) answered++;
          resolve();
        },
        close() {
          open--;
        },
      },
    }).catch(reject);
  });
}

for (let made = 0; made < connections; made += atOnce) {
  await Promise.all(Array.from({ length: Math.min(atOnce, connections - made) }, join));
}
const held: Held = { open, answered };
console.log(JSON.stringify(held));
process.stdin.resume();
