import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** A subreaper with orphans: two that end by themselves, one that is killed, and a child of its own. */
const script = `
import { spawn } from "node:child_process";
import { becomeSubreaper } from "${join(import.meta.dirname, "../os/libc.ts")}";
import { listPids, readStat } from "${join(import.meta.dirname, "../os/proc.ts")}";
import { systemClock } from "${join(import.meta.dirname, "../std/clock.ts")}";
import { startReaper } from "${join(import.meta.dirname, "supervisor.ts")}";
becomeSubreaper();
const statuses = [];
const reaper = startReaper({ clock: systemClock, onReaped: (dead) => statuses.push(dead.status) });
const own = new Promise((resolve) => spawn("/bin/sh", ["-c", "sleep 0.2; exit 5"]).once("exit", resolve));
spawn("/bin/sh", ["-c", "(sleep 0.05; exit 3) & (sleep 0.05) & sh -c 'kill -9 $$' & exit 0"]);
const end = performance.now() + 30000;
const zombies = () => listPids().filter((pid) => { const stat = readStat(pid); return stat?.ppid === process.pid && stat.state === "Z"; });
while (statuses.length < 3 && performance.now() < end) await systemClock.sleep(10);
const code = await own;
while (zombies().length > 0 && performance.now() < end) await systemClock.sleep(10);
console.log(JSON.stringify({ statuses: statuses.sort((a, b) => a - b), own: code, zombies: zombies().length }));
reaper[Symbol.dispose]();
process.exit(0);
`;

test("orphans that fall to a subreaper are reaped with their status; the runtime's own children are left to it", async () => {
  const started = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  started.stdout.on("data", (bytes: Buffer) => {
    output += bytes.toString();
  });
  await once(started, "close");
  const { statuses, own, zombies } = JSON.parse(output);
  // The killed one may have ended while its parent still lived to be told; it never outlives its parent as a zombie.
  expect(statuses).toEqual(expect.arrayContaining([0, 3]));
  expect(own).toBe(5);
  expect(zombies).toBe(0);
});
