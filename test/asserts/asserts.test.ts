import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Controllers, startControllers } from "../../src/platform/control-harness.ts";
import { until } from "../../src/std/until.ts";
import { times } from "../length.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { Hook, type Meter, startMeter } from "./meter.ts";

const patienceMs = 60_000;
let postgres: TestPostgres;
let nines: Controllers;
let meter: Meter;
let hook: Hook;

beforeAll(async () => {
  postgres = await startTestPostgres();
  nines = await startControllers(postgres, ["controller.1", "controller.2"]);
  await nines.start("relay.1", "relay");
  meter = await startMeter(nines.home);
  hook = new Hook();
  await put("receivers/hook", { kind: "webhook", urls: [hook.url], groupIntervalMs: 500 });
});
afterAll(async () => {
  await meter?.[Symbol.asyncDispose]();
  await hook?.[Symbol.asyncDispose]();
  await nines?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
});

async function put(path: string, body: object, status = 200) {
  const answer = await nines.ask("PUT", `/v1/${path}`, body);
  expect({ path, status: answer.status, body: answer.body }).toMatchObject({ path, status });
  return answer.body;
}
async function wall(name: string) {
  const { body } = await nines.ask("GET", "/v1/asserts");
  return body.asserts.find((one: { name: string }) => one.name === name);
}
async function alerts(name: string) {
  const { body } = await nines.ask("GET", "/v1/alerts");
  return body.alerts.filter((one: { name: string }) => one.name === name);
}
const verdict = (name: string, wanted: string) =>
  until(`${name} is ${wanted}`, patienceMs, async () => {
    const one = await wall(name);
    return one.verdict === wanted && one;
  });

test("an assert that is violated fires after its for, and the webhook is told; when it holds, of that", async () => {
  meter.gauges.set("shop.level;app=shop", 10);
  await put("asserts/level", { expr: 'max(shop.level{app="shop"}) < 50', noData: "unknown", forMs: 1_000 });
  await verdict("level", "ok");
  meter.gauges.set("shop.level;app=shop", 70);
  const violatedAt = performance.now();
  const told = await until("the webhook is told", patienceMs, () => hook.of("level")[0]);
  console.log(`violated → webhook: ${Math.round(told.at - violatedAt)} ms with a for of 1000 ms`);
  // The other controller judges by its own clock, and may come to it a second later.
  const alert = await until("it fires wherever it is asked for", patienceMs, async () =>
    (await alerts("level")).find((one: { state: string }) => one.state === "firing"),
  );
  expect(alert).toMatchObject({ state: "firing", value: 70, threshold: 50, fingerprint: told.fingerprint });
  meter.gauges.set("shop.level;app=shop", 10);
  const over = await until("and of its end", patienceMs, () => hook.of("level", "resolved")[0]);
  expect(over.fingerprint).toBe(told.fingerprint);
  // It may come twice, but never as another one.
  expect(new Set(hook.of("level").map((one) => one.idempotencyKey)).size).toBe(1);
});

test("would it have fired? Beyond what memory has, the minutes in the database say so", async () => {
  const { default: client } = await import("postgres");
  const sql = client(nines.databaseUrl, { max: 1, onnotice: () => {} });
  const minuteMs = 60_000;
  const now = Math.floor(Date.now() / minuteMs) * minuteMs;
  const rows = Array.from({ length: 120 }, (_, i) => {
    const last = i >= 30 && i < 50 ? 90 : 10;
    const ago = new Date(now - (180 - i) * minuteMs);
    const level = [{ labels: {}, kind: "gauge", level: [last, last, last, last] }];
    const pulse = [{ labels: {}, kind: "counter", increase: 60 }];
    return [
      { name: "old.level", minute: ago, seconds: 60, series: sql.json(level) },
      { name: "metrics.reports", minute: ago, seconds: 60, series: sql.json(pulse) },
    ];
  }).flat();
  try {
    for (const row of rows) await sql`insert into nines.metric_minutes ${sql(row)}`;
  } finally {
    await sql.end();
  }
  const asked = { expr: "max(old.level, 1m) < 50", noData: "unknown", sinceMs: 4 * 3_600_000 };
  const { status, body } = await nines.ask("POST", "/v1/assert-tests", asked);
  expect({ status, body }).toMatchObject({ status: 200, body: { missing: "" } });
  expect(body.firings).toHaveLength(1);
  const [firing] = body.firings;
  expect(firing.worst).toBe(90);
  expect(Math.abs(Date.parse(firing.from) - (now - 150 * minuteMs))).toBeLessThan(2 * minuteMs);
  expect(Math.abs(Date.parse(firing.to) - (now - 130 * minuteMs))).toBeLessThan(2 * minuteMs);
  const sources = body.spans.map((one: { source: string }) => one.source);
  // Minutes of the test's own run may come before memory's seconds, when it is slow.
  expect(sources.slice(0, 3)).toEqual(["nothing", "minutes", "nothing"]);
});

