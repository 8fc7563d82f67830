import { expect, test } from "bun:test";
import { loadedPerKeyMax } from "./limits.ts";
import { Order } from "./order.ts";
import type { StoredWrite } from "./port.ts";

const write = (id: number, key?: string): StoredWrite => ({
  id,
  key,
  idempotencyKey: `i${id}`,
  headers: {},
  body: Buffer.from("12345"),
  attempts: 0,
  ageMs: 0,
  waitMs: 0,
});
const make = (...list: readonly (readonly [number, string?])[]) => {
  const order = new Order();
  for (const [id, key] of list) order.add(write(id, key), 0);
  return order;
};
const take = (order: Order, now = 0) => {
  const ids: number[] = [];
  for (let next = order.next(now); next !== undefined; next = order.next(now)) ids.push(next.id);
  return ids;
};

test("writes without a key all go, in the order of their ids", () => {
  expect(take(make([1], [2], [3]))).toEqual([1, 2, 3]);
});

test("of each key one goes, and the next one when it is settled", () => {
  const order = make([1, "a"], [2, "a"], [3, "b"], [4], [5, "a"]);
  expect(take(order)).toEqual([1, 3, 4]);
  order.settle(1);
  expect(take(order)).toEqual([2]);
  order.settle(3);
  expect(take(order)).toEqual([]);
  order.settle(2);
  expect(take(order)).toEqual([5]);
});

test("what is returned is next again, before those after it", () => {
  const order = make([1, "a"], [2], [3, "a"]);
  expect(order.next(0)?.id).toBe(1);
  order.return(1);
  expect(take(order)).toEqual([1, 2]);
});

test("a refused write holds its key until its time, no other, and is loaded again for it", () => {
  const order = make([1, "a"], [2, "a"], [3, "b"]);
  expect(take(order)).toEqual([1, 3]);
  order.delay(1, 100);
  expect(order.dueAt).toBe(100);
  expect(take(order, 99)).toEqual([]);
  expect(order.missing(10)).toEqual([]);
  expect(take(order, 100)).toEqual([]);
  expect(order.missing(10)).toEqual([1, 2]);
  order.fill([1, 2], [write(1, "a"), write(2, "a")]);
  expect(take(order, 100)).toEqual([1]);
  order.settle(1);
  expect(take(order, 100)).toEqual([2]);
});

test("a write that comes with a pause still to last waits for it", () => {
  const order = new Order();
  order.add(write(1, "a"), 50);
  order.add(write(2, "a"), 0);
  expect(take(order, 0)).toEqual([]);
  take(order, 50);
  expect(order.missing(10)).toEqual([1, 2]);
});

test("a long key has few bodies in memory, leaves the room to others, and loses none", () => {
  const order = new Order();
  const total = loadedPerKeyMax * 3;
  for (let id = 1; id <= total; id++) order.add(write(id, "long"), 0);
  expect(order.loaded).toBe(loadedPerKeyMax);
  expect(order.stubs).toBe(total - loadedPerKeyMax);
  expect(order.bytes).toBe(loadedPerKeyMax * 5);
  const seen: number[] = [];
  for (let i = 0; i < 1_000 && seen.length < total; i++) {
    const next = order.next(0);
    if (next === undefined) {
      const ids = order.missing(256);
      order.fill(
        ids,
        ids.map((id) => write(id, "long")),
      );
      continue;
    }
    seen.push(next.id);
    order.settle(next.id);
  }
  expect(seen).toEqual(Array.from({ length: total }, (_, i) => i + 1));
  expect([order.loaded, order.stubs, order.bytes]).toEqual([0, 0, 0]);
});

test("what is gone when it should be loaded was delivered by somebody: the next of its key comes", () => {
  const order = make([1, "a"], [2, "a"], [3, "a"]);
  take(order);
  order.delay(1, 10);
  take(order, 10);
  order.fill([1, 2, 3], [write(3, "a")]);
  expect(order.has(1)).toBe(false);
  expect(order.has(2)).toBe(false);
  expect(take(order, 10)).toEqual([3]);
});

test("a write that comes twice is known once", () => {
  const order = make([1, "a"], [1, "a"], [2], [2]);
  expect(take(order)).toEqual([1, 2]);
});

test("whatever happens, no write passes an older one of its key, and none is lost", () => {
  let seed = 7;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  };
  for (let round = 0; round < 200; round++) {
    const order = new Order();
    const stored = new Map<number, StoredWrite>();
    const last = new Map<string, number>();
    const out = new Set<number>();
    let [id, now, settled] = [0, 0, 0];
    for (let step = 0; step < 400 || stored.size > 0; step++) {
      now++;
      if (step > 20_000) throw new Error(`stuck with ${stored.size}`);
      if (step < 400 && random() < 0.5) {
        id++;
        const one = write(id, random() < 0.8 ? `k${Math.floor(random() * 4)}` : undefined);
        stored.set(id, one);
        order.add(one, random() < 0.05 ? now + 5 : 0);
      }
      const asked = order.missing(8);
      if (asked.length > 0)
        order.fill(
          asked,
          asked.flatMap((one) => stored.get(one) ?? []),
        );
      const next = order.next(now);
      if (next !== undefined) {
        expect(out.has(next.id)).toBe(false);
        out.add(next.id);
      }
      const one = [...out][Math.floor(random() * out.size)];
      if (one === undefined || random() < 0.3) continue;
      const key = stored.get(one)?.key;
      out.delete(one);
      const dice = random();
      if (dice < 0.15) order.return(one);
      else if (dice < 0.3) order.delay(one, now + Math.floor(random() * 20));
      else {
        if (key !== undefined) {
          expect(one).toBeGreaterThan(last.get(key) ?? 0);
          last.set(key, one);
        }
        stored.delete(one);
        order.settle(one);
        settled++;
      }
    }
    expect(settled).toBe(id);
    expect([order.loaded, order.stubs, order.bytes]).toEqual([0, 0, 0]);
  }
});
