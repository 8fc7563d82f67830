/**
 * Whose a folder is: said by its name, `TIME-PID-STARTED-RANDOM`, so that no lock is needed that a runtime might
 * not have. A folder whose process is gone is taken over by renaming it, which only one of several can.
 */
import { mkdirSync, readdirSync, renameSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { identify, isAlive } from "../os/proc.ts";
import { systemCode } from "../std/errors.ts";

export interface Claim {
  /** This process's own, empty at first. */
  readonly folder: string;
  /** Takes over what processes have left that are gone; oldest first. */
  inherit(): readonly string[];
  /** Removes an inherited folder, if it is empty. */
  drop(folder: string): void;
}

const claimed = /^(\d{15})-(\d+)-(\d+)-[0-9a-f]+$/;

export function claimFolder(root: string, wallMs: number): Claim {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const startTime = identify(process.pid)?.startTime ?? 0;
  const toName = (time: string) => `${time}-${process.pid}-${startTime}-${crypto.randomUUID().slice(0, 8)}`;
  const folder = join(root, toName(String(Math.floor(wallMs)).padStart(15, "0")));
  mkdirSync(folder, { mode: 0o700 });
  return {
    folder,
    inherit() {
      const found: string[] = [];
      for (const name of readdirSync(root).sort()) {
        const [, time, pid, started] = claimed.exec(name) ?? [];
        if (time === undefined || lives(Number(pid), Number(started))) continue;
        const path = join(root, toName(time));
        try {
          renameSync(join(root, name), path);
          found.push(path);
        } catch (error) {
          if (systemCode(error) !== "ENOENT") throw error;
        }
      }
      return found;
    },
    drop(path) {
      try {
        rmdirSync(path);
      } catch {
        // What is kept aside in it is for a person.
      }
    },
  };
}

function lives(pid: number, startTime: number): boolean {
  if (startTime !== 0) return isAlive({ pid, startTime });
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === "EPERM";
  }
}
