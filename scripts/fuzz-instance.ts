/**
 * An instance for fuzz.ts: reads requests, holds each to what its path says of it, and answers well, badly,
 * late, early, in pieces, or not at all.
 */
import net from "node:net";
import { type Chance, mutate, pick, toChunks, upTo } from "./fuzz-generate.ts";

/** `<0000012343>`: which exchange a byte belongs to, and two digits by which a changed one is known. */
export function toToken(number: number): string {
  return `<${String(number).padStart(8, "0")}${String((number * 37 + 11) % 97).padStart(2, "0")}>`;
}

export const tokenLength = 12;

export function toNumber(token: string): number {
  return Number(token.slice(1, 9));
}

/** Those that chance has not changed. */
export function tokensIn(text: string): string[] {
  return (text.match(/<\d{10}>/g) ?? []).filter((token) => token === toToken(toNumber(token)));
}

/** Bytes behind an answer: no client may ever see them. */
const poison = `HTTP/1.1 200 OK\r\nContent-Length: ${tokenLength}\r\n\r\n${toToken(99_999_999)}`;

export interface Instance {
  readonly port: number;
  readonly server: net.Server;
  readonly sockets: Set<net.Socket>;
}

/** `ownerOf` says which connection a token was made for. */
export async function startInstance(
  chance: Chance,
  ownerOf: (token: string) => number | undefined,
  onWrong: (what: string) => void,
): Promise<Instance> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    let text = "";
    let last = "";
    let isTunnel = false;
    let isBusy = false;
    let isAnswered = false;
    const take = () => {
      if (isTunnel) {
        const foreign = tokensIn(text).find((token) => token !== last);
        if (foreign !== undefined && last !== "") onWrong(`${foreign} in the tunnel of ${last}`);
        socket.write(Buffer.from(text, "latin1"));
        text = "";
        return;
      }
      if (isBusy) return;
      const whole = toRequest(text);
      if (isAnswered) {
        // Answered before it was whole: it is read to its end all the same.
        if (whole === undefined) return;
        text = text.slice(whole.length);
        isAnswered = false;
        return take();
      }
      isAnswered = whole === undefined && text.includes("\r\n\r\n") && chance() < 0.2;
      const request = isAnswered ? toHead(text) : whole;
      if (request === undefined) return;
      if (!isAnswered) text = text.slice(request.length);
      const [token = "", ...others] = tokensIn(request.text);
      // A changed length may make a request swallow the next one, but only of its own connection.
      const isOwn = (other: string) =>
        other === token || (!request.isClean && ownerOf(other) === ownerOf(token));
      const foreign = others.find((other) => !isOwn(other));
      if (foreign !== undefined) onWrong(`${foreign} in the request of ${token}`);
      if (token === last && token !== "" && !request.isRepeatable) onWrong(`${token} came twice`);
      last = token;
      const count = Number(/[?&]n=(\d+)/.exec(request.text)?.[1] ?? Number.NaN);
      const body = tokensIn(request.body).length;
      if (request.isWhole && count !== body) onWrong(`${token} has ${body} of ${count} tokens`);
      if (/^upgrade: fuzz\r$/im.test(request.text)) {
        isTunnel = true;
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: fuzz\r\n\r\n");
        return take();
      }
      isBusy = true;
      void answer(socket, token, request.isHead, chance).then(() => {
        isBusy = false;
        if (!socket.destroyed) take();
      });
    };
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      take();
    });
    socket.on("end", () => socket.end());
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as net.AddressInfo).port, server, sockets };
}

interface Read {
  readonly text: string;
  readonly body: string;
  readonly length: number;
  readonly isHead: boolean;
  readonly isRepeatable: boolean;
  /** It came as it was made. */
  readonly isClean: boolean;
  /** The same, with a counted body. */
  readonly isWhole: boolean;
}

function toHead(text: string): Read {
  const to = text.indexOf("\r\n\r\n") + 4;
  const head = text.slice(0, to);
  const isClean = head.includes("\r\nX-Clean: 1\r\n");
  const isRepeatable = /^(GET|HEAD|OPTIONS) /.test(head);
  return {
    text: head,
    body: "",
    length: to,
    isHead: head.startsWith("HEAD "),
    isRepeatable,
    isClean,
    isWhole: false,
  };
}

/** The first whole request; undefined when there is none yet. */
function toRequest(text: string): Read | undefined {
  if (!text.includes("\r\n\r\n")) return undefined;
  const head = toHead(text);
  const rest = text.slice(head.length);
  const counted = /^content-length: *(\d+)\r$/im.exec(head.text)?.[1];
  if (/^transfer-encoding: *chunked\r$/im.test(head.text)) {
    const end = /(?:^|\r\n)0+(?:;[^\r]*)?\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(rest);
    if (end === null) return undefined;
    const framed = rest.slice(0, end.index + end[0].length);
    return {
      ...head,
      text: head.text + framed,
      body: framed,
      length: head.length + framed.length,
      isWhole: false,
    };
  }
  const length = Number(counted ?? 0);
  if (rest.length < length) return undefined;
  const body = rest.slice(0, length);
  return { ...head, text: head.text + body, body, length: head.length + length, isWhole: head.isClean };
}

async function answer(socket: net.Socket, token: string, isHead: boolean, chance: Chance): Promise<void> {
  const body = token.repeat(upTo(chance, pick(chance, [1, 20, 2_000])));
  const isChunked = chance() < 0.4;
  const isClosing = !isChunked && chance() < 0.1;
  const framing = isChunked
    ? "Transfer-Encoding: chunked\r\n"
    : isClosing
      ? ""
      : `Content-Length: ${body.length}\r\n`;
  const early = chance() < 0.1 ? "HTTP/1.1 103 Early Hints\r\n\r\n" : "";
  const framed = isHead ? "" : isChunked ? toChunks(chance, body) : body;
  let text = `${early}HTTP/1.1 200 OK\r\nX-Token: ${token}\r\n${framing}\r\n${framed}`;
  const mood = chance();
  if (mood < 0.05) text = mutate(chance, text);
  else if (mood < 0.1 && !isClosing) text += poison;
  if (mood > 0.98) return;
  if (mood > 0.95) return void socket.resetAndDestroy();
  // Bytes that come when the connection serves the next request are, to any proxy, its answer: so what does not
  // end where it says comes at once.
  const isAtOnce = mood < 0.1;
  const stop = mood > 0.9 ? upTo(chance, text.length) : text.length;
  for (let at = 0; at < stop && !socket.destroyed; ) {
    const to = isAtOnce ? stop : Math.min(stop, at + 1 + upTo(chance, pick(chance, [3, 200, 100_000])));
    socket.write(Buffer.from(text.slice(at, to), "latin1"));
    at = to;
    if (chance() < 0.1) await Bun.sleep(upTo(chance, 3));
    else if (chance() < 0.5) await new Promise((resolve) => setImmediate(resolve));
  }
  if (stop < text.length) {
    if (chance() < 0.5) socket.resetAndDestroy();
    else socket.end();
  } else if (isClosing) socket.end();
}
