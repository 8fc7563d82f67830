import { expect, test } from "bun:test";
import { always, get, ok, Rig, startBackend, toInstance, until } from "./harness.ts";

test("what was asked and answered is measured by app, release, status and code", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  for (let i = 0; i < 5; i++) await rig.ask(get());
  await rig.ask("GET / HTTP/1.1\r\nHost: nobody\r\n\r\n");
  await rig.ask("GET / HTTP/1.1\r\n\r\n");
  rig.app({ maintenance: true });
  await rig.ask(get());
  await until(() => rig.mesh.metrics().connections === 0, "all closed");
  const text = rig.mesh.exposition();
  for (const line of [
    'nines_http_requests_total{app="shop",release="1",status="2xx",code=""} 5',
    'nines_http_requests_total{app="shop",release="1",status="5xx",code="H80"} 1',
    'nines_http_requests_total{app="",release="",status="4xx",code=""} 1',
    'nines_http_requests_total{app="",release="",status="4xx",code="H26"} 1',
    'nines_http_latency_seconds_bucket{app="shop",release="1",le="+Inf"} 6',
    'nines_http_latency_seconds_count{app="shop",release="1"} 6',
    'nines_http_inflight_requests{app="shop"} 0',
    'nines_http_routable_instances{app="shop"} 1',
    "nines_router_connections 0",
    "nines_router_accepted_total 8",
  ]) {
    expect(text).toContain(`${line}\n`);
  }
});

test("what a stage brought to a release is measured under its name, and what everybody gets without", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.report(
    toInstance("1", backend.port),
    toInstance("2", backend.port, { release: 2, name: "web.1", generation: 0 }),
  );
  const beta = { name: "beta", audience: { percent: 0, users: ["anna"] } };
  const target = { release: 2, generation: 0 };
  // It was everybody's once before.
  rig.app({ current: target });
  await rig.ask(get("/", "X-User: anna\r\n"));
  rig.app({ stages: { rollout: "r", target, sticky: { kind: "header", name: "x-user" }, open: [beta] } });
  for (const user of ["anna", "anna", "bert"]) await rig.ask(get("/", `X-User: ${user}\r\n`));
  expect(rig.mesh.served()).toEqual({ "shop/1": [1, 0], "shop/2": [3, 0] });
  // The rollout is over, and release 2 everybody's: its requests go on in the same release, without a stage.
  rig.app({ current: target });
  await rig.ask(get("/", "X-User: anna\r\n"));
  const text = rig.mesh.exposition();
  for (const line of [
    'nines_http_requests_total{app="shop",release="1",status="2xx",code=""} 1',
    'nines_http_requests_total{app="shop",release="2",stage="beta",status="2xx",code=""} 2',
    'nines_http_latency_seconds_count{app="shop",release="2",stage="beta"} 2',
    'nines_http_requests_total{app="shop",release="2",status="2xx",code=""} 2',
  ]) {
    expect(text).toContain(`${line}\n`);
  }
});

/** Debian's prometheus package has it; where it is not installed this says nothing. */
const promtool = Bun.which("promtool");

test.skipIf(promtool === null)("Prometheus' own linter finds nothing to say", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  await rig.ask(get());
  const lint = Bun.spawn([promtool!, "check", "metrics"], {
    stdin: Buffer.from(rig.mesh.exposition()),
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = (await new Response(lint.stdout).text()) + (await new Response(lint.stderr).text());
  expect([said, await lint.exited]).toEqual(["", 0]);
});
