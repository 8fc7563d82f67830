import { expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import { toInstance } from "./harness.ts";
import { type Borrower, Link } from "./link.ts";
import { Wire } from "./socket.ts";
import { Target } from "./target.ts";
import { Wheel } from "./timers.ts";

test("a connection that is not made in time fails with ETIMEDOUT, and one made later is cut", async () => {
  const clock = new FakeClock();
  using wheel = new Wheel(clock, 10);
  const wire = new Wire();
  const failures: string[] = [];
  const borrower: Borrower = {
    onLinkOpen: () => failures.push("open"),
    onLinkFailed: (_link, code) => failures.push(code),
    onLinkData() {},
    onLinkDrain() {},
    onLinkEnd: () => failures.push("end"),
    onTargetOut() {},
  };
  const connect: ConstructorParameters<typeof Link>[2] = (_host, _port, opening, ears) => {
    wire.opening = opening;
    wire.ears = ears;
    return wire;
  };
  const target = new Target(toInstance("1", 1));
  new Link(target, borrower, connect, wheel, 5_000);
  await clock.advance(4_900);
  expect(failures).toEqual([]);
  await clock.advance(200);
  expect(failures).toEqual(["ETIMEDOUT"]);
  expect(target.links.size).toBe(0);
  let isCut = false;
  wire.attach({ terminate: () => (isCut = true) } as never);
  expect(isCut).toBe(true);
  expect(failures).toEqual(["ETIMEDOUT"]);
});
