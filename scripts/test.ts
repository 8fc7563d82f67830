/**
 * `npm test`: the unit tests and the scenarios, two at a time, then, one after another, those that count what a
 * kill costs; each in a process of its own with a limit. NINES_TEST=long makes the scenarios as long as the proof
 * asks. Names as arguments choose suites; `--failed` runs those again that failed the last time, and counts them
 * with the others of that run. The last line is `N passed, N failed`.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";

interface Suite {
  readonly name: string;
  readonly command: readonly string[];
  readonly limitMs: number;
  /** Has the machine for itself. */
  readonly alone?: true;
}

/** A test that names no limit of its own has this one, as each that waits for something has a limit for that. */
const testLimitMs = 240_000;
const bun = (...args: readonly string[]) => [
  process.execPath,
  "test",
  ...args,
  "--timeout",
  String(testLimitMs),
];
const minute = 60_000;
const suites: readonly Suite[] = [
  { name: "unit", command: bun("src"), limitMs: 15 * minute },
  { name: "cli", command: bun("test/cli"), limitMs: 6 * minute },
  { name: "conformance", command: bun("test/conformance"), limitMs: 6 * minute },
  { name: "asserts", command: bun("test/asserts"), limitMs: 12 * minute },
  { name: "badinput", command: bun("test/badinput"), limitMs: 12 * minute },
  { name: "stages", command: bun("test/stages"), limitMs: 9 * minute },
  { name: "sdk", command: bun("test/sdk"), limitMs: 12 * minute },
  { name: "metrics", command: bun("test/metrics"), limitMs: 9 * minute },
  { name: "flags", command: bun("test/flags"), limitMs: 9 * minute },
  { name: "programs", command: bun("test/programs"), limitMs: 12 * minute },
  { name: "security", command: bun("test/security"), limitMs: 9 * minute },
  { name: "replay", command: bun("test/replay"), limitMs: 9 * minute },
  { name: "crashloop", command: bun("test/crashloop"), limitMs: 6 * minute },
  { name: "change", command: bun("test/change"), limitMs: 9 * minute },
  { name: "buffer", command: bun("test/buffer"), limitMs: 9 * minute, alone: true },
  { name: "kill", command: bun("test/kill"), limitMs: 12 * minute, alone: true },
  { name: "bus", command: bun("test/bus"), limitMs: 6 * minute, alone: true },
  { name: "flow", command: bun("test/flow"), limitMs: 9 * minute, alone: true },
  { name: "outage", command: bun("test/outage"), limitMs: 6 * minute, alone: true },
  { name: "shop", command: bun("test/shop"), limitMs: 12 * minute, alone: true },
  { name: "drill", command: bun("test/drill"), limitMs: 15 * minute, alone: true },
  { name: "disk", command: bun("test/disk"), limitMs: 6 * minute, alone: true },
  { name: "fresh", command: ["bash", "test/fresh.sh"], limitMs: 12 * minute, alone: true },
];

interface Result {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
  /** The lines that say which. */
  readonly failures: readonly string[];
}

const failuresShownMax = 50;
const outputCharsMax = 4_000_000;
/** The results of the last run. */
const memory = "node_modules/.cache/nines/test.json";
const long = process.env.NINES_TEST === "long";
const again = process.argv.includes("--failed");
const earlier = again ? recall() : [];
const asked = again ? earlier.filter((one) => one.failed > 0).map((one) => one.name) : process.argv.slice(2);
if (again && asked.length === 0) {
  console.error("test: no suite failed the last time");
  process.exit(64);
}
const unknown = asked.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  console.error(
    `test: no such suite: ${unknown.join(", ")} (one of ${suites.map((suite) => suite.name).join(", ")})`,
  );
  process.exit(64);
}

