import { expect, test } from "bun:test";
import { join } from "node:path";

const proc = join(import.meta.dir, "proc.ts");
const spare = join(import.meta.dir, "spare.ts");

/** In a process that may open so few files, and has opened them all. */
function starve(script: string) {
  const code = `
    const { openSync } = await import("node:fs");
    const { identify, isAlive, listPids, readEnviron, signal } = await import("${proc}");
    const { mayOpen, withSpare } = await import("${spare}");
    const child = Bun.spawn(["sleep", "60"]);
    const identity = identify(child.pid);
    const files = [];
    const before = mayOpen();
    try { for (;;) files.push(openSync("/dev/null")); } catch {}
    ${script}`;
  const ran = Bun.spawnSync(["bash", "-c", `ulimit -n 64; exec "$0" -e "$1"`, process.execPath, code]);
  return { said: ran.stdout.toString(), wrong: ran.stderr.toString() };
}

test("who may open no further file still knows who lives, and reaches them", () => {
  const { said, wrong } = starve(`
    const seen = [isAlive(identity), listPids().includes(child.pid), readEnviron(child.pid).PATH === process.env.PATH];
    const again = [isAlive(identity), isAlive({ ...identity, startTime: 1 }), isAlive({ pid: 4194303, startTime: 1 })];
    const after = mayOpen();
    const hit = signal(identity, "SIGKILL");
    await child.exited;
    console.log(JSON.stringify({ before, after, seen, again, hit, by: child.signalCode, left: isAlive(identity) }));`);
  expect(wrong).toBe("");
  expect(JSON.parse(said)).toEqual({
    before: true,
    after: false,
    seen: [true, true, true],
    again: [true, false, false],
    hit: true,
    by: "SIGKILL",
    left: false,
  });
});

test("what else goes wrong is passed on, and with room again nothing is missing", () => {
  const { said, wrong } = starve(`
    const { closeSync, readFileSync } = await import("node:fs");
    let failure = "";
    try { withSpare(() => readFileSync("/proc/none")); } catch (error) { failure = error.code; }
    for (const file of files) closeSync(file);
    console.log(JSON.stringify({ failure, room: mayOpen(), lives: isAlive(identity) }));
    child.kill("SIGKILL");`);
  expect(wrong).toBe("");
  expect(JSON.parse(said)).toEqual({ failure: "ENOENT", room: true, lives: true });
});
