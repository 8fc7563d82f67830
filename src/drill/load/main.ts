/**
 * The load process: a steady, open-loop stream of requests, each with an id that the answer must carry. It
 * runs alone so that a busy test does not slow it. Options come as JSON in argv, orders as lines on stdin.
 */
import { createInterface } from "node:readline";
import { toRoomCode } from "../model/room.ts";
import { Connection } from "./connection.ts";
import { Journal } from "./journal.ts";
import {
  type Failure,
  type LoadOptions,
  type Order,
  type RequestKind,
  type Word,
  wallMs,
} from "./records.ts";
import { openSockets } from "./sockets.ts";
import { Tally } from "./tally.ts";

const tickMs = 5;
const inflightMax = 1_000;
/** When the machine held the load back for longer, the missed requests are skipped: no burst after a pause. */
const lateMax = 250;
const drainMs = 10_000;
/** How long a kept connection may be silent, and still be used: less than the routers' own patience with it. */
const idleMax = 500;

const options: LoadOptions = JSON.parse(process.argv[2] ?? "{}");
const tally = new Tally();
const journal = options.journal === undefined ? undefined : new Journal(options.journal);
const schedule = toSchedule(options.mix);
const idle: { readonly connection: Connection; readonly since: number }[] = [];
const prefix = `${process.pid.toString(36)}-${Date.now().toString(36)}`;
let rate = options.rate;
let inflight = 0;
let serial = 0;
let due = 0;
let last = performance.now();

const sockets = openSockets(options, tally, journal);
const ticker = setInterval(tick, tickMs);
await say({ word: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  const { order } = JSON.parse(line) as Order;
  if (order === "stop") break;
  if (order === "take") await say({ word: "taken", summary: tally.take(sockets.open) });
  else rate = order.rate;
}
// A closed stdin is a test that died: end too, and leave nothing behind.
clearInterval(ticker);
const deadline = performance.now() + drainMs;
while (inflight > 0 && performance.now() < deadline) await Bun.sleep(5);
const summary = tally.take(sockets.open);
sockets.close();
journal?.[Symbol.dispose]();
await say({ word: "stopped", summary });
process.exit(0);

function tick(): void {
  const now = performance.now();
  const late = Math.max(0, now - last - lateMax);
  if (late > 0) tally.skipped(Math.round((late * rate) / 1_000));
  due += ((now - last - late) * rate) / 1_000;
  last = now;
  for (; due >= 1; due--) {
    if (inflight >= inflightMax) tally.skipped(1);
    else void request(schedule[serial % schedule.length] as RequestKind);
  }
}

async function request(kind: RequestKind): Promise<void> {
  const id = `${prefix}-${serial++}`;
  const kept = kind === "get_kept" || kind === "post_kept";
  const connection = (kept ? takeIdle() : undefined) ?? new Connection(options.port);
  const reused = connection.served;
  const startedAt = wallMs();
  inflight++;
  const outcome = await connection.send(toRequest(kind, id, kept), options.timeoutMs);
  inflight--;
  const endedAt = wallMs();
  if (kept && connection.usable) idle.push({ connection, since: performance.now() });
  else connection.close();

  const { port, openedAt } = connection;
  const known = { kind, id, startedAt, endedAt, reused, bytes: outcome.bytes, port, openedAt };
  const fail = (failure: Failure) => {
    journal?.add(failure);
    tally.failed(failure);
  };
  if (outcome.kind === "failed") return fail({ ...known, reason: outcome.reason, status: 0, code: "" });
  const { status, body } = outcome.answer;
  const failure = (reason: Failure["reason"]): Failure => ({
    ...known,
    reason,
    status,
    // The page of a router that sheds speaks to people, and names no code.
    code: body.includes("Too many requests at once")
      ? "H11"
      : (/\b(H\d\d)\b/.exec(body)?.[1] ?? toRoomCode(body)),
  });
  if (status < 200 || status > 299) return fail(failure("status"));
  if (!body.includes(`id=${id}`)) return fail(failure("wrong"));
  journal?.add({ kind, id, startedAt, endedAt });
  tally.answered(kind, id, endedAt - startedAt);
}

function takeIdle(): Connection | undefined {
  for (;;) {
    // The oldest first, so that every kept connection is in use.
    const oldest = idle.shift();
    if (oldest === undefined) return undefined;
    const { connection, since } = oldest;
    // As every client with a pool does: one that was silent for long may be closed by the server at any moment.
    if (performance.now() - since > idleMax) connection.close();
    else if (connection.usable) return connection;
  }
}

function toRequest(kind: RequestKind, id: string, kept: boolean): string {
  const head = `Host: ${options.app}.localhost\r\nX-Id: ${id}\r\n${kept ? "" : "Connection: close\r\n"}`;
  if (kind === "get_kept" || kind === "get_new") return `GET ${options.path} HTTP/1.1\r\n${head}\r\n`;
  const body = JSON.stringify({ id, text: "x".repeat(serial % 500) });
  return `POST ${options.path} HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** The kinds in a fixed order that has the shares of the mix: whole numbers, dealt like cards. */
function toSchedule(mix: LoadOptions["mix"]): RequestKind[] {
  const hands = Object.entries(mix).map(([kind, share]) => ({ kind: kind as RequestKind, left: share }));
  const dealt: RequestKind[] = [];
  while (hands.some((hand) => hand.left > 0)) {
    for (const hand of hands) if (hand.left-- > 0) dealt.push(hand.kind);
  }
  return dealt;
}

/** Resolves when it is said whole: an exit before that would cut a long summary off. */
function say(word: Word): Promise<void> {
  return new Promise((resolve) => process.stdout.write(`${JSON.stringify(word)}\n`, () => resolve()));
}
