/**
 * How long after its `for` a violated assert has reached a webhook: two controllers, a relay, a broker and a
 * database, each a process of its own; the metric is reported once a second, as every part of the platform does.
 * And what it costs a controller to judge a hundred asserts over five thousand series, each second.
 */
import { parseAssert } from "../src/metrics/asserts.ts";
import { MetricStore, type Sample } from "../src/metrics/metrics.ts";
import { startControllers } from "../src/platform/control-harness.ts";
import { Judgements } from "../src/platform/judgements.ts";
import { FakeClock } from "../src/std/fake-clock.ts";
import { until } from "../src/std/until.ts";
import { Hook, startMeter } from "../test/asserts/meter.ts";
import { startTestPostgres } from "../test/postgres.ts";
import { median } from "./table.ts";

const rounds = 15;
const forMs = 1_000;
const goalMs = 2_000;

export async function benchAlerts(): Promise<number> {
  const delays = await measureDelays();
  const cpuMs = await measureJudging();
  const [middle, worst] = [median(delays), Math.max(...delays)];
  console.log("violated → webhook, beyond its for    median   worst    goal");
  console.log(
    `${rounds} rounds                            ${toCell(middle)} ${toCell(worst)} ${toCell(goalMs)}`,
  );
  console.log(`judging 100 asserts over 5,000 series: ${cpuMs.toFixed(1)} ms of CPU a second`);
  console.log(
    JSON.stringify({
      bench: "alerts",
      medianMs: Math.round(middle),
      worstMs: Math.round(worst),
      goalMs,
      cpuMs,
    }),
  );
  return middle <= goalMs ? 0 : 1;
}

async function measureDelays(): Promise<number[]> {
  await using postgres = await startTestPostgres();
  await using nines = await startControllers(postgres, ["controller.1", "controller.2"]);
  await nines.start("relay.1", "relay");
  await using meter = await startMeter(nines.home, 1_000);
  await using hook = new Hook();
  await nines.ask("PUT", "/v1/receivers/hook", { kind: "webhook", urls: [hook.url], groupIntervalMs: 0 });
  await nines.ask("PUT", "/v1/asserts/level", { expr: "max(level) < 50", forMs });
  const delays: number[] = [];
  for (let round = 0; round < rounds; round++) {
    meter.gauges.set("level", 10);
    const told = hook.told.length;
    await until("it holds", 30_000, async () => {
      const { body } = await nines.ask("GET", "/v1/asserts");
      const level = body.asserts.find((one: { name: string }) => one.name === "level");
      return level.verdict === "ok" && level.state !== "firing";
    });
    await Bun.sleep(1_500 + Math.random() * 1_000);
    const before = hook.of("level").length;
    const violatedAt = performance.now();
    meter.gauges.set("level", 70);
    const alert = await until(`round ${round}`, 60_000, () => hook.of("level")[before], 5);
    delays.push(alert.at - violatedAt - forMs);
    if (hook.told.length === told) throw new Error("nobody was told");
  }
  return delays;
}

/** CPU of judging alone, in ms a second. */
async function measureJudging(): Promise<number> {
  const clock = new FakeClock();
  const store = new MetricStore(clock);
  const apps = Array.from({ length: 50 }, (_, index) => `a${index}`);
  let seq = 0;
  const report = async () => {
    seq++;
    const samples = apps.flatMap((app): Sample[] => [
      ...Array.from({ length: 90 }, (_, code): Sample => {
        return { kind: "counter", key: `http.requests;app=${app};code=${code}`, value: seq * 3 };
      }),
      ...Array.from({ length: 10 }, (_, release): Sample => {
        const buckets = [100 + release, seq, 150, seq];
        return {
          kind: "histogram",
          key: `http.latency_ms;app=${app};release=${release}`,
          sum: seq * 10,
          zero: 0,
          buckets,
        };
      }),
    ]);
    const complete = { round: seq, pages: 1 };
    store.accept({ part: "router.1", start: "1", seq, upMs: 1e6, complete, samples, gone: [] });
    await clock.advance(1_000);
  };
  const listed = apps.flatMap((app) => {
    const errors = `rate(http.requests{app="${app}",code=~"5.."}[5m]) / rate(http.requests{app="${app}"}[5m]) < 0.01`;
    const asserts = [`p99(http.latency_ms{app="${app}"}, 1m) < 50`, errors].map((expr, index) =>
      parseAssert(`${app}.${index}x`, { expr }),
    );
    return asserts.map((assert) => ({ name: assert.name, origin: "own" as const, assert, problem: "" }));
  });
  for (let second = 0; second < 320; second++) await report();
  const judgements = new Judgements();
  const seconds = 30;
  let cpuMs = 0;
  for (let second = 0; second < seconds; second++) {
    await report();
    const before = process.cpuUsage();
    await judgements.step(listed, store, { now: clock.now(), wall: 0 }, { sinceMs: 1e6, silentMs: 0 }, clock);
    const { user, system } = process.cpuUsage(before);
    cpuMs += (user + system) / 1_000;
  }
  return Math.round((cpuMs / seconds) * 10) / 10;
}

const toCell = (ms: number) => `${Math.round(ms)} ms`.padStart(7);