const results = await runAll(suites.filter(({ name }) => asked.length === 0 || asked.includes(name)));
// In the order of the suites, each as it was when it ran last.
const all = [...new Map([...earlier, ...results].map((one) => [one.name, one])).values()];
for (const one of earlier)
  for (const line of one.failures) console.log(`failed the first time: ${one.name}: ${line}`);
mkdirSync(dirname(memory), { recursive: true });
writeFileSync(memory, JSON.stringify(all));
const sum = (key: "passed" | "failed") => all.reduce((total, result) => total + result[key], 0);
console.log("");
for (const { name, passed, failed, seconds } of all) {
  console.log(
    `${name.padEnd(10)} ${String(passed).padStart(5)} passed ${String(failed).padStart(4)} failed ${seconds.toFixed(0).padStart(5)} s`,
  );
}
// Once more, where a reader of a long log looks first.
for (const { name, failures } of all) for (const line of failures) console.log(`${name}: ${line}`);
console.log(`${sum("passed")} passed, ${sum("failed")} failed`);
process.exitCode = sum("failed") === 0 ? 0 : 1;

async function runAll(chosen: readonly Suite[]): Promise<readonly Result[]> {
  const results = new Map<Suite, Result>();
  const running = new Map<Suite, Promise<void>>();
  const together = Math.min(2, availableParallelism());
  const waiting = [...chosen];
  const fits = (suite: Suite) =>
    running.size === 0 ||
    (running.size < together && !suite.alone && ![...running.keys()].some(({ alone }) => alone));
  while (waiting.length > 0 || running.size > 0) {
    const [next] = waiting;
    if (next === undefined || !fits(next)) {
      await Promise.race(running.values());
      continue;
    }
    waiting.shift();
    const ended = run(next).then((result) => {
      results.set(next, result);
      running.delete(next);
    });
    running.set(next, ended);
  }
  return chosen.flatMap((suite) => results.get(suite) ?? []);
}

/** Passes the suite's output on when it has ended, in one piece, and counts by what it says at its end. */
async function run({ name, command, limitMs }: Suite): Promise<Result> {
  console.log(`=== ${name} starts`);
  const startedAt = performance.now();
  // One pipe for both, which keeps the order of the lines.
  const child = Bun.spawn(["sh", "-c", 'exec "$0" "$@" 2>&1', ...command], {
    env: { ...process.env, NINES_TEST: long ? "long" : "short", FORCE_COLOR: "0" },
    stdin: "ignore",
    stdout: "pipe",
  });
  const limit = long ? limitMs * 30 : limitMs;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, limit);
  const text = await readEnd(child.stdout);
  const code = await child.exited;
  clearTimeout(timer);
  console.log(`\n=== ${name}\n${text}`);

  const passed = last(text, /^\s*(\d+) pass(?:ed)?\b/gm);
  const counted = last(text, /^\s*(?:\d+ passed, )?(\d+) fail(?:ed)?\b/gm);
  // A suite that was cut off, or died without counting, has failed in a way of its own.
  const failed = code === 0 ? counted : Math.max(1, counted);
  if (late) console.error(`test: ${name} took longer than ${limit / 1_000} s and was ended`);
  else if (code !== 0 && counted === 0) console.error(`test: ${name} exited with ${code}`);
  const failures = [...new Set(text.match(/^\s*(?:\(fail\)|FAIL|✗).*$/gm))].slice(0, failuresShownMax);
  return { name, passed, failed, failures, seconds: (performance.now() - startedAt) / 1_000 };
}

function recall(): Result[] {
  try {
    return JSON.parse(readFileSync(memory, "utf8")) as Result[];
  } catch {
    return [];
  }
}

/** Of a suite that says too much, the beginning is left out: the counts stand at the end. */
async function readEnd(from: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of from) {
    text = (text + decoder.decode(chunk, { stream: true })).slice(-outputCharsMax);
  }
  return text;
}

function last(text: string, pattern: RegExp): number {
  return Number([...text.matchAll(pattern)].at(-1)?.[1] ?? 0);
}
