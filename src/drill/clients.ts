/** Whose connections a process holds, from /proc: what dies with it is known, not guessed from the time. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const established = "01";

/** The clients' ports of connections to `port` that the processes have accepted, or that nobody has yet. */
export function clientPorts(port: number, pids: readonly number[]): readonly number[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  // In this order: what is accepted in between was nobody's in the tables.
  const tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(read);
  const own = new Set(pids.flatMap(inodesOf));
  const found: number[] = [];
  for (const table of tables) {
    for (const line of table.split("\n")) {
      // sl, local, remote, state, queues, timer, retransmits, uid, timeout, inode
      const fields = line.trim().split(/\s+/);
      if (!fields[1]?.endsWith(local) || fields[3] !== established) continue;
      const inode = Number(fields[9]);
      if (inode === 0 || own.has(inode)) found.push(Number.parseInt(fields[2]?.split(":")[1] ?? "0", 16));
    }
  }
  return found;
}

function inodesOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
        return inode === undefined ? [] : [Number(inode)];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
