import { expect, test } from "bun:test";
import type { FlagDocument } from "../wire/flags.ts";
import { Evaluator } from "./evaluator.ts";
import { FlagEvents } from "./events.ts";
import { contextBytesMax, createOfrep, type OfrepPorts } from "./ofrep.ts";

const document: FlagDocument = {
  flags: {
    "on/for everybody": {
      state: "ENABLED",
      variants: { on: true, off: false },
      defaultVariant: "on",
      metadata: { owner: "a" },
    },
    disabled: { state: "DISABLED", variants: { on: true }, defaultVariant: "on" },
    open: { state: "ENABLED", variants: { on: true } },
    lost: { state: "ENABLED", variants: { on: true }, targeting: { $ref: "nowhere" } },
    mine: {
      state: "ENABLED",
      variants: { on: true, off: false },
      defaultVariant: "off",
      targeting: { if: [{ "==": [{ var: "targetingKey" }, "ann"] }, "on"] },
    },
  },
};

interface Reply {
  readonly flags: readonly { readonly key: string }[];
  readonly metadata: unknown;
  readonly eventStreams: unknown;
}

function start(change: Partial<OfrepPorts> = {}) {
  const evaluator = new Evaluator();
  evaluator.load(document);
  const asked: string[] = [];
  const ofrep = createOfrep({
    evaluator: () => evaluator,
    version: () => 12,
    authorize: (key, where) => (key === `${where}-key` ? { app: "shop" } : undefined),
    eventsKey: () => "url-key",
    reach: async () => {},
    asked: (asker, key) => asked.push(`${asker.app} ${key}`),
    events: () => new ReadableStream(),
    ...change,
  });
  const ask = (
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
    method = "POST",
    admit = () => true,
  ) =>
    ofrep(
      new Request(`http://flags.example/ofrep/v1/${path}`, {
        method,
        headers: { authorization: "Bearer header-key", ...headers },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
      admit,
    );
  return { ask, asked };
}

const one = "evaluate/flags/";

test("one flag: value, variant, reason and metadata; slashes and spaces of a key however they are written", async () => {
  const { ask, asked } = start();
  const wanted = {
    key: "on/for everybody",
    reason: "STATIC",
    value: true,
    variant: "on",
    metadata: { owner: "a" },
  };
  for (const path of ["on/for%20everybody", "on%2Ffor%20everybody"]) {
    const response = await ask(one + path, { context: {} });
    expect([response.status, await response.json()]).toEqual([200, wanted]);
  }
  expect(asked).toEqual(["shop on/for everybody", "shop on/for everybody"]);
});

test("what has no value says why, with the status that clients branch on", async () => {
  const { ask } = start();
  const reply = async (key: string) => {
    const response = await ask(one + key, { context: { targetingKey: "ann" } });
    return [response.status, await response.json()];
  };
  expect(await reply("disabled")).toEqual([200, { key: "disabled", reason: "DISABLED" }]);
  expect(await reply("open")).toEqual([200, { key: "open", reason: "DEFAULT" }] as never);
  expect(await reply("unknown")).toMatchObject([404, { key: "unknown", errorCode: "FLAG_NOT_FOUND" }]);
  expect(await reply("lost")).toMatchObject([400, { key: "lost", errorCode: "PARSE_ERROR" }]);
});

test("no body is an empty context; what is no context is refused by name, and too much of it", async () => {
  const { ask } = start();
  expect((await ask(`${one}mine`)).status).toBe(200);
  expect((await ask(`${one}mine`, {})).status).toBe(200);
  for (const odd of ["{", "[]", "4", { context: [] }, { context: "ann" }, { context: { targetingKey: 7 } }]) {
    const response = await ask(`${one}mine`, odd);
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { key: "mine", errorCode: "INVALID_CONTEXT" },
    ]);
  }
  const bulk = await ask("evaluate/flags", "{");
  expect(await bulk.json()).toMatchObject({ errorCode: "INVALID_CONTEXT" });
  const large = await ask(`${one}mine`, { context: { text: "x".repeat(contextBytesMax) } });
  expect(large.status).toBe(413);
  const deep = await ask(`${one}mine`, `{"context":${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}}`);
  expect(deep.status).toBe(200);
});

test("all flags: errors beside values, disabled ones too, the version, and where events come from", async () => {
  const { ask, asked } = start();
  const reply = (await (await ask("evaluate/flags", { context: {} })).json()) as Reply;
  expect(reply.flags.map(({ key }) => key)).toEqual(Object.keys(document.flags));
  expect(reply.flags[3]).toMatchObject({ key: "lost", errorCode: "PARSE_ERROR" });
  expect(reply.metadata).toEqual({ version: 12 } as never);
  expect(reply.eventStreams).toEqual([
    { type: "sse", endpoint: { requestUri: "/ofrep/v1/events?key=url-key" }, inactivityDelaySec: 120 },
  ] as never);
  expect(asked).toEqual([]);
});

