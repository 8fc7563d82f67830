/**
 * In the manner of Jepsen's queue tests: writers with unique ids, every acceptance recorded; a target that has an
 * inbox, every effect recorded; meanwhile relays are killed and stopped, the target is down, slow, flapping and
 * refuses some, the database is killed, a writer's transaction dies in the middle. Then all is let be, and
 * checked: nothing accepted is lost, nothing has two effects, nothing passes an older write of its key.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { Client } from "pg";
import { startBuffer } from "../../src/buffer/buffer.ts";
import { leaseMs, renewMs } from "../../src/buffer/limits.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createLog } from "../../src/std/log.ts";
import { until } from "../../src/std/until.ts";
import { openStore } from "../../src/store/store.ts";
import { short } from "../length.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { startTestTarget } from "./target.ts";

const chaosMs = short ? 15_000 : 600_000;
/** Between two writes of a key, on average: a long chaos has to leave no more than can be delivered afterwards. */
const pauseMs = short ? 10 : 60;
/** Outages with nothing else in the way, after the chaos. */
const quietOutagesMs = short ? [1_000] : [500, 1_000, 1_000, 1_500, 5_000, 20_000, 60_000];
const log = createLog({}, () => {});
let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres();
}, 120_000);
afterAll(() => server[Symbol.asyncDispose]());

interface Outage {
  /** When requests came meanwhile. */
  readonly at: number[];
  readonly startedAt: number;
  endedAt: number;
  drainMs: number | undefined;
  /** Something else stood in the way of the drain. */
  hindered: boolean;
}

type Mood = "well" | "down" | "slow" | "flapping";

