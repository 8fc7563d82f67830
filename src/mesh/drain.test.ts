import { expect, test } from "bun:test";
import {
  always,
  type Backend,
  connect,
  get,
  ok,
  once,
  Rig,
  startBackend,
  toInstance,
  until,
} from "./harness.ts";
import { type Mesh, startMesh } from "./mesh.ts";

test("a draining router ends what is under way, closes what is silent, and takes nothing new", async () => {
  await using backend = await startBackend((connection) => {
    if (connection.text.includes("/slow")) return;
    always(ok)(connection);
  });
  // Long enough for the one that speaks to be heard before silence counts.
  await using rig = new Rig({ drainIdleMs: 1_000 });
  rig.up(backend);
  const busy = await rig.client();
  const silent = await rig.client();
  const speaking = await rig.client();
  busy.send(get("/slow"));
  silent.send(get());
  speaking.send(get());
  await silent.sees("ok");
  await speaking.sees("ok");
  await until(() => backend.text.includes("/slow"), "the slow one inside");
  let isOver = false;
  const draining = rig.mesh.drain(60_000).then(() => (isOver = true));
  speaking.text = "";
  speaking.send(get());
  await speaking.ends();
  expect(speaking.text).toContain("Connection: close\r\n\r\nok");
  await silent.ends();
  await until(() => {
    const attempt = connect(rig.mesh.port);
    void attempt.then((raw) => raw.socket.destroy()).catch(() => {});
    return rig.mesh.metrics().connections === 1;
  }, "only the busy one left");
  await expect(connect(rig.mesh.port)).rejects.toThrow();
  expect(isOver).toBe(false);
  backend.connections.find(({ text }) => text.includes("/slow"))!.send(ok);
  await busy.sees("\r\n\r\nok");
  await draining;
  expect(busy.error).toBe("");
  expect(rig.mesh.metrics()).toMatchObject({ connections: 0, inflight: 0 });
});

test("a client that was silent for long before a drain, and then speaks, is answered and told to come again", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig({ drainIdleMs: 2_000 });
  rig.up(backend);
  const client = await rig.client();
  client.send(get());
  await client.sees("ok");
  await new Promise((resolve) => setTimeout(resolve, 2_200));
  client.text = "";
  const draining = rig.mesh.drain(60_000);
  await new Promise((resolve) => setTimeout(resolve, 150));
  client.send(get());
  await client.ends();
  expect(client.text).toContain("Connection: close\r\n\r\nok");
  await draining;
});

test("what does not end in time is cut, with H24", async () => {
  await using backend = await startBackend(() => {});
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(get());
  await until(() => backend.connections.length === 1 && backend.text !== "", "the request inside");
  await rig.mesh.drain(50);
  expect(rig.lines.join("\n")).toContain('code=H24 desc="Forced close"');
  await client.ends();
});

test("tunnels get their part of the time, and are cut when all else has ended", async () => {
  const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
  await using backend = await startBackend((connection) => {
    if (connection.text.includes("Upgrade: x")) once(switching)(connection);
  });
  await using rig = new Rig();
  rig.up(backend);
  const tunnel = await rig.client();
  tunnel.send(get("/", "Connection: Upgrade\r\nUpgrade: x\r\n"));
  await tunnel.sees("101");
  const busy = await rig.client();
  busy.send(get("/slow"));
  await until(() => backend.text.includes("/slow"), "the slow one inside");
  const draining = rig.mesh.drain(60_000, 50);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(tunnel.isClosed || tunnel.isEnded).toBe(false);
  backend.connections.find(({ text }) => text.includes("/slow"))!.send(ok);
  await draining;
  await tunnel.ends();
  await busy.sees("\r\n\r\nok");
});

test("a tunnel that ends within the time is not cut, and ends the wait", async () => {
  const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
  await using backend = await startBackend(once(switching));
  await using rig = new Rig();
  rig.up(backend);
  const tunnel = await rig.client();
  tunnel.send(get("/", "Connection: Upgrade\r\nUpgrade: x\r\n"));
  await tunnel.sees("101");
  let isOver = false;
  const draining = rig.mesh.drain(60_000).then(() => (isOver = true));
  await until(() => rig.mesh.metrics().connections === 1, "the tunnel alone");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(isOver).toBe(false);
  backend.connections[0]!.send("still here");
  await tunnel.sees("still here");
  tunnel.socket.end();
  await draining;
  expect(tunnel.error).toBe("");
  expect(rig.lines.join("\n")).not.toContain("code=H24");
});

/** Another router on the rig's port, with the same app and instance. */
function startBeside(port: number, backend: Backend): Mesh {
  const mesh = startMesh({ host: "127.0.0.1", port, reusePort: true, log: () => {} });
  mesh.restore({ agents: [{ agent: "a", seq: 1, instances: [toInstance("1", backend.port)] }] });
  const current = { release: 1, generation: 0 };
  const record = {
    name: "shop",
    current,
    hosts: [],
    maintenance: false,
    routing: {},
    formationWeb: 1,
    hasRelease: true,
  };
  mesh.setApp("shop", record, 1);
  return mesh;
}

for (const [claim, perConnection] of [
  ["clients that keep their connection", 1_000_000],
  ["clients that make a new connection each time", 1],
] as const) {
  test(`${claim} lose nothing when one router after another on a port is replaced`, async () => {
    await using backend = await startBackend(always(ok));
    await using rig = new Rig({ drainIdleMs: 2_000 });
    rig.up(backend);
    const { port } = rig.mesh;
    let isOver = false;
    let count = 0;
    const clients = Array.from({ length: 20 }, async () => {
      while (!isOver) {
        const client = await connect(port);
        for (let i = 0; i < perConnection && !isOver && !client.text.includes("Connection: close"); i++) {
          client.text = "";
          client.send(get());
          await until(() => client.text.endsWith("\r\n\r\nok") || client.isEnded, "an answer");
          expect(client.text).toContain("200 OK");
          count++;
        }
        client.socket.destroy();
      }
    });
    let old: Mesh = rig.mesh;
    let other = startBeside(port, backend);
    for (let round = 0; round < 3; round++) {
      const then = count;
      await until(() => count > then + 100, "requests");
      await old.drain(60_000);
      if (old !== rig.mesh) await old[Symbol.asyncDispose]();
      old = other;
      other = startBeside(port, backend);
      // Nothing is left of the steering: the new one gets its share.
      await until(() => {
        void connect(port).then(
          (raw) => raw.socket.destroy(),
          () => {},
        );
        return other.metrics().connectionsTotal > 0;
      }, "connections at the new router");
    }
    isOver = true;
    await Promise.all(clients);
    await old[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
  }, 240_000);
}