describe("what is wrong", () => {
  test("a malformed assert is refused with path and reason, and the last good one stays", async () => {
    meter.gauges.set("shop.size", 1);
    await put("asserts/size", { expr: "max(shop.size) < 50", noData: "unknown" });
    const refused = await put("asserts/size", { expr: "max(shop.size <" }, 400);
    expect(refused.message).toContain("assert size.expr: column 15: expected {matchers}");
    await put("asserts/size", { forMs: -5 }, 400);
    expect((await wall("size")).record).toMatchObject({ expr: "max(shop.size) < 50", forMs: 0 });
    await verdict("size", "ok");
  });
  test("one that lies in the registry malformed says what is wrong, and the last good one is evaluated on", async () => {
    const { openStore } = await import("../../src/store/store.ts");
    const { systemClock } = await import("../../src/std/clock.ts");
    const { createLog } = await import("../../src/std/log.ts");
    await verdict("size", "ok");
    await using store = openStore({
      url: nines.databaseUrl,
      clock: systemClock,
      log: createLog({}, () => {}),
      random: Math.random,
    });
    await store.ready(AbortSignal.timeout(patienceMs));
    await store.registry.set("/asserts/size", { expr: "max(" }, { by: "somebody" });
    const bad = await until("it is said", patienceMs, async () => {
      const one = await wall("size");
      return one.why.includes("assert size.expr: column 5") && one;
    });
    expect(bad).toMatchObject({ verdict: "ok", record: { expr: "max(shop.size) < 50" } });
  });
  test("an assert that names no metric ever seen is taken, with a warning", async () => {
    const made = await put("asserts/typo", { expr: "max(shop.szie) < 50", noData: "unknown" });
    expect(made.warning).toContain("shop.szie");
    expect((await wall("typo")).verdict).toBe("unknown");
  });
  test("NaN and infinite samples leave no value, and no verdict of ok", async () => {
    meter.gauges.set("shop.odd;n=1", Number.NaN);
    meter.gauges.set("shop.odd;n=2", Number.POSITIVE_INFINITY);
    await put("asserts/odd", { expr: "max(shop.odd) < 50" });
    expect((await verdict("odd", "violated")).value).toBeNull();
    meter.gauges.set("shop.odd;n=3", 7);
    expect((await verdict("odd", "ok")).value).toBe(7);
  });
  test("a webhook that hangs holds up nobody else", async () => {
    await using stuck = new Hook();
    stuck.hangs = true;
    await put("receivers/a-stuck", { kind: "webhook", urls: [stuck.url] });
    meter.gauges.set("shop.stuck", 1);
    await put("asserts/stuck", { expr: "max(shop.stuck) < 50", noData: "unknown" });
    await verdict("stuck", "ok");
    meter.gauges.set("shop.stuck", 70);
    await until("the other one is told", patienceMs, () => hook.of("stuck").length > 0);
    expect(stuck.told).toHaveLength(0);
    const listed = await until("a notice waits for it", patienceMs, async () => {
      const { body } = await nines.ask("GET", "/v1/receivers");
      const found = body.receivers.find((one: { name: string }) => one.name === "a-stuck");
      return found.waiting > 0 && found;
    });
    expect(listed.urls).toEqual([stuck.url.replace("/hook", "/…")]);
    expect((await nines.ask("DELETE", "/v1/receivers/a-stuck")).status).toBe(200);
  });
});

