/**
 * Python's h11 as a second reader of all that a router lets pass: it stands behind the router as the instance,
 * and in front of it as the client's reader. Requests and answers are well-formed or changed by chance. They
 * have to agree on every message: how many there are, and where each one ends.
 *
 * `bun scripts/fuzz-h11.ts [EXCHANGES] [SEED]`
 */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { Body } from "../src/mesh/body.ts";
import { INCOMPLETE } from "../src/mesh/fault.ts";
import { connect, toInstance } from "../src/mesh/harness.ts";
import { defaultMeshLimits } from "../src/mesh/limits.ts";
import { type Mesh, startMesh } from "../src/mesh/mesh.ts";
import { RequestHead } from "../src/mesh/request-head.ts";
import { type Chance, mutate, toAnswer, toChance, toRequest } from "./fuzz-generate.ts";

interface Seen {
  readonly method: string;
  readonly target: string;
  readonly body: string;
}

interface Reading {
  readonly answers: readonly { readonly status: number; readonly body: string }[];
  readonly cut?: boolean;
  readonly error?: string;
  readonly rest?: number;
}

export interface FuzzResult {
  readonly exchanges: number;
  readonly forwarded: number;
  readonly refused: number;
  /** Answers that h11 would take and the router did not. */
  readonly stricter: number;
  readonly disagreements: readonly string[];
  readonly version: string;
}

const workers = 8;
const deadlineMs = 60_000;
/** What is asked for where only the answer matters. */
const answered = "/the-answer";

/** The Python that has h11: Debian's own, whatever else is first in the path. */
export function findPython(): string | undefined {
  return ["/usr/bin/python3", "python3"].find(
    (python) => Bun.spawnSync([python, "-c", "import h11"], { stderr: "ignore" }).exitCode === 0,
  );
}

export async function fuzzH11(python: string, count: number, seed: number): Promise<FuzzResult> {
  const child = Bun.spawn([python, "scripts/fuzz-h11.py", String(workers)], {
    stdin: "pipe",
    stdout: "pipe",
  });
  const queues: (Seen | { error: string })[][] = Array.from({ length: workers }, () => []);
  const readings = new Map<number, (reading: Reading) => void>();
  const { promise: listening, resolve: onListening } = Promise.withResolvers<{
    ports: number[];
    version: string;
  }>();
  createInterface({ input: Readable.fromWeb(child.stdout as never) }).on("line", (line) => {
    const said = JSON.parse(line);
    if (said.ports !== undefined) onListening(said);
    else if (said.id !== undefined) readings.get(said.id)?.(said);
    else queues[said.worker]!.push(said);
  });
  let asked = 0;
  const read = (stream: Buffer, methods: readonly string[], closed: boolean) =>
    new Promise<Reading>((resolve) => {
      const id = ++asked;
      readings.set(id, (reading) => {
        readings.delete(id);
        resolve(reading);
      });
      child.stdin.write(`${JSON.stringify({ id, stream: stream.toString("hex"), methods, closed })}\n`);
    });

  const { ports, version } = await listening;
  const tally = { exchanges: 0, forwarded: 0, refused: 0, stricter: 0 };
  const disagreements: string[] = [];
  const run = async (worker: number) => {
    const chance = toChance(seed * 1_000 + worker + 1);
    const mesh = startRouter(ports[worker]!);
    const queue = queues[worker]!;
    while (tally.exchanges < count && disagreements.length < 10) {
      tally.exchanges++;
      const isRequest = chance() < 0.5;
      const wrong = isRequest
        ? await fuzzRequest(chance, mesh, queue, read)
        : await fuzzAnswer(chance, mesh, queue, read);
      if (wrong.kind === "disagreement") disagreements.push(wrong.text);
      else tally[wrong.kind]++;
    }
    await mesh[Symbol.asyncDispose]();
  };
  await Promise.all(queues.map((_, worker) => run(worker)));
  child.kill();
  await child.exited;
  return { ...tally, disagreements, version };
}

type Verdict =
  | { readonly kind: "forwarded" | "refused" | "stricter" }
  | { readonly kind: "disagreement"; readonly text: string };
type Read = (stream: Buffer, methods: readonly string[], closed: boolean) => Promise<Reading>;

