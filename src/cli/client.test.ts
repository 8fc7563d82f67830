import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { NinesError } from "../std/errors.ts";
import type { RolloutEvent } from "../wire/api.ts";
import type { Rollout, RolloutState } from "../wire/records.ts";
import { Client, path } from "./client.ts";
import { followRollout } from "./follow.ts";

/** A controller that does as it is told: the failures that a real one shows only when it is killed. */
type Answer = (bodyBytes: number) => Response | "drop";

let answers: Answer[] = [];
let asked: { readonly url: URL; readonly authorization: string | undefined }[] = [];
let server: Server;
let port: number;

async function listen(at: number): Promise<void> {
  server = createServer(async (request, reply) => {
    const { authorization } = request.headers;
    asked.push({ url: new URL(request.url ?? "/", "http://controller"), authorization });
    let bodyBytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) bodyBytes += chunk.length;
    const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? (() => Response.json({}));
    const given = answer(bodyBytes);
    if (given === "drop") return request.socket.destroy();
    reply.writeHead(given.status, Object.fromEntries(given.headers));
    reply.write(await given.text());
    // As after SIGKILL: what was written arrives, and then the connection ends without an end of the body.
    if (given.headers.has("torn")) setTimeout(() => request.socket.destroy(), 20);
    else reply.end();
  });
  await new Promise<void>((resolve) => server.listen(at, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
}

async function close(): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

beforeEach(async () => {
  answers = [];
  asked = [];
  await listen(0);
});
afterEach(close);

const client = (given: { token?: string; absent?: NinesError; url?: string } = {}) =>
  new Client(() => ({
    url: given.url ?? `http://127.0.0.1:${port}`,
    token: "token" in given ? given.token : "secret",
    tokenFrom: "there is no file /home/token",
    absent: () => given.absent,
  }));

const failure = async (promise: Promise<unknown>): Promise<NinesError> => {
  try {
    await promise;
  } catch (error) {
    if (error instanceof NinesError) return error;
    throw error;
  }
  throw new Error("it did not fail");
};

test("names and values in a path are escaped", () => {
  expect(path`/v1/apps/${"a/b"}/domains/${"x?y"}`).toBe("/v1/apps/a%2Fb/domains/x%3Fy");
});

test("the token goes along, and a missing one is told apart from a wrong one", async () => {
  await client().json("/v1/apps");
  expect(asked[0]?.authorization).toBe("Bearer secret");
  const missing = await failure(client({ token: undefined as unknown as string }).json("/v1/apps"));
  expect(missing).toMatchObject({ code: "unauthorized" });
  expect(missing.message).toContain("/home/token");
  answers = [() => Response.json({ code: "unauthorized", message: "wrong token" }, { status: 401 })];
  const wrong = await failure(client().json("/v1/apps"));
  expect(wrong.message).toBe("wrong token");
  expect(wrong.hint).toContain("NINES_TOKEN");
});

test("a refusal keeps its code, its sentence and its hint", async () => {
  answers = [() => Response.json({ code: "conflict", message: "busy", hint: "wait" }, { status: 409 })];
  expect(await failure(client().json("/v1/x"))).toMatchObject({
    code: "conflict",
    message: "busy",
    hint: "wait",
  });
  expect(asked).toHaveLength(1);
});

test("an answer that is not ours names what came, and where to look", async () => {
  answers = [() => new Response("<html>nginx", { status: 404 })];
  const error = await failure(client().json("/v1/apps"));
  expect(error.message).toBe('GET /v1/apps was answered with status 404 and "<html>nginx"');
  expect(error.hint).toContain("another program");
});

test("where nothing listens and nothing runs, it says at once that Nines is not running", async () => {
  const absent = new NinesError("unavailable", "Nines is not running in /h", { hint: "start it" });
  await close();
  const startedAt = performance.now();
  expect(await failure(client({ absent }).json("/v1/apps"))).toBe(absent);
  expect(performance.now() - startedAt).toBeLessThan(4_000);
});

test("where Nines runs, a request waits for a controller to listen, a POST too", async () => {
  await close();
  answers = [() => Response.json({ ok: 1 })];
  const answer = client().json<object>("/v1/x", { method: "POST", json: {} });
  await Bun.sleep(300);
  await listen(port);
  expect(await answer).toEqual({ ok: 1 });
});

describe("a controller that dies over a request", () => {
  test("is replaced by the next one for what may be repeated", async () => {
    answers = [() => "drop", () => Response.json({ ok: 1 })];
    expect(await client().json<object>("/v1/apps")).toEqual({ ok: 1 });
    answers = [() => "drop", () => Response.json({ ok: 2 })];
    const post = { method: "POST", json: {}, repeatable: true } as const;
    expect(await client().json<object>("/v1/apps", post)).toEqual({ ok: 2 });
  });

  test("leaves an open question of what may not", async () => {
    answers = [() => "drop"];
    const error = await failure(client().json("/v1/apps", { method: "POST", json: {} }));
    expect(error.message).toContain("the change may have been made or not");
    expect(asked).toHaveLength(1);
  });

  test("an upload starts again from its first byte", async () => {
    const sizes: number[] = [];
    answers = [
      (bytes) => {
        sizes.push(bytes);
        return sizes.length === 1 ? "drop" : Response.json({ ok: 1 });
      },
    ];
    const body = () =>
      new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new Uint8Array(100_000));
          controller.close();
        },
      });
    await client().json("/v1/x", { method: "POST", body, repeatable: true });
    expect(sizes).toEqual([100_000, 100_000]);
  });
});

