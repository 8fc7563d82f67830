import { expect, test } from "bun:test";
import { FlagdCore } from "@openfeature/flagd-core";
import type { FlagDefinition, FlagDocument, Json } from "../wire/flags.ts";
import { Evaluator } from "./evaluator.ts";

const on: FlagDefinition = { state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "on" };
const rule = (targeting: Json): FlagDefinition => ({ ...on, defaultVariant: "off", targeting });

function load(document: FlagDocument): Evaluator {
  const evaluator = new Evaluator();
  expect(evaluator.load(document)).toEqual([]);
  return evaluator;
}

test("a flag without targeting is its default, whatever the context", () => {
  const evaluator = load({ flags: { f: { ...on, metadata: { owner: "a" } } } });
  const wanted = { value: true, variant: "on", reason: "STATIC", metadata: { owner: "a" } };
  expect(evaluator.evaluate("f", {})).toEqual(wanted);
  expect(evaluator.evaluate("f", { targetingKey: "u" })).toEqual(wanted);
});

test("what has no value says why: unknown, disabled, without a default, with targeting that fails", () => {
  const evaluator = load({
    flags: {
      disabled: { ...on, state: "DISABLED" },
      open: { state: "ENABLED", variants: { on: true }, defaultVariant: null },
      lost: rule({ if: [{ $ref: "nowhere" }, "on"] }),
      astray: rule({ if: [true, "no such variant"] }),
    },
  });
  const outcome = (key: string) => {
    const { value, reason, errorCode } = evaluator.evaluate(key, {});
    return [value, reason, errorCode];
  };
  expect(outcome("unknown")).toEqual([undefined, "ERROR", "FLAG_NOT_FOUND"]);
  expect(outcome("toString")).toEqual([undefined, "ERROR", "FLAG_NOT_FOUND"]);
  expect(outcome("disabled")).toEqual([undefined, "DISABLED", undefined]);
  expect(outcome("open")).toEqual([undefined, "DEFAULT", undefined]);
  expect(outcome("lost")).toEqual([undefined, "ERROR", "PARSE_ERROR"]);
  expect(outcome("astray")).toEqual([undefined, "ERROR", "GENERAL"]);
});

test("a definition that cannot be used leaves the flag as it was, and the others go on", () => {
  const evaluator = load({ flags: { a: on, b: on } });
  const broken = { ...on, defaultVariant: "gone" };
  expect(evaluator.load({ flags: { a: broken, b: { ...on, defaultVariant: "off" } } }).join()).toContain(
    "flags.a",
  );
  expect(evaluator.evaluate("a", {}).value).toBe(true);
  expect(evaluator.evaluate("b", {}).value).toBe(false);
});

test("a shared rule that changes, changes the flags that refer to it, through other rules too", () => {
  const flags = { f: rule({ if: [{ $ref: "outer" }, "on", "off"] }) };
  const evaluators = (name: string) => ({
    outer: { $ref: "inner" },
    inner: { "==": [{ var: "name" }, name] },
  });
  const evaluator = load({ flags, $evaluators: evaluators("ann") });
  expect(evaluator.evaluate("f", { name: "ann" }).value).toBe(true);
  evaluator.load({ flags, $evaluators: evaluators("bob") });
  expect(evaluator.evaluate("f", { name: "ann" }).value).toBe(false);
  expect(evaluator.evaluate("f", { name: "bob" }).value).toBe(true);
  // One that refers to itself ends in an error, not in a loop.
  evaluator.load({ flags, $evaluators: { outer: { $ref: "outer" } } });
  expect(evaluator.evaluate("f", {}).errorCode).toBe("PARSE_ERROR");
});

test("what is remembered is never the answer to another question", () => {
  const evaluator = load({
    flags: {
      pair: rule({
        if: [{ and: [{ "===": [{ var: "a" }, "1"] }, { "===": [{ var: "b" }, 1] }] }, "on", "off"],
      }),
      clock: rule({ if: [{ ">": [{ var: "$flagd.timestamp" }, 0] }, "on", "off"] }),
      deep: rule({ if: [{ "==": [{ var: "user.name" }, "ann"] }, "on", "off"] }),
    },
  });
  const value = (key: string, context: object) => evaluator.evaluate(key, context as never).value;
  for (let twice = 0; twice < 2; twice++) {
    expect(value("pair", { a: "1", b: 1 })).toBe(true);
    expect(value("pair", { a: "1", b: "1" })).toBe(false);
    expect(value("pair", { a: 1, b: 1 })).toBe(false);
    expect(value("pair", { a: "1", b: [1] })).toBe(false);
    expect(value("pair", { b: 1 })).toBe(false);
    expect(value("deep", { user: { name: "ann" } })).toBe(true);
    expect(value("deep", { user: { name: "bob" } })).toBe(false);
    expect(value("clock", {})).toBe(true);
  }
});

test("random contexts: every answer, the remembered ones too, is what flagd's core says by itself", () => {
  const flags: Record<string, FlagDefinition> = {
    split: rule({
      fractional: [
        ["on", 30],
        ["off", 70],
      ],
    }),
    seeded: rule({ fractional: [{ cat: ["seed", { var: "email" }] }, ["on", 1], ["off", 1]] }),
    mail: rule({
      if: [
        { ends_with: [{ var: "email" }, "@a.example"] },
        "on",
        { in: [{ var: "targetingKey" }, ["u1", "u2"]] },
        "on",
        "off",
      ],
    }),
    version: rule({ if: [{ sem_ver: [{ var: "version" }, ">=", "1.2.0"] }, "on"] }),
    mixed: rule({
      if: [
        { or: [{ "<": [{ var: "age" }, 18] }, { "!": [{ var: "email" }] }, { var: "beta" }] },
        "on",
        "off",
      ],
    }),
    listed: rule({ if: [{ some: [{ var: "groups" }, { "==": [{ var: "" }, "staff"] }] }, "on", "off"] }),
    fixed: on,
  };
  const evaluator = load({ flags });
  const core = new FlagdCore();
  core.setConfigurations(JSON.stringify({ flags }));
  let state = 4_711;
  const pick = (...from: readonly unknown[]): unknown => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return from[(state >> 8) % from.length];
  };
  for (let round = 0; round < 3_000; round++) {
    const context = Object.fromEntries(
      Object.entries({
        targetingKey: pick("u1", "u2", "u3", `user-${round % 50}`, undefined),
        email: pick("x@a.example", "y@b.example", "", undefined, 7),
        version: pick("1.2.0", "1.1.9", "v2", 2, "nonsense", undefined),
        age: pick(17, 18, "17", undefined, null, true),
        beta: pick(true, false, "", "yes", undefined),
        groups: pick(["staff"], [], "staff", undefined),
      }).filter(([, value]) => value !== undefined),
    );
    for (const key of Object.keys(flags)) {
      const ours = evaluator.evaluate(key, context);
      const theirs = core.resolve("boolean", key, "none" as never, context as never);
      expect([key, context, ours.value ?? "none", ours.reason]).toEqual([
        key,
        context,
        theirs.value,
        theirs.reason,
      ] as never);
    }
  }
});
