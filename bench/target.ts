/**
 * What stands behind every proxy of the bench, on kept connections: 105 bytes at once to a request of `/`, as many
 * as `/N` says to others, after the whole of their body. After an upgrade each short WebSocket frame comes back.
 */
import type { Socket } from "bun";

const body = "Hello from the responder.\n";
const head = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n`;
const answer = pad(`${head}X-Pad: `, `\r\n\r\n${body}`, 105);
const upgraded = Buffer.from(
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
);
/** Longer bodies are sent a piece at a time, as the socket takes them. */
const piece = Buffer.alloc(262_144, "x");

interface Talk {
  tail: string;
  /** Body bytes still to come, and the path that is answered then. */
  awaited: number;
  path: string;
  isTunnel: boolean;
  owed: number;
}

const server = Bun.listen<Talk>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    open: (socket) => {
      socket.data = { tail: "", awaited: 0, path: "", isTunnel: false, owed: 0 };
    },
    data: take,
    drain: pay,
  },
});
console.log(server.port);

function take(socket: Socket<Talk>, chunk: Buffer): void {
  const talk = socket.data;
  if (talk.isTunnel) return echo(socket, chunk);
  if (talk.awaited > 0) {
    talk.awaited -= chunk.length;
    if (talk.awaited <= 0) reply(socket, talk.path);
    return;
  }
  const text = talk.tail + chunk.toString("latin1");
  talk.tail = text;
  if (text.startsWith("GET / ")) {
    // No body, so each empty line ends one; all are alike.
    const ends = text.split("\r\n\r\n").length - 1;
    if (ends > 0) talk.tail = text.slice(text.lastIndexOf("\r\n\r\n") + 4);
    if (ends > 0) socket.write(ends === 1 ? answer : answer.repeat(ends));
    return;
  }
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return;
  talk.tail = "";
  talk.path = text.slice(text.indexOf(" ") + 1, text.indexOf(" HTTP/"));
  if (/\r\nupgrade: websocket/i.test(text)) {
    talk.isTunnel = true;
    socket.write(upgraded);
    return;
  }
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? 0);
  talk.awaited = length - (text.length - end - 4);
  if (talk.awaited <= 0) reply(socket, talk.path);
}

function reply(socket: Socket<Talk>, path: string): void {
  const bytes = Number(path.slice(1)) || 0;
  if (bytes === 0) return void socket.write(answer);
  socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${bytes}\r\n\r\n`);
  socket.data.owed = bytes;
  pay(socket);
}

function pay(socket: Socket<Talk>): void {
  while (socket.data.owed > 0) {
    const wanted = Math.min(piece.length, socket.data.owed);
    const taken = Math.max(0, socket.write(piece, 0, wanted));
    socket.data.owed -= taken;
    if (taken < wanted) return;
  }
}

/** Frames are short, masked with zeroes, and whole: the same text, without the mask. */
function echo(socket: Socket<Talk>, frames: Buffer): void {
  for (let at = 0; at + 6 <= frames.length; ) {
    const length = frames[at + 1]! & 0x7f;
    const back = Buffer.alloc(2 + length);
    back[0] = frames[at]!;
    back[1] = length;
    frames.copy(back, 2, at + 6, at + 6 + length);
    socket.write(back);
    at += 6 + length;
  }
}

function pad(front: string, back: string, length: number): string {
  return front + "x".repeat(Math.max(0, length - front.length - back.length)) + back;
}
