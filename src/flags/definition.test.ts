import { describe, expect, test } from "bun:test";
import { NinesError } from "../std/errors.ts";
import { flagPaths } from "../wire/flags.ts";
import { parsePath } from "../wire/path.ts";
import { parseDefinition, parseDocument } from "./definition.ts";

const boolean = { state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "off" };
const targeted = (targeting: unknown) => ({ ...boolean, targeting });

const accepted: Readonly<Record<string, unknown>> = {
  "a boolean": boolean,
  texts: { state: "DISABLED", variants: { a: "x", b: "" }, defaultVariant: "b" },
  "numbers, whole and not": { state: "ENABLED", variants: { none: 0, half: 0.5 }, defaultVariant: "none" },
  "objects, empty ones too": { state: "ENABLED", variants: { a: {}, b: { list: [1, { c: null }] } } },
  "no default at all": { state: "ENABLED", variants: { on: true } },
  "null as default": { ...boolean, defaultVariant: null },
  "metadata of plain values": { ...boolean, metadata: { owner: "team", tier: 1, permanent: true } },
  "members that nobody knows": { ...boolean, comment: "kept" },
  "empty targeting": targeted({}),
  "every plain operation": targeted({
    if: [
      { and: [{ "==": [{ var: "a" }, 1] }, { "!": [{ var: ["b", null] }] }, { "!!": { var: "c" } }] },
      { cat: ["o", "n"] },
      {
        or: [
          { "<": [1, { var: "n" }, 9] },
          { in: ["x", ["x", "y"]] },
          { missing: ["a"] },
          { missing_some: [1, ["a"]] },
        ],
      },
      "on",
      { reduce: [{ var: "list" }, { "+": [{ var: "current" }, { var: "accumulator" }] }, 0] },
      "off",
    ],
  }),
  "texts that begin or end so": targeted({
    if: [{ starts_with: [{ var: "email" }, "a"] }, "on", { ends_with: ["a", { var: "b" }] }],
  }),
  versions: targeted({ if: [{ sem_ver: [{ var: "v" }, "^", "1.2.3-rc.1+build"] }, "on"] }),
  "shares by a key of one's own": targeted({
    fractional: [{ cat: ["seed", { var: "email" }] }, ["on", 1], ["off", 3]],
  }),
  "shares without weights": targeted({ fractional: [["on"], ["off"]] }),
  "a share that is worked out": targeted({
    fractional: [
      ["on", { "-": [{ var: "$flagd.timestamp" }, 5] }],
      ["off", 10],
    ],
  }),
  "a reference": targeted({ if: [{ $ref: "staff" }, "on", "off"] }),
};

const refused: Readonly<Record<string, readonly [unknown, string]>> = {
  "no object": ["on", "flags.f: expected an object"],
  "a list": [[boolean], "flags.f: expected an object"],
  "a state of its own": [{ ...boolean, state: "enabled" }, "flags.f.state"],
  "no state": [{ variants: { on: true } }, "flags.f.state"],
  "no variants": [{ state: "ENABLED" }, "flags.f.variants"],
  "no variant": [{ ...boolean, variants: {} }, "flags.f.variants: a flag needs a variant"],
  "a variant without a name": [{ ...boolean, variants: { "": true } }, "a variant needs a name"],
  "variants of two types": [{ ...boolean, variants: { on: true, off: "no" } }, "flags.f.variants.off"],
  "a variant that is null": [{ ...boolean, variants: { off: null } }, "flags.f.variants.off"],
  "a variant that is a list": [{ ...boolean, variants: { off: [1] } }, "flags.f.variants.off"],
  "a default that is no variant": [{ ...boolean, defaultVariant: "maybe" }, "flags.f.defaultVariant"],
  "a default from the prototype": [{ ...boolean, defaultVariant: "toString" }, "flags.f.defaultVariant"],
  "nested metadata": [{ ...boolean, metadata: { a: { b: 1 } } }, "flags.f.metadata.a"],
  "a misspelt operation": [targeted({ start_with: ["a", "b"] }), 'did you mean "starts_with"?'],
  "two operations in one": [targeted({ "==": [1, 1], "!=": [1, 2] }), "a rule has one operation"],
  "a misspelt one further in": [
    targeted({ if: [{ and: [{ eq: [1, 1] }] }, "on"] }),
    "flags.f.targeting.if[0].and[0]",
  ],
  "an operation of the prototype": [targeted({ constructor: [1] }), 'no operation "constructor"'],
  "targeting that is a text": [targeted("on"), "flags.f.targeting: expected an object"],
  "too few arguments": [targeted({ "==": [1] }), "flags.f.targeting.==: expected 2 arguments, found 1"],
  "an unknown member of flagd": [targeted({ if: [{ var: "$flagd.time" }, "on"] }), "$flagd.timestamp"],
  "a number to begin with": [targeted({ starts_with: [{ var: "a" }, 0] }), "starts_with[1]"],
  "a comparison that is none": [targeted({ sem_ver: [{ var: "v" }, "===", "1.0.0"] }), "sem_ver[1]"],
  "a version that is none": [targeted({ sem_ver: [{ var: "v" }, "=", "1.0"] }), "sem_ver[2]"],
  "a share below nothing": [
    targeted({
      fractional: [
        ["on", -1],
        ["off", 2],
      ],
    }),
    "fractional[0][1]",
  ],
  "a share of a half": [targeted({ fractional: [["on", 0.5]] }), "fractional[0][1]"],
  "a share in words": [targeted({ fractional: [["on", "5"]] }), "fractional[0][1]"],
  "a fixed key to split by": [targeted({ fractional: ["seed", ["on", 1]] }), "fractional[0]"],
  "too heavy shares": [
    targeted({
      fractional: [
        ["on", 2 ** 31 - 1],
        ["off", 1],
      ],
    }),
    "add up to",
  ],
  "too deep targeting": [targeted(nest(200)), "levels deep"],
  "too much of it": [{ ...boolean, note: "x".repeat(70_000) }, "at most 65536 characters"],
  "what the database cannot hold": [{ ...boolean, metadata: { a: "\0" } }, "U+0000"],
};

