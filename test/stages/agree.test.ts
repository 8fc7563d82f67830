/** Ten percent is the same ten percent for routers and for flags, and whoever is in stays in. */
import { expect, test } from "bun:test";
import { FlagdCore, MemoryStorage } from "@openfeature/flagd-core";
import { grow } from "../../src/flags/growth.ts";
import { Crowd } from "../../src/mesh/crowd.ts";
import type { Person } from "../../src/wire/audience.ts";

const seed = "rollout-4711";
const users = Array.from({ length: 20_000 }, (_, i) => `user-${i}`);
const silent = { debug() {}, info() {}, warn() {}, error() {} };

test("20,000 users, 1 to 100 %: nobody leaves, shares within half a percent, routers and flags agree on each", () => {
  let before = new Set<string>();
  for (const percent of [1, 5, 10, 25, 50, 100]) {
    const off = { state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "off" } as const;
    const { definition } = grow(seed, off, undefined, { to: `${percent}%` });
    const core = new FlagdCore(new MemoryStorage(silent), silent);
    core.setConfigurations(
      JSON.stringify({ flags: { [seed]: definition }, $evaluators: { internal: false } }),
    );
    const crowd = new Crowd({
      rollout: seed,
      target: { release: 2, generation: 0 },
      open: [{ name: "beta", audience: { percent } }],
    });
    const now = new Set<string>();
    for (const user of users) {
      const person: Person = { key: user, address: "", header: () => undefined, cookie: () => undefined };
      const isIn = crowd.admit(person) !== undefined;
      const flag = core.resolveBooleanEvaluation(seed, false, { targetingKey: user }, silent);
      if (flag.value !== isIn) throw new Error(`${user} at ${percent} %: router ${isIn}, flag ${flag.value}`);
      if (isIn) now.add(user);
    }
    for (const user of before) expect(now.has(user)).toBe(true);
    expect(Math.abs((now.size / users.length) * 100 - percent)).toBeLessThan(0.5);
    console.log(`${percent} %: ${((now.size / users.length) * 100).toFixed(2)} %`);
    before = now;
  }
});
