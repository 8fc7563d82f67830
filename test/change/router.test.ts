/**
 * Both routers restarted, one after the other, under load: kept and new connections, GETs and POSTs, and
 * WebSockets that come, talk and go. Nothing fails: a router hands over what is new, and ends what it has.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { WebSocket } from "ws";
import { type Load, startLoad } from "../../src/drill/load/load.ts";
import { type Platform, startPlatform } from "../harness.ts";
import { times } from "../length.ts";

const limitMs = 600_000;
const talkers = 4;
const messagesEach = 5;
const pauseMs = 40;
let platform: Platform;
let load: Load;

beforeAll(async () => {
  platform = await startPlatform();
  await platform.must("deploy", platform.fixture("shop"), "-a", "shop");
  await platform.must("scale", "web=2", "worker=0", "-a", "shop", "--wait");
  load = await startLoad({ port: platform.port, app: "shop", rate: 150 });
}, 300_000);

afterAll(async () => {
  await load?.[Symbol.asyncDispose]();
  await platform?.[Symbol.asyncDispose]();
}, 300_000);

test(
  "restarted in turn, the routers fail no request, and no WebSocket that ends by itself is cut",
  async () => {
    await load.take();
    let isOver = false;
    let talks = 0;
    const wrong: string[] = [];
    const talking = Array.from({ length: talkers }, async () => {
      while (!isOver) {
        const why = await talk(platform.port);
        if (why === "") talks++;
        else wrong.push(why);
      }
    });
    const before = await platform.whole();
    for (let round = 0; round < times(1, 10); round++) {
      for (const id of ["router.1", "router.2"]) {
        await platform.must("part", "restart", id);
        await platform.whole();
      }
    }
    isOver = true;
    await Promise.all(talking);
    const { requests, failures } = await load.take();
    const after = await platform.whole();
    const pidOf = (parts: typeof before, id: string) => parts.find((part) => part.name === id)?.pid;
    for (const id of ["router.1", "router.2"]) expect(pidOf(after, id)).not.toBe(pidOf(before, id));
    expect(failures).toEqual([]);
    expect(wrong).toEqual([]);
    expect(requests).toBeGreaterThan(0);
    expect(talks).toBeGreaterThan(0);
  },
  limitMs,
);

/** Connects, has each message come back, and closes; gives what went wrong. */
function talk(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`, { headers: { Host: "shop.localhost" } });
    let echoed = 0;
    let error = "";
    socket.on("open", () => socket.send("ping"));
    socket.on("message", () => {
      echoed++;
      if (echoed === messagesEach) socket.close();
      else setTimeout(() => socket.send("ping"), pauseMs);
    });
    socket.on("error", ({ message }) => {
      error = message;
    });
    socket.on("close", (code) =>
      resolve(echoed === messagesEach ? "" : `cut after ${echoed} messages: ${code} ${error}`),
    );
  });
}
