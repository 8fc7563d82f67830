/** Messages for the fuzzers: well-formed ones, and what chance makes of them. The same seed makes the same. */

export type Chance = () => number;

/** xorshift32: values in [0, 1). */
export function toChance(seed: number): Chance {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4_294_967_296;
  };
}

export function pick<T>(chance: Chance, list: readonly T[]): T {
  return list[Math.floor(chance() * list.length)]!;
}

export function upTo(chance: Chance, most: number): number {
  return Math.floor(chance() * (most + 1));
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";

export function toText(chance: Chance, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) text += letters[Math.floor(chance() * letters.length)];
  return text;
}

/** A body in chunks of any size, with extensions and trailers now and then. */
export function toChunks(chance: Chance, body: string): string {
  let text = "";
  for (let at = 0; at < body.length; ) {
    const size = 1 + upTo(chance, Math.min(body.length - at - 1, 40));
    const extension = chance() < 0.1 ? `;${toText(chance, 3)}="${toText(chance, 3)}"` : "";
    const digits = size.toString(16);
    text += `${chance() < 0.1 ? `0${digits.toUpperCase()}` : digits}${extension}\r\n${body.slice(at, at + size)}\r\n`;
    at += size;
  }
  return `${text}0\r\n${chance() < 0.1 ? `X-Sum: ${toText(chance, 4)}\r\n` : ""}\r\n`;
}

export interface Made {
  readonly text: string;
  readonly method: string;
  readonly body: string;
}

/** A request for the app `shop`, with `lines` among its own. */
export function toRequest(chance: Chance, lines = ""): Made {
  const method = pick(chance, ["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS"]);
  const hasBody = method === "POST" || method === "PUT" || chance() < 0.05;
  const body = hasBody ? toText(chance, upTo(chance, pick(chance, [3, 60, 400]))) : "";
  const fields = ["Host: shop.localhost\r\n", lines];
  if (chance() < 0.5) fields.push(`X-${toText(chance, 4)}: ${toText(chance, 9)}\r\n`);
  if (chance() < 0.2) fields.push(`Cookie: a=${toText(chance, 5)}; b=c\r\n`);
  if (chance() < 0.1) fields.push("Connection: keep-alive, x-hop\r\nX-Hop: 1\r\n");
  if (chance() < 0.1) fields.push("TE: trailers\r\n");
  let framed = "";
  if (hasBody && chance() < 0.5) {
    fields.push("Transfer-Encoding: chunked\r\n");
    framed = toChunks(chance, body);
  } else if (hasBody || chance() < 0.1) {
    fields.push(`Content-Length: ${body.length}\r\n`);
    framed = body;
  }
  fields.sort(() => chance() - 0.5);
  const path = `/${toText(chance, upTo(chance, 8))}${chance() < 0.2 ? "?q=%20x" : ""}`;
  const target = chance() < 0.05 ? `http://shop.localhost${path}` : path;
  return { text: `${method} ${target} HTTP/1.1\r\n${fields.join("")}\r\n${framed}`, method, body };
}

/** An answer to such a request; `closes` when its body ends with the connection. */
export function toAnswer(
  chance: Chance,
  method: string,
): { readonly text: string; readonly closes: boolean } {
  const status = pick(chance, [200, 200, 200, 201, 204, 206, 304, 404, 500]);
  const isBodyless = method === "HEAD" || status === 204 || status === 304;
  const body = toText(chance, upTo(chance, pick(chance, [3, 60, 400])));
  const fields = ["Server: x\r\n"];
  if (chance() < 0.5) fields.push(`X-${toText(chance, 4)}: ${toText(chance, 9)}\r\n`);
  if (chance() < 0.1) fields.push("Connection: keep-alive\r\n");
  let framed = "";
  const how = chance();
  if (status === 204) framed = "";
  else if (how < 0.4) {
    fields.push("Transfer-Encoding: chunked\r\n");
    framed = toChunks(chance, body);
  } else if (how < 0.9) {
    fields.push(`Content-Length: ${body.length}\r\n`);
    framed = body;
  } else framed = body;
  const closes = how >= 0.9 && !isBodyless;
  fields.sort(() => chance() - 0.5);
  const early = chance() < 0.1 ? "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" : "";
  const reason = pick(chance, ["OK", "Fine Then", ""]);
  return {
    text: `${early}HTTP/1.1 ${status} ${reason}\r\n${fields.join("")}\r\n${isBodyless ? "" : framed}`,
    closes,
  };
}

const splinters = [
  "\r\n",
  "\n",
  "\r",
  "\r\n\r\n",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "\0",
  "\x0b",
  "\x7f",
  "\xa0",
  "\xff",
  "0",
  "1",
  "+",
  "-",
  "0x",
  "5",
  "a",
  "chunked",
  "identity",
  "gzip",
  "HTTP/1.0",
  "HTTP/1.1",
  "HTTP/2.0",
  "GET / HTTP/1.1\r\n",
  "Content-Length: 5\r\n",
  "Content-Length: 0\r\n",
  "content-length:\t7\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding : chunked\r\n",
  "transfer-encoding:\x0bchunked\r\n",
  "Transfer-Encoding: xchunked\r\n",
  "Host: shop.localhost\r\n",
  "Host: other\r\n",
  "Connection: close\r\n",
  "Connection: content-length\r\n",
  "Expect: 100-continue\r\n",
  "Upgrade: websocket\r\nConnection: upgrade\r\n",
  " folded\r\n",
  "0\r\n\r\n",
  "5\r\nabcde\r\n",
  "ffffffffffffffff\r\n",
  "Trailer: x\r\n",
  "Content_Length: 3\r\n",
  "X: y\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n",
];

/** One to four changes by chance: bytes flipped, cut out, doubled, or put in. */
export function mutate(chance: Chance, text: string): string {
  let changed = text;
  for (let i = 1 + upTo(chance, 3); i > 0; i--) {
    const lines = changed.split(/(?<=\n)/);
    // Half of the changes hit the start of a line, where they mean most.
    const line = upTo(chance, lines.length - 1);
    const start = lines.slice(0, line).join("").length;
    const at = chance() < 0.5 ? start : upTo(chance, changed.length);
    const from = changed.slice(0, at);
    const rest = changed.slice(at);
    switch (upTo(chance, 4)) {
      case 0:
        changed = from + String.fromCharCode(upTo(chance, 255)) + rest.slice(1);
        break;
      case 1:
        changed = from + rest.slice(1 + upTo(chance, 4));
        break;
      case 2:
        changed = from + (lines[line] ?? "") + rest;
        break;
      default:
        changed = from + pick(chance, splinters) + rest;
    }
  }
  return changed;
}
