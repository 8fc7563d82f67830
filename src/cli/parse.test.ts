import { describe, expect, test } from "bun:test";
import { appFlags, type Flags } from "./command.ts";
import { parseArguments } from "./parse.ts";
import { suggest, UsageError } from "./usage.ts";

const flags = {
  ...appFlags,
  tail: { kind: "switch", short: "t", summary: "" },
  num: { kind: "number", short: "n", value: "N", min: 1, max: 1_500, summary: "" },
} satisfies Flags;

const parse = (...argv: string[]) => parseArguments("logs", flags, { min: 0, max: 2 }, "[X]", argv);
const refusal = (...argv: string[]): UsageError => {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof UsageError) return error;
  }
  throw new Error(`${argv.join(" ")} was accepted`);
};

describe("flags may stand anywhere, in every spelling", () => {
  for (const argv of [
    ["-a", "shop", "x", "-n", "5"],
    ["x", "-n5", "-ashop"],
    ["--num=5", "x", "--app=shop"],
    ["--app", "shop", "--num", "5", "x"],
  ]) {
    test(argv.join(" "), () => {
      const parsed = parse(...argv);
      expect(parsed).toEqual({
        kind: "call",
        args: ["x"],
        flags: { app: "shop", num: 5, json: false, tail: false },
      });
    });
  }

  test("what follows -- is never a flag", () => {
    const parsed = parse("-t", "--", "-n", "--help");
    expect(parsed).toMatchObject({ args: ["-n", "--help"], flags: { tail: true, num: undefined } });
  });

  test("a lone dash is an argument, and may be a value", () => {
    expect(parse("-")).toMatchObject({ args: ["-"] });
    expect(parse("-a", "-")).toMatchObject({ flags: { app: "-" } });
  });

  test("a value may hold = and be empty", () => {
    expect(parse("--app=a=b")).toMatchObject({ flags: { app: "a=b" } });
    expect(parse("--app=")).toMatchObject({ flags: { app: "" } });
  });

  test("--help goes before everything that is wrong behind it", () => {
    expect(parse("--help", "--nonsense")).toEqual({ kind: "help" });
    expect(parse("x", "-h")).toEqual({ kind: "help" });
  });
});

describe("what it does not know, it refuses, and says what was meant", () => {
  const cases: [argv: string[], message: string, hint: string | undefined][] = [
    [["--jsn"], "nines logs has no flag --jsn", "did you mean --json?"],
    [["--tial=1"], "nines logs has no flag --tial", "did you mean --tail?"],
    [["-x"], "nines logs has no flag -x", "nines logs --help shows its flags"],
    [["-tx"], "nines logs has no flag -tx", "nines logs --help shows its flags"],
    [["--constructor"], "nines logs has no flag --constructor", "nines logs --help shows its flags"],
    [["--tail=yes"], '--tail takes no value, "yes" was given', undefined],
    [["-n"], "-n needs a value: -n N", undefined],
    [["-a", "--tail"], "-a needs a value: -a APP", undefined],
    [["-n", "0"], '-n takes a whole number from 1 to 1500, not "0"', undefined],
    [["-n", "1e2"], '-n takes a whole number from 1 to 1500, not "1e2"', undefined],
    [["a", "b", "c"], 'nines logs does not know what to do with "c"', "usage: nines logs [X]"],
  ];
  for (const [argv, message, hint] of cases) {
    test(argv.join(" "), () => {
      const error = refusal(...argv);
      expect(error.message).toBe(message);
      expect(error.hint).toBe(hint);
    });
  }

  test("too few arguments", () => {
    expect(() => parseArguments("run", {}, { min: 1, max: 9 }, "COMMAND…", [])).toThrow(
      "nines run needs COMMAND…",
    );
  });

  test("a flag of the command that is run leads to --", () => {
    try {
      parseArguments("run", {}, { min: 1, max: 9 }, "COMMAND…", ["ls", "-la"]);
      throw new Error("accepted");
    } catch (error) {
      expect((error as UsageError).hint).toContain("nines run -- ls -la");
    }
  });
});

test("a suggestion is near, or there is none", () => {
  const names = ["status", "scale", "start", "ps", "ps:wait"];
  expect(suggest("statsu", names)).toBe("status");
  expect(suggest("sacle", names)).toBe("scale");
  expect(suggest("p", names)).toBe("ps");
  expect(suggest("promote", names)).toBeUndefined();
});
