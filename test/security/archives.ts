/** Archives as no honest client packs them: a tar written by hand, header by header. */
import { gzipSync } from "node:zlib";

export interface Entry {
  readonly path: string;
  /** 0 file, 1 hard link, 2 symbolic link, 3 device, 5 folder. */
  readonly type?: "0" | "1" | "2" | "3" | "5";
  readonly link?: string;
  readonly body?: string;
  /** What the header says, when it lies. */
  readonly size?: number;
}

const blockBytes = 512;

export function pack(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap((entry) => [toHeader(entry), pad(Buffer.from(entry.body ?? ""))]);
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(blockBytes * 2)]));
}

/** Small, and what comes out of it never ends: zeros behind the archive, or the same small file again and again. */
export function bomb(of: "bytes" | "entries"): Buffer {
  const piece =
    of === "bytes" ? Buffer.alloc(2 ** 26) : Buffer.concat(Array(1_000).fill(toHeader({ path: "a" })));
  const times = of === "bytes" ? 72 : 202;
  const honest = toHeader({ path: "Procfile", body: "web: true\n" });
  const first = gzipSync(Buffer.concat([honest, pad(Buffer.from("web: true\n"))]));
  // Pieces that are packed one by one are unpacked as one.
  return Buffer.concat([first, ...Array<Buffer>(times).fill(gzipSync(piece))]);
}

function toHeader({ path, type = "0", link = "", body = "", size = Buffer.byteLength(body) }: Entry): Buffer {
  const header = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  header.write(path, 0, 100, "utf8");
  octal(0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  header.fill(" ", 148, 156);
  header.write(type, 156);
  header.write(link, 157, 100, "utf8");
  header.write("ustar\0" + "00", 257, "latin1");
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return header;
}

function pad(body: Buffer): Buffer {
  return Buffer.concat([body, Buffer.alloc((blockBytes - (body.length % blockBytes)) % blockBytes)]);
}
