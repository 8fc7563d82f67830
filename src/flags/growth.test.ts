import { expect, test } from "bun:test";
import { toAdmission } from "../wire/audience.ts";
import type { FlagDefinition, Growth } from "../wire/flags.ts";
import { parseDefinition } from "./definition.ts";
import { Evaluator } from "./evaluator.ts";
import { type Grow, grow, internalName, parseStep, toInternalRule } from "./growth.ts";

const key = "new-checkout";
const plain: FlagDefinition = { state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "off" };
const users = Array.from({ length: 20_000 }, (_, index) => `user-${index}`);

function evaluatorOf(definition: FlagDefinition, internal: readonly string[] = []): Evaluator {
  const evaluator = new Evaluator();
  const $evaluators = { [internalName]: toInternalRule(internal) };
  expect(evaluator.load({ flags: { [key]: definition }, $evaluators })).toEqual([]);
  return evaluator;
}

function members(definition: FlagDefinition, internal: readonly string[] = []): Set<string> {
  const evaluator = evaluatorOf(definition, internal);
  return new Set(users.filter((user) => evaluator.evaluate(key, { targetingKey: user }).value === true));
}

test("20,000 users, growing from nobody to all: nobody ever leaves, and shares are within half a percent", () => {
  let at: { definition: FlagDefinition; growth: Growth | undefined } = {
    definition: plain,
    growth: undefined,
  };
  let before = members(plain);
  expect(before.size).toBe(0);
  for (const [to, percent] of [
    ["internal", 0],
    ["1%", 1],
    ["5%", 5],
    ["beta", 10],
    ["25%", 25],
    ["50%", 50],
    ["all", 100],
  ] as const) {
    at = grow(key, at.definition, at.growth, { to });
    // What is written must itself pass the check of what is written.
    parseDefinition(key, at.definition);
    const now = members(at.definition);
    expect([...before].filter((user) => !now.has(user))).toEqual([]);
    expect(Math.abs((now.size / users.length) * 100 - percent)).toBeLessThan(0.5);
    before = now;
  }
});

test("a share of a flag is the share of a stage with the same seed: routers and flags agree on every user", () => {
  for (const percent of [0.25, 1, 10, 33.33, 90]) {
    const { definition } = grow(key, plain, undefined, { to: `${percent}%` });
    const evaluator = evaluatorOf(definition, ["user-7", "guest"]);
    const admits = toAdmission({ percent, users: ["user-7", "guest"] }, key);
    for (const user of [...users.slice(0, 5_000), "guest", "žižka", "😀"]) {
      const person = { key: user, address: "", header: () => undefined, cookie: () => undefined };
      expect(evaluator.evaluate(key, { targetingKey: user }).value).toBe(admits(person));
    }
  }
});

test("internal users stay in at every later step, and a request of the internal stage is in", () => {
  const internal = ["user-1", "user-2"];
  let at = grow(key, plain, undefined, { to: "internal" });
  expect([...members(at.definition, internal)]).toEqual(internal);
  at = grow(key, at.definition, at.growth, { to: "1%" });
  for (const user of internal) expect(members(at.definition, internal)).toContain(user);
  expect(evaluatorOf(at.definition).evaluate(key, { stage: "internal" }).value).toBe(true);
});

test("whoever has no key gets the default, whatever the share", () => {
  const { definition } = grow(key, plain, undefined, { to: "99%" });
  expect(evaluatorOf(definition).evaluate(key, {}).value).toBe(false);
});

test("growing never takes people out unless it is asked to", () => {
  const at = grow(key, plain, undefined, { to: "25%" });
  const again = (options: Grow) => () => grow(key, at.definition, at.growth, options);
  expect(again({ to: "10%" })).toThrow("would take people out");
  expect(again({ to: "internal" })).toThrow("would take people out");
  expect(again({ to: "beta", betaPercent: 30 })().growth.step).toBe("beta");
  expect(again({ to: "10%", shrink: true })().growth.step).toBe("10%");
});

test("targeting that somebody wrote is not replaced by accident", () => {
  const custom = { ...plain, targeting: { if: [{ var: "vip" }, "on"] } };
  expect(() => grow(key, custom, undefined, { to: "10%" })).toThrow("targeting of its own");
  expect(grow(key, custom, undefined, { to: "10%", replace: true }).growth.step).toBe("10%");
});

test("a flag of texts grows by the variant that is named, against its default", () => {
  const colours: FlagDefinition = {
    state: "ENABLED",
    variants: { red: "#f00", blue: "#00f" },
    defaultVariant: "red",
  };
  expect(() => grow(key, colours, undefined, { to: "10%" })).toThrow("which variant");
  expect(() => grow(key, colours, undefined, { to: "10%", variant: "green" })).toThrow('no variant "green"');
  const at = grow(key, colours, undefined, { to: "all", variant: "blue" });
  expect(at.growth).toEqual({ step: "all", variant: "blue", other: "red" });
  // Once known, both stay known, though the default is another now.
  expect(grow(key, at.definition, at.growth, { to: "5%", shrink: true }).growth.other).toBe("red");
  const single: FlagDefinition = { state: "ENABLED", variants: { on: true } };
  expect(() => grow(key, single, undefined, { to: "5%" })).toThrow("no second variant");
});

test("steps are words or percentages, and nothing else", () => {
  expect(["off", "internal", "beta", "all", "010.50%", "100%", "0%"].map(parseStep)).toEqual([
    "off",
    "internal",
    "beta",
    "all",
    "10.5%",
    "all",
    "internal",
  ]);
  for (const odd of ["", "10", "101%", "-1%", "1.234%", "most", "1e1%"])
    expect(() => parseStep(odd)).toThrow("no step");
});
