import { expect, test } from "bun:test";
import type { FlagRecord, FlagUse } from "../wire/flags.ts";
import { flagPaths } from "../wire/flags.ts";
import { type FlagPlan, planGrow, planImport, planKill, planRemove, planSet, planSwitch } from "./plan.ts";
import { type FlagSet, noFlags, type SetEntry, toFlagSet } from "./set.ts";
import { toStale, toStep } from "./stale.ts";

const day = 24 * 3_600_000;
const now = Date.parse("2026-03-01T00:00:00Z");
const ann = { by: "ann", at: "2026-01-01T00:00:00Z", why: "try it" };
const boolean = { state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "off" };

/** The registry, as far as these plans need one. */
class Registry {
  #entries = new Map<string, SetEntry>();
  #revision = 0;
  set: FlagSet = noFlags;

  apply(plan: FlagPlan): void {
    this.#revision++;
    for (const write of plan.writes) {
      if (write.kind === "remove") this.#entries.delete(write.path);
      else this.#entries.set(write.path, { path: write.path, value: write.value, revision: this.#revision });
    }
    this.read();
  }

  put(path: string, value: unknown): void {
    this.#entries.set(path, { path, value, revision: ++this.#revision });
    this.read();
  }

  read(): void {
    this.set = toFlagSet([...this.#entries.values()], ["staff-1"], this.set);
  }

  flag(key: string): FlagRecord {
    const found = this.set.flags.get(key);
    if (found === undefined) throw new Error(`no ${key}`);
    return found;
  }
}

function withFlag(): Registry {
  const registry = new Registry();
  registry.apply(planSet(registry.set, ann, "f", boolean));
  return registry;
}

test("each change says who, when, why and what, and a growing flag where it is", () => {
  const registry = withFlag();
  expect(registry.flag("f")).toMatchObject({ ...ann, what: "create", definition: boolean });
  registry.apply(planGrow(registry.set, { ...ann, by: "bob" }, "f", { to: "10%" }));
  expect(registry.flag("f")).toMatchObject({ by: "bob", what: "grow 10%", growth: { step: "10%" } });
  expect(registry.set.document.$evaluators?.internal).toEqual({
    or: [{ in: [{ var: "targetingKey" }, ["staff-1"]] }, { "===": [{ var: "stage" }, "internal"] }],
  } as never);
});

test("a malformed flag changes nothing: the last good one stays", () => {
  const registry = withFlag();
  expect(() => planSet(registry.set, ann, "f", { ...boolean, state: "on" })).toThrow("flags.f.state");
  expect(registry.flag("f").definition).toEqual(boolean as never);
});

test("a document is written whole or not at all, and not endlessly", () => {
  const registry = withFlag();
  const wrong = { flags: { g: boolean, h: { ...boolean, variants: {} } } };
  expect(() => planImport(registry.set, ann, wrong)).toThrow("flags.h.variants");
  registry.apply(
    planImport(registry.set, ann, {
      flags: { g: boolean },
      $evaluators: { staff: { var: "staff" } },
      metadata: { team: "a" },
    }),
  );
  expect([...registry.set.flags.keys()]).toEqual(["f", "g"]);
  expect(registry.set.document.metadata).toEqual({ team: "a" });
  const many = Object.fromEntries(Array.from({ length: 201 }, (_, at) => [`f${at}`, boolean]));
  expect(() => planImport(registry.set, ann, { flags: many })).toThrow("at most 200");
});

test("kill is one write that compares with nothing, and what was killed grows only when that is meant", () => {
  const registry = withFlag();
  registry.apply(planGrow(registry.set, ann, "f", { to: "50%" }));
  const plan = planKill(registry.flag("f"), { ...ann, why: "it burns" });
  expect(plan.writes).toHaveLength(1);
  expect(plan.writes[0]).not.toHaveProperty("ifRevision");
  registry.apply(plan);
  expect(toStep(registry.flag("f"))).toBe("killed");
  expect(registry.flag("f").definition).toEqual(boolean as never);
  expect(() => planGrow(registry.set, ann, "f", { to: "internal" })).toThrow("killed by ann: it burns");
  registry.apply(planGrow(registry.set, ann, "f", { to: "internal", revive: true }));
  expect(toStep(registry.flag("f"))).toBe("internal");
});

test("killing a flag whose off nobody knows disables it: code gets its own default", () => {
  const registry = new Registry();
  registry.apply(
    planSet(registry.set, ann, "f", { state: "ENABLED", variants: { only: "x" }, defaultVariant: "only" }),
  );
  registry.apply(planKill(registry.flag("f"), ann));
  expect(registry.flag("f").definition.state).toBe("DISABLED");
});

test("on and off are for everybody, whatever targeting was there", () => {
  const registry = withFlag();
  registry.apply(planSet(registry.set, ann, "f", { ...boolean, targeting: { if: [{ var: "vip" }, "on"] } }));
  registry.apply(planSwitch(registry.set, ann, "f", true, undefined));
  expect(registry.flag("f").definition).toEqual({ ...boolean, defaultVariant: "on" } as never);
  registry.apply(planSwitch(registry.set, ann, "f", false, undefined));
  expect(registry.flag("f").definition).toEqual(boolean as never);
});

test("removing a flag that code still asks for is refused, with who asked when", () => {
  const registry = withFlag();
  const use = (app: string, ageDays: number): FlagUse => ({
    app,
    count: 3,
    lastAt: new Date(now - ageDays * day).toISOString(),
  });
  const remove = (uses: readonly FlagUse[], force: boolean) => () =>
    planRemove(registry.set, ann, "f", uses, now, force);
  expect(remove([use("shop", 1)], false)).toThrow("shop (3 times, last at 2026-02-28T00:00:00.000Z)");
  expect(remove([use("shop", 8)], false)).not.toThrow();
  const { version } = registry.set;
  registry.apply(remove([use("shop", 1)], true)());
  expect(registry.set.flags.size).toBe(0);
  expect(registry.set.version).toBeGreaterThan(version);
  expect(remove([], false)).toThrow('no flag "f"');
});

test("a reference to nothing is let pass, and said", () => {
  const registry = withFlag();
  const { warnings } = planSet(registry.set, ann, "g", {
    ...boolean,
    targeting: { if: [{ $ref: "staff" }, "on"] },
  });
  expect(warnings.join()).toContain('"staff", which does not exist');
});

test("a record that this version does not understand keeps its flag as it was, and is told", () => {
  const registry = withFlag();
  registry.put(flagPaths.flag("f"), { key: "f", definition: { state: "PAUSED", variants: {} } });
  expect(registry.set.problems.join()).toContain("/flags/f");
  expect(registry.flag("f").definition).toEqual(boolean as never);
  // And again, with the next change of something else.
  registry.apply(planSet(registry.set, ann, "g", boolean));
  expect(registry.flag("f").definition).toEqual(boolean as never);
});

test("stale is what nobody asks for, and what is the same for everybody for a month; never what is new or permanent", () => {
  const flag = (change: Partial<FlagRecord>): FlagRecord => ({
    key: "f",
    definition: boolean as never,
    ...ann,
    what: "set",
    ...change,
  });
  const lately: FlagUse[] = [{ app: "shop", count: 1, lastAt: new Date(now - day).toISOString() }];
  const grown = flag({ growth: { step: "all", variant: "on", other: "off" } });
  expect(toStale(flag({}), [], now)).toBe("no code has ever asked for it");
  expect(toStale(flag({}), [{ ...lately[0]!, lastAt: ann.at }], now)).toStartWith("not asked for since");
  expect(toStale(grown, lately, now)).toStartWith("on for everybody since");
  expect(toStale(flag({}), lately, now)).toBeUndefined();
  expect(
    toStale(flag({ growth: { step: "10%", variant: "on", other: "off" } }), lately, now),
  ).toBeUndefined();
  expect(toStale(flag({ at: new Date(now - day).toISOString() }), [], now)).toBeUndefined();
  const permanent = { ...boolean, metadata: { permanent: true } };
  expect(toStale(flag({ definition: permanent as never }), [], now)).toBeUndefined();
});
