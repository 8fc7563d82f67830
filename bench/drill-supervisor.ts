/**
 * What systemd does with units that say Restart=always: whoever ends is started again after 100 ms (its default), with
 * all that was left of its control group killed first. Speaks lines: `pids` on stdout after each change; `restart NAME`
 * on stdin asks with SIGTERM first.
 */
import { createInterface } from "node:readline";

interface Unit {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const restartMs = 100;
const graceMs = 10_000;
const units: readonly Unit[] = JSON.parse(process.argv[2] ?? "[]");
const running = new Map<string, Bun.Subprocess>();
let isOver = false;

const tell = () =>
  process.stdout.write(
    `${JSON.stringify(Object.fromEntries([...running].map(([name, { pid }]) => [name, pid])))}\n`,
  );

function start(unit: Unit): void {
  if (isOver) return;
  const child = Bun.spawn([...unit.command], {
    env: { ...process.env, ...unit.env },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    detached: true,
  });
  running.set(unit.name, child);
  tell();
  void child.exited.then(() => {
    running.delete(unit.name);
    killGroup(child.pid);
    setTimeout(() => start(unit), restartMs);
  });
}

/** What it started is of its session. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nobody is left.
  }
}

for (const unit of units) start(unit);
for await (const line of createInterface({ input: process.stdin })) {
  const child = running.get(line.replace("restart ", ""));
  child?.kill("SIGTERM");
  if (child !== undefined) setTimeout(() => child.kill("SIGKILL"), graceMs).unref();
}
isOver = true;
for (const child of running.values()) {
  child.kill("SIGTERM");
  killGroup(child.pid);
}
process.exit(0);
