/**
 * A checker in the manner of Jepsen's queue tests: every message has its own number, every ack and every delivery
 * is written down, brokers are hurt meanwhile, at the end all are healed and everything is drained. Then: no
 * acked message is missing, no effect happened twice, and what one sender gave to one broker came in its order.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bus, type Subscription, startBus } from "../../src/bus/bus.ts";
import { quiet, secret } from "../../src/bus/harness.ts";
import { systemClock } from "../../src/std/clock.ts";
import { Inbox } from "./inbox.ts";
import { type Fault, faults, startVictim, type Victim } from "./nemesis.ts";

export interface Plan {
  readonly seconds: number;
  readonly publishers: number;
  readonly subscribers: number;
  /** Of each publisher. */
  readonly perSecond: number;
  /** Only these, one broker at a time; all of them and two brokers at once by default. */
  readonly faults?: readonly Fault[];
}

export interface Verdict {
  readonly acked: number;
  readonly unacked: number;
  readonly delivered: number;
  /** Acked and never delivered. */
  readonly lost: readonly string[];
  readonly duplicateEffects: readonly string[];
  /** Deliveries beyond the first, which the inbox took the effect from. */
  readonly redelivered: number;
  readonly outOfOrder: readonly string[];
  readonly faults: Readonly<Record<Fault, number>>;
  /** Publish times in the second after a fault began: 99th percentile and maximum. */
  readonly afterFaultMs: Readonly<Record<Fault, { readonly p99: number; readonly max: number }>>;
}

interface Sent {
  readonly at: number;
  readonly tookMs: number;
}

const topic = "orders";
const drainTimeoutMs = 60_000;
const joinTimeoutMs = 60_000;

/** Everything that is written down. */
class Ledger {
  readonly acked = new Map<string, string>();
  /** Acked at once by the first broker asked: only of these the order is promised. */
  readonly clean = new Set<string>();
  readonly heard = new Set<string>();
  readonly audited = new Set<string>();
  readonly sent: Sent[] = [];
  readonly begun: { readonly fault: Fault; readonly at: number }[] = [];
  /** What the auditor saw for the first time, in its order, by sender and broker. */
  readonly #lanes = new Map<string, { readonly key: string; readonly n: number }[]>();
  delivered = 0;
  unacked = 0;

  /** One channel with one reader sees what each sender gave to each broker, in the broker's order. */
  audit(sender: string, n: number, broker: string, attempts: number): void {
    const key = `${sender}/${n}`;
    this.audited.add(key);
    if (attempts > 1) return;
    const lane = `${sender} ${broker}`;
    const seen = this.#lanes.get(lane) ?? [];
    this.#lanes.set(lane, seen);
    seen.push({ key, n });
  }

  /** Judged at the end: a delivery may come before it is known that its message was sent twice. */
  outOfOrder(): string[] {
    const wrong: string[] = [];
    for (const [lane, seen] of this.#lanes) {
      let last = -1;
      for (const { key, n } of seen) {
        if (!this.clean.has(key)) continue;
        if (n < last) wrong.push(`${lane}: ${n} after ${last}`);
        last = Math.max(n, last);
      }
    }
    return wrong;
  }
}

export async function check(plan: Plan, report: (line: string) => void = () => {}): Promise<Verdict> {
  const root = mkdtempSync(join(tmpdir(), "nines-bus-check-"));
  const victims = await Promise.all([1, 2, 3].map((n) => startVictim(`broker.${n}`, root)));
  const buses: Bus[] = [];
  const open = async (sender: string): Promise<Bus> => {
    const bus = await startBus({
      brokers: async () => victims.map(({ id, proxy }) => ({ id, host: "127.0.0.1", port: proxy.port })),
      secret,
      sender,
      clock: systemClock,
      random: Math.random,
      log: quiet,
    });
    buses.push(bus);
    return bus;
  };
  using inbox = new Inbox();
  const ledger = new Ledger();
  try {
    for (let n = 0; n < plan.subscribers; n++) {
      const bus = await open(`subscriber.${n}`);
      const handler = async (message: Readonly<Record<string, string>>) => {
        const key = `${message._src}/${message.n}`;
        ledger.delivered++;
        if (Math.random() < 0.1) await Bun.sleep(Math.random() * 20);
        inbox.take("workers", key);
        ledger.heard.add(key);
      };
      await joined(bus.subscribe(topic, "workers", handler, { visibilityTimeoutMs: 5_000 }));
    }
    const auditor = await open("auditor");
    const audit = auditor.subscribe(topic, "audit", ({ _src = "", n }, { broker, attempts }) =>
      ledger.audit(_src, Number(n), broker, attempts),
    );
    await joined(audit);
    const until = performance.now() + plan.seconds * 1_000;
    const publishers = await Promise.all(
      Array.from({ length: plan.publishers }, (_, n) => open(`publisher.${n}`)),
    );
    await Promise.all([
      ...publishers.map((bus) => publishAll(bus, plan.perSecond, until, ledger)),
      hurt(plan, victims, until, ledger, report),
    ]);
    await drained(ledger, report);
    return toVerdict(ledger, inbox);
  } finally {
    for (const bus of buses) await bus[Symbol.asyncDispose]();
    for (const victim of victims) await victim[Symbol.asyncDispose]();
    rmSync(root, { recursive: true, force: true });
  }
}