test("a silence keeps an alert to itself, whoever made it and why, until it ends", async () => {
  meter.gauges.set("shop.loud", 1);
  await put("asserts/loud", { expr: "max(shop.loud) < 50", noData: "unknown" });
  await verdict("loud", "ok");
  const made = await nines.ask("POST", "/v1/silences", { matchers: "loud", forMs: 600_000, why: "moving" });
  expect(made.body).toMatchObject({
    matchers: '{alertname="loud"}',
    by: "admin",
    why: "moving",
    active: true,
  });
  meter.gauges.set("shop.loud", 70);
  const fires = await until("it fires", patienceMs, async () => (await alerts("loud"))[0]);
  expect(fires.silencedBy).toBe(made.body.id);
  // Others are told meanwhile.
  meter.gauges.set("shop.level;app=shop", 70);
  await until("another one is told of", patienceMs, () => hook.of("level").length > 1);
  expect(hook.of("loud")).toHaveLength(0);
  await nines.ask("DELETE", `/v1/silences/${made.body.id.slice(0, 8)}`);
  await until("then it is told of", patienceMs, () => hook.of("loud").length > 0);
});

test("a failed deploy is told of without any assert", async () => {
  const { toArchive } = await import("../../src/platform/control-harness.ts");
  const { createHash } = await import("node:crypto");
  await nines.ask("POST", "/v1/apps", { name: "sick" });
  nines.puppet.becomes = (one) => (one.app === "sick" ? "crashed" : "up");
  const archive = await toArchive({ Procfile: "web: true\n" });
  const response = await fetch(`${nines.base}/v1/apps/sick/deploys`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${nines.token}`,
      "content-type": "application/gzip",
      "nines-content-sha256": createHash("sha256").update(archive).digest("hex"),
    },
    body: archive as Uint8Array<ArrayBuffer>,
  });
  expect(response.status).toBe(202);
  const told = await until("of the deploy", patienceMs, () => hook.of("deploy-failed")[0]);
  expect(told).toMatchObject({ labels: { app: "sick", release: "1" } });
});

test("a dead man's switch is told that all is watched", async () => {
  await using outside = new Hook();
  await put("receivers/outside", { kind: "heartbeat", urls: [outside.url], repeatIntervalMs: 1_000 });
  await until("twice", patienceMs, () => outside.told.length >= 2);
  expect(outside.told[0]?.body).toMatchObject({ status: "alive" });
  expect((await nines.ask("DELETE", "/v1/receivers/outside")).status).toBe(200);
});

test("all controllers are killed while it is pending: it is told of, always with one fingerprint", async () => {
  meter.gauges.set("shop.load", 10);
  await put("asserts/load", { expr: "max(shop.load) < 50", noData: "unknown", forMs: 2_000 });
  await verdict("load", "ok");
  meter.gauges.set("shop.load", 70);
  await until("it is pending", patienceMs, async () => (await alerts("load")).length > 0);
  const killed = async () => {
    for (const id of ["controller.1", "controller.2"]) nines.kill(id, "SIGKILL");
    await Promise.all(["controller.1", "controller.2"].map((id) => nines.start(id)));
  };
  await killed();
  await until("it fires", patienceMs, async () => (await alerts("load"))[0]?.state === "firing");
  for (let i = 0; i < times(0, 3); i++) await killed();
  await until("the webhook is told", patienceMs, () => hook.of("load").length > 0);
  meter.gauges.set("shop.load", 10);
  await until("and of its end", patienceMs, () => hook.of("load", "resolved").length > 0);
  const all = [...hook.of("load"), ...hook.of("load", "resolved")];
  expect(new Set(all.map((one) => one.fingerprint)).size).toBe(1);
  expect(new Set(all.map((one) => one.startsAt)).size).toBe(1);
  const keys = hook.of("load").map((one) => one.idempotencyKey);
  expect(new Set(keys).size).toBe(1);
});
