/** A client for fuzz.ts: one connection after another, with requests cut, delayed, reset and changed by chance. */
import net from "node:net";
import { type Chance, mutate, pick, toChunks, upTo } from "./fuzz-generate.ts";
import { tokenLength, tokensIn, toToken } from "./fuzz-instance.ts";

export interface Watch {
  /** A number that no exchange has had, for this connection. */
  next(connection: object): number;
  onWrong(what: string): void;
  onAnswer(status: number): void;
}

const patienceMs = 8_000;

/** One connection with one to four requests, until it ends one way or another. */
export async function runClient(port: number, chance: Chance, watch: Watch): Promise<void> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.setNoDelay(true);
  const tokens: string[] = [];
  let text = "";
  let seen = 0;
  let ended = false;
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    for (const token of tokensIn(text.slice(seen))) {
      if (!tokens.includes(token)) watch.onWrong(`${token} reached the client of ${tokens.join(" ")}`);
    }
    // What a cut may have left of a token is looked at again with the rest.
    seen = Math.max(0, text.length - tokenLength + 1);
  });
  const gone = new Promise<void>((resolve) => {
    socket.on("end", () => {
      ended = true;
      resolve();
    });
    socket.on("error", () => resolve());
    socket.on("close", () => {
      ended = true;
      resolve();
    });
  });
  const isTunnel = chance() < 0.05;
  const count = isTunnel ? 1 : 1 + upTo(chance, 3);
  let bytes = "";
  const isMutated = chance() < 0.15;
  for (let i = 0; i < count; i++) {
    const token = toToken(watch.next(socket));
    tokens.push(token);
    bytes += isTunnel
      ? `GET /${token} HTTP/1.1\r\nHost: shop.localhost\r\nConnection: upgrade\r\nUpgrade: fuzz\r\n\r\n${token}`
      : toText(chance, token, isMutated ? "" : "X-Clean: 1\r\n", i === count - 1);
  }
  if (isMutated) bytes = mutate(chance, bytes);
  const stop = chance() < 0.1 ? upTo(chance, bytes.length) : bytes.length;
  for (let at = 0; at < stop && !ended; ) {
    const to = Math.min(stop, at + 1 + upTo(chance, pick(chance, [3, 100, 100_000])));
    socket.write(Buffer.from(bytes.slice(at, to), "latin1"));
    at = to;
    if (chance() < 0.1) await Bun.sleep(upTo(chance, 3));
    else if (chance() < 0.3) await new Promise((resolve) => setImmediate(resolve));
    if (chance() < 0.02) socket.pause();
  }
  const end = chance();
  if (end < 0.1) await Bun.sleep(upTo(chance, 20));
  else if (end < 0.3) socket.end();
  if (end >= 0.1) {
    socket.resume();
    if (isTunnel) setTimeout(() => socket.end(), upTo(chance, 30));
    const late = setTimeout(() => {
      watch.onWrong(`stuck: ${JSON.stringify(bytes.slice(0, 2_000))} → ${JSON.stringify(text.slice(-300))}`);
      socket.destroy();
    }, patienceMs);
    await gone;
    clearTimeout(late);
  }
  if (end < 0.05) socket.resetAndDestroy();
  else socket.destroy();
  for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d{3}) /g)) watch.onAnswer(Number(status));
}

function toText(chance: Chance, token: string, lines: string, isLast: boolean): string {
  const method = pick(chance, ["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT"]);
  const count = method === "POST" || method === "PUT" ? upTo(chance, pick(chance, [1, 20, 2_000])) : 0;
  const body = token.repeat(count);
  const isChunked = count > 0 && chance() < 0.4;
  const framing = isChunked
    ? "Transfer-Encoding: chunked\r\n"
    : count > 0
      ? `Content-Length: ${body.length}\r\n`
      : "";
  const close = isLast ? "Connection: close\r\n" : "";
  const expect = count > 0 && chance() < 0.05 ? "Expect: 100-continue\r\n" : "";
  const head = `${method} /${token}?n=${count} HTTP/1.1\r\nHost: shop.localhost\r\nX-Token: ${token}\r\n${lines}`;
  return `${head}${framing}${close}${expect}\r\n${isChunked ? toChunks(chance, body) : body}`;
}
