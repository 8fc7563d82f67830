/** Measuring on a whole platform: what the faces show, with everything there and with the database gone. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { parseConfig } from "../../src/platform/config.ts";
import { toOffers } from "../../src/platform/offers.ts";
import { connect } from "../../src/sdk/sdk.ts";
import { until } from "../../src/std/until.ts";
import type { MetricRange, MetricSeries, MetricsReply } from "../../src/wire/metrics.ts";
import { type Platform, startPlatform } from "../harness.ts";

const limitMs = 240_000;
const waitMs = 60_000;
let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
  await platform.must("deploy", platform.fixture("shop"), "-a", "shop");
  await platform.must("scale", "web=1", "worker=0", "-a", "shop", "--wait");
}, limitMs);
afterAll(async () => {
  await platform?.[Symbol.asyncDispose]();
}, limitMs);

function ask(path: string, headers: Record<string, string> = {}): Promise<Response> {
  const token = readFileSync(platform.home.token, "utf8").trim();
  const url = `http://127.0.0.1:${platform.apiPort}${path}`;
  // A connection of its own: any of the controllers answers.
  return fetch(url, { headers: { authorization: `Bearer ${token}`, ...headers }, keepalive: false });
}

async function series(selector: string, window = "5m"): Promise<readonly MetricSeries[]> {
  const reply = await ask(`/v1/metrics?${new URLSearchParams({ name: selector, window })}`);
  expect(reply.status).toBe(200);
  return ((await reply.json()) as MetricsReply).metrics[0]!.series;
}

const total = (list: readonly MetricSeries[]) => list.reduce((sum, { increase }) => sum + (increase ?? 0), 0);
const names = (list: readonly MetricSeries[], label: string) =>
  [...new Set(list.map(({ labels }) => labels[label]))].sort();

test(
  "every request is counted once, by whichever router took it, though a router is killed meanwhile",
  async () => {
    const counted = async () => total(await series('http.requests{app="shop", status="2xx"}'));
    const before = await counted();
    const request = async (times: number) => {
      for (let i = 0; i < times; i++) expect((await platform.fetch("shop")).status).toBe(200);
    };
    await request(40);
    await until("the first forty are counted", waitMs, async () => (await counted()) - before === 40);
    const [router] = (await platform.parts()).filter(({ name }) => name === "router.1");
    process.kill(router!.pid!, "SIGKILL");
    await platform.whole();
    await request(40);
    await until("all are counted", waitMs, async () => (await counted()) - before === 80);
    const latency = await until("its latency", waitMs, async () => {
      return (await series('http.latency_ms{app="shop"}'))[0];
    });
    expect(latency.p50!).toBeGreaterThan(0);
    expect(latency.p99!).toBeGreaterThanOrEqual(latency.p50!);
  },
  limitMs,
);

test(
  "every kind of part tells what it measures",
  async () => {
    const parts = [
      "agent",
      "broker.1",
      "controller.1",
      "controller.2",
      "heart",
      "kernel",
      "postgres",
      "relay.1",
      "router.2",
    ];
    await until("memory of every part", waitMs, async () => {
      const known = names(await series("process.memory_bytes", "10s"), "part");
      return parts.every((part) => known.includes(part));
    });
    const some = async (selector: string) => (await series(selector, "30s")).length > 0;
    for (const name of [
      'feed.staleness_ms{part="router.1"}',
      'instances.desired{app="shop", type="web"}',
      'instances.actual{app="shop", type="web"}',
      'instance.memory_bytes{app="shop", instance="web.1"}',
      'instance.cpu{app="shop"}',
      "router.connections",
      'bus.depth{topic="nines.metrics#ephemeral"}',
      "postgres.database_bytes",
      "metrics.reports",
    ]) {
      await until(name, waitMs, () => some(name));
    }
    await until("a boot", waitMs, async () => total(await series('instance.boot_ms{app="shop"}')) > 0);
  },
  limitMs,
);

test(
  "how many apps have an error code is told, not only how many errors",
  async () => {
    for (const app of ["empty-one", "empty-two"]) {
      await platform.must("apps:create", app);
      await until(`a router knows ${app}`, waitMs, async () => (await platform.fetch(app)).status === 503);
    }
    await until("two apps have H14 or the like", waitMs, async () => {
      // What it tells is of the last seconds, and there may be some between the two.
      for (const app of ["empty-one", "empty-two"]) await platform.fetch(app);
      const affected = await series("errors.apps", "10s");
      return affected.some(({ labels, last }) => labels.code?.startsWith("H") && last === 2);
    });
  },
  limitMs,
);

test(
  "promtool finds nothing to say about /metrics, and OpenMetrics ends as it must",
  async () => {
    const text = await ask("/metrics");
    expect(text.headers.get("content-type")).toContain("version=0.0.4");
    const body = await text.text();
    expect(body).toContain("# TYPE nines_http_latency_seconds histogram");
    const open = await ask("/metrics", { accept: "application/openmetrics-text; version=1.0.0" });
    expect(open.headers.get("content-type")).toContain("application/openmetrics-text");
    expect((await open.text()).endsWith("# EOF\n")).toBe(true);
    const stranger = await fetch(`http://127.0.0.1:${platform.apiPort}/metrics`);
    expect(stranger.status).toBe(401);
    if (Bun.which("promtool") === null) {
      console.log("promtool is not installed: its judgement is skipped");
      return;
    }
    const judged = spawnSync("promtool", ["check", "metrics"], { input: body, encoding: "utf8" });
    expect(`${judged.stdout}${judged.stderr}`).toBe("");
    expect(judged.status).toBe(0);
  },
  limitMs,
);

test(
  "an app's own metrics come with its credential, under its name, whatever name it claims",
  async () => {
    const config = parseConfig(platform.env);
    const offers = toOffers(config, platform.home, "shop");
    const env = { ...offers, NINES_APP: "shop", NINES_PROCESS: "web.9", NINES_RELEASE: "v1" };
    await using nines = await connect({ env });
    nines.metrics.counter("orders", { kind: "web", app: "bank" }).add(5);
    nines.metrics.histogram("basket").record(20);
    nines.metrics.gauge("queue").set(3);
    const orders = await until("the orders", waitMs, async () => {
      const [found] = await series("app.orders");
      return found?.increase === 5 && found;
    });
    expect(orders.labels).toEqual({ app: "shop", kind: "web", release: "1" });
    // Each question may be answered by another controller, which hears of an app a second later.
    const queue = await until("the queue", waitMs, async () => (await series("app.queue"))[0]);
    expect(queue).toMatchObject({ last: 3, labels: { app: "shop", instance: "web.9", release: "1" } });
    const basket = await until("the basket", waitMs, async () => (await series('app.basket{app="shop"}'))[0]);
    expect(basket.p50!).toBeCloseTo(20, -1);
    expect(await series('app.orders{app="bank"}')).toEqual([]);
  },
  limitMs,
);

test(
  "with the database away everything is still answered, and what happened meanwhile is counted",
  async () => {
    await platform.must("part", "stop", "postgres");
    try {
      const before = total(await series('http.requests{app="shop"}'));
      for (let i = 0; i < 10; i++) await platform.fetch("shop");
      await until(
        "the ten",
        waitMs,
        async () => total(await series('http.requests{app="shop"}')) >= before + 10,
      );
      const to = Date.now();
      const query = new URLSearchParams({
        name: "http.requests",
        from: String(to - 60_000),
        to: String(to),
        step: "5s",
      });
      const range = (await (await ask(`/v1/metrics/range?${query}`)).json()) as MetricRange;
      expect(range.series.length).toBeGreaterThan(0);
      await until("top has the instance", waitMs, async () => {
        const rows = JSON.parse((await platform.must("top", "--json")).stdout) as {
          app: string;
          actual: number;
        }[];
        return rows.find(({ app }) => app === "shop")?.actual === 1;
      });
    } finally {
      await platform.must("part", "start", "postgres");
    }
  },
  limitMs,
);

test(
  "nines metrics prints a table, and says what is wrong with a selector and where",
  async () => {
    const table = await until("a request is counted", waitMs, async () => {
      await platform.fetch("shop");
      const { stdout } = await platform.must("metrics", 'http.requests{app="shop"}', "--window", "5m");
      return stdout.includes('status="2xx"') && stdout;
    });
    expect(table).toContain("PER SECOND");
    expect((await platform.must("metrics")).stdout).toContain("router.connections");
    const bad = await platform.nines("metrics", "http.requests{app=shop}");
    expect(bad.code).toBe(65);
    expect(bad.stderr).toContain('at character 15: expected label="value"');
    const pattern = await platform.nines("metrics", 'http.requests{app=~"("}');
    expect(pattern.stderr).toContain("no regular expression");
  },
  limitMs,
);