test(
  "no accepted write is lost, none has two effects, none passes its elder, whatever is killed",
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), "nines-checker-"));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const url = await server.createDatabase();
    const store = stack.use(openStore({ url, clock: systemClock, log, random: Math.random }));
    await store.ready();

    let mood: Mood = "well";
    const turn = (next: Mood) => {
      const now = performance.now();
      if (mood === "down") Object.assign(outages.at(-1) ?? {}, { endedAt: now, drainMs: undefined });
      // Effects of an outage's own time are not its drain.
      if (next === "down") outages.push({ at: [], startedAt: now, endedAt: 0, drainMs: 0, hindered: false });
      mood = next;
    };
    /** Requests that each outage has seen, and how long after its end the first effect came. */
    const outages: Outage[] = [];
    /** When the last thing was over that keeps writes from anybody: the database away, the relay stopped or killed. */
    let hinderedUntil = 0;
    let newest = 0;
    let resets = 0;
    const effects: { key: string; n: number; token: number }[] = [];
    const inbox = new Set<string>();
    let again = 0;
    const target = stack.use(
      startTestTarget(async ({ headers, body }) => {
        // One that was stopped may wake with a request half sent, which its old token tells.
        const token = Number(headers.get("nines-fencing-token"));
        newest = Math.max(newest, token);
        if (mood === "down" && token === newest) outages.at(-1)?.at.push(performance.now());
        if (mood === "down" || (mood === "flapping" && Math.random() < 0.5)) return 503;
        if (mood === "slow") await Bun.sleep(Math.random() * 300);
        const { key, n } = JSON.parse(body) as { key: string; n: number };
        // Refused the first time only: what is refused must still come before what follows it.
        if (n % 97 === 0 && headers.get("nines-attempt") === "1") return 422;
        const id = headers.get("idempotency-key") ?? "";
        if (inbox.has(id)) again++;
        else effects.push({ key, n, token });
        inbox.add(id);
        const outage = outages.at(-1);
        if (outage !== undefined && outage.drainMs === undefined) {
          outage.drainMs = performance.now() - outage.endedAt;
          outage.hindered = hinderedUntil > outage.endedAt;
        }
        // Done, but the answer is lost: it will come again.
        if (Math.random() < 0.01) return ++resets && new Response("", { status: 504 });
        return 200;
      }),
    );
    const record = { url: target.url, timeoutMs: 1_000, concurrencyMax: 16 };
    await store.registry.set("/targets/pay", record, { by: "test" });

    const relays = new Map<string, Subprocess>();
    const startRelay = (id: string) => {
      const command = [process.execPath, join(import.meta.dir, "relay-process.ts"), id, url];
      relays.set(id, Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" }));
    };
    stack.defer(async () => {
      for (const relay of relays.values()) relay.kill("SIGKILL");
      await Promise.all([...relays.values()].map((relay) => relay.exited));
    });
    for (const id of ["relay.1", "relay.2"]) startRelay(id);

    const buffer = stack.use(
      await startBuffer({
        store: store.writes,
        clock: systemClock,
        log,
        random: Math.random,
        spool: { folder },
      }),
    );
    const accepted = new Set<string>();
    const never = new Set<string>();
    let died = 0;
    let writing = true;
    const writer = async (key: string) => {
      for (let n = 1; writing; n++) {
        // With its last acknowledgement unknown a writer goes on only when it knows: here every one is known.
        const { idempotencyKey } = await buffer.write("pay", { key, n }, { key });
        accepted.add(idempotencyKey);
        await Bun.sleep(pauseMs * (0.5 + Math.random()));
      }
    };
    const transactor = async () => {
      for (let n = 1; writing; n++) {
        const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
        // A server that dies is told to whoever waits for an answer.
        client.on("error", () => {});
        const id = `tx-${n}`;
        const fails = n % 3 === 0;
        const transact = async () => {
          await client.connect();
          await client.query("begin");
          const options = { key: "tx", idempotencyKey: id, tx: client };
          await buffer.write("pay", { key: "tx", n: n * 1_000 + 1 }, options);
          await client.query(fails ? "rollback" : "commit");
        };
        await transact().then(
          () => (fails ? never : accepted).add(id),
          () => {},
        );
        await client.end().catch(() => {});
        if (n % 20 === 0) {
          // A process of its own, killed between the write and the commit.
          never.add(`dying-${n}`);
          const command = [process.execPath, join(import.meta.dir, "dying-app.ts"), url, "tx", `dying-${n}`];
          const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
          await child.exited;
          if (child.signalCode === "SIGKILL") died++;
        }
        await Bun.sleep(30);
      }
    };
    const writers = [...["a", "b", "c", "d", "e"].map(writer), transactor()];

    const counts: Record<string, number> = {};
    const moods: readonly Mood[] = ["down", "slow", "flapping", "well"];
    const endsAt = performance.now() + chaosMs;
    for (let round = 0; performance.now() < endsAt; round++) {
      // Whoever delivers now.
      const held = await store.bufferAdmin.targets().catch(() => []);
      const victim = held[0]?.holder ?? `relay.${1 + (round % 2)}`;
      const relay = relays.get(victim);
      const doing = ["kill", "mood", "stop", "mood", "postgres", "mood"][round % 6] ?? "mood";
      counts[doing] = (counts[doing] ?? 0) + 1;
      if (doing === "mood") {
        const next = moods[Math.floor(round / 2) % moods.length] ?? "well";
        turn(next);
      }
      if (doing !== "mood") hinderedUntil = Number.POSITIVE_INFINITY;
      if (doing === "kill") {
        relay?.kill("SIGKILL");
        await relay?.exited;
        startRelay(victim);
      }
      if (doing === "stop") {
        relay?.kill("SIGSTOP");
        await Bun.sleep(4_000);
        relay?.kill("SIGCONT");
      }
      if (doing === "postgres") {
        await server.kill("SIGKILL");
        // Once for a minute.
        await Bun.sleep(short ? 1_000 : counts.postgres === 2 ? 60_000 : 5_000);
        await server.start();
      }
      // A lease that was lost is somebody's again by then.
      if (doing !== "mood") hinderedUntil = performance.now() + leaseMs + renewMs;
      await Bun.sleep(1_000);
    }

    // And with nothing else in the way: how soon after an outage the first effect comes.
    turn("well");
    await Bun.sleep(hinderedUntil - performance.now());
    for (const outageMs of quietOutagesMs) {
      turn("down");
      await Bun.sleep(outageMs);
      turn("well");
      await until("it drains", 120_000, () => outages.at(-1)?.drainMs !== undefined);
    }
    writing = false;
    await Promise.all(writers);
    await until("the spool is empty", 120_000, () => buffer.spooled === 0);
    // A long chaos leaves a long backlog, of few keys.
    await until("every accepted write had its effect", 60_000 + chaosMs, () =>
      [...accepted].every((id) => inbox.has(id)),
    );
    await until("nothing waits", 120_000, async () =>
      (await store.bufferAdmin.targets()).every((one) => one.depth === 0 && one.dead === 0),
    );
    // What lies below where the relay begins to read is not counted there.
    const rows = stack.use(toCounter(url));
    await until("no row is left", 120_000, async () => (await rows.count()) === 0);

    const last = new Map<string, number>();
    const passed = effects.filter(({ key, n }) => {
      const older = last.get(key) ?? 0;
      last.set(key, Math.max(older, n));
      return n < older;
    });
    const ended = outages.flatMap((one) =>
      one.drainMs === undefined || one.endedAt === 0 ? [] : [{ ...one, drainMs: Math.round(one.drainMs) }],
    );
    const [drains, hindered] = [false, true].map((was) => ended.filter((one) => one.hindered === was)) as [
      typeof ended,
      typeof ended,
    ];
    console.log(
      JSON.stringify({
        check: "buffer",
        seconds: chaosMs / 1_000,
        accepted: accepted.size,
        effects: effects.length,
        repeated: again,
        answers_lost: resets,
        relays: new Set(effects.map((one) => one.token)).size,
        died_in_transaction: died,
        outages: outages.length,
        probe_gap_min_ms: toProbeGap(outages.map((one) => one.at)),
        outage_and_drain_ms: drains.map((one) => [Math.round(one.endedAt - one.startedAt), one.drainMs]),
        drain_ms_hindered: hindered.map((one) => one.drainMs),
        ...counts,
      }),
    );
    expect(passed).toEqual([]);
    expect([...never].filter((id) => inbox.has(id))).toEqual([]);
    expect(effects.length).toBe(inbox.size);
  },
  chaosMs * 2 + 400_000,
);

function toCounter(url: string): AsyncDisposable & { count(): Promise<number> } {
  const client = new Client({ connectionString: url });
  const connected = client.connect();
  return {
    async count() {
      await connected;
      const { rows } = await client.query("select count(*)::int as count from nines.buffer_writes");
      return (rows[0] as { count: number }).count;
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
}

/** The shortest time between two requests of one outage, from when its breaker must have been open. */
function toProbeGap(outages: readonly (readonly number[])[]): number {
  const gaps = outages.flatMap((at) => {
    // What was under way when it opened, and what a later holder of the lease had yet to learn, comes at once.
    const settled = at.filter((one) => one - (at[0] ?? 0) > 1_000);
    return settled.slice(1).map((one, i) => one - (settled[i] ?? 0));
  });
  return gaps.length === 0 ? -1 : Math.round(Math.min(...gaps));
}