function nest(levels: number): unknown {
  let rule: unknown = { var: "a" };
  for (let level = 0; level < levels; level++) rule = { "!": [rule] };
  return rule;
}

function problems(run: () => unknown): string {
  try {
    run();
    return "";
  } catch (error) {
    expect(error).toBeInstanceOf(NinesError);
    expect((error as NinesError).code).toBe("invalid");
    return (error as NinesError).message;
  }
}

describe("a flag is accepted with", () => {
  for (const [what, flag] of Object.entries(accepted)) {
    test(what, () => expect(parseDefinition("f", flag).value).toEqual(flag as never));
  }
});

describe("a flag is refused for", () => {
  for (const [what, [flag, place]] of Object.entries(refused)) {
    test(`${what}, with the place and the reason`, () => {
      expect(problems(() => parseDefinition("f", flag))).toContain(place);
    });
  }
});

test("every problem of a flag is told at once, but no endless list", () => {
  const flag = { state: "on", variants: { on: true, off: 1 }, defaultVariant: "x", targeting: { nope: 1 } };
  expect(problems(() => parseDefinition("f", flag)).split("\n")).toHaveLength(5);
  const endless = targeted({ or: Array.from({ length: 1_000 }, () => ({ nope: 1 })) });
  expect(problems(() => parseDefinition("f", endless))).toContain("and 980 more");
});

test("lax lets doubtful targeting pass as a warning, but nothing that would break other flags", () => {
  const { warnings } = parseDefinition("f", targeted({ sem_ver: [{ var: "v" }, "="] }), { lax: true });
  expect(warnings.join()).toContain("flags.f.targeting.sem_ver");
  const broken = { ...boolean, defaultVariant: "maybe" };
  expect(problems(() => parseDefinition("f", broken, { lax: true }))).toContain("defaultVariant");
});

test("a document is a map or a list of flags, and names the one that is wrong", () => {
  expect(Object.keys(parseDocument({ flags: { a: boolean, b: boolean } }).value.flags)).toEqual(["a", "b"]);
  const list = { flags: [{ key: "a", ...boolean }] };
  expect(parseDocument(list).value.flags).toEqual({ a: boolean } as never);
  expect(problems(() => parseDocument({ flags: { a: boolean, b: { state: "ENABLED" } } }))).toContain(
    "flags.b.variants",
  );
  expect(problems(() => parseDocument({ flags: [boolean] }))).toContain("flags[0].key");
  expect(problems(() => parseDocument({ flags: [...list.flags, ...list.flags] }))).toContain("twice");
  expect(problems(() => parseDocument({ flags: {}, $evaluators: { a: { nope: 1 } } }))).toContain(
    "$evaluators.a",
  );
  expect(problems(() => parseDocument({ flags: {}, metadata: { a: [] } }))).toContain("metadata.a");
  for (const odd of [undefined, null, 4, "x", [], {}])
    expect(problems(() => parseDocument(odd))).not.toBe("");
});

test("any key that people choose has a path of its own, and no odd one breaks the registry", () => {
  const keys = [
    "new-checkout",
    "a/b c",
    "ä",
    ".",
    "..",
    "-x",
    ".removed",
    "$flagd",
    "x".repeat(200),
    "a.b_c",
    "YS9i",
  ];
  const paths = keys.map((key) => parsePath(flagPaths.flag(key)));
  expect(new Set(paths).size).toBe(keys.length);
  expect(paths[0]).toBe("/flags/new-checkout");
  expect(paths).not.toContain(flagPaths.removed);
  expect(paths).not.toContain(flagPaths.metadata);
  for (const key of ["", "__proto__", "a\nb", "x".repeat(201)]) {
    expect(problems(() => parseDefinition(key, boolean))).toContain("key");
  }
});
