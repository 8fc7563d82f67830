import { beforeEach, describe, expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import type { Instance, InstanceState } from "../wire/messages.ts";
import { agentSilentMs, routerSilentMs, routersListenMs, Sightings } from "./sightings.ts";

let clock: FakeClock;
let sightings: Sightings;
beforeEach(() => {
  clock = new FakeClock();
  sightings = new Sightings(clock);
});

const instance = (id: string, state: InstanceState = "up"): Instance => ({
  id,
  app: "shop",
  name: "web.1",
  type: "web",
  release: 1,
  generation: 0,
  host: "127.0.0.1",
  port: 1,
  pid: 1,
  state,
  since: 0,
  attempts: 1,
  nextTryAt: 0,
  reason: "",
});
const report = (seq: number, complete: boolean, ...instances: Instance[]) =>
  sightings.seeInstances({ agent: "agent", seq, complete, instances });
const ids = () => sightings.instances.map((one) => one.id);

describe("instances", () => {
  test("a complete report is all there is, a single one adds or takes away", () => {
    report(1, true, instance("a"), instance("b"));
    report(2, false, instance("c"), instance("a", "down"));
    expect(ids().sort()).toEqual(["b", "c"]);
    report(3, true, instance("d"));
    expect(ids()).toEqual(["d"]);
  });
  test("an older report changes nothing, whichever broker brought it late", () => {
    report(5, true, instance("new"));
    report(4, true, instance("old"));
    report(5, true);
    expect(ids()).toEqual(["new"]);
  });
  test("single reports alone are not the whole", () => {
    report(1, false, instance("a"));
    expect(sightings.freshInstances()).toBe("unknown");
    expect(sightings.instancesAgeMs).toBeUndefined();
  });
  test("what is not heard of any more is unknown, but never forgotten", async () => {
    expect(sightings.freshInstances()).toBe("unknown");
    report(1, true, instance("a"));
    await clock.advance(agentSilentMs);
    expect(sightings.freshInstances()).toHaveLength(1);
    await clock.advance(1);
    expect(sightings.freshInstances()).toBe("unknown");
    expect(sightings.instancesAgeMs).toBe(agentSilentMs + 1);
    expect(ids()).toEqual(["a"]);
  });
});

describe("routers", () => {
  const seen = (router: string, seq: number, revision: number) =>
    sightings.seeRouter({ router, seq, revision, drained: [] });

  test("who has just begun to listen does not know all of them", async () => {
    seen("router.1", 1, 10);
    expect(sightings.routerRevisions()).toBe("unknown");
    await clock.advance(routersListenMs);
    expect(sightings.routerRevisions()).toEqual([10]);
  });
  test("a silent one is not waited for; when all are silent nothing is known", async () => {
    await clock.advance(routersListenMs);
    seen("router.1", 1, 10);
    await clock.advance(routerSilentMs);
    seen("router.2", 1, 20);
    expect(sightings.routerRevisions()).toEqual([10, 20]);
    await clock.advance(1);
    expect(sightings.routerRevisions()).toEqual([20]);
    await clock.advance(routerSilentMs);
    expect(sightings.routerRevisions()).toBe("unknown");
  });
  test("an older report of one changes nothing", async () => {
    await clock.advance(routersListenMs);
    seen("router.1", 2, 20);
    seen("router.1", 1, 10);
    expect(sightings.routerRevisions()).toEqual([20]);
  });
});

test("jobs are known by their newest report, and only so many of them", () => {
  const seen = (job: string, seq: number, exit: number) =>
    sightings.seeJob({ job, seq, state: "exited", exit, reason: "", at: 0 });
  expect(sightings.job("a")).toBe("unknown");
  seen("a", 2, 2);
  seen("a", 1, 1);
  expect(sightings.job("a")).toMatchObject({ exit: 2 });
  for (let i = 0; i < 1_000; i++) seen(`job-${i}`, 1, 0);
  expect(sightings.job("a")).toBe("unknown");
  expect(sightings.job("job-999")).toMatchObject({ seq: 1 });
});
