/**
 * Flags over a whole platform: changed by the command line, evaluated by an app's own process, by OpenFeature's
 * unmodified clients for servers and for browsers, and with everything else down.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature } from "@openfeature/server-sdk";
import { ProviderEvents, OpenFeature as WebFeature } from "@openfeature/web-sdk";
import type { FlagChange, FlagReply } from "../../src/wire/flags.ts";
import { startMeter } from "../asserts/meter.ts";
import { type Platform, startPlatform, until } from "../harness.ts";
import { short } from "../length.ts";
import { EventSource } from "./event-source.ts";

const limitMs = 240_000;
const waitMs = 60_000;
let platform: Platform;
let port = 0;
let endpoint = "";
let file = "";
let headers: [string, string][] = [];

const definition = JSON.stringify({
  state: "ENABLED",
  variants: { on: true, off: false },
  defaultVariant: "off",
});
const flags = (...args: readonly string[]) => platform.must("flags", ...args);
/** Whoever answers OFREP does so from its own copy of the flags, which is brought up to date to list them. */
const known = (...keys: readonly string[]) =>
  platform.everywhere(`the controllers know ${keys}`, "/v1/flags", async (reply) => {
    if (!reply.ok) return false;
    const { flags } = (await reply.json()) as { readonly flags: readonly FlagReply[] };
    return keys.every((key) => flags.some((one) => one.key === key));
  });

/** From the instance itself: with the routers down there is no other way. */
async function evaluate(key: string, user = "ann"): Promise<{ value: boolean; version: number }> {
  const reply = await fetch(`http://127.0.0.1:${port}/${key}?user=${user}`, {
    signal: AbortSignal.timeout(30_000),
  });
  return (await reply.json()) as { value: boolean; version: number };
}

beforeAll(async () => {
  platform = await startPlatform();
  const built = await Bun.build({
    entrypoints: [join(import.meta.dir, "app.ts")],
    target: "node",
    format: "esm",
  });
  const server = (await built.outputs[0]?.text()) ?? "";
  const folder = platform.app("shop", { Procfile: "web: node server.mjs\n", "server.mjs": server });
  await platform.must("deploy", folder, "-a", "shop");
  const [instance] = await until("an instance is up", waitMs, async () => {
    const up = (await platform.instances("shop")).filter(({ state }) => state === "up");
    return up.length > 0 ? up : undefined;
  });
  port = instance?.port ?? 0;
  const reply = await fetch(`http://127.0.0.1:${port}/env`);
  const env = (await reply.json()) as Record<string, string>;
  expect(env.FLAGD_RESOLVER).toBe("in-process");
  endpoint = env.OFREP_ENDPOINT ?? "";
  file = env.FLAGD_OFFLINE_FLAG_SOURCE_PATH ?? "";
  // As OFREP's clients read it: decoded first, then pairs, each of a name and the rest.
  headers = decodeURIComponent(env.OFREP_HEADERS ?? "")
    .split(",")
    .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]);
}, limitMs);

afterAll(async () => {
  await OpenFeature.close();
  await WebFeature.close();
  await platform?.[Symbol.asyncDispose]();
}, limitMs);

test(
  "a flag is set, grows, is explained and killed by the command line, and the app's process follows each time",
  async () => {
    await flags("set", "new-checkout", definition, "--why", "to begin with");
    await until("the app knows the flag", waitMs, async () => (await evaluate("new-checkout")).version > 0);
    expect((await evaluate("new-checkout")).value).toBe(false);
    await flags("grow", "new-checkout", "10%");
    const explained = JSON.parse((await flags("explain", "new-checkout", "--user", "ann", "--json")).stdout);
    expect(explained.because).toContain("of the users of this flag");
    await flags("grow", "new-checkout", "all");
    await until("on for everybody", waitMs, async () => (await evaluate("new-checkout")).value);
    await flags("kill", "new-checkout", "--why", "it burns");
    await until("killed", waitMs, async () => !(await evaluate("new-checkout")).value);
    const again = await platform.nines("flags", "grow", "new-checkout", "internal");
    expect([again.code === 0, again.stderr.includes("it burns")]).toEqual([false, true]);
    const changes = JSON.parse((await flags("history", "new-checkout", "--json")).stdout) as {
      what: string;
      why: string;
    }[];
    expect(changes.map(({ what }) => what)).toEqual(["kill", "grow all", "grow 10%", "create"]);
    expect([changes[0]?.why, changes[3]?.why]).toEqual(["it burns", "to begin with"]);
  },
  limitMs,
);

/** The process of the controller that leads. */
async function leader(): Promise<number> {
  return await until("a controller leads", waitMs, async () => {
    const reply = await fetch(`http://127.0.0.1:${platform.apiPort}/v1/status`, {
      headers: { Authorization: `Bearer ${readFileSync(platform.home.token, "utf8").trim()}` },
    });
    const { leader } = (await reply.json()) as { leader: string | null };
    return (await platform.parts()).find(({ name }) => name === leader)?.pid;
  });
}