describe("a rollout is followed to its end", () => {
  test("also when its controllers die: the next goes on from the last cursor", async () => {
    answers = [
      () => events([state("building", "1"), output("npm ci", "2")], true),
      () => "drop",
      () => events([output("added", "3"), state("starting", "4")], false),
      () => events([{ kind: "beat", cursor: "5" }, state("done", "6")], false),
    ];
    const seen: string[] = [];
    const end = await followRollout(client(), rollout("building"), (event) => seen.push(event.cursor));
    expect(end.state).toBe("done");
    expect(seen).toEqual(["1", "2", "3", "4", "5", "6"]);
    const from = asked.map((request) => request.url.searchParams.get("from"));
    expect(from).toEqual([null, "2", "2", "4"]);
  });

  test("a failed one comes back with its reason", async () => {
    answers = [
      () => events([{ ...state("failed", "1"), rollout: { ...rollout("failed"), reason: "exit 1" } }]),
    ];
    expect(await followRollout(client(), rollout("building"), () => {})).toMatchObject({
      state: "failed",
      reason: "exit 1",
    });
  });

  test("one whose record a later one replaced is judged by its release", async () => {
    answers = [
      () => Response.json({ code: "not_found", message: "no such rollout" }, { status: 404 }),
      () => Response.json({ releases: [{ version: 4, state: "former" }], staleMs: 0 }),
    ];
    expect((await followRollout(client(), rollout("starting"), () => {})).state).toBe("done");
  });
});

function rollout(state: RolloutState): Rollout {
  const target = { release: 4, generation: 0 };
  return { id: "r", app: "shop", kind: "deploy", state, target, startedAt: "", changedAt: "", by: "x" };
}

function state(name: RolloutState, cursor: string): RolloutEvent & { kind: "state" } {
  return { kind: "state", cursor, rollout: rollout(name) };
}

function output(line: string, cursor: string): RolloutEvent {
  return { kind: "output", cursor, phase: "build", line };
}

/** The events, then a part of a line, as a killed controller leaves it, or a clean end. */
function events(list: readonly RolloutEvent[], torn = false): Response {
  const text = list.map((event) => `${JSON.stringify(event)}\n`).join("");
  return torn ? new Response(`${text}{"kind":"ou`, { headers: { torn: "1" } }) : new Response(text);
}
