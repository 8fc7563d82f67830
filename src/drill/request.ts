/** One request on a connection of its own, said by hand: any host, any bytes, and nobody repeats it. */
import { connect } from "node:net";

export interface Reply {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface RequestOptions {
  readonly port: number;
  readonly host: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs?: number;
}

/** Rejects when no whole answer came. */
export function request(options: RequestOptions): Promise<Reply> {
  const { method = "GET", path = "/", body = "", timeoutMs = 30_000 } = options;
  const headers = {
    Host: options.host,
    Connection: "close",
    ...(body === "" ? {} : { "Content-Length": String(Buffer.byteLength(body)) }),
    ...options.headers,
  };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return new Promise((resolve, reject) => {
    const socket = connect(options.port, "127.0.0.1");
    const chunks: Buffer[] = [];
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("close", () => {
      try {
        resolve(parseReply(Buffer.concat(chunks)));
      } catch (error) {
        reject(error);
      }
    });
    socket.write(`${method} ${path} HTTP/1.1\r\n${head.join("")}\r\n${body}`);
  });
}

function parseReply(bytes: Buffer): Reply {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) throw new Error(`the connection was closed after ${bytes.length} bytes, before a whole head`);
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const rest = bytes.subarray(end + 4);
  const counted = headers.get("content-length");
  if (counted !== undefined && rest.length < Number(counted)) throw new Error("the answer was cut off");
  const body = headers.get("transfer-encoding") === "chunked" ? joinChunks(rest) : rest.toString("utf8");
  return { status: Number(first.split(" ")[1]), headers, body };
}

function joinChunks(bytes: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf("\r\n", at);
    const size = line < 0 ? Number.NaN : Number.parseInt(bytes.toString("latin1", at, line), 16);
    if (Number.isNaN(size) || bytes.length < line + 2 + size)
      throw new Error("the chunked answer was cut off");
    if (size === 0) return Buffer.concat(parts).toString("utf8");
    parts.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}
