/** A part that reports whatever a test wants it to, and a webhook that remembers what it was told. */
import { readFileSync } from "node:fs";
import { type Bus, startBus } from "../../src/bus/bus.ts";
import { toReportMessage } from "../../src/metrics/metrics.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createLog } from "../../src/std/log.ts";
import type { Home } from "../../src/wire/home.ts";

const topic = "nines.metrics#ephemeral";

export class Meter implements AsyncDisposable {
  /** Key (`shop.level;app=shop`) to value. */
  readonly gauges = new Map<string, number>();
  readonly #bus: Bus;
  readonly #timer: Timer;
  readonly #startedAt = performance.now();
  readonly #start = crypto.randomUUID().slice(0, 13);
  #seq = 0;

  constructor(bus: Bus, everyMs: number) {
    this.#bus = bus;
    this.#timer = setInterval(() => this.#report(), everyMs);
  }

  #report(): void {
    const seq = ++this.#seq;
    const samples = [...this.gauges].map(([key, value]) => ({ kind: "gauge" as const, key, value }));
    const upMs = performance.now() - this.#startedAt;
    const complete = { round: seq, pages: 1 };
    const message = toReportMessage({
      part: "meter.1",
      start: this.#start,
      seq,
      upMs,
      complete,
      samples,
      gone: [],
    });
    this.#bus.publish(topic, message, { deadlineMs: 500 }).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#bus[Symbol.asyncDispose]();
  }
}

export async function startMeter(home: Home, everyMs = 250): Promise<Meter> {
  const broker = JSON.parse(readFileSync(home.partFile("broker.1"), "utf8")) as { port: number };
  const bus = await startBus({
    brokers: async () => [{ id: "broker.1", host: "127.0.0.1", port: broker.port }],
    secret: readFileSync(home.secret, "utf8").trim(),
    sender: "meter.1",
    clock: systemClock,
    random: Math.random,
    log: createLog({}, () => {}),
  });
  return new Meter(bus, everyMs);
}

export interface Told {
  readonly at: number;
  readonly idempotencyKey: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of any shape.
  readonly body: any;
}

export class Hook implements AsyncDisposable {
  readonly told: Told[] = [];
  /** True: takes requests and never answers. */
  hangs = false;
  readonly #server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 60,
    fetch: async (request) => {
      const body = JSON.parse(await request.text());
      if (this.hangs) await new Promise(() => {});
      this.told.push({ at: performance.now(), idempotencyKey: request.headers.get("idempotency-key"), body });
      return new Response(null, { status: 204 });
    },
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/hook`;
  }

  /** Alerts of that name and status that it was told of. */
  of(name: string, status = "firing") {
    return this.told.flatMap(({ at, idempotencyKey, body }) =>
      (body.alerts ?? [])
        .filter(
          (one: { labels: { alertname: string }; status: string }) =>
            one.labels.alertname === name && one.status === status,
        )
        .map((alert: { fingerprint: string; startsAt: string }) => ({ at, idempotencyKey, ...alert })),
    ) as { at: number; idempotencyKey: string; fingerprint: string; startsAt: string }[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}
