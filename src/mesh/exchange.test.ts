import { expect, test } from "bun:test";
import {
  always,
  type Backend,
  get,
  ok,
  once,
  post,
  type Raw,
  Rig,
  startBackend,
  toInstance,
  until,
} from "./harness.ts";

/** A port that refuses. */
async function closedPort(): Promise<number> {
  const backend = await startBackend(() => {});
  const { port } = backend;
  await backend[Symbol.asyncDispose]();
  return port;
}

/** Answers one request after another, each after so long. */
function startQueue(ms: number): (connection: Raw) => void {
  let last = Promise.resolve();
  return (connection) => {
    if (!connection.text.endsWith("\r\n\r\n")) return;
    connection.text = "";
    last = last
      .then(() => new Promise((resolve) => setTimeout(resolve, ms)))
      .then(() => void connection.send(ok));
  };
}

/** Chance that names the first instance, then the last. */
const firstFirst = () => 0;

test("a request goes around an instance that refuses, a POST too, which is sent once", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig({ quarantineMs: 600_000 }, undefined, firstFirst);
  const refusing = await closedPort();
  rig.report(toInstance("1", refusing), toInstance("2", refusing), toInstance("3", backend.port));
  for (let i = 0; i < 10; i++) expect(await rig.ask(post("abc"))).toContain("200 OK");
  expect(rig.mesh.metrics().connectRetries).toBe(2);
  expect(backend.connections.length).toBeGreaterThan(0);
});

test("ten tries in a row, then pauses that grow, until an instance can be reached", async () => {
  await using rig = new Rig({ retryBaseMs: 5, retryCapMs: 20 });
  const refusing = await closedPort();
  rig.report(...Array.from({ length: 15 }, (_, index) => toInstance(`r${index}`, refusing)));
  const asking = rig.ask(get());
  await until(() => rig.mesh.metrics().connectRetries > 12, "more tries after the first ten");
  await using backend = await startBackend(always(ok));
  rig.report(toInstance("good", backend.port));
  expect(await asking).toContain("200 OK");
});

test("when nobody can be reached it ends with H21", async () => {
  await using rig = new Rig({ retryBaseMs: 5, retryCapMs: 20, bootWaitMs: 1_000 });
  rig.report(toInstance("1", await closedPort()));
  expect(await rig.ask(get())).toContain("503 Service Unavailable");
  expect(await rig.logged("code=H21")).toContain('desc="Backend connection refused"');
});

test("requests wait for an instance that starts, in the order of nothing but its coming", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.report(toInstance("1", backend.port, { state: "starting" }));
  const asking = [rig.ask(get()), rig.ask(post("abc")), rig.ask(get())];
  await until(() => rig.mesh.metrics().apps.shop?.waiting === 3, "three waiting");
  rig.change("1", "up");
  for (const answer of await Promise.all(asking)) expect(answer).toContain("200 OK");
});

test("who waits too long gets H20; who finds only crashed places gets H10 at once", async () => {
  await using rig = new Rig({ bootWaitMs: 60 });
  expect(await rig.ask(get())).toContain("HTTP/1.1 503 ");
  await rig.logged("code=H20");
  await using patient = new Rig();
  const crashed = toInstance("1", 1, { state: "crashed", nextTryAt: Date.now() + 60_000 });
  const waiting = patient.ask(get());
  await until(() => patient.mesh.metrics().apps.shop?.waiting === 1, "one waiting");
  patient.report(crashed);
  expect(await waiting).toContain("HTTP/1.1 503 ");
  expect(await patient.logged("code=H10")).toContain("App crashed");
});

test("no more than the allowed number is in an app at once", async () => {
  await using backend = await startBackend(() => {});
  await using rig = new Rig({ inflightPerInstance: 3 });
  rig.up(backend);
  for (let i = 0; i < 3; i++) (await rig.client()).send(get());
  await until(() => backend.connections.length === 3, "three inside");
  expect(await rig.ask(get())).toContain("Retry-After: 1");
  await rig.logged("code=H11");
});

test("more than an instance can do is refused once it queues, unless a valve has been turned on purpose", async () => {
  await using backend = await startBackend(startQueue(5));
  await using rig = new Rig();
  rig.up(backend);
  for (let i = 0; i < 40; i++) expect(await rig.ask(get())).toContain("200 OK");
  const gate = { enter: () => undefined, leave: () => {} };
  for (const isGated of [false, true]) {
    rig.mesh.setGates(() => (isGated ? gate : null));
    const refused = () => rig.lines.filter((line) => line.includes('cause="instances queue"')).length;
    const before = refused();
    const crowd = setInterval(() => {
      for (let i = 0; i < 8; i++)
        void rig.client().then(
          (client) => client.send(get()),
          () => {},
        );
    }, 10);
    if (isGated)
      await until(() => (rig.mesh.metrics().apps.shop?.inflight ?? 0) > 150, "a queue behind a gate");
    else await until(() => refused() > 20, "refusals");
    clearInterval(crowd);
    if (isGated) expect(refused()).toBe(before);
    await until(() => rig.mesh.metrics().apps.shop?.inflight === 0, "all are answered");
  }
});