async function fuzzRequest(
  chance: Chance,
  mesh: Mesh,
  queue: (Seen | { error: string })[],
  read: Read,
): Promise<Verdict> {
  const made = Array.from({ length: chance() < 0.3 ? 3 : 1 }, () => toRequest(chance).text).join("");
  const text = chance() < 0.8 ? mutate(chance, made) : made;
  const expected = toExpected(text);
  const stream = await exchange(mesh, text, chance);
  const end = performance.now() + deadlineMs;
  // What an earlier exchange asked to be answered may be told of late.
  const own = () => queue.filter((one) => !("target" in one && one.target === answered));
  while (own().length < expected.forwarded.length && performance.now() < end) await Bun.sleep(1);
  const seen = own();
  queue.splice(0);
  const say = (what: string): Verdict => ({
    kind: "disagreement",
    text: `${what}\n  sent ${JSON.stringify(text)}\n  router ${JSON.stringify(expected)}\n  h11 ${JSON.stringify(seen)}\n  client ${JSON.stringify(stream.bytes.toString("latin1"))}`,
  });
  if (seen.some((one) => "error" in one)) return say("h11 refuses what the router let pass");
  if (
    JSON.stringify(seen.map((one) => toKey(one as Seen))) !== JSON.stringify(expected.forwarded.map(toKey))
  ) {
    return say("the instance saw other requests");
  }
  // A refused head gets an answer of its own; a body that never ended may get one, or none.
  const methods = [...expected.methods, ...expected.refused, ...expected.half];
  const fewest = methods.length - expected.half.length;
  const reading = await read(stream.bytes, methods, true);
  if (reading.error !== undefined) return say(`h11 refuses the answers: ${reading.error}`);
  if (reading.answers.length < fewest || reading.rest !== 0)
    return say(`${reading.answers.length} answers for ${methods.length} requests`);
  return { kind: expected.forwarded.length > 0 ? "forwarded" : "refused" };
}

async function fuzzAnswer(
  chance: Chance,
  mesh: Mesh,
  queue: (Seen | { error: string })[],
  read: Read,
): Promise<Verdict> {
  const method = chance() < 0.2 ? "HEAD" : "GET";
  const made = toAnswer(chance, method);
  const text = chance() < 0.8 ? mutate(chance, made.text) : made.text;
  const closes = made.closes || chance() < 0.5;
  const lines = `X-Answer: ${Buffer.from(text, "latin1").toString("hex")}\r\n${closes ? "X-Then: close\r\n" : ""}`;
  const stream = await exchange(
    mesh,
    `${method} ${answered} HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n${lines}\r\n`,
    chance,
  );
  queue.splice(0);
  const raw = await read(Buffer.from(text, "latin1"), [method], closes);
  const passed = await read(stream.bytes, [method], !stream.wasReset);
  const say = (what: string): Verdict => ({
    kind: "disagreement",
    text: `${what}\n  instance (${method}) ${JSON.stringify(text)}\n  h11 ${JSON.stringify(raw)}\n  client ${JSON.stringify(stream.bytes.toString("latin1"))}\n  h11 ${JSON.stringify(passed)}`,
  });
  if (passed.error !== undefined) return say(`h11 refuses what the router let pass: ${passed.error}`);
  if (passed.cut === true && !stream.wasReset) return say("an answer that breaks off looks whole");
  if (passed.rest !== 0 && passed.cut !== true) return say("bytes behind the answer");
  const [mine] = passed.answers;
  const [theirs] = raw.answers;
  if (mine === undefined) return { kind: "refused" };
  const isRefusal = stream.bytes.includes("Cache-Control: no-store");
  if (isRefusal) return { kind: theirs === undefined ? "refused" : "stricter" };
  if (theirs === undefined) return say("the router took an answer that h11 does not");
  if (theirs.status !== mine.status || theirs.body !== mine.body) return say("another answer");
  return { kind: "forwarded" };
}

