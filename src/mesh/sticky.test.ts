import { expect, test } from "bun:test";
import { always, get, ok, Rig, startBackend, toInstance } from "./harness.ts";
import { findSticky } from "./sticky.ts";
import { Target } from "./target.ts";

const targets = ["a1", "b2"].map((id) => new Target(toInstance(id, 1)));

const cookies: readonly [line: string, id: string | undefined][] = [
  ["nines-instance=b2", "b2"],
  ["x=1; nines-instance=a1; y=2", "a1"],
  ["x=1;nines-instance=a1 ;y=2", "a1"],
  ["xnines-instance=a1", undefined],
  ["x=nines-instance=a1", undefined],
  ["nines-instance=", undefined],
  ["nines-instance=zz", undefined],
  ["NINES-instance=a1", "a1"],
  ["", undefined],
  [";;;", undefined],
];

for (const [line, id] of cookies) {
  test(`the cookie ${JSON.stringify(line)} names ${id ?? "nobody"}`, () => {
    const bytes = Buffer.from(`Cookie: ${line}\r\nX: nines-instance=a1\r\n`);
    expect(findSticky(bytes, 8, 8 + line.length, targets, 0)?.instance.id).toBe(id);
  });
}

const last = () => 0.999;

test("a client comes back to the instance that it began with, and to another when that is gone", async () => {
  await using one = await startBackend(always(ok));
  await using two = await startBackend(always(ok));
  await using rig = new Rig({}, undefined, last);
  rig.app({ routing: { sticky: true } });
  rig.report(toInstance("1", one.port), toInstance("2", two.port));
  const first = await rig.ask(get());
  expect(first).toContain("Set-Cookie: nines-instance=2; Path=/; HttpOnly; SameSite=Lax\r\n");
  const stuck = await rig.ask(get("/", "Cookie: nines-instance=1\r\n"));
  expect(stuck).not.toContain("Set-Cookie");
  expect(await rig.logged("instance=web.1")).toContain("status=200");
  rig.change("1", "draining");
  expect(await rig.ask(get("/", "Cookie: nines-instance=1\r\n"))).toContain("nines-instance=2;");
});

test("an app that does not ask for it gets no cookie, and its clients' cookies decide nothing", async () => {
  await using one = await startBackend(always(ok));
  await using two = await startBackend(always(ok));
  await using rig = new Rig({}, undefined, last);
  rig.report(toInstance("1", one.port), toInstance("2", two.port));
  expect(await rig.ask(get("/", "Cookie: nines-instance=1\r\n"))).not.toContain("Set-Cookie");
  await rig.logged("instance=web.2");
});
