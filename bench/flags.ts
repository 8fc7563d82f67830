/**
 * `npm run bench -- flags`: one evaluation in process, ours (the SDK's) beside flagd's core alone and Unleash's client,
 * the same rules, interleaved, medians; then the time from the write of a change until other processes have applied it,
 * with LISTEN and the bus as they are and with both dead.
 *
 * BENCH_RUNS (5), BENCH_EVALUATIONS (200000 each run), BENCH_CHANGES (100).
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FlagdCore } from "@openfeature/flagd-core";
import { InMemStorageProvider, Unleash } from "unleash-client";
import { grow, internalName, toInternalRule } from "../src/flags/flags.ts";
import { startFlags } from "../src/sdk/flags.ts";
import { flagSpread } from "./flag-spread.ts";
import { median, toTable } from "./table.ts";

const runs = Number(process.env.BENCH_RUNS ?? 5);
const evaluations = Number(process.env.BENCH_EVALUATIONS ?? 200_000);
const users = Array.from({ length: 1_000 }, (_, index) => ({
  targetingKey: `user-${index}`,
  userId: `user-${index}`,
}));

const plain = { state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "on" } as const;
const grown = grow("grown", { ...plain, defaultVariant: "off" }, undefined, { to: "25%" }).definition;
const document = { flags: { plain, grown }, $evaluators: { [internalName]: toInternalRule(["staff-1"]) } };

type Ask = (key: "plain" | "grown", user: (typeof users)[number]) => boolean;

export async function benchFlags(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "nines-bench-flags-"));
  try {
    const nanoseconds = await evaluate(folder);
    const spread = await flagSpread();
    console.log(
      toTable(
        ["change to applied, other process", "p50", "p99", "max"],
        spread.map(({ name, p50, p99, max }) => [
          name,
          ...[p50, p99, max].map((ms) => `${ms.toFixed(1)} ms`),
        ]),
      ),
    );
    console.log(JSON.stringify({ bench: "flags", runs, evaluations, nanoseconds, spread }));
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function evaluate(folder: string): Promise<Record<string, number>> {
  const file = join(folder, "flags.json");
  writeFileSync(file, JSON.stringify(document));
  const flags = await startFlags({ file, log: () => {}, report: undefined });
  const core = new FlagdCore();
  core.setConfigurations(JSON.stringify(document));
  const unleash = await startUnleash(folder);
  const peers: Readonly<Record<string, Ask>> = {
    nines: (key, user) => flags.boolean(key, false, user),
    "flagd-core": (key, user) => core.resolveBooleanEvaluation(key, false, user).value,
    "unleash-client": (key, user) => unleash.isEnabled(key, user),
  };
  const cases = [
    ["plain", "the same for everybody", users.slice(0, 1)],
    ["grown", "25 % of 1,000 users, again and again", users],
  ] as const;
  const results = new Map<string, number[]>();
  for (let run = 0; run <= runs; run++) {
    for (const [name, ask] of Object.entries(peers)) {
      for (const [key, what, asking] of cases) {
        const took = time(ask, key, asking);
        // The first run warms up.
        if (run > 0) results.set(`${name}: ${what}`, [...(results.get(`${name}: ${what}`) ?? []), took]);
      }
    }
  }
  unleash.destroy();
  await flags.close();
  const medians = Object.fromEntries(
    [...results].map(([name, values]) => [name, Math.round(median(values))]),
  );
  console.log(
    toTable(
      ["one evaluation", "ns"],
      Object.entries(medians).map(([name, ns]) => [name, String(ns)]),
    ),
  );
  return medians;
}

function time(ask: Ask, key: "plain" | "grown", asking: readonly (typeof users)[number][]): number {
  let on = 0;
  const startedAt = performance.now();
  for (let at = 0; at < evaluations; at++) {
    if (ask(key, asking[at % asking.length] as (typeof users)[number])) on++;
  }
  const took = ((performance.now() - startedAt) / evaluations) * 1e6;
  if (on === 0) throw new Error(`${key} was never on: something else was measured`);
  return took;
}

/** From its own format, in memory: no server. */
async function startUnleash(folder: string): Promise<Unleash> {
  const strategy = {
    name: "flexibleRollout",
    parameters: { rollout: "25", stickiness: "userId", groupId: "grown" },
  };
  const feature = (name: string, strategies: object[]) => ({
    name,
    type: "release",
    enabled: true,
    stale: false,
    impressionData: false,
    variants: [],
    strategies,
  });
  const unleash = new Unleash({
    appName: "bench",
    url: "http://127.0.0.1:1/",
    disableMetrics: true,
    refreshInterval: 0,
    backupPath: folder,
    storageProvider: new InMemStorageProvider(),
    skipInstanceCountWarning: true,
    bootstrap: {
      data: [feature("plain", [{ name: "default", parameters: {} }]), feature("grown", [strategy])] as never,
    },
  });
  // That it finds no server is meant.
  unleash.on("error", () => {});
  unleash.on("warn", () => {});
  if (!unleash.isSynchronized())
    await new Promise((resolve) => unleash.once("synchronized", () => resolve(undefined)));
  return unleash;
}
