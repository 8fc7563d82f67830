import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OpenFeature, ProviderEvents } from "@openfeature/server-sdk";
import { writeAtomic } from "../std/file.ts";
import { until } from "../std/until.ts";
import { toReport } from "./flag-report.ts";
import { startFlags } from "./flags.ts";
import { connect } from "./sdk.ts";

let own = new AsyncDisposableStack();
afterEach(async () => {
  await own.disposeAsync();
  own = new AsyncDisposableStack();
});

const boolean = (defaultVariant: string) => ({
  state: "ENABLED",
  variants: { on: true, off: false },
  defaultVariant,
});
const toText = (flags: object, version = 1) => JSON.stringify({ flags, $nines: { version } });

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "nines-flags-"));
  own.defer(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function open(file: string, log: (line: string) => void = () => {}) {
  return own.use(await connect({ env: { FLAGD_OFFLINE_FLAG_SOURCE_PATH: file }, log }));
}

test("values by type; what is unknown or of another type is the default of the code", async () => {
  const file = join(folder(), "flags.json");
  const text = { state: "ENABLED", variants: { a: "x" }, defaultVariant: "a" };
  const number = { state: "ENABLED", variants: { a: 0 }, defaultVariant: "a" };
  const object = { state: "ENABLED", variants: { a: { b: 1 } }, defaultVariant: "a" };
  writeFileSync(file, toText({ on: boolean("on"), text, number, object }, 7));
  const { flags } = await open(file);
  expect([flags.ready, flags.version]).toEqual([true, 7]);
  expect(flags.boolean("on", false)).toBe(true);
  expect(flags.string("text", "y")).toBe("x");
  expect(flags.number("number", 5)).toBe(0);
  expect(flags.object("object", {})).toEqual({ b: 1 });
  expect(flags.boolean("unknown", true)).toBe(true);
  expect(flags.number("text", 5)).toBe(5);
  expect(flags.details("text", 5)).toMatchObject({ value: 5, reason: "ERROR", errorCode: "TYPE_MISMATCH" });
  expect(flags.details("on", false)).toEqual({ value: true, variant: "on", reason: "STATIC", metadata: {} });
});

test("a file that is renamed into place is applied, and who listens hears which flags have changed", async () => {
  const file = join(folder(), "flags.json");
  writeAtomic(file, toText({ a: boolean("off"), b: boolean("on") }));
  const { flags } = await open(file);
  const heard: string[] = [];
  flags.onChange((keys) => heard.push(...keys));
  for (let version = 2; version < 12; version++) {
    const variant = version % 2 === 0 ? "on" : "off";
    writeAtomic(file, toText({ a: boolean(variant), b: boolean("on") }, version));
    await until(`version ${version}`, 30_000, () => flags.version === version, 2);
    expect(flags.boolean("a", variant === "off")).toBe(variant === "on");
  }
  expect(new Set(heard)).toEqual(new Set(["a"]));
});

test("a file that is damaged or gone leaves the flags as they are, and one that comes later is found", async () => {
  const at = folder();
  const file = join(at, "flags", "flags.json");
  const lines: string[] = [];
  const { flags } = await open(file, (line) => lines.push(line));
  expect([flags.ready, flags.boolean("a", true)]).toEqual([false, true]);
  mkdirSync(join(at, "flags"));
  writeAtomic(file, toText({ a: boolean("on") }, 1));
  await until("the file is found", 30_000, () => flags.version === 1);
  writeAtomic(file, '{"flags": {"a"');
  await until("the damage is told", 30_000, () => lines.some((line) => line.includes("kept as they were")));
  expect(flags.boolean("a", false)).toBe(true);
  rmSync(file);
  writeAtomic(file, toText({ a: boolean("off") }, 2));
  await until("the next file", 30_000, () => flags.version === 2);
  expect(flags.boolean("a", true)).toBe(false);
});

test("OpenFeature's client for servers evaluates by the provider, and hears of changes", async () => {
  const file = join(folder(), "flags.json");
  const targeted = {
    ...boolean("off"),
    targeting: { if: [{ "==": [{ var: "targetingKey" }, "ann"] }, "on"] },
  };
  writeAtomic(file, toText({ a: targeted }));
  const { flags } = await open(file);
  await OpenFeature.setProviderAndWait(flags.provider);
  own.defer(() => OpenFeature.close());
  const client = OpenFeature.getClient();
  expect(await client.getBooleanDetails("a", false, { targetingKey: "ann" })).toMatchObject({
    value: true,
    reason: "TARGETING_MATCH",
  });
  expect(await client.getBooleanDetails("a", true, { targetingKey: "bob" })).toMatchObject({
    value: false,
    reason: "DEFAULT",
  });
  expect(await client.getStringDetails("a", "x")).toMatchObject({ value: "x", errorCode: "TYPE_MISMATCH" });
  expect(await client.getBooleanDetails("b", true)).toMatchObject({
    value: true,
    errorCode: "FLAG_NOT_FOUND",
  });
  const changed = Promise.withResolvers<readonly string[]>();
  client.addHandler(ProviderEvents.ConfigurationChanged, (details) =>
    changed.resolve(details?.flagsChanged ?? []),
  );
  writeAtomic(file, toText({ a: boolean("on") }, 2));
  expect(await changed.promise).toEqual(["a"]);
  expect(await client.getBooleanValue("a", false)).toBe(true);
});

test("what was asked for is told by key, and not again once a controller has it", async () => {
  const told: unknown[] = [];
  const file = join(folder(), "flags.json");
  writeAtomic(file, toText({ a: boolean("on") }));
  let hears = false;
  const report = toReport(async (path, body) => {
    if (hears) told.push([path, body]);
    return hears;
  });
  const flags = await startFlags({ file, log: () => {}, report });
  for (let time = 0; time < 3; time++) flags.boolean("a", false);
  flags.boolean("unknown", false);
  // Nobody hears the first time, so all of it is told with the next.
  await flags.close();
  hears = true;
  await flags.close();
  await flags.close();
  expect(told).toEqual([
    ["/v1/app/flag-uses", { flags: { a: 3, unknown: 1 }, variants: { a: { on: 3 }, unknown: {} } }],
  ]);
  expect(toReport(undefined)).toBeUndefined();
});