/** A broker that a channel has not come to keeps nothing for it. */
async function joined(subscription: Subscription): Promise<void> {
  if (!(await subscription.whenJoined(joinTimeoutMs))) throw new Error("not every broker was joined");
}

/** At a steady rate, whatever becomes of earlier ones. */
async function publishAll(bus: Bus, perSecond: number, until: number, ledger: Ledger): Promise<void> {
  const { sender } = bus.state();
  const startedAt = performance.now();
  const open = new Set<Promise<void>>();
  for (let n = 0; performance.now() < until; ) {
    const due = Math.floor(((performance.now() - startedAt) / 1_000) * perSecond);
    for (; n < due; n++) {
      const one = publishOne(bus, sender, n, ledger);
      open.add(one);
      void one.finally(() => open.delete(one));
    }
    await Bun.sleep(5);
  }
  await Promise.all(open);
}

async function publishOne(bus: Bus, sender: string, n: number, ledger: Ledger): Promise<void> {
  const at = performance.now();
  const key = `${sender}/${n}`;
  const before = bus.state().failedOver;
  try {
    const { brokers } = await bus.publish(
      topic,
      { n: String(n), body: "x".repeat(200) },
      { deadlineMs: 10_000 },
    );
    ledger.acked.set(key, brokers[0] ?? "");
    ledger.sent.push({ at, tookMs: performance.now() - at });
  } catch {
    ledger.unacked++;
  }
  if (bus.state().failedOver === before) ledger.clean.add(key);
}

/** One thing after another, now and then two at once. */
async function hurt(
  plan: Plan,
  victims: readonly Victim[],
  until: number,
  ledger: Ledger,
  report: (line: string) => void,
): Promise<void> {
  const chosen = plan.faults ?? faults;
  const busy = new Set<Victim>();
  // A short run has to see every fault too.
  const longestMs = Math.min(3_500, (until - performance.now()) / 8);
  const lane = async (offset: number) => {
    for (let round = offset; ; round++) {
      await Bun.sleep(500 + Math.random() * 500);
      const forMs = 500 + Math.random() * longestMs;
      if (performance.now() + forMs > until - 500) return;
      const victim = victims[(round * 2 + offset) % victims.length] as Victim;
      if (busy.has(victim)) continue;
      busy.add(victim);
      const fault = chosen[ledger.begun.length % chosen.length] as Fault;
      ledger.begun.push({ fault, at: performance.now() });
      report(`${fault} ${victim.id} for ${Math.round(forMs)} ms`);
      await victim.suffer(fault, forMs);
      busy.delete(victim);
    }
  };
  await Promise.all(plan.faults === undefined ? [lane(0), lane(1)] : [lane(0)]);
}

/** Until everything is heard, or nothing more was for so long; a backlog may take its time on a busy machine. */
async function drained(ledger: Ledger, report: (line: string) => void): Promise<void> {
  let left = [...ledger.acked.keys()];
  let progressAt = performance.now();
  while (performance.now() - progressAt < drainTimeoutMs) {
    const still = left.filter((key) => !ledger.heard.has(key) || !ledger.audited.has(key));
    if (still.length === 0) return;
    if (still.length < left.length) progressAt = performance.now();
    left = still;
    report(`draining: ${left.length} left`);
    await Bun.sleep(500);
  }
}

function toVerdict(ledger: Ledger, inbox: Inbox): Verdict {
  const effects = inbox.counts();
  const lost = [...ledger.acked].filter(([key]) => !ledger.heard.has(key) || !ledger.audited.has(key));
  return {
    acked: ledger.acked.size,
    unacked: ledger.unacked,
    delivered: ledger.delivered,
    lost: lost.map(([key, broker]) => `${key} at ${broker}`),
    duplicateEffects: [...effects].filter(([, count]) => count > 1).map(([key]) => key),
    redelivered: ledger.delivered - ledger.heard.size,
    outOfOrder: ledger.outOfOrder(),
    faults: toRecord((fault) => ledger.begun.filter((one) => one.fault === fault).length),
    afterFaultMs: toRecord((fault) => {
      const times = ledger.begun
        .filter((one) => one.fault === fault)
        .flatMap(({ at }) => ledger.sent.filter((sent) => sent.at >= at && sent.at < at + 1_000))
        .map((sent) => sent.tookMs)
        .sort((a, b) => a - b);
      return { p99: round(times[Math.floor(times.length * 0.99)]), max: round(times.at(-1)) };
    }),
  };
}

function toRecord<T>(of: (fault: Fault) => T): Readonly<Record<Fault, T>> {
  return Object.fromEntries(faults.map((fault) => [fault, of(fault)])) as Record<Fault, T>;
}

function round(ms: number | undefined): number {
  return Math.round((ms ?? 0) * 10) / 10;
}
