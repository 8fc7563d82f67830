/** `app:NAME/path`: writes to an app of the platform, through its routers, as they are deployed. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { bufferHeaders } from "../../src/wire/buffer.ts";
import { type Platform, startPlatform, until } from "../harness.ts";

const patienceMs = 120_000;
let platform: Platform;
const server = `
const taken = [];
require("node:http").createServer((request, response) => {
  if (request.method === "GET") return response.end(JSON.stringify(taken));
  let body = "";
  request.on("data", (chunk) => { body += chunk; });
  request.on("end", () => {
    const { host, "idempotency-key": key, "nines-fencing-token": token } = request.headers;
    taken.push({ url: request.url, body, host, key, token });
    response.end();
  });
}).listen(process.env.PORT);
`;

beforeAll(async () => {
  platform = await startPlatform();
  const folder = platform.app("sink", { Procfile: "web: node server.cjs\n", "server.cjs": server });
  await platform.must("deploy", folder, "-a", "sink");
  await platform.must("buffer:set", "nines.test", "app:sink/hook?from=buffer");
}, 300_000);
afterAll(async () => {
  await platform?.[Symbol.asyncDispose]();
}, 120_000);

async function write(n: number): Promise<void> {
  const reply = await fetch(`http://127.0.0.1:${platform.apiPort}/v1/buffer/nines.test/writes`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${readFileSync(platform.home.token, "utf8").trim()}`,
      [bufferHeaders.key]: "k",
      [bufferHeaders.idempotencyKey]: `i${n}`,
    },
    body: JSON.stringify({ n }),
  });
  if (!reply.ok) throw new Error(`the write answered ${reply.status}: ${await reply.text()}`);
}

async function taken(): Promise<readonly Record<string, string>[]> {
  const reply = await platform.fetch("sink");
  return reply.status === 200 ? (JSON.parse(reply.body) as Record<string, string>[]) : [];
}

test("a write to an app goes through the routers to one of its instances, waits while it has none, and follows in order", async () => {
  await write(1);
  const [first] = await until("it arrives", patienceMs, async () => {
    const list = await taken();
    return list.length === 1 && list;
  });
  expect(first).toMatchObject({ url: "/hook?from=buffer", body: '{"n":1}', key: "i1", token: "1" });
  expect(first?.host).toStartWith("sink.localhost");
  // Nobody is there to take it: the platform's own answer is that of a target that is down.
  await platform.must("scale", "web=0", "-a", "sink", "--wait");
  await until("no router has an instance", patienceMs, async () => {
    const replies = await Promise.all(Array.from({ length: 8 }, () => platform.fetch("sink")));
    return replies.every(({ status }) => status === 503);
  });
  for (const n of [2, 3, 4]) await write(n);
  await until("they wait, and no attempt is used up", patienceMs, async () => {
    const { stdout } = await platform.must("buffer", "--json");
    const [target] = JSON.parse(stdout) as { depth: number; dead: number; breaker: string }[];
    return target?.depth === 3 && target.dead === 0 && target.breaker !== "closed";
  });
  await platform.must("scale", "web=1", "-a", "sink");
  await platform.must("buffer:retry", "nines.test");
  const rest = await until("they follow", patienceMs, async () => {
    const list = await taken();
    return list.length === 3 && list;
  });
  expect(rest.map((one) => one.key)).toEqual(["i2", "i3", "i4"]);
  expect((await platform.nines("buffer:dead", "nines.nobody")).stderr).toContain(
    'there is no target "nines.nobody"',
  );
}, 600_000);
