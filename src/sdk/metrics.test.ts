import { expect, test } from "bun:test";
import { connect } from "./sdk.ts";

test("on a laptop metrics stay in the process, and can be read", async () => {
  await using nines = await connect({ env: {} });
  const orders = nines.metrics.counter("orders", { kind: "web" });
  orders.add();
  orders.add(2);
  nines.metrics.counter("orders", { kind: "web" }).add(4);
  nines.metrics.gauge("queue").set(7);
  nines.metrics.histogram("basket").record(20);
  expect(nines.metrics.read()).toEqual([
    { series: "orders;kind=web", value: 7 },
    { series: "queue", value: 7 },
    { series: "basket", value: 1, sum: 20 },
  ]);
});

test("an app's label values are bounded, and nonsense is refused without an error", async () => {
  await using nines = await connect({ env: {} });
  for (let user = 0; user < 10_000; user++) nines.metrics.counter("visits", { user: String(user) }).add();
  expect(nines.metrics.read()).toHaveLength(500);
  expect(nines.metrics.dropped).toBe(9_500);
  nines.metrics.counter("visits", { user: "1" }).add(Number.NaN);
  nines.metrics.gauge("visits_now").set(1 / 0);
  expect(nines.metrics.refused).toBe(2);
  expect(() => nines.metrics.counter("no name")).toThrow('metric name "no name"');
});
