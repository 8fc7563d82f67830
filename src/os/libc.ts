/** The few system calls that neither Node nor Bun offers, through bun:ffi. Linux only. */
import { dlopen, ptr } from "bun:ffi";

const { symbols: libc } = dlopen("libc.so.6", {
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  fallocate: { args: ["i32", "i32", "i64", "i64"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
  syscall: { args: ["i64", "i64", "i64"], returns: "i64" },
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
  waitid: { args: ["i32", "u32", "ptr", "i32"], returns: "i32" },
});

/** Orphaned descendants of this process become its children instead of pid 1's. */
export function becomeSubreaper(): boolean {
  return libc.prctl(36, 1n, 0n, 0n, 0n) === 0;
}

/** Takes the file lock without waiting; it ends with the process. False when another process holds it. */
export function tryLock(fd: number): boolean {
  return libc.flock(fd, 2 | 4) === 0;
}

/** Gives the bytes before `end` back to the file system; later offsets stay as they are. */
export function punchHole(fd: number, start: number, end: number): boolean {
  return libc.fallocate(fd, 3, BigInt(start), BigInt(end - start)) === 0;
}

/** Takes a zombie child's exit status: its code, or 128 + signal. Undefined when it is not a dead child of ours. */
export function reap(pid: number): number | undefined {
  const status = new Int32Array(1);
  if (libc.waitpid(pid, ptr(status), 1) !== pid) return undefined;
  const raw = status[0] ?? 0;
  return (raw & 0x7f) === 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f);
}

/** The pid of a dead child of ours that nobody has waited for yet; it stays so. Undefined when there is none. */
export function findZombie(): number | undefined {
  // siginfo_t is 128 bytes; si_pid is its fifth word. WEXITED | WNOHANG | WNOWAIT.
  const info = new Int32Array(32);
  if (libc.waitid(0, 0, ptr(info), 4 | 1 | 0x01000000) !== 0) return undefined;
  return info[4] || undefined;
}

const peeked = new Uint8Array(1);
const peekedAt = ptr(peeked);

/** True when a read of this socket would return at once: with bytes, the end, or an error. Takes nothing. */
export function hasUnread(fd: number): boolean {
  // MSG_PEEK | MSG_DONTWAIT. Nothing to read is EAGAIN, -1; so is an error, which the next write reports.
  return Number(libc.recv(fd, peekedAt, 1, 0x02 | 0x40)) >= 0;
}

/** A file descriptor that stands for that very process; `findEnded` asks about it. Undefined where there is none. */
export function openPidfd(pid: number): number | undefined {
  // pidfd_open has the same number on every architecture, and no wrapper in older C libraries.
  const fd = Number(libc.syscall(434n, BigInt(pid), 0n));
  return fd < 0 ? undefined : fd;
}

/** Those of the descriptors from `openPidfd` whose process has ended, reaped or not. One system call for all. */
export function findEnded(pidfds: readonly number[]): number[] {
  if (pidfds.length === 0) return [];
  // struct pollfd: fd, then events and revents in one word; POLLIN is 1.
  const asked = new Int32Array(pidfds.length * 2);
  pidfds.forEach((fd, index) => {
    asked[index * 2] = fd;
    asked[index * 2 + 1] = 1;
  });
  if (libc.poll(ptr(asked), BigInt(pidfds.length), 0) <= 0) return [];
  return pidfds.filter((_, index) => (asked[index * 2 + 1] ?? 0) >> 16 !== 0);
}
