import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive } from "../os/proc.ts";
import { readJson, writeAtomic, writeJson } from "../std/file.ts";
import { topics, toRouterMessage } from "../wire/messages.ts";
import { paths } from "../wire/records.ts";
import { Machine, until } from "./agent-harness.ts";
import { groundOf } from "./home.ts";

const script = `
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"hello")
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
`;

/** A machine that runs one app, and its agent. */
async function startShop(count = 1) {
  const machine = await Machine.start();
  const folder = join(groundOf(machine.home).builds, "b1");
  mkdirSync(folder);
  writeFileSync(join(folder, "server.py"), script);
  Bun.spawnSync(["chmod", "-R", "a+rX", folder]);
  writeJson(join(machine.home.root, "agent", "builds", "b1.json"), {});
  const limits = { bootTimeoutMs: 60_000, drainTimeoutMs: 60_000, graceMs: 5_000, memoryBytes: 0 };
  const processes = { web: "/usr/bin/python3 server.py" };
  machine.set({
    [paths.app("shop")]: { name: "shop", number: 1, createdAt: "" },
    [paths.release("shop", 1)]: {
      ...{ app: "shop", version: 1, build: "b1", config: {}, processes, limits, createdAt: "" },
    },
    [paths.formation("shop")]: { web: count },
    [paths.current("shop")]: { release: 1, generation: 0 },
  });
  const agent = machine.spawnAgent();
  await machine.ready(agent);
  await until("up", () => machine.table.filter(({ state }) => state === "up").length === count);
  return { machine, agent };
}

test("a killed agent costs no instance anything: its successor has the same table", async () => {
  const { machine, agent } = await startShop(2);
  await using _ = machine;
  const before = machine.table;
  agent.kill("SIGKILL");
  await agent.exited;
  machine.table = [];
  await machine.ready(machine.spawnAgent());
  await until("told", () => Bun.deepEquals(machine.table.toSorted(byName), before.toSorted(byName)));
  expect(machine.processes().length).toBe(2);
}, 240_000);

test("with the controllers and all brokers gone, a new agent works from disk, and tells when they are back", async () => {
  const { machine, agent } = await startShop();
  await using _ = machine;
  const first = machine.up();
  // The copy on disk follows within a second.
  await until("copy", () => readCopy(machine).includes("/apps/shop/current"));
  await machine.stopFeed();
  await machine.stopBrokers();
  agent.kill("SIGKILL");
  await agent.exited;
  await machine.ready(machine.spawnAgent());
  expect(isAlive({ pid: first?.pid ?? 0, startTime: machine.processes()[0]?.startTime ?? 0 })).toBe(true);
  process.kill(first?.pid ?? 0, "SIGKILL");
  const table = () =>
    (readJson(machine.home.agentTable) as { value: { instances: typeof machine.table } }).value;
  const second = await until("replaced", () =>
    table().instances.find(({ id, state }) => id !== first?.id && state === "up"),
  );
  expect(second.attempts).toBe(2);
  await machine.startBrokers();
  await until("told", () => machine.table.some(({ id }) => id === second.id));
}, 240_000);

test("an outgoing instance drains until every live router says that it is empty", async () => {
  const { machine } = await startShop();
  await using _ = machine;
  const id = machine.up()?.id ?? "";
  let drained: readonly string[] = [];
  let seq = Date.now();
  const routing = setInterval(() => {
    const report = { router: "router.1", seq: seq++, revision: 1, drained };
    machine.bus?.publish(topics.routers, toRouterMessage(report)).catch(() => {});
  }, 100);
  try {
    await Bun.sleep(1_600);
    machine.set({ [paths.formation("shop")]: { web: 0 } });
    await until("draining", () => machine.table.some(({ state }) => state === "draining"));
    await Bun.sleep(500);
    expect(machine.table[0]).toMatchObject({ id, state: "draining" });
    drained = [id];
    await until("gone", () => machine.processes().length === 0);
  } finally {
    clearInterval(routing);
  }
}, 240_000);

test("asked to stop, an agent leaves its instances; at the platform's end it stops them", async () => {
  const { machine, agent } = await startShop();
  await using _ = machine;
  agent.kill("SIGTERM");
  expect(await agent.exited).toBe(0);
  expect(machine.processes().length).toBe(1);
  const next = machine.spawnAgent();
  await machine.ready(next);
  writeAtomic(machine.home.stopping, "");
  next.kill("SIGTERM");
  expect(await next.exited).toBe(0);
  expect(machine.processes()).toEqual([]);
}, 240_000);

test("a copy on disk that is older than what was acted upon decides nothing", async () => {
  const { machine, agent } = await startShop();
  await using _ = machine;
  const old = await until("copy", () => {
    const text = readCopy(machine);
    return text.includes("/apps/shop/current") && text;
  });
  machine.set({ [paths.formation("shop")]: { web: 2 } });
  await until("two", () => machine.table.filter(({ state }) => state === "up").length === 2);
  await machine.stopFeed();
  agent.kill("SIGKILL");
  await agent.exited;
  writeFileSync(machine.home.replica("agent"), old);
  await machine.ready(machine.spawnAgent());
  await Bun.sleep(1_500);
  expect(machine.processes().length).toBe(2);
}, 240_000);

test("garbage in the app's records freezes the app: what runs goes on", async () => {
  const { machine } = await startShop();
  await using _ = machine;
  const before = machine.table;
  machine.set({ [paths.formation("shop")]: { web: "many" } });
  await until("reported", () => readFileSync(machine.home.partLog("agent"), "utf8").includes("apps_frozen"));
  expect(machine.table).toEqual(before);
}, 240_000);

/** The agent's copy of the registry; it is written within a second. */
function readCopy(machine: Machine): string {
  const path = machine.home.replica("agent");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