const growth = async (key: string) =>
  JSON.parse((await flags("list", "--json")).stdout).find((one: FlagReply) => one.key === key) as FlagReply;

test(
  "a gated flag grows by itself while what is asserted holds, though the controller that leads is killed",
  async () => {
    await using meter = await startMeter(platform.home);
    meter.gauges.set("shop.level", 3);
    await flags("set", "gated", definition);
    const claim = "max(shop.level) < 10";
    await flags(
      "grow",
      "gated",
      "all",
      "--gated",
      "--assert",
      claim,
      "--bake",
      "1s",
      "--why",
      "step by step",
    );
    const victim = await leader();
    process.kill(victim, "SIGKILL");
    await until("it has grown", limitMs, async () => {
      const flag = await growth("gated");
      return flag.step === "all" && flag.gated === undefined;
    });
    await until("the app has it", waitMs, async () => (await evaluate("gated")).value);
    const changes = JSON.parse((await flags("history", "gated", "--json")).stdout) as FlagChange[];
    const steps = changes.map(({ what, by }) => `${what} by ${by === "admin" ? by : "the platform"}`);
    expect(steps.toReversed()).toEqual([
      "create by admin",
      "grow internal by admin",
      "grow beta by the platform",
      "grow all by the platform",
      "grown all by the platform",
    ]);
    expect(changes[0]?.why).toContain(`${claim} is 3`);
  },
  2 * limitMs,
);

test(
  "a gated flag waits for its requests: as often as code got what it grows to",
  async () => {
    await using meter = await startMeter(platform.home);
    meter.gauges.set("shop.level", 3);
    await flags("set", "counted", definition);
    await flags("grow", "counted", "50%");
    const gates = ["--gated", "--assert", "max(shop.level) < 10", "--bake", "0s", "--min-requests", "3"];
    await flags("grow", "counted", "all", ...gates);
    const ask = async (times: number) => {
      for (let i = 0; i < times; i++) {
        const reply = await fetch(`${endpoint}/ofrep/v1/evaluate/flags/counted`, {
          method: "POST",
          headers: [...headers, ["content-type", "application/json"]],
          body: JSON.stringify({ context: { targetingKey: `user-${i}` } }),
        });
        if (((await reply.json()) as { value: boolean }).value) return;
      }
    };
    await ask(100);
    await until("it is counted", limitMs, async () => (await growth("counted")).uses.length > 0);
    // One is not enough.
    expect((await growth("counted")).gated?.state).toBe("baking");
    // Those before the leader's first look, and before another one led, do not count.
    await until("it has grown", limitMs, async () => {
      await ask(100);
      return (await growth("counted")).gated === undefined;
    });
  },
  2 * limitMs,
);

test(
  "it is turned back with the measured value when an assert is violated, and somebody is told",
  async () => {
    await using meter = await startMeter(platform.home);
    meter.gauges.set("shop.level", 3);
    await flags("set", "doubtful", definition);
    const claim = "max(shop.level) < 10";
    const args = ["grow", "doubtful", "all", "--gated", "--assert", claim, "--bake", "1h"];
    await flags(...args);
    await until("the platform hears the gauge", waitMs, async () => {
      const { stdout } = await platform.must("metrics", "shop.level", "--json");
      return JSON.parse(stdout).series.length > 0;
    });
    expect((await growth("doubtful")).step).toBe("internal");
    meter.gauges.set("shop.level", 30);
    const turned = await until("it is turned back", waitMs, async () => {
      const flag = await growth("doubtful");
      return flag.gated?.state === "turned_back" ? flag : undefined;
    });
    expect(turned).toMatchObject({
      step: "off",
      by: "nines",
      gated: { measured: { claim, value: 30, threshold: 10 } },
    });
    expect(turned.why).toContain(`at internal: ${claim} is 30, not < 10 (`);
    await until("it alerts", waitMs, async () => {
      const alerts = JSON.parse((await platform.must("alerts", "--json")).stdout) as { name: string }[];
      return alerts.some(({ name }) => name === "flag-turned-back");
    });
    // What does not hold already is nothing to begin with.
    const again = await platform.nines("flags", ...args);
    expect([again.code === 0, again.stderr]).toEqual([
      false,
      expect.stringContaining("it does not hold now"),
    ]);
    const bare = await platform.nines("flags", "grow", "doubtful", "all", "--gated");
    expect([bare.code, bare.stderr]).toEqual([
      65,
      expect.stringContaining("nothing is asserted at internal"),
    ]);
  },
  2 * limitMs,
);

test(
  "a malformed flag changes nothing, and the error says where and why",
  async () => {
    await flags("set", "shape", definition);
    const bad = join(platform.folder, "bad.json");
    writeFileSync(bad, definition.replace('"off"}', '"maybe"}'));
    const ran = await platform.nines("flags", "set", "shape", bad);
    expect(ran.code).toBe(65);
    expect(ran.stderr).toContain('flags.shape.defaultVariant: "maybe" is none of the variants: on, off');
    const text = await platform.nines("flags", "set", "shape", '{"state": ');
    expect([text.code, text.stderr.includes("is not JSON")]).toEqual([65, true]);
    expect(JSON.parse((await flags("get", "shape")).stdout)).toEqual(JSON.parse(definition));
  },
  limitMs,
);

