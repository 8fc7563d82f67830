/**
 * Sockets that listen on one port together (SO_REUSEPORT): how many there are, and which of them the kernel
 * gives new connections to. Linux only.
 */
import { dlopen, ptr } from "bun:ffi";
import { fstatSync, readFileSync } from "node:fs";

const { symbols: libc } = dlopen("libc.so.6", {
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
});

const solSocket = 1;
const attachReuseportCbpf = 51;
const detachReuseportBpf = 68;
const listening = "0A";

/** Listeners that share this one's address and port, itself included; 0 when that cannot be found out. */
export function countListeners(fd: number): number {
  try {
    const inode = String(fstatSync(fd).ino);
    for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
      const rows = readFileSync(table, "latin1")
        .split("\n")
        .slice(1)
        .map((line) => line.trim().split(/\s+/))
        .filter((columns) => columns[3] === listening);
      const own = rows.find((columns) => columns[9] === inode);
      if (own !== undefined) return rows.filter((columns) => columns[1] === own[1]).length;
    }
  } catch {
    // Without /proc there is no telling; the caller goes on as if it were alone.
  }
  return 0;
}

/**
 * Gives all new connections to the listener with this index, in the order in which they joined. It holds for
 * all of them, until unsteer(), or until there is no listener with that index.
 */
export function steerTo(fd: number, index: number): boolean {
  // One instruction of classic BPF: return the index.
  const program = new Uint8Array(8);
  new DataView(program.buffer).setUint16(0, 0x06, true);
  new DataView(program.buffer).setUint32(4, index, true);
  const header = new Uint8Array(16);
  new DataView(header.buffer).setUint16(0, 1, true);
  new DataView(header.buffer).setBigUint64(8, BigInt(ptr(program)), true);
  return libc.setsockopt(fd, solSocket, attachReuseportCbpf, ptr(header), header.length) === 0;
}

/** Lets the kernel choose again. */
export function unsteer(fd: number): void {
  const nothing = new Int32Array(1);
  libc.setsockopt(fd, solSocket, detachReuseportBpf, ptr(nothing), nothing.byteLength);
}