test("the ETag is the whole answer's: another context has another one, and the same is 304, though it is a POST", async () => {
  const { ask } = start();
  const bulk = (targetingKey: string, headers = {}) =>
    ask("evaluate/flags", { context: { targetingKey } }, headers);
  const [ann, bob] = [await bulk("ann"), await bulk("bob")].map(
    (response) => response.headers.get("etag") ?? "",
  ) as [string, string];
  expect(ann).toMatch(/^"[\w-]+"$/);
  expect(ann).not.toBe(bob);
  for (const known of [ann, `W/${ann}`, `"other", ${ann}`, "*", ann.slice(1, -1)]) {
    const response = await bulk("ann", { "if-none-match": known });
    expect([response.status, await response.text(), response.headers.get("etag")]).toEqual([304, "", ann]);
  }
  expect((await bulk("bob", { "if-none-match": ann })).status).toBe(200);
});

test("who has heard of a newer version is made to wait for it, and not for long", async () => {
  const waited: number[][] = [];
  const { ask } = start({ reach: async (...given) => void waited.push(given) });
  for (const query of [
    "flagConfigEtag=13",
    "flagConfigEtag=12",
    "flagConfigEtag=nonsense",
    "flagConfigEtag=",
  ]) {
    expect((await ask(`evaluate/flags?${query}`, { context: {} })).status).toBe(200);
  }
  expect(waited).toEqual([[13, 1_000]]);
});

test("the key comes as a bearer or as X-API-Key; the one of the URL opens the events alone", async () => {
  const { ask } = start();
  const status = async (path: string, headers: Record<string, string>, method = "POST") =>
    (await ask(path, undefined, { authorization: "", ...headers }, method)).status;
  expect(await status("evaluate/flags", { "x-api-key": "header-key" })).toBe(200);
  expect(await status("evaluate/flags", { authorization: "bearer header-key" })).toBe(200);
  for (const odd of [
    {},
    { "x-api-key": "url-key" },
    { authorization: "Basic header-key" },
    { "x-api-key": "x" },
  ]) {
    expect(await status("evaluate/flags", odd as Record<string, string>)).toBe(401);
  }
  expect(await status("evaluate/flags?key=url-key", {})).toBe(401);
  expect(await status("events?key=url-key", {}, "GET")).toBe(200);
  expect(await status("events?key=header-key", {}, "GET")).toBe(401);
  expect(await status("events", {}, "GET")).toBe(401);
});

test("any web page may ask: preflights are answered without a key, and every answer can be read", async () => {
  const { ask } = start();
  const preflight = await ask(
    "evaluate/flags",
    undefined,
    { authorization: "", origin: "https://shop.example" },
    "OPTIONS",
  );
  expect(preflight.status).toBe(204);
  for (const header of ["Content-Type", "Authorization", "X-API-Key", "If-None-Match"]) {
    expect(preflight.headers.get("access-control-allow-headers")).toContain(header);
  }
  for (const response of [
    await ask("evaluate/flags", { context: {} }),
    await ask(`${one}unknown`, { context: {} }),
    await ask("evaluate/flags", "{"),
    await ask("evaluate/flags", {}, { authorization: "" }),
    await ask("evaluate/flags", {}, { "if-none-match": "*" }),
    await ask("nothing", {}),
  ]) {
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(response.headers.get("access-control-expose-headers")).toContain("ETag");
  }
});

test("too many requests, too many streams, no flags yet: the client is told when to come again", async () => {
  const { ask } = start({ events: () => undefined });
  const busy = await ask("evaluate/flags", {}, {}, "POST", () => false);
  expect([busy.status, busy.headers.get("retry-after")]).toEqual([429, "1"]);
  const streams = await ask("events?key=url-key", undefined, {}, "GET");
  expect([streams.status, streams.headers.get("retry-after")]).toEqual([429, "5"]);
  const empty = await start({ evaluator: () => undefined }).ask("evaluate/flags", {});
  expect([empty.status, empty.headers.get("retry-after")]).toEqual([503, "1"]);
});

test("what OFREP does not have is 404 or 405", async () => {
  const { ask } = start();
  expect((await ask("evaluate", {})).status).toBe(404);
  expect((await ask("evaluate/flags/", {})).status).toBe(404);
  expect((await ask("evaluate/flags", undefined, {}, "GET")).status).toBe(405);
  expect((await ask("events?key=url-key", {}, {}, "POST")).status).toBe(405);
});

test("events tell the version at once and at each change; a reader that does not read is cut off", async () => {
  const events = new FlagEvents();
  const gone = new AbortController();
  const read = events.open(12, 1_771_622_898_000, gone.signal)?.getReader();
  const next = async () => new TextDecoder().decode((await read?.read())?.value);
  expect(await next()).toBe(
    'retry: 1000\nid: 12\ndata: {"type":"refetchEvaluation","etag":"12","lastModified":1771622898}\n\n',
  );
  events.changed(13, 1_771_622_899_000);
  expect(await next()).toStartWith("id: 13\ndata: ");
  events.beat();
  expect(await next()).toBe(": beat\n\n");
  expect(events.size).toBe(1);
  gone.abort();
  expect(events.size).toBe(0);
  const silent = events.open(1, 0, new AbortController().signal);
  for (let version = 2; version < 200; version++) events.changed(version, 0);
  expect(events.size).toBe(0);
  await silent?.cancel();
  const left = events.open(1, 0, new AbortController().signal);
  await left?.cancel();
  expect(events.size).toBe(0);
});