test("no more than the allowed number waits", async () => {
  await using rig = new Rig({ waitingPerApp: 2 });
  for (let i = 0; i < 2; i++) (await rig.client()).send(get());
  await until(() => rig.mesh.metrics().apps.shop?.waiting === 2, "two waiting");
  expect(await rig.ask(get())).toContain("HTTP/1.1 503 ");
  await rig.logged("code=H11");
});

test("a GET whose instance dies before it answers is sent to another; a POST is not", async () => {
  await using dying = await startBackend((connection) => connection.socket.resetAndDestroy());
  await using backend = await startBackend(always(ok));
  for (const method of ["GET", "HEAD", "OPTIONS"]) {
    await using rig = new Rig({}, undefined, firstFirst);
    rig.up(dying, backend);
    expect(await rig.ask(get().replace("GET", method), (seen) => seen.includes("\r\n\r\n"))).toContain(
      "200 OK",
    );
    expect(rig.mesh.metrics().readRetries).toBe(1);
  }
  await using rig = new Rig({}, undefined, firstFirst);
  rig.up(dying, backend);
  const before = backend.connections.length;
  expect(await rig.ask(post("abc"))).toContain("HTTP/1.1 503 ");
  expect(await rig.logged("code=H13")).toContain("method=POST");
  expect(backend.connections.length).toBe(before);
});

test("a GET is sent again once, not more, and not at all when the app forbids it", async () => {
  await using dying = await startBackend((connection) => connection.socket.resetAndDestroy());
  await using rig = new Rig({}, undefined, firstFirst);
  rig.up(dying, dying, dying, dying);
  expect(await rig.ask(get())).toContain("HTTP/1.1 503 ");
  expect(dying.connections.length).toBe(2);
  await rig.logged("code=H13");
  await using strict = new Rig({}, undefined, firstFirst);
  strict.app({ routing: { retryReads: false } });
  strict.up(dying, dying);
  expect(await strict.ask(get())).toContain("HTTP/1.1 503 ");
  expect(dying.connections.length).toBe(3);
});

test("a request goes around an instance that hangs as soon as it is reported unhealthy", async () => {
  await using hanging = await startBackend(() => {});
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.report(toInstance("1", hanging.port));
  const asking = rig.ask(get());
  const posting = rig.ask(post("abc"));
  await until(() => hanging.connections.filter(({ bytes }) => bytes > 0).length === 2, "both inside");
  rig.report(toInstance("2", backend.port));
  rig.change("1", "unhealthy");
  expect(await asking).toContain("200 OK");
  expect(rig.mesh.metrics().inflight).toBe(1);
  for (const { socket } of hanging.connections) socket.destroy();
  expect(await posting).toContain("HTTP/1.1 503 ");
});

test("an idle connection that the instance has closed costs no request, a POST neither", async () => {
  await using backend = await startBackend((connection) => {
    if (!connection.text.includes("\r\n\r\n")) return;
    connection.text = "";
    connection.send(ok);
    connection.socket.end();
  });
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  for (let i = 1; i <= 30; i++) {
    client.send(i % 2 === 0 ? get() : post("", ""));
    await until(
      () => client.text.split("200 OK").length === i + 1,
      `answer ${i} in ${client.text.slice(-200)}`,
    );
  }
  expect(client.text).not.toContain("HTTP/1.1 503 ");
});

test("100 clients lose no GET while instances are killed one after another", async () => {
  const backends: Backend[] = [];
  const rig = new Rig({ retryBaseMs: 5 });
  for (let i = 0; i < 6; i++) backends.push(await startBackend(always(ok)));
  rig.up(...backends);
  let isOver = false;
  let count = 0;
  const clients = Array.from({ length: 100 }, async () => {
    const client = await rig.client();
    while (!isOver) {
      client.text = "";
      client.send(get());
      await until(
        () => client.text.includes("\r\n\r\nok") || client.isEnded,
        `an answer, not ${client.text}`,
      );
      expect(client.text).toContain("200 OK");
      count++;
    }
  });
  for (const backend of backends.slice(1)) {
    const then = count;
    await until(() => count > then + 300, "requests");
    backend.kill();
  }
  const then = count;
  await until(() => count > then + 300, "requests");
  isOver = true;
  await Promise.all(clients);
  expect(rig.mesh.metrics().statuses[5]).toBe(0);
  await rig[Symbol.asyncDispose]();
  for (const backend of backends) await backend[Symbol.asyncDispose]().catch(() => {});
}, 240_000);

