/**
 * Who listens where: /proc/net/tcp{,6} tells the sockets, /proc/PID/fd whose they are. A connection that
 * succeeds proves nothing, as another process may have the port. Reading the tables takes milliseconds, as
 * the kernel walks all it could have, so it is for when a process is known to hold a socket.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { withSpare } from "../os/spare.ts";

export interface Listener {
  readonly port: number;
  /** Where to connect to reach it from this machine. */
  readonly host: string;
  readonly inode: string;
}

/** Every listening TCP socket of this network namespace. */
export function readListeners(): Listener[] {
  return [...readTable("/proc/net/tcp"), ...readTable("/proc/net/tcp6")];
}

/** The inodes of the sockets that a process holds, of whatever kind. */
export function readSockets(pid: number): string[] {
  try {
    return withSpare(() => readdirSync(`/proc/${pid}/fd`)).flatMap((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode === undefined ? [] : [inode];
    });
  } catch {
    // It ended meanwhile.
    return [];
  }
}

/** One table's text to its listeners. The kernel lists those first. */
export function parseListeners(text: string): { listeners: Listener[]; complete: boolean } {
  const listeners: Listener[] = [];
  for (const line of text.split("\n")) {
    const fields = line.trim().split(/\s+/);
    const [, local = "", , state] = fields;
    if (!local.includes(":") || state === undefined || local === "local_address") continue;
    if (state !== "0A") return { listeners, complete: true };
    const [address = "", port = ""] = local.split(":");
    if (fields[9] === undefined) break;
    listeners.push({ port: Number.parseInt(port, 16), host: toHost(address), inode: fields[9] });
  }
  return { listeners, complete: false };
}

function readTable(path: string): Listener[] {
  try {
    return withSpare(() => readOpen(path));
  } catch {
    return [];
  }
}

function readOpen(path: string): Listener[] {
  const fd = openSync(path, "r");
  try {
    const chunk = Buffer.alloc(16_384);
    let text = "";
    for (;;) {
      const bytes = readSync(fd, chunk, 0, chunk.length, null);
      text += chunk.toString("latin1", 0, bytes);
      const whole = bytes === 0 ? text : text.slice(0, text.lastIndexOf("\n") + 1);
      const { listeners, complete } = parseListeners(whole);
      if (complete || bytes === 0) return listeners;
    }
  } finally {
    closeSync(fd);
  }
}

/** Words of four bytes, each in the machine's own (little-endian) order. */
function toHost(hex: string): string {
  if (/^0+$/.test(hex)) return "127.0.0.1";
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).toReversed());
  if (bytes.length === 4) return bytes.map((byte) => Number.parseInt(byte, 16)).join(".");
  const mapped = /^0{20}ffff(.{8})$/i.exec(bytes.join(""));
  if (mapped) return (mapped[1]?.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).join(".");
  if (/^0{31}1$/.test(bytes.join(""))) return "::1";
  return (bytes.join("").match(/.{4}/g) ?? []).join(":");
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