test(
  "a flag that code still asks for is not removed without force, and the refusal says who asked",
  async () => {
    await flags("set", "asked/for", definition);
    await until("the app knows the flag", waitMs, async () => {
      await evaluate("asked/for");
      const [flag] = (
        JSON.parse((await flags("list", "--json")).stdout) as { key: string; uses: unknown[] }[]
      ).filter(({ key }) => key === "asked/for");
      return (flag?.uses.length ?? 0) > 0;
    });
    const ran = await platform.nines("flags", "remove", "asked/for");
    expect(ran.code === 0).toBe(false);
    expect(ran.stderr).toMatch(/code still asks for the flag "asked\/for": shop \(\d+ times, last at /);
    await flags("remove", "asked/for", "--force");
    expect((await platform.nines("flags", "get", "asked/for")).code === 0).toBe(false);
  },
  limitMs,
);

test(
  "OpenFeature's client for servers, as it is, with what the app's environment says",
  async () => {
    await flags("set", "size", '{"state":"ENABLED","variants":{"big":10,"small":1},"defaultVariant":"big"}');
    await flags(
      "set",
      "plan/of day",
      '{"state":"ENABLED","variants":{"a":{"hours":[1,2]}},"defaultVariant":"a"}',
    );
    await known("size", "plan/of day");
    await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: endpoint, headers }));
    const client = OpenFeature.getClient();
    expect(await client.getNumberDetails("size", 0)).toMatchObject({
      value: 10,
      variant: "big",
      reason: "STATIC",
    });
    expect(await client.getObjectValue("plan/of day", {})).toEqual({ hours: [1, 2] });
    expect(await client.getStringDetails("size", "x")).toMatchObject({
      value: "x",
      errorCode: "TYPE_MISMATCH",
    });
    expect(await client.getBooleanDetails("no-such", true)).toMatchObject({
      value: true,
      errorCode: "FLAG_NOT_FOUND",
    });
    const stranger = new OFREPProvider({ baseUrl: endpoint, headers: [["Authorization", "Bearer shop.0"]] });
    await OpenFeature.setProviderAndWait(stranger);
    expect(await client.getNumberDetails("size", 3)).toMatchObject({ value: 3, reason: "ERROR" });
  },
  limitMs,
);

test(
  "OpenFeature's client for browsers, as it is, evaluates from one answer and hears of changes at once",
  async () => {
    await flags("set", "banner", definition);
    await known("banner");
    const before = globalThis.EventSource;
    globalThis.EventSource = EventSource as never;
    try {
      await WebFeature.setContext({ targetingKey: "ann" });
      const provider = new OFREPWebProvider({ baseUrl: endpoint, headers, pollInterval: -1 });
      await WebFeature.setProviderAndWait(provider as never);
      const client = WebFeature.getClient();
      expect(client.getBooleanDetails("banner", true)).toMatchObject({ value: false, variant: "off" });
      const heard = Promise.withResolvers<readonly string[]>();
      client.addHandler(ProviderEvents.ConfigurationChanged, (details) => {
        if (details?.flagsChanged?.includes("banner")) heard.resolve(details.flagsChanged);
      });
      await flags("on", "banner");
      await heard.promise;
      expect(client.getBooleanDetails("banner", false)).toMatchObject({ value: true, variant: "on" });
      await WebFeature.clearProviders();
    } finally {
      globalThis.EventSource = before;
    }
  },
  limitMs,
);

test(
  "with what brings changes down, the database too, the app goes on evaluating, and follows again when they are back",
  async () => {
    await flags("set", "last", definition);
    await flags("on", "last");
    await until("the app has it", waitMs, async () => (await evaluate("last")).value);
    // In the long form all but kernel and heart, which only watch; else those that a change passes through.
    const all = (await platform.parts())
      .map(({ name }) => name)
      .filter((name) => !/^(kernel|heart)$/.test(name));
    const parts = short ? ["controller.1", "controller.2", "postgres", "agent"] : all;
    for (const id of parts) await platform.must("part", "stop", id);
    for (let user = 0; user < 100; user++) expect((await evaluate("last", `user-${user}`)).value).toBe(true);
    expect((await platform.nines("flags", "off", "last")).code).toBe(69);
    for (const id of parts) await platform.must("part", "start", id);
    await platform.whole();
    await until(
      "flags can be changed",
      waitMs,
      async () => (await platform.nines("flags", "off", "last")).code === 0,
    );
    await until("the app follows", waitMs, async () => !(await evaluate("last")).value);
    expect(JSON.parse(readFileSync(file, "utf8")).flags.last.defaultVariant).toBe("off");
  },
  limitMs,
);
