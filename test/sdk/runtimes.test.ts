/** The packed SDK, as an app has it, on each runtime that it promises, against real controllers and a real broker. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packSdk } from "../../scripts/pack-sdk.ts";
import { type Controllers, startControllers } from "../../src/platform/control-harness.ts";
import { toCredential } from "../../src/wire/credential.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { findRuntimes, type Runtime } from "./nodes.ts";

const root = mkdtempSync(join(tmpdir(), "nines-runtimes-"));
let postgres: TestPostgres;
let platform: Controllers;
let runtimes: readonly Runtime[] = [];

beforeAll(async () => {
  const { found, missing } = findRuntimes();
  runtimes = found;
  for (const name of missing) console.log(`not tested, as it cannot be had: ${name}`);
  const modules = join(root, "node_modules/nines-sdk");
  mkdirSync(modules, { recursive: true });
  spawnSync("tar", ["-xzf", await packSdk(root), "-C", modules, "--strip-components=1"]);
  writeFileSync(join(root, "main.mjs"), program);
  writeFileSync(join(root, "typed.mts"), typed);
  postgres = await startTestPostgres();
  platform = await startControllers(postgres, ["controller.1", "controller.2"]);
  await platform.ask("PUT", "/v1/apps/shop");
}, 300_000);
afterAll(async () => {
  await platform?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
}, 60_000);

const program = `
import { connect, NinesError } from "nines-sdk";
const nines = await connect();
const expect = (what, holds) => { if (!holds) throw new Error("not so: " + what); };
const path = "runs/" + process.argv[2];

const left = new Set(Array.from({ length: 50 }, (_, n) => String(n)));
await new Promise((resolve, reject) => {
  nines.subscribe("runs-" + process.argv[2], "worker", ({ n }) => {
    left.delete(n);
    if (left.size === 0) resolve();
  });
  for (const n of [...left]) nines.publish("runs-" + process.argv[2], { n }, { deadlineMs: 30_000 }).catch(reject);
});

const { registry } = nines;
const watch = registry.watch("runs");
expect("the watch is ready", await watch.whenReady(30_000));
const { revision } = await registry.set(path, 1, { ifRevision: 0, deadlineMs: 30_000 });
await registry.update(path, (n) => n + 1);
expect("it was changed", (await registry.get(path)).value === 2);
const refused = await registry.set(path, 3, { ifRevision: revision }).catch((error) => error);
expect("a conflict", refused instanceof NinesError && refused.code === "conflict");
for (let n = 0; watch.get(path)?.value !== 2; n++) {
  if (n > 3_000) throw new Error("the watch did not hear of it");
  await new Promise((resolve) => setTimeout(resolve, 10));
}
const lease = registry.lease("run-" + process.argv[2]);
expect("the lease is held", await lease.whenHeld(30_000));
await registry.set(path, 4, { lease, deadlineMs: 30_000 });

let up = true;
const read = nines.degrade(async () => { if (!up) throw new Error("down"); return 5; }, { staleIfErrorMs: 60_000 });
expect("live", (await read.read()).source === "live");
up = false;
const { value, source, ageMs } = await read.read();
expect("stale", value === 5 && source === "stale" && ageMs >= 0);
await nines[Symbol.asyncDispose]();
console.log("all", nines.mode);
`;

const typed = `
import { connect, type Answer, type Entry } from "nines-sdk";
const nines = await connect();
const answer: Answer<number> = await nines.degrade(async () => 1, { staleIfErrorMs: 1_000 }).read("key");
const entry: Entry<string> | undefined = await nines.registry.get<string>("a/b");
const { id }: { readonly id: string } = await nines.publish("orders", { n: String(answer.value) });
// @ts-expect-error: messages are maps of strings.
await nines.publish("orders", { n: 1 });
console.log(id, entry?.revision, answer.source);
`;

function toEnv(): Record<string, string> {
  const secret = readFileSync(platform.home.secret, "utf8").trim();
  const part = (id: string) =>
    JSON.parse(readFileSync(platform.home.partFile(id), "utf8")) as { port: number; internalPort: number };
  const controllers = ["controller.1", "controller.2"].map((id) => part(id).internalPort);
  return {
    PATH: process.env.PATH ?? "",
    NINES_APP: "shop",
    NINES_PROCESS: "web.1",
    NINES_BUS_BROKERS: `broker.1=127.0.0.1:${part("broker.1").port}`,
    NINES_BUS_SECRET: toCredential(secret, "bus", "shop"),
    NINES_API: controllers.map((port) => `http://127.0.0.1:${port}`).join(","),
    NINES_API_TOKEN: toCredential(secret, "api", "shop"),
  };
}

test("it runs on each of them, and ends", async () => {
  expect(runtimes.length).toBeGreaterThanOrEqual(2);
  for (const [number, { name, command }] of runtimes.entries()) {
    const child = spawn(command, [join(root, "main.mjs"), String(number)], {
      env: toEnv(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    child.stdout.on("data", (chunk) => (said += chunk));
    child.stderr.on("data", (chunk) => (said += chunk));
    const [code] = await once(child, "close");
    expect([name, code, said]).toEqual([name, 0, "all platform\n"]);
  }
}, 240_000);

test("without a platform it runs in local mode", async () => {
  for (const { name, command } of runtimes) {
    const env = { PATH: process.env.PATH ?? "" };
    const { stdout, stderr, status } = spawnSync(command, [join(root, "main.mjs"), "1"], {
      env,
      encoding: "utf8",
    });
    expect([name, status, stdout + stderr]).toEqual([name, 0, "all local\n"]);
  }
}, 120_000);

test("its types stand alone, whatever a strict project checks", () => {
  symlinkSync(join(import.meta.dir, "../../node_modules/@types"), join(root, "node_modules/@types"));
  const tsc = join(import.meta.dir, "../../node_modules/.bin/tsc");
  const strict = ["--strict", "--noEmit", "--module", "nodenext", "--target", "esnext", "--types", "node"];
  const checked = spawnSync(tsc, [...strict, "--exactOptionalPropertyTypes", join(root, "typed.mts")], {
    cwd: root,
    encoding: "utf8",
  });
  expect([checked.status, checked.stdout]).toEqual([0, ""]);
}, 120_000);
