import { expect, test } from "bun:test";
import { Routers } from "./routers.ts";

const report = (router: string, seq: number, ...drained: string[]) => ({ router, seq, revision: 1, drained });

test("an instance is drained when every live router says so, and not before", () => {
  const routers = new Routers(0);
  routers.hear(report("router.1", 1, "a"), 2_000);
  routers.hear(report("router.2", 1), 2_000);
  expect(routers.hasDrained("a", 2_000)).toBe(false);
  routers.hear(report("router.2", 2, "a"), 2_100);
  expect(routers.hasDrained("a", 2_100)).toBe(true);
  expect(routers.hasDrained("b", 2_100)).toBe(false);
});

test("a silent router is not waited for, an old report changes nothing", () => {
  const routers = new Routers(0);
  routers.hear(report("router.1", 5, "a"), 5_000);
  routers.hear(report("router.2", 1), 2_000);
  expect(routers.hasDrained("a", 5_000)).toBe(false);
  routers.hear(report("router.1", 4), 5_000);
  expect(routers.hasDrained("a", 5_001)).toBe(true);
});

test("who hears no router, or has only begun to listen, knows nothing", () => {
  const routers = new Routers(0);
  expect(routers.hasDrained("a", 60_000)).toBe(false);
  routers.hear(report("router.1", 1, "a"), 100);
  expect(routers.hasDrained("a", 1_000)).toBe(false);
  expect(routers.hasDrained("a", 1_500)).toBe(true);
});
