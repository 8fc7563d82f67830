import { expect, test } from "bun:test";
import { Deque } from "./deque.ts";

test("it holds what an array would, whatever is done to it", () => {
  const deque = new Deque<number>();
  const model: number[] = [];
  let chance = 7;
  for (let n = 0; n < 20_000; n++) {
    chance = (chance * 16_807) % 2_147_483_647;
    // Waves, so that it grows and empties many times.
    const wave = n % 4_000 < 2_000 ? 3 : 1;
    const action = chance % 5;
    if (action < wave) {
      deque.push(n);
      model.push(n);
    } else if (action === 3 && wave === 3) {
      deque.unshift(n);
      model.unshift(n);
    } else {
      expect(deque.peek()).toBe(model[0] as number);
      expect(deque.shift()).toBe(model.shift() as number);
    }
    if (n % 500 === 0) expect([...deque]).toEqual(model);
  }
  expect(deque.length).toBe(model.length);
});
