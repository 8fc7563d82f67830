/** A small disk for a home, which can be filled and emptied; for root alone. */
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

const pieceBytes = 262_144;

/** Whether this process may make one. */
export function mayMount(): boolean {
  return process.getuid?.() === 0 && Bun.which("mount") !== null && Bun.which("umount") !== null;
}

/**
 * Mounts one on a folder, readable for all. `file` puts it on the machine's own disk, where writing and syncing take
 * the time that they take there; where loop devices are not to be had, it is in memory all the same.
 */
export function mountDisk(path: string, bytes: number, on: "memory" | "file" = "memory"): void {
  mkdirSync(path, { recursive: true, mode: 0o711 });
  if (on === "file" && mountFile(path, bytes)) return;
  run("mount", "-t", "tmpfs", "-o", `size=${bytes},mode=0711`, "nines-drill", path);
}

function mountFile(path: string, bytes: number): boolean {
  const image = `${path}.img`;
  try {
    writeFileSync(image, "", { mode: 0o600 });
    truncateSync(image, bytes);
    run("mkfs.ext4", "-q", "-m", "0", image);
    run("mount", "-o", "loop", image, path);
    chmodSync(path, 0o711);
    return true;
  } catch {
    rmSync(image, { force: true });
    return false;
  }
}

/** Whoever still has a file of it open keeps it alive; it is out of sight all the same. */
export function unmountDisk(path: string): void {
  run("umount", "--lazy", path);
  rmSync(`${path}.img`, { force: true });
}

export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Fills the disk of a folder but for so many bytes, until disposed. What others free meanwhile is filled again by `more`. */
export class Filling implements Disposable {
  readonly #path: string;
  readonly #file: number;

  constructor(folder: string, leftBytes = 0) {
    this.#path = join(folder, ".nines-drill-filling");
    this.#file = openSync(this.#path, "a", 0o600);
    this.more(leftBytes);
  }

  more(leftBytes = 0): void {
    const folder = join(this.#path, "..");
    const piece = Buffer.alloc(pieceBytes);
    for (;;) {
      const bytes = Math.min(pieceBytes, freeBytes(folder) - leftBytes);
      if (bytes <= 0) return;
      try {
        writeSync(this.#file, piece, 0, bytes);
      } catch {
        // Somebody else has taken the rest.
        return;
      }
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }
}

function run(...command: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync([...command]);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString().trim()}`);
}
