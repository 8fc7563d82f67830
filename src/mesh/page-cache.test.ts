import { expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import { get, Rig, startBackend } from "./harness.ts";
import { PageCache } from "./page-cache.ts";

const routing = { errorPageUrl: "http://pages/e", maintenancePageUrl: "http://pages/m" };

test("each page is fetched once, for however many apps and errors", async () => {
  const asked: string[] = [];
  using pages = new PageCache(
    async (url) => {
      asked.push(url);
      return `page of ${url}`;
    },
    new FakeClock(),
    () => 0,
  );
  for (const app of ["a", "b", "a"]) pages.want(app, routing);
  await Promise.resolve();
  for (let i = 0; i < 10; i++) expect(pages.toPage("H10", routing).body).toBe("page of http://pages/e");
  expect(pages.toPage("H80", routing)).toMatchObject({ status: 503, body: "page of http://pages/m" });
  expect(asked).toEqual(["http://pages/e", "http://pages/m"]);
});

test("the router's own page stands in until the fetch succeeds, and it is tried again", async () => {
  const clock = new FakeClock();
  let count = 0;
  const fetch = async () => {
    if (++count < 3) throw new Error("away");
    return "<p>ours";
  };
  using pages = new PageCache(fetch, clock, () => 0);
  pages.want("a", { errorPageUrl: "http://pages/e" });
  await clock.advance(0);
  expect(pages.toPage("H12", routing).body).toContain("Application error");
  await clock.advance(5_000);
  await clock.advance(9_999);
  expect(count).toBe(2);
  await clock.advance(1);
  expect(pages.toPage("H12", routing).body).toBe("<p>ours");
  expect(clock.waiting).toBe(0);
});

test("a page that no app names any more is forgotten, and not tried for", async () => {
  const clock = new FakeClock();
  using pages = new PageCache(
    () => Promise.reject(new Error("away")),
    clock,
    () => 0,
  );
  pages.want("a", routing);
  pages.want("b", { errorPageUrl: routing.errorPageUrl });
  await clock.advance(0);
  expect(clock.waiting).toBe(2);
  pages.want("a", undefined);
  expect(clock.waiting).toBe(1);
  pages.want("b", {});
  expect(clock.waiting).toBe(0);
});

test("what is the platform's fault is said by the platform, and so is what is the client's", async () => {
  using pages = new PageCache(
    async () => "<p>ours",
    new FakeClock(),
    () => 0,
  );
  pages.want("a", routing);
  await Promise.resolve();
  for (const code of ["H99", "H26", "H81"] as const) {
    expect(pages.toPage(code, routing).body).not.toBe("<p>ours");
  }
});

test("an app's own page comes with the code's status, the app's own error without it", async () => {
  await using backend = await startBackend((connection) => connection.socket.resetAndDestroy());
  await using rig = new Rig({ bootWaitMs: 50 }, undefined, undefined, async (url) => `<p>from ${url}`);
  rig.app({ routing });
  rig.up(backend);
  const answer = await rig.ask(get());
  expect(answer).toContain("503 Service Unavailable");
  expect(answer).toContain("Content-Length: 22\r\n");
  expect(answer).toEndWith("<p>from http://pages/e");
  rig.app({ routing, maintenance: true });
  expect(await rig.ask(get())).toEndWith("<p>from http://pages/m");
});