/** Sends it in one to three pieces, and takes all that comes. */
async function exchange(mesh: Mesh, text: string, chance: Chance) {
  const client = await connect(mesh.port, { isKept: false });
  const pieces: Buffer[] = [];
  client.socket.on("data", (piece: Buffer) => pieces.push(piece));
  const bytes = Buffer.from(text, "latin1");
  const cut = chance() < 0.3 ? Math.floor(chance() * bytes.length) : bytes.length;
  client.send(bytes.subarray(0, cut));
  if (cut < bytes.length) {
    await new Promise((resolve) => setImmediate(resolve));
    client.send(bytes.subarray(cut));
  }
  client.socket.end();
  const end = performance.now() + deadlineMs;
  while (!client.isClosed && !client.isEnded && performance.now() < end)
    await new Promise((r) => setTimeout(r, 0));
  if (!client.isEnded && !client.isClosed) throw new Error(`no end to ${JSON.stringify(text)}`);
  client.socket.destroy();
  return { bytes: Buffer.concat(pieces), wasReset: client.error === "ECONNRESET" };
}

const head = new RequestHead(defaultMeshLimits);

/** What the router's own reader makes of the bytes, followed by the client's end. */
function toExpected(text: string) {
  const bytes = Buffer.from(text, "latin1");
  const forwarded: Seen[] = [];
  const methods: string[] = [];
  const half: string[] = [];
  const refused: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = head.parse(bytes, at, bytes.length);
    if (end === INCOMPLETE) break;
    if (end < 0) {
      refused.push("GET");
      break;
    }
    const method = bytes.toString("latin1", head.from, head.methodTo);
    const host = bytes.toString("latin1", head.hostFrom, head.hostTo);
    const path = bytes.toString("latin1", head.pathFrom, head.targetTo);
    const wantsClose = head.isClose || (head.minor === 0 && !head.isKeepAlive);
    const isUnexpected = head.expectation === "unknown";
    const body = new Body();
    const payload: Buffer[] = [];
    if (head.isChunked) body.start("chunked", 0);
    else body.start("counted", Math.max(0, head.contentLength));
    const bodyEnd = body.scan(bytes, end, bytes.length, payload);
    const content = head.isChunked ? Buffer.concat(payload) : bytes.subarray(end, bodyEnd);
    const isRouted = host.replace(/:\d*$/, "").toLowerCase().replace(/\.$/, "") === "shop.localhost";
    if (bodyEnd < 0) {
      refused.push(method);
      break;
    }
    const isTaken = method !== "CONNECT" && isRouted && !isUnexpected;
    if (!body.isDone) {
      half.push(method);
      break;
    }
    methods.push(method);
    if (isTaken) {
      const target = path.startsWith("/") ? path : path === "" && method === "OPTIONS" ? "*" : `/${path}`;
      forwarded.push({ method, target: path === "*" ? "*" : target, body: content.toString("hex") });
    }
    if (wantsClose) break;
    at = bodyEnd;
  }
  return { forwarded, methods, half, refused };
}

function toKey({ method, target, body }: Seen): string {
  return `${method} ${target} ${body}`;
}

function startRouter(port: number): Mesh {
  const mesh = startMesh({
    host: "127.0.0.1",
    port: 0,
    reusePort: false,
    log: () => {},
    onFault: (fault) => {
      throw fault;
    },
    limits: {
      tickMs: 10,
      firstByteTimeoutMs: 150,
      idleTimeoutMs: 150,
      headTimeoutMs: 1_000,
      quarantineMs: 0,
    },
  });
  const current = { release: 1, generation: 0 };
  const record = { name: "shop", current, hosts: [], maintenance: false, routing: {}, formationWeb: 1 };
  mesh.setApp("shop", { ...record, hasRelease: true }, 1);
  mesh.applyInstances({ agent: "a", seq: 1, complete: true, instances: [toInstance("1", port)] });
  return mesh;
}

if (import.meta.main) {
  const [count = "100000", seed = String(Date.now() % 100_000)] = process.argv.slice(2);
  const python = findPython();
  if (python === undefined) {
    console.error("fuzz-h11: h11 is not installed; run: apt-get install -y python3-h11");
    process.exit(69);
  }
  const startedAt = performance.now();
  const result = await fuzzH11(python, Number(count), Number(seed));
  for (const text of result.disagreements) console.log(`\n${text}`);
  const { disagreements, ...counts } = result;
  console.log(
    JSON.stringify({
      ...counts,
      disagreements: disagreements.length,
      seed: Number(seed),
      seconds: Math.round((performance.now() - startedAt) / 1_000),
    }),
  );
  process.exit(disagreements.length === 0 ? 0 : 1);
}