const violations: readonly [claim: string, answer: string, code: string][] = [
  ["no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", "H17"],
  ["a bare line feed", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok", "H17"],
  ["a bad first chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "H17"],
  [
    "an upgrade that nobody asked for",
    "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "H17",
  ],
  ["interim answers without end", "HTTP/1.1 102 Wait\r\n\r\n".repeat(40), "H17"],
  ["differing lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "H25"],
];

for (const [claim, text, code] of violations) {
  test(`an answer with ${claim} becomes a 502 with ${code}`, async () => {
    await using backend = await startBackend(once(text));
    await using rig = new Rig();
    rig.up(backend);
    expect(await rig.ask(get(), (seen) => /\r\n\r\n</.test(seen))).toContain("502 Bad Gateway");
    expect(await rig.logged(`code=${code}`)).toContain("status=502");
  });
}

test("an answer that breaks off cuts the client, so that it cannot pass for whole", async () => {
  await using backend = await startBackend((connection) => {
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    setTimeout(() => connection.socket.end(), 20);
  });
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(get());
  await until(() => client.isClosed, "the cut");
  expect(client.error).toBe("ECONNRESET");
  expect(await rig.logged("code=H18")).toContain("status=200 bytes=3");
});

test("bytes behind an answer never reach the next request", async () => {
  await using backend = await startBackend(always(`${ok}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`));
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  for (let i = 1; i <= 5; i++) {
    client.send(get());
    await until(() => client.text.split("\r\n\r\nok").length === i + 1, `answer ${i}`);
  }
  expect(client.text).not.toContain("poison");
  expect(backend.connections.length).toBe(5);
});

test("bytes on an idle connection end it", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  await rig.ask(get());
  backend.connections[0]!.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
  await backend.connections[0]!.ends();
  expect(await rig.ask(get())).toEndWith("ok");
});

test("no first byte in time is H12; silence in the middle is H15 and a cut", async () => {
  await using silent = await startBackend(() => {});
  await using rig = new Rig({ firstByteTimeoutMs: 500 });
  rig.up(silent);
  expect(await rig.ask(get())).toContain("HTTP/1.1 503 ");
  await rig.logged("code=H12");
  await until(() => silent.connections[0]!.isClosed, "the instance's connection cut");

  await using pausing = await startBackend(once("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"));
  await using other = new Rig({ idleTimeoutMs: 500 });
  other.up(pausing);
  const client = await other.client();
  client.send(get());
  await until(() => client.isClosed, "the cut");
  expect(await other.logged("code=H15")).toContain("status=200");
});

test("an app's own timeouts replace the router's", async () => {
  await using silent = await startBackend(() => {});
  await using rig = new Rig();
  rig.app({ routing: { firstByteTimeoutMs: 40 } });
  rig.up(silent);
  await rig.ask(get());
  await rig.logged("code=H12");
});

test("an answer before the body is whole reaches the client, which has to come again", async () => {
  await using backend = await startBackend(once("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"));
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(post("").replace("Content-Length: 0", "Content-Length: 1000000") + "x".repeat(1_000));
  await client.sees("\r\n\r\nno");
  expect(client.text).toContain("Connection: close\r\n");
  await client.ends();
  await until(() => backend.connections[0]!.isClosed, "the instance's connection ended");
});

test("a client that goes away ends its request at the instance, and is H27", async () => {
  await using backend = await startBackend(once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(get());
  await client.sees("chunked");
  client.socket.resetAndDestroy();
  await until(() => backend.connections[0]!.isClosed, "the end at the instance");
  expect(await rig.logged("code=H27")).toContain(
    'at=warning app=shop code=H27 desc="Client Request Interrupted"',
  );
  expect(rig.mesh.metrics().inflight).toBe(0);
});

test("a client that has sent all may close its half and still gets its answer", async () => {
  await using backend = await startBackend((connection) => {
    if (connection.text.endsWith("\r\n\r\n")) setTimeout(() => connection.send(ok), 30);
  });
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.socket.end(get());
  await client.sees("\r\n\r\nok");
  await client.ends();
  expect(client.text).toStartWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
});

test("a slow reader frees its instance up to a buffer, and holds it back beyond", async () => {
  const size = 64 * 1_048_576;
  const piece = Buffer.alloc(65_536, "x");
  let sent = 0;
  await using backend = await startBackend((connection) => {
    connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    const more = () => {
      while (sent < size) {
        sent += piece.length;
        if (!connection.socket.write(piece)) return void connection.socket.once("drain", more);
      }
    };
    more();
  });
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client({ isKept: false });
  client.socket.pause();
  client.send(get());
  let seen = -1;
  // Still when two looks, a while apart, see the same.
  await until(() => sent > 0, "a start");
  while (seen !== sent) {
    seen = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  // The router's buffer, and what the kernel holds on both connections, but not the whole.
  expect(sent).toBeLessThan(32 * 1_048_576);
  client.socket.resume();
  await until(() => client.bytes > size, "the whole");
}, 240_000);

test("a slow instance holds its client back", async () => {
  await using backend = await startBackend(() => {}, false);
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  const size = 64 * 1_048_576;
  backend.server.on("connection", (socket) => socket.pause());
  client.send(post("").replace("Content-Length: 0", `Content-Length: ${size}`));
  await until(() => backend.connections.length === 1, "the connection");
  client.socket.write(Buffer.alloc(size, "x"));
  let seen = -1;
  while (seen !== client.socket.writableLength) {
    seen = client.socket.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(seen).toBeGreaterThan(0);
  backend.answer = (connection) => {
    if (connection.bytes > size && connection.socket.bytesWritten === 0) connection.send(ok);
  };
  backend.connections[0]!.socket.resume();
  await until(() => client.text.endsWith("ok"), "the answer");
}, 240_000);
